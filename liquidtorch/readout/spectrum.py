"""One decomposition of the centred rows, from which the weights of every penalty follow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

Penalty = float | Tensor


@dataclass(frozen=True)
class Spectrum:
    """The centred rows X = U diag(s) V' and what they say of the targets: W(penalty)' = V (V'X'Y) / (s^2 + lambda).

    A penalty is relative: lambda = penalty * unit, with unit = trace(X'X)/F, the mean of all F squares s^2; so it
    means the same whatever the unit of x, the number of rows and the number of features. Directions in which the rows
    do not vary, by the precision of the decomposition, are left out, so that a penalty of 0 gives the shortest weights.
    """

    basis: Tensor  # V (F, r), the r directions that vary
    squares: Tensor  # s^2 (r,), above 0
    cross: Tensor  # V'X'Y (r, O)
    rest: Tensor  # (O,) the sum of squares of the targets that no weights explain
    unit: float  # trace(X'X) / F

    @property
    def spread(self) -> Tensor:
        """The sum of squares of the targets about their means (O,)."""
        return self.rest + (self.cross.square() / self.squares[:, None]).sum(0)

    def weights(self, penalty: Penalty) -> Tensor:
        """Return W (O, F) for one penalty, or for one of each output (O,)."""
        return (self.basis @ (self.cross * self.shrunk(penalty))).T

    def shrunk(self, penalty: Penalty) -> Tensor:
        """Return 1 / (s^2 + lambda), (r, 1) or (r, O)."""
        relative = torch.as_tensor(penalty, dtype=self.squares.dtype, device=self.squares.device)
        return 1 / (self.squares[:, None] + relative * self.unit)

    def residual(self, penalty: float) -> Tensor:
        """Return the sum of squared errors (O,) on the rows themselves, as a sum of what is not negative."""
        missed = penalty * self.unit * self.shrunk(penalty)  # of what a direction explains at most
        return self.rest + (missed.square() * self.cross.square() / self.squares[:, None]).sum(0)

    def spare(self, penalty: float, rows: int) -> float:
        """Return rows - trace(H), H the matrix from targets to answers, the bias counted: the degrees left over."""
        missed = penalty * self.unit * self.shrunk(penalty)
        return max(rows - 1 - len(self.squares), 0) + missed.sum().item()

    def condition(self, penalty: float) -> float:
        """Return the condition number of the rows under a penalty, sqrt((max s^2 + lambda) / (min s^2 + lambda))."""
        added = penalty * self.unit
        full = len(self.squares) == len(self.basis)
        least = (self.squares.min().item() if full else 0.0) + added
        most = (self.squares.max().item() if len(self.squares) else 0.0) + added
        return math.sqrt(most / least) if least > 0 else math.inf
