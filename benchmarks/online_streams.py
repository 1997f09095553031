"""The streams of benchmarks/online.py: real prices, and synthetic ones whose rule changes on the way."""

from __future__ import annotations

import csv
import itertools
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from river.datasets import synth

STEPS = 20_000
BEFORE, AFTER = (0.3, 0.05, 1.5, 0.1), (0.3, 0.05, 1.0, 0.15)  # alpha, beta, gamma, delta of NARMA


class Stream(NamedTuple):
    """What is learned, whether labels are classes, and where its rule changes."""

    rows: list[tuple[dict[Any, float], Any]]
    classes: bool
    drifts: list[int]


def elec2(seed: int, folder: Path) -> Stream:
    """Read the prices of electricity of New South Wales, True where they rise; the seed changes nothing."""
    with lzma.open(folder / "stream_elec2" / "elec2_with_date_day.csv.xz", "rt") as text:
        rows = list(csv.DictReader(text))
    names = [name for name in rows[0] if name not in ("date", "class")]
    return Stream([({name: float(row[name]) for name in names}, row["class"] == "0") for row in rows], True, [])


def elec2_start(seed: int, folder: Path) -> Stream:
    """Read the first 2000 rows of Elec2, for what is too slow for all of them."""
    found = elec2(seed, folder)
    return found._replace(rows=found.rows[:2000])


def narma(seed: int, folder: Path | None = None) -> Stream:
    """Draw a NARMA-10 whose coefficients change half way; the one that runs away is drawn again."""
    rng = np.random.default_rng(seed)
    while True:
        u, y = rng.uniform(0, 0.5, STEPS), np.zeros(STEPS)
        for t in range(9, STEPS):
            alpha, beta, gamma, delta = BEFORE if t < STEPS // 2 else AFTER
            last = y[t - 1]
            y[t] = alpha * last + beta * last * y[max(0, t - 10) : t].sum() + gamma * u[t - 9] * u[t] + delta
        if np.abs(y).max() <= 1:
            pairs = zip(u.tolist(), y.tolist(), strict=True)
            return Stream([({"u": a}, b) for a, b in pairs], False, [STEPS // 2])


def sea(seed: int, folder: Path | None = None) -> Stream:
    """Draw SEA concepts: the sum that decides changes half way; a tenth of the labels is wrong."""
    parts = (synth.SEA(variant=v, noise=0.1, seed=2 * seed + i) for i, v in enumerate((0, 3)))
    return Stream([row for part in parts for row in part.take(STEPS // 2)], True, [STEPS // 2])


def hyperplane(seed: int, folder: Path | None = None) -> Stream:
    """Draw a plane in 10 dimensions that turns all the time."""
    made = synth.Hyperplane(n_features=10, n_drift_features=10, mag_change=1e-3, seed=seed)
    return Stream(list(made.take(STEPS)), True, [])


def friedman(kind: str) -> Callable[..., Stream]:
    """Return the maker of one variant of Friedman's function with drift."""
    drifts = [6000, 12_000, 18_000] if kind == "lea" else [6000, 12_000]
    options: dict[str, Any] = {} if kind == "lea" else {"transition_window": 2000}

    def made(seed: int, folder: Path | None = None) -> Stream:
        found = synth.FriedmanDrift(drift_type=kind, position=tuple(drifts), seed=seed, **options)  # pyright: ignore
        return Stream(list(itertools.islice(found, STEPS)), False, drifts)

    return made


STREAMS: dict[str, Callable[..., Stream]] = {
    "elec2": elec2,
    "elec2-start": elec2_start,
    "narma": narma,
    "sea": sea,
    "hyperplane": hyperplane,
    **{f"friedman-{kind}": friedman(kind) for kind in ("lea", "gra", "gsg")},
}
