"""How well do models learn while they run? Streams in one pass, every sample first asked, then learned.

    python benchmarks/online.py elec2 narma sea --seeds 1 2 3 --data DIR

DIR (default: the environment variable LIQUID_DATA) holds `stream_elec2/elec2_with_date_day.csv.xz`: electricity prices
of New South Wales, half-hourly; the label says whether the price is above its mean of the last day. No feature is made
of labels. Each line added to benchmarks/results/online.jsonl is one model on one stream, ours or river's, with the
controls that `online.evaluate` has beside. Ours have their default options on classes; those of NARMA and of Friedman's
function were chosen on seeds 0 and 123, which are not reported. River's have theirs, and trees or forests of ten;
`online_deep_river.py` has deep-river's.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from online_streams import STEPS, STREAMS
from river import ensemble, forest, linear_model, optim, preprocessing, tree

import liquidtorch
from liquidtorch import RLS, EchoState, Leaky, OnlineClassifier, Recurrent, wiring
from liquidtorch.online import Online, evaluate
from liquidtorch.readout import Bank

RESULTS = Path(__file__).parent / "results" / "online.jsonl"
UNITS = 32  # of the networks of NARMA

Make = Callable[[int], Any]


def leaky(seed: int) -> Recurrent:
    """Draw the sparse cell that rules are compared on."""
    torch.manual_seed(seed)
    wired = wiring.random(UNITS, 1, density=0.2, outputs=UNITS, seed=seed)
    cell = Leaky(1, UNITS, tau=(0.3, 3.0), wiring=wired)
    with torch.no_grad():
        cell.W_h *= 0.95 / torch.linalg.eigvals(cell.W_h * cell.live_h).abs().max()
        cell.W_x.normal_(std=0.3)
        cell.b.normal_(std=0.2)
    return Recurrent(cell)


def least_squares(forgetting: float) -> Callable[[int, int], RLS]:
    """Return the maker of a readout of numbers."""
    return lambda features, outputs: RLS(features, outputs, forgetting=forgetting)


def bank(features: int, outputs: int) -> Bank:
    """Return a readout of two that forget differently."""
    return Bank(features, outputs, forgettings=(0.9995, 0.998))


def features(seed: int) -> EchoState:
    """Draw random features without memory, for samples that have none."""
    return EchoState(10, 320, radius=0.0, leak=1.0, scale=0.3, bias=0.3, seed=seed)


def few(seed: int) -> EchoState:
    """Draw random features that each read three of the inputs: for rules that few inputs at a time make up.

    Source: Hashemi, Schaeffer, Shi, Topcu, Tran, Ward (2023), Generalization bounds for sparse random feature
    expansions, Applied and Computational Harmonic Analysis 62, section 1.
    """
    layer = EchoState(10, 240, radius=0.0, leak=1.0, scale=0.6, bias=1.0, seed=seed)
    rng = np.random.default_rng(seed)
    read = rng.random((240, 10)).argsort(1) < 3
    layer.cell.W_x *= torch.from_numpy(read)
    return layer


def classifiers() -> dict[str, Make]:
    """Return what is compared where labels are classes."""
    scaled = preprocessing.StandardScaler
    return {
        "echo 64, logistic": lambda seed: OnlineClassifier(readout="logistic", seed=seed),
        "echo 64, committee": lambda seed: OnlineClassifier(seed=seed),
        "river: logistic": lambda seed: scaled() | linear_model.LogisticRegression(optim.SGD(0.05)),
        "river: ALMA": lambda seed: scaled() | linear_model.ALMAClassifier(),
        "river: adaptive Hoeffding tree": lambda seed: tree.HoeffdingAdaptiveTreeClassifier(seed=seed),
        "river: adaptive random forest": lambda seed: forest.ARFClassifier(n_models=10, seed=seed),
        "river: streaming random patches": lambda seed: ensemble.SRPClassifier(n_models=10, seed=seed),
        "river: leveraging bagging": lambda seed: ensemble.LeveragingBaggingClassifier(
            tree.HoeffdingTreeClassifier(), seed=seed
        ),
    }


def models(stream: str) -> dict[str, Make]:
    """Return what is compared on a stream, by name."""
    if stream in ("elec2", "elec2-start", "sea", "hyperplane"):
        return classifiers()
    if stream == "narma":
        found: dict[str, Make] = {
            f"leaky 32, {rule}": lambda seed, rule=rule: Online(
                leaky(seed), readout=least_squares(0.9995), rule=rule, rate=2e-3, budget=2e6, seed=seed
            )
            for rule in ("readout", "eprop", "snap2", "tbptt:5", "exact")
        }
        return found
    return {
        "320 random features, RLS": lambda seed: Online(features(seed), readout=least_squares(0.999), seed=seed),
        "240 features of 3 inputs, RLS": lambda seed: Online(few(seed), readout=least_squares(0.999), seed=seed),
        "240 features of 3 inputs, bank": lambda seed: Online(few(seed), readout=bank, seed=seed),
        "river: Hoeffding tree": lambda seed: tree.HoeffdingTreeRegressor(),
        "river: adaptive Hoeffding tree": lambda seed: tree.HoeffdingAdaptiveTreeRegressor(seed=seed),
        "river: adaptive random forest": lambda seed: forest.ARFRegressor(n_models=10, seed=seed),
        "river: streaming random patches": lambda seed: ensemble.SRPRegressor(n_models=10, seed=seed),
    }


def run(stream: str, name: str, make: Make, seed: int, folder: Path | None) -> None:
    """Measure one model on one stream, and add the line."""
    given = STREAMS[stream](seed, folder)
    model = make(seed)
    start = time.perf_counter()
    found = evaluate(model, given.rows, drifts=given.drifts or None, classes=given.classes)
    line = {"stream": stream, "model": name, "seed": seed, "version": liquidtorch.__version__, **found.to_json()}
    line["seconds"] = time.perf_counter() - start
    trial = getattr(getattr(model, "online", model), "trial", None)
    if trial is not None:
        line["turns"] = trial.gate.turns
    if stream == "narma":
        spread = np.std([label for _, label in given.rows[STEPS // 2 :]])
        line["nrmse_last_5000"] = float(np.sqrt(np.mean(np.square(found.windows["model"][-5:]))) / spread)
    with RESULTS.open("a") as out:
        out.write(json.dumps(line) + "\n")
    told = {k: line.get(k) for k in ("nrmse_last_5000", "turns", "recovery") if line.get(k)}
    print(stream, name, seed, found.scores["model"], told, found.latency, sep="; ", flush=True)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("streams", nargs="*", default=list(STREAMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--models", nargs="+", help="only those whose name holds one of these")
    parser.add_argument("--data", type=Path, default=os.environ.get("LIQUID_DATA"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for stream in asked.streams:
        if stream not in STREAMS:
            parser.error(f"streams must be some of {', '.join(STREAMS)}; got {stream!r}")
        if stream.startswith("elec2") and asked.data is None:
            print(f"{stream}: left out; it needs --data, or LIQUID_DATA set")
            continue
        for name, make in models(stream).items():
            if asked.models and not any(word in name for word in asked.models):
                continue
            for seed in asked.seeds:
                run(stream, name, make, seed, None if asked.data is None else Path(asked.data))


if __name__ == "__main__":
    main()
