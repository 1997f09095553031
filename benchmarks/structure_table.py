"""The table of benchmarks/structure.py: a row a kind of change, a column an arm."""

from __future__ import annotations

import statistics
from typing import Any

MEASURES = ("all", "after", "settled")


def structure_table(lines: list[dict[str, Any]]) -> str:
    """Return means over seeds of three NRMSEs: of all, of the 1000 after a change, and of the 1000 before the next."""
    arms = list(dict.fromkeys(line["arm"] for line in lines))
    rows = [
        f"| the rule comes to need | change | {' | '.join(arms)} | no change | seeds |",
        "|---" * (len(arms) + 4) + "|",
    ]
    said = ""
    for need, kind in dict.fromkeys((line["need"], line["kind"]) for line in lines):
        found = [line for line in lines if (line["need"], line["kind"]) == (need, kind)]
        cells = [_cell([line for line in found if line["arm"] == arm]) for arm in arms]
        control = statistics.mean(line["scores"]["no change"]["nrmse"] for line in found)
        seeds = len({line["seed"] for line in found})
        shown = "" if need == said else need
        rows.append(f"| {shown} | {kind} | {' | '.join(cells)} | {control:.2f} | {seeds} |")
        said = need
    return "\n".join(rows)


def _cell(lines: list[dict[str, Any]]) -> str:
    values = [{"all": line["scores"]["model"]["nrmse"], **line} for line in lines]
    return " / ".join(f"{statistics.mean(v[m] for v in values):.2f}" for m in MEASURES) if values else ""
