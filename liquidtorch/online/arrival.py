"""From a sample to what the readout sees, in one compiled call where there is one for all of the way."""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from ..ops.arrival import ArrivalStep
from ..ops.choice import compiled
from ..ops.library import entry
from ..ops.stepper import Kernel
from .channels import Channels
from .inputs import OfLayer, OfNetwork, plain
from .view import View

Known = dict[Hashable, Any]
Found = tuple[np.ndarray, np.ndarray, np.ndarray, Known]  # z, its channels, the state after, what was known
Way = Callable[[Mapping[Hashable, Any], np.ndarray, float], Found | None]
PLANS = 64  # sets of names, in their order, that are remembered


class Plan(NamedTuple):
    """How samples of the same names, in the same order, are told to the kernel."""

    pack: Callable[..., None]  # struct.Struct.pack_into for so many numbers
    values: ctypes.Array[ctypes.c_double]
    slots: ctypes.Array[ctypes.c_int64]


class Arrival:
    """Take a sample through channels, body and view: `z, u, h, kept = arrival(x, h, dt)`; None where it does not fit.

    It does what `Channels.read`, `Body.step`, `View.see` and `plain` do one after the other, bit by bit, and leaves the
    channels as they do. Where it returns None, they have to be asked, and nothing has changed: for names without a
    slot, for values that are no finite numbers, after the channels have got more room, and inside
    `ops.use("reference")`.

    Parameters
    ----------
    kernel : Kernel
        Of the body's stepper.
    channels : Channels
        As many as the body has features. Their counts, means and squares are read and written where they are.
    view : View
        Of the body's output and the channels alone, as wide as it is now.

    Examples
    --------
    >>> from liquidtorch import EchoState
    >>> kernel = EchoState(2, 4, seed=1).double().stepper().kernel
    >>> view = View(4, 0)
    >>> width, arrival = view.room(2), Arrival(kernel, Channels(2, ("a", "b")), view)
    >>> z, u, h, kept = arrival({"b": 1.0, "a": None}, np.zeros(4), 1.0)
    >>> len(z) == width, kept
    (True, {'b': 1.0})
    """

    def __init__(self, kernel: Kernel, channels: Channels, view: View) -> None:
        self._channels, self._mean, self._state = channels, channels.mean, kernel.state
        self._outputs, self._end = kernel.outputs, kernel.outputs + channels.capacity  # where channels are in z
        self._whole = kernel.outputs == len(kernel.state)
        self._z = view.see(np.zeros(kernel.outputs), np.zeros(channels.capacity))
        self._step = step = ArrivalStep(
            C=channels.capacity, O=kernel.outputs,
            **{name: getattr(channels, name).buffer_info()[0] for name in ("count", "mean", "square")},
            advance=ctypes.cast(kernel.function, ctypes.c_void_p).value, body=ctypes.addressof(kernel.struct),
            u=kernel.x.ctypes.data, y=kernel.state.ctypes.data, z=self._z.ctypes.data,
        )  # fmt: skip
        step.alive |= {"kernel": kernel, "counts": channels.count, "squares": channels.square}
        self._arrive, self._at = entry("arrival", torch.float64), ctypes.addressof(step)
        self._plans: dict[tuple[Hashable, ...], Plan] = {}
        self._told: Plan | None = None  # whose values and slots the struct has

    def __call__(self, x: Mapping[Hashable, Any], h: np.ndarray, dt: float) -> Found | None:
        channels = self._channels
        if channels.mean is not self._mean or channels.fresh or not compiled():
            return None
        plan = self._plans.get(tuple(x)) or self._planned(tuple(x))
        if plan is None:
            return None
        if plan is not self._told:
            self._tell(plan)
        try:
            plan.pack(plan.values, 0, *x.values())
        except struct.error:
            try:
                plan.pack(plan.values, 0, *[math.nan if v is None else v for v in x.values()])
            except struct.error:
                return None
        self._state[:] = h
        known = self._arrive(self._at, dt)
        if known < 0:
            return None
        z, outputs = self._z.copy(), self._outputs
        h = z[:outputs] if self._whole else self._state.copy()
        return z, z[outputs : self._end], h, dict(x) if known == len(x) else plain(x)

    def _planned(self, names: tuple[Hashable, ...]) -> Plan | None:
        """Return the plan for names that have not come together yet; None where one of them has no slot."""
        slots = self._channels.slots
        found = [slots.get(name, -1) for name in names]
        if -1 in found:
            return None
        if len(self._plans) == PLANS:
            self._plans.clear()
        n = len(names)
        plan = Plan(struct.Struct(f"{n}d").pack_into, (ctypes.c_double * n)(), (ctypes.c_int64 * n)(*found))
        self._plans[names] = plan
        return plan

    def _tell(self, plan: Plan) -> None:
        self._step.n = len(plan.values)
        self._step.value, self._step.slot = ctypes.addressof(plan.values), ctypes.addressof(plan.slots)
        self._told = plan


def way(kernel: Kernel | None, inputs: OfLayer | OfNetwork, view: View) -> Way:
    """Return an `Arrival`, or what always returns None where no kernel goes all of the way.

    That is so where a body has none, and where there is a network's encoder or a hidden layer on the way.
    """
    if kernel is None or inputs.coded or view.start != kernel.outputs:
        return _nowhere
    fits = kernel.x.dtype == np.float64 and len(kernel.x) == inputs.channels.capacity
    return Arrival(kernel, inputs.channels, view) if fits else _nowhere


def _nowhere(x: Mapping[Hashable, Any], h: np.ndarray, dt: float) -> None:
    return None
