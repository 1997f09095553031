"""What every room above works on: many series of rows, flat in memory, ragged, irregular, with gaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError, OptionError, ShapeError, check_range
from .card import card

KINDS = ("numeric", "category")
LEVELS = ("step", "series")


@dataclass(frozen=True)
class Feature:
    """One column: its name, its kind, and for a category the values behind the codes 0..K-1.

    Parameters
    ----------
    name : str
        The column's name.
    kind : "numeric" or "category"
        A number, or a code into `vocabulary`.
    vocabulary : tuple
        The values of a category in the order of their codes (strings, booleans or numbers).
    """

    name: str
    kind: str = "numeric"
    vocabulary: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the feature as plain JSON."""
        return {"name": self.name, "kind": self.kind, "vocabulary": list(self.vocabulary)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Feature:
        """Read what `to_json` wrote."""
        return cls(found["name"], found["kind"], tuple(found["vocabulary"]))


class Series(NamedTuple):
    """One series of `Sequences`: views into the flat arrays, nothing copied."""

    name: str
    values: np.ndarray  # (T, F)
    dt: np.ndarray  # (T,)
    time: np.ndarray | None  # (T,)
    target: np.ndarray | None  # (T, O) for steps, (O,) for the series
    stamps: np.ndarray | None  # (T,)


@dataclass(frozen=True, eq=False)
class Sequences:
    """Hold N series of rows one after another in flat arrays.

    Parameters
    ----------
    values : (rows, F) float64
        The features; NaN is a missing value, a category is its code.
    offsets : (N+1,) int64
        Series i is the rows offsets[i]:offsets[i+1]; none is empty.
    names : (N,) str
        The name of each series.
    features : tuple of Feature
        One for each column of `values`.
    dt : (rows,) float64, above 0
        Time since the previous row, in `unit`; the first row of a series has `median_dt`.
    median_dt : float, above 0
        The usual `dt` of the data this came from.
    time : (rows,) float64 or None
        The time of each row in `unit`, strictly increasing within a series. Date-times count from the earliest one.
    unit : str
        The unit of `time` and `dt`.
    targets : tuple of Feature
        One for each column of `target`.
    target : (rows, O) or (N, O) float64, or None
        What is to be learned, a row or a series each.
    level : "step" or "series"
        Which of the two shapes `target` has.
    series_name, time_name : str or None
        The columns of the table these came from.
    stamps : (rows,) or None
        The time column as it was read.
    source : (rows,) int64
        The row of the table each row came from, from 0.

    Raises
    ------
    ShapeError
        When the arrays do not fit each other.

    Examples
    --------
    >>> from liquidtorch.data import from_arrays
    >>> seqs = from_arrays([[[1.0], [2.0], [3.0]], [[4.0], [5.0]]])
    >>> len(seqs), seqs.rows, seqs.lengths.tolist()
    (2, 5, [3, 2])
    >>> seqs.windows(2, 1).tolist()
    [[0, 2], [1, 3], [3, 5]]
    """

    values: np.ndarray
    offsets: np.ndarray
    names: np.ndarray
    features: tuple[Feature, ...]
    dt: np.ndarray
    median_dt: float
    time: np.ndarray | None
    unit: str
    targets: tuple[Feature, ...]
    target: np.ndarray | None
    level: str
    series_name: str | None
    time_name: str | None
    stamps: np.ndarray | None
    source: np.ndarray

    def __post_init__(self) -> None:
        rows, n = len(self.values), len(self.offsets) - 1
        wanted = {
            "values": (rows, len(self.features)),
            "names": (n,),
            "dt": (rows,),
            "time": (rows,),
            "stamps": (rows,),
            "source": (rows,),
            "target": (rows if self.level == "step" else n, len(self.targets)),
        }
        for name, shape in wanted.items():
            found = getattr(self, name)
            if found is not None and found.shape != shape:
                raise ShapeError(f"`{name}` must have the shape {shape}; got {found.shape}.")
        if n < 1 or self.offsets[0] != 0 or self.offsets[-1] != rows or (np.diff(self.offsets) < 1).any():
            raise ShapeError(
                f"`offsets` must rise from 0 to {rows} (the rows); got {self.offsets.tolist()[:9]} (a series is empty)."
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"Sequences({len(self)} series, {self.rows} rows, {len(self.features)} features)"

    @property
    def rows(self) -> int:
        """The number of rows of all series."""
        return len(self.values)

    @property
    def lengths(self) -> np.ndarray:
        """The number of rows of each series, (N,) int64."""
        return np.diff(self.offsets)

    @property
    def series_of_row(self) -> np.ndarray:
        """The number of the series each row belongs to, (rows,) int64."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def series(self, i: int) -> Series:
        """Return views of series `i`; nothing is copied."""
        if not -len(self) <= i < len(self):
            raise OptionError(f"`i` must be a series from 0 to {len(self) - 1}; got {i}.")
        i %= len(self)
        rows = slice(self.offsets[i], self.offsets[i + 1])
        target = None if self.target is None else self.target[rows if self.level == "step" else i]
        time = None if self.time is None else self.time[rows]
        stamps = None if self.stamps is None else self.stamps[rows]
        return Series(str(self.names[i]), self.values[rows], self.dt[rows], time, target, stamps)

    def take(self, indices: Sequence[int] | np.ndarray) -> Sequences:
        """Return the series named by their numbers, in that order (a copy of their rows)."""
        chosen = np.asarray(indices)
        if chosen.size == 0:
            raise DataError("`indices` must name at least one series; got none.")
        return self._cut(chosen.astype(np.int64), np.zeros(len(chosen), np.int64), self.lengths[chosen])

    def slice_time(self, starts: Iterable[int] | np.ndarray, stops: Iterable[int] | np.ndarray) -> Sequences:
        """Return rows starts[i]:stops[i] of each series i (a copy); a series left without rows is dropped.

        The first row of each piece gets `median_dt`: the row before it is not there any more.
        """
        begin, end = np.asarray(starts, np.int64), np.asarray(stops, np.int64)
        if begin.shape != (len(self),) or end.shape != (len(self),):
            raise ShapeError(f"`starts`, `stops` must have the shape ({len(self)},); got {begin.shape}, {end.shape}.")
        if (begin < 0).any() or (end > self.lengths).any():
            raise OptionError("`starts` and `stops` must lie inside their series; got a bound outside.")
        kept = np.flatnonzero(end > begin)
        if not len(kept):
            raise DataError("`stops` must be above `starts` somewhere; got no row at all.")
        return self._cut(kept, begin[kept], end[kept])

    def _cut(self, chosen: np.ndarray, begin: np.ndarray, end: np.ndarray) -> Sequences:
        lengths = end - begin
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] + begin - offsets[:-1], lengths)
        dt = self.dt[rows]
        dt[offsets[:-1]] = np.where(begin == 0, dt[offsets[:-1]], self.median_dt)
        target = self.target
        if target is not None:
            target = target[rows if self.level == "step" else chosen]
        return dataclasses.replace(
            self,
            values=self.values[rows],
            offsets=offsets,
            names=self.names[chosen],
            dt=dt,
            time=None if self.time is None else self.time[rows],
            target=target,
            stamps=None if self.stamps is None else self.stamps[rows],
            source=self.source[rows],
        )

    def windows(self, length: int, stride: int) -> np.ndarray:
        """Return the row bounds (W, 2) of windows of `length` rows, `stride` rows apart, none across two series.

        The last window of a series may be shorter, so that with stride <= length no row is left out.
        """
        check_range("length", length, 1, whole=True)
        check_range("stride", stride, 1, whole=True)
        lengths = self.lengths
        count = 1 + -(-np.maximum(lengths - length, 0) // stride)
        first = np.repeat(np.cumsum(count) - count, count)
        starts = np.repeat(self.offsets[:-1], count) + stride * (np.arange(count.sum()) - first)
        kept = starts < np.repeat(self.offsets[1:], count)  # a stride above the length may step past the end
        stops = np.minimum(starts + length, np.repeat(self.offsets[1:], count))
        return np.stack([starts[kept], stops[kept]], axis=1)

    def schema(self) -> dict[str, Any]:
        """Return, as plain JSON, what `from_table(like=)` needs to read another table the same way."""
        return {
            "features": [f.to_json() for f in self.features],
            "targets": [f.to_json() for f in self.targets],
            "level": self.level,
            "series": self.series_name,
            "time": self.time_name,
            "unit": self.unit,
            "median_dt": self.median_dt,
        }

    def card(self) -> dict[str, Any]:
        """Return the data card: counts, lengths, dt, and a line on each feature and target, as plain JSON."""
        return card(self)


def steps(time: np.ndarray | None, offsets: np.ndarray, median_dt: float | None = None) -> tuple[np.ndarray, float]:
    """Return the time since the previous row (rows,), and its median, which each first row gets."""
    rows = int(offsets[-1])
    if time is None:
        return np.full(rows, median_dt or 1.0), median_dt or 1.0
    dt = np.diff(time, prepend=time[0]).astype(np.float64)
    inner = np.ones(rows, bool)
    inner[offsets[:-1]] = False
    if median_dt is None:
        median_dt = float(np.median(dt[inner])) if inner.any() else 1.0
    dt[~inner] = median_dt
    return dt, median_dt
