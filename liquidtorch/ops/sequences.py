"""The functions every layer calls: a cell over a whole sequence, by a kernel where one fits, else by its reference.

Shapes: `u` (B, T, U) all that depends on the input alone, `h` (B, H) the state before the first step, `dt` (B, T) the
time since the previous step. The result is the state after every step, (B, T, H). From a row's length on its state is
frozen; just before the steps that `reset` marks it is 0 again. Weights are (to, from).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import check_choice, check_range
from . import reference
from .choice import pick
from .loop import over
from .shapes import backbone_shapes, fit, fit_sequence, fit_sweep, own_shapes
from .synapses import Synapses


def leaky(
    u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, tau: Tensor, *, method: str = "exact",
    synapses: Synapses | None = None, lengths: Tensor | None = None, reset: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Run `leaky_step` over a sequence.

    Parameters
    ----------
    u : tensor (B, T, H)
        `W_x x + b`.
    h : tensor (B, H)
        The state before the first step.
    dt : tensor (B, T), at least 0
        The time since the previous step.
    W_h : tensor (H, H)
        Recurrent weights, 0 where there is no synapse.
    tau : tensor (H,), above 0
        Time constants, in the unit of dt.
    method : "exact" or "euler"
        As in `leaky_step`.
    synapses : Synapses, optional
        Which synapses exist; all, if left out.
    lengths : tensor (B,) of whole numbers, optional
        Where each row ends.
    reset : tensor (B, T) of bool, optional
        Before which steps the state is 0 again.

    Returns
    -------
    tensor (B, T, H)

    Raises
    ------
    ShapeError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> ops.leaky(torch.zeros(1, 2, 1), torch.ones(1, 1), torch.ones(1, 2), torch.zeros(1, 1), torch.ones(1)).flatten()
    tensor([0.3679, 0.1353])
    """
    H = W_h.shape[-1]
    check_choice("method", method, ("exact", "euler"))
    fit_sequence(u, h, dt, H, H, lengths, reset, synapses)
    fit({"W_h": (W_h, (H, H)), "tau": (tau, (H,))})
    fast = pick("leaky", h, (dt, W_h, tau))
    if fast:
        return fast.leaky(u, h, dt, W_h, tau, method=method, synapses=synapses, lengths=lengths, reset=reset)

    def step(u: Tensor, h: tuple[Tensor, ...], dt: Tensor) -> tuple[Tensor, ...]:
        return (reference.leaky_step(u, h[0], dt, W_h, tau, method=method),)

    return over(step, u, [h], dt, lengths, reset)[0]


