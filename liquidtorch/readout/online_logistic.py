"""Logistic regression that learns one row at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from ..errors import check_range
from ..ops.choice import compiled
from ..ops.descent import DescentStep, descend, softmax
from .kept import Array, Option
from .probabilities import Probabilities


class OnlineLogistic(Probabilities):
    """Answer with the probability of each class, p = softmax(sharpness (W z + b)), and learn every row by one step.

    `e = onehot(y) - softmax(W z + b)`, `W += rate e z' / (1 + |z|^2)`: for the same z the logits change by `rate e`, in
    whatever unit z is and however wide. The sharpness is learned beside, so that probabilities mean what they say even
    where a high rate makes the logits too sure; it does not change which class is the likeliest.

    Parameters
    ----------
    features : int, at least 1
        Width of z.
    classes : int, at least 2
        K, the width of the answer.
    rate : float, above 0
        How far a row moves the logits. High follows change, low averages noise out.
    decay : float, at least 0, below 1
        The share of W that is lost with every row.

    Notes
    -----
    Buffers, in float64: `weight` (K,F), `bias` (K,), `means` (3,F): rows, mean of z and mean of z^2 of each slot,
    `state` (3,): rows, mean of log sum exp of the logits, sharpness; `live` (F,) the open slots. 2 K F multiplications
    a row. The step is over |z|^2, not the root of its mean: on the Elec2 stream the best rate is then the same from 16
    to 128 units.

    Source
    ------
    See `ops.descent`.

    Examples
    --------
    >>> readout = OnlineLogistic(1, 2)
    >>> for x in np.linspace(-1.0, 1.0, 40).reshape(2, 20).T.ravel():
    ...     error = readout.learn(np.array([x]), int(x > 0))
    >>> int(readout.predict(np.array([0.5])).argmax())
    1
    """

    STEP = "descent_step"
    rate = Option(0)
    decay = Option(1)
    means: Tensor
    _means: Array

    def __init__(self, features: int, classes: int, *, rate: float = 1.0, decay: float = 0.0) -> None:
        super().__init__(features, check_range("classes", classes, 2, whole=True))
        self.rate = float(check_range("rate", rate, 0, open_low=True))
        self.decay = float(check_range("decay", decay, 0, 1))
        self._keep("means", np.zeros((3, self.features)))
        self._keep("state", np.array([0.0, 0.0, 1.0]))

    @property
    def sharpness(self) -> float:
        """What logits are multiplied by, as learned."""
        return self._state[2]

    def forward(self, z: Tensor) -> Tensor:
        """Return the logits sharpness (W z + b), (..., K), for z (..., F)."""
        return self.state[2] * super().forward(z)

    def predict(self, z: Array) -> Array:
        """Return the probability of each class, (K,), for z (F,)."""
        if compiled():
            return self._ready()[0](self._checked(z), -1)
        return softmax(self.sharpness * (self._weight @ self._checked(z) + self._bias))

    def learn(self, z: Array, y: int | float) -> Array:
        """Learn one row, and return the error, one-hot y minus the probabilities, before it.

        Parameters
        ----------
        z : array (F,), finite
        y : int from 0 to K-1, or NaN
            The true class. NaN: unknown, and nothing is learned.

        Returns
        -------
        array (K,)
            NaN where y is.

        Raises
        ------
        ShapeError, DataError
            When z or y is not as said; nothing was learned then.
        """
        z, y = self._checked(z), self.code(y)
        if y < 0:
            return np.full(self.outputs, np.nan)
        if compiled():
            return self._ready()[0](z, y)
        return descend(
            self._weight, self._bias, self._means, self._state, self._live, z, y, rate=self.rate, decay=self.decay
        )  # fmt: skip

    def _struct(self, z: Tensor, told: Tensor, logit: Tensor) -> DescentStep:
        F, K = self.features, self.outputs
        own = {name: getattr(self, name) for name in ("live", "weight", "bias", "means", "state")}
        room = self._room(seen=F, p=K)
        return DescentStep(F=F, K=K, options=self._option, z=z, told=told, logit=logit, **own, **room)

    def saliency(self) -> Array:
        """Return how much the logits would move without a feature, (F,): half its variance times sum_k w_kj^2."""
        variance = np.maximum(self._means[2] - np.square(self._means[1]), 0)
        return np.square(self._weight).sum(0) * variance / 2

    def open(self, j: int) -> None:
        """Let the readout see slot j, with weights of 0: no answer changes."""
        self._slot("j", j, free=True)
        self._live[j] = True

    def close(self, j: int) -> None:
        """Take the feature of slot j away; the bias takes over the mean of what it said."""
        self._slot("j", j, free=False)
        self._live[j] = False
        self._bias += self._weight[:, j] * self._means[1, j]
        self._weight[:, j] = 0
        self._means[:, j] = 0

    def split(self, j: int, k: int, share: float) -> None:
        """Give the closed slot k `share` of the weights of j, and j the rest; the answer is the same while they are."""
        self._slot("j", j, free=False)
        self._slot("k", k, free=True)
        share = float(check_range("share", share))
        self._live[k] = True
        self._weight[:, k] = share * self._weight[:, j]
        self._weight[:, j] *= 1 - share
        self._means[:, k] = self._means[:, j]

    def widen(self, features: int) -> None:
        """Make room for more features, in closed slots at the end; no answer changes."""
        more = self._widened(features)
        self.features = features
        self._keep("live", np.pad(self._live, (0, more)))
        for name in ("weight", "means"):
            self._keep(name, np.pad(getattr(self, f"_{name}"), ((0, 0), (0, more))))

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal readout from, as plain JSON, without the numbers."""
        kind = {"kind": "OnlineLogistic", "features": self.features, "classes": self.outputs}
        return {**kind, "rate": self.rate, "decay": self.decay}
