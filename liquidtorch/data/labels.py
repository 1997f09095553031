"""When a target is a class and when it is a number, and the codes of the classes: one rule for tables and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError, OptionError, check_choice
from .sequences import KINDS, Feature

MOST_CLASSES = 10  # whole numbers 0..K-1 count as classes up to here


def encode_target(
    name: str, column: np.ndarray, kind: str | None, like: Feature | None = None, *, gaps: bool = False
) -> tuple[Feature, np.ndarray]:
    """Return the target's `Feature` and its codes or numbers as float64.

    Text and booleans are classes; whole numbers that are exactly 0..K-1, K from 2 to 10, are classes too, unless
    `kind` says "numeric"; all else is a number unless `kind` says "category". `like` settles it.
    """
    if like is not None:
        kind = like.kind
    elif kind is not None:
        check_choice("target_kind", kind, KINDS)
    numeric = column.dtype.kind in "fiu"
    if numeric:
        _refuse_unusable(name, column, gaps)
    if kind is None:
        kind = "category" if not numeric or _counts_from_zero(column) else "numeric"
    if kind == "numeric":
        if not numeric:
            raise not_a_number(name, column[0])
        return Feature(name), column.astype(np.float64)
    if column.dtype.kind == "O":
        missing = np.array([v is None or v != v for v in column.tolist()])
        if missing.any():
            raise no_class(name, int(missing.argmax()))
    try:
        found, codes = np.unique(column, return_inverse=True)
    except TypeError:
        raise DataError(f"`{name}` must hold classes of one type; got text mixed with numbers.") from None
    return encode_classes(name, found, codes.reshape(-1), like)


def not_a_number(name: str, value: Any) -> DataError:
    """Return the error of a target that is to be predicted as a number and holds text."""
    return DataError(
        f"`{name}` must be numbers to be predicted as a number; got {plain(np.array([value]))[0]!r}. "
        "Choose a classification task, or another target."
    )


def no_class(name: str, row: int) -> DataError:
    """Return the error of a target without a class in a row (from 0)."""
    return DataError(f"`{name}` must have a class in every row; row {row + 1} has none. Remove the row, or fill it in.")


def such_rows(count: int) -> str:
    """Return "3 such rows" or "1 such row"."""
    return f"{count} such row{'s' * (count != 1)}"


def _refuse_unusable(name: str, column: np.ndarray, gaps: bool) -> None:
    bad = np.isinf(column) if gaps else ~np.isfinite(column)
    if bad.any():
        row = int(bad.argmax())
        way = "Remove the row, or fill it in." if not gaps else "Remove the row, or leave the value empty."
        raise DataError(
            f"`{name}` must be finite to be a target; got {column[row]} in row {row + 1} "
            f"({such_rows(int(bad.sum()))}). {way}"
        )


def _counts_from_zero(column: np.ndarray) -> bool:
    if not len(column) or column.min() != 0 or column.max() not in range(1, MOST_CLASSES):
        return False  # looked at first: it spares sorting a long column of numbers
    found = np.unique(column)
    return bool(np.array_equal(found, np.arange(len(found))))


def encode_classes(name: str, found: np.ndarray, codes: np.ndarray, like: Feature | None) -> tuple[Feature, np.ndarray]:
    """Return the `Feature` and codes of classes `found` (sorted, different) that rows name by `codes`."""
    values = plain(found)
    if like is None:
        return Feature(name, "category", tuple(values)), codes.astype(np.float64)
    known = {v: k for k, v in enumerate(like.vocabulary)}
    known |= {str(v): k for v, k in known.items() if str(v) not in known}  # 1 and "1": a table may say either
    table = np.array([known.get(v, known.get(str(v), -1)) for v in values])
    if (table < 0).any():
        value = values[int((table < 0).argmax())]
        row = int((codes == int((table < 0).argmax())).argmax())
        raise DataError(
            f"`{name}` must hold classes the model has learned, {list(like.vocabulary)[:9]}; "
            f"got {value!r} in row {row + 1}."
        )
    return like, table[codes].astype(np.float64)


def plain(values: np.ndarray) -> list[Any]:
    """Return numpy values as Python's own; a float that is whole becomes an int."""
    return [int(v) if isinstance(v, float) and v.is_integer() else v for v in values.tolist()]


def check_names(name: str, given: Sequence[str], count: int) -> tuple[str, ...]:
    """Return `given` as a tuple of `count` different names, or raise `OptionError`."""
    found = tuple(str(g) for g in given)
    if len(found) != count or len(set(found)) != count:
        raise OptionError(f"`{name}` must be {count} different names; got {list(found)}.")
    return found
