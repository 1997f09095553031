"""One row, one step, from NumPy to NumPy: a network on a running device, with nothing of PyTorch in the path."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import OptionError, ShapeError
from . import cpu
from .diagonal import KINDS
from .events import SpikingRows
from .gated import forward_arguments, parts_of
from .library import Arguments, entry, integers, pack, padded, pointers, team
from .reference import Spiking
from .sparse import arguments_of
from .synapses import Synapses

LEARNED = ("maps", "own", "biases")  # of cpu.Gates


class Kernel(NamedTuple):
    """What a step is in C: for a kernel that takes one on its way."""

    function: Any  # of the library: function(address of the struct, dt)
    struct: Arguments
    x: np.ndarray  # where it reads its input
    state: np.ndarray  # where it reads and writes its state, whose beginning is its output
    outputs: int


class Stepper:
    """Advance one row by one step: `y = stepper(x, dt)`.

    Parameters
    ----------
    features : int
        The width F of x.
    advance : function of (x, dt)
        Takes one step and returns y, without looking whether x and dt are what they should be.
    reset : function
        Puts the state back to what it is before the first step.
    state : array or None
        What it remembers from step to step, live: to be read and written between steps. None where it is out of reach.
    kernel : Kernel or None
        The step in C, where it is one call.

    Notes
    -----
    The weights are those at the time it was made: later training does not reach it. Not for several threads at once.
    """

    def __init__(
        self, features: int, advance: Callable[[np.ndarray, float], np.ndarray], reset: Callable[[], None],
        state: np.ndarray | None = None, kernel: Kernel | None = None,
    ) -> None:  # fmt: skip
        self.features, self._shape = features, (features,)
        self.advance, self.reset, self.state, self.kernel = advance, reset, state, kernel

    def __call__(self, x: np.ndarray, dt: float = 1.0) -> np.ndarray:
        """Take one step.

        Parameters
        ----------
        x : array (F,)
            The input at this step.
        dt : float, at least 0
            The time since the previous step.

        Returns
        -------
        array (outputs,)
            A new one each time.

        Raises
        ------
        ShapeError
            If x is no array (F,).
        OptionError
            If dt is negative or not finite.
        """
        if getattr(x, "shape", None) != self._shape:
            raise ShapeError(f"`x` must be an array of the shape {self._shape}; got {_told(x)}.")
        if not 0 <= dt < math.inf:
            raise OptionError(f"`dt` must be finite and at least 0; got {dt!r}.")
        return self.advance(x, dt)


def _told(x: object) -> str:
    return str(x.shape) if isinstance(x, np.ndarray | Tensor) else type(x).__name__


class GatedStep(Arguments):
    """The struct of csrc/step.h."""

    _fields_ = [*integers("F width"), *pointers("x packed b u dt scratch dense wired")]  # noqa: RUF012


class ScanStep(Arguments):
    """The struct of csrc/step.h."""

    _fields_ = [*integers("F H kind"), *pointers("x packed b rate u h")]  # noqa: RUF012


class EchoStep(Arguments):
    """The struct of csrc/step.h."""

    _fields_ = [*integers("F"), *pointers("x packed b u dt scratch echo")]  # noqa: RUF012


class List(Arguments):
    """The struct of csrc/step.h."""

    _fields_ = [*integers("S"), *pointers("start source a b w we D N")]  # noqa: RUF012


class LTCStep(Arguments):
    """The struct of csrc/step.h."""

    _fields_ = [  # noqa: RUF012
        *integers("F H unfolds"),
        ("features", List),
        ("units", List),
        *pointers("x gleak gv cm h above below"),
    ]


def _compiled(name: str, arguments: Arguments, x: Tensor, h: Tensor, outputs: int) -> Stepper:
    function, at = entry(f"{name}_step", x.dtype), ctypes.byref(arguments)  # which keeps them alive
    row, state, shown = x.numpy(), h.numpy(), h.numpy()[:outputs]

    def advance(x: np.ndarray, dt: float) -> np.ndarray:
        row[:] = x
        function(at, dt)
        return shown.copy()

    def reset() -> None:
        state.fill(0)

    return Stepper(len(row), advance, reset, state, Kernel(function, arguments, row, state, outputs))


def _room(like: Tensor, size: int) -> Tensor:
    return like.new_zeros(padded(size, like.dtype))


@torch.no_grad()
def gated_stepper(gates: cpu.Gates, W_x: Tensor, b: Tensor | None, units: int, outputs: int) -> Stepper:
    """Return a stepper of Leaky, Liquid or CfC: u = W_x x + b, then the family `Gated`."""
    gates = gates._replace(**{part: [p.detach().clone() for p in getattr(gates, part)] for part in LEARNED})
    h, dt, x, u = W_x.new_zeros(units), W_x.new_zeros(1), W_x.new_zeros(W_x.shape[1]), _room(W_x, len(W_x))
    seen = [u[: len(W_x)].view(1, 1, -1), h.view(1, -1), dt.view(1, 1), None, None]
    parts = parts_of([*seen, *gates.tensors()], gates.options(False))
    if parts.wired and not parts.synapses[4].numel():
        parts = parts._replace(wired=False)  # for one row, all units at once are faster than synapse by synapse
    name, inner = forward_arguments(parts, [h.view(1, 1, -1)])
    scratch = _room(W_x, entry(f"{name}_scratch", h.dtype)(ctypes.addressof(inner)) + 16)
    place = {"dense": None, "wired": None, name: ctypes.addressof(inner)}
    given = {"x": x, "packed": pack(W_x), "b": None if b is None else b.detach().clone(), "u": u, "dt": dt}
    start = scratch[-(scratch.data_ptr() // scratch.element_size()) % 16 :]
    arguments = GatedStep(F=len(x), width=len(W_x), **given, scratch=start, **place)
    arguments.alive |= {"inner": inner, "whole": scratch}
    return _compiled("gated", arguments, x, h, outputs)


@torch.no_grad()
def diagonal_stepper(kind: str, W: Tensor, b: Tensor, tau: Tensor) -> Stepper:
    """Return a stepper of Linear or Mobius, W and b the maps of the gates and then of A."""
    h, x, u = W.new_zeros(len(tau)), W.new_zeros(W.shape[1]), _room(W, len(W))
    given = {"x": x, "packed": pack(W), "b": b.detach().clone(), "rate": 1 / tau, "u": u, "h": h}
    arguments = ScanStep(F=len(x), H=len(h), kind=KINDS.index(kind), **given)
    return _compiled("scan", arguments, x, h, len(h))


@torch.no_grad()
def echo_stepper(
    W_x: Tensor, b: Tensor, weight: Tensor, tau: Tensor, *, synapses: Synapses, activation: str
) -> Stepper:
    """Return a stepper of a reservoir: u = W_x x + b, then `echo`."""
    h, x, u, dt = torch.zeros_like(b), W_x.new_zeros(W_x.shape[1]), _room(W_x, len(W_x)), W_x.new_zeros(1)
    seen = [u[: len(h)].view(1, 1, -1), h.view(1, -1), dt.view(1, 1), None, None]
    inner = arguments_of(
        [*seen, synapses.start, synapses.source, weight.clone(), 1 / tau], (activation == "linear",), h.view(1, 1, -1)
    )
    scratch = _room(W_x, entry("echo_row_scratch", h.dtype)(ctypes.addressof(inner)))
    given = {"x": x, "packed": pack(W_x), "b": b.clone(), "u": u, "dt": dt, "scratch": scratch}
    arguments = EchoStep(F=len(x), **given, echo=ctypes.addressof(inner))
    arguments.alive |= {"inner": inner}
    return _compiled("echo", arguments, x, h, len(h))


def _list(listed: Synapses, w: Tensor, mu: Tensor, sigma: Tensor, erev: Tensor) -> List:
    """The synapses unit after unit, padded to whole vectors with some that carry nothing."""
    S = listed.source.shape[0]
    w, mu, sigma, erev = (p.flatten()[listed.place] for p in (w, mu, sigma, erev))
    found: dict[str, Tensor] = {}
    for name, value in (("a", -sigma / math.log(2)), ("b", sigma * mu / math.log(2)), ("w", w), ("we", w * erev)):
        found[name] = _room(w, S)
        found[name][:S] = value
    source = torch.zeros(len(found["a"]), dtype=torch.int32)
    source[:S] = listed.source
    return List(S=S, start=listed.start, source=source, **found, D=_room(w, S), N=_room(w, S))


@torch.no_grad()
def ltc_stepper(
    of_features: tuple[Synapses, Sequence[Tensor]], of_units: tuple[Synapses, Sequence[Tensor]],
    gleak: Tensor, vleak: Tensor, cm: Tensor, *, features: int, unfolds: int, outputs: int,
) -> Stepper:  # fmt: skip
    """Return a stepper of LTC from the synapses of features and of units, each a list and its w, mu, sigma, erev."""
    h, x = gleak.new_zeros(len(gleak)), gleak.new_zeros(features)
    lists = _list(of_features[0], *of_features[1]), _list(of_units[0], *of_units[1])
    given: dict[str, Any] = {"x": x, "gleak": gleak.clone(), "gv": gleak * vleak, "cm": cm.clone(), "h": h}
    given |= {"above": torch.zeros_like(h), "below": torch.zeros_like(h), "features": lists[0], "units": lists[1]}
    arguments = LTCStep(F=features, H=len(h), unfolds=unfolds, **given)
    return _compiled("ltc", arguments, x, h, outputs)


@torch.no_grad()
def spiking_stepper(W: Tensor, liquid: Spiking) -> Stepper:
    """Return a stepper of a liquid: u = W x, W (H, F) or (2H, F), then `spiking` over one row of one step.

    The kernel's own output, traces and then the state, is where it reads the state of the next step.
    """
    H, L, dtype = liquid.tau.shape[0], liquid.tau_trace.shape[0], W.dtype
    fresh = torch.cat(list(liquid.fresh()))
    whole, u, dt = torch.cat([fresh.new_zeros(L * H), fresh]), W.new_zeros(len(W)), W.new_zeros(1)
    given = {k: t.clone() for k, t in liquid._asdict().items() if isinstance(t, Tensor) and k not in ("start", "pool")}
    given |= {"u": u, "h0": whole[L * H :], "dt": dt, "fresh": fresh, "out": whole}
    arguments = SpikingRows(B=1, T=1, H=H, L=L, K=liquid.slots, W=len(fresh), U=len(W), **given)
    function, at, workers = entry("spiking_forward", dtype), ctypes.byref(arguments), team()
    size = entry("spiking_scratch", dtype)(at)
    scratch = torch.empty(size + 16, dtype=dtype)
    place = scratch.data_ptr() + -scratch.data_ptr() % 64
    weight, current, gap = W.detach().clone().numpy(), u.numpy(), dt.numpy()
    state, shown, start = whole.numpy()[L * H :], whole.numpy()[: L * H], fresh.numpy()

    def advance(x: np.ndarray, dt: float) -> np.ndarray:
        np.matmul(weight, x, out=current, casting="same_kind")
        gap[0] = dt
        function(at, 1, 1, workers, place, size * scratch.itemsize)
        return shown.copy()

    def reset() -> None:
        state[:] = start

    return Stepper(W.shape[1], advance, reset)
