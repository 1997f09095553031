"""A long table becomes `Sequences`: one row a time step, columns for the series, the time, features and targets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from ..errors import DataError, MissingExtra, OptionError, check_choice, nearest
from .columns import encode_column, encode_target_column, is_numeric
from .order import group, read_time
from .read import read_table
from .sequences import LEVELS, Feature, Sequences


def from_table(
    table: Any,
    *,
    target: str | Sequence[str] | None = None,
    series: str | None = None,
    time: str | None = None,
    features: Sequence[str] | None = None,
    unit: str = "s",
    target_kind: str | None = None,
    level: str | None = None,
    forecast: bool = False,
    like: dict[str, Any] | None = None,
) -> Sequences:
    """Make `Sequences` of a long table.

    Parameters
    ----------
    table : path or dataframe
        A file `read_table` reads, or any dataframe narwhals knows (polars, pandas, pyarrow, ...).
    target : str, sequence of str, or None
        What is to be learned. None: with `like`, its targets if the table has them; with `forecast`, every
        numeric feature. An empty sequence: nothing.
    series : str or None
        The column that names the series of each row; rows of a series need not be neighbours. None: one series.
    time : str or None
        Numbers or date-times, strictly increasing within a series. None: rows are 1 apart.
    features : sequence of str or None
        The columns to learn from; None: all others. Numbers, or text, booleans and enums as categories.
    unit : str
        The unit of time: one of ns us ms s min h d for date-times; for numbers only a label.
    target_kind : "numeric", "category" or None
        Numbers or classes; None: text, booleans and whole numbers 0..K-1 (K <= 10) are classes.
    level : "step", "series" or None
        None: a target constant within each of several series belongs to the series, any other to its rows.
    forecast : bool
        The targets are numbers to be foretold: they are features as well, and may have gaps.
    like : dict or None
        The `schema()` of the training data. Columns, codes, level and unit are taken from it; a category it does
        not know is missing; the targets may be missing.

    Raises
    ------
    DataError
        When the table cannot be what the arguments say; the column and the first row (from 1, without the header)
        are named.
    OptionError
        When the arguments contradict each other.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"id": list("abab"), "t": [0, 0, 2, 3], "x": [1.0, None, 2.0, 4.0], "y": list("uvuv")})
    >>> seqs = from_table(frame, series="id", time="t", target="y")
    >>> seqs.values.T.tolist(), seqs.dt.tolist(), seqs.level, seqs.target.T.tolist()
    ([[1.0, 2.0, nan, 4.0]], [2.5, 2.0, 2.5, 3.0], 'series', [[0.0, 1.0]])

    Notes
    -----
    Cost: a few sorts and one copy of the used columns as float64.
    """
    frame = read_table(table) if isinstance(table, str | os.PathLike) else _polars(table)
    if not frame.height:
        raise DataError("`table` must have at least one row; it has none.")
    learned: tuple[Feature, ...] | None = None
    known: dict[str, Feature] = {}
    if like is not None:
        series, time, unit, level = _learned_keys(like, series=series, time=time, unit=unit, level=level)
        learned = tuple(Feature.from_json(f) for f in like["features"])
        known = {f["name"]: Feature.from_json(f) for f in like["targets"]}
        foretold = bool(known) and set(known) <= {f.name for f in learned}
        if (forecast and not foretold) or any(target_kind not in (None, f.kind) for f in known.values()):
            raise OptionError("`forecast` and `target_kind` must be those of the training data; got others.")
        forecast = foretold
    for name in (series, time):
        if name is not None:
            _must_be_there(name, frame)
    keys = [k for k in (series, time) if k is not None]
    inputs, wanted = _choose(frame, target, features, keys, forecast, learned, tuple(known))
    order, offsets, names = group(frame, series)
    clock = read_time(frame, time, series, unit, order, offsets, names, None if like is None else like["median_dt"])
    columns = [encode_column(frame[n], None if learned is None else learned[i]) for i, n in enumerate(inputs)]
    kind = "numeric" if forecast else target_kind
    answers = [encode_target_column(frame[n], kind, known.get(n), gaps=forecast) for n in wanted]
    label = np.stack([c for _, c in answers], axis=1)[order] if answers else None
    level = _level(label, offsets, level, forecast, wanted, names)
    if label is not None and level == "series":
        label = label[offsets[:-1]]
    return Sequences(
        values=np.stack([c for _, c in columns], axis=1)[order],
        offsets=offsets,
        names=names,
        features=tuple(f for f, _ in columns),
        dt=clock.dt,
        median_dt=clock.median_dt,
        time=clock.time,
        unit=unit,
        targets=tuple(f for f, _ in answers) if answers else tuple(known.values()),
        target=label,
        level=level,
        series_name=series,
        time_name=time,
        stamps=clock.stamps,
        source=order,
    )


def _polars(table: Any) -> pl.DataFrame:
    try:
        found = nw.from_native(table)
        if isinstance(found, nw.LazyFrame):
            found = found.collect("polars")
        return found.to_polars()
    except ImportError as e:
        raise MissingExtra(f"`table` must be convertible to polars; it is not ({e}). Run: pip install pyarrow.") from e
    except TypeError as e:
        raise DataError(
            f"`table` must be a path or a dataframe; got {type(table).__name__}. Arrays are read with `from_arrays`."
        ) from e
    except (nw.exceptions.NarwhalsError, ValueError) as e:
        raise DataError(f"`table` must be a table with columns of one type each; {' '.join(str(e).split())}.") from e


def _learned_keys(like: dict[str, Any], **given: str | None) -> tuple[str | None, str | None, str, str]:
    """Return series, time, unit and level of the training data; raise where another is asked for."""
    missing = [k for k in ("features", "targets", "median_dt", *given) if k not in like]
    if missing:
        raise OptionError(f"`like` must be the schema() of the training data; it has no {missing[0]!r}.")
    for name, value in given.items():
        if value not in (None, "s" if name == "unit" else None, like[name]):
            raise OptionError(f"`{name}` must be {like[name]!r}, as in the training data; got {value!r}.")
    return like["series"], like["time"], like["unit"], like["level"]


def _must_be_there(name: str, frame: pl.DataFrame) -> None:
    if name not in frame.columns:
        listed = ", ".join(repr(c) for c in frame.columns[:12]) + (", ..." if frame.width > 12 else "")
        raise DataError(f"`{name}` must be a column of the table; it has {listed}.{nearest(name, frame.columns)}")


def _choose(
    frame: pl.DataFrame,
    target: str | Sequence[str] | None,
    features: Sequence[str] | None,
    keys: list[str],
    forecast: bool,
    learned: tuple[Feature, ...] | None,
    known: tuple[str, ...],
) -> tuple[list[str], list[str]]:
    """Return the columns to learn from and the columns to be learned."""
    wanted = [target] if isinstance(target, str) else list(target or ())
    if isinstance(features, str):
        features = [features]
    if learned is not None:
        if features is not None:
            raise OptionError("`features` must be None when `like` is given; the model knows its columns.")
        inputs = [f.name for f in learned]
        if target is None:
            wanted = list(known) if all(n in frame.columns for n in known) else []
        elif wanted and wanted != list(known):
            raise OptionError(f"`target` must be {list(known)}, what the model has learned; got {wanted}.")
    else:
        if target is None and not forecast:
            raise OptionError("`target` must name a column; got None. Only a forecast can do without: of all columns.")
        if features is None:
            inputs = [c for c in frame.columns if c not in keys and (forecast or c not in wanted)]
        else:
            inputs = list(features)
        if forecast:
            wanted = wanted or [n for n in inputs if n in frame.columns and is_numeric(frame[n])]
            inputs += [n for n in wanted if n not in inputs]
    for name in [*inputs, *wanted]:
        _must_be_there(name, frame)
        if name in keys:
            raise OptionError(f"`{name}` must be one thing; got the same column as the series or the time.")
    both = [n for n in wanted if n in inputs]
    if both and not forecast:
        raise OptionError(f"`{both[0]}` must be a feature or a target, not both; got both. Leave it out of `features`.")
    if not inputs:
        raise DataError(
            "`features` must have at least one column; the table has none beside the series, time and target. "
            "To foretell the target from its own past, forecast it (forecast=True / --task forecast)."
        )
    return inputs, wanted


def _level(
    label: np.ndarray | None,
    offsets: np.ndarray,
    level: str | None,
    forecast: bool,
    wanted: list[str],
    names: np.ndarray,
) -> str:
    if level is not None:
        check_choice("level", level, LEVELS)
    if forecast:
        if level == "series":
            raise OptionError("`level` must be 'step' to forecast; got 'series'.")
        return "step"
    if label is None:
        return level or "step"
    low, high = (f.reduceat(label, offsets[:-1], axis=0) for f in (np.minimum, np.maximum))
    varies = (low != high).any(axis=1)
    if level == "series" and varies.any():
        i = int(varies.argmax())
        raise DataError(
            f"`{wanted[int((low != high)[i].argmax())]}` must be constant within a series to belong to it; "
            f"it varies in series {names[i]!s}. Use level='step' (a task that answers at each step)."
        )
    if level is not None:
        return level
    return "step" if len(names) < 2 or varies.any() else "series"
