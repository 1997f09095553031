"""Linear baselines: ridge for numbers, logistic for classes; the penalty is chosen on the validation part."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from ..task import Task

PENALTIES = 10.0 ** np.arange(-4, 5)  # of ridge, times the number of rows and the mean square of a column
INVERSES = (0.01, 1.0, 100.0)  # of logistic regression
MOST_ROWS = 50_000  # rows logistic regression is fitted on; more are thinned evenly


class Ridge:
    """Fit y = x @ w + b by least squares with a penalty on w; a missing target leaves out its row."""

    def __init__(self, x: np.ndarray, y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray) -> None:
        self.weight = np.zeros((x.shape[1], y.shape[1]))
        self.bias = np.zeros(y.shape[1])
        known = ~np.isnan(y)
        patterns, which = np.unique(known, axis=1, return_inverse=True)
        for k in range(patterns.shape[1]):
            rows, columns = patterns[:, k], np.flatnonzero(which.reshape(-1) == k)
            if rows.any():
                self._solve(columns, x[rows], y[np.ix_(rows, columns)], valid_x, valid_y[:, columns])

    def _solve(
        self, columns: np.ndarray, x: np.ndarray, y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray
    ) -> None:
        middle, mean = x.mean(axis=0), y.mean(axis=0)
        centred = x - middle
        values, vectors = np.linalg.eigh(centred.T @ centred)  # one decomposition serves every penalty
        turned = vectors.T @ (centred.T @ (y - mean))
        scale = max(float(values.mean()), np.finfo(float).tiny)
        best = np.full(len(columns), np.inf)
        for penalty in PENALTIES:
            weight = vectors @ (turned / (np.maximum(values, 0) + penalty * scale)[:, None])
            bias = mean - middle @ weight
            gaps = (valid_x @ weight + bias - valid_y) ** 2
            error = np.array([g[~np.isnan(g)].mean() if not np.isnan(g).all() else penalty for g in gaps.T])
            better = error < best
            best = np.where(better, error, best)
            self.weight[:, columns[better]] = weight[:, better]
            self.bias[columns[better]] = bias[better]

    @property
    def parameters(self) -> int:
        """The number of fitted numbers."""
        return self.weight.size + self.bias.size

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return y (rows, O)."""
        return x @ self.weight + self.bias


class Logistic:
    """Fit a logistic regression for each target."""

    def __init__(self, task: Task, x: np.ndarray, y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray) -> None:
        self.task = task
        self.middle = x.mean(axis=0)
        self.scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
        thin = np.linspace(0, len(x) - 1, min(len(x), MOST_ROWS)).astype(np.int64)
        x, valid_x = self._scaled(x[thin]), self._scaled(valid_x)
        self.models = []
        for j in range(y.shape[1]):
            fitted = []
            for inverse in INVERSES:
                model = LogisticRegression(C=inverse, max_iter=200)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # not fully converged is good enough, and scored as it is
                    model.fit(x, y[thin, j].astype(np.int64))
                fitted.append((float(np.mean(model.predict(valid_x) == valid_y[:, j])), model))
            self.models.append(max(fitted, key=lambda f: f[0])[1])

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        return (x - self.middle) / self.scale

    @property
    def parameters(self) -> int:
        """The number of fitted numbers."""
        return sum(m.coef_.size + m.intercept_.size for m in self.models)

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes (rows, O) and the probabilities (rows, sum of class counts)."""
        x = self._scaled(x)
        chances = [
            spread(m.predict_proba(x), m.classes_, len(c)) for m, c in zip(self.models, self.task.classes, strict=True)
        ]
        return np.stack([c.argmax(axis=1) for c in chances], axis=1).astype(float), np.hstack(chances)


def spread(chances: np.ndarray, found: Sequence[int] | np.ndarray, classes: int) -> np.ndarray:
    """Return probabilities over all `classes`, 0 for those that were not in the training part."""
    full = np.zeros((len(chances), classes))
    full[:, np.asarray(found, np.int64)] = chances
    return full
