"""What every cell means: one time step each, in plain PyTorch.

Shapes: `u` (B, U) all that depends on the input alone, `h` (B, H) the state, `dt` (B, 1) the time since the previous
step. Everything faster elsewhere is a twin of a function here and is tested against it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
