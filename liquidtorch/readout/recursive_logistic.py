"""Logistic regression that learns one row at a time by a Newton step, and forgets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import DataError, check_range
from ..ops.descent import MEMORY, softmax
from .recursive import RLS
from .slots import Array

FLAT = 0.02  # the least curvature of a row: one of which all is known would else count for nothing, and move too far


class RecursiveLogistic(RLS):
    """Answer with the probability of each class, p = softmax(W z + b), and learn every row by a Newton step.

    `e = onehot(y) - p`, `c = max(sum_k p_k (1 - p_k) / 2, 0.02)`, the curvature of the likelihood along z: for two
    classes p (1 - p). Then `W` learns the error `e / (2 c)` as `RLS` would from a row that counts c times.

    Parameters
    ----------
    features : int, at least 1
        Width of z.
    classes : int, at least 2
        K, the width of the answer.
    forgetting : float, above 0, at most 1
        What a row still counts one row later.
    penalty : float, above 0
        Of |W|^2 / 2 in the sum of -log p; the bias is free.

    Notes
    -----
    All classes share one covariance, of about 6 F^2 multiplications a row. It needs fewer rows than the steps of
    `OnlineLogistic` and finds directions of little variance, and is the quicker to learn what only looks like a rule:
    `Committee` asks both.

    Source
    ------
    Recursive least squares on the working response of iterated reweighting: McCullagh and Nelder (1989), Generalized
    Linear Models, section 2.5; half the curvature of two rows of weights is the bound of Boehning (1992) for two
    classes.

    Examples
    --------
    >>> readout = RecursiveLogistic(1, 2)
    >>> for x in np.linspace(-1.0, 1.0, 40).reshape(2, 20).T.ravel():
    ...     error = readout.learn(np.array([x]), int(x > 0))
    >>> int(readout.predict(np.array([0.5])).argmax())
    1
    """

    level: Tensor
    _level: Array

    def __init__(self, features: int, classes: int, *, forgetting: float = 0.998, penalty: float = 1.0) -> None:
        super().__init__(
            features, check_range("classes", classes, 2, whole=True), forgetting=forgetting, penalty=penalty
        )
        self._keep("level", np.zeros(2))  # rows, and their mean of log sum exp of the logits

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.outputs

    def predict(self, z: Array) -> Array:
        """Return the probability of each class, (K,), for z (F,)."""
        return softmax(super().predict(z))

    def learn(self, z: Array, y: int | float, *, weight: float = 1.0) -> Array:
        """Learn one row, and return the error, one-hot y minus the probabilities, before it.

        Parameters
        ----------
        z : array (F,), finite
        y : int from 0 to K-1, or NaN
            The true class. NaN: unknown, and nothing is learned.
        weight : float, above 0
            How often the row counts.

        Returns
        -------
        array (K,)
            NaN where y is.

        Raises
        ------
        ShapeError, DataError, OptionError
            When z, y or the weight is not as said; nothing was learned then.
        """
        logits, code = super().predict(z), self._code(y)
        if not 0 < weight < math.inf:
            check_range("weight", weight, 0, open_low=True)
        if code < 0:
            return np.full(self.outputs, np.nan)
        error = -softmax(logits)
        curvature = max(float(-error @ (1 + error)) / 2, FLAT)
        error[code] += 1
        self._level[0] += 1
        high = logits.max()
        self._level[1] += (high + math.log(np.exp(logits - high).sum()) - self._level[1]) / min(self._level[0], MEMORY)
        super().learn(z, logits + error / (2 * curvature), weight=weight * curvature)
        return error

    def _code(self, y: int | float) -> int:
        """Return the class, or -1 for an unknown one."""
        if 0 <= y < self.outputs and y == (code := int(y)):
            return code
        if y != y:
            return -1
        raise DataError(f"`y` must be a whole number from 0 to {self.outputs - 1}, or NaN where unknown; got {y!r}.")

    def gradient(self, z: Array, y: int | float) -> tuple[Array, float]:
        """Return how the loss -log p_y changes with z, (F,), and the loss; 0 for an unknown y."""
        told, code = self.predict(z), self._code(y)
        if code < 0:
            return np.zeros(self.features), 0.0
        loss = -math.log(max(told[code], 5e-324))
        told[code] -= 1
        return told @ self._weight, loss

    def add_class(self, p: float = 1e-3) -> None:
        """Add a class of probability p, on the average of the last rows; the ratios of the others stay as they are."""
        p = check_range("p", p, 0, 0.5, open_low=True)
        level = self._level[1] if self._level[0] else math.log(self.outputs)
        self.outputs += 1
        self._keep("weight", np.pad(self._weight, ((0, 1), (0, 0))))
        self._keep("bias", np.append(self._bias, math.log(p / (1 - p)) + level))
        self._keep("group", np.append(self._group, 0))

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal readout from, as plain JSON, without the numbers."""
        sizes = {"kind": "RecursiveLogistic", "features": self.features, "classes": self.outputs}
        return {**sizes, "forgetting": self.forgetting, "penalty": self.penalty}
