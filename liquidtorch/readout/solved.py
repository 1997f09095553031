"""A linear readout that is solved, not trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import check_range
from .factor import Factor
from .ridge import CONDITION, LEAST, Solution, path_of, ridge
from .rows import Rows, rows
from .statistics import Statistics

DEEP = tuple(10.0 ** (e / 2) for e in range(4, -37, -1))  # 1e2 to 1e-18: only the singular values reach its end
FINE = 1e-6  # of the target's variance: a smaller error is a difference of sums that are nearly equal


class Ridge(nn.Module):
    """Answer linearly, y = W x + b, with W and b solved in closed form: min |y - W x - b|^2 + lambda |W|^2.

    Parameters
    ----------
    features, outputs : int, at least 1
        Widths of x and y.

    Notes
    -----
    `weight` (O,F) and `bias` (O,) are buffers in float64, 0 until `solve`; x is brought to their dtype. For classes,
    y is `one_hot(codes, classes)`, best with `weight=balanced(codes, classes)` and `per_output=False`, and the answer
    is a score for each class, near 0 and 1.

    Examples
    --------
    >>> x = torch.linspace(-1, 1, 50)[:, None]
    >>> readout = Ridge(1, 1)
    >>> found = readout.solve(x, 3 * x + 1)
    >>> found.select, round(readout(torch.tensor([[2.0]])).item(), 3)
    ('blocks', 7.0)
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.features = check_range("features", features, 1, whole=True)
        self.outputs = check_range("outputs", outputs, 1, whole=True)
        self.register_buffer("weight", torch.zeros(self.outputs, self.features, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(self.outputs, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Return y (..., outputs) for x (..., features)."""
        return nn.functional.linear(x.to(self.weight.dtype), self.weight, self.bias)

    def solve(
        self,
        x: Tensor,
        y: Tensor,
        *,
        penalties: Iterable[float] | None = None,
        select: str | float = "blocks",
        blocks: int = 5,
        lengths: Tensor | None = None,
        groups: Tensor | None = None,
        weight: Tensor | None = None,
        per_output: bool = True,
        seed: int = 0,
    ) -> Solution:
        """Solve for W and b, and keep them.

        Parameters
        ----------
        x : (N, F), or padded series (B, T, F); float32 or float64
        y : (N, O), or (B, T, O)
            A row with a NaN in it is left out.
        penalties : floats, at least 0
            Relative to trace(G)/F, G the centred Gram matrix. Default: 1e2 to 1e-9; by the singular values,
            see below, to 1e-18.
        select : "blocks", "gcv", "loo" or a float at least 0
            How the penalty is chosen, see `ridge`; a float is the penalty itself.
        blocks : int, at least 2
            How many blocks are held out in turn, for "blocks" alone.
        lengths : (B,) int
            Where padded series end.
        groups : (N,) or (B,) int
            What is held out together, such as a series or a speaker. With as many groups as blocks or more, whole
            groups are; with fewer, each is cut into runs of neighbouring rows. Default: x (N, F) is one series, of x
            (B, T, F) each row is one. For rows that have nothing to do with each other: `torch.arange(N)`.
        weight : (N,) or (B, T), at least 0
            How much each row counts.
        per_output : bool
            Whether each output gets the penalty that is best for it.
        seed : int
            Of the order in which groups are dealt to the blocks.

        Returns
        -------
        Solution
            With `method` "gram"; or "svd", the singular values of the rows, where a penalty of the path is below 1e-13,
            the condition number under the least penalty above 1e7, an error below 1e-6 of the variance, or the best
            penalty the least of the default path. `reason` says which.

        Raises
        ------
        ShapeError, OptionError, DataError
            When shapes or options contradict each other, or a row that counts is not finite.

        Notes
        -----
        "gram": N*F^2 + (1 + blocks)*F^3 operations. "svd": about four times that, after it.
        """
        given = rows(
            x, y, features=self.features, outputs=self.outputs, lengths=lengths, groups=groups, weight=weight
        )  # fmt: skip
        folds = given.folds(blocks, seed) if select == "blocks" else [given.all()]
        path = path_of(penalties, select)
        options = {"select": select, "per_output": per_output}
        found, reason = None, f"the penalty {path[-1]:.1e} is below the rounding of the Gram matrix, {LEAST:.0e}"
        if path[-1] >= LEAST:
            found = self._solved(Statistics, given, folds, path, options)
            reason = _doubt(found, penalties is None)
        if found is None or reason:
            path = DEEP if penalties is None and isinstance(select, str) else path
            found = replace(self._solved(Factor, given, folds, path, options), reason=reason)
        self.weight.copy_(found.weight)
        self.bias.copy_(found.bias)
        return found

    def _solved(
        self,
        kind: type[Statistics] | type[Factor],
        given: Rows,
        folds: list[Tensor],
        path: Sequence[float],
        options: Any,
    ) -> Solution:
        parts = []
        for fold in folds:
            part = kind(self.features, self.outputs, device=given.x.device)
            for block in given.parts(fold):
                part.add(*block)
            parts.append(part)
        again = given.parts(given.all()) if options["select"] == "loo" else None
        return ridge(parts, penalties=path if isinstance(options["select"], str) else None, rows=again, **options)

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal readout from, as plain JSON, without the weights."""
        return {"kind": "Ridge", "features": self.features, "outputs": self.outputs}


def _doubt(found: Solution, default: bool) -> str:
    """Return why the Gram matrix is not exact enough for what was found, or "" where it is."""
    if found.condition > CONDITION:
        return f"the condition number {found.condition:.1e} is above {CONDITION:.0e}"
    if found.select == "given":
        return ""
    least = found.scores.min(0).values
    if bool((least < FINE * found.variance).any()):
        share = (least / found.variance).nan_to_num(1.0).min().item()
        return f"the error is {share:.1e} of the variance: the Gram matrix does not tell below {FINE:.0e}"
    if default and bool((found.penalty == found.penalties[-1]).any()):
        return f"the best penalty was the least of the path, {found.penalties[-1].item():.1e}"
    return ""
