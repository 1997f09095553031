"""Influence: dh/dtheta unpacked, to be carried over from one structure to another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...derivatives import Floats, Local, Slots


class Influence:
    """Hold every dh_k/dtheta_i of two structures, one before and one after a change, and make the change.

    A unit that is split is taken for two units that always were there: both in the same state, and what the one gave
    to others given in parts. Then with L the trace along the leak alone, by which the two could come apart,
    and J that of the whole before, for a child with the share b:
    `dh_k/dtheta_parent = (1-b)*J_k`, `dh_k/dtheta_child = b*J_k` for any other k,
    `dh_parent/dtheta_parent = (1-b)*J + b*L`, `dh_child/dtheta_parent = (1-b)*(J - L)`,
    `dh_child/dtheta_child = b*J + (1-b)*L`, `dh_parent/dtheta_child = b*(J - L)`.

    Parameters
    ----------
    old, new : Slots
        The packing before and after.
    local : Local
        Tells the parameters of a synapse.
    """

    def __init__(self, old: Slots, new: Slots, local: Local) -> None:
        both = Slots(old.felt_h | new.felt_h, old.felt_x | new.felt_x, local.maps, local.singles)
        H = both.units
        self.both, self.shared = both, [affine.h in local.shared for affine in local.maps]
        self.J = np.zeros((H, H, both.width + 1))  # (owner, unit, p); the last column is for slots that are not used
        self.L = np.zeros((H, both.width + 1))
        self.nth = np.full((H, H + both.features + 2), -1)  # in which slot a unit feels what
        self.nth[np.arange(H)[:, None], both.source] = np.arange(both.fan)
        self.nth[:, -2:] = -1  # the 1 and the 0 are no sources

    def put(self, slots: Slots, owner: NDArray[np.intp], unit: NDArray[np.intp], x: Floats, L: Floats) -> None:
        """Take rows x (rows, p) of dh_unit/dtheta_owner, and the traces L (H, p) along the leak."""
        columns = slots.columns_in(self.both)
        self.J[owner[:, None], unit[:, None], columns[owner]] = x
        np.put_along_axis(self.L, columns, L, axis=1)

    def take(self, slots: Slots, owner: NDArray[np.intp], unit: NDArray[np.intp]) -> Floats:
        """Return the rows x (rows, p)."""
        self.J[:, :, -1] = 0
        return self.J[owner[:, None], unit[:, None], slots.columns_in(self.both)[owner]]

    def take_local(self, slots: Slots) -> Floats:
        """Return the traces along the leak, (H, p)."""
        self.L[:, -1] = 0
        return np.take_along_axis(self.L, slots.columns_in(self.both), axis=1)

    def follow(self, change: Any) -> None:
        """Make a `plasticity.Change`: what died is forgotten, units are split, what else was born starts at 0."""
        H = self.both.units
        self._forget(change.dead, 0)
        self._forget(change.dead_x, H)
        for units in (change.units_dead, change.units_born):
            units = np.asarray(units, np.intp)
            self.J[units] = self.L[units] = 0
            self.J[:, units] = 0
        for parent, child, share in change.splits:
            self._split(int(parent), int(child), float(share))

    def _forget(self, synapses: NDArray[np.integer], offset: int) -> None:
        to, source = np.asarray(synapses, np.intp).reshape(-1, 2).T
        nth = self.nth[to, offset + source]
        to, nth = to[nth >= 0], nth[nth >= 0]
        for columns in self.both.columns:
            self.J[to, :, columns.start + nth] = 0
            self.L[to, columns.start + nth] = 0

    def _split(self, parent: int, child: int, b: float) -> None:
        J, L = self.J, self.L
        feels = ((self.nth[:, parent] >= 0) & (self.nth[:, child] >= 0)).nonzero()[0]
        for columns, shared in zip(self.both.columns, self.shared, strict=True):
            whole, part = columns.start + self.nth[feels, parent], columns.start + self.nth[feels, child]
            ours, theirs = (1 - b, b) if shared else (1.0, 1.0)  # the effect of mu is in proportion to w, that of w not
            J[feels, :, part] = theirs * J[feels, :, whole]
            J[feels, :, whole] *= ours
            L[feels, part] = theirs * L[feels, whole]
            L[feels, whole] *= ours
        J[:, child] = J[:, parent]
        J[child], L[child] = 0, 0
        common = ((self.nth[parent] >= 0) & (self.nth[child] >= 0)).nonzero()[0]
        of, to = list(self.both.single.values()), list(self.both.single.values())
        for columns in self.both.columns:
            of.extend(columns.start + self.nth[parent, common])
            to.extend(columns.start + self.nth[child, common])
        J[child][:, to], L[child, to] = J[parent][:, of], L[parent, of]
        for owner, other, mine in ((parent, child, 1 - b), (child, parent, b)):
            J[owner] *= mine
            J[owner, owner] += (1 - mine) * L[owner]
            J[owner, other] -= mine * L[owner]
