"""Linear and Mobius: cells whose units feel only the input and themselves, so time can be scanned in parallel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .. import ops
from ..wiring import Wiring
from .cell import Cell, Tau, fan_in_uniform, log_taus, no_wiring


class Linear(Cell):
    """Gate a leak and a target by the input alone: linear in the state, solved exactly for any dt.

    `f = softplus(W_f x + b_f)`, `A = tanh(W_A x + b_A)`, `r = (1 + f)/tau`, `a = exp(-dt*r)`,
    `h' = a*h + (1-a)*A*f/(1 + f)`.

    Parameters
    ----------
    features : int, at least 1
        The width F of the input.
    units : int, at least 1
        The width H of the state.
    tau : float, (float, float) or tensor (H,)
        The time constants at the start with the gate shut (f = 0), above 0, in the unit of dt: one for all,
        log-uniform between two, or each.
    wiring : None
        Units do not feel one another, so there is nothing to wire.

    Raises
    ------
    OptionError
        If `tau` is not positive or a `wiring` is given.

    Notes
    -----
    One step costs 2*F*H multiply-adds a row. The state stays in [-1, 1] for every dt. f counts in units of 1/tau, so
    the law of dt/tau holds exactly.

    Source
    ------
    Hasani et al. 2021 (arXiv 2006.04439), eq. 1, with f and A of the input only, integrated exactly for an input held
    over dt; f is measured in units of 1/tau.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import Linear, Recurrent
    >>> layer = Recurrent(Linear(3, 8))
    >>> y, h = layer(torch.randn(2, 5, 3))
    >>> bool((y.abs() <= 1).all())
    True
    """

    axes = {"W_f": "HF", "b_f": "H", "W_A": "HF", "b_A": "H", "log_tau": "H"}  # noqa: RUF012

    def __init__(self, features: int, units: int, *, tau: Tau = (1.0, 100.0), wiring: Wiring | None = None) -> None:
        no_wiring(wiring, "Linear")
        super().__init__(features, units, tau)
        self.W_f = fan_in_uniform((units, features))
        self.b_f = nn.Parameter(torch.zeros(units))
        self.W_A = fan_in_uniform((units, features))
        self.b_A = nn.Parameter(torch.zeros(units))
        self.log_tau = nn.Parameter(log_taus(tau, units))

    def inputs(self, x: Tensor) -> Tensor:
        """Return the maps of f and A side by side, (..., 2H)."""
        return linear(x, *self._map())

    def _map(self) -> tuple[Tensor, Tensor]:
        return torch.cat([self.W_f, self.W_A]), torch.cat([self.b_f, self.b_A])

    def stepper(self) -> ops.Stepper:
        """Return a compiled stepper with the weights as they are now."""
        return ops.diagonal_stepper("linear", *self._map(), *self.weights())

    def weights(self) -> tuple[Tensor]:
        """Return tau."""
        return (self.log_tau.exp(),)

    def step(self, u: Tensor, h: Tensor, dt: Tensor, weights: tuple[Tensor] | None = None) -> Tensor:
        """Return the state after one step."""
        return ops.linear_step(u, h, dt, *(weights or self.weights()))

    def sequence(self, u: Tensor, h: Tensor, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> Tensor:
        """Return the state after every step, (B, T, H)."""
        return ops.linear(u, h, dt, *self.weights(), lengths=lengths, reset=reset)


class Mobius(Cell):
    """Take LTC's fused step with one synapse from each unit to itself: nonlinear, yet a scan of 2x2 matrices.

    `f = softplus(W_f x + b_f)`, `k = softplus(W_k x + b_k)`, `A = tanh(W_A x + b_A)`, `c = f + k*(1 + h)`,
    `s = dt/tau`, `h' = (h + s*c*A) / (1 + s*(1 + c))`.

    Parameters
    ----------
    features : int, at least 1
        The width F of the input.
    units : int, at least 1
        The width H of the state.
    tau : float, (float, float) or tensor (H,)
        The time constants at the start with no conductance (c = 0), above 0, in the unit of dt: one for all,
        log-uniform between two, or each.
    wiring : None
        Units do not feel one another, so there is nothing to wire.

    Raises
    ------
    OptionError
        If `tau` is not positive or a `wiring` is given.

    Notes
    -----
    One step costs 3*F*H multiply-adds a row. The state stays in [-1, 1] for every dt: there c is never negative and
    h' is an average of h, 0 and A. The step is the fraction `(m11*h + m12)/(m21*h + m22)`, so steps compose as
    matrices.

    Source
    ------
    The fused solver of Hasani et al. 2021 (arXiv 2006.04439), algorithm 1, for a conductance affine in the unit's own
    state; that this makes it a Mobius map is our own observation.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import Mobius, Recurrent
    >>> layer = Recurrent(Mobius(3, 8))
    >>> y, h = layer(torch.randn(2, 5, 3), dt=torch.rand(2, 5))
    >>> bool((y.abs() <= 1).all())
    True
    """

    axes = {  # noqa: RUF012
        "W_f": "HF", "b_f": "H", "W_k": "HF", "b_k": "H", "W_A": "HF", "b_A": "H", "log_tau": "H",
    }  # fmt: skip

    def __init__(self, features: int, units: int, *, tau: Tau = (1.0, 100.0), wiring: Wiring | None = None) -> None:
        no_wiring(wiring, "Mobius")
        super().__init__(features, units, tau)
        self.W_f = fan_in_uniform((units, features))
        self.b_f = nn.Parameter(torch.zeros(units))
        self.W_k = fan_in_uniform((units, features))
        self.b_k = nn.Parameter(torch.zeros(units))
        self.W_A = fan_in_uniform((units, features))
        self.b_A = nn.Parameter(torch.zeros(units))
        self.log_tau = nn.Parameter(log_taus(tau, units))

    def inputs(self, x: Tensor) -> Tensor:
        """Return the maps of f, k and A side by side, (..., 3H)."""
        return linear(x, *self._map())

    def _map(self) -> tuple[Tensor, Tensor]:
        return torch.cat([self.W_f, self.W_k, self.W_A]), torch.cat([self.b_f, self.b_k, self.b_A])

    def stepper(self) -> ops.Stepper:
        """Return a compiled stepper with the weights as they are now."""
        return ops.diagonal_stepper("mobius", *self._map(), *self.weights())

    def weights(self) -> tuple[Tensor]:
        """Return tau."""
        return (self.log_tau.exp(),)

    def step(self, u: Tensor, h: Tensor, dt: Tensor, weights: tuple[Tensor] | None = None) -> Tensor:
        """Return the state after one step."""
        return ops.mobius_step(u, h, dt, *(weights or self.weights()))

    def sequence(self, u: Tensor, h: Tensor, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> Tensor:
        """Return the state after every step, (B, T, H)."""
        return ops.mobius(u, h, dt, *self.weights(), lengths=lengths, reset=reset)
