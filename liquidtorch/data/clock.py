"""A time column becomes a clock: numbers that can be subtracted without loss, and what one tick is."""

from __future__ import annotations

import numpy as np
import polars as pl

from ..errors import DataError, check_choice
from .read import typed

UNITS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "min": 60e9, "h": 3600e9, "d": 86400e9}  # in nanoseconds
YEAR_FIRST = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d")
DAY_FIRST = ("%d.%m.%Y",)
EITHER = (("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"))  # these two cannot be told apart by a day below 13
HOURS = ("", " %H:%M", " %H:%M:%S%.f")
ZONE = r"([+-]\d{2}:?\d{2})$"


def read_clock(column: pl.Series, unit: str) -> tuple[np.ndarray, float | None]:
    """Return the ticks (int64 or float64) of a time column, and the length of a tick in `unit`.

    The length is None for a column of numbers: they are in the user's unit already. Whole numbers that are all
    calendar days of 1900 to 2100 written as 20260131 are dates: their differences would mean nothing.
    """
    name = column.name
    column = typed(column)
    if column.null_count():
        raise DataError(
            f"`{name}` must have a time in every row; row {int(column.is_null().arg_max() or 0) + 1} has none. "
            "Remove the row, or fill it in."
        )
    if column.dtype == pl.String:
        column = _parse(column)
    elif column.dtype.is_integer() and column.is_between(19000101, 21001231).all():
        days = column.cast(pl.String).str.to_date("%Y%m%d", strict=False)
        column = column if days.null_count() else days
    if column.dtype.is_integer():
        return column.cast(pl.Int64).to_numpy(), None
    if column.dtype.is_numeric():
        ticks = column.cast(pl.Float64).to_numpy()
        if not np.isfinite(ticks).all():
            row = int((~np.isfinite(ticks)).argmax())
            raise DataError(f"`{name}` must be finite to be a time; got {ticks[row]} in row {row + 1}.")
        return ticks, None
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if not isinstance(column.dtype, pl.Datetime | pl.Duration):
        raise DataError(f"`{name}` must hold numbers or date-times to be a time; got {column.dtype}.")
    check_choice("unit", unit, UNITS)
    return column.to_physical().to_numpy(), UNITS[column.dtype.time_unit or "us"] / UNITS[unit]


def stamps(column: pl.Series) -> np.ndarray:
    """Return a time column as it was read: text, numbers, or numpy's date-times (with a zone: text)."""
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        column = column.dt.to_string("%Y-%m-%dT%H:%M:%S%.f%:z")
    return np.array(column.to_list()) if column.dtype == pl.String else column.to_numpy()


def _parse(column: pl.Series) -> pl.Series:
    """Read text as date-times, in the one format that fits every row."""
    text = column.str.replace("T", " ", literal=True).str.replace(r"\s*(Z|UTC)$", "+00:00")
    zone = text.str.contains(ZONE)
    text = text.str.replace(r"\s+" + ZONE, "${1}")
    first = str(text[0])
    ends = "%z" if zone[0] else ""
    tick = "ns" if text.str.contains(r"\.\d{7,}").any() else "us"
    fits: list[pl.Series] = []
    best: pl.Series | None = None
    for days in [(d,) for d in YEAR_FIRST + DAY_FIRST] + list(EITHER):
        for hours in HOURS:
            tries = [d + hours + ends for d in days if _read(text[:1], d + hours + ends, tick).null_count() == 0]
            found = [_read(text, form, tick) for form in tries]
            fits += [f for f in found if not f.null_count()]
            best = min([*found, *([] if best is None else [best])], key=lambda f: f.null_count(), default=best)
    if len(fits) > 1 and not fits[0].equals(fits[1]):
        raise DataError(
            f"`{column.name}` must be date-times of one meaning; got {first!r}, where day and month cannot be told "
            "apart. Write the year first: 2026-01-31."
        )
    if fits:
        return fits[0]
    row = 0 if best is None else int(best.is_null().arg_max() or 0)
    raise DataError(
        f"`{column.name}` must hold numbers or date-times to be a time; got {column[row]!r} in row {row + 1}. "
        "Write date-times as 2026-01-31 23:59:59."
    )


def _read(text: pl.Series, form: str, tick: str) -> pl.Series:
    return text.str.to_datetime(form, time_unit=tick, strict=False)  # type: ignore[arg-type]
