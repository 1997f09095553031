"""Local: one step of a cell, with its derivatives by the state and by the parameters each unit owns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..cells import Cell
from ..errors import OptionError
from ..ops.choice import compiled
from ..ops.library import take_step
from ..ops.traces import KINDS, LocalStep
from .slots import Affine, Floats, Slots


class Terms(NamedTuple):
    """`dh'/dh` (H,) by a unit's own leak alone, and `dh'/d(sum)` (K, H) for each sum a new synapse would add to."""

    leak: Floats
    drive: Floats


class Local:
    """Advance the state of a cell and tell what the step depended on; the parent of one class a kind of cell.

    A step is `repeats` times `h' = f(h, x, theta)`, where the parameters of a unit act on that unit alone. After each,
    `leak` (H,) is dh'_i/dh_i along the unit's own leak, `jacobian` (H, fan_h) is what its synapses add to dh'/dh, slot
    by slot, `immediate` (H, p) is dh'_i/dtheta_i at a fixed h, and `drive` (K, H) is dh'_i by each sum that a synapse
    yet to be born would add to. A parameter kept as the logarithm or before a softplus is differentiated as it is used;
    `scatter` applies the rest of the chain. Compiled where `ops.use` lets it be (csrc/local.h), else in NumPy.

    Parameters
    ----------
    cell : Cell
        In float64 on the CPU: its parameters are read in place.
    """

    kinds: ClassVar[dict[str, type[Local]]] = {}  # by the name of the cell
    maps: Sequence[Affine] = ()
    singles: Sequence[str] = ()
    couples: bool = True  # units feel one another
    drives: int = 0  # K; 0: one for each map
    shared: frozenset[str] = frozenset()  # synaptic parameters whose effect is in proportion to another, the weight
    repeats: int = 1

    chain: Floats | None = None  # (H, p) what is left of the chain rule

    def __init_subclass__(cls, kind: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if kind is not None:
            Local.kinds[kind] = cls

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.rewired()

    def rewired(self) -> None:
        """Pack the parameters again, after the wiring of the cell has changed."""
        H, F = self.cell.units, self.cell.features
        self.slots = Slots(*felt(self.cell, self.couples), self.maps, self.singles)
        self.theta, self.immediate = np.zeros((2, H, self.slots.width))
        self.leak, self.after = np.zeros((2, H))
        self.jacobian, self.drive = np.zeros((H, self.slots.fan_h)), np.zeros((self.drives or len(self.maps), H))
        self.read = np.zeros(H + F + 2)  # [h, x, 1, 0]
        self.read[H + F] = 1
        self.sources = self.slots.source
        if any(affine.unit is not None for affine in self.maps):  # one more slot, which reads the 1
            self.sources = np.concatenate([self.sources, np.full((H, 1), H + F)], 1)
        self.struct = self._struct()
        self.flat = np.zeros(sum(math.prod(where.shape) for where in self.slots.where.values()))
        self.found: dict[str, Floats] = {}  # views of `flat`
        places, offset = [], 0
        for name, where in self.slots.where.items():
            size = math.prod(where.shape)
            self.found[name] = self.flat[offset : offset + size].reshape(where.shape)
            places.append(where.place + offset)
            offset += size
        self.places = np.concatenate(places)
        self.from_slots = np.concatenate([where.slot for where in self.slots.where.values()])
        self.changed()

    def _struct(self) -> LocalStep:
        """Return what csrc/local.h is told, of the memory as it is now."""
        H, S = self.sources.shape
        places = torch.from_numpy(self.sources.astype(np.int32))
        work = torch.zeros(H * (S + 2), dtype=torch.float64)
        arrays = ("read", "theta", "leak", "jacobian", "drive", "immediate", "after")
        return LocalStep(
            kind=KINDS.index(type(self.cell).__name__), H=H, F=self.slots.features, S=S,
            fan_h=self.slots.fan_h, maps=len(self.maps), width=self.slots.width, repeats=self.repeats,
            euler=getattr(self.cell, "method", "") == "euler", source=places, work=work,
            **{name: torch.from_numpy(getattr(self, name)) for name in arrays},
        )  # fmt: skip

    def changed(self) -> None:
        """Read the parameters of the cell again."""
        packed = self.theta.reshape(-1)
        for name, where in self.slots.where.items():
            packed[where.slot] = parameter(self.cell, name).reshape(-1)[where.place]
        self.stale = True

    def prepare(self) -> None:
        """Make of `theta` what every step in NumPy needs."""
        raise NotImplementedError

    def part(self) -> Floats:
        """Return the state after one of the `repeats` parts of a step, from `read` and `s`, in NumPy."""
        raise NotImplementedError

    def begin(self, x: Floats, dt: float) -> None:
        """Take the input (F,) and the time dt of the step to come."""
        self.read[self.slots.units : -2] = x
        self.s = dt / self.repeats

    def advance(self, h: Floats) -> Floats:
        """Return the state after one of the `repeats` parts of a step, (H,)."""
        self.read[: self.slots.units] = h
        if compiled():
            take_step("local_step", self.struct, self.s)
            return self.after.copy()
        self.ready()
        return self.part()

    def ready(self) -> None:
        """See to it that what steps in NumPy need is that of the present parameters."""
        if self.stale:
            self.prepare()
            self.stale = False

    def step(self, x: Floats, h: Floats, dt: float) -> Floats:
        """Return the state after a whole step, its derivatives unused."""
        self.begin(x, dt)
        for _ in range(self.repeats):
            h = self.advance(h)
        return h

    def terms(self, x: Floats, h: Floats, dt: float) -> Terms:
        """Return what a whole step from h with x keeps of the state, and takes in of a synapse yet to be born.

        Raises
        ------
        OptionError
            If its units do not feel one another.
        """
        if not self.couples:
            raise OptionError(f"`cell` must be one whose units feel one another; got {type(self.cell).__name__}.")
        self.begin(x, dt)
        leak, drive = np.ones_like(h), np.zeros_like(self.drive)
        for _ in range(self.repeats):
            h = self.advance(h)
            leak, drive = self.leak * leak, self.leak * drive + self.drive
        return Terms(leak, drive)

    def scatter(self, packed: Floats) -> dict[str, Floats]:
        """Return a packed gradient (H, p) as arrays of the parameters' shapes, which the next call overwrites."""
        self.ready()
        if self.chain is not None:
            packed = packed * self.chain
        self.flat[self.places] = packed.reshape(-1)[self.from_slots]
        return self.found


