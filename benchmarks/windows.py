"""How are series longer than a window to be learned? Judged on days of Occupancy that were not learned from.

    python benchmarks/windows.py --seeds 0 1

Uses the training file alone, cut three times into days to learn from, to stop by and to judge. Each way of learning is
judged on the whole series, as predictions are made, and anew every 64 rows from the initial state. Adds one JSON
object a fit to benchmarks/results/windows.jsonl.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import liquidtorch
from liquidtorch import datasets
from liquidtorch.data import Sequences, from_table
from liquidtorch.model import LiquidNetwork
from liquidtorch.task import infer, score
from liquidtorch.train import Config, fit, predict

RESULTS = Path(__file__).parent / "results" / "windows.jsonl"
FOLDS = (  # rows to learn from, to stop by, to judge
    ((0, 1809), (1809, 3249), (3249, 8143)),
    ((1809, 7569), (7569, 8143), (0, 1809)),
    ((1809, 7569), (369, 1809), (7569, 8143)),
)
WAYS = {"windows of 64": {}, "carried on": {"window": 512, "tbptt": 64}}  # the first is the default


def pieces(seqs: Sequences, rows: int) -> Sequences:
    """Cut one series into pieces of so many rows."""
    begin = np.arange(0, seqs.rows, rows)
    end = np.minimum(begin + rows, seqs.rows)
    return seqs.take([0] * len(begin)).slice_time(begin, end)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    seqs = from_table(datasets.path("occupancy"), target="Occupancy", time="date", unit="min")
    task, _ = infer(seqs)
    for way, options in WAYS.items():
        found = []
        for fold, rows in enumerate(FOLDS):
            train, valid, judge = (seqs.slice_time(np.array([a]), np.array([b])) for a, b in rows)
            for seed in asked.seeds:
                net = LiquidNetwork.for_data(train, task, seed=seed)
                history = fit(net, train, valid, task, Config(seed=seed, **options))
                cut = pieces(judge, 64)
                right = [score(task, part.target, predict(net, part, task))["accuracy"] for part in (judge, cut)]
                found.append(right)
                line = {
                    "way": way, "fold": fold, "seed": seed, "whole": right[0], "every 64 rows": right[1],
                    "best_epoch": history.best_epoch, "seconds": history.seconds,
                    "liquidtorch": liquidtorch.__version__, "torch": torch.__version__,
                }  # fmt: skip
                with RESULTS.open("a") as results:
                    results.write(json.dumps(line) + "\n")
        whole, anew = np.mean(found, axis=0)
        print(f"{way}: {whole:.2%} right on whole series, {anew:.2%} anew every 64 rows", flush=True)


if __name__ == "__main__":
    main()
