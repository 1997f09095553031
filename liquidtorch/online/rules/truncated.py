"""Truncated BPTT: the last K steps, by kept derivatives or, for any cell, through autograd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ...cells import Cell
from ...derivatives import Floats, Local
from .cost import Cost
from .rule import Rule


class Truncated(Rule):
    """Go back over the derivatives of the last `steps` steps, which were kept as they were made.

    Parameters
    ----------
    local : Local
        The step and its derivatives.
    steps : int, at least 1
        How many steps, the present one among them. With 1 the past counts for nothing.

    Notes
    -----
    A change of structure empties the window. After an update the derivatives in it are those of the parameters of
    then, as with every rule that learns forward in time.
    """

    def __init__(self, local: Local, steps: int) -> None:
        self.name, self.local, self.steps = f"tbptt:{steps}", local, steps
        self._lay_out()

    def _lay_out(self) -> None:
        slots, parts = self.local.slots, self.steps * self.local.repeats
        self.felt = slots.felt().ravel()
        self.leak = np.zeros((parts, slots.units))
        self.synaptic = np.zeros((parts, slots.units, slots.fan_h))
        self.immediate = np.zeros((parts, slots.units, slots.width))
        self.made = np.zeros(1, np.int64)  # parts of steps since the window was empty
        back = self.leak[0].size + self.synaptic[0].size + self.immediate[0].size
        self.cost = Cost(parts * back, parts * back * 8)

    def step(self, x: Floats, h: Floats, dt: float) -> Floats:
        """Return the state after a row."""
        self.local.begin(x, dt)
        for _ in range(self.local.repeats):
            h = self.local.advance(h)
            at = self.made[0] % len(self.leak)
            self.leak[at], self.synaptic[at] = self.local.leak, self.local.jacobian
            self.immediate[at] = self.local.immediate
            self.made += 1
        return h

    def gradient(self, q: Floats) -> dict[str, Floats]:
        """Return the gradient of a loss by every parameter, as `Rule.gradient`."""
        H, made, parts = len(q), int(self.made[0]), len(self.leak)
        found = np.zeros(self.immediate.shape[1:])
        for back in range(min(made, parts)):
            at = (made - 1 - back) % parts
            found += q[:, None] * self.immediate[at]
            through = (q[:, None] * self.synaptic[at]).ravel()
            q = self.leak[at] * q + np.bincount(self.felt, through, minlength=H)[:H]
        return self.local.scatter(found)

    def follow(self, change: Any) -> None:
        """Start a new window for the new structure."""
        self.local.rewired()
        self._lay_out()

    def widened(self, older: Truncated, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the older rule's window for this cell."""
        slots, each = older.local.slots, np.arange(self.leak.shape[1])
        return {**arrays, "immediate": slots.spread(arrays["immediate"], each, self.local.slots)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the window."""
        return {
            "leak": self.leak, "synaptic": self.synaptic, "immediate": self.immediate, "made": self.made,
        }  # fmt: skip

    def changed(self) -> None:
        """Read the parameters again."""
        self.local.changed()


class Called:
    """Make the steps of a cell that has no derivatives here, by PyTorch.

    Parameters
    ----------
    cell : Cell
        In float64 on the CPU, its state one tensor.
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    @torch.no_grad()
    def step(self, x: Floats, h: Floats, dt: float) -> Floats:
        """Return the state after a row."""
        return self.through(torch.from_numpy(h)[None], x, dt)[0].numpy()

    def through(self, h: torch.Tensor, x: Floats, dt: float) -> torch.Tensor:
        """Return the state (1, H) after a row, for autograd to go back over."""
        return self.cell.step(self.cell.inputs(torch.from_numpy(x)[None]), h, h.new_full((1, 1), dt))

    def rewired(self) -> None:
        """Do nothing: the cell itself is read."""

    def changed(self) -> None:
        """Do nothing: the cell itself is read."""


class Replayed(Rule):
    """Make the last `steps` steps of any cell again, from the state before them, and go back through autograd.

    Parameters
    ----------
    body : Called
        The cell.
    steps : int, at least 1
        How many steps, the present one among them.

    Notes
    -----
    About 0.1 ms a step that is made again. The steps are made again with the present parameters.
    """

    def __init__(self, body: Called, steps: int) -> None:
        self.name, self.body, self.steps = f"tbptt:{steps}", body, steps
        cell = body.cell
        self.x, self.dt = np.zeros((steps, cell.features)), np.zeros(steps)
        self.h = np.zeros((steps, cell.units))  # before each step
        self.made = np.zeros(1, np.int64)
        numbers = sum(p.numel() for p in cell.parameters())
        self.cost = Cost(3 * steps * numbers, self.x.nbytes + self.h.nbytes + self.dt.nbytes)

    def step(self, x: Floats, h: Floats, dt: float) -> Floats:
        """Return the state after a row."""
        at = self.made[0] % self.steps
        self.x[at], self.h[at], self.dt[at] = x, h, dt
        self.made += 1
        return self.body.step(x, h, dt)

    def gradient(self, q: Floats) -> dict[str, Floats]:
        """Return the gradient of a loss by every parameter, as `Rule.gradient`."""
        made = int(self.made[0])
        names, parameters = zip(*self.body.cell.named_parameters(), strict=True)
        if made == 0:
            return {n: np.zeros(p.shape) for n, p in zip(names, parameters, strict=True)}
        window = [at % self.steps for at in range(max(0, made - self.steps), made)]
        h = torch.from_numpy(self.h[window[0]].copy())[None]
        for at in window:
            h = self.body.through(h, self.x[at], float(self.dt[at]))
        found = torch.autograd.grad(h[0], parameters, torch.from_numpy(q), materialize_grads=True)
        return {n: g.numpy() for n, g in zip(names, found, strict=True)}

    def follow(self, change: Any) -> None:
        """Start a new window."""
        self.reset()

    def widened(self, older: Replayed, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the older rule's window for this cell, whose new features were 0."""
        more = self.x.shape[1] - older.x.shape[1]
        return {**arrays, "x": np.pad(arrays["x"], ((0, 0), (0, more)))}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the window."""
        return {"x": self.x, "h": self.h, "dt": self.dt, "made": self.made}

    def changed(self) -> None:
        """Do nothing: the cell itself is read."""
