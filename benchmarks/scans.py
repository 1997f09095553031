"""Plain torch scans of h[t] = a[t]*h[t-1] + b[t], the rivals of `Linear`: every well-known way.

All take and return (B, T, H), from a state of 0. Each is given the best backward pass there is, a scan from the end
(`back`: h[t] = a[t+1]*h[t+1] + b[t]): autograd through the doubling scan alone would keep 2*log2(T) sequences.
"""

from __future__ import annotations

import itertools
from typing import Any, Protocol

import torch
from torch import Tensor

BLOCK = 64


class Scan(Protocol):
    """One way of scanning."""

    def __call__(self, a: Tensor, b: Tensor, *, back: bool = False) -> Tensor:
        """Return every h (B, T, H)."""
        ...


def loop(a: Tensor, b: Tensor, *, back: bool = False) -> Tensor:
    """Step by step."""
    y, h = torch.empty_like(b), torch.zeros_like(b[:, 0])
    steps = [list(found.unbind(1)) for found in (a, b, y)]
    if back:
        steps[0] = [*steps[0][1:], steps[0][0]]  # the last factor meets a state of 0
        steps = [found[::-1] for found in steps]
    for a_t, b_t, y_t in zip(*steps, strict=True):
        h = torch.addcmul(b_t, a_t, h, out=y_t)
    return y


def log_cumsum(a: Tensor, b: Tensor, *, back: bool = False) -> Tensor:
    """Heinsen 2023 (arXiv 2311.06281), eq. 7, for the positive and the negative part of b: a must be above 0."""
    if back:
        return log_cumsum(_next(a).flip(1), b.flip(1)).flip(1)
    log_a = a.log().cumsum(1)
    parts = [log_a + torch.logcumsumexp(part.log() - log_a, dim=1) for part in (b.clamp(min=0), (-b).clamp(min=0))]
    return parts[0].exp() - parts[1].exp()


def doubling(a: Tensor, b: Tensor, *, back: bool = False) -> Tensor:
    """Hillis and Steele 1986: after k rounds every step has met the 2**k steps before it."""
    steps, shift = a.shape[1], 1
    if back:
        a = _next(a)
    while shift < steps:
        near, far = (slice(shift, None), slice(None, -shift)) if not back else (slice(None, -shift), slice(shift, None))
        edge = slice(None, shift) if not back else slice(-shift, None)
        met = [torch.addcmul(b[:, near], a[:, near], b[:, far]), a[:, near] * a[:, far]]
        b, a = (torch.cat([x[:, edge], y][:: -1 if back else 1], dim=1) for x, y in zip((b, a), met, strict=True))
        shift *= 2
    return b


def blocked(a: Tensor, b: Tensor, *, back: bool = False) -> Tensor:
    """Step through all blocks of BLOCK steps at once, then carry the state from block to block (T a multiple)."""
    a, b = (_next(a) if back else a).unflatten(1, (-1, BLOCK)), b.unflatten(1, (-1, BLOCK))
    y, share = torch.empty_like(b), torch.empty_like(a)  # share: of the state at the block's edge that is left
    order = range(BLOCK)[:: -1 if back else 1]
    first, last = order[0], order[-1]
    y[:, :, first], share[:, :, first] = b[:, :, first], a[:, :, first]
    for before, t in itertools.pairwise(order):
        torch.addcmul(b[:, :, t], a[:, :, t], y[:, :, before], out=y[:, :, t])
        torch.mul(a[:, :, t], share[:, :, before], out=share[:, :, t])
    left, ends = share[:, :, last], y[:, :, last]
    if back:
        ends = loop(left.roll(1, dims=1), ends, back=True)
        y[:, :-1].addcmul_(share[:, :-1], ends[:, 1:].unsqueeze(2))
    else:
        ends = loop(left, ends)
        y[:, 1:].addcmul_(share[:, 1:], ends[:, :-1].unsqueeze(2))
    return y.flatten(1, 2)


def _next(a: Tensor) -> Tensor:
    """Return the factor of the step after each; the last meets a state of 0."""
    return torch.cat([a[:, 1:], torch.ones_like(a[:, :1])], dim=1)


SCANS: dict[str, Scan] = {"loop": loop, "log-cumsum": log_cumsum, "doubling": doubling, "blocked": blocked}


class Differentiable(torch.autograd.Function):
    """A scan whose backward pass is a scan from the end: g[t] = a[t+1]*g[t+1] + slope[t]."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, scan: Scan) -> Tensor:
        """Return the states (B, T, H)."""
        y = scan(a, b)
        ctx.save_for_backward(a, y)
        ctx.scan = scan
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients to a and b."""
        a, y = ctx.saved_tensors
        g = ctx.scan(a, slope, back=True)
        to_a = torch.empty_like(g)
        to_a[:, 0] = 0.0
        torch.mul(g[:, 1:], y[:, :-1], out=to_a[:, 1:])
        return to_a, g, None
