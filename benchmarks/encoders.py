"""How much of a signal do the spikes keep? Mackey-Glass series, every spike encoder.

    python benchmarks/encoders.py [--seeds 10] [--quick]

Each encoder is fitted to the first half of a series and judged on the second: the signal-to-noise ratio of decoding,
and the spikes a sample. Prints medians over the series (the seeds), and adds a JSON object an encoder to
benchmarks/results/encoders.jsonl. `--quick` takes two short series and adds nothing.

How to read it. Delta, threshold-based and moving-window spikes are added up without feedback, so their error is a
random walk: it depends on the series and grows with its length, and a threshold that suits one half need not suit the
other. Sigma-delta is decoded on the assumption that nothing is faster than four samples a period, as here. BSA is
scaled so that spikes all the time are the highest value, and has no off-by-one; both make it far better than its name.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import about

from liquidtorch.datasets import mackey_glass
from liquidtorch.encoders import (
    BSA,
    Burst,
    Delta,
    Latency,
    MovingWindow,
    Population,
    Rate,
    SigmaDelta,
    SpikeEncoder,
    StepForward,
    ThresholdBased,
    WeightedPhase,
)

RESULTS = Path(__file__).parent / "results" / "encoders.jsonl"
CHOICES: tuple[tuple[type[SpikeEncoder], dict[str, Any]], ...] = (
    (Rate, {"steps": 16}),
    (SigmaDelta, {"steps": 4}),
    (SigmaDelta, {"steps": 8}),
    (SigmaDelta, {"steps": 16}),
    (Latency, {"steps": 16}),
    (Latency, {"steps": 16, "compression": 10.0}),
    (Population, {"fields": 8, "steps": 16}),
    (WeightedPhase, {"steps": 8}),
    (Burst, {"spikes": 5, "interval": (1, 4)}),
    (Delta, {}),
    (ThresholdBased, {}),
    (MovingWindow, {"window": 2}),
    (MovingWindow, {"window": 3}),
    (StepForward, {"steps": 1}),
    (StepForward, {"steps": 4}),
    (BSA, {"taps": 8, "cutoff": 0.2}),
    (BSA, {"taps": 16, "cutoff": 0.1}),
)


def judged(kind: type[SpikeEncoder], options: dict[str, Any], series: list[torch.Tensor]) -> dict[str, Any]:
    """Return the line of an encoder."""
    found = []
    for x in series:
        first, rest = x.chunk(2, 1)
        encoder = kind.for_data(first, **options)
        spikes, _ = encoder(rest)
        found.append([encoder.snr(first).item(), encoder.snr(rest).item(), spikes.sum().item() / rest.shape[1]])
    fitted, snr, count = np.median(found, axis=0).round(2).tolist()
    low, high = np.array(found)[:, 1].min().round(2), np.array(found)[:, 1].max().round(2)
    kept = {"snr": snr, "low": float(low), "high": float(high), "snr of the fit": fitted, "spikes a sample": count}
    return {"encoder": kind.__name__, "options": options, **kept}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="2 series of 1000 samples; adds nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    seeds, steps = (2, 1000) if asked.quick else (asked.seeds, 4000)
    series = [torch.tensor(mackey_glass(steps, seed=seed)).view(1, -1, 1) for seed in range(seeds)]
    facts = {"samples": steps, "seeds": seeds, **about()}
    print("                                    SNR (dB)   from    to   of the fit   spikes a sample")
    for kind, options in CHOICES:
        line = judged(kind, options, series)
        name = " ".join([kind.__name__, *(f"{k}={v}" for k, v in options.items())])
        numbers = f"{line['snr']:8.1f} {line['low']:6.1f} {line['high']:5.1f} {line['snr of the fit']:12.1f}"
        print(f"{name:36s}{numbers} {line['spikes a sample']:17.2f}", flush=True)
        if not asked.quick:
            with RESULTS.open("a") as results:
                results.write(json.dumps({**line, **facts}) + "\n")


if __name__ == "__main__":
    main()
