"""How long does a sample take that is learned forward in time: the step, its traces, the gradient, and Adam?

    python benchmarks/learning.py [--repeat 20] [--quick]

One core, float64. The same in NumPy and SciPy (`ops.use("reference")`) is compared first and timed beside it, and so is
what would be written in PyTorch: the last 20 rows gone through again by the same cell, autograd back over them, and
`torch.optim.Adam` (another gradient: truncated). Adds one JSON object a row to benchmarks/results/learning.jsonl:
microseconds a sample, and `of_peak`, the rate of multiply-adds counted by `rule.cost` over that of a square float64
product measured in the same turns. `--quick` adds nothing.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from machine import about
from threadpoolctl import threadpool_limits
from timing import Side, alternate

from liquidtorch import LTC, Leaky, Liquid, Recurrent, ops, wiring
from liquidtorch.cells import Cell
from liquidtorch.online import rules
from liquidtorch.online.learning import Learning

RESULTS = Path(__file__).parent / "results" / "learning.jsonl"
SIDE, SAMPLES, WINDOW, RATE = 1024, 200, 20, 1e-3
CELLS: dict[str, Callable[[], Cell]] = {
    "Leaky 32": lambda: Leaky(8, 32),
    "Leaky 32, a quarter of the synapses": lambda: Leaky(8, 32, wiring=wiring.random(32, 8, density=0.25)),
    "Leaky 32, neural circuit policy": lambda: Leaky(8, 32, wiring=wiring.auto_ncp(32, 8, 4)),
    "Liquid 32": lambda: Liquid(8, 32),
    "LTC 16, 6 unfolds": lambda: LTC(8, 16),
    "LTC 32, neural circuit policy": lambda: LTC(8, 32, wiring=wiring.auto_ncp(32, 8, 4)),
}
RULES = ("exact", "eprop")


def drawn(make: Callable[[], Cell]) -> Cell:
    """Draw the cell of a row, always the same."""
    torch.manual_seed(0)
    return make().double()


def samples(cell: Cell) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw inputs (F,) and gradients (O,) of a loss by the output."""
    rng = np.random.default_rng(0)
    return [(rng.normal(size=cell.features), 0.01 * rng.normal(size=cell.outputs)) for _ in range(SAMPLES)]


def ours(name: str, which: str, rule: str, cell: Cell) -> Side:
    """Make a side that learns by a rule, compiled or in NumPy."""
    given = samples(cell)
    learning = Learning(Recurrent(cell), rule, RATE, 1e12)
    state = {"h": np.zeros(cell.units)}

    def run() -> None:
        with ops.use(which):
            for x, g in given:
                _, state["h"] = learning.step(x, state["h"], 1.0)
                learning.learn(g)

    def answer() -> dict[str, torch.Tensor]:
        run()
        return {"output": torch.from_numpy(state["h"].copy()), **{n: p.detach() for n, p in cell.named_parameters()}}

    return Side(name, run, lambda: None, answer, calls=SAMPLES)


def autograd(cell: Cell) -> Side:
    """Make a side that goes back over the last rows by autograd after each."""
    given = [(torch.from_numpy(x)[None], torch.from_numpy(g)) for x, g in samples(cell)]
    adam, dt = torch.optim.Adam(cell.parameters(), lr=RATE), torch.ones(1, 1, dtype=torch.float64)
    window: deque[torch.Tensor] = deque(maxlen=WINDOW)
    states: deque[torch.Tensor] = deque([torch.zeros(1, cell.units, dtype=torch.float64)], maxlen=WINDOW)

    def run() -> None:
        for x, g in given:
            window.append(x)
            h = states[0]
            for row in window:
                h = cell.step(cell.inputs(row), h, dt)
            adam.zero_grad()
            cell.output(h)[0].backward(g)
            torch.nn.utils.clip_grad_norm_(cell.parameters(), 1.0)
            adam.step()
            with torch.no_grad():
                states.append(cell.step(cell.inputs(x), states[-1], dt))

    return Side(f"PyTorch, {WINDOW} rows back", run, lambda: None, None, calls=SAMPLES)


def main() -> None:
    """Measure, print and add to the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="2 turns; adds nothing")
    asked = parser.parse_args()
    a, b, c = (torch.randn(SIDE, SIDE, dtype=torch.float64) for _ in range(3))
    product = Side("float64 product", partial(torch.mm, a, b, out=c), lambda: None, None)
    for name, make in CELLS.items():
        for rule in RULES:
            cost = rules.make(rule, drawn(make)).cost
            both = [ours("liquidtorch", "fast", rule, drawn(make)), ours("NumPy", "reference", rule, drawn(make))]
            fast, slow = (side.answer() for side in both if side.answer is not None)
            off = max(float((fast[n] - slow[n]).abs().max() / slow[n].abs().max()) for n in slow)
            if not off < 1e-9:
                raise SystemExit(f"{name}, {rule}: what was learned differs from NumPy's by {off:.1e}")
            sides = [*both, autograd(drawn(make)), product]
            with threadpool_limits(1):
                times = alternate(sides, [1], 2 if asked.quick else asked.repeat)
            peak = SIDE**3 / min(times[product.name, 1].seconds)
            us = {side.name: float(f"{1e3 * times[side.name, 1].summary()['ms']:.4g}") for side in sides[:-1]}
            share = cost.multiply_adds / (us["liquidtorch"] * 1e-6) / peak
            line = {
                "cell": name, "rule": rule, "us": us, "multiply_adds": cost.multiply_adds, "bytes": cost.bytes,
                "of_peak": float(f"{share:.3g}"), "peak_gflops": round(2 * peak / 1e9, 2), "off": off, "threads": 1,
            }  # fmt: skip
            print(name, rule, us, f"{share:.0%} of the peak, off {off:.1e}", flush=True)
            if not asked.quick:
                with RESULTS.open("a") as results:
                    results.write(json.dumps({**line, **about()}) + "\n")


if __name__ == "__main__":
    main()
