"""How well do models learn while they run? Streams in one pass, every sample first asked, then learned.

    python benchmarks/online.py elec2 narma --seeds 0 1 2 --data DIR

DIR (default: the environment variable LIQUID_DATA) holds `stream_elec2/elec2_with_date_day.csv.xz`: electricity prices
of New South Wales, half-hourly; the label says whether the price is above its mean of the last day. No feature is made
of labels. `narma` is NARMA-10 whose coefficients change half way. Each line added to benchmarks/results/online.jsonl is
one model on one stream, with the controls that `online.evaluate` has beside.
"""

from __future__ import annotations

import argparse
import csv
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import liquidtorch
from liquidtorch import RLS, EchoState, Leaky, OnlineClassifier, Recurrent, wiring
from liquidtorch.online import Drift, Online, evaluate

RESULTS = Path(__file__).parent / "results" / "online.jsonl"
STEPS = 20_000  # of NARMA
BEFORE, AFTER = (0.3, 0.05, 1.5, 0.1), (0.2, 0.04, 1.0, 0.2)  # alpha, beta, gamma, delta
UNITS = 32


def elec2(folder: Path) -> list[tuple[dict[str, float], str]]:
    """Read the stream of prices."""
    with lzma.open(folder / "stream_elec2" / "elec2_with_date_day.csv.xz", "rt") as text:
        rows = list(csv.DictReader(text))
    names = [name for name in rows[0] if name not in ("date", "class")]
    return [({name: float(row[name]) for name in names}, row["class"]) for row in rows]


def narma(seed: int) -> list[tuple[dict[str, float], float]]:
    """Draw a NARMA-10 whose coefficients change half way; the one that runs away is drawn again."""
    rng = np.random.default_rng(seed)
    while True:
        u, y = rng.uniform(0, 0.5, STEPS), np.zeros(STEPS)
        for t in range(9, STEPS):
            alpha, beta, gamma, delta = BEFORE if t < STEPS // 2 else AFTER
            last = y[t - 1]
            y[t] = alpha * last + beta * last * y[max(0, t - 10) : t].sum() + gamma * u[t - 9] * u[t] + delta
        if np.abs(y).max() <= 1:
            return [({"u": a}, b) for a, b in zip(u.tolist(), y.tolist(), strict=True)]


def leaky(seed: int) -> Recurrent:
    """Draw the sparse cell that rules are compared on."""
    torch.manual_seed(seed)
    cell = Leaky(1, UNITS, tau=(1.0, 10.0), wiring=wiring.random(UNITS, 1, density=0.1, outputs=UNITS, seed=seed))
    with torch.no_grad():
        W = cell.W_h * cell.live_h
        cell.W_h *= 0.9 / torch.linalg.eigvals(W).abs().max()
    return Recurrent(cell)


def least_squares(features: int, outputs: int) -> RLS:
    """Make the readout of the numbers."""
    return RLS(features, outputs, forgetting=0.9995)


def models(stream: str) -> dict[str, Callable[[int], Any]]:
    """Return what is compared on a stream, by name."""
    if stream == "elec2":
        found: dict[str, Callable[[int], Any]] = {
            "echo, logistic": lambda seed: OnlineClassifier(units=64, rate=2.0, seed=seed),
            "leaky, logistic, exact on trial": lambda seed: Online(
                leaky(seed), readout="logistic", rule="exact", names=(), seed=seed
            ),
            "leaky, logistic": lambda seed: Online(
                leaky(seed), readout="logistic", rule="readout", names=(), seed=seed
            ),
        }
        return found
    found = {
        "echo, RLS, loosened on drift": lambda seed: Online(
            EchoState(1, UNITS, tau=(1.0, 10.0), seed=seed), drift=Drift("page_hinkley")
        )
    }
    for rule in ("readout", "eprop", "snap2", "tbptt:5", "exact"):
        found[f"leaky, RLS, {rule}"] = lambda seed, rule=rule: Online(
            leaky(seed), readout=least_squares, rule=rule, seed=seed
        )
    return found


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("streams", nargs="*", default=["elec2", "narma"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", help="only those whose name holds one of these")
    parser.add_argument("--data", type=Path, default=os.environ.get("LIQUID_DATA"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for stream in asked.streams:
        if stream == "elec2" and asked.data is None:
            parser.error("--data must be given, or LIQUID_DATA set")
        for name, make in models(stream).items():
            if asked.models and not any(word in name for word in asked.models):
                continue
            for seed in asked.seeds:
                rows = elec2(Path(asked.data)) if stream == "elec2" else narma(seed)
                drifts = None if stream == "elec2" else [STEPS // 2]
                model = make(seed)
                found = evaluate(model, rows, drifts=drifts)
                line = {"stream": stream, "model": name, "seed": seed, "version": liquidtorch.__version__}
                line |= found.to_json()
                trial = getattr(getattr(model, "online", model), "trial", None)
                if trial is not None:
                    line["turns"] = trial.gate.turns
                if stream == "narma":
                    y = np.array([label for _, label in rows])
                    spread = y[STEPS // 2 :].std()
                    line["nrmse_last_5000"] = float(np.sqrt(np.mean(np.square(found.windows["model"][-5:]))) / spread)
                with RESULTS.open("a") as out:
                    out.write(json.dumps(line) + "\n")
                told = {k: line.get(k) for k in ("nrmse_last_5000", "turns", "recovery")}
                print(stream, name, seed, found.scores["model"], told, found.latency, sep="; ", flush=True)


if __name__ == "__main__":
    main()