def liquid(
    u: Tensor, h: Tensor, dt: Tensor, W_h: Tensor, G_h: Tensor, log_tau: Tensor, *,
    synapses: Synapses | None = None, lengths: Tensor | None = None, reset: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Run `liquid_step` over a sequence.

    Parameters
    ----------
    u : tensor (B, T, 2H)
        `W_x x + b` beside `G_x x`.
    h, dt, synapses, lengths, reset
        As in `leaky`.
    W_h, G_h : tensor (H, H)
        Recurrent weights of the target and of the gate, 0 where there is no synapse.
    log_tau : tensor (H,)
        Logarithms of the base time constants.

    Returns
    -------
    tensor (B, T, H)

    Raises
    ------
    ShapeError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> W, h = torch.zeros(1, 1), torch.ones(1, 1)
    >>> ops.liquid(torch.zeros(1, 2, 2), h, torch.ones(1, 2), W, W, torch.zeros(1)).flatten()
    tensor([0.3679, 0.1353])
    """
    H = W_h.shape[-1]
    fit_sequence(u, h, dt, 2 * H, H, lengths, reset, synapses)
    fit({"W_h": (W_h, (H, H)), "G_h": (G_h, (H, H)), "log_tau": (log_tau, (H,))})
    fast = pick("liquid", h, (dt, W_h, G_h, log_tau))
    if fast:
        return fast.liquid(u, h, dt, W_h, G_h, log_tau, synapses=synapses, lengths=lengths, reset=reset)

    def step(u: Tensor, h: tuple[Tensor, ...], dt: Tensor) -> tuple[Tensor, ...]:
        return (reference.liquid_step(u, h[0], dt, W_h, G_h, log_tau),)

    return over(step, u, [h], dt, lengths, reset)[0]


def ltc_synapses(
    x: Tensor, w: Tensor, mu: Tensor, sigma: Tensor, erev: Tensor, *, synapses: Synapses | None = None
) -> Tensor:
    """Sum the conductances that features open: `N_i = sum_j g_ij*erev_ij`, `D_i = sum_j g_ij`.

    `g_ij = w_ij * sigmoid(sigma_ij*(x_j - mu_ij))` (Hasani 2021, eq. 1).

    Parameters
    ----------
    x : tensor (..., F)
        The features.
    w, mu, sigma, erev : tensor (H, F)
        Conductance (at least 0, 0 where there is no synapse), midpoint, slope and reversal potential.
    synapses : Synapses, optional
        Which synapses exist; all, if left out.

    Returns
    -------
    tensor (..., 2H)
        N beside D.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> one = torch.ones(1, 1)
    >>> ops.ltc_synapses(one, one, one, one, -one)
    tensor([[-0.5000,  0.5000]])
    """
    H, F = w.shape
    fit({"x": (x, (*x.shape[:-1], F)), "mu": (mu, (H, F)), "sigma": (sigma, (H, F)), "erev": (erev, (H, F))})
    fast = pick("ltc_synapses", x, (w, mu, sigma, erev))
    if fast:
        return fast.ltc_synapses(x, w, mu, sigma, erev, synapses=synapses)
    return torch.cat(reference.ltc_synapses(x, w, mu, sigma, erev), dim=-1)


def ltc(
    u: Tensor, h: Tensor, dt: Tensor,
    w: Tensor, mu: Tensor, sigma: Tensor, erev: Tensor, gleak: Tensor, vleak: Tensor, cm: Tensor, *, unfolds: int = 6,
    synapses: Synapses | None = None, lengths: Tensor | None = None, reset: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Run `ltc_step` over a sequence.

    Parameters
    ----------
    u : tensor (B, T, 2H)
        N beside D of the features, from `ltc_synapses`.
    h, dt, synapses, lengths, reset
        As in `leaky`.
    w, mu, sigma, erev : tensor (H, H)
        Conductance (at least 0, 0 where there is no synapse), midpoint, slope and reversal potential.
    gleak, vleak, cm : tensor (H,)
        Leak conductance, resting voltage and capacitance of every unit; gleak and cm above 0.
    unfolds : int, at least 1
        How many steps dt is cut into.

    Returns
    -------
    tensor (B, T, H)

    Raises
    ------
    ShapeError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> none, one, h = torch.zeros(1, 1), torch.ones(1), torch.ones(1, 1)
    >>> ops.ltc(torch.zeros(1, 1, 2), h, torch.ones(1, 1), none, none, none, none, one, 0 * one, one)
    tensor([[[0.3966]]])
    """
    H = w.shape[-1]
    check_range("unfolds", unfolds, 1, whole=True)
    fit_sequence(u, h, dt, 2 * H, H, lengths, reset, synapses)
    fit({"w": (w, (H, H)), "mu": (mu, (H, H)), "sigma": (sigma, (H, H)), "erev": (erev, (H, H))})
    fit({"gleak": (gleak, (H,)), "vleak": (vleak, (H,)), "cm": (cm, (H,))})
    fast = pick("ltc", h, (dt, w, mu, sigma, erev, gleak, vleak, cm))
    if fast:
        return fast.ltc(
            u, h, dt, w, mu, sigma, erev, gleak, vleak, cm, unfolds=unfolds, synapses=synapses, lengths=lengths,
            reset=reset,
        )  # fmt: skip

    def step(u: Tensor, h: tuple[Tensor, ...], dt: Tensor) -> tuple[Tensor, ...]:
        return (reference.ltc_step(u, h[0], dt, w, mu, sigma, erev, gleak, vleak, cm, unfolds=unfolds),)

    return over(step, u, [h], dt, lengths, reset)[0]


def cfc(
    u: Tensor, h: Tensor, dt: Tensor,
    W_h: Tensor, tau: Tensor, own: Sequence[Tensor] = (), sweep: Sequence[Tensor] = (),
    backbone: Sequence[tuple[Tensor, Tensor]] = (), *,
    mode: str = "default", carry: bool = False, activation: str = "lecun_tanh",
    synapses: Synapses | None = None, lengths: Tensor | None = None, reset: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Run `cfc_step` over a sequence.

    Parameters
    ----------
    u : tensor (B, T, K*H) or, with a backbone, (B, T, Z)
        x's share of the heads' maps, or of the backbone's first layer.
    h, dt, synapses, lengths, reset
        As in `leaky`; `synapses` are listed with the same `sweep`.
    W_h, tau, own, sweep, backbone, mode, carry, activation
        As in `cfc_step`.

    Returns
    -------
    tensor (B, T, H)

    Raises
    ------
    ShapeError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> u, h, dt, W_h = torch.ones(1, 1, 4), torch.zeros(1, 1), torch.ones(1, 1), torch.zeros(4, 1, 1)
    >>> ops.cfc(u, h, dt, W_h, torch.ones(1))
    tensor([[[0.7616]]])
    """
    H = W_h.shape[-1]
    check_choice("mode", mode, ("default", "no_gate", "pure"))
    check_choice("activation", activation, reference.ACTIVATIONS)
    heads = (1 if mode == "pure" else 4) + carry
    fit_sequence(u, h, dt, W_h.shape[0] if backbone else heads * H, H, lengths, reset, synapses)
    maps = backbone_shapes(W_h, backbone, heads) if backbone else {"W_h": (W_h, (heads, H, H))}
    params = maps | {"tau": (tau, (H,))} | own_shapes(own, H, 2 if mode == "pure" else 0)
    fit(params)
    fit_sweep(sweep, H)
    fast = pick("cfc", h, (dt, W_h, *(p for p, _ in params.values())), len(backbone))
    if fast:
        return fast.cfc(
            u, h, dt, W_h, tau, own, sweep, backbone, mode=mode, carry=carry, activation=activation,
            synapses=synapses, lengths=lengths, reset=reset,
        )  # fmt: skip

    def step(u: Tensor, h: tuple[Tensor, ...], dt: Tensor) -> tuple[Tensor, ...]:
        more = (sweep, backbone)
        return (reference.cfc_step(u, h[0], dt, W_h, tau, own, *more, mode=mode, carry=carry, activation=activation),)

    return over(step, u, [h], dt, lengths, reset)[0]


def linear(
    u: Tensor, h: Tensor, dt: Tensor, tau: Tensor, *, lengths: Tensor | None = None, reset: Tensor | None = None
) -> Tensor:  # fmt: skip
    """Run `linear_step` over a sequence.

    Parameters
    ----------
    u : tensor (B, T, 2H)
        `W_f x + b_f` beside `W_A x + b_A`.
    h, dt, lengths, reset
        As in `leaky`.
    tau : tensor (H,), above 0
        Time constants, in the unit of dt.

    Returns
    -------
    tensor (B, T, H)

    Raises
    ------
    ShapeError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> ops.linear(torch.tensor([[[0.0, 1.0]]]), torch.zeros(1, 1), torch.full((1, 1), 100.0), torch.ones(1))
    tensor([[[0.3118]]])
    """
    H = tau.shape[0]
    fit_sequence(u, h, dt, 2 * H, H, lengths, reset)
    fast = pick("linear", h, (dt, tau))
    if fast:
        return fast.linear(u, h, dt, tau, lengths=lengths, reset=reset)
    return over(lambda u, h, dt: (reference.linear_step(u, h[0], dt, tau),), u, [h], dt, lengths, reset)[0]


def mobius(
    u: Tensor, h: Tensor, dt: Tensor, tau: Tensor, *, lengths: Tensor | None = None, reset: Tensor | None = None
) -> Tensor:  # fmt: skip
    """Run `mobius_step` over a sequence.

    Parameters
    ----------
    u : tensor (B, T, 3H)
        The maps of f, k and A side by side.
    h, dt, lengths, reset
        As in `leaky`.
    tau : tensor (H,), above 0
        Time constants, in the unit of dt.

    Returns
    -------
    tensor (B, T, H)

    Raises
    ------
    ShapeError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> ops.mobius(torch.tensor([[[0.0, 0.0, 1.0]]]), torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1))
    tensor([[[0.3118]]])
    """
    H = tau.shape[0]
    fit_sequence(u, h, dt, 3 * H, H, lengths, reset)
    fast = pick("mobius", h, (dt, tau))
    if fast:
        return fast.mobius(u, h, dt, tau, lengths=lengths, reset=reset)
    return over(lambda u, h, dt: (reference.mobius_step(u, h[0], dt, tau),), u, [h], dt, lengths, reset)[0]


def echo(
    u: Tensor, h: Tensor, dt: Tensor, weight: Tensor, tau: Tensor, *, synapses: Synapses, activation: str = "tanh",
    lengths: Tensor | None = None, reset: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Run `echo_step` over a sequence: by a kernel where no gradient is asked for, else by the reference.

    Parameters
    ----------
    u : tensor (B, T, H)
        `W_x x + b`.
    h, dt, lengths, reset
        As in `leaky`.
    weight : tensor (S,)
        The synapses' weights, in the order of `synapses`.
    tau : tensor (H,), above 0
        Time constants, in the unit of dt.
    synapses : Synapses
        Which synapses exist.
    activation : "tanh" or "linear"
        What the sum of a unit's inputs goes through.

    Returns
    -------
    tensor (B, T, H)

    Raises
    ------
    ShapeError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> listed, one = ops.synapses(torch.ones(1, 1)), torch.ones(1)
    >>> ops.echo(torch.zeros(1, 2, 1), torch.ones(1, 1), torch.ones(1, 2), 0 * one, one, synapses=listed).flatten()
    tensor([0.3679, 0.1353])
    """
    H = tau.shape[0]
    check_choice("activation", activation, ("tanh", "linear"))
    fit_sequence(u, h, dt, H, H, lengths, reset, synapses)
    fit({"weight": (weight, tuple(synapses.place.shape)), "tau": (tau, (H,))})
    fast = pick("echo", h, (dt, weight, tau), moved=(u, h, dt, weight, tau))
    if fast:
        return fast.echo(
            u, h, dt, weight, tau, synapses=synapses, activation=activation, lengths=lengths, reset=reset
        )  # fmt: skip
    to, source = synapses.place // H, synapses.place % H

    def step(u: Tensor, h: tuple[Tensor, ...], dt: Tensor) -> tuple[Tensor, ...]:
        return (reference.echo_step(u, h[0], dt, weight, tau, to, source, activation=activation),)

    return over(step, u, [h], dt, lengths, reset)[0]
