"""Columns of a table become numbers: numeric as they are, categories as codes, and text among numbers is refused."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from ..errors import DataError
from .labels import encode_classes, encode_target, no_class, not_a_number, such_rows
from .read import typed
from .sequences import Feature

MOST_CATEGORIES = 256
FEW_CATEGORIES = 50  # above this, more than a fifth of the rows being different means free text


def encode_column(column: pl.Series, like: Feature | None) -> tuple[Feature, np.ndarray]:
    """Return the `Feature` of a column and its numbers or codes as float64 (rows,), NaN where missing."""
    name = column.name
    column = _plain(column)
    if like is not None and like.kind == "category":
        return like, _codes(column.cast(pl.String), [_spelled(v) for v in like.vocabulary])
    if column.dtype == pl.Null or column.null_count() == len(column):
        if like is None:
            raise DataError(f"`{name}` must hold a value somewhere; every row is missing. Leave the column out.")
        return like, np.full(len(column), np.nan)
    if column.dtype in (pl.String, pl.Boolean):
        _refuse_text_among_numbers(column, like is not None)
        _refuse_free_text(column)
        found = column.drop_nulls().unique().sort()
        codes = _codes(column.cast(pl.String), found.cast(pl.String).to_list())
        return Feature(name, "category", tuple(found.to_list())), codes
    values = column.cast(pl.Float64).to_numpy()
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise DataError(
            f"`{name}` must be finite or missing; got {values[row]} in row {row + 1}. Leave the value empty."
        )
    return like or Feature(name), values


def encode_target_column(
    column: pl.Series, kind: str | None, like: Feature | None, *, gaps: bool
) -> tuple[Feature, np.ndarray]:
    """Return the `Feature` of a target column and its numbers or codes as float64 (rows,)."""
    name = column.name
    column = _plain(column)
    if column.dtype == pl.Null:
        raise DataError(f"`{name}` must hold a value somewhere; every row is missing.")
    if column.dtype not in (pl.String, pl.Boolean):
        return encode_target(name, column.cast(pl.Float64).to_numpy(), kind, like, gaps=gaps)
    kind = like.kind if like is not None else kind
    _refuse_text_among_numbers(column, False)
    if kind == "numeric":
        raise not_a_number(name, column.drop_nulls()[0])
    if column.null_count():
        raise no_class(name, int(column.is_null().arg_max() or 0))
    _refuse_free_text(column)
    found = column.unique().sort()
    codes = _codes(column.cast(pl.String), found.cast(pl.String).to_list())
    return encode_classes(name, np.array(found.to_list()), codes.astype(np.int64), like)


def is_numeric(column: pl.Series) -> bool:
    """Return whether a column is numbers, or text that is all numbers."""
    return column.dtype.is_numeric() or (column.dtype == pl.String and typed(column).dtype.is_numeric())


def _plain(column: pl.Series) -> pl.Series:
    """Return a column of numbers, booleans or text, NaN as null, or raise `DataError`."""
    kind = column.dtype
    if isinstance(kind, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    elif kind.is_temporal():
        raise DataError(
            f"`{column.name}` must be numbers or text to be learned from; got {kind}. "
            "Name it as the time (time / --time), or leave it out of the features."
        )
    elif not (kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Null)):
        raise DataError(f"`{column.name}` must be numbers or text; got {kind}. Leave it out of the features.")
    if kind.is_float():
        return column.fill_nan(None)
    return typed(column)


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _codes(text: pl.Series, vocabulary: list[str]) -> np.ndarray:
    known = {v: float(k) for k, v in enumerate(vocabulary)}
    return text.replace_strict(known, default=None, return_dtype=pl.Float64).to_numpy()


def _refuse_text_among_numbers(column: pl.Series, numbers_wanted: bool) -> None:
    if column.dtype != pl.String:
        return
    seen = column.is_not_null()
    text = seen & column.cast(pl.Float64, strict=False).is_null()
    if text.any() and (numbers_wanted or text.sum() * 2 < seen.sum()):
        row = int(text.arg_max() or 0)
        way = "." if numbers_wanted else ", or make every value text."
        raise DataError(
            f"`{column.name}` must be numbers; got {column[row]!r} in row {row + 1} ({such_rows(int(text.sum()))}). "
            f"Leave the value empty where it is missing{way}"
        )


def _refuse_free_text(column: pl.Series) -> None:
    found = column.n_unique()
    if found > MOST_CATEGORIES or (found > FEW_CATEGORIES and found * 5 > len(column)):
        first = column.drop_nulls()[0]
        way = "Leave it out of the features, or name it as the series or the time."
        if re.fullmatch(r"[+-]?\d+,\d+", str(first).strip()):
            way = "Write its numbers with a point instead of a comma."
        raise DataError(
            f"`{column.name}` must be numbers or a category of few values; got text with {found} different values "
            f"such as {first!r}. {way}"
        )
