"""Rows about their mean, block by block: what Statistics and Factor share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch
from torch import Tensor

from ..errors import DataError, FormatError, OptionError, check_range, check_shape
from .spectrum import Spectrum

ROWS = 512  # at least so many rows at once: the product outweighs the passes that centre them
NUMBERS = 1 << 19  # of a block of narrow rows: 4 MB, which stays in a cache


class Centred:
    """The mean of the rows [x | y], and, in a subclass, their scatter about it: `_take` adds rows Z to it as Z'Z does.

    A block of m rows is added to n rows before it as Z = [x - mean of the block ; sqrt(n m/(n + m)) (mean of the
    block - mean before)]: the update of Chan, Golub and LeVeque as one more row. All numbers are kept as differences
    from `shift`, the mean of the first block, so that a mean far from 0 costs no digits.
    """

    def __init__(self, features: int, outputs: int, *, device: torch.device | str | None = None) -> None:
        self.features = check_range("features", features, 1, whole=True)
        self.outputs = check_range("outputs", outputs, 0, whole=True)
        self.rows, self.weight = 0, 0.0
        self.shift = torch.zeros(self.features + self.outputs, dtype=torch.float64, device=device)
        self.offset = torch.zeros_like(self.shift)

    @property
    def means(self) -> tuple[Tensor, Tensor]:
        """The weighted means of x (F,) and of y (O,)."""
        mean = self.shift + self.offset
        return mean[: self.features], mean[self.features :]

    def add(self, x: Tensor, y: Tensor, weight: Tensor | None = None) -> Self:
        """Add rows, and return itself.

        Parameters
        ----------
        x : (N, features) float32 or float64
        y : (N, outputs)
            A row with a NaN in it is left out.
        weight : (N,), at least 0
            How much each row counts; default 1.

        Raises
        ------
        DataError
            When a row that is not left out holds a NaN or an infinity, or a weight is negative; nothing was added then.
        """
        sizes = check_shape("x", x.shape, ("rows", "features"), features=self.features)
        check_shape("y", y.shape, ("rows", "outputs"), outputs=self.outputs, rows=sizes["rows"])
        if weight is not None:
            check_shape("weight", weight.shape, ("rows",), rows=sizes["rows"])
            wrong = ~((weight >= 0) & torch.isfinite(weight))
            if bool(wrong.any()):
                row = int(wrong.nonzero()[0])
                raise DataError(f"`weight` must be at least 0 and finite; got {weight[row].item()} at row {row}.")
        _refuse_nonfinite(x, y)
        count = self._count()
        scratch = self.shift.new_empty(min(count, len(x)) + 1, len(self.shift))
        for start in range(0, len(x), count):
            part = slice(start, start + count)
            self._block(x[part], y[part], None if weight is None else weight[part], scratch)
        self._settle()
        return self

    def _block(self, x: Tensor, y: Tensor, weight: Tensor | None, scratch: Tensor) -> None:
        keep = ~torch.isnan(y).any(1)
        if weight is not None:
            keep &= weight > 0
        if not bool(keep.all()):
            x, y, weight = x[keep], y[keep], None if weight is None else weight[keep]
        F, m = self.features, len(x)
        if m == 0:
            return
        if not self.rows:
            self.shift[:F] = x.mean(0, dtype=torch.float64)
            self.shift[F:] = y.mean(0, dtype=torch.float64)
        z = scratch[: m + 1]
        torch.sub(x.to(z.device), self.shift[:F], out=z[:m, :F])
        torch.sub(y.to(z.device), self.shift[F:], out=z[:m, F:])
        if weight is None:
            heavy, offset = float(m), z[:m].mean(0)
            z[:m] -= offset
        else:
            weight = weight.to(z)
            heavy = weight.sum().item()
            offset = weight @ z[:m] / heavy
            z[:m] -= offset
            z[:m] *= weight.sqrt()[:, None]
        total = self.weight + heavy
        torch.sub(offset, self.offset, out=z[m])
        z[m] *= math.sqrt(self.weight * heavy / total)
        self._take(z)
        self.offset += (offset - self.offset) * (heavy / total)
        self.rows, self.weight = self.rows + m, total

    @classmethod
    def merge(cls, parts: Iterable[Self]) -> Self:
        """Return what would have come of adding the rows of all `parts` to one; the parts stay as they are."""
        parts = list(parts)
        if not parts:
            raise OptionError("`parts` must hold at least one part; got none.")
        kinds = sorted({(type(part).__name__, part.features, part.outputs) for part in parts})
        if len(kinds) > 1:
            raise OptionError(f"`parts` must be of one kind, with the same features and outputs; got {kinds}.")
        whole = cls(*kinds[0][1:], device=parts[0].shift.device)
        parts = [part for part in parts if part.rows]
        if not parts:
            return whole
        whole.shift.copy_(parts[0].shift)
        offsets = torch.stack([part.offset + (part.shift - whole.shift) for part in parts])
        weights = torch.tensor([part.weight for part in parts], dtype=torch.float64).to(offsets.device)
        whole.rows, whole.weight = sum(part.rows for part in parts), sum(part.weight for part in parts)
        whole.offset.copy_(weights @ offsets / whole.weight)
        whole._join(parts, weights.sqrt()[:, None] * (offsets - whole.offset))
        return whole

    def __add__(self, other: Self) -> Self:
        """Merge two: n rows and m rows, as if all n + m had been added to one."""
        return self.merge([self, other])

    def state(self) -> dict[str, Tensor]:
        """Return everything as a flat dict of tensors, for a file or another machine."""
        counts = {"features": torch.tensor(self.features), "rows": torch.tensor(self.rows)}
        weight = torch.tensor(self.weight, dtype=torch.float64)
        return {**counts, "weight": weight, "shift": self.shift, "offset": self.offset, **self._scatter()}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Self:
        """Make an equal one from `state()`; FormatError where something is missing or of another shape."""
        fresh = set(cls(1, 1).state())
        if set(state) != fresh:
            raise FormatError(f"`state` must hold {sorted(fresh)}; got {sorted(state)}.")
        width = len(state["shift"])
        found = cls(int(state["features"]), width - int(state["features"]), device=state["shift"].device)
        found.rows, found.weight = int(state["rows"]), float(state["weight"])
        for name, tensor in found.state().items():
            axes = range(tensor.ndim) if name != "triangle" else range(1, 2)
            if state[name].ndim != tensor.ndim or any(state[name].shape[i] != tensor.shape[i] for i in axes):
                raise FormatError(
                    f"`{name}` must have the shape {tuple(tensor.shape)}; got {tuple(state[name].shape)}."
                )
            if tensor.ndim:
                setattr(found, name, state[name].to(torch.float64).clone())
        return found

    def spectrum(self) -> Spectrum:
        """Return the one decomposition from which every penalty is solved."""
        raise NotImplementedError

    def residual(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the weighted sum of squared errors of W x + b over all rows, (O,)."""
        raise NotImplementedError

    def _beside(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Return what the error of the mean adds to the sum of squared errors: weight * (mean y - W mean x - b)^2."""
        x, y = self.means
        return self.weight * (y - weight @ x - bias).square()

    def _count(self) -> int:
        """Return how many rows are taken at once."""
        return max(ROWS, NUMBERS // len(self.shift))

    def _take(self, z: Tensor) -> None:
        raise NotImplementedError

    def _join(self, parts: list[Self], between: Tensor) -> None:
        raise NotImplementedError

    def _scatter(self) -> dict[str, Any]:
        raise NotImplementedError

    def _settle(self) -> None:
        """Do what waits until a whole call of `add` is through."""


def _refuse_nonfinite(x: Tensor, y: Tensor) -> None:
    """Raise `DataError` at the first number that is not finite in a row that is not left out."""
    sums = (x.sum(dtype=torch.float64), y.sum(dtype=torch.float64))  # one pass, no memory: NaN and infinity stay
    if all(math.isfinite(s) for s in sums):
        return
    keep = ~torch.isnan(y).any(1)
    for name, given in (("x", x), ("y", y)):
        wrong = ~torch.isfinite(given) & keep[:, None]
        if bool(wrong.any()):
            row, column = (int(i) for i in wrong.nonzero()[0])
            raise DataError(
                f"`{name}` must be finite; got {given[row, column].item()} at row {row}, column {column}. "
                "Leave the row out, or give it a NaN in y."
            )
