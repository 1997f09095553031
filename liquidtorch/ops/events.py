"""A spiking liquid over sequences on the CPU: csrc/spiking.h as a family of operators, forward only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .library import Arguments, integers, pointers, run
from .operator import Family, Tensors
from .reference import Spiking

ACTIVE = 0.05  # the share of units taken to spike in a step, where threads are weighed


class SpikingRows(Arguments):
    """The struct of csrc/spiking.h."""

    _fields_ = [  # noqa: RUF012
        *integers("B T H L K W U"),
        *pointers("u h0 dt lengths reset fresh tau tau_syn tau_trace refractory membrane first place weight"),
        *pointers("substep adaptation plasticity out"),
    ]


class SpikingFamily(Family):
    """Tensors: u, h (B, W), dt, lengths, reset, fresh (W,), then those of `Spiking`. Options: its slots.

    The state's tensors lie side by side in W numbers; so do, in the output (B, T*L*H + W), a row's traces after every
    step and its state at the end.
    """

    name = "spiking"

    @staticmethod
    def _spiking(tensors: Tensors, options: Sequence[int]) -> Spiking:
        fixed: Any = tensors[6:16]
        substep, adaptation, plasticity = tensors[16:]
        return Spiking(*fixed, substep=substep, slots=options[0], adaptation=adaptation, plasticity=plasticity)

    @staticmethod
    def outputs(tensors: Tensors, options: Sequence[int]) -> list[Tensor]:
        """Make what a row gives, (B, T*L*H + W)."""
        u, h, p = tensors[0], tensors[1], SpikingFamily._spiking(tensors, options)
        shown = u.shape[1] * p.tau_trace.shape[0] * p.tau.shape[0]  # pyright: ignore[reportOptionalMemberAccess]
        return [h.new_empty(h.shape[0], shown + h.shape[1])]  # pyright: ignore[reportOptionalMemberAccess]

    @staticmethod
    def forward(tensors: Tensors, options: Sequence[int], found: list[Tensor]) -> None:
        """Fill the outputs."""
        u, h, dt, lengths, reset, fresh = tensors[:6]
        p, out = SpikingFamily._spiking(tensors, options), found[0]
        B, T, U = u.shape  # pyright: ignore[reportOptionalMemberAccess]
        given = {name: t for name, t in p._asdict().items() if isinstance(t, Tensor) and name not in ("start", "pool")}
        given |= {"u": u, "h0": h, "dt": dt, "reset": reset, "fresh": fresh}
        given["lengths"] = None if lengths is None else lengths.to(torch.int64).clamp(max=T)
        given = {name: None if t is None else t.contiguous() for name, t in given.items()}
        sizes = {"B": B, "T": T, "H": p.tau.shape[0], "L": p.tau_trace.shape[0], "K": p.slots, "W": h.shape[1], "U": U}  # pyright: ignore
        work = B * T * (sizes["W"] + p.weight.shape[0] * ACTIVE)
        run("spiking_forward", out.dtype, SpikingRows(**sizes, **given, out=out), B, work)
