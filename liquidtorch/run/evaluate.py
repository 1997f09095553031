"""Scores beside baselines with their intervals, the verdict, and examples small enough for a record's line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..baselines import Answer
from ..data import Sequences
from ..task import Task, bootstrap, score

PANELS, STEPS, POINTS, TARGETS = 12, 400, 1500, 20  # of the examples: series drawn, their rows, residuals, targets


def groups(task: Task, seqs: Sequences) -> np.ndarray:
    """Return the series each row of an answer belongs to."""
    return seqs.series_of_row if task.level == "step" else np.arange(len(seqs))


def score_line(task: Task, truth: np.ndarray, answer: Answer, of_series: np.ndarray) -> dict[str, Any]:
    """Return the record's `score` line of one model."""
    metrics = score(task, truth, answer.prediction)
    low, high = bootstrap(task, truth, answer.prediction.values, of_series)
    return {
        "model": answer.name,
        "metric": task.metric,
        "score": metrics[task.metric],
        "low": low,
        "high": high,
        "metrics": metrics,
        "parameters": answer.parameters,
        "seconds": answer.seconds,
        "detail": answer.detail,
    }


def verdict(
    task: Task, truth: np.ndarray, ours: Answer, rivals: Sequence[Answer], of_series: np.ndarray
) -> dict[str, Any]:
    """Compare the network with the baseline that scores best on the same rows.

    `better` is None where the 95 % interval of the difference (the same rows drawn for both) holds 0.
    """
    scores = {a.name: score(task, truth, a.prediction)[task.metric] for a in (ours, *rivals)}
    best = rivals[0]
    for rival in rivals[1:]:
        if task.better(scores[rival.name], scores[best.name]):
            best = rival
    low, high = bootstrap(task, truth, ours.prediction.values, of_series, best.prediction.values)
    difference = scores[ours.name] - scores[best.name]
    sign = 1 if task.metric == "accuracy" else -1
    better = None if low <= 0 <= high else bool(sign * difference > 0)
    said = {True: "beats", False: "loses to", None: "cannot be told from"}[better]
    mine, theirs = (_shown(scores[a.name], task.metric) for a in (ours, best))
    text = f"The network ({task.metric} {mine}) {said} the best baseline, {best.name} ({theirs}"
    text += f": {best.detail})." if best.detail else ")."
    return {
        "best_baseline": best.name,
        "difference": difference,
        "low": low,
        "high": high,
        "better": better,
        "text": text,
    }


def _shown(value: float, metric: str) -> str:
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.5g}"


def examples(task: Task, test: Sequences, truth: np.ndarray, answer: Answer) -> dict[str, Any]:
    """Return the record's `examples` line: some series, confusion matrices or residuals."""
    values = answer.prediction.values
    found: dict[str, Any] = {"series": [], "confusion": [], "residuals": []}
    if task.level == "step":
        pairs = dict.fromkeys((k % len(test), k % len(task.targets)) for k in range(PANELS))
        found["series"] = [_panel(task, test, truth, answer, i, j) for i, j in pairs]
    for j, target in enumerate(task.targets[:TARGETS]):
        if task.classifies:
            classes = task.classes[j]
            matrix = np.zeros((len(classes), len(classes)), np.int64)
            np.add.at(matrix, (truth[:, j].astype(np.int64), values[:, j].astype(np.int64)), 1)
            found["confusion"].append({"target": target, "classes": list(classes), "matrix": matrix.tolist()})
        else:
            true, said = truth[..., j].ravel(), values[..., j].ravel()
            known = np.flatnonzero(~np.isnan(true))
            share = POINTS if len(task.targets) == 1 else max(150, POINTS * 4 // len(task.targets))
            known = known[np.linspace(0, len(known) - 1, min(len(known), share)).astype(np.int64)]
            found["residuals"].append(
                {"target": target, "truth": _short(true[known]), "prediction": _short(said[known])}
            )
    return found


def _panel(task: Task, test: Sequences, truth: np.ndarray, answer: Answer, i: int, j: int) -> dict[str, Any]:
    """Return series i and target j; a forecast stands at the time of the row it is about, at the farthest horizon."""
    begin, end = int(test.offsets[i]), int(test.offsets[i + 1])
    shift = task.horizon if task.kind == "forecast" else 0
    rows = np.arange(begin, min(end - shift, begin + STEPS))
    at = (rows, task.horizon - 1, j) if task.kind == "forecast" else (rows, j)
    prediction = answer.prediction
    time = np.arange(len(rows)) if test.time is None else test.time[rows + shift]
    bands = prediction.quantiles
    name = str(test.names[i]) if test.series_name is not None else ""
    ahead = f"{task.horizon} steps ahead" if task.horizon > 1 else ""
    return {
        "name": ", ".join(part for part in (name, ahead) if part),
        "time": _short(time),
        "target": task.targets[j],
        "truth": _short(truth[at]),
        "prediction": _short(prediction.values[at]),
        "low": None if bands is None or len(task.quantiles) < 2 else _short(bands[(*at, 0)]),
        "high": None if bands is None or len(task.quantiles) < 2 else _short(bands[(*at, -1)]),
    }


def _short(numbers: np.ndarray) -> list[float | int | None]:
    """Return numbers with the digits a picture can show."""
    short = [float(f"{v:.6g}") for v in numbers.tolist()]
    return [None if v != v else int(v) if v.is_integer() and abs(v) < 1e15 else v for v in short]
