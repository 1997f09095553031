"""An axis: a range, its label, and round numbers along it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .numbers import finite, fixed, number


@dataclass(frozen=True)
class Axis:
    """The range [low, high] of one direction of a plot, linear or logarithmic."""

    label: str
    low: float
    high: float
    log: bool = False
    whole: bool = False  # things that are counted get no ticks between

    def at(self, value: float) -> float:
        """Return where `value` stands, 0 at `low` and 1 at `high`, clipped to the plot."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def ticks(self, wanted: int = 5) -> list[tuple[float, str]]:
        """Return about `wanted` round values inside the range, with their text."""
        if self.log:
            found = _log_ticks(self.low, self.high, wanted)
            if len(found) > 1:
                return [(v, number(v, 3)) for v in found]
        step = _round_step((self.high - self.low) / wanted)
        step = max(step, 1.0) if self.whole else step
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [i * step for i in range(first, last + 1)]
        if max(abs(self.low), abs(self.high)) >= 1e6 or step < 1e-5:
            return [(v, number(v, 3)) for v in values]
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(v, fixed(v, decimals)) for v in values]


def _round_step(raw: float) -> float:
    base = 10.0 ** math.floor(math.log10(raw))
    return next(m * base for m in (1, 2, 5, 10) if m * base >= 0.75 * raw)


def _log_ticks(low: float, high: float, wanted: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = max(1, math.ceil((len(decades) - 1) / (wanted + 1)))
    steps = (1, 2, 5) if high < 100 * low else (1,)
    values = [m * 10.0**d for d in decades if d % every == 0 for m in steps]
    return [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]


def around(
    values: Iterable[Any],
    label: str,
    *,
    log: bool = False,
    zero: bool = False,
    whole: bool = False,
    margin: float = 0.05,
) -> Axis:
    """Return the axis that shows all finite `values`; logarithmic only where all are positive.

    `zero` makes a linear axis begin at 0, `whole` is for counts; a single value gets room on both sides.
    """
    known = [float(v) for v in values if finite(v)]
    if not known:
        return Axis(label, 0.0, 1.0)
    low, high = min(known), max(known)
    if log and low > 1e-150:  # the ratio of two numbers drawn is a number too
        room = (high / low) ** margin if high > low else 3.0
        return Axis(label, low / room, high * room, log=True)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * margin
    if high - low <= 1e-12 * max(abs(high), abs(low)):
        room = 0.1 * abs(high) or 1.0
    return Axis(label, 0.0 if zero and low == 0 else low - room, high + room, whole=whole)


def bins(values: Sequence[float], axis: Axis, count: int) -> tuple[list[float], list[int]]:
    """Count `values` in equal bins of the axis (equal ratios on a logarithmic one)."""
    ratio = axis.high / axis.low if axis.log else 0.0
    edges = [
        axis.low * ratio ** (i / count) if axis.log else axis.low + (axis.high - axis.low) * i / count
        for i in range(count + 1)
    ]
    filled = Counter(min(count - 1, int(axis.at(v) * count)) for v in values)
    return edges, [filled[i] for i in range(count)]
