"""Numbers by name, in any company and order, as channels of unit scale in fixed slots."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import DataError

CLIP = 5.0  # standard deviations


class Channels:
    """Give each name a slot when it first has a value, and scale what comes by what has come.

    `z_j = clip((x_j - mean_j) / std_j, -5, 5)` with the mean and standard deviation of all values of that name so far,
    this one included; 0 where there is no value, as where it never changed. A slot is never moved.

    Parameters
    ----------
    capacity : int, at least 0
        How many slots there are before they are doubled.
    names : iterable of hashables
        Names that have a slot from the start, in this order.

    Attributes
    ----------
    count, mean, square : arrays (capacity,)
        Of each slot, how many values there were, their mean, and the sum of their squared deviations from it. A kernel
        reads and writes them where they are (`Arrival`): others take their place where more room is needed.

    Examples
    --------
    >>> channels = Channels(2)
    >>> channels.read({"a": 1.0}).tolist(), channels.read({"b": 5.0, "a": 3.0}).tolist()
    ([0.0, 0.0], [1.0, 0.0])
    >>> channels.slots
    {'a': 0, 'b': 1}
    """

    def __init__(self, capacity: int, names: Iterable[Hashable] = ()) -> None:
        self.capacity = capacity
        self.slots: dict[Hashable, int] = {}
        self._hold((), (), ())
        self.fresh: list[Hashable] = []  # names whose slot nobody has been told of
        for name in names:
            self._open(name)
        self.fresh.clear()

    def _hold(self, count: Iterable[int], mean: Iterable[float], square: Iterable[float]) -> None:
        """Keep these numbers, of the first slots, in new arrays with room for all."""
        self.count, self.mean, self.square = array("q", count), array("d", mean), array("d", square)
        for numbers in (self.count, self.mean, self.square):
            numbers.frombytes(bytes(8 * (self.capacity - len(numbers))))

    def _open(self, name: Hashable) -> int:
        self.slots[name] = slot = len(self.slots)
        self.fresh.append(name)
        if slot >= self.capacity:
            self.capacity = max(4, 2 * self.capacity)
            self._hold(self.count, self.mean, self.square)
        return slot

    def _welcome(self, x: Mapping[Hashable, Any]) -> None:
        """Open slots for the new names of a sample, in an order that does not depend on how the sample lists them."""
        new = [name for name, v in x.items() if name not in self.slots and v is not None and v == v]
        for name in sorted(new, key=lambda name: (type(name).__name__, len(str(name)), str(name))):
            self._open(name)

    def read(self, x: Mapping[Hashable, Any], learn: bool = True) -> np.ndarray:
        """Return the channels (capacity,) of one sample; `learn=False`: nothing is remembered of it.

        Raises
        ------
        DataError
            If a value is no number, or infinite.
        """
        z = [0.0] * self.capacity
        slots, sqrt = self.slots, math.sqrt
        count, mean, square = self.count, self.mean, self.square
        for name, value in x.items():
            if value is None:
                continue
            try:
                v = float(value)
            except (TypeError, ValueError):
                raise DataError(
                    f"`x` must hold numbers; got {value!r} for {name!r} ({type(value).__name__}). "
                    "Spread categories over columns of 0 and 1 before."
                ) from None
            if v - v != 0.0:  # NaN or infinite
                if v != v:
                    continue
                raise DataError(f"`x` must hold finite numbers; got {v} for {name!r}. Leave out what is not known.")
            j = slots.get(name)
            if j is None:
                if not learn:
                    continue
                self._welcome(x)
                j = slots[name]
                z.extend([0.0] * (self.capacity - len(z)))
                count, mean, square = self.count, self.mean, self.square
            off, at = v - mean[j], count[j]
            if learn:
                count[j] = at = at + 1
                mean[j] += off / at
                left = v - mean[j]
                square[j] += off * left
                off = left
            if square[j] > 0.0:
                scaled = off / sqrt(square[j] / at)
                z[j] = CLIP if scaled > CLIP else -CLIP if scaled < -CLIP else scaled
        return np.array(z)

    def state(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        taken = len(self.slots)
        numbers = {name: getattr(self, name)[:taken].tolist() for name in ("count", "mean", "square")}
        return {"capacity": self.capacity, "names": list(self.slots), **numbers}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Channels:
        """Make it again from what `state` returned."""
        found = cls(state["capacity"], state["names"])
        found._hold(*(state[k] for k in ("count", "mean", "square")))
        return found
