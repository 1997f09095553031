"""Seconds for the spectral radius of 5000 units with a tenth of the synapses, beside ARPACK in SciPy's `eigs`.

The radii are compared first, on one thread; the least of three turns for each of four matrices, ARPACK once. It is
asked for six eigenvalues out of 60 vectors: out of its own 20 it took longer, and of two matrices missed the largest.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
from machine import about
from scipy.sparse import csr_array
from scipy.sparse.linalg import eigs

from liquidtorch.reservoir import radius

RESULTS = Path(__file__).parent / "results" / "radius.jsonl"
UNITS, DENSITY, TARGET = 5000, 0.1, 1.0  # seconds


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw where synapses are, and their weights."""
    rng = np.random.default_rng(seed)
    place = np.sort(rng.choice(UNITS * UNITS, int(DENSITY * UNITS * UNITS), replace=False))
    return place, rng.normal(size=len(place))


def main() -> None:
    """Measure, print and add to the results."""
    torch.set_num_threads(1)
    for seed in range(4):
        place, weight = drawn(seed)
        start = np.searchsorted(place, np.arange(UNITS + 1) * UNITS)
        W = csr_array((weight, (place % UNITS).astype(np.int32), start.astype(np.int32)), shape=(UNITS, UNITS))
        began = time.perf_counter()
        known = float(np.abs(eigs(W, k=6, ncv=60, v0=np.ones(UNITS), return_eigenvectors=False)).max())
        seconds, spent = {"ARPACK": time.perf_counter() - began}, []
        for _ in range(3):
            began = time.perf_counter()
            found = radius(place, weight, UNITS)
            spent.append(time.perf_counter() - began)
        assert abs(found.value / known - 1) < 2e-3, (found, known)
        seconds["liquidtorch"] = min(spent)
        line = {"row": "radius", "seed": seed, "units": UNITS, "density": DENSITY, "threads": 1, "target": TARGET}
        line |= {"seconds": {name: float(f"{s:.3g}") for name, s in seconds.items()}, "off": found.value / known - 1}
        print(line["seed"], line["seconds"], f"off {line['off']:.1e}", flush=True)
        with RESULTS.open("a") as results:
            results.write(json.dumps({**line, **about()}) + "\n")


if __name__ == "__main__":
    main()
