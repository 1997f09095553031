"""The triangular factor of the centred rows, streamed: as exact as a QR of all of them, in the memory of one block."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from .centred import Centred
from .spectrum import Spectrum


class Factor(Centred):
    """Sum up rows for a ridge regression without squaring their condition number: R'R = sum [x y]'[x y], centred.

    Parameters
    ----------
    features, outputs : int, at least 1 and 0
        F and O, the widths of x and y.
    device : torch.device
        Where the factor is kept.

    Notes
    -----
    Same use as `Statistics`: `add`, `+`, `merge`, `state()`, `from_state()`. float64, memory of (F + O)^2 numbers and
    one block; about 4*N*(F + O)^2 operations for N rows. It pays where the condition number of the rows is above 1e7,
    as that of a reservoir driven by a smooth series is.

    Source
    ------
    Demmel, Grigori, Hoemmen, Langou (2012), Communication-optimal parallel and sequential QR and LU factorizations,
    SIAM J. Sci. Comput. 34, section 3 (sequential TSQR). Centring is ours: means go in as rows, see `Centred`.

    Examples
    --------
    >>> x, y = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [3.0], [5.0]])
    >>> both = Factor(1, 1).add(x[:2], y[:2]) + Factor(1, 1).add(x[2:], y[2:])
    >>> round(both.spectrum().weights(0.0).item(), 12)
    2.0
    """

    def __init__(self, features: int, outputs: int, *, device: torch.device | str | None = None) -> None:
        super().__init__(features, outputs, device=device)
        self.triangle = self.shift.new_zeros(
            0, self.features + self.outputs
        )  # as many rows as were seen, at most F + O

    def _count(self) -> int:
        return max(super()._count(), 2 * len(self.shift))  # the old triangle is factored again with every block

    def _take(self, z: Tensor) -> None:
        self.triangle = _factored([self.triangle, z])

    def _join(self, parts: list[Self], between: Tensor) -> None:
        self.triangle = _factored([*(part.triangle for part in parts), between])

    def _scatter(self) -> dict[str, Tensor]:
        return {"triangle": self.triangle}

    def spectrum(self) -> Spectrum:
        """Return the singular value decomposition of R; directions below its precision are left out."""
        F = self.features
        x, y, below = self.triangle[:F, :F], self.triangle[:F, F:], self.triangle[F:, F:]
        left, values, right = torch.linalg.svd(x, full_matrices=False)
        floor = max(self.rows, F) * torch.finfo(x.dtype).eps * values[:1]
        seen = values > floor
        said = left.T @ y
        rest = below.square().sum(0) + (y - left[:, seen] @ said[seen]).square().sum(0)
        squares = values[seen].square()
        unit = values.square().sum().item() / F
        return Spectrum(right[seen].T, squares, values[seen][:, None] * said[seen], rest, unit)

    def residual(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the weighted sum of squared errors of W x + b over all rows, (O,)."""
        F = self.features
        within = (self.triangle[:, :F] @ weight.T - self.triangle[:, F:]).square().sum(0)
        return within + self._beside(weight, bias)


def _factored(rows: list[Tensor]) -> Tensor:
    return torch.linalg.qr(torch.cat(rows), mode="r")[1].contiguous()  # LAPACK leaves it column by column
