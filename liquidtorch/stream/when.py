"""The time of one record becomes a number that can be subtracted without loss."""

from __future__ import annotations

import datetime
import math
import re
from typing import Any, NamedTuple

from ..data.clock import UNITS
from .message import Rejected, short

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
DAY_FIRST = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})")
YEAR_FIRST = re.compile(r"(\d{4})[./](\d\d)[./](\d\d)")
LARGEST = 2**62  # of a whole number: differences of two fit an int64 of any other program


class When(NamedTuple):
    """A moment: a number in the user's unit, or microseconds since 1970 where it was `dated`."""

    ticks: float
    dated: bool


def when(name: str, value: Any) -> When:
    """Read a time: a number, or a date-time such as 2026-01-31 23:59:59, without a zone taken as UTC.

    Whole numbers that are calendar days written as 20260131 are dates, as in the tables a network learns from.

    Examples
    --------
    >>> when("t", "1970-01-01T00:00:02Z"), when("t", "1.5"), when("t", 20260131).dated
    (When(ticks=2000000, dated=True), When(ticks=1.5, dated=False), True)
    """
    if isinstance(value, str):
        text = value.strip()
        number = _number(text)
        if number is None:
            return When(_microseconds(name, text), True)
        value = number
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Rejected(f"`{name}` must be a time; got {short(value)}")
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise Rejected(f"`{name}` must be finite to be a time; got {short(value)}")
    if isinstance(value, int) and 19000101 <= value <= 21001231:
        day = _day(value)
        if day is not None:
            return When(day, True)
    return When(value, False)


def elapsed(before: When, now: When, unit: str) -> float:
    """Return the time between two moments of one kind, in `unit`."""
    gap = now.ticks - before.ticks
    return gap * 1000.0 / UNITS[unit] if now.dated else float(gap)


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return None if "_" in text else kind(text)
        except ValueError:
            continue
    return None


def _day(number: int) -> int | None:
    try:
        day = datetime.datetime(number // 10000, number // 100 % 100, number % 100, tzinfo=datetime.UTC)
    except ValueError:
        return None
    return _since_epoch(day)


def _microseconds(name: str, text: str) -> int:
    spelled = DAY_FIRST.sub(r"\3-\2-\1", YEAR_FIRST.sub(r"\1-\2-\3", text, count=1), count=1)
    spelled = re.sub(r"\s*(UTC)$", "+00:00", spelled)
    try:
        found = datetime.datetime.fromisoformat(spelled)
    except ValueError:
        raise Rejected(
            f"`{name}` must be a number or a date-time such as 2026-01-31 23:59:59; got {short(text)}"
        ) from None
    return _since_epoch(found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC))


def _since_epoch(moment: datetime.datetime) -> int:
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)
