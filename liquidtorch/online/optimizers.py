"""Descent: optimisers that write into a cell's parameters row by row and follow its structure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..cells import Cell
from ..errors import check_range
from ..ops.choice import compiled
from ..ops.library import take_step
from ..ops.traces import AdamStep

Arrays = Mapping[str, np.ndarray]


class SGD:
    """Go down the gradient: `theta <- theta - rate*g`.

    Parameters
    ----------
    cell : Cell
        In float64 on the CPU; its parameters are written in place.
    rate : float, above 0
        An attribute, which may be changed at any time.
    clip : float, above 0, optional
        If the norm of all g together is larger, they are scaled down to it.

    Raises
    ------
    OptionError
        If an option is out of range.

    Notes
    -----
    After `step` tell the rule: `rule.changed()`. One step costs an addition for each parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from liquidtorch import Leaky
    >>> cell = Leaky(2, 3).double()
    >>> SGD(cell, rate=0.5).step({"b": np.ones(3)})
    >>> cell.b.tolist()
    [-0.5, -0.5, -0.5]
    """

    def __init__(self, cell: Cell, *, rate: float = 1e-3, clip: float | None = None) -> None:
        self.rate = check_range("rate", rate, 0, open_low=True)
        self.clip = None if clip is None else check_range("clip", clip, 0, open_low=True)
        self.cell = cell
        self.parameters = {name: p.detach().numpy() for name, p in cell.named_parameters()}

    def step(self, g: Arrays) -> None:
        """Move every parameter that g holds, in place."""
        rate = self.rate * self._shrink(g)
        for name, found in g.items():
            self.parameters[name] -= rate * found

    def _shrink(self, g: Arrays) -> float:
        if self.clip is None:
            return 1.0
        norm = math.sqrt(sum(float(np.vdot(found, found)) for found in g.values()))
        return min(1.0, self.clip / (norm + 1e-6))

    def follow(self, change: Any) -> None:
        """Go along with a `plasticity.Change`: there is nothing to carry over."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of the state, live: writing into the arrays restores it."""
        return {}


class ObGD(SGD):
    """Go down the gradient no further than the error is deep (overshooting-bounded gradient descent).

    With g = error * e: `rate' = rate / max(1, rate * kappa * max(1, |error|) * sum|e|)`, `theta <- theta - rate'*g`.

    Parameters
    ----------
    cell : Cell
        In float64 on the CPU; its parameters are written in place.
    rate : float, above 0
        The largest rate.
    kappa : float, above 0
        How far below the bound the step stays; 2 as published.

    Raises
    ------
    OptionError
        If an option is out of range.

    Notes
    -----
    For one row at a time and no tuning. With several outputs the error is a norm of theirs.

    Source
    ------
    Elsayed, Vasan and Mahmood 2024 (arXiv 2410.14606), algorithm 3, without its eligibility traces, for the gradient of
    a rule holds the past already.
    """

    def __init__(self, cell: Cell, *, rate: float = 1.0, kappa: float = 2.0) -> None:
        super().__init__(cell, rate=rate)
        self.kappa = check_range("kappa", kappa, 0, open_low=True)

    def step(self, g: Arrays, error: float = 1.0) -> None:
        """Move every parameter that g holds, in place.

        Parameters
        ----------
        g : dict of arrays
            The gradient of error**2/2, or of any other loss.
        error : float
            The error of the answer, for a squared error; 1 otherwise.
        """
        size = abs(error)
        if size == 0:
            return
        steep = sum(float(np.abs(found).sum()) for found in g.values()) / size
        rate = self.rate / max(1.0, self.rate * self.kappa * max(1.0, size) * steep)
        for name, found in g.items():
            self.parameters[name] -= rate * found


