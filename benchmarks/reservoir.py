"""How good are reservoirs on the usual benchmarks, beside the same readouts without a reservoir?

    python benchmarks/reservoir.py [--rows NAME ...] [--seeds 10] [--data DIR] [--quick] [--search TRIALS]

float64, one thread. A seed draws the data, where they are generated, and the reservoir. Adds one JSON object a row to
benchmarks/results/reservoir.jsonl: the score of every seed, of the reservoir and of its controls: the last inputs
alone (`linear lags`), and these with all their products (`quadratic lags`).

DIR (default: the environment variable LIQUID_DATA) holds `santafe_laser/santafe_a_first5000.csv`,
`uea/JapaneseVowels.npz` and `fsdd/fsdd_8khz_int16.npz`; without it the rows of recorded data are left out. `--quick`
takes two seeds and adds nothing.

`--search` draws options, of the reservoir and of each control, from what a row says, tries them on other data than
those reported (seeds from 1000 on; validation rows; thirds of the training part), and prints the best.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import about
from reservoir_rows import Row, rows

RESULTS = Path(__file__).parent / "results" / "reservoir.jsonl"
FIRST = 1000  # the first of the seeds for searching
KEPT = 8  # options that are tried on all seeds for searching


def scores(row: Row, options: dict[str, Any], seeds: Sequence[int], searching: bool) -> list[float]:
    """Return the score of every seed; the worst there is for a forecast that left all bounds."""
    worst = -math.inf if row.more else math.inf
    found = [row.task.measure(options, seed, searching) for seed in seeds]
    return [worst if math.isnan(score) else score for score in found]


def trials(space: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """Draw from lists, and log-uniformly from pairs; every combination, where there are lists alone and not more."""
    if all(isinstance(v, list) for v in space.values()) and math.prod(len(v) for v in space.values()) <= count:
        yield from (dict(zip(space, values, strict=True)) for values in itertools.product(*space.values()))
        return
    draw = np.random.default_rng(0)
    for _ in range(count):
        drawn = {
            name: among[draw.integers(len(among))] if isinstance(among, list) else float(f"{_between(draw, among):.2g}")
            for name, among in space.items()
        }
        yield {name: value for name, value in drawn.items() if value is not None}


def _between(draw: np.random.Generator, ends: tuple[float, float]) -> float:
    return math.exp(draw.uniform(math.log(ends[0]), math.log(ends[1])))


def search(row: Row, count: int, seeds: int, only: str | None) -> None:
    """Try options on one seed, the best of them on several, and print these."""
    for name, space in {"reservoir": row.space, **row.spaces}.items():
        if only not in (None, name):
            continue
        sign = -1 if row.more else 1
        fixed = row.fixed if name == "reservoir" else {}
        tried = []
        for options in trials(space, count):
            tried.append((scores(row, fixed | options, [FIRST], True)[0], options))
            if tried[-1] is min(tried, key=lambda pair: sign * pair[0]):
                print(f"{row.name}, {name}: {tried[-1][0]:.4g} on one seed {options}", flush=True)
        best = sorted(tried, key=lambda pair: sign * pair[0])[:KEPT]
        again = range(FIRST, FIRST + seeds)
        found = [(statistics.median(scores(row, fixed | options, again, True)), options) for _, options in best]
        for score, options in sorted(found, key=lambda pair: sign * pair[0]):
            print(f"{row.name}, {name}: {score:.4g} {options}", flush=True)


def judged(row: Row, seeds: Sequence[int]) -> dict[str, Any]:
    """Return the line of a row."""
    begun = time.perf_counter()
    ours = scores(row, row.fixed | row.chosen, seeds, False)
    middle = statistics.median(ours)
    controls = {name: scores(row, options, seeds, False) for name, options in row.controls.items()}
    sign = 1 if row.more else -1
    met = all(sign * middle > sign * statistics.median(scores) for scores in controls.values())
    if row.target is not None:
        met = sign * middle >= sign * row.target
    line = {"row": row.name, "measure": row.measure, "more": row.more, "target": row.target, "median": middle}
    line |= {"met": met, "ours": ours, "controls": controls, "options": row.fixed | row.chosen}
    line |= {"control_options": row.controls, "limit": row.limit, "seconds": round(time.perf_counter() - begun, 1)}
    return line


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=[], help="parts of the names of rows; default all")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--data", type=Path, default=os.environ.get("LIQUID_DATA"))
    parser.add_argument("--quick", action="store_true", help="2 seeds; adds nothing")
    parser.add_argument("--search", type=int, default=0, metavar="TRIALS", help="look for options; adds nothing")
    parser.add_argument("--only", help="search for the reservoir or for this control alone")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    facts = about()
    for row in rows(asked.data):
        if asked.rows and not any(part in row.name for part in asked.rows):
            continue
        if asked.search:
            search(row, asked.search, 3 if asked.seeds == 10 else asked.seeds, asked.only)
            continue
        seeds = list(range(2 if asked.quick else asked.seeds))
        line = judged(row, seeds)
        said = {"ours": line["ours"], **line["controls"]}
        text = ", ".join(
            f"{name} {statistics.median(s):.4g} ({min(s):.4g} to {max(s):.4g})" for name, s in said.items()
        )
        print(
            f"{row.name}, {row.measure}: {text}; {row.target or 'controls'} {'met' if line['met'] else 'NOT MET'}",
            flush=True,
        )
        if not asked.quick:
            with RESULTS.open("a") as results:
                results.write(json.dumps({**line, "seeds": seeds, **facts}) + "\n")


if __name__ == "__main__":
    main()
