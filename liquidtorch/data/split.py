"""Train, valid and test parts that share no row: whole series, or blocks of time cut before any windowing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import DataError, OptionError, check_choice, check_range
from .sequences import Sequences

ENOUGH = 10  # series, from here on whole series are set aside
TRIES = 100  # shuffles, until every class is in the train part


class Split(NamedTuple):
    """The parts, and a sentence on how they were made; a part of fraction 0 is None."""

    train: Sequences
    valid: Sequences | None
    test: Sequences | None
    how: str


def split(seqs: Sequences, *, valid: float = 0.15, test: float = 0.2, by: str = "auto", seed: int = 0) -> Split:
    """Cut sequences into train, valid and test parts; every row is in exactly one.

    Parameters
    ----------
    seqs : Sequences
        All the data.
    valid, test : float in [0, 1), together below 1
        The fractions set aside; 0 leaves the part out.
    by : "auto", "series" or "time"
        "series" sets whole series aside, drawn by `seed`, each class in proportion where the target belongs to the
        series. "time" cuts every series into three blocks: the first is for training, the last for testing.
        "auto" is by series from 10 series on, or where the target belongs to the series.
    seed : int, at least 0
        Draws the series; without meaning by time.

    Raises
    ------
    DataError
        When there are too few series or rows for the parts, or a class would be absent from the train part.
    OptionError
        When a fraction is out of range, or a target of the series is to be cut by time.

    Examples
    --------
    >>> from liquidtorch.data import from_arrays
    >>> parts = split(from_arrays([list(range(100))]))
    >>> [p.rows for p in parts[:3]], parts.how
    ([65, 15, 20], 'by time: the first 65 % of each series for training, the next 15 % valid, the last 20 % test')
    """
    check_range("valid", valid, 0)
    check_range("test", test, 0)
    check_range("seed", seed, 0, whole=True)
    check_choice("by", by, ("auto", "series", "time"))
    if valid + test >= 1:
        raise OptionError(
            f"`valid` + `test` must be below 1; got {valid:g} + {test:g}. Nothing would be left to train."
        )
    whole = seqs.level == "series" and seqs.target is not None
    if whole and by == "time":
        raise OptionError("`by` must be 'series' for a target of the whole series; got 'time'.")
    if by == "series" or whole or (by == "auto" and len(seqs) >= ENOUGH):
        return _by_series(seqs, valid, test, seed)
    return _by_time(seqs, valid, test)


def _by_series(seqs: Sequences, valid: float, test: float, seed: int) -> Split:
    needed = 1 + (valid > 0) + (test > 0)
    if len(seqs) < needed:
        way = " Split by time instead." if seqs.level == "step" else " Gather more series."
        raise DataError(f"`by` 'series' must have at least {needed} series to share out; got {len(seqs)}.{way}")
    generator = np.random.default_rng(seed)
    strata = _strata(seqs)
    present = _classes_of_series(seqs)
    for _ in range(TRIES):
        part = _draw(strata, valid, test, generator)
        if all(has[part == 0].any(axis=0).all() for has in present):
            break
    else:
        raise _class_missing(seqs, [has[part == 0].any(axis=0) for has in present], "another seed, or fewer parts")
    counts = np.bincount(part, minlength=3)
    how = f"by series: {counts[0]} for training, {counts[1]} valid, {counts[2]} test, drawn by seed {seed}"
    if strata.any():
        how += ", each class in proportion"
    pieces = [seqs.take(np.flatnonzero(part == k)) if counts[k] else None for k in range(3)]
    assert pieces[0] is not None
    return Split(pieces[0], pieces[1], pieces[2], how)


def _strata(seqs: Sequences) -> np.ndarray:
    """Return a code of its class for each series, 0 where there is none."""
    if seqs.level == "series" and seqs.target is not None and seqs.targets[0].kind == "category":
        return seqs.target[:, 0].astype(np.int64)
    return np.zeros(len(seqs), np.int64)


def _classes_of_series(seqs: Sequences) -> list[np.ndarray]:
    """Return for each categorical target which of its present classes each series has, (N, K) bool."""
    found = []
    owner = seqs.series_of_row if seqs.level == "step" else np.arange(len(seqs))
    for j, feature in enumerate(seqs.targets):
        if feature.kind == "category" and seqs.target is not None:
            has = np.zeros((len(seqs), len(feature.vocabulary)), bool)
            has[owner, seqs.target[:, j].astype(np.int64)] = True
            found.append(has[:, has.any(axis=0)])
    return found


def _draw(strata: np.ndarray, valid: float, test: float, generator: np.random.Generator) -> np.ndarray:
    """Return 0, 1 or 2 (train, valid, test) for each series, in proportion within each stratum."""
    n = len(strata)
    part = np.zeros(n, np.int64)
    _, stratum, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    rank = np.empty(n, np.int64)  # a random place within the stratum
    order = np.lexsort([generator.random(n), stratum])
    rank[order] = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    left = np.maximum(sizes - 1, 0)  # every stratum keeps one for training
    taken = np.zeros(len(sizes), np.int64)
    for k, fraction in ((2, test), (1, valid)):
        if fraction == 0:
            continue
        reserve = 1 if k == 2 and valid > 0 else 0
        goal = min(max(round(n * fraction), 1), max(int(left.sum()) - reserve, 0))
        quota = _apportion(sizes * fraction, goal, left, generator)
        part[(rank >= taken[stratum]) & (rank < (taken + quota)[stratum])] = k
        taken += quota
        left -= quota
        if not goal:
            raise DataError(
                f"`by` 'series' must have enough series of each class to share out; got {sizes.tolist()}. "
                "Every class keeps one for training."
            )
    return part


def _apportion(ideal: np.ndarray, goal: int, most: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return whole numbers near `ideal`, none above `most`, that sum to `goal` (largest remainders first)."""
    found = np.minimum(np.floor(ideal).astype(np.int64), most)
    tie = generator.random(len(ideal)) * 1e-9
    while found.sum() < goal:
        room = np.where(found < most, ideal - found + tie, -np.inf)
        found[int(room.argmax())] += 1
    while found.sum() > goal:
        found[int(np.where(found > 0, found - ideal + tie, -np.inf).argmax())] -= 1
    return found


