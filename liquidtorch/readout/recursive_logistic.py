"""Logistic regression that learns one row at a time by a Newton step, and forgets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import check_range
from ..ops.choice import compiled
from ..ops.descent import softmax
from ..ops.newton import NewtonStep, newton
from .kept import Array
from .probabilities import Probabilities
from .recursive import RLS


class RecursiveLogistic(Probabilities, RLS):
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

    STEP = "newton_step"

    def __init__(self, features: int, classes: int, *, forgetting: float = 0.998, penalty: float = 1.0) -> None:
        super().__init__(
            features, check_range("classes", classes, 2, whole=True), forgetting=forgetting, penalty=penalty
        )
        self._keep("state", np.zeros(2))

    def predict(self, z: Array) -> Array:
        """Return the probability of each class, (K,), for z (F,)."""
        if compiled():
            return self._ready()[0](self._checked(z), -1)
        return softmax(RLS.predict(self, z))

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
        z, y = self._checked(z), self.code(y)
        if not 0 < weight < math.inf:
            check_range("weight", weight, 0, open_low=True)
        if y < 0:
            return np.full(self.outputs, np.nan)
        if compiled():
            call, step = self._ready()
            step.importance = weight
            return call(z, y)
        return newton(
            self._weight, self._bias, self._factor, self._group, self._rows, self._state, z, y,
            forgetting=self.forgetting, penalty=self.penalty, importance=weight,
        )  # fmt: skip

    def _struct(self, z: Tensor, told: Tensor, logit: Tensor) -> NewtonStep:
        return NewtonStep(root=self._root(z), state=self.state, told=told, logit=logit, importance=1.0)

    def add_class(self, p: float = 1e-3) -> None:
        """Add a class of probability p, on the average of the last rows; the ratios of the others stay as they are."""
        super().add_class(p)
        self._keep("group", np.append(self._group, 0))

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal readout from, as plain JSON, without the numbers."""
        sizes = {"kind": "RecursiveLogistic", "features": self.features, "classes": self.outputs}
        return {**sizes, "forgetting": self.forgetting, "penalty": self.penalty}
