"""The demo's job on several splits: how good is the default network beside its baselines?

    python benchmarks/demo.py --seeds 0 1 2

Each seed draws other traces for testing, other weights and another order. Adds one JSON object a seed to
benchmarks/results/demo.jsonl; `python benchmarks/readme.py` makes the README's table of them.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from pathlib import Path

import torch

import liquidtorch
from liquidtorch.run import Options, fit

RESULTS = Path(__file__).parent / "results" / "demo.jsonl"
DEMO = {"table": "@cheetah", "series": "trace", "time": "t", "task": "forecast", "epochs": 40}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as folder:
            found = fit(Options(**DEMO, seed=seed, out=f"{folder}/run"))
        scores = [
            {k: line[k] for k in ("model", "score", "low", "high", "parameters", "seconds")} for line in found["scores"]
        ]
        line = {
            **DEMO, "seed": seed, "metric": found["metric"], "scores": scores, "verdict": found["verdict"]["text"],
            "liquidtorch": liquidtorch.__version__, "torch": torch.__version__, "python": platform.python_version(),
            "threads": torch.get_num_threads(),
        }  # fmt: skip
        print(seed, found["verdict"]["text"], flush=True)
        with RESULTS.open("a") as results:
            results.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
