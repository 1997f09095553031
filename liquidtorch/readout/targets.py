"""Targets for a readout that is solved: classes as numbers, and what is to come as a change."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import DataError, check_range, check_shape


def one_hot(codes: Tensor, classes: int) -> Tensor:
    """Return 1 for the class of each row and 0 for all others, (..., classes) float64; NaN where the code is NaN.

    Parameters
    ----------
    codes : (...), whole numbers from 0 to classes - 1, or NaN for unknown
    classes : int, at least 2

    Raises
    ------
    DataError
        When a code is none of the classes.

    Examples
    --------
    >>> one_hot(torch.tensor([1.0, float("nan")]), 2).tolist()
    [[0.0, 1.0], [nan, nan]]
    """
    known, whole = _known(codes, classes)
    found = torch.nn.functional.one_hot(whole, classes).to(torch.float64)
    return torch.where(known[..., None], found, torch.nan)


def balanced(codes: Tensor, classes: int) -> Tensor:
    """Return a weight for each row with which all classes count alike: n / (K n_k), 0 where the code is NaN.

    Parameters
    ----------
    codes : (...), whole numbers from 0 to classes - 1, or NaN for unknown
    classes : int, at least 2
        Of them, K are there.

    Raises
    ------
    DataError
        When a code is none of the classes.

    Examples
    --------
    >>> balanced(torch.tensor([0, 0, 0, 1]), 2)[[0, 3]].tolist()
    [0.6666666666666666, 2.0]
    """
    known, whole = _known(codes, classes)
    counts = torch.bincount(whole[known], minlength=classes).to(torch.float64)
    share = counts.sum() / ((counts > 0).sum() * counts.clamp(min=1))
    return torch.where(known, share[whole], 0.0)


def increments(u: Tensor, horizon: int = 1, *, lengths: Tensor | None = None) -> Tensor:
    """Return u(t + horizon) - u(t), the target of a forecast that starts from what is there; NaN where unknown.

    Parameters
    ----------
    u : (B, T, F)
    horizon : int, at least 1, in steps
    lengths : (B,)
        Where padded series end: what lies beyond is unknown.

    Notes
    -----
    The forecast is u(t) plus the answer. A readout leaves rows with NaN out of its solution.

    Examples
    --------
    >>> increments(torch.tensor([[[1.0], [4.0], [9.0]]])).flatten().tolist()
    [3.0, 5.0, nan]
    """
    horizon = check_range("horizon", horizon, 1, whole=True)
    sizes = check_shape("u", u.shape, ("batch", "time", "features"))
    found = torch.full_like(u, torch.nan)
    found[:, :-horizon] = u[:, horizon:] - u[:, :-horizon]
    if lengths is not None:
        check_shape("lengths", lengths.shape, ("batch",), batch=sizes["batch"])
        beyond = torch.arange(sizes["time"], device=u.device) >= (lengths - horizon)[:, None]
        found[beyond] = torch.nan
    return found


def _known(codes: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return which codes are known, and all as whole numbers, 0 where they are not."""
    classes = check_range("classes", classes, 2, whole=True)
    known = ~torch.isnan(codes)
    whole = torch.where(known, codes, 0).long()
    wrong = known & ((whole != codes) | (whole < 0) | (whole >= classes))
    if bool(wrong.any()):
        raise DataError(f"`codes` must be whole numbers from 0 to {classes - 1}; got {codes[wrong][0].item()}.")
    return known, whole
