"""What every cell means: one time step each, in plain PyTorch.

Shapes: `u` (B, U) all that depends on the input alone, `h` (B, H) the state, `dt` (B, 1) the time since the previous
step. Everything faster elsewhere is a twin of a function here and is tested against it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as fn
from torch.nn.functional import linear


def lecun_tanh(x: Tensor) -> Tensor:
    """Return 1.7159*tanh(0.666*x), whose value at 1 is 1 (LeCun 1998; 0.666 as CfC was published)."""
    return 1.7159 * torch.tanh(0.666 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "lecun_tanh": lecun_tanh, "tanh": torch.tanh, "relu": fn.relu, "silu": fn.silu, "gelu": fn.gelu,
}  # fmt: skip


def rate(log_tau: Tensor) -> Tensor:
    """Return 1/tau = exp(-log_tau), finite whatever the gate says: at e**80 every step is complete already."""
    return torch.exp((-log_tau).clamp(max=80.0))


def leaky_step(u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, tau: Tensor, *, method: str = "exact") -> Tensor:
    """h' = (1-a)*h + a*tanh(u + W_h h), a = 1-exp(-dt/tau) or, for "euler", dt/tau."""
    a = dt / tau if method == "euler" else -torch.expm1(-dt / tau)
    return (1 - a) * h + a * torch.tanh(u + linear(h, W_h))


def liquid_step(u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, G_h: Tensor, log_tau: Tensor) -> Tensor:
    """h' = (1-a)*h + a*tanh(drive + W_h h), a = 1-exp(-dt/tau), tau = exp(log_tau + gate + G_h h)."""
    drive, gate = u.chunk(2, dim=-1)
    a = -torch.expm1(-dt * rate(log_tau + gate + linear(h, G_h)))
    return (1 - a) * h + a * torch.tanh(drive + linear(h, W_h))


def ltc_synapses(v: Tensor, w: Tensor, mu: Tensor, sigma: Tensor, erev: Tensor) -> tuple[Tensor, Tensor]:
    """N_i = sum_j g_ij*E_ij and D_i = sum_j g_ij of g_ij = w_ij*sigmoid(sigma_ij*(v_j - mu_ij)) (Hasani 2021, 1)."""
    g = w * torch.sigmoid(sigma * (v.unsqueeze(-2) - mu))
    return (g * erev).sum(-1), g.sum(-1)


def ltc_step(
    u: Tensor, h: Tensor, dt: Tensor,
    w: Tensor, mu: Tensor, sigma: Tensor, erev: Tensor, gleak: Tensor, vleak: Tensor, cm: Tensor, *, unfolds: int = 6,
) -> Tensor:  # fmt: skip
    """Repeat `unfolds` times: v <- (cm*v + s*(gleak*vleak + N)) / (cm + s*(gleak + D)), s = dt/unfolds (eq. 3)."""
    N_x, D_x = u.chunk(2, dim=-1)
    s = dt / unfolds
    for _ in range(unfolds):
        N, D = ltc_synapses(h, w, mu, sigma, erev)
        h = (cm * h + s * (gleak * vleak + N + N_x)) / (cm + s * (gleak + D + D_x))
    return h


def cfc_heads(z: Sequence[Tensor], h: Tensor, s: Tensor, own: Sequence[Tensor], *, mode: str, carry: bool) -> Tensor:
    """Return the state after the elapsed time s = dt/tau from the heads' values (Hasani 2022, eq. 3 and 4)."""
    if mode == "pure":
        A, w_tau = own
        u = A - A * torch.exp(-s * (w_tau.abs() + z[0].abs())) * z[0]  # eq. 3
    else:
        g = torch.sigmoid(z[2] * s + z[3])
        f1, f2 = torch.tanh(z[0]), torch.tanh(z[1])
        u = f1 + g * f2 if mode == "no_gate" else (1 - g) * f1 + g * f2  # eq. 4
    if not carry:
        return u
    a = -torch.expm1(-s * rate(z[-1]))  # dt / (tau*exp(gate)): Liquid's gate
    return (1 - a) * h + a * u


def cfc_step(
    u: Tensor, h: Tensor, dt: Tensor,
    W_h: Tensor, tau: Tensor, own: Sequence[Tensor] = (), sweep: Sequence[Tensor] = (),
    backbone: Sequence[tuple[Tensor, Tensor]] = (), *,
    mode: str = "default", carry: bool = False, activation: str = "lecun_tanh",
) -> Tensor:  # fmt: skip
    """h' = heads(backbone([x, h]), dt/tau): dense, through a backbone, or unit group by unit group along `sweep`."""
    s = dt / tau
    if backbone:
        z = u + linear(h, W_h)
        for W, b in backbone:
            z = linear(ACTIVATIONS[activation](z), W, b)
        return cfc_heads(z.unflatten(-1, (-1, h.shape[-1])).unbind(-2), h, s, own, mode=mode, carry=carry)
    u = u.unflatten(-1, (-1, h.shape[-1]))  # (B, heads, H)
    if not sweep:
        z = u + linear(h, W_h.flatten(0, 1)).view_as(u)
        return cfc_heads(z.unbind(-2), h, s, own, mode=mode, carry=carry)
    for units in sweep:  # every group sees what the groups before it have become in this very step
        W = W_h[:, units]
        z = u[..., units] + linear(h, W.flatten(0, 1)).unflatten(-1, W.shape[:2])
        mine = [p[units] for p in own]
        h = h.index_copy(-1, units, cfc_heads(z.unbind(-2), h[..., units], s[..., units], mine, mode=mode, carry=carry))
    return h


