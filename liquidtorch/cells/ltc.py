"""LTC: the liquid time-constant cell, units coupled by synaptic conductances."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from .. import ops
from ..errors import check_range
from ..wiring import Wiring
from .cell import Cell, Spec, Tau, log_taus, masked


class LTC(Cell):
    """Couple units by conductances that open with the voltage of their source (a liquid time-constant network).

    `g_ij(v) = w_ij * sigmoid(sigma_ij*(v_j - mu_ij))`; `N_i = sum_j g_ij*erev_ij`, `D_i = sum_j g_ij`, over units and,
    with weights of their own, over features. One step repeats `unfolds` times, with `s = dt/unfolds`,
    `h <- (cm*h + s*(gleak*vleak + N)) / (cm + s*(gleak + D))`.

    Parameters
    ----------
    features : int, at least 1
        The width F of the input.
    units : int, at least 1
        The width H of the state.
    unfolds : int, at least 1
        How many semi-implicit steps one dt is cut into.
    tau : float, (float, float) or tensor (H,), optional
        The time constants at the start, above 0, in the unit of dt: one for all, log-uniform between two, or each.
        The capacitance is matched to them, `cm = tau*(gleak + half of the incoming w)`, whatever the fan-in. If left
        out, `cm` starts as published (about 0.97, as in ncps 1.0.1, for steps of 1).
    wiring : Wiring, optional
        Which synapses exist; its signs are the reversal potentials `erev` at the start. Without it every synapse
        exists and two thirds of them excite.

    Raises
    ------
    OptionError
        If an option is out of range.
    ShapeError
        If `wiring` has other sizes.

    Notes
    -----
    One step costs unfolds*H*H + F*H sigmoids a row and holds (B, H, H) tensors, whatever the wiring. The state stays
    between the smallest and the largest of `vleak`, the live `erev` and the first state, for every dt. `w` and
    `gleak` are kept before a softplus and `cm` as its logarithm, so all are positive. There is no input or output
    scaling: `mu` and `sigma` can express the one, a readout the other.

    With `tau` gradients live (the norm of dh(t+20)/dh(t) is above 0.5 at 32 units; as published, below 1e-6), but the
    published start learned the adding problem better, so it is the default (benchmarks/adding.py).

    Source
    ------
    Hasani et al. 2021 (arXiv 2006.04439), eq. 1 and the fused solver of algorithm 1; written so that dt = 0 is
    allowed, without the 1e-8 ncps adds below the line.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import LTC, Recurrent
    >>> layer = Recurrent(LTC(3, 8, unfolds=3))
    >>> y, h = layer(torch.randn(2, 5, 3), dt=0.5)
    >>> y.shape
    torch.Size([2, 5, 8])
    """

    axes = {  # noqa: RUF012
        "w": "HH", "mu": "HH", "sigma": "HH", "erev": "HH",
        "w_x": "HF", "mu_x": "HF", "sigma_x": "HF", "erev_x": "HF",
        "gleak": "H", "vleak": "H", "log_cm": "H",
    }  # fmt: skip

    def __init__(
        self, features: int, units: int, *, unfolds: int = 6, tau: Tau | None = None,
        wiring: Wiring | None = None,
    ) -> None:  # fmt: skip
        unfolds = check_range("unfolds", unfolds, 1, whole=True)
        super().__init__(features, units, tau, wiring, unfolds=unfolds)
        self.unfolds = unfolds
        self._list("h", torch.ones(units, units) if wiring is None else self.live_h)
        self._list("x", torch.ones(units, features) if wiring is None else self.live_x)
        self.w, self.mu, self.sigma = _synapses((units, units))
        self.w_x, self.mu_x, self.sigma_x = _synapses((units, features))
        if wiring is None:
            erev, erev_x = _signs((units, units)), _signs((units, features))
        else:
            erev, erev_x = torch.from_numpy(wiring.recurrent.copy()), torch.from_numpy(wiring.sensory.copy())
        self.erev = nn.Parameter(erev.to(self.w.dtype))
        self.erev_x = nn.Parameter(erev_x.to(self.w.dtype))
        self.gleak = nn.Parameter(torch.empty(units).uniform_(0.001, 1.0))
        self.vleak = nn.Parameter(torch.empty(units).uniform_(-0.2, 0.2))
        if tau is None:
            log_cm = softplus(torch.empty(units).uniform_(0.4, 0.6)).log()
        else:
            with torch.no_grad():
                log_cm = log_taus(tau, units) + self._conductance().log()
        self.log_cm = nn.Parameter(log_cm)

    def _conductance(self) -> Tensor:
        """g_i = gleak_i + half of all incoming w_ij: what a unit leaks through when its synapses are half open."""
        synaptic = masked(softplus(self.w), self.live_h).sum(-1) + masked(softplus(self.w_x), self.live_x).sum(-1)
        return softplus(self.gleak) + synaptic / 2

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the state; its bounds are the present extremes of vleak, the live erev and 0, the first state."""
        with torch.no_grad():
            live = [self.vleak, torch.zeros(1, device=self.vleak.device, dtype=self.vleak.dtype)]
            for erev, mask in ((self.erev, self.live_h), (self.erev_x, self.live_x)):
                live.append(erev.flatten() if mask is None else erev[mask != 0])
            found = torch.cat(live)
        return (Spec("h", self.units, found.min().item(), found.max().item()),)

    def inputs(self, x: Tensor) -> Tensor:
        """Return the features' share of N beside that of D, (..., 2H)."""
        w_x = masked(softplus(self.w_x), self.live_x)
        return ops.ltc_synapses(x, w_x, self.mu_x, self.sigma_x, self.erev_x, synapses=self._listed("x"))

    def weights(self) -> tuple[Tensor, ...]:
        """Return w, mu, sigma, erev, gleak, vleak and cm, the conductances positive or, where dead, zero."""
        w = masked(softplus(self.w), self.live_h)
        return w, self.mu, self.sigma, self.erev, softplus(self.gleak), self.vleak, self.log_cm.exp()

    def step(self, u: Tensor, h: Tensor, dt: Tensor, weights: tuple[Tensor, ...] | None = None) -> Tensor:
        """Return the state after one step."""
        return ops.ltc_step(u, h, dt, *(weights or self.weights()), unfolds=self.unfolds)

    def sequence(self, u: Tensor, h: Tensor, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> Tensor:
        """Return the state after every step, (B, T, H)."""
        options: Any = {"synapses": self._listed("h"), "lengths": lengths, "reset": reset}
        return ops.ltc(u, h, dt, *self.weights(), unfolds=self.unfolds, **options)

    @torch.no_grad()
    def stepper(self) -> ops.Stepper:
        """Return a compiled stepper with the weights as they are now."""
        w_x = masked(softplus(self.w_x), self.live_x)
        features: Any = self._listed("x"), (w_x, self.mu_x, self.sigma_x, self.erev_x)
        weights = self.weights()
        units: Any = self._listed("h"), weights[:4]
        sizes = {"features": self.features, "unfolds": self.unfolds, "outputs": self.outputs}
        return ops.ltc_stepper(features, units, *weights[4:], **sizes)

    def _relist(self) -> None:
        super()._relist()
        self._list("x", self.live_x)

    def taus(self) -> Tensor:
        """Return cm / g, the time constant of every unit with its synapses half open, (H,), in the unit of dt."""
        with torch.no_grad():
            return self.log_cm.exp() / self._conductance()

    @torch.no_grad()
    def scale_time(self, c: float) -> None:
        """Become, in place, the same network for a dt given in a unit c times finer (dt becomes c*dt)."""
        check_range("c", c, 0, open_low=True)
        self.log_cm += math.log(c)


def _synapses(shape: tuple[int, int]) -> tuple[nn.Parameter, nn.Parameter, nn.Parameter]:
    """Return w (before its softplus), mu and sigma in the ranges ncps 1.0.1 starts from."""
    w, mu, sigma = (torch.empty(shape).uniform_(*span) for span in ((0.001, 1.0), (0.3, 0.8), (3.0, 8.0)))
    return nn.Parameter(w), nn.Parameter(mu), nn.Parameter(sigma)


def _signs(shape: tuple[int, int]) -> Tensor:
    """Return reversal potentials, two thirds +1 and one third -1."""
    return torch.where(torch.rand(shape) < 2 / 3, 1.0, -1.0)
