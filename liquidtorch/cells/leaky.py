"""Leaky and Liquid: a tanh unit behind a leak, with a fixed or an input-dependent time constant."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .. import ops
from ..errors import check_choice
from ..wiring import Wiring
from .cell import Cell, Tau, fan_in_uniform, log_taus, masked


class Leaky(Cell):
    """Relax every unit towards a tanh of its inputs, each at its own pace.

    `u = tanh(W_x x + W_h h + b)`, `h' = (1-a)*h + a*u`, with `a = 1-exp(-dt/tau)` for `method="exact"` (the
    relaxation solved for inputs held over dt) and `a = dt/tau` for `method="euler"` (one explicit Euler step).

    Parameters
    ----------
    features : int, at least 1
        The width F of the input.
    units : int, at least 1
        The width H of the state.
    method : "exact" or "euler"
        How `a` follows from dt and tau.
    tau : float, (float, float) or tensor (H,)
        The time constants at the start, above 0, in the unit of dt: one for all, log-uniform between two, or each.
        They are learned, as `log_tau`, and stay positive.
    wiring : Wiring, optional
        Which synapses exist; its signs are not used (weights take any sign). Without it every unit feels everything.

    Raises
    ------
    OptionError
        If `method` is unknown or `tau` is not positive.
    ShapeError
        If `wiring` has other sizes.

    Notes
    -----
    One step costs H*H + F*H multiply-adds a row. The state stays in [-1, 1]; with "euler" only while dt <= tau, and it
    grows without bound where dt > 2*tau.

    Source
    ------
    Funahashi and Nakamura 1993, continuous-time recurrent networks, eq. 1; the Euler form with dt = 1 is the
    introductory "liquid time step".

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import Leaky, Recurrent
    >>> layer = Recurrent(Leaky(3, 8, tau=10.0))
    >>> y, h = layer(torch.randn(2, 5, 3), dt=0.5)
    >>> y.shape, h.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    axes = {"W_x": "HF", "W_h": "HH", "b": "H", "log_tau": "H"}  # noqa: RUF012

    def __init__(
        self, features: int, units: int, *, method: str = "exact", tau: Tau = (1.0, 100.0), wiring: Wiring | None = None
    ) -> None:
        super().__init__(features, units, tau, wiring, method=method)
        check_choice("method", method, ("exact", "euler"))
        self.method = method
        self.stable = method == "exact"
        self.W_x = fan_in_uniform((units, features), self.live_x)
        self.W_h = fan_in_uniform((units, units), self.live_h)
        self.b = nn.Parameter(torch.zeros(units))
        self.log_tau = nn.Parameter(log_taus(tau, units))

    def inputs(self, x: Tensor) -> Tensor:
        """Return `W_x x + b`, (..., H)."""
        return linear(x, masked(self.W_x, self.live_x), self.b)

    def stepper(self) -> ops.Stepper:
        """Return a compiled stepper with the weights as they are now."""
        gates = ops.leaky_gates(*self.weights(), method=self.method, synapses=self._listed("h"))
        return ops.gated_stepper(gates, masked(self.W_x, self.live_x), self.b, self.units, self.outputs)

    def weights(self) -> tuple[Tensor, Tensor]:
        """Return W_h with its dead synapses at zero, and tau."""
        return masked(self.W_h, self.live_h), self.log_tau.exp()

    def step(self, u: Tensor, h: Tensor, dt: Tensor, weights: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Return the state after one step."""
        return ops.leaky_step(u, h, dt, *(weights or self.weights()), method=self.method)

    def sequence(self, u: Tensor, h: Tensor, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> Tensor:
        """Return the state after every step, (B, T, H)."""
        options: Any = {"synapses": self._listed("h"), "lengths": lengths, "reset": reset}
        return ops.leaky(u, h, dt, *self.weights(), method=self.method, **options)


class Liquid(Cell):
    """Relax every unit towards a tanh of its inputs, at a pace the inputs and the state set: the default cell.

    `u = tanh(W_x x + W_h h + b)`, `tau(x, h) = exp(log_tau + G_x x + G_h h)`, `a = 1-exp(-dt/tau(x, h))`,
    `h' = (1-a)*h + a*u`.

    Parameters
    ----------
    features : int, at least 1
        The width F of the input.
    units : int, at least 1
        The width H of the state.
    tau : float, (float, float) or tensor (H,)
        The base time constants at the start, above 0, in the unit of dt: one for all, log-uniform between two, or
        each.
    wiring : Wiring, optional
        Which synapses exist, of W and of G; its signs are not used. Without it every unit feels everything.

    Raises
    ------
    OptionError
        If `tau` is not positive.
    ShapeError
        If `wiring` has other sizes.

    Notes
    -----
    One step costs 2*(H*H + F*H) multiply-adds a row. The state stays in [-1, 1] for every dt. The path through
    `(1-a)*h` is linear, so gradients live as long as the largest tau.

    Source
    ------
    The liquid time constant of Hasani et al. 2021 (arXiv 2006.04439), eq. 2, on a leaky tanh unit; the gate in the
    exponent is ours.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import Liquid, Recurrent
    >>> layer = Recurrent(Liquid(3, 8, tau=(1.0, 50.0)))
    >>> y, h = layer(torch.randn(2, 5, 3))
    >>> bool((layer.cell.taus() >= 1).all())
    True
    """

    axes = {"W_x": "HF", "W_h": "HH", "b": "H", "G_x": "HF", "G_h": "HH", "log_tau": "H"}  # noqa: RUF012

    def __init__(self, features: int, units: int, *, tau: Tau = (1.0, 100.0), wiring: Wiring | None = None) -> None:
        super().__init__(features, units, tau, wiring)
        self.W_x = fan_in_uniform((units, features), self.live_x)
        self.W_h = fan_in_uniform((units, units), self.live_h)
        self.b = nn.Parameter(torch.zeros(units))
        self.G_x = fan_in_uniform((units, features), self.live_x)
        self.G_h = fan_in_uniform((units, units), self.live_h)
        self.log_tau = nn.Parameter(log_taus(tau, units))

    def inputs(self, x: Tensor) -> Tensor:
        """Return `W_x x + b` beside `G_x x`, (..., 2H)."""
        return linear(x, *self._map())

    def _map(self) -> tuple[Tensor, Tensor]:
        both = torch.cat([masked(self.W_x, self.live_x), masked(self.G_x, self.live_x)])
        return both, torch.cat([self.b, torch.zeros_like(self.b)])

    def stepper(self) -> ops.Stepper:
        """Return a compiled stepper with the weights as they are now."""
        gates = ops.liquid_gates(*self.weights(), synapses=self._listed("h"))
        return ops.gated_stepper(gates, *self._map(), self.units, self.outputs)

    def weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return W_h and G_h with their dead synapses at zero, and log_tau."""
        return masked(self.W_h, self.live_h), masked(self.G_h, self.live_h), self.log_tau

    def step(self, u: Tensor, h: Tensor, dt: Tensor, weights: tuple[Tensor, Tensor, Tensor] | None = None) -> Tensor:
        """Return the state after one step."""
        return ops.liquid_step(u, h, dt, *(weights or self.weights()))

    def sequence(self, u: Tensor, h: Tensor, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> Tensor:
        """Return the state after every step, (B, T, H)."""
        return ops.liquid(u, h, dt, *self.weights(), synapses=self._listed("h"), lengths=lengths, reset=reset)
