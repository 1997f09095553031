"""Which rows of a table are one series, in what order, and how much time lies between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from ..errors import DataError
from .clock import read_clock, stamps
from .sequences import steps


class Clock(NamedTuple):
    """The time of each row, the time since the row before and its median, and the time column as read."""

    time: np.ndarray | None
    dt: np.ndarray
    median_dt: float
    stamps: np.ndarray | None


def group(frame: pl.DataFrame, series: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row order that puts each series together (first come, first), the offsets and the names."""
    if series is None:
        return np.arange(frame.height), np.array([0, frame.height]), np.array(["0"])
    column = frame[series]
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise DataError(f"`{series}` must name a series in every row; row {row + 1} has none.")
    if isinstance(column.dtype, pl.List | pl.Struct | pl.Array):
        raise DataError(f"`{series}` must be text or numbers to name the series; got {column.dtype}.")
    text = column.cast(pl.String)
    names = text.unique(maintain_order=True)
    codes = text.replace_strict(names, np.arange(len(names)), return_dtype=pl.Int64).to_numpy()
    order = np.argsort(codes, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(names)))])
    return order, offsets, np.array(names.to_list())


def read_time(
    frame: pl.DataFrame,
    time: str | None,
    series: str | None,
    unit: str,
    order: np.ndarray,
    offsets: np.ndarray,
    names: np.ndarray,
    median: float | None,
) -> Clock:
    """Read the time column of rows in `order`; `median` is the training data's median dt, or None."""
    if time is None:
        return Clock(None, *steps(None, offsets, median), None)
    ticks, length = read_clock(frame[time], unit)
    ticks, read = ticks[order], stamps(frame[time])
    back = np.zeros(len(ticks), bool)
    back[1:] = ticks[1:] <= ticks[:-1]
    back[offsets[:-1]] = False
    if back.any():
        raise _not_increasing(int(back.argmax()), time, series, ticks, read, order, offsets, names)
    gaps, usual = steps(ticks, offsets, None if median is None else median / (length or 1.0))
    if length is None:
        return Clock(ticks.astype(np.float64), gaps, usual, read[order])
    return Clock((ticks - ticks.min()) * length, gaps * length, usual * length, read[order])


def _not_increasing(
    at: int,
    time: str,
    series: str | None,
    ticks: np.ndarray,
    read: np.ndarray,
    order: np.ndarray,
    offsets: np.ndarray,
    names: np.ndarray,
) -> DataError:
    which = names[np.searchsorted(offsets, at, side="right") - 1]
    where = f"row {order[at] + 1}" + ("" if series is None else f", series {which!s}")
    now, before = read[order[at]], read[order[at - 1]]
    if series is None:
        way = "Sort the table by time, or name the column that tells the series apart (series / --series)."
    elif ticks[at] == ticks[at - 1]:
        way = "Drop the repeated rows, or name the column that tells the series apart (series / --series)."
    else:
        way = f"Sort the table by {series} and {time}."
    if ticks[at] == ticks[at - 1]:
        return DataError(f"`{time}` must increase within a series; got {now} twice ({where}). {way}")
    return DataError(f"`{time}` must increase within a series; got {now} after {before} ({where}). {way}")
