"""The functions of `sequences` on Triton's kernels: how their arguments become those of the operators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..synapses import Synapses
from .conductance import ltc as ltc_operator
from .conductance import ltc_synapses as ltc_synapses_operator
from .diagonal import diagonal
from .gated import gated


def _gated(
    kind: str, u: Tensor, h: Tensor, dt: Tensor, maps: list[Tensor], own: list[Tensor], lengths: Tensor | None,
    reset: Tensor | None, *, biases: Sequence[Tensor] = (), sweep: Sequence[Tensor] = (), carry: bool = False,
    activation: str = "tanh",
) -> Tensor:  # fmt: skip
    keep = torch.is_grad_enabled() and any(a.requires_grad for a in (u, h, dt, *maps, *biases, *own))
    group = None
    if len(sweep) > 1:
        group = torch.empty(h.shape[1], dtype=torch.int64, device=h.device)
        for i, units in enumerate(sweep):
            group[units] = i
    more = group, lengths, reset, max(1, len(sweep)), kind, carry, activation, keep
    return gated(u.to(h.dtype), h, dt, maps, list(biases), own, *more)[0]


def leaky(
    u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, tau: Tensor, *, method: str, synapses: Synapses | None,
    lengths: Tensor | None, reset: Tensor | None,
) -> Tensor:  # fmt: skip
    """As `sequences.leaky`."""
    kind = "leaky" if method == "exact" else "leaky_euler"
    return _gated(kind, u, h, dt, [W_h.unsqueeze(0)], [1 / tau], lengths, reset)


def liquid(
    u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, G_h: Tensor, log_tau: Tensor, *, synapses: Synapses | None,
    lengths: Tensor | None, reset: Tensor | None,
) -> Tensor:  # fmt: skip
    """As `sequences.liquid`."""
    return _gated("liquid", u, h, dt, [torch.stack([W_h, G_h])], [log_tau], lengths, reset)


def cfc(
    u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, tau: Tensor, own: Sequence[Tensor], sweep: Sequence[Tensor],
    backbone: Sequence[tuple[Tensor, Tensor]], *, mode: str, carry: bool, activation: str, synapses: Synapses | None,
    lengths: Tensor | None, reset: Tensor | None,
) -> Tensor:  # fmt: skip
    """As `sequences.cfc`."""
    kind = "cfc" if mode == "default" else f"cfc_{mode}"
    maps, biases = [W_h, *(W for W, _ in backbone)], [b for _, b in backbone]
    return _gated(
        kind, u, h, dt, maps, [1 / tau, *own], lengths, reset, biases=biases, sweep=() if backbone else sweep,
        carry=carry, activation=activation,
    )  # fmt: skip


def ltc_synapses(x: Tensor, w: Tensor, mu: Tensor, sigma: Tensor, erev: Tensor, *, synapses: Synapses | None) -> Tensor:
    """As `sequences.ltc_synapses`."""
    u = ltc_synapses_operator(x.reshape(-1, x.shape[-1]), [w, mu, sigma, erev])
    return u.view(*x.shape[:-1], 2 * w.shape[0])


def ltc(
    u: Tensor, h: Tensor, dt: Tensor,
    w: Tensor, mu: Tensor, sigma: Tensor, erev: Tensor, gleak: Tensor, vleak: Tensor, cm: Tensor, *, unfolds: int,
    synapses: Synapses | None, lengths: Tensor | None, reset: Tensor | None,
) -> Tensor:  # fmt: skip
    """As `sequences.ltc`."""
    return ltc_operator(u.to(h.dtype), h, dt, [w, mu, sigma, erev, gleak, vleak, cm], lengths, reset, unfolds)


def linear(
    u: Tensor, h: Tensor, dt: Tensor, tau: Tensor, *, lengths: Tensor | None, reset: Tensor | None
) -> Tensor:  # fmt: skip
    """As `sequences.linear`."""
    return diagonal(u.to(h.dtype), h, dt, 1 / tau, lengths, reset, "linear")


def mobius(
    u: Tensor, h: Tensor, dt: Tensor, tau: Tensor, *, lengths: Tensor | None, reset: Tensor | None
) -> Tensor:  # fmt: skip
    """As `sequences.mobius`."""
    return diagonal(u.to(h.dtype), h, dt, 1 / tau, lengths, reset, "mobius")
