"""The sufficient statistics of a ridge regression: added block by block, merged across files and machines."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from .centred import Centred
from .spectrum import Spectrum

TILE = 256  # columns of the Gram matrix at once: what is below the diagonal is copied, not multiplied


class Statistics(Centred):
    """Sum up rows for a ridge regression: G = sum (x - mean)(x - mean)', C = sum (x - mean)(y - mean)'.

    Parameters
    ----------
    features, outputs : int, at least 1 and 0
        F and O, the widths of x and y.
    device : torch.device
        Where the sums are kept; rows from elsewhere are copied there block by block.

    Notes
    -----
    float64 throughout. Memory F*(F + O) numbers and one block; half of 2*N*F*(F + O) operations for N rows. Adding a
    few rows at a time costs a pass over F*F numbers each time: add blocks. `a + b` merges two, `merge` many;
    `state()` and `from_state()` carry them between files and machines. The condition number of the rows is squared
    here: where it is above 1e7 `Factor` keeps what is lost.

    Source
    ------
    Chan, Golub, LeVeque (1983), Algorithms for computing the sample variance, eq. 2.1, for blocks and for matrices.

    Examples
    --------
    >>> x, y = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [3.0], [5.0]])
    >>> both = Statistics(1, 1).add(x[:2], y[:2]) + Statistics(1, 1).add(x[2:], y[2:])
    >>> both.rows, both.gram.item(), both.cross.item()
    (3, 2.0, 4.0)
    """

    def __init__(self, features: int, outputs: int, *, device: torch.device | str | None = None) -> None:
        super().__init__(features, outputs, device=device)
        self.gram = self.shift.new_zeros(self.features, self.features)
        self.cross = self.shift.new_zeros(self.features, self.outputs)
        self.square = self.shift.new_zeros(self.outputs)  # the second moment of each target about its mean

    def _take(self, z: Tensor) -> None:
        F = self.features
        for i in range(0, F, TILE):
            self.gram[i : i + TILE, i:].addmm_(z[:, i : min(i + TILE, F)].T, z[:, i:F])
        self.cross.addmm_(z[:, :F].T, z[:, F:])
        self.square += z[:, F:].square().sum(0)

    def _settle(self) -> None:
        for i in range(0, self.features, TILE):
            self.gram[i + TILE :, i : i + TILE] = self.gram[i : i + TILE, i + TILE :].T

    def _join(self, parts: list[Self], between: Tensor) -> None:
        for part in parts:
            self.gram += part.gram
            self.cross += part.cross
            self.square += part.square
        self._take(between)
        self._settle()

    def _scatter(self) -> dict[str, Tensor]:
        return {"gram": self.gram, "cross": self.cross, "square": self.square}

    def spectrum(self) -> Spectrum:
        """Return the eigendecomposition of G; directions below its precision, F eps of the largest, are left out."""
        squares, basis = torch.linalg.eigh(self.gram)
        seen = squares > self.features * torch.finfo(squares.dtype).eps * squares[-1]
        squares, basis = squares[seen], basis[:, seen]
        cross = basis.T @ self.cross
        rest = (self.square - (cross.square() / squares[:, None]).sum(0)).clamp(min=0)
        return Spectrum(basis, squares, cross, rest, self.gram.trace().item() / self.features)

    def residual(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the weighted sum of squared errors of W x + b over all rows, (O,)."""
        within = self.square - 2 * (weight.T * self.cross).sum(0) + (weight @ self.gram * weight).sum(1)
        return within.clamp(min=0) + self._beside(weight, bias)
