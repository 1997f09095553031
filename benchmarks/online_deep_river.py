"""deep-river's recurrent classifier on Elec2, beside ours on the same rows: `online.py` for a library of another river.

    pip install --target DIR --no-deps deep-river==0.3.4 "river<0.26" sortedcontainers tqdm torchviz graphviz
    PYTHONPATH=DIR python benchmarks/online_deep_river.py elec2-start --data LIQUID_DATA

deep-river 0.3.4 needs river below 0.26, which `online.py` is not measured with; so it has a command of its own. Each
sample is the newest of a window of 10, which its LSTM of 16 units runs over from a state of 0, once for the answer and
once, with a step of the gradient, for the label. Channels are scaled to unit deviation before, as river does it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import torch
from online import classifiers, run
from river import preprocessing


def rival(seed: int, **options: Any) -> Any:
    """Return deep-river's LSTM behind river's scaler, with its own options but those given."""
    from deep_river.classification import LSTMClassifier  # pyright: ignore[reportMissingImports]

    torch.manual_seed(seed)
    return preprocessing.StandardScaler() | LSTMClassifier(n_features=7, seed=seed, **options)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("streams", nargs="*", default=["elec2-start"], help="elec2 or elec2-start")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--data", type=Path, default=os.environ.get("LIQUID_DATA"))
    asked = parser.parse_args()
    if asked.data is None:
        parser.error("`--data` must be given, or LIQUID_DATA set")
    torch.set_num_threads(1)
    ours = {name: make for name, make in classifiers().items() if name.startswith("echo")}
    rivals = {
        "deep-river: LSTM": rival,
        "deep-river: LSTM, Adam 0.005": lambda seed: rival(seed, optimizer_fn="adam", lr=5e-3),
    }
    for stream in asked.streams:
        for name, make in ((ours | rivals) if stream == "elec2-start" else rivals).items():
            for seed in asked.seeds:
                run(stream, name, make, seed, Path(asked.data))


if __name__ == "__main__":
    main()
