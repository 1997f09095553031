"""What the record says about how good the network is: verdict, scores, the numbers that head the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .facts import Line, last, words
from .numbers import ABSENT, THIN, alike, decimals_for, finite, fixed, number, seconds

_TARGETS_SHOWN = 60
_SAID = {"r2": "R²", "f1_macro": "F1 (macro)", "rmse": "RMSE", "mae": "MAE"}
OURS = "liquid"  # the name under which the record scores the network itself


def scores(lines: Iterable[Line]) -> list[Line]:
    """Return the newest score of each model, best first, those without a score at the end."""
    newest = {line.get("model"): line for line in lines if line.get("kind") == "score"}
    known = sorted(
        (s for s in newest.values() if finite(s.get("score"))),
        key=lambda s: s["score"] if lower_is_better(s.get("metric")) else -s["score"],
    )
    return known + [s for s in newest.values() if not finite(s.get("score"))]


def lower_is_better(metric: Any) -> bool:
    """Tell errors from rates of success; runs are scored by one of either kind."""
    return metric != "accuracy"


def in_percent(metric: Any) -> bool:
    """Tell whether `metric` is a share that people read in per cent."""
    return metric == "accuracy"


def metric_name(metric: Any) -> str:
    """Return a metric as people write it."""
    return _SAID.get(metric, words(metric))


def metric_label(metric: Any) -> str:
    """Return the metric with its unit."""
    unit = " (%)" if in_percent(metric) else " (target's unit)" if metric == "rmse" else ""
    return f"{metric_name(metric)}{unit}"


def verdict(lines: Sequence[Line]) -> dict[str, str]:
    """Say whether the network beats the best baseline: look, headline, and the difference with its interval."""
    found = last(lines, "verdict")
    if not found:
        return _no_verdict(lines)
    best = found.get("best_baseline")
    detail = next((s.get("detail") for s in scores(lines) if s.get("model") == best), None)
    name = f"{words(best)} ({detail})" if detail else words(best or "the best baseline")
    if found.get("better") is None:
        look, headline = "even", f"The network is not distinguishable from the best baseline, {name}."
    elif found["better"]:
        look, headline = "good", f"The network beats the best baseline, {name}."
    else:
        look, headline = "bad", f"The network loses to the best baseline, {name}."
    return {"look": look, "headline": headline, "text": _difference(found, lines)}


def _difference(found: Line, lines: Sequence[Line]) -> str:
    if not finite(found.get("difference")):
        return ""
    metric = last(lines, "task").get("metric") or next((s.get("metric") for s in scores(lines)), None)
    times, unit = (100, " percentage points") if in_percent(metric) else (1, "")
    values = [times * v if finite(v) else None for v in (found["difference"], found.get("low"), found.get("high"))]
    decimals = decimals_for([(values[1], values[2])], values[:1])
    middle, low, high = (fixed(v, decimals) for v in values)
    said = f"Difference in {metric_name(metric)}: {middle}{unit}"
    if ABSENT in (low, high):
        return said + "; no interval could be given."
    said += f", 95{THIN}% interval {low} to {high}{', which holds 0' if found.get('better') is None else ''}"
    better = "lower" if lower_is_better(metric) else "higher"
    return f"{said} (network minus baseline on the same rows; {better} is better)."


def _no_verdict(lines: Sequence[Line]) -> dict[str, str]:
    if any(finite(s.get("score")) for s in scores(lines)):
        said = "Without a baseline beside it, the score does not say whether the network is good."
        return {"look": "even", "headline": "No comparison yet.", "text": said}
    events = [line for line in lines if line.get("kind") == "event"]
    said = f"Epochs recorded: {_epochs(lines)}."
    if events:
        message = str(events[-1].get("message") or "")
        said += f" The last event is {words(events[-1].get('name'))}{': ' if message else ''}{message.rstrip('.')}."
    return {"look": "even", "headline": "No score yet: the run has not reached its test.", "text": said}


def _epochs(lines: Sequence[Line]) -> int:
    return len({line.get("epoch") for line in lines if line.get("kind") == "epoch"})


def tiles(lines: Sequence[Line], table: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the few numbers that head the page, each with its name."""
    ours = next((s for s in scores(lines) if s.get("model") == OURS), {})
    unit = THIN + "%" if table["percent"] else ""
    return [
        *((f"test {metric_name(table['metric'])}", row["score"] + unit) for row in table["rows"] if row["ours"]),
        (
            "parameters" + (" of the readout" if readout_alone(lines) else ""),
            number(ours.get("parameters", last(lines, "model").get("parameters"))),
        ),
        ("epochs", str(_epochs(lines))),
        ("training time", seconds(ours.get("seconds", last(lines, "end").get("seconds")))),
    ]


