"""Slots: the parameters of a cell packed by the unit that owns them, so that work follows the wiring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK = 8  # numbers, of which every vector of every processor is a part


class Affine(NamedTuple):
    """Name what stands at the synapses of a unit: over units (H, H), over features (H, F), and for itself (H,)."""

    h: str | None
    x: str | None
    unit: str | None = None


class Slots:
    """Pack the synapses of every unit side by side.

    Parameters
    ----------
    felt_h : array (H, H) of bool
        Which unit feels which, (to, from).
    felt_x : array (H, F) of bool
        Which unit feels which feature.
    maps : sequence of Affine
        The parameters that every synapse has, in the order of their columns.
    singles : sequence of str
        The parameters (H,) that every unit has beside.

    Notes
    -----
    `source` (H, s) tells for each slot its place in `[h, x, 1, 0]` (H + F + 2,): synapses from units in the first
    `fan_h` slots, those from features after them. A slot that is not used reads the 0. A parameter is found in the
    packed matrix (H, p) at the flat places `where[name].slot`, and in its own array at `where[name].place`; p, the
    `width`, is whole vectors, and what no parameter fills is 0.
    """

    def __init__(
        self, felt_h: NDArray[np.bool_], felt_x: NDArray[np.bool_], maps: Sequence[Affine], singles: Sequence[str]
    ) -> None:
        self.units, self.features = felt_x.shape
        H, F = self.units, self.features
        self.felt_h, self.felt_x = felt_h, felt_x
        self.fan_h = int(felt_h.sum(1).max(initial=0))
        self.fan = self.fan_h + int(felt_x.sum(1).max(initial=0))
        self.source = np.full((H, self.fan), H + F + 1)
        for felt, first, offset in ((felt_h, 0, 0), (felt_x, self.fan_h, H)):
            to, of = felt.nonzero()
            nth = np.arange(len(to)) - np.searchsorted(to, to)  # which of its unit's synapses it is
            self.source[to, first + nth] = offset + of
        self.live = self.source < H + F
        self.columns: list[slice] = []  # of each map
        self.single: dict[str, int] = {}  # column of each parameter of the units themselves
        width = 0
        for affine in maps:
            self.columns.append(slice(width, width + self.fan + (affine.unit is not None)))
            width = self.columns[-1].stop
            if affine.unit is not None:
                self.single[affine.unit] = width - 1
        for name in singles:
            self.single[name] = width
            width += 1
        self.width = -(-width // BLOCK) * BLOCK
        self.where = self._places(maps)

    def _places(self, maps: Sequence[Affine]) -> dict[str, Where]:
        H, F = self.units, self.features
        where = {}
        from_units, from_features = self.source < H, self.live & (self.source >= H)
        for affine, columns in zip(maps, self.columns, strict=True):
            for name, mine, offset, across in ((affine.h, from_units, 0, H), (affine.x, from_features, H, F)):
                if name is not None:
                    to, nth = mine.nonzero()
                    place = to * across + self.source[to, nth] - offset
                    where[name] = Where((H, across), place, to * self.width + columns.start + nth)
        for name, column in self.single.items():
            where[name] = Where((H,), np.arange(H), np.arange(H) * self.width + column)
        return where

    def columns_in(self, wider: Slots) -> NDArray[np.intp]:
        """Return the column in another packing of the same units of each column here, (H, p).

        The other has all synapses of this one, and as many features or more; its width stands where no parameter is.
        """
        column = np.full((self.units, self.width), wider.width)
        for name, where in self.where.items():
            other = wider.where[name]
            to, of = np.divmod(where.place, where.shape[-1]) if len(where.shape) > 1 else (where.place, 0)
            place = to * (other.shape[-1] if len(other.shape) > 1 else 1) + of
            slot = np.zeros(np.prod(other.shape, dtype=int), np.intp)
            slot[other.place] = other.slot
            column.reshape(-1)[where.slot] = slot[place] % wider.width
        return column

    def spread(self, packed: Floats, owner: NDArray[np.intp], wider: Slots) -> Floats:
        """Return packed numbers (.., n, p), row k of the unit owner[k], as of the same units with more features."""
        found = np.zeros((*packed.shape[:-1], wider.width + 1))  # the last takes what no parameter fills
        np.put_along_axis(found, np.broadcast_to(self.columns_in(wider)[owner], packed.shape), packed, axis=-1)
        return found[..., :-1]

    def felt(self) -> NDArray[np.intp]:
        """Return for every unit and slot the unit it feels, (H, fan_h), and H where a slot is not used."""
        return np.minimum(self.source[:, : self.fan_h], self.units)

    def itself(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the units that feel themselves and the slots by which they do."""
        to, nth = (self.felt() == np.arange(self.units)[:, None]).nonzero()
        return to, nth


class Where(NamedTuple):
    """Say where a parameter is found: flat places in its own array of `shape`, and flat slots of the packed matrix."""

    shape: tuple[int, ...]
    place: NDArray[np.intp]
    slot: NDArray[np.intp]
