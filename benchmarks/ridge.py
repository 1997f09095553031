"""How fast is a ridge readout solved, beside the most the machine can multiply?

    python benchmarks/ridge.py [--rows 100000] [--features 1000] [--repeat 5] [--threads 1] [--ways NAME ...] [--quick]

float64, one target, rows that hang together as states do. The answers are compared first, with one another and with
what SciPy gets from the normal equations (centred copies, X'X, `scipy.linalg.solve(assume_a="sym")`, as reservoirpy
0.4 solves them). Adds one JSON object a way to benchmarks/results/ridge.jsonl: seconds, and for the sums
`of_peak`, the rate of X'X counted as a full product, 2*N*F^2 operations, over the rate of a square float64 product
measured in the same turns; `done` is the same with the operations that are done, about half: X'X is symmetric.
`--quick` takes few rows and adds nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import scipy.linalg
import torch
from machine import about
from threadpoolctl import threadpool_limits
from timing import Side, alternate
from torch import Tensor

from liquidtorch.readout import Factor, Ridge, Statistics
from liquidtorch.readout.statistics import TILE

RESULTS = Path(__file__).parent / "results" / "ridge.jsonl"
SIDE = 1024  # of the square float64 matrices
PENALTY = 1e-6


def states(rows: int, features: int) -> tuple[Tensor, Tensor]:
    """Return states of leaky units with a mean, driven by noise, and a target that they explain in part."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, features, generator=generator, dtype=torch.float64)
    x[1:].add_(x[:-1].clone(), alpha=0.5)
    x += torch.randn(features, generator=generator, dtype=torch.float64)
    y = x[:, :20].mean(1, keepdim=True) + torch.randn(rows, 1, generator=generator, dtype=torch.float64)
    return x, y


def normal_equations(x: Tensor, y: Tensor, added: float) -> Tensor:
    """Return W (1,F) as reservoirpy's Ridge node gets it."""
    X, Y = x.numpy(), y.numpy()
    X, Y = X - X.mean(0), Y - Y.mean(0)
    gram = X.T @ X
    gram.flat[:: len(gram) + 1] += added
    return torch.from_numpy(scipy.linalg.solve(gram, X.T @ Y, assume_a="sym")).T


def solved(x: Tensor, y: Tensor, select: str | float) -> Tensor:
    """Return W (1,F) of a readout solved by itself."""
    return Ridge(x.shape[1], 1).solve(x, y, select=select).weight


def check(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return the largest difference from SciPy's weights, as a share of the largest, and the unit of the penalty."""
    found = Ridge(x.shape[1], 1).solve(x, y, select=PENALTY)
    wanted = normal_equations(x, y, PENALTY * found.unit)
    off = ((found.weight - wanted).abs().max() / wanted.abs().max()).item()
    if not off < 1e-8:
        raise SystemExit(f"the weights differ from SciPy's by {off:.1e} of the largest")
    return off, found.unit


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ways", nargs="+", default=[], help="names of those that are timed; default all")
    parser.add_argument("--quick", action="store_true", help="5000 rows, 2 turns; adds nothing")
    asked = parser.parse_args()
    N, F = 5000 if asked.quick else asked.rows, asked.features
    torch.set_num_threads(asked.threads)
    facts = about()
    x, y = states(N, F)
    off, unit = check(x, y)
    a, b, c = (torch.randn(SIDE, SIDE, dtype=torch.float64) for _ in range(3))
    full = 2.0 * N * F**2
    done = sum(2.0 * N * min(TILE, F - i) * (F - i) for i in range(0, F, TILE))
    ways: dict[str, tuple[Callable[[], Any], dict[str, float]]] = {
        "float64 product": (partial(torch.mm, a, b, out=c), {"of_peak": 2.0 * SIDE**3}),
        "Statistics.add": (lambda: Statistics(F, 1).add(x, y), {"of_peak": full, "done": done}),
        "Factor.add": (lambda: Factor(F, 1).add(x, y), {}),
        "Ridge.solve, one penalty": (lambda: solved(x, y, PENALTY), {}),
        "Ridge.solve, 5 blocks, 23 penalties": (lambda: solved(x, y, "blocks"), {}),
        "Ridge.solve, leave-one-out, 23 penalties": (lambda: solved(x, y, "loo"), {}),
        "normal equations, one penalty": (lambda: normal_equations(x, y, PENALTY * unit), {}),
    }
    ways = {name: way for name, way in ways.items() if not asked.ways or name in ("float64 product", *asked.ways)}
    sides = [Side(name, run, lambda: None, None) for name, (run, _) in ways.items()]
    with threadpool_limits(asked.threads):  # NumPy's and SciPy's own
        times = alternate(sides, [asked.threads], 2 if asked.quick else asked.repeat)
    peak = 2.0 * SIDE**3 / min(times["float64 product", asked.threads].seconds)
    lines = []
    for name, (_, work) in ways.items():
        summary = times[name, asked.threads].summary()
        shares = {k: round(v / (summary["least"] / 1e3) / peak, 3) for k, v in work.items()}
        print(
            f"{name}: {summary['least'] / 1e3:.4g} s at best, {summary['ms'] / 1e3:.4g} s mostly, {shares}", flush=True
        )
        lines.append({
            "way": name, "rows": N, "features": F, **summary, **shares, "peak_gflops": round(peak / 1e9, 2),
            "off": off, "threads": asked.threads, **facts,
        })  # fmt: skip
    if not asked.quick:
        with RESULTS.open("a") as results:
            results.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
