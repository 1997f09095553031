"""What the record says in pictures: learning, predictions, errors, time constants, wiring."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from ..wiring import Wiring
from . import facts, grid, verdict
from .axis import Axis, around, bins
from .chart import Mark, band, diagonal, histogram, line, plot, rule, scatter
from .numbers import finite, number

Line = dict[str, Any]
_EXAMPLES = 12  # panels of series
_POINTS = 8000  # of all their lines together: what keeps the page below 300 kB
_HARDEST = 4  # targets whose residuals are drawn
_CELLS = 600  # of all matrices together, of which there are four at most
_CLASSES = 20  # in a matrix; rarer ones are joined
_WIRES = 1200  # synapses; above, single lines cannot be told apart
_PAIRS = 20_000  # cells of a drawn table of pairs


def score_picture(table: dict[str, Any]) -> Markup | None:
    """Draw every model's score with its interval."""
    rows = [(row["name"], *row["values"], row["ours"]) for row in table["rows"] if finite(row["values"][0])]
    if not rows:
        return None
    axis = around((v for row in rows for v in row[1:4]), f"{table['label']}, {table['better']}")
    return grid.intervals("Test score with 95 % interval", axis, rows)


def dt_picture(lines: Sequence[Line]) -> Markup | None:
    """Draw the histogram of the time between rows, where it varies."""
    card = facts.last(lines, "data").get("card") or {}
    dt = card.get("dt") or {}
    edges, counts = dt.get("edges") or [], dt.get("counts") or []
    if len(counts) < 2:
        return None
    x = around(edges, f"dt ({card.get('unit') or 'step'})", log=edges[-1] > 50 * edges[0] > 0, margin=0.02)
    axes = (x, around(counts, "rows", zero=True, whole=True))
    return plot("Time between rows", axes, [histogram(edges, counts, axes, "data", "rows")], shape="low")


def curves(lines: Sequence[Line]) -> list[Markup]:
    """Draw the losses, the validation score, the learning rate and the gradient norm over the epochs."""
    epochs = {e["epoch"]: e for e in lines if e.get("kind") == "epoch" and finite(e.get("epoch"))}
    rows = [epochs[i] for i in sorted(epochs)]
    if not rows:
        return []
    at = [e["epoch"] for e in rows]
    metric = facts.last(lines, "task").get("metric")
    best = best_epoch(rows)
    times = 100 if verdict.in_percent(metric) else 1
    wanted = [
        ("Loss", "loss", True, [("train_loss", "train", "base"), ("valid_loss", "validation", "ours")]),
        ("Validation score", verdict.metric_label(metric or "score"), False, [("valid_score", "validation", "ours")]),
        ("Learning rate", "learning rate", False, [("lr", "learning rate", "base")]),
        ("Gradient norm", "norm before clipping", True, [("grad_norm", "gradient norm", "base")]),
    ]
    across = around(at, "epoch", margin=0.02, whole=True)
    drawn = []
    for title, label, wide, parts in wanted:
        scale = times if title == "Validation score" else 1
        columns = [[scale * e[k] if finite(e.get(k)) else None for e in rows] for k, _, _ in parts]
        known = [v for column in columns for v in column if v is not None]
        if not known:
            continue
        log = wide and min(known) > 0 and max(known) > 20 * min(known)
        axes = (across, around(known, label, log=log, zero=title == "Learning rate"))
        marks = [line(at, c, axes, look, key, 250) for c, (_, key, look) in zip(columns, parts, strict=True)]
        if best is not None and title in ("Loss", "Validation score"):
            marks.append(rule(best, f"best: epoch {best}", axes))
        drawn.append(plot(title, axes, marks))
    return drawn


def best_epoch(rows: Sequence[Line]) -> int | None:
    """Return the epoch whose weights were kept: the first of the lowest validation loss."""
    return min(((e["valid_loss"], e["epoch"]) for e in rows if finite(e.get("valid_loss"))), default=(0.0, None))[1]


