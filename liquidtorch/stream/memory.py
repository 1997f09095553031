"""What the stream remembers of the last records: clocks of the series, repeats, and samples that wait for a label."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .message import Rejected
from .options import RECORDS
from .sample import Sample
from .when import When, elapsed

Key = tuple[str, float]  # a series, and a time in it
SERIES = 10_000  # whose clocks and states are kept; the one that was silent longest is forgotten first


class Waiting(NamedTuple):
    """A sample that was predicted and may still get its label: features, answer, and what no change would have said."""

    x: dict[str, Any]
    answer: np.ndarray
    unchanged: np.ndarray | None

    def to_json(self) -> list[Any]:
        """Return it as JSON in which numbers may be NaN."""
        return [self.x, self.answer.tolist(), None if self.unchanged is None else self.unchanged.tolist()]

    @classmethod
    def from_json(cls, found: Sequence[Any]) -> Waiting:
        """Read what `to_json` wrote."""
        x, answer, unchanged = found
        same = None if unchanged is None else np.array(unchanged, np.float64)
        return cls(x, np.array(answer, np.float64), same)


class Forgotten(NamedTuple):
    """What gave way to a new record: series whose state is let go, and samples that waited too long for a label."""

    series: list[str]
    samples: list[tuple[str, Waiting]]


class Memory:
    """Tell new records from repeats and late labels, by series and time.

    Parameters
    ----------
    median_dt : float
        The time before the first record of a series.
    unit : str
        Of the times between records.
    waiting : int
        How many samples, of all series together, may wait for their label; the oldest is forgotten for one more.
    records, series : int
        How many of each are remembered.

    Examples
    --------
    >>> memory = Memory(1.0, "s", waiting=10)
    >>> sample = Sample("a", 3, When(3, False), {"x": 0.5}, None)
    >>> memory.arrive(sample)
    1.0
    >>> memory.keep(sample, None)
    Forgotten(series=[], samples=[])
    >>> memory.arrive(sample) is None
    True
    """

    def __init__(
        self, median_dt: float, unit: str, *, waiting: int, records: int = RECORDS, series: int = SERIES
    ) -> None:
        self.median_dt, self.unit = median_dt, unit
        self._most_waiting, self._most_records, self._most_series = waiting, records, series
        self._clocks: OrderedDict[str, When | None] = OrderedDict()
        self._seen: OrderedDict[Key, None] = OrderedDict()
        self._waiting: OrderedDict[Key, Waiting] = OrderedDict()

    def arrive(self, sample: Sample) -> float | None:
        """Return the time since the series' last record, or None for a record that has come before.

        Raises
        ------
        Rejected
            Where time does not go on, and the record is not one that is remembered.
        """
        if sample.when is None:
            return self.median_dt
        key = (sample.series, sample.when.ticks)
        if key in self._seen or key in self._waiting:
            return None
        before = self._clocks.get(sample.series)
        if before is None:
            return self.median_dt
        if before.dated != sample.when.dated:
            raise Rejected(f"times of a series must be all numbers or all date-times; got {sample.stamp!r}")
        if sample.when.ticks <= before.ticks:
            raise Rejected(
                f"time must go on within a series; got {sample.stamp!r}, {_ago(before, sample.when, self.unit)} "
                "before the last, and no such record is remembered"
            )
        return elapsed(before, sample.when, self.unit)

    def keep(self, sample: Sample, waiting: Waiting | None) -> Forgotten:
        """Remember a record that has been used, and return what is forgotten for it."""
        gone = Forgotten([], [])
        self._clocks[sample.series] = sample.when
        self._clocks.move_to_end(sample.series)
        if len(self._clocks) > self._most_series:
            series, _ = self._clocks.popitem(last=False)
            gone.series.append(series)
            for key in [key for key in self._waiting if key[0] == series]:
                del self._waiting[key]
        if sample.when is not None:
            key = (sample.series, sample.when.ticks)
            self._seen[key] = None
            if len(self._seen) > self._most_records:
                self._seen.popitem(last=False)
            if waiting is not None:
                self._waiting[key] = waiting
                while len(self._waiting) > self._most_waiting:
                    (series, _), late = self._waiting.popitem(last=False)
                    gone.samples.append((series, late))
        return gone

    def claim(self, sample: Sample) -> Waiting | None:
        """Return the sample that a late label belongs to, once; None for a mere repeat."""
        if sample.y is None or sample.when is None:
            return None
        return self._waiting.pop((sample.series, sample.when.ticks), None)

    def waiting(self) -> Iterator[tuple[str, Waiting]]:
        """Return the samples that may still get a label, with their series, in the order of their arrival."""
        return ((series, found) for (series, _), found in self._waiting.items())

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON in which numbers may be NaN."""
        return {
            "clocks": [[name, clock] for name, clock in self._clocks.items()],
            "seen": list(self._seen),
            "waiting": [[*key, found.to_json()] for key, found in self._waiting.items()],
        }

    def restore(self, found: Mapping[str, Any]) -> None:
        """Become what `to_json` was told of."""
        self._clocks = OrderedDict((name, None if clock is None else When(*clock)) for name, clock in found["clocks"])
        self._seen = OrderedDict(((series, ticks), None) for series, ticks in found["seen"])
        self._waiting = OrderedDict(
            ((series, ticks), Waiting.from_json(kept)) for series, ticks, kept in found["waiting"]
        )


def _ago(before: When, now: When, unit: str) -> str:
    gap = elapsed(now, before, unit)
    return f"{gap:g} {unit}"