class Adam(SGD):
    """Move every parameter by about the rate, whatever the size of its gradient.

    `m <- beta*m + (1-beta)*g`, `s <- beta2*s + (1-beta2)*g^2`,
    `theta <- theta - rate * m/(1-beta^t) / (sqrt(s/(1-beta2^t)) + eps)`; t counts the steps of each number by itself,
    so that a synapse born late is not taken for one long averaged.

    Parameters
    ----------
    cell : Cell
        In float64 on the CPU; its parameters are written in place.
    rate : float, above 0
        An attribute, which may be changed at any time.
    betas : (float, float), 0 to below 1
        How much of the mean and of the mean square is kept at each step.
    eps : float, above 0
    clip : float, above 0, optional
        If the norm of all g together is larger, they are scaled down to it.

    Raises
    ------
    OptionError
        If an option is out of range.

    Notes
    -----
    What is kept is kept for live synapses alone, and work is in proportion to them. A gradient must hold all
    parameters of the cell, or none.

    Source
    ------
    Kingma and Ba 2015, algorithm 1. A count for each element as in Dohare et al. 2024 (Nature 632, 768); when a unit
    is split its moments are parted as its gradient is.

    Examples
    --------
    >>> import numpy as np
    >>> from liquidtorch import Leaky
    >>> from liquidtorch.online import rules
    >>> cell = Leaky(2, 3).double()
    >>> rule, adam = rules.make("eprop", cell), Adam(cell, rate=0.01)
    >>> h = rule.step(np.ones(2), np.zeros(3), 1.0)
    >>> adam.step(rule.gradient(q=h - 1.0))
    >>> rule.changed()
    """

    KEPT = ("mean", "square", "fade", "fade_square")  # the last two are beta^t and beta2^t

    def __init__(
        self, cell: Cell, *, rate: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        clip: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(cell, rate=rate, clip=clip)
        for i, beta in enumerate(betas):
            check_range(f"betas[{i}]", beta, 0, math.nextafter(1.0, 0.0))
        self.betas, self.eps = betas, check_range("eps", eps, 0, open_low=True)
        self._index()
        self.mean, self.square = np.zeros(self.size), np.zeros(self.size)
        self.fade, self.fade_square = np.ones(self.size), np.ones(self.size)
        self._bind()

    def _index(self) -> None:
        """Say which numbers of each parameter are live, and where they stand among those that are kept."""
        live = {"HH": self.cell.live_h, "HF": self.cell.live_x}
        self.places: dict[str, tuple[slice, np.ndarray]] = {}
        self.size = 0
        for name, parameter in self.parameters.items():
            mask = live.get(self.cell.axes.get(name, ""))
            there = np.ones(parameter.shape) if mask is None else mask.numpy()
            place = there.reshape(-1).nonzero()[0]
            self.places[name] = slice(self.size, self.size + len(place)), place
            self.size += len(place)

    def _bind(self) -> None:
        """Tell csrc/learning.h of the memory as it is now."""
        self.move = np.zeros(self.size)
        clip = math.inf if self.clip is None else self.clip
        options = torch.tensor([*self.betas, self.eps, clip], dtype=torch.float64)
        ends = torch.tensor([mine.stop for mine, _ in self.places.values()], dtype=torch.int64)
        place = np.concatenate([place for _, place in self.places.values()]).astype(np.int32)
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in (*self.KEPT, "move")}
        parameters = torch.tensor([self.parameters[name].ctypes.data for name in self.places])
        self.struct = AdamStep(
            size=self.size, names=len(self.places), end=ends, parameter=parameters, place=torch.from_numpy(place),
            options=options, **arrays,
        )  # fmt: skip

    def step(self, g: Arrays) -> None:
        """Move every parameter, in place."""
        if not g:
            return
        found = np.concatenate([g[name].reshape(-1).take(place) for name, (_, place) in self.places.items()])
        if compiled():
            self.move[:] = found
            take_step("adam_step", self.struct, self.rate)
            return
        if self.clip is not None:
            found *= self._shrink(g)
        b, b2 = self.betas
        self.mean += (1 - b) * (found - self.mean)
        self.square *= b2
        self.square += (1 - b2) * found * found
        self.fade *= b
        self.fade_square *= b2
        by = np.sqrt(self.square / (1 - self.fade_square)) + self.eps
        by *= 1 - self.fade
        move = self.rate * self.mean / by
        for name, (mine, place) in self.places.items():
            self.parameters[name].reshape(-1)[place] -= move[mine]

    def follow(self, change: Any) -> None:
        """Carry the moments over: none for what was born, those of its parent, parted, for the child of a split."""
        full = {name: self._unpacked(name) for name in self.KEPT}
        self._index()
        for kept, arrays in full.items():
            power = {"mean": 1, "square": 2}.get(kept, 0)
            packed = np.empty(self.size)
            for name, (mine, place) in self.places.items():
                _carry(arrays[name], self.cell.axes.get(name, ""), change, power, float(power == 0))
                packed[mine] = arrays[name].reshape(-1)[place]
            setattr(self, kept, packed)
        self._bind()

    def widen(self, older: Adam) -> None:
        """Take over the moments of the same cell with fewer features; those of new ones start from nothing."""
        for kept in self.KEPT:
            full, packed = older._unpacked(kept), getattr(self, kept)
            for name, (mine, place) in self.places.items():
                array = np.full(self.parameters[name].shape, _start(kept))
                array[tuple(map(slice, full[name].shape))] = full[name]
                packed[mine] = array.reshape(-1)[place]

    def _unpacked(self, kept: str) -> dict[str, np.ndarray]:
        arrays = {}
        for name, (mine, place) in self.places.items():
            arrays[name] = np.full(self.parameters[name].shape, _start(kept))
            arrays[name].reshape(-1)[place] = getattr(self, kept)[mine]
        return arrays

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the moments and counts, live; after `follow` they are others."""
        return {name: getattr(self, name) for name in self.KEPT}


def _start(kept: str) -> float:
    return 1.0 if kept.startswith("fade") else 0.0


def _carry(array: np.ndarray, axes: str, change: Any, power: int, start: float) -> None:
    """Change an array of one number a parameter: to `start` where something died or is new, parted at a split.

    A gradient is parted by the shares, and a moment by their `power`.
    """
    for letters, synapses in (("HH", change.dead), ("HF", change.dead_x)):
        if axes == letters:
            to, source = np.asarray(synapses, np.intp).reshape(-1, 2).T
            array[to, source] = start
    if axes[:1] == "H":
        for units in (change.units_dead, change.units_born):
            array[np.asarray(units, np.intp)] = start
        for parent, child, share in change.splits:
            if axes == "HH":
                array[:, child] = array[:, parent]
            array[child] = array[parent] * share**power
            array[parent] *= (1 - share) ** power