def parameter(cell: Cell, name: str) -> Floats:
    """Return a parameter as the array that shares its memory."""
    return getattr(cell, name).detach().numpy()


def felt(cell: Cell, couples: bool = True) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which unit feels which unit (H, H) and which feature (H, F)."""
    H, F = cell.units, cell.features
    if not couples:
        return np.zeros((H, H), bool), np.ones((H, F), bool)
    if cell.wiring is None:
        return np.ones((H, H), bool), np.ones((H, F), bool)
    return cell.live_h.numpy() != 0, cell.live_x.numpy() != 0


def local(cell: Cell) -> Local:
    """Return the derivatives of a cell's step.

    Raises
    ------
    OptionError
        If the cell has no derivatives here, or its parameters are not float64 numbers on the CPU.
    """
    kind = type(cell).__name__
    if kind not in Local.kinds:
        listed = ", ".join(Local.kinds)
        raise OptionError(
            f"`cell` must be one of {listed} for this rule; got {kind}. "
            'Use rule "tbptt:K", which differentiates any cell, or "readout".'
        )
    readable(cell)
    return Local.kinds[kind](cell)


def readable(cell: Cell) -> None:
    """Refuse a cell whose parameters cannot be read as float64 numbers in place."""
    for name, found in cell.named_parameters():
        if found.dtype != torch.float64 or found.device.type != "cpu":
            dtype = str(found.dtype).removeprefix("torch.")
            raise OptionError(
                f"`cell` must have float64 parameters on the CPU; got {dtype} on {found.device.type} ({name}). "
                "Call cell.double().cpu() first."
            )