def readout_alone(lines: Sequence[Line]) -> bool:
    """Tell whether only the network's readout was learned, and its body stayed as it was drawn."""
    return last(lines, "model").get("learned") == "readout"


def score_table(lines: Sequence[Line]) -> dict[str, Any]:
    """Return the rows of the score table, all scores with the same decimals, and the table of all metrics."""
    found = scores(lines)
    metric = next((s.get("metric") for s in found), None)
    times = 100 if in_percent(metric) else 1
    scaled = [[times * v if finite(v) else None for v in (s.get("score"), s.get("low"), s.get("high"))] for s in found]
    decimals = decimals_for([(v[1], v[2]) for v in scaled], [v[0] for v in scaled])
    rows = [
        {
            "name": _name(s),
            "ours": s.get("model") == OURS,
            "score": fixed(v[0], decimals),
            "interval": _interval(v[1], v[2], decimals),
            "parameters": number(s.get("parameters")),
            "seconds": seconds(s.get("seconds")),
            "detail": str(s.get("detail") or ""),
            "values": v,
        }
        for s, v in zip(found, scaled, strict=True)
    ]
    names = list(dict.fromkeys(name for s in found for name in (s.get("metrics") or {})))
    names = [n for n in names if "/" not in n and any(finite((s.get("metrics") or {}).get(n)) for s in found)]
    columns = [alike([(s.get("metrics") or {}).get(n) for s in found]) for n in names]
    others = [(row["name"], row["ours"], [column[i] for column in columns]) for i, row in enumerate(rows)]
    return {
        "metric": metric,
        "label": metric_label(metric),
        "percent": times == 100,
        "rows": rows,
        "readout_alone": readout_alone(lines),
        "better": "lower is better" if lower_is_better(metric) else "higher is better",
        "names": [metric_name(n) for n in names] if len(names) > 1 else [],
        "others": others,
    }


def by_target(lines: Sequence[Line]) -> dict[str, Any] | None:
    """Return the score of every model on every target, where there are several."""
    found = scores(lines)
    metric = next((s.get("metric") for s in found), None)
    targets = dict.fromkeys(n for s in found for n in (s.get("metrics") or {}) if n.startswith(f"{metric}/"))
    if not targets:
        return None
    times = 100 if in_percent(metric) else 1
    rows = []
    for name in list(targets)[:_TARGETS_SHOWN]:
        values = [(s.get("metrics") or {}).get(name) for s in found]
        known = [v for v in values if finite(v)]
        best = (min if lower_is_better(metric) else max)(known, default=None)
        cells = alike([times * v if finite(v) else None for v in values])
        marked = [(cell, v is not None and v == best) for cell, v in zip(cells, values, strict=True)]
        rows.append((name.partition("/")[2], marked))
    return {
        "label": metric_label(metric),
        "models": [(_name(s), s.get("model") == OURS) for s in found],
        "rows": rows,
        "hidden": len(targets) - len(rows),
    }


def _name(score: Line) -> str:
    return "liquid network" if score.get("model") == OURS else words(score.get("model"))


def _interval(low: Any, high: Any, decimals: int) -> str:
    return f"{fixed(low, decimals)} to {fixed(high, decimals)}" if finite(low) and finite(high) else ABSENT
