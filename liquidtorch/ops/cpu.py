"""The functions of `sequences` on compiled CPU kernels: how their arguments become those of the operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .conductance import LTCFamily, SynapsesFamily
from .diagonal import Diagonal
from .events import SpikingFamily
from .gated import ACTIVATIONS, KINDS, MAPS, SYNAPSES, Gated
from .library import load
from .operator import call
from .reference import Spiking
from .sparse import Echo
from .synapses import Synapses
from .synapses import synapses as list_synapses

DTYPES = (torch.float32, torch.float64)
LAYERS = MAPS - 1  # of a backbone, after its first
_library, _level = load()
MISSING = "" if _library else _level
WHAT = f"kernel: compiled for {_level}"


class Gates(NamedTuple):
    """What the family `Gated` needs of a cell's weights."""

    kind: str
    maps: list[Tensor]
    own: list[Tensor]
    synapses: Synapses | None = None
    biases: Sequence[Tensor] = ()
    carry: bool = False
    activation: str = "tanh"

    def tensors(self) -> list[Tensor | None]:
        """Return the synapses' lists, maps, biases and own, as `gated.parts_of` reads them."""
        listed = [None] * SYNAPSES if self.synapses is None else self.synapses
        return [*listed, *self.maps, *self.biases, *self.own]

    def options(self, keep: bool) -> tuple[int, ...]:
        """Return the family's options."""
        return KINDS.index(self.kind), self.carry, ACTIVATIONS.index(self.activation), keep, len(self.maps)


def leaky_gates(W_h: Tensor, tau: Tensor, *, method: str, synapses: Synapses | None) -> Gates:
    """Read the weights of `sequences.leaky`."""
    return Gates("leaky" if method == "exact" else "leaky_euler", [W_h.unsqueeze(0)], [1 / tau], synapses)


def liquid_gates(W_h: Tensor, G_h: Tensor, log_tau: Tensor, *, synapses: Synapses | None) -> Gates:
    """Read the weights of `sequences.liquid`."""
    return Gates("liquid", [torch.stack([W_h, G_h])], [log_tau], synapses)


def cfc_gates(
    W_h: Tensor, tau: Tensor, own: Sequence[Tensor], sweep: Sequence[Tensor],
    backbone: Sequence[tuple[Tensor, Tensor]], *, mode: str, carry: bool, activation: str, synapses: Synapses | None,
) -> Gates:  # fmt: skip
    """Read the weights of `sequences.cfc`."""
    if sweep and synapses is None:
        synapses = list_synapses(torch.ones_like(W_h[0]), sweep)
    kind = "cfc" if mode == "default" else f"cfc_{mode}"
    maps, biases = [W_h, *(W for W, _ in backbone)], [b for _, b in backbone]
    return Gates(kind, maps, [1 / tau, *own], synapses, biases, carry, activation)


def _gated(
    gates: Gates, u: Tensor, h: Tensor, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
) -> Tensor:  # fmt: skip
    learned = (u, h, dt, *gates.maps, *gates.biases, *gates.own)
    keep = torch.is_grad_enabled() and any(a.requires_grad for a in learned)
    return call(Gated, [u.to(h.dtype), h, dt, lengths, reset, *gates.tensors()], gates.options(keep))


def leaky(
    u: Tensor, h: Tensor, dt: Tensor, *weights: Tensor, lengths: Tensor | None, reset: Tensor | None, **options: Any
) -> Tensor:
    """As `sequences.leaky`."""
    return _gated(leaky_gates(*weights, **options), u, h, dt, lengths, reset)


def liquid(
    u: Tensor, h: Tensor, dt: Tensor, *weights: Tensor, lengths: Tensor | None, reset: Tensor | None, **options: Any
) -> Tensor:
    """As `sequences.liquid`."""
    return _gated(liquid_gates(*weights, **options), u, h, dt, lengths, reset)


def cfc(
    u: Tensor, h: Tensor, dt: Tensor, *weights: Any, lengths: Tensor | None, reset: Tensor | None, **options: Any
) -> Tensor:
    """As `sequences.cfc`."""
    return _gated(cfc_gates(*weights, **options), u, h, dt, lengths, reset)


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


def echo(
    u: Tensor, h: Tensor, dt: Tensor, weight: Tensor, tau: Tensor, *, synapses: Synapses, activation: str,
    lengths: Tensor | None, reset: Tensor | None,
) -> Tensor:  # fmt: skip
    """As `sequences.echo`."""
    listed = synapses.start, synapses.source
    return call(Echo, [u.to(h.dtype), h, dt, lengths, reset, *listed, weight, 1 / tau], (activation == "linear",))


def spiking(
    u: Tensor, h: Tensor, dt: Tensor, fresh: Tensor, liquid: Spiking, *, lengths: Tensor | None, reset: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As `spiking.spiking`, the tensors of a state side by side: h (B, W), fresh (W,)."""
    fixed, (substep, slots, adaptation, plasticity) = liquid[:10], liquid[10:]
    tensors = [u.to(h.dtype), h, dt, lengths, reset, fresh, *fixed, substep, adaptation, plasticity]
    found = call(SpikingFamily, tensors, (slots,))
    shown, after = found.split([found.shape[1] - h.shape[1], h.shape[1]], dim=1)
    return shown.unflatten(1, (u.shape[1], liquid.widths()["trace"])), after