def examples(lines: Sequence[Line]) -> tuple[list[Markup], int]:
    """Draw test series, each target once before any a second time; return the panels and how many there were."""
    found = [s for s in facts.last(lines, "examples").get("series") or [] if s.get("truth")]
    seen: Counter[Any] = Counter()
    ranked = []
    for i, series in enumerate(found):
        ranked.append((seen[series.get("target")], i, series))
        seen[series.get("target")] += 1
    chosen = [series for _, _, series in sorted(ranked, key=lambda r: r[:2])[:_EXAMPLES]]
    columns = min(300, max(60, _POINTS // (4 * max(1, len(chosen)))))
    about = facts.last(lines, "task").get("task") or {}
    unit = (facts.last(lines, "data").get("card") or {}).get("unit") or "step"
    draw = _states if str(about.get("kind")).startswith("classify") else _forecast
    level = _band_name(about)
    return [draw(series, lines, unit, columns, level) for series in chosen], len(found)


def _forecast(series: Line, lines: Sequence[Line], unit: str, columns: int, level: str) -> Markup:
    truth = series["truth"]
    prediction = series.get("prediction") or [None] * len(truth)
    low, high = series.get("low"), series.get("high")
    time, across = _times(series, unit)
    edges = [*(low or []), *(high or [])]
    axes = (across, around([*truth, *prediction, *edges], str(series.get("target") or "value"), margin=0.06))
    marks: list[Mark] = [band(time, low, high, axes, "ours", level, columns)] if low and high else []
    marks.append(line(time, truth, axes, "truth", "truth", columns))
    marks.append(line(time, prediction, axes, "ours", "prediction", columns))
    return plot(_named(series), axes, marks, shape="low")


def _states(series: Line, lines: Sequence[Line], unit: str, columns: int, level: str) -> Markup:
    truth = series["truth"]
    prediction = series.get("prediction") or [None] * len(truth)
    classes = _classes(lines, series.get("target"))
    used = sorted({c for c in [*truth, *prediction] if c is not None}, key=str)
    coded = all(isinstance(c, (int, float)) and 0 <= c < len(classes) for c in used)
    names = dict(enumerate(classes)) if coded and classes else {c: str(c) for c in used}
    _, across = _times(series, unit)
    return grid.strips(_named(series), across, truth, prediction, names, columns)


def _named(series: Line) -> str:
    return " · ".join(str(series[k]) for k in ("target", "name") if series.get(k) not in (None, ""))


def _band_name(about: Line) -> str:
    quantiles = sorted(q for q in about.get("quantiles") or [] if finite(q))
    return f"{number(100 * (quantiles[-1] - quantiles[0]), 3)} % band" if len(quantiles) > 1 else "interval"


def _times(series: Line, unit: str) -> tuple[list[Any], Axis]:
    """Return the times and their axis; times far from zero, such as seconds since 1970, begin at 0."""
    count = len(series["truth"])
    time = series.get("time") or list(range(count))
    known = [t for t in time if finite(t)]
    if len(time) != count or not known:
        return list(range(count)), around(range(count), "step", margin=0.0)
    start, span = min(known), max(known) - min(known)
    if abs(start) > 100 * span > 0:
        time = [t - start if finite(t) else None for t in time]
        return time, around(time, f"time since the first step shown ({unit})", margin=0.0)
    return time, around(known, f"time ({unit})", margin=0.0)


def _classes(lines: Sequence[Line], target: Any) -> list[str]:
    targets = (facts.last(lines, "data").get("card") or {}).get("targets") or []
    found = [t["classes"] for t in targets if t.get("classes") and t.get("name") == target]
    return [str(c) for c in found[0]] if found else []


def confusions(lines: Sequence[Line]) -> tuple[list[dict[str, Any]], int]:
    """Draw the confusion matrices, each with recall and precision of its classes; return them and their number."""
    found = [c for c in facts.last(lines, "examples").get("confusion") or [] if c.get("matrix")]
    shown = []
    largest = max((min(len(c["classes"]), _CLASSES) for c in found), default=1)
    for entry in found[: max(1, min(4, _CELLS // largest**2))]:
        classes, counts = _join_rare([str(c) for c in entry["classes"]], entry["matrix"])
        rows = []
        for i, name in enumerate(classes):
            true, said = sum(counts[i]), sum(row[i] for row in counts)
            rates = [counts[i][i] / n if n else None for n in (true, said)]
            rows.append((name, number(int(true)), *(facts.percent(r) for r in rates)))
        shown.append({"picture": grid.matrix(str(entry.get("target") or "the target"), classes, counts), "rows": rows})
    return shown, len(found)


def _join_rare(classes: list[str], counts: Sequence[Sequence[float]]) -> tuple[list[str], list[list[float]]]:
    if len(classes) <= _CLASSES:
        return classes, [list(row) for row in counts]
    common = sorted(sorted(range(len(classes)), key=lambda i: -sum(counts[i]))[: _CLASSES - 1])
    place = {i: k for k, i in enumerate(common)}
    joined = [[0.0] * _CLASSES for _ in range(_CLASSES)]
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            joined[place.get(i, _CLASSES - 1)][place.get(j, _CLASSES - 1)] += count
    return [*(classes[i] for i in common), f"{len(classes) - len(common)} rarer"], joined


def residuals(lines: Sequence[Line]) -> dict[str, Any] | None:
    """Draw predicted over true and the residuals of the targets that are explained least."""
    rows = []
    for entry in facts.last(lines, "examples").get("residuals") or []:
        both = zip(entry.get("truth") or [], entry.get("prediction") or [], strict=False)
        pairs = [(t, p) for t, p in both if finite(t) and finite(p)]
        if pairs:
            rows.append(_errors(str(entry.get("target") or "the target"), pairs))
    if not rows:
        return None
    hardest = sorted(rows, key=lambda r: -r["unexplained"])[:_HARDEST]
    pictures = [p for row in hardest for p in (_true_and_predicted(row), _residual_histogram(row))]
    points = sum(len(row["pairs"]) for row in rows)
    return {"pictures": pictures, "points": points, "count": len(rows), "shown": len(hardest)}


def _errors(target: str, pairs: list[tuple[float, float]]) -> dict[str, Any]:
    mean = math.fsum(t for t, _ in pairs) / len(pairs)
    spread = math.fsum((t - mean) * (t - mean) for t, _ in pairs)
    gaps = [p - t for t, p in pairs]
    return {
        "target": target,
        "pairs": pairs,
        "gaps": gaps,
        "unexplained": math.fsum(g * g for g in gaps) / spread if spread else math.inf,
    }


def _true_and_predicted(row: dict[str, Any]) -> Markup:
    pairs = sorted(row["pairs"], key=lambda p: p[1] - p[0])  # the largest errors of either sign at the ends
    both = [v for p in pairs for v in p]
    axes = (around(both, f"true {row['target']}"), around(both, f"predicted {row['target']}"))
    marks = [diagonal(axes, "exact"), scatter(pairs, axes, "ours", "test points", 700)]
    return plot(f"{row['target']}: predicted over true", axes, marks)


def _residual_histogram(row: dict[str, Any]) -> Markup:
    gaps = sorted(row["gaps"])
    x = around(gaps, f"predicted − true {row['target']}", margin=0.0)
    edges, counts = bins(gaps, x, min(40, max(8, 2 * math.isqrt(len(gaps)))))
    axes = (x, around(counts, "test points", zero=True, whole=True))
    marks = [histogram(edges, counts, axes, "ours", "residuals")]
    if x.low < 0 < x.high:
        marks.append(rule(0.0, "", axes))
    return plot(f"{row['target']}: residuals", axes, marks)


def time_constants(lines: Sequence[Line]) -> Markup | None:
    """Draw the time constants before and after training beside the data's dt and the length of its series."""
    start, end = (
        [t for t in facts.last(lines, kind).get("tau") or [] if finite(t) and t > 0] for kind in ("model", "model_end")
    )
    if not start and not end:
        return None
    card = facts.last(lines, "data").get("card") or {}
    unit, dt = card.get("unit") or "step", (card.get("dt") or {}).get("median")
    rows = (card.get("lengths") or {}).get("median")
    span = dt * (rows - 1) if finite(dt) and finite(rows) and rows > 1 else None
    marked = [(v, text) for v, text in ((dt, "median dt"), (span, "median series")) if finite(v) and v > 0]
    x = around([*start, *end, *(v for v, _ in marked)], f"time constant tau ({unit})", log=True, margin=0.04)
    (edges, before), (_, after) = (bins(taus, x, 24) for taus in (start, end))
    axes = (x, around([1.2 * max(*before, *after, 1)], "units", zero=True, whole=True))
    marks = [histogram(edges, after, axes, "ours", "after training")] if end else []
    marks += [histogram(edges, before, axes, "base outline", "before training")] if start else []
    marks += [rule(v, f"{text}: {number(v, 3)} {unit}", axes, row=i) for i, (v, text) in enumerate(marked)]
    return plot("Time constants of the units", axes, marks, shape="wide")


def wiring_picture(lines: Sequence[Line]) -> dict[str, Any] | None:
    """Draw the wiring as a network, or as a table of pairs where it is too dense to follow a line."""
    start = facts.last(lines, "model").get("wiring")
    if not start:
        return None
    before, wiring = (
        Wiring.from_json(found) for found in (start, facts.last(lines, "model_end").get("wiring") or start)
    )
    count = wiring.all_synapses
    said = (
        f"{wiring.name}: {wiring.units} units, {wiring.features} features, {wiring.outputs} outputs, "
        f"{wiring.synapses} synapses between units (density {number(wiring.density, 3)}), "
        f"{wiring.sensory_synapses} from features."
    )
    pairs = ((wiring.recurrent, before.recurrent), (wiring.sensory, before.sensory))
    moved = sum(int(((now != 0) & (then == 0)).sum()) for now, then in pairs)
    said += f" Of these, {moved} were grown in training." if moved else ""
    if count <= _WIRES:
        return {"drawn": Markup(wiring.draw()), "text": said}
    rows = max(1, min(wiring.units, _PAIRS // (wiring.units + wiring.features)))
    signs = [[*map(int, s), *map(int, r)] for s, r in zip(wiring.sensory[:rows], wiring.recurrent[:rows], strict=True)]
    labels = (
        "to unit" if rows == wiring.units else f"to unit, the first {rows}",
        f"from {wiring.features} features, then {wiring.units} units",
    )
    return {"drawn": grid.pairs(f"Synapses of {wiring.name}", signs, labels), "text": said}
