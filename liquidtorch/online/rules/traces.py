"""Traces: what is kept of dh/dtheta, and how it moves: a unit's own row, the rows in reach, or all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ...derivatives import Floats, Local, Slots

Pattern = NDArray[np.bool_]


def reach(slots: Slots, hops: int | None) -> Pattern:
    """Return which units (H owners, H units) a unit's parameters reach, itself included, in `hops` steps or ever."""
    feeds = slots.felt_h.T | np.eye(slots.units, dtype=bool)  # (from, to)
    found = np.eye(slots.units, dtype=bool)
    left = slots.units if hops is None else hops
    while left > 0:
        more = found.astype(np.float32) @ feeds.astype(np.float32) > 0
        if (more == found).all():
            break
        found, left = more, left - 1
    return found


class Rows(NamedTuple):
    """Tell whose traces are kept: the rows of x (rows, p), a view, hold dh_unit/dtheta_owner."""

    owner: NDArray[np.intp]
    unit: NDArray[np.intp]
    x: Floats


class Own:
    """Keep dh_i/dtheta_i alone: a trace (H, p), moved along the leak, and with `loops` by a unit's synapse to itself.

    `e <- l*e + I`, l the leak (e-prop) or D_ii (SnAp-1). Exact where no synapse leads back to where it came from.
    """

    def __init__(self, slots: Slots, loops: bool) -> None:
        self.x = np.zeros((slots.units, slots.width))
        self.itself = slots.itself() if loops else (np.zeros(0, int), np.zeros(0, int))
        self.loops = len(self.itself[0]) > 0

    def advance(self, local: Local) -> None:
        """Go along with the part of a step that `local` has just made."""
        factor = local.leak
        if self.loops:
            factor = factor.copy()
            factor[self.itself[0]] += local.jacobian()[self.itself]
        self.x *= factor[:, None]
        self.x += local.immediate

    def gradient(self, q: Floats) -> Floats:
        """Return sum_k q_k dh_k/dtheta, packed (H, p)."""
        return q[:, None] * self.x

    def rows(self) -> Rows:
        """Return whose traces they are."""
        each = np.arange(len(self.x))
        return Rows(each, each, self.x)

    def moves(self) -> int:
        """Count the multiply-adds of `advance`."""
        return self.x.size

    def sums(self) -> int:
        """Count the multiply-adds of `gradient`."""
        return self.x.size

    def bytes(self) -> int:
        """Count the memory."""
        return self.x.nbytes


class Packed:
    """Keep dh_k/dtheta_i for the units k in reach of i: rows (i, k) of p numbers, moved by a sparse matrix.

    `J <- D J + I`, restricted to `pattern` (owners, units): exact if it holds all that is ever reached, else SnAp-n.
    """

    def __init__(self, slots: Slots, pattern: Pattern) -> None:
        H = slots.units
        self.owner, self.unit = pattern.nonzero()
        rows = len(self.owner)
        row = np.full((H, H + 1), -1)
        row[self.owner, self.unit] = np.arange(rows)
        self.own = row.diagonal().copy()
        self.x = np.zeros((rows, slots.width))

        # row (i, k) is fed by the rows (i, j) of the units j that k feels, and by itself through the leak
        felt = np.concatenate([slots.felt()[self.unit], self.unit[:, None]], 1)  # (rows, fan_h + 1)
        column = row[self.owner[:, None], felt]
        there = column >= 0
        self.d = np.zeros((H, slots.fan_h + 1))  # dh'/dh by slot, the leak last
        place = self.unit[:, None] * self.d.shape[1] + np.arange(self.d.shape[1])
        self.place = place[there]
        starts = np.concatenate([[0], np.cumsum(there.sum(1))])
        self.D = csr_array((np.zeros(len(self.place)), column[there], starts), shape=(rows, rows))
        starts = np.searchsorted(self.owner, np.arange(H + 1))
        self.Q = csr_array((np.zeros(rows), np.arange(rows), starts), shape=(H, rows))

    def advance(self, local: Local) -> None:
        """Go along with the part of a step that `local` has just made."""
        self.d[:, :-1] = local.jacobian()
        self.d[:, -1] = local.leak
        self.d.reshape(-1).take(self.place, out=self.D.data, mode="clip")  # the mode only spares a buffer
        self.x[...] = self.D @ self.x
        self.x[self.own] += local.immediate

    def gradient(self, q: Floats) -> Floats:
        """Return sum_k q_k dh_k/dtheta, packed (H, p)."""
        q.take(self.unit, out=self.Q.data, mode="clip")
        return self.Q @ self.x

    def rows(self) -> Rows:
        """Return whose traces they are."""
        return Rows(self.owner, self.unit, self.x)

    @staticmethod
    def moves_of(slots: Slots, pattern: Pattern) -> int:
        """Count the multiply-adds of `advance` before anything is laid out."""
        feeds = (slots.felt_h.T + np.eye(slots.units)).astype(np.float32)  # (from, to); a loop beside the leak counts
        return int((pattern.astype(np.float32) @ feeds)[pattern].sum()) * slots.width

    def moves(self) -> int:
        """Count the multiply-adds of `advance`."""
        return self.D.nnz * self.x.shape[1]

    def sums(self) -> int:
        """Count the multiply-adds of `gradient`."""
        return self.x.size

    def bytes(self) -> int:
        """Count the memory."""
        return self.x.nbytes + self.d.nbytes + sum(m.data.nbytes for m in (self.D, self.Q))


class Dense:
    """Keep dh_k/dtheta_i for all units k: one product (H, H) x (H, H*p), for wirings where most synapses exist."""

    def __init__(self, slots: Slots) -> None:
        H, p = slots.units, slots.width
        self.x = np.zeros((H, H, p))  # (unit, owner, p)
        self.flat = self.x.reshape(H, H * p)
        self.moved = np.empty_like(self.flat)
        self.own = np.einsum("iip->ip", self.x)  # a view
        self.D = np.zeros((H, H))
        felt = slots.felt()
        self.there = (felt < H).nonzero()
        self.place = self.there[0] * H + felt[self.there]
        self.diagonal = np.arange(H) * (H + 1)

    def advance(self, local: Local) -> None:
        """Go along with the part of a step that `local` has just made."""
        D = self.D.reshape(-1)
        D[self.diagonal] = 0.0  # where a unit does not feel itself, the leak of the last step
        D[self.place] = local.jacobian()[self.there]
        D[self.diagonal] += local.leak
        np.matmul(self.D, self.flat, out=self.moved)
        self.flat[...] = self.moved
        self.own += local.immediate

    def gradient(self, q: Floats) -> Floats:
        """Return sum_k q_k dh_k/dtheta, packed (H, p)."""
        return (q @ self.flat).reshape(self.x.shape[1:])

    def rows(self) -> Rows:
        """Return whose traces they are."""
        H, _, p = self.x.shape
        unit, owner = (index.ravel() for index in np.indices((H, H)))
        return Rows(owner, unit, self.x.reshape(H * H, p))

    def moves(self) -> int:
        """Count the multiply-adds of `advance`."""
        return self.D.shape[0] * self.x.size

    def sums(self) -> int:
        """Count the multiply-adds of `gradient`."""
        return self.x.size

    def bytes(self) -> int:
        """Count the memory."""
        return self.x.nbytes + self.moved.nbytes + self.D.nbytes
