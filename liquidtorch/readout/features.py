"""What a readout of a whole sequence sees of the states h (B,T,H), and what it sees beside them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import check_range, check_shape
from .rows import within


def last(h: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return the last state of each sequence, (B, H).

    Parameters
    ----------
    h : (B, T, H)
    lengths : (B,) int, from 1 to T
        Where padded sequences end; default T.

    Examples
    --------
    >>> last(torch.tensor([[[1.0], [2.0], [0.0]]]), torch.tensor([2])).tolist()
    [[2.0]]
    """
    return points(h, 1, lengths)


def mean(h: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return the mean state of each sequence, (B, H).

    Parameters
    ----------
    h : (B, T, H)
    lengths : (B,) int, from 1 to T
        Where padded sequences end; default T.

    Examples
    --------
    >>> mean(torch.tensor([[[1.0], [2.0], [9.0]]]), torch.tensor([2])).tolist()
    [[1.5]]
    """
    ends, inside = _ends(h, lengths)
    return torch.where(inside[..., None], h, 0.0).sum(1) / ends[:, None]


def points(h: Tensor, count: int, lengths: Tensor | None = None) -> Tensor:
    """Return the states at 1/count, 2/count, ... 1 of the length of each sequence, (B, count*H), earliest first.

    Parameters
    ----------
    h : (B, T, H)
    count : int, at least 1
    lengths : (B,) int, from 1 to T
        Where padded sequences end; default T.

    Notes
    -----
    Point k is row ceil(k*length/count), counted from 1; in a sequence shorter than `count` rows come twice.

    Examples
    --------
    >>> points(torch.arange(6.0).view(1, 6, 1), 3).tolist()
    [[1.0, 3.0, 5.0]]
    """
    count = check_range("count", count, 1, whole=True)
    ends, _ = _ends(h, lengths)
    k = torch.arange(1, count + 1, device=h.device)
    at = (ends[:, None] * k + count - 1) // count - 1
    return h.gather(1, at[..., None].expand(-1, -1, h.shape[2])).flatten(1)


def segments(h: Tensor, count: int, lengths: Tensor | None = None) -> Tensor:
    """Return the mean state of each of `count` equal parts of each sequence, (B, count*H), earliest first.

    Parameters
    ----------
    h : (B, T, H)
    count : int, at least 1
    lengths : (B,) int, from 1 to T
        Where padded sequences end; default T.

    Notes
    -----
    Part k ends with row ceil(k*length/count), counted from 1; a part that is empty, in a sequence shorter than `count`,
    is the row it ends with. Less noisy than `points`, and as blind to a sequence's speed.

    Examples
    --------
    >>> segments(torch.arange(6.0).view(1, 6, 1), 2).tolist()
    [[1.0, 4.0]]
    """
    count = check_range("count", count, 1, whole=True)
    ends, inside = _ends(h, lengths)
    stop = (ends[:, None] * torch.arange(1, count + 1, device=h.device) + count - 1) // count
    start = torch.minimum(torch.nn.functional.pad(stop[:, :-1], (1, 0)), stop - 1)
    sums = torch.nn.functional.pad(torch.where(inside[..., None], h, 0.0).double().cumsum(1), (0, 0, 1, 0))
    above, below = (sums.gather(1, at[..., None].expand(-1, -1, h.shape[2])) for at in (stop, start))
    return ((above - below) / (stop - start)[..., None]).to(h.dtype).flatten(1)


def squares(h: Tensor, *, half: bool = False) -> Tensor:
    """Return [h, h^2], (..., 2H); or, by half, h with every second state squared in its place, (..., H).

    Parameters
    ----------
    h : (..., H)
    half : bool
        Square the states 1, 3, 5, ... in place: as rich for a dynamical system, at no cost in width.

    Source
    ------
    Pathak, Lu, Hunt, Girvan, Ott (2017), Chaos 27, 121102, squares half of the states of a reservoir on Lorenz-63,
    whose symmetry a readout that is odd in the states cannot break.

    Examples
    --------
    >>> squares(torch.tensor([2.0, 3.0])).tolist(), squares(torch.tensor([2.0, 3.0]), half=True).tolist()
    ([2.0, 3.0, 4.0, 9.0], [2.0, 9.0])
    """
    if not half:
        return torch.cat([h, h.square()], -1)
    odd = torch.arange(h.shape[-1], device=h.device) % 2 == 1
    return torch.where(odd, h.square(), h)


def products(h: Tensor, x: Tensor) -> Tensor:
    """Return [h, x, h_i x_j for every pair], (..., H + F + H*F): a readout that is linear in h, steered by the input.

    Parameters
    ----------
    h : (..., H)
    x : (..., F)
        Of the same step.

    Examples
    --------
    >>> products(torch.tensor([2.0, 3.0]), torch.tensor([5.0])).tolist()
    [2.0, 3.0, 5.0, 10.0, 15.0]
    """
    check_shape("x", x.shape[:-1], [f"axis {i}" for i in range(h.ndim - 1)], **_named(h.shape[:-1]))
    return torch.cat([h, x, (h[..., :, None] * x[..., None, :]).flatten(-2)], -1)


def _named(shape: torch.Size) -> dict[str, int]:
    return {f"axis {i}": n for i, n in enumerate(shape)}


def _ends(h: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the number of rows of each sequence (B,), and which steps are inside (B,T)."""
    sizes = check_shape("h", h.shape, ("batch", "time", "units"))
    B, T = sizes["batch"], sizes["time"]
    ends = torch.full((B,), T, device=h.device) if lengths is None else lengths.to(h.device)
    return ends.long(), within(ends, B, T, least=1)
