"""The rows a readout is solved from, and which of them are held out together."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DataError, OptionError, check_range, check_shape

TAKEN = 8192  # rows that are copied at once where they do not lie together


@dataclass(frozen=True)
class Rows:
    """Rows x (N,F), their targets y (N,O), how much each counts (N,) or None, which group each is of (N,) or None."""

    x: Tensor
    y: Tensor
    weight: Tensor | None
    groups: Tensor | None

    def parts(self, index: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Yield the rows at a sorted `index` in blocks of (x, y, weight): views if they lie together."""
        if len(index) and int(index[-1] - index[0]) + 1 == len(index):
            part = slice(int(index[0]), int(index[-1]) + 1)
            yield self.x[part], self.y[part], None if self.weight is None else self.weight[part]
            return
        for part in index.split(TAKEN):
            yield self.x[part], self.y[part], None if self.weight is None else self.weight[part]

    def all(self) -> Tensor:
        """Return the index of every row."""
        return torch.arange(len(self.x), device=self.x.device)

    def folds(self, blocks: int, seed: int) -> list[Tensor]:
        """Return the index of the rows of each fold, sorted.

        Whole groups where there are at least as many as folds: in an order drawn from `seed`, each goes to the fold
        that has the fewest rows. Otherwise each group is cut into as many runs of rows as there are folds.
        """
        blocks = check_range("blocks", blocks, 2, whole=True)
        if len(self.x) < blocks:
            raise OptionError(f"`blocks` must be at most the number of rows, {len(self.x)}; got {blocks}.")
        every = self.all()
        if self.groups is None:
            return list(every.tensor_split(blocks))
        _, of, sizes = torch.unique(self.groups, return_inverse=True, return_counts=True)
        if len(sizes) < blocks:
            cut = [every[of == i].tensor_split(blocks) for i in range(len(sizes))]
            return [torch.cat(runs).sort().values for runs in zip(*cut, strict=True)]
        order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed)).tolist()
        counts, fold, load = sizes.tolist(), torch.empty(len(sizes), dtype=torch.int64), [(0, k) for k in range(blocks)]
        for group in order:
            rows, k = load[0]
            fold[group] = k
            heapq.heapreplace(load, (rows + counts[group], k))
        of = fold.to(of.device)[of]
        return [every[of == k] for k in range(blocks)]


def rows(
    x: Tensor,
    y: Tensor,
    *,
    features: int,
    outputs: int,
    lengths: Tensor | None = None,
    groups: Tensor | None = None,
    weight: Tensor | None = None,
) -> Rows:
    """Check what `solve` is given and lay it out as rows.

    x (N,F) with y (N,O), or padded series x (B,T,F) with y (B,T,O) and `lengths` (B,): the padding is cut out, in one
    copy. `weight` (N,) or (B,T). `groups` (N,) or (B,); default: x (N,F) is one series, of x (B,T,F) each row is one.
    """
    if x.ndim != 3:
        sizes = check_shape("x", x.shape, ("rows", "features"), features=features)
        if lengths is not None:
            raise OptionError(
                "`lengths` must be left out where x is (rows, features). Say what belongs together by `groups`."
            )
        axes = ("rows",)
        check_shape("y", y.shape, ("rows", "outputs"), rows=sizes["rows"], outputs=outputs)
    else:
        sizes = check_shape("x", x.shape, ("batch", "time", "features"), features=features)
        axes = ("batch", "time")
        check_shape("y", y.shape, ("batch", "time", "outputs"), **{**sizes, "outputs": outputs})
    if weight is not None:
        check_shape("weight", weight.shape, axes, **sizes)
    if groups is not None:
        check_shape("groups", groups.shape, axes[:1], **sizes)
    if x.ndim != 3:
        return Rows(x, y, weight, groups)
    B, T = x.shape[:2]
    groups = torch.arange(B, device=x.device) if groups is None else groups
    groups = groups[:, None].expand(B, T)
    if lengths is None:
        return Rows(x.flatten(0, 1), y.flatten(0, 1), None if weight is None else weight.flatten(), groups.flatten())
    inside = within(lengths, B, T)
    return Rows(x[inside], y[inside], None if weight is None else weight[inside], groups[inside])


def within(lengths: Tensor, B: int, T: int, least: int = 0) -> Tensor:
    """Check `lengths` (B,), whole numbers from `least` to T, and return which steps are inside, (B,T)."""
    check_shape("lengths", lengths.shape, ("batch",), batch=B)
    wrong = (lengths < least) | (lengths > T)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise DataError(f"`lengths` must be from {least} to {T}; got {lengths[row].item()} at row {row}.")
    return torch.arange(T, device=lengths.device) < lengths[:, None]
