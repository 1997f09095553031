"""A liquid of spiking units over a sequence: by the event-driven kernel, or by the reference for gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import ShapeError
from . import reference
from .choice import pick
from .loop import over
from .reference import Spiking
from .shapes import fit


def spiking(
    u: Tensor, h: Sequence[Tensor], dt: Tensor, liquid: Spiking, *,
    lengths: Tensor | None = None, reset: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:  # fmt: skip
    """Run `reference.spiking_step` over a sequence.

    Parameters
    ----------
    u : tensor (B, T, H) or (B, T, 2H)
        Currents held over dt; or charges at the start of it, those that excite (at least 0) beside those that inhibit.
    h : tensors (B, ...), those of `liquid.widths()`
        The state before the first step.
    dt, lengths, reset
        As in `leaky`.
    liquid : Spiking
        Time constants, synapses and all else that is fixed.

    Returns
    -------
    traces : tensor (B, T, L*H)
        The traces after every step, those of the first time constant first.
    h : tuple of tensors
        The state at the end of every row.

    Raises
    ------
    ShapeError
        If shapes do not fit.
    BackendError
        If a kernel is asked for and gradients too: no kernel has those of spikes.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> one, none = torch.ones(1), torch.zeros(0)
    >>> first, no = torch.zeros(3, dtype=torch.int32), torch.zeros(0, dtype=torch.int32)
    >>> membrane = torch.tensor([1.0, 0.0, 0.0])
    >>> liquid = ops.Spiking(9 * one, torch.ones(2), 5 * one, 2 * one, membrane, 0 * one, first, no, no, none)
    >>> h = [torch.zeros(1, width) for width in liquid.widths().values()]
    >>> traces, h = ops.spiking(torch.full((1, 8, 1), 3.0), h, torch.ones(1, 8), liquid)
    >>> traces.flatten().round(decimals=2)
    tensor([0.0000, 0.0000, 0.0000, 1.0000, 0.8200, 0.6700, 0.5500, 0.4500])
    """
    h = tuple(h)
    _check(u, h, dt, liquid, lengths, reset)
    dtype = h[0].dtype
    if dtype not in (torch.float32, torch.float64):  # a membrane must move by less than the last bit of bfloat16
        found, after = spiking(
            u.float(), [a.float() for a in h], dt.float(), liquid.float(), lengths=lengths, reset=reset
        )  # fmt: skip
        return found.to(dtype), tuple(a.to(dtype) for a in after)
    u = u.to(dtype)
    fresh = liquid.fresh()
    fast = pick("spiking", h[0], (dt, *liquid.floats()), moved=(u, dt, *h, *liquid.floats()))
    widths = liquid.widths()
    if fast:
        start = torch.cat(list(fresh))
        found, after = fast.spiking(u, torch.cat(h, -1), dt, start, liquid, lengths=lengths, reset=reset)
        return found, after.split(list(widths.values()), dim=-1)
    start = [a.expand(u.shape[0], -1) for a in fresh]
    states = over(lambda u, h, dt: reference.spiking_step(u, h, dt, liquid), u, h, dt, lengths, reset, start)
    return states[list(widths).index("trace")], tuple(a[:, -1] for a in states) if u.shape[1] else h


def _check(
    u: Tensor, h: Sequence[Tensor], dt: Tensor, p: Spiking, lengths: Tensor | None, reset: Tensor | None
) -> None:
    """Raise ShapeError unless all fits together; a kernel reads what it is told is there."""
    H, S, B, T = p.tau.shape[0], p.weight.shape[0], *u.shape[:2]
    if u.dim() != 3 or u.shape[2] not in (H, 2 * H):
        raise ShapeError(f"`u` must have the shape (batch, time, {H} or {2 * H}); got {tuple(u.shape)}.")
    widths = p.widths()
    if len(h) != len(widths):
        raise ShapeError(f"`h` must hold {len(widths)} tensors ({', '.join(widths)}); got {len(h)}.")
    fit({f"h.{name}": (a, (B, width)) for a, (name, width) in zip(h, widths.items(), strict=True)})
    fit(
        {"dt": (dt, (B, T)), "tau_syn": (p.tau_syn, (2,)), "refractory": (p.refractory, (H,)), "start": (p.start, (H,))}
    )
    fit(
        {
            "membrane": (p.membrane, (3,)),
            "first": (p.first, (2 * H + 1,)),
            "pool": (p.pool, (S,)),
            "place": (p.place, (S,)),
        }
    )
    more = {"substep": (p.substep, ()), "adaptation": (p.adaptation, (2,)), "plasticity": (p.plasticity, (3, 2 * H))}
    fit({name: (t, shape) for name, (t, shape) in more.items() if t is not None})
    if lengths is not None:
        fit({"lengths": (lengths, (B,))})
    if reset is not None:
        fit({"reset": (reset, (B, T))})