def _by_time(seqs: Sequences, valid: float, test: float) -> Split:
    lengths = seqs.lengths
    last = np.round(lengths * test).astype(np.int64)
    middle = np.round(lengths * valid).astype(np.int64)
    first = lengths - last - middle
    for name, size, fraction in (("valid", middle, valid), ("test", last, test), ("train", first, 1.0)):
        if fraction and not size.any():
            raise DataError(
                f"`{name}` must get at least one row; the series are too short to be cut by time "
                f"(the longest has {lengths.max()} rows)."
            )
    zero = np.zeros_like(lengths)
    train = seqs.slice_time(zero, first)
    for j, feature in enumerate(seqs.targets):
        if feature.kind == "category" and seqs.target is not None and train.target is not None:
            present = [np.unique(s.target[:, j].astype(np.int64)) for s in (seqs, train) if s.target is not None]
            if len(present[0]) != len(present[1]):
                lost = np.setdiff1d(present[0], present[1])[0]
                raise _absent(feature.name, feature.vocabulary[lost], "a split by series or a test file")
    how = f"by time: the first {100 * (1 - valid - test):.4g} % of each series for training"
    how += f", the next {100 * valid:.4g} % valid" if valid else ""
    how += f", the last {100 * test:.4g} % test" if test else ""
    return Split(
        train,
        seqs.slice_time(first, first + middle) if valid else None,
        seqs.slice_time(first + middle, lengths) if test else None,
        how,
    )


def _class_missing(seqs: Sequences, seen: list[np.ndarray], way: str) -> DataError:
    categories = [f for f in seqs.targets if f.kind == "category"]
    for j, feature in enumerate(categories):
        if not seen[j].all():
            owner = _classes_of_all(seqs, feature.name)
            return _absent(feature.name, feature.vocabulary[owner[int((~seen[j]).argmax())]], way)
    raise AssertionError("a class is missing")


def _classes_of_all(seqs: Sequences, name: str) -> np.ndarray:
    assert seqs.target is not None
    j = [f.name for f in seqs.targets].index(name)
    return np.unique(seqs.target[:, j].astype(np.int64))


def _absent(name: str, value: object, way: str) -> DataError:
    return DataError(
        f"`{name}` must have every class in the train part; {value!r} is only in the rows set aside. Try {way}."
    )
