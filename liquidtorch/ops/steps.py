"""One time step of every cell, checked.

Shapes: `u` (B, U) all that depends on the input alone, `h` (B, H) the state, `dt` (B, 1) the time since the previous
step, H the units. Weights are (to, from).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..errors import ShapeError
from . import reference
from .synapses import Synapses


def _fit(u: Tensor, h: Tensor, dt: Tensor, width: int, units: int) -> None:
    if u.shape[-1] != width or h.shape[-1] != units or dt.shape[-1] != 1:
        raise ShapeError(
            f"`u`, `h` and `dt` must end in {width}, {units} and 1; "
            f"got {tuple(u.shape)}, {tuple(h.shape)} and {tuple(dt.shape)}."
        )


def leaky_step(u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, tau: Tensor, *, method: str = "exact") -> Tensor:
    """Relax towards a tanh: `h' = (1-a)*h + a*tanh(u + W_h h)`.

    Parameters
    ----------
    u : tensor (B, H)
        `W_x x + b`.
    h : tensor (B, H)
        The state.
    dt : tensor (B, 1), at least 0
        The time since the previous step.
    W_h : tensor (H, H)
        Recurrent weights.
    tau : tensor (H,), above 0
        Time constants, in the unit of dt.
    method : "exact" or "euler"
        `a = 1-exp(-dt/tau)` or `a = dt/tau`.

    Returns
    -------
    tensor (B, H)

    Examples
    --------
    >>> import torch
    >>> leaky_step(torch.zeros(1, 1), torch.ones(1, 1), torch.full((1, 1), 2.0), torch.zeros(1, 1), torch.ones(1))
    tensor([[0.1353]])
    """
    _fit(u, h, dt, len(W_h), len(W_h))
    return reference.leaky_step(u, h, dt, W_h, tau, method=method)


def liquid_step(u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, G_h: Tensor, log_tau: Tensor) -> Tensor:
    """Relax towards a tanh at a gated pace: `tau = exp(log_tau + G_x x + G_h h)`, then as `leaky_step`.

    Parameters
    ----------
    u : tensor (B, 2H)
        `W_x x + b` beside `G_x x`.
    h : tensor (B, H)
        The state.
    dt : tensor (B, 1), at least 0
        The time since the previous step.
    W_h, G_h : tensor (H, H)
        Recurrent weights of the target and of the gate.
    log_tau : tensor (H,)
        Logarithms of the base time constants.

    Returns
    -------
    tensor (B, H)

    Examples
    --------
    >>> import torch
    >>> none = torch.zeros(1, 1)
    >>> liquid_step(torch.zeros(1, 2), torch.ones(1, 1), torch.full((1, 1), 2.0), none, none, torch.zeros(1))
    tensor([[0.1353]])
    """
    _fit(u, h, dt, 2 * len(W_h), len(W_h))
    return reference.liquid_step(u, h, dt, W_h, G_h, log_tau)


def ltc_step(
    u: Tensor, h: Tensor, dt: Tensor,
    w: Tensor, mu: Tensor, sigma: Tensor, erev: Tensor, gleak: Tensor, vleak: Tensor, cm: Tensor, *, unfolds: int = 6,
) -> Tensor:  # fmt: skip
    """Take `unfolds` semi-implicit steps of the membrane equation, `s = dt/unfolds` each.

    `h <- (cm*h + s*(gleak*vleak + N)) / (cm + s*(gleak + D))`, N and D from `ltc_synapses` of h, plus those of x.

    Parameters
    ----------
    u : tensor (B, 2H)
        N beside D of the features.
    h : tensor (B, H)
        The state: voltages.
    dt : tensor (B, 1), at least 0
        The time since the previous step.
    w, mu, sigma, erev : tensor (H, H)
        Conductance (at least 0), midpoint, slope and reversal potential of every synapse.
    gleak, vleak, cm : tensor (H,)
        Leak conductance, resting voltage and capacitance of every unit; gleak and cm above 0.
    unfolds : int, at least 1
        How many steps dt is cut into.

    Returns
    -------
    tensor (B, H)

    Examples
    --------
    >>> import torch
    >>> none, one = torch.zeros(1, 1), torch.ones(1)
    >>> ltc_step(torch.zeros(1, 2), torch.ones(1, 1), torch.ones(1, 1), none, none, none, none, one, 0 * one, one)
    tensor([[0.3966]])
    """
    _fit(u, h, dt, 2 * len(w), len(w))
    return reference.ltc_step(u, h, dt, w, mu, sigma, erev, gleak, vleak, cm, unfolds=unfolds)


def cfc_step(
    u: Tensor, h: Tensor, dt: Tensor,
    W_h: Tensor, tau: Tensor, own: Sequence[Tensor] = (), sweep: Sequence[Tensor] = (),
    backbone: Sequence[tuple[Tensor, Tensor]] = (), *,
    mode: str = "default", carry: bool = False, activation: str = "lecun_tanh",
) -> Tensor:  # fmt: skip
    """Jump to the closed form at the elapsed time `dt/tau`; the forms are those of `cells.CfC`.

    Parameters
    ----------
    u : tensor (B, K*H) or, with a backbone, (B, Z)
        x's share of the K heads' linear maps (ff1, ff2, time_a, time_b; "pure": ff1; then gate if `carry`), or of
        the backbone's first layer of Z units.
    h : tensor (B, H)
        The state.
    dt : tensor (B, 1), at least 0
        The time since the previous step.
    W_h : tensor (K, H, H) or, with a backbone, (Z, H)
        h's share of the same.
    tau : tensor (H,), above 0
        Time constants, in the unit of dt.
    own : two tensors (H,)
        A and w_tau, for "pure" only.
    sweep : sequence of tensors of unit numbers
        Groups updated one after the other within the step; empty: all at once.
    backbone : sequence of (weight, bias)
        The layers after the backbone's first, the heads (K*H, Z) last; empty: no backbone.
    mode : "default", "no_gate" or "pure"
        The form.
    carry : bool
        Whether the last head gates against h.
    activation : "lecun_tanh", "tanh", "relu", "silu" or "gelu"
        What follows each layer of the backbone.

    Returns
    -------
    tensor (B, H)

    Examples
    --------
    >>> import torch
    >>> u, h, dt, W_h = torch.ones(1, 4), torch.zeros(1, 1), torch.ones(1, 1), torch.zeros(4, 1, 1)
    >>> cfc_step(u, h, dt, W_h, torch.ones(1))
    tensor([[0.7616]])
    """
    width = W_h.shape[0] if backbone else W_h.shape[0] * W_h.shape[1]
    _fit(u, h, dt, width, W_h.shape[-1])
    return reference.cfc_step(
        u, h, dt, W_h, tau, own, sweep, backbone, mode=mode, carry=carry, activation=activation
    )  # fmt: skip


def linear_step(u: Tensor, h: Tensor, dt: Tensor, tau: Tensor) -> Tensor:
    """Solve a leak towards a target, both held over dt: `h' = a*h + (1-a)*A*f/(1+f)`, `a = exp(-dt*(1+f)/tau)`.

    Parameters
    ----------
    u : tensor (B, 2H)
        `W_f x + b_f` beside `W_A x + b_A`; f is the softplus of the one, A the tanh of the other.
    h : tensor (B, H)
        The state.
    dt : tensor (B, 1), at least 0
        The time since the previous step.
    tau : tensor (H,), above 0
        Time constants, in the unit of dt.

    Returns
    -------
    tensor (B, H)

    Examples
    --------
    >>> import torch
    >>> linear_step(torch.tensor([[0.0, 1.0]]), torch.zeros(1, 1), torch.full((1, 1), 100.0), torch.ones(1))
    tensor([[0.3118]])
    """
    _fit(u, h, dt, 2 * len(tau), len(tau))
    return reference.linear_step(u, h, dt, tau)


def mobius_step(u: Tensor, h: Tensor, dt: Tensor, tau: Tensor) -> Tensor:
    """Take LTC's fused step with one self-synapse: `h' = (h + s*c*A)/(1 + s*(1+c))`, `c = f + k*(1+h)`, `s = dt/tau`.

    Parameters
    ----------
    u : tensor (B, 3H)
        The maps of f, k and A side by side; f and k are the softplus, A the tanh of theirs.
    h : tensor (B, H)
        The state, within [-1, 1].
    dt : tensor (B, 1), at least 0
        The time since the previous step.
    tau : tensor (H,), above 0
        Time constants, in the unit of dt.

    Returns
    -------
    tensor (B, H)

    Examples
    --------
    >>> import torch
    >>> mobius_step(torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1))
    tensor([[0.3118]])
    """
    _fit(u, h, dt, 3 * len(tau), len(tau))
    return reference.mobius_step(u, h, dt, tau)


def echo_step(
    u: Tensor, h: Tensor, dt: Tensor, weight: Tensor, tau: Tensor, *, synapses: Synapses, activation: str = "tanh"
) -> Tensor:
    """Relax towards a function of few synapses: `h' = (1-a)*h + a*f(u + W h)`, `a = 1-exp(-dt/tau)`.

    Parameters
    ----------
    u : tensor (B, H)
        `W_x x + b`.
    h : tensor (B, H)
        The state.
    dt : tensor (B, 1), at least 0
        The time since the previous step.
    weight : tensor (S,)
        The synapses' weights, those of W that are there, in the order of `synapses`.
    tau : tensor (H,), above 0
        Time constants, in the unit of dt.
    synapses : Synapses
        Which synapses exist.
    activation : "tanh" or "linear"
        f.

    Returns
    -------
    tensor (B, H)

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> listed, one = ops.synapses(torch.ones(1, 1)), torch.ones(1)
    >>> echo_step(torch.zeros(1, 1), torch.ones(1, 1), torch.full((1, 1), 2.0), 0 * one, one, synapses=listed)
    tensor([[0.1353]])
    """
    H = tau.shape[0]
    _fit(u, h, dt, H, H)
    to, source = synapses.place // H, synapses.place % H
    return reference.echo_step(u, h, dt, weight, tau, to, source, activation=activation)