def linear_step(u: Tensor, h: Tensor, dt: Tensor, tau: Tensor) -> Tensor:
    """h' = a*h + (1-a)*f*A/(1+f), a = exp(-dt*(1+f)/tau): exact for an input held over dt (Hasani 2021, eq. 1)."""
    f, A = (squash(z) for squash, z in zip((fn.softplus, torch.tanh), u.chunk(2, dim=-1), strict=True))
    rate_dt = dt * (1 + f) / tau
    return torch.exp(-rate_dt) * h - torch.expm1(-rate_dt) * (f / (1 + f)) * A


def echo_step(
    u: Tensor, h: Tensor, dt: Tensor, weight: Tensor, tau: Tensor, to: Tensor, source: Tensor, *,
    activation: str = "tanh",
) -> Tensor:  # fmt: skip
    """h' = (1-a)*h + a*f(u + W h), a = 1-exp(-dt/tau); W by its synapses, `weight` (S,) from `source` to `to`."""
    z = u + torch.zeros_like(h).index_add(-1, to, weight * h.index_select(-1, source))
    a = -torch.expm1(-dt / tau)
    return (1 - a) * h + a * (torch.tanh(z) if activation == "tanh" else z)


def mobius_step(u: Tensor, h: Tensor, dt: Tensor, tau: Tensor) -> Tensor:
    """h' = (h + s*c*A) / (1 + s*(1+c)), c = f + k*(1+h), s = dt/tau: LTC's fused step, one self-synapse a unit."""
    f, k, A = (squash(z) for squash, z in zip((fn.softplus, fn.softplus, torch.tanh), u.chunk(3, dim=-1), strict=True))
    c, s = f + k * (1 + h), dt / tau
    return (h + s * c * A) / (1 + s * (1 + c))


TICK = 1e-3  # of a refractory period or of a substep of delay: what is shorter is rounding, and taken for none


class Spiking(NamedTuple):
    """What a liquid of H spiking units is made of: S synapses, L traces, K substeps of delay."""

    tau: Tensor  # (H,) time constants of the membranes
    tau_syn: Tensor  # (2,) of the currents that excite and that inhibit
    tau_trace: Tensor  # (L,)
    refractory: Tensor  # (H,) time
    membrane: Tensor  # (3,) threshold, potential after a spike, bias
    start: Tensor  # (H,) the potential before the first step
    first: Tensor  # (2H+1,) int32: the synapses of pool p are first[p] to first[p+1]
    pool: Tensor  # (S,) int32: 2*source + (1 where the target inhibits)
    place: Tensor  # (S,) int32: (2*delay + (1 where the source inhibits))*H + target, the delay in substeps
    weight: Tensor  # (S,) of the sign of the source
    substep: Tensor | None = None  # () time, if there are delays
    slots: int = 0  # K, the longest delay in substeps
    adaptation: Tensor | None = None  # (2,) what a spike adds to the threshold, and the time constant of that
    plasticity: Tensor | None = None  # (3, 2H) U, D and F of short-term plasticity, by pool

    def widths(self) -> dict[str, int]:
        """Return the tensors of the state, in order, and how wide each is."""
        H, L = self.tau.shape[-1], self.tau_trace.shape[-1]
        found = {"v": H, "refractory": H, "trace": L * H}
        if self.adaptation is not None:
            found["adaptation"] = H
        if self.plasticity is not None:
            found |= {"utilisation": 2 * H, "resources": 2 * H}
        if self.slots:
            found["phase"] = 1
        found["current"] = 2 * H
        return found | {"pending": self.slots * 2 * H} if self.slots else found

    def fresh(self) -> tuple[Tensor, ...]:
        """Return the state before the first step and after a reset, a vector for each of its tensors."""
        of = {"v": self.start, "resources": self.start.new_ones(2 * self.start.shape[0])}
        return tuple(of.get(name, self.start.new_zeros(width)) for name, width in self.widths().items())

    def floats(self) -> tuple[Tensor, ...]:
        """Return all but the lists of synapses."""
        return tuple(t for t in self if isinstance(t, Tensor) and t.is_floating_point())

    def float(self) -> Spiking:
        """Return the same in float32."""
        given: Any = (t.float() if isinstance(t, Tensor) and t.is_floating_point() else t for t in self)
        return Spiking(*given)


