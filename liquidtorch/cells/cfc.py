"""CfC: the closed-form continuous-time cell, dense, behind a backbone, or swept along a wiring."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .. import ops
from ..errors import OptionError, check_choice, check_range
from ..wiring import Wiring
from .cell import Cell, Spec, Tau, log_taus, masked

HEADS = {"default": 4, "no_gate": 4, "pure": 1}  # ff1, ff2, time_a, time_b; pure has ff1 alone


SWEEP = ("inter", "command", "motor")


class CfC(Cell):
    """Jump to a closed-form approximation of the liquid time-constant cell at the elapsed time.

    With `z` the heads' linear maps of (x, h) or of a backbone's output, and `s = dt/tau`:
    "default" `g = sigmoid(time_a*s + time_b)`, `u = (1-g)*tanh(ff1) + g*tanh(ff2)`;
    "no_gate" `u = tanh(ff1) + g*tanh(ff2)`; "pure" `u = A - A*exp(-s*(|w_tau| + |ff1|))*ff1`.
    `h' = u`, or with `carry` `a = 1-exp(-s*exp(-gate))`, `h' = (1-a)*h + a*u`, where `gate` is one more head.

    Parameters
    ----------
    features : int, at least 1
        The width F of the input.
    units : int, at least 1
        The width H of the state.
    mode : "default", "pure" or "no_gate"
        Which of the published forms.
    carry : bool
        Keep a share of the old state through Liquid's gate, so that memory and gradients survive many steps.
    backbone : (int, int), optional
        Units and layers of a shared network before the heads; without it the heads see (x, h) themselves.
    activation : "lecun_tanh", "tanh", "relu", "silu" or "gelu", optional
        What follows each layer of the backbone: "lecun_tanh" unless given, and given only with a backbone.
    tau : float, (float, float) or tensor (H,)
        The units' time constants at the start, above 0, in the unit of dt: one for all, log-uniform between two, or
        each. The published cell has tau = 1 for all.
    wiring : Wiring, optional
        Which synapses exist, for every head alike. One step sweeps inter, then command, then motor units, and each
        group sees what the groups before it have just become. Its signs are not used.

    Raises
    ------
    OptionError
        If an option is unknown or out of range, or options exclude each other (backbone and wiring; an activation
        without a backbone).
    ShapeError
        If `wiring` has other sizes.

    Notes
    -----
    One step costs 4*(H*H + F*H) multiply-adds a row (pure: a quarter; carry: a head more). Only with `carry` does
    dt = 0 leave the state unchanged; the published forms are no flow. The state stays in [-1, 1] ("default"), in
    [-2, 2] ("no_gate"), and without bounds in "pure".

    Source
    ------
    Hasani et al. 2022 (Nature Machine Intelligence 4, 992), eq. 3 ("pure") and 4 in the form ncps 1.0.1 gives them,
    with time_b; there a wiring masks ff1 and ff2 only. `A = 1` and `w_tau = 0` at the start as published. `carry` and
    `tau` are ours.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import CfC, Recurrent
    >>> layer = Recurrent(CfC(3, 8, backbone=(16, 1), carry=True))
    >>> y, h = layer(torch.randn(2, 5, 3), dt=torch.rand(2, 5))
    >>> y.shape
    torch.Size([2, 5, 8])
    """

    def __init__(
        self, features: int, units: int, *, mode: str = "default", carry: bool = False,
        backbone: tuple[int, int] | None = None, activation: str | None = None, tau: Tau = (1.0, 100.0),
        wiring: Wiring | None = None,
    ) -> None:  # fmt: skip
        check_choice("mode", mode, HEADS)
        if activation is not None and backbone is None:
            raise OptionError(f"`activation` must be left out without a backbone; got {activation!r}.")
        if backbone is not None and wiring is not None:
            raise OptionError("`backbone` must be None with a wiring (it would mix what the wiring keeps apart).")
        activation = activation or "lecun_tanh"
        check_choice("activation", activation, ops.ACTIVATIONS)
        options = {"mode": mode, "carry": carry}
        if backbone is not None:
            width, layers = backbone
            width = check_range("backbone[0]", width, 1, whole=True)
            backbone = width, check_range("backbone[1]", layers, 1, whole=True)
            options |= {"backbone": list(backbone), "activation": activation}
        super().__init__(features, units, tau, wiring, **options)
        self.mode, self.carry, self.activation = mode, bool(carry), activation
        self.continuous = self.carry
        heads = HEADS[mode] + self.carry
        if backbone is None:
            self._heads_of_x_and_h(heads)
        else:
            self._heads_of_a_backbone(heads, *backbone)
        if mode == "pure":
            self.A = nn.Parameter(torch.ones(units))
            self.w_tau = nn.Parameter(torch.zeros(units))
        self.log_tau = nn.Parameter(log_taus(tau, units))
        self._place_sweep()

    def _heads_of_x_and_h(self, heads: int) -> None:
        sources = self.features + self.units
        self.W_x = _xavier((heads, self.units, self.features), sources)
        self.W_h = _xavier((heads, self.units, self.units), sources)
        self.b = _bias((heads, self.units), sources)
        self.layers, self.axes = 0, {"W_x": "KHF", "W_h": "KHH", "b": "KH", **self._own_axes()}

    def _heads_of_a_backbone(self, heads: int, width: int, layers: int) -> None:
        sources = self.features + self.units
        self.W_x = _xavier((width, self.features), sources)
        self.W_h = _xavier((width, self.units), sources)
        self.b = _bias((width,), sources)
        self.inner_W = nn.ParameterList(_xavier((width, width), width) for _ in range(layers - 1))
        self.inner_b = nn.ParameterList(_bias((width,), width) for _ in range(layers - 1))
        self.head_W = _xavier((heads, self.units, width), width)
        self.head_b = _bias((heads, self.units), width)
        self.layers, self.axes = layers, {"W_h": "ZH", "head_W": "KHZ", "head_b": "KH", **self._own_axes()}

    def _own_axes(self) -> dict[str, str]:
        return {"log_tau": "H"} | ({"A": "H", "w_tau": "H"} if self.mode == "pure" else {})

    def _place_sweep(self) -> None:
        """Keep the unit numbers of each role in the order of the sweep."""
        self.groups = 0
        roles = () if self.wiring is None else self.wiring.roles
        found = [[i for i, r in enumerate(roles) if r == role] for role in SWEEP if role in roles]
        if len(found) > 1:
            self.groups = len(found)
            for i, units in enumerate(found):
                self.register_buffer(f"group_{i}", torch.tensor(units), persistent=False)
            self._relist()

    def _relist(self) -> None:
        self._list("h", self.live_h, self._sweep())

    def _sweep(self) -> tuple[Tensor, ...]:
        return tuple(self.get_buffer(f"group_{i}") for i in range(self.groups))

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the state: one tensor `h` (B, H) and the bounds of the mode."""
        bound = {"default": 1.0, "no_gate": 2.0, "pure": math.inf}[self.mode]
        return (Spec("h", self.units, -bound, bound),)

    def inputs(self, x: Tensor) -> Tensor:
        """Return x's share of every head's map, (..., heads*H), or of the backbone's first layer."""
        return linear(x, *self._map())

    def _map(self) -> tuple[Tensor, Tensor]:
        if self.layers:
            return self.W_x, self.b
        return masked(self.W_x, self.live_x).flatten(0, 1), self.b.flatten()

    def stepper(self) -> ops.Stepper:
        """Return a compiled stepper with the weights as they are now."""
        options: Any = {"mode": self.mode, "carry": self.carry, "activation": self.activation}
        gates = ops.cfc_gates(*self.weights(), **options, synapses=self._listed("h"))
        return ops.gated_stepper(gates, *self._map(), self.units, self.outputs)

    def weights(self) -> tuple[Any, ...]:
        """Return W_h, tau, (A, w_tau), the groups of the sweep, and the layers after the backbone's first."""
        own = (self.A, self.w_tau) if self.mode == "pure" else ()
        if not self.layers:
            return masked(self.W_h, self.live_h), self.log_tau.exp(), own, self._sweep(), ()
        heads = (self.head_W.flatten(0, 1), self.head_b.flatten())
        return self.W_h, self.log_tau.exp(), own, (), (*zip(self.inner_W, self.inner_b, strict=True), heads)

    def step(self, u: Tensor, h: Tensor, dt: Tensor, weights: tuple[Any, ...] | None = None) -> Tensor:
        """Return the state after one step."""
        return ops.cfc_step(
            u, h, dt, *(weights or self.weights()), mode=self.mode, carry=self.carry, activation=self.activation
        )

    def sequence(self, u: Tensor, h: Tensor, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> Tensor:
        """Return the state after every step, (B, T, H)."""
        options: Any = {"mode": self.mode, "carry": self.carry, "activation": self.activation}
        options |= {"synapses": self._listed("h"), "lengths": lengths, "reset": reset}
        return ops.cfc(u, h, dt, *self.weights(), **options)


def _xavier(shape: tuple[int, ...], sources: int) -> nn.Parameter:
    """Return weights within sqrt(6/(sources + targets)) (Glorot and Bengio 2010, eq. 16), as CfC was published."""
    bound = math.sqrt(6 / (sources + shape[-2]))
    return nn.Parameter((2 * torch.rand(shape) - 1) * bound)


def _bias(shape: tuple[int, ...], sources: int) -> nn.Parameter:
    return nn.Parameter((2 * torch.rand(shape) - 1) / math.sqrt(sources))
