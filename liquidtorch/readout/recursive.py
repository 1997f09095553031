"""Ridge regression that learns one row at a time, and may forget old ones."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError, check_range, check_shape
from ..ops.choice import compiled
from ..ops.library import entry
from ..ops.recursive import RecursiveStep, recursive
from .kept import Array, Option
from .slots import Slots


class RLS(Slots):
    """Answer linearly, y = W z + b, and learn every row: min sum |y - W z - b|^2 + penalty |W|^2, recursively.

    For each row: `s = forgetting + z' P z`, `W += (y - W z) (P z / s)'`, `P <- (P - P z z' P / s) / forgetting`, with z
    followed by a 1 for the bias, and P = S S' kept as S.

    Parameters
    ----------
    features, outputs : int, at least 1
        Widths of z and y.
    forgetting : float, above 0, at most 1
        What a row still counts one row later. At 1 nothing is forgotten, and the answer is that of `Ridge` for all rows
        so far. Below, it is learned from about the last 1/(1 - forgetting) rows; the covariance goes back to what it
        was at first, and never beyond, where z says nothing (without that it would grow without end); the weights stay.
    penalty : float, above 0
        Of |W|^2, in the unit of a sum over rows of z^2; the bias is free. `Ridge` with the relative penalty
        `penalty / solution.unit` gives the same.
    shared : bool
        Whether all outputs share one covariance, which takes a row where any output is known; else each has its own,
        at F^2 numbers and operations an output, and is exactly that of the rows where it is known.

    Notes
    -----
    Buffers, all float64 but the counts: `weight` (O,F), `bias` (O,), `factor` (C,F+1,F+1) the S of each covariance,
    `group` (O,) the covariance of each output, `rows` (C,), `live` (F,) the open slots. About 3 F^2 multiplications a
    row, 6 F^2 with forgetting. Kept as a square root, a covariance has no negative eigenvalue.

    With forgetting, the prior comes back one place at a time, as if told after each row "this weight is what it is":
    P^-1 = sum forgetting^age z z' + penalty (times 1 to forgetting^F), so P is at most 1 / penalty over forgetting^F.
    Forgetting in the direction of z alone was tried in its
    place on one NARMA series that changes half way: the error was 13 to 17 % higher in the end by Kulhavy's rule, and
    by that of Cao and Schwartz 11 to 14 % higher in the thousand rows after the change, 2 to 5 % in the end.

    Source
    ------
    Potter's square root: see `ops.recursive`. Bounded covariance: Salgado, Goodwin, Middleton (1988), Modified least
    squares algorithm incorporating exponential resetting and forgetting, Int. J. Control 47.

    Examples
    --------
    >>> readout = RLS(1, 1, penalty=1e-6)
    >>> for x in np.linspace(-1.0, 1.0, 9):
    ...     error = readout.learn(np.array([x]), np.array([3 * x + 1]))
    >>> readout.predict(np.array([2.0])).round(3).tolist()
    [7.0]
    """

    forgetting = Option(0)
    penalty = Option(1)
    factor: Tensor
    group: Tensor
    rows: Tensor
    _factor: Array
    _group: NDArray[np.int64]
    _rows: NDArray[np.int64]

    def __init__(
        self, features: int, outputs: int, *, forgetting: float = 1.0, penalty: float = 1.0, shared: bool = True
    ) -> None:  # fmt: skip
        super().__init__(features, outputs)
        self.forgetting = float(check_range("forgetting", forgetting, 0, 1, open_low=True))
        self.penalty = float(check_range("penalty", penalty, 0, open_low=True))
        self.shared = bool(shared)
        groups = 1 if self.shared else self.outputs
        self._keep("group", np.arange(self.outputs) % groups)
        self._keep("rows", np.zeros(groups, np.int64))
        self._keep("factor", np.stack([self._fresh()] * groups))

    def _seen(self, S: Array) -> NDArray[np.int64]:
        """Return the open slots, and the bias's place where something is known of it."""
        return np.flatnonzero(np.append(self._live, math.isfinite(S[-1, -1])))

    def _fresh(self) -> Array:
        return np.diag(np.append(self._live * self.penalty**-0.5, np.inf))

    def predict(self, z: Array) -> Array:
        """Return y (O,) for z (F,)."""
        return self._weight @ self._checked(z) + self._bias

    def learn(self, z: Array, y: Array, *, weight: float = 1.0) -> Array:
        """Learn one row, and return the error y - W z - b before it.

        Parameters
        ----------
        z : array (F,), finite
        y : array (O,)
            NaN: unknown. That output stays as it was.
        weight : float, above 0
            How often the row counts.

        Returns
        -------
        array (O,)
            NaN where y is.

        Raises
        ------
        ShapeError, DataError, OptionError
            When a shape, a number or the weight is not as said; nothing was learned then.
        """
        z, y = self._checked(z), self._told(y)
        if not 0 < weight < math.inf:
            check_range("weight", weight, 0, open_low=True)
        if compiled():
            call = self._call
            if call is None:
                call = self._call = self._compiled()
            return call(z, y, weight)
        return recursive(
            self._weight, self._bias, self._factor, self._group, self._rows, z, y,
            forgetting=self.forgetting, penalty=self.penalty, importance=weight,
        )  # fmt: skip

    def _root(self, z: Tensor) -> RecursiveStep:
        """Return what a compiled row needs, for rows that are put into z (F,)."""
        F, C, outputs = self.features, len(self._factor), self.outputs
        room = self._room(y=outputs, error=outputs, along=F + 1, back=F + 1, gain=F + 1)
        own = {name: getattr(self, name) for name in ("weight", "bias", "factor", "group", "rows")}
        return RecursiveStep(F=F, O=outputs, C=C, options=self._option, z=z, **room, **own)

    def _compiled(self) -> Callable[[Array, Array, float], Array]:
        z = self._room(z=self.features)["z"]
        step = self._root(z)
        function, at = entry("recursive_step", torch.float64), ctypes.addressof(step)
        row, told, error = z.numpy(), step.alive["y"].numpy(), step.alive["error"].numpy()

        def call(z: Array, y: Array, weight: float, alive: RecursiveStep = step) -> Array:
            row[:] = z
            told[:] = y
            function(at, weight)
            return error.copy()

        return call

    def _told(self, y: Array) -> Array:
        if not isinstance(y, np.ndarray) or y.shape != (self.outputs,):
            check_shape("y", np.shape(y), ("outputs",), outputs=self.outputs)
        y = np.asarray(y, np.float64)
        if not math.isfinite(y.dot(y)) and np.isinf(y).any():
            raise DataError(f"`y` must be finite, or NaN where unknown; got inf at output {np.isinf(y).argmax()}.")
        return y

    def gradient(self, z: Array, y: Array) -> tuple[Array, float]:
        """Return how the loss |y - W z - b|^2 / 2 over the known outputs changes with z, (F,), and the loss."""
        error = self._told(y) - self.predict(z)
        error[error != error] = 0.0
        return -error @ self._weight, float(error @ error) / 2

    def leverage(self, z: Array) -> float:
        """Return how little rows so far say of one like z: z' P z, z followed by a 1, P the first covariance.

        About (F + 1) / n after n rows like it; infinite before the first row.
        """
        along = np.append(self._checked(z), 1.0)
        S = self._factor[0]
        if math.isinf(S[-1, -1]):
            return math.inf
        along = along @ S
        return float(along @ along)

    def saliency(self) -> Array:
        """Return by how much half the sum of squared errors rises where a feature goes, (F,): sum_o w_j^2 / (2 P_jj).

        0 for a closed slot. Exact where nothing is forgotten: optimal brain surgeon (Hassibi, Stork 1993), eq. 5.
        """
        own = np.square(self._factor).sum(2)[self._group, :-1]  # (O, F): P_jj
        return (np.square(self._weight) / np.where(own > 0, 2 * own, 1.0)).sum(0)

    def open(self, j: int) -> None:
        """Let the readout see slot j: a weight of 0, of which nothing is known yet. No answer changes."""
        self._slot("j", j, free=True)
        self._live[j] = True
        self._factor[:, j, j] = self.penalty**-0.5

    def close(self, j: int) -> None:
        """Take the feature of slot j away; the others take over what they can tell of it.

        `w += w_j * (-P_j / P_jj)`: where nothing was forgotten, what is left is the least squares solution without it.
        """
        self._slot("j", j, free=False)
        self._live[j] = False
        for c, S in enumerate(self._factor):
            seen = self._seen(S)
            along = S[j] / math.sqrt(S[j] @ S[j])
            gain = np.zeros(len(S))
            gain[seen] = S[seen] @ along
            share = np.where(self._group == c, self._weight[:, j], 0.0) / math.sqrt(S[j] @ S[j])
            self._weight -= share[:, None] * gain[:-1]
            self._bias -= share * gain[-1]
            _become(S, seen, S[seen] - np.outer(gain[seen], along))
        self._weight[:, j] = 0

    def split(self, j: int, k: int, share: float) -> None:
        """Give the closed slot k `share` of the weight of j, and j the rest: while both say the same no answer changes.

        Of the difference between the two nothing is known yet.
        """
        self._slot("j", j, free=False)
        self._slot("k", k, free=True)
        share = float(check_range("share", share))
        self._live[k] = True
        for numbers in (self._weight.T, *self._factor):
            numbers[k] = share * numbers[j]
            numbers[j] *= 1 - share
        apart = (2 * self.penalty) ** -0.5
        self._factor[:, j, k] = apart
        self._factor[:, k, k] = -apart

    def widen(self, features: int) -> None:
        """Make room for more features, in closed slots at the end; no answer changes."""
        more = self._widened(features)
        self.features = features
        self._keep("live", np.pad(self._live, (0, more)))
        self._keep("weight", np.pad(self._weight, ((0, 0), (0, more))))
        place = np.append(np.arange(features - more), features)  # the bias stays the last
        factor = np.zeros((len(self._factor), features + 1, features + 1))
        factor[:, place[:, None], place] = self._factor
        self._keep("factor", factor)

    def add_output(self) -> None:
        """Add an output, with the answer 0 and a covariance of its own, of which nothing is known yet."""
        self.outputs += 1
        self._keep("weight", np.pad(self._weight, ((0, 1), (0, 0))))
        self._keep("bias", np.pad(self._bias, (0, 1)))
        self._keep("group", np.append(self._group, len(self._factor)))
        self._keep("rows", np.append(self._rows, 0))
        self._keep("factor", np.concatenate([self._factor, self._fresh()[None]]))

    def loosen(self, share: float = 1.0) -> None:
        """Forget how sure the weights are, not the weights: P <- (1 - share) P + share / penalty, share 0 to 1."""
        share = float(check_range("share", share, 0, 1))
        if share:
            fresh, seen = self._fresh(), np.flatnonzero(self._live)  # of the bias nothing is known any more
            for S in self._factor:
                _become(S, seen, np.hstack([math.sqrt(1 - share) * S[seen], math.sqrt(share) * fresh[seen]]))
                S[-1, -1] = np.inf

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal readout from, as plain JSON, without the numbers."""
        options = {"forgetting": self.forgetting, "penalty": self.penalty, "shared": self.shared}
        return {"kind": "RLS", "features": self.features, "outputs": self.outputs, **options}

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        groups = state_dict.get(f"{prefix}rows", self.rows).numel()  # outputs that were added brought theirs
        if groups != len(self._rows):
            self._keep("rows", np.zeros(groups, np.int64))
            self._keep("factor", np.stack([self._fresh()] * groups))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _become(S: Array, seen: NDArray[np.int64], rows: Array) -> None:
    """Make S a triangle over the places `seen`, with S S' = rows rows', and 0 elsewhere, but for an unknown bias."""
    unknown = math.isinf(S[-1, -1])
    S.fill(0)
    S[np.ix_(seen, seen)] = np.asarray(np.linalg.qr(rows.T, mode="r")).T
    S[-1, -1] = np.inf if unknown else S[-1, -1]
