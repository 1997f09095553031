"""Scores of an answer against the truth; every metric has scikit-learn as its oracle in the tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError, check_shape
from .kind import Task


def score(
    task: Task,
    truth: np.ndarray,
    prediction: Any,
) -> dict[str, float]:
    """Return every metric of an answer.

    Parameters
    ----------
    task : Task
        What was asked.
    truth : (N, O), (rows, O) or (rows, H, O)
        Codes of classes, or numbers; NaN entries (a future that is not there) are left out.
    prediction : array of the shape of `truth`, or an object with `values`, `probabilities` and `quantiles`
        `probabilities` (N or rows, task.outputs): the classes of each target side by side; `quantiles`
        (rows, H, O, Q). Either may be None.

    Returns
    -------
    dict
        For classes: `accuracy`, `balanced_accuracy`, `f1_macro` and, of probabilities, `log_loss`, each the mean
        over the targets. For numbers: `rmse` and `mae` over all entries, `r2` the mean over the targets; of
        quantiles, `pinball` (the mean over them) and `coverage` (the share of truth between the first and the
        last). With several targets each metric is also there as `metric/target`.

    Notes
    -----
    `f1_macro` is over the classes in the truth or the answer, `balanced_accuracy` over those in the truth, `r2` of
    a constant truth is 1 if it is met and 0 if not: all as scikit-learn has it.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task("regress", ("y",))
    >>> found = score(task, np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [5.0]]))
    >>> {k: round(v, 3) for k, v in found.items()}
    {'rmse': 1.155, 'mae': 0.667, 'r2': -1.0}
    """
    truth = np.asarray(truth, np.float64)
    values = np.asarray(getattr(prediction, "values", prediction), np.float64)
    axes = ("rows", "horizon", "targets") if task.kind == "forecast" else ("rows", "targets")
    sizes = {"targets": len(task.targets)} | ({"horizon": task.horizon} if task.kind == "forecast" else {})
    sizes = check_shape("truth", truth.shape, axes, **sizes)
    check_shape("prediction", values.shape, axes, **sizes)
    probabilities = getattr(prediction, "probabilities", None)
    quantiles = getattr(prediction, "quantiles", None)
    if probabilities is not None:
        check_shape("probabilities", probabilities.shape, ("rows", "outputs"), rows=len(truth), outputs=task.outputs)
    if quantiles is not None:
        quantiles = np.asarray(quantiles, np.float64)
        check_shape("quantiles", quantiles.shape, (*axes, "quantiles"), **sizes, quantiles=len(task.quantiles))
    each = []
    first = 0
    for j in range(len(task.targets)):
        kept = ~np.isnan(truth[..., j])
        if not kept.any():
            raise DataError(f"`truth` must hold a value of `{task.targets[j]}`; every entry is missing.")
        if task.classifies:
            count = len(task.classes[j])
            chances = None if probabilities is None else probabilities[kept][:, first : first + count]
            first += count
            each.append(_classes(truth[kept, j], values[kept, j], chances))
        else:
            bands = None if quantiles is None else quantiles[..., j, :][kept]
            each.append(_numbers(truth[..., j][kept], values[..., j][kept], bands, task.quantiles))
    total = {name: float(np.mean([e[name] for e in each])) for name in each[0]}
    if not task.classifies:
        squares = [e["rmse"] ** 2 for e in each]
        weight = [int((~np.isnan(truth[..., j])).sum()) for j in range(len(each))]
        total["rmse"] = float(np.sqrt(np.average(squares, weights=weight)))
        total["mae"] = float(np.average([e["mae"] for e in each], weights=weight))
    if len(each) > 1:
        total |= {f"{m}/{n}": v for n, e in zip(task.targets, each, strict=True) for m, v in e.items()}
    return total


def _classes(truth: np.ndarray, answer: np.ndarray, chances: np.ndarray | None) -> dict[str, float]:
    found = {"accuracy": float((truth == answer).mean())}
    recall, f1 = [], []
    for code in np.union1d(truth, answer):
        hits = float(((truth == code) & (answer == code)).sum())
        there, said = float((truth == code).sum()), float((answer == code).sum())
        if there:
            recall.append(hits / there)
        f1.append(2 * hits / (there + said))
    found |= {"balanced_accuracy": float(np.mean(recall)), "f1_macro": float(np.mean(f1))}
    if chances is not None:
        floor = np.finfo(chances.dtype).eps
        chosen = np.clip(chances, floor, 1 - floor)[np.arange(len(truth)), truth.astype(np.int64)]
        found["log_loss"] = float(-np.log(chosen).mean())
    return found


def _numbers(
    truth: np.ndarray, answer: np.ndarray, bands: np.ndarray | None, quantiles: tuple[float, ...]
) -> dict[str, float]:
    error = truth - answer
    squares = float((error**2).sum())
    spread = float(((truth - truth.mean()) ** 2).sum())
    r2 = 1 - squares / spread if spread else float(squares == 0)
    found = {"rmse": float(np.sqrt((error**2).mean())), "mae": float(np.abs(error).mean()), "r2": r2}
    if bands is not None:
        below = truth[:, None] - bands
        level = np.array(quantiles)
        found["pinball"] = float(np.maximum(level * below, (level - 1) * below).mean())
        found["coverage"] = float(((truth >= bands[:, 0]) & (truth <= bands[:, -1])).mean())
    return found
