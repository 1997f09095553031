"""Arrays and lists of arrays become `Sequences`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError, OptionError, ShapeError
from .labels import check_names, encode_target
from .sequences import Feature, Sequences, steps


def from_arrays(
    x: Any,
    y: Any = None,
    *,
    dt: Any = None,
    time: Any = None,
    unit: str = "s",
    names: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    target_kind: str | None = None,
    level: str | None = None,
    forecast: bool = False,
    like: dict[str, Any] | None = None,
) -> Sequences:
    """Make `Sequences` of arrays.

    Parameters
    ----------
    x : array (N, T) or (N, T, F), or list of N arrays (T_i,) or (T_i, F)
        The features, any real dtype; NaN is a missing value.
    y : array (N,), (N, O), (N, T) or (N, T, O), or list of N arrays (T_i,) or (T_i, O), or None
        The targets, of the series or of its steps. A second axis as long as T is taken for the steps.
    dt : number, (T,), (N, T) or list of N arrays (T_i,), above 0, or None
        Time since the previous row. 1 when neither `dt` nor `time` is given.
    time : (T,), (N, T) or list of N arrays (T_i,), or None
        Strictly increasing times, instead of `dt`.
    unit : str
        The unit of `dt` and `time`, a label.
    names, features, targets : sequence of str or None
        Names of the series, of the columns of `x`, of the columns of `y`.
    target_kind : "numeric", "category" or None
        Numbers or classes; None: text, booleans and whole numbers 0..K-1 (K <= 10) are classes.
    level : "step", "series" or None
        What `y` belongs to, where its shape leaves that open.
    forecast : bool
        The targets are the features themselves, and may have gaps; `y` must be None.
    like : dict or None
        The `schema()` of the training data: names, classes and usual `dt` are taken from it.

    Raises
    ------
    ShapeError, DataError, OptionError
        When the arrays do not fit each other, or hold values that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> seqs = from_arrays(np.zeros((5, 7, 3)), ["a", "b", "a", "b", "a"], dt=0.1)
    >>> seqs
    Sequences(5 series, 35 rows, 3 features)
    >>> seqs.level, seqs.targets[0].vocabulary, seqs.target[:, 0].tolist()
    ('series', ('a', 'b'), [0.0, 1.0, 0.0, 1.0, 0.0])
    """
    blocks = _blocks("x", x)
    lengths = np.array([len(b) for b in blocks])
    if not len(lengths) or not lengths.all():
        raise DataError(f"`x` must have at least one row in every series; got {_empty(lengths)}.")
    if len({b.shape[1] for b in blocks}) > 1:
        raise ShapeError(f"`x` must have as many features in every series; got {sorted({b.shape[1] for b in blocks})}.")
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = _numbers("x", np.concatenate(blocks))
    columns = _features(features, values.shape[1], like)
    if forecast:
        if y is not None:
            raise OptionError("`y` must be None when `forecast` is set; got an array. The targets are the features.")
        level, wanted, target = "step", columns, values
    else:
        level, wanted, target = _target(y, lengths, level, targets, target_kind, like)
    median = None if like is None else like["median_dt"]
    clock, gaps, usual = _clock(dt, time, lengths, offsets, median)
    numbers = [str(i) for i in range(len(lengths))]
    return Sequences(
        values=values,
        offsets=offsets,
        names=np.array(check_names("names", numbers if names is None else names, len(lengths))),
        features=columns,
        dt=gaps,
        median_dt=usual,
        time=clock,
        unit=unit,
        targets=wanted,
        target=target,
        level=level,
        series_name=None,
        time_name=None,
        stamps=None,
        source=np.arange(len(values)),
    )


def _empty(lengths: np.ndarray) -> str:
    return f"an empty series {int((lengths == 0).argmax())}" if len(lengths) else "no series"


def _blocks(name: str, given: Any) -> list[np.ndarray]:
    """Return one (T_i, columns) array a series."""
    if hasattr(given, "__array__"):
        whole = np.asarray(given)
        if whole.dtype != object and whole.ndim not in (2, 3):
            raise ShapeError(
                f"`{name}` must have the shape (series, time) or (series, time, features); got {whole.shape}. "
                f"One series alone is {name}[None]."
            )
        given = list(whole)
    if not isinstance(given, list | tuple):
        raise ShapeError(f"`{name}` must be an array or a list of arrays; got {type(given).__name__}.")
    blocks = []
    for i, one in enumerate(given):
        block = np.asarray(one)
        if block.ndim not in (1, 2):
            raise ShapeError(
                f"`{name}[{i}]` must have the shape (time,) or (time, features); got {block.shape} ({block.ndim} axes)."
            )
        blocks.append(block if block.ndim == 2 else block[:, None])
    return blocks


def _numbers(name: str, found: np.ndarray) -> np.ndarray:
    if found.dtype.kind == "c":
        raise DataError(f"`{name}` must be real numbers; got {found.dtype}. Give real and imaginary parts as features.")
    try:
        found = found.astype(np.float64)
    except (ValueError, TypeError):
        raise DataError(
            f"`{name}` must be numbers; got {found.dtype} such as {found.flat[0]!r}."
            + (" Text features can be read from a table with `from_table`." if name == "x" else "")
        ) from None
    if np.isinf(found).any():
        row, column = np.argwhere(np.isinf(found))[0]
        raise DataError(
            f"`{name}` must be finite or NaN (missing); got {found[row, column]} in row {row + 1}, feature {column}."
        )
    return found


def _features(given: Sequence[str] | None, count: int, like: dict[str, Any] | None) -> tuple[Feature, ...]:
    if like is not None:
        learned = tuple(Feature.from_json(f) for f in like["features"])
        if len(learned) != count:
            raise ShapeError(f"`x` must have {len(learned)} features, as in training; got {count}.")
        return learned
    return tuple(
        Feature(n) for n in check_names("features", [f"x{j}" for j in range(count)] if given is None else given, count)
    )


def _target(
    y: Any,
    lengths: np.ndarray,
    level: str | None,
    names: Sequence[str] | None,
    kind: str | None,
    like: dict[str, Any] | None,
) -> tuple[str, tuple[Feature, ...], np.ndarray | None]:
    learned = None if like is None else tuple(Feature.from_json(f) for f in like["targets"])
    if y is None:
        return (like or {}).get("level", level or "step"), learned or (), None
    level = level or (_level(y, lengths) if like is None else str(like["level"]))
    if level == "series":
        flat = np.asarray(y)
        if flat.ndim not in (1, 2) or len(flat) != len(lengths):
            raise ShapeError(f"`y` must have the shape (series={len(lengths)}, [targets]); got {flat.shape}.")
        flat = flat[:, None] if flat.ndim == 1 else flat
    else:
        blocks = _blocks("y", y)
        found = np.array([len(b) for b in blocks])
        if len(found) != len(lengths) or (found != lengths).any():
            raise ShapeError(f"`y` must have as many rows as `x` in every series; got {found.tolist()[:9]} rows.")
        flat = np.concatenate(blocks)
    count = flat.shape[1]
    default = ["y"] if count == 1 else [f"y{j}" for j in range(count)]
    if learned is not None:
        default = [f.name for f in learned]
    wanted = check_names("targets", default if names is None else names, count)
    pairs = [
        encode_target(n, _plain_column(flat[:, j]), kind, None if learned is None else learned[j])
        for j, n in enumerate(wanted)
    ]
    return level, tuple(f for f, _ in pairs), np.stack([c for _, c in pairs], axis=1)


def _plain_column(column: np.ndarray) -> np.ndarray:
    return np.array(column.tolist()) if column.dtype == object else column


def _level(y: Any, lengths: np.ndarray) -> str:
    """Say what `y` belongs to: rows where it has as many entries a series as the series has rows."""
    if hasattr(y, "__array__") and np.asarray(y).dtype != object:
        shape = np.asarray(y).shape
        per_row = len(shape) == 3 or (len(shape) == 2 and (lengths == shape[1]).all())
        return "step" if per_row else "series"
    sizes = [np.shape(one) for one in y]
    per_row = len(sizes) == len(lengths) and all(
        len(s) > 0 and s[0] == t for s, t in zip(sizes, lengths.tolist(), strict=True)
    )
    return "step" if per_row else "series"


def _clock(
    dt: Any, time: Any, lengths: np.ndarray, offsets: np.ndarray, median: float | None
) -> tuple[np.ndarray | None, np.ndarray, float]:
    if time is not None:
        if dt is not None:
            raise OptionError("`dt` must be None when `time` is given; got both.")
        clock = _per_row("time", time, lengths)
        back = np.diff(clock, prepend=-np.inf) <= 0
        back[offsets[:-1]] = False
        if back.any():
            row = int(back.argmax())
            i = int(np.searchsorted(offsets, row, side="right")) - 1
            raise DataError(
                f"`time` must increase within a series; got {clock[row]} after {clock[row - 1]} "
                f"(series {i}, step {row - offsets[i]}). Sort each series by time and drop repeated times."
            )
        return clock, *steps(clock, offsets, median)
    if dt is None:
        return None, *steps(None, offsets, median)
    alone = not isinstance(dt, list | tuple) and np.ndim(dt) == 0
    gaps = np.full(offsets[-1], _numbers("dt", np.array([[dt]]))[0, 0]) if alone else _per_row("dt", dt, lengths)
    if not (gaps > 0).all():
        row = int((~(gaps > 0)).argmax())
        raise DataError(f"`dt` must be above 0; got {gaps[row]} in row {row + 1}.")
    return None, gaps, float(np.median(gaps)) if median is None else median


def _per_row(name: str, given: Any, lengths: np.ndarray) -> np.ndarray:
    """Return (rows,) of one (T,) for all series, (N, T), or a list of (T_i,)."""
    blocks = [np.asarray(b) for b in given]
    if all(b.ndim == 0 for b in blocks):  # one (T,) for all
        blocks = [np.asarray(given)] * len(lengths)
    found = np.array([b.shape[0] if b.ndim == 1 else -1 for b in blocks])
    if len(found) != len(lengths) or (found != lengths).any():
        raise ShapeError(
            f"`{name}` must have as many entries as `x` has rows in every series, {lengths.tolist()[:9]}; "
            f"got {found.tolist()[:9]}."
        )
    flat = _numbers(name, np.concatenate(blocks)[:, None])[:, 0]
    if np.isnan(flat).any():
        raise DataError(f"`{name}` must not be NaN; got NaN in row {int(np.isnan(flat).argmax()) + 1}.")
    return flat
