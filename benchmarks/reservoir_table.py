"""Makes the README's table of reservoirs from the lines of `reservoir.py`: scores, controls, targets."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

CONTROLS = ("quadratic lags", "linear lags", "last value")
HEAD = f"| task | score | reservoir | {' | '.join(CONTROLS)} | target |\n|---|---|--:|--:|--:|--:|---|"


def reservoir_table(lines: list[dict[str, Any]]) -> str:
    """Return the table and what must be read with it; `lines`: the newest of each row."""
    return "\n".join([HEAD, *(_row(line) for line in lines), "", *_notes(lines)])


def _row(line: dict[str, Any]) -> str:
    ours = f"{_number(line['ours'])} ({_short(min(line['ours']))} to {_short(max(line['ours']))})"
    others = [_number(line["controls"][name]) if name in line["controls"] else "" for name in CONTROLS]
    aim = "better than controls"
    if line["target"] is not None:
        aim = f"{'at least' if line['more'] else 'at most'} {_short(line['target'])}"
    met = "met" if line["met"] else "**not met**"
    return f"| {line['row']} | {line['measure']} | {ours} | {' | '.join(others)} | {aim}: {met} |"


def _number(scores: list[float]) -> str:
    return _short(statistics.median(scores))


def _short(score: float) -> str:
    return f"{score:.4g}" if 0.9 < score < 1 else f"{score:.3g}"


def _notes(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Say how it was measured, and what limits each row."""
    newest = max(lines, key=lambda line: line["date"])
    seeds = max(len(line["seeds"]) for line in lines)
    yield (
        f"Medians of {seeds} seeds, or as many as are noted (least to largest), of the data where they are generated "
        "and of the reservoir; "
        "float64, readouts solved in closed form. Lags are the same readout without a reservoir: on the last inputs, "
        "or on these and all their products. Options, those of controls too, were chosen on other seeds or within the "
        f"training data (`--search`). liquidtorch {newest['liquidtorch']}, {newest['date'][:10]}."
    )
    fewer = {line["row"]: f"{len(line['seeds'])} seeds. " for line in lines if len(line["seeds"]) < seeds}
    limits = [f"- {line['row']}: {fewer.get(line['row'], '')}{line['limit']}" for line in lines if line["limit"]]
    if limits:
        yield from ("", *limits)