def fires(x: Tensor) -> Tensor:
    """Return 1 where x >= 0, else 0; its derivative is taken for 1/(1 + 10|x|)^2 (SuperSpike, Zenke 2018, eq. 5)."""
    soft = x / (1 + 10 * x.abs())
    return (x >= 0).to(x.dtype) + (soft - soft.detach())


def reach(s: Tensor, tau_s: Tensor, tau: Tensor) -> Tensor:
    """Return the potential that a current of 1 with the time constant tau_s leaves after s; tau_s may equal tau.

    tau_s/(tau_s - tau)*(exp(-s/tau_s) - exp(-s/tau)), written so that nothing cancels.
    """
    slow, apart = torch.minimum(s / tau_s, s / tau), (s / tau_s - s / tau).abs()
    there = apart > 0
    share = torch.where(there, -torch.expm1(-apart) / torch.where(there, apart, 1.0), 1.0)
    return s / tau * torch.exp(-slow) * share


def spiking_step(u: Tensor, h: Sequence[Tensor], dt: Tensor, p: Spiking) -> tuple[Tensor, ...]:
    """Integrate the membranes over dt, let those at their threshold spike, and send the spikes on.

    `h` has the tensors of `p.widths()`. u (B, H) is a current held over dt; u (B, 2H) are charges at the start of dt,
    those that excite beside those that inhibit.
    """
    of = dict(zip(p.widths(), h, strict=True))
    H, current = p.tau.shape[-1], of["current"]
    threshold, after, bias = p.membrane.unbind(-1)
    drive = bias
    if u.shape[-1] == H:
        drive = u + bias
    else:
        current = current + u
    lost = -torch.expm1(-dt / p.tau)
    v = of["v"] + lost * (drive - of["v"])
    for k, i in enumerate(current.split(H, -1)):
        v = v + reach(dt, p.tau_syn[k], p.tau) * i
    held = of["refractory"] > 0
    v = torch.where(held, after, v)
    if p.adaptation is not None:
        of["adaptation"] = of["adaptation"] * torch.exp(-dt / p.adaptation[1])
        threshold = threshold + of["adaptation"]
    s = torch.where(held, 0.0, fires(v - threshold))
    fired = s.detach() > 0  # not to be learned through: what a spike sets back
    rest = of["refractory"] - dt / p.refractory.clamp(min=1e-30)
    of["refractory"] = torch.where(fired, 1.0, torch.where(rest < TICK, 0.0, rest))
    of["v"] = torch.where(fired, after, v)
    of["trace"] = (
        of["trace"].unflatten(-1, (-1, H)) * torch.exp(-dt / p.tau_trace).unsqueeze(-1) + s.unsqueeze(-2)
    ).flatten(-2)
    if p.adaptation is not None:
        of["adaptation"] = of["adaptation"] + p.adaptation[0] * s
    out = s.repeat_interleave(2, -1)
    if p.plasticity is not None:  # Maass 2002, eq. A.1 to A.3 (Markram 1998): u R of each spike
        U, D, F = p.plasticity.unbind(-2)
        use = of["utilisation"] * torch.exp(-dt / F)
        left = 1 - (1 - of["resources"]) * torch.exp(-dt / D)
        raised = use + U * (1 - use)
        of["utilisation"] = use + out * (raised - use)
        of["resources"] = left - out * raised * left
        out = out * raised * left
    current = current * torch.exp(-dt / p.tau_syn).repeat_interleave(H, -1)
    arriving = out.index_select(-1, p.pool) * p.weight
    waiting = current if p.substep is None else torch.cat([current, of["pending"]], -1)
    if p.substep is not None:
        total = of["phase"] + dt / p.substep
        passed = (total + TICK).floor().clamp(max=p.slots)
        phase = total - passed
        of["phase"] = torch.where((phase < TICK) | (passed == p.slots), 0.0, phase)
        slot = torch.arange(p.slots + 1, device=u.device)
        waiting = waiting.unflatten(-1, (-1, 2 * H))
        due = torch.where((slot <= passed).unsqueeze(-1), waiting, 0.0).sum(-2, keepdim=True)
        moved = (slot[1:] + passed).long()
        later = waiting.gather(-2, moved.clamp(max=p.slots).unsqueeze(-1).expand(*moved.shape, 2 * H))
        later = torch.where((moved <= p.slots).unsqueeze(-1), later, 0.0)
        waiting = torch.cat([due, later], -2).flatten(-2)
    waiting = waiting.index_add(-1, p.place, arriving)
    of["current"], of["pending"] = waiting[..., : 2 * H], waiting[..., 2 * H :]
    return tuple(of[name] for name in p.widths())
