"""What cells have in common whose units feel sums of their inputs: the sums, and the chain rule through them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .local import Local
from .slots import Floats


class Relaxed(NamedTuple):
    """What became of every unit, each (H,): its state, and the derivatives of that."""

    h: Floats
    leak: Floats  # by h before, along the unit's own leak
    drive: tuple[Floats, ...]  # by each sum
    single: Floats | None  # by log_tau, where that is a parameter of its own


class AffineLocal(Local):
    """`h' = relax(h, W_1 v, W_2 v, ..)` over `v = [h, x, 1]`, a map W_k for each of `maps`."""

    def prepare(self) -> None:
        """Keep the maps by slot, and tau."""
        self.W = [self.theta[:, columns] for columns in self.slots.columns]
        if self.singles:
            self.tau = np.exp(self.theta[:, self.slots.single["log_tau"]])

    def relax(self, h: Floats, *sums: Floats) -> Relaxed:
        """Return the state after a step from h, for the sums, and its derivatives."""
        raise NotImplementedError

    def part(self) -> Floats:
        """Find the sums, let the units relax, and multiply out the derivatives."""
        H, n = self.slots.units, self.slots.fan_h
        v = self.read.take(self.sources)
        made = self.relax(self.read[:H], *(np.einsum("ij,ij->i", W, v) for W in self.W))
        self.leak[:], self.jacobian[:] = made.leak, 0
        for k, (drive, W, columns) in enumerate(zip(made.drive, self.W, self.slots.columns, strict=True)):
            self.drive[k] = drive
            np.multiply(drive[:, None], v, out=self.immediate[:, columns])
            self.jacobian += drive[:, None] * W[:, :n]
        if made.single is not None:
            self.immediate[:, self.slots.single["log_tau"]] = made.single
        return made.h
