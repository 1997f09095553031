"""Local: one step of a cell in NumPy, with its derivatives by the state and by the parameters each unit owns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..cells import Cell
from ..errors import OptionError
from .slots import Affine, Floats, Slots


class Terms(NamedTuple):
    """`dh'/dh` (H,) by a unit's own leak alone, and `dh'/d(sum)` (K, H) for each sum a new synapse would add to."""

    leak: Floats
    drive: Floats


class Local:
    """Advance the state of a cell and tell what the step depended on; the parent of one class a kind of cell.

    A step is `repeats` times `h' = f(h, x, theta)`, where the parameters of a unit act on that unit alone. After each,
    `leak` (H,) is dh'_i/dh_i along the unit's own leak, `jacobian()` (H, fan_h) is what its synapses add to dh'/dh,
    slot by slot, and `immediate` (H, p) is dh'_i/dtheta_i at a fixed h. A parameter kept as the logarithm or before
    a softplus is differentiated as it is used; `scatter` applies the rest of the chain.

    Parameters
    ----------
    cell : Cell
        In float64 on the CPU: its parameters are read in place.
    """

    kinds: ClassVar[dict[str, type[Local]]] = {}  # by the name of the cell
    maps: Sequence[Affine] = ()
    singles: Sequence[str] = ()
    couples: bool = True  # units feel one another
    shared: frozenset[str] = frozenset()  # synaptic parameters whose effect is in proportion to another, the weight
    repeats: int = 1

    leak: Floats
    chain: Floats | None = None  # (H, p) what is left of the chain rule

    def __init_subclass__(cls, kind: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Local.kinds[kind] = cls

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.rewired()

    def rewired(self) -> None:
        """Pack the parameters again, after the wiring of the cell has changed."""
        H, F = self.cell.units, self.cell.features
        self.slots = Slots(*felt(self.cell, self.couples), self.maps, self.singles)
        self.theta = np.zeros((H, self.slots.width))
        self.immediate = np.zeros((H, self.slots.width))
        self.read = np.zeros(H + F + 2)  # [h, x, 1, 0]
        self.read[H + F] = 1
        self.sources = self.slots.source
        if any(affine.unit is not None for affine in self.maps):  # one more slot, which reads the 1
            self.sources = np.concatenate([self.sources, np.full((H, 1), H + F)], 1)
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

    def changed(self) -> None:
        """Read the parameters of the cell again."""
        packed = self.theta.reshape(-1)
        for name, where in self.slots.where.items():
            packed[where.slot] = parameter(self.cell, name).reshape(-1)[where.place]
        self.prepare()

    def prepare(self) -> None:
        """Make of `theta` what every step needs."""
        raise NotImplementedError

    def begin(self, x: Floats, dt: float) -> None:
        """Take the input (F,) and the time dt of the step to come."""
        raise NotImplementedError

    def advance(self, h: Floats) -> Floats:
        """Return the state after one of the `repeats` parts of a step, (H,)."""
        raise NotImplementedError

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
        self.begin(x, dt)
        leak, drive = np.ones_like(h), 0.0
        for _ in range(self.repeats):
            h = self.advance(h)
            leak, drive = self.leak * leak, self.leak * drive + self.newborn(h)
        return Terms(leak, np.asarray(drive))

    def newborn(self, h: Floats) -> Floats:
        """Return dh'/d(sum), (K, H), of the part just made, which led to h, for a synapse that changes nothing yet."""
        raise OptionError(f"`cell` must be one whose units feel one another; got {type(self.cell).__name__}.")

    def jacobian(self) -> Floats:
        """Return what the synapses add to dh'/dh, (H, fan_h), of the part just made."""
        return np.zeros((self.slots.units, 0))

    def scatter(self, packed: Floats) -> dict[str, Floats]:
        """Return a packed gradient (H, p) as arrays of the parameters' shapes, which the next call overwrites."""
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
