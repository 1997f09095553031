"""Traces: what is kept of dh/dtheta, and how it moves: a unit's own row, or the rows in reach."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ...derivatives import Floats, Local, Slots
from ...ops.traces import AT_ONCE

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
            factor[self.itself[0]] += local.jacobian[self.itself]
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

    def told(self) -> dict[str, Any]:
        """Return what csrc/traces.h is told of them."""
        slot = np.full(len(self.x), -1, np.int32)
        slot[self.itself[0]] = self.itself[1]
        return {"x": torch.from_numpy(self.x), **({"itself": torch.from_numpy(slot)} if self.loops else {})}


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
        self.place = place[there].astype(np.int32)
        starts = np.concatenate([[0], np.cumsum(there.sum(1))]).astype(np.int32)
        self.D = csr_array((np.zeros(len(self.place)), column[there].astype(np.int32), starts), shape=(rows, rows))
        self.first = np.searchsorted(self.owner, np.arange(H + 1))
        self.alike = _runs(column[:, :-1], self.owner)  # -1 where nothing is
        self.Q = csr_array((np.zeros(rows), np.arange(rows), self.first), shape=(H, rows))

    def advance(self, local: Local) -> None:
        """Go along with the part of a step that `local` has just made."""
        self.d[:, :-1] = local.jacobian
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

    def told(self) -> dict[str, Any]:
        """Return what csrc/traces.h is told of them; there the leak is no place of a matrix."""
        rows, starts = len(self.owner), self.D.indptr
        synaptic = np.ones(len(self.place), bool)
        synaptic[starts[1:] - 1] = False  # the last of every row is the leak
        column = (self.D.indices - np.repeat(self.first[self.owner], np.diff(starts)))[synaptic]
        unit, nth = np.divmod(self.place[synaptic], self.d.shape[1])
        start = starts - np.arange(rows + 1)
        arrays = {
            "first": self.first.astype(np.int64), "unit": self.unit.astype(np.int32), "own": self.own.astype(np.int32),
            "start": start.astype(np.int32), "column": column.astype(np.int32),
            "place": (unit * (self.d.shape[1] - 1) + nth).astype(np.int32), "alike": self.alike,
            "x": self.x, "block": np.zeros((np.diff(self.first).max(), self.x.shape[1])),
        }  # fmt: skip
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _runs(column: NDArray[np.intp], owner: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return which rows have one owner with the AT_ONCE - 1 after them, and are moved by the same (rows, fan)."""
    same = np.zeros(len(owner), bool)  # as the row after it
    same[:-1] = (column[1:] == column[:-1]).all(1) & (owner[1:] == owner[:-1])
    run = np.ones(len(owner), bool)
    for ahead in range(AT_ONCE - 1):
        run[: len(run) - ahead] &= same[ahead:]
        run[len(run) - ahead :] = False
    return run.astype(np.uint8)
