"""The functions of `sequences` on compiled CPU kernels: how their arguments become those of the operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .conductance import LTCFamily, SynapsesFamily
from .diagonal import Diagonal
from .gated import ACTIVATIONS, KINDS, MAPS, SYNAPSES, Gated
from .library import load
from .operator import call
from .synapses import Synapses
from .synapses import synapses as list_synapses

DTYPES = (torch.float32, torch.float64)
LAYERS = MAPS - 1  # of a backbone, after its first
_library, _level = load()
MISSING = "" if _library else _level
WHAT = f"kernel: compiled for {_level}"


def _gated(
    kind: str, u: Tensor, h: Tensor, dt: Tensor, maps: list[Tensor], own: list[Tensor], synapses: Synapses | None,
    lengths: Tensor | None, reset: Tensor | None, *, biases: list[Tensor] | None = None, carry: bool = False,
    activation: str = "tanh",
) -> Tensor:  # fmt: skip
    tensors = [*maps, *(biases or []), *own]
    keep = torch.is_grad_enabled() and any(a.requires_grad for a in (u, h, dt, *tensors))
    listed = [None] * SYNAPSES if synapses is None else synapses
    options = KINDS.index(kind), carry, ACTIVATIONS.index(activation), keep, len(maps)
    return call(Gated, [u.to(h.dtype), h, dt, lengths, reset, *listed, *tensors], options)


def leaky(
    u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, tau: Tensor, *, method: str, synapses: Synapses | None,
    lengths: Tensor | None, reset: Tensor | None,
) -> Tensor:  # fmt: skip
    """As `sequences.leaky`."""
    kind = "leaky" if method == "exact" else "leaky_euler"
    return _gated(kind, u, h, dt, [W_h.unsqueeze(0)], [1 / tau], synapses, lengths, reset)


def liquid(
    u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, G_h: Tensor, log_tau: Tensor, *, synapses: Synapses | None,
    lengths: Tensor | None, reset: Tensor | None,
) -> Tensor:  # fmt: skip
    """As `sequences.liquid`."""
    return _gated("liquid", u, h, dt, [torch.stack([W_h, G_h])], [log_tau], synapses, lengths, reset)


def cfc(
    u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, tau: Tensor, own: Sequence[Tensor], sweep: Sequence[Tensor],
    backbone: Sequence[tuple[Tensor, Tensor]], *, mode: str, carry: bool, activation: str, synapses: Synapses | None,
    lengths: Tensor | None, reset: Tensor | None,
) -> Tensor:  # fmt: skip
    """As `sequences.cfc`."""
    if sweep and synapses is None:
        synapses = list_synapses(torch.ones_like(W_h[0]), sweep)
    kind = "cfc" if mode == "default" else f"cfc_{mode}"
    more: dict[str, Any] = {"biases": [b for _, b in backbone], "carry": carry, "activation": activation}
    maps = [W_h, *(W for W, _ in backbone)]
    return _gated(kind, u, h, dt, maps, [1 / tau, *own], synapses, lengths, reset, **more)


def ltc_synapses(x: Tensor, w: Tensor, mu: Tensor, sigma: Tensor, erev: Tensor, *, synapses: Synapses | None) -> Tensor:
    """As `sequences.ltc_synapses`."""
    listed = (synapses or list_synapses(torch.ones_like(w)))[:3]
    u = call(SynapsesFamily, [x.reshape(-1, x.shape[-1]), *listed, w, mu, sigma, erev], (0,))
    return u.view(*x.shape[:-1], 2 * w.shape[0])


def ltc(
    u: Tensor, h: Tensor, dt: Tensor,
    w: Tensor, mu: Tensor, sigma: Tensor, erev: Tensor, gleak: Tensor, vleak: Tensor, cm: Tensor, *, unfolds: int,
    synapses: Synapses | None, lengths: Tensor | None, reset: Tensor | None,
) -> Tensor:  # fmt: skip
    """As `sequences.ltc`."""
    listed = (synapses or list_synapses(torch.ones_like(w)))[:3]
    params = w, mu, sigma, erev, gleak, vleak, cm
    return call(LTCFamily, [u.to(h.dtype), h, dt, lengths, reset, *listed, *params], (unfolds,))


def linear(
    u: Tensor, h: Tensor, dt: Tensor, tau: Tensor, *, lengths: Tensor | None, reset: Tensor | None
) -> Tensor:  # fmt: skip
    """As `sequences.linear`."""
    return call(Diagonal, [u.to(h.dtype), h, dt, lengths, reset, 1 / tau], (0,))


def mobius(
    u: Tensor, h: Tensor, dt: Tensor, tau: Tensor, *, lengths: Tensor | None, reset: Tensor | None
) -> Tensor:  # fmt: skip
    """As `sequences.mobius`."""
    return call(Diagonal, [u.to(h.dtype), h, dt, lengths, reset, 1 / tau], (1,))
