"""Readouts that learn row by row, compiled, beside the same in NumPy: every way through the text, at odd sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from liquidtorch import ops
from liquidtorch.readout import RLS, OnlineLogistic

SIZES = ((1, 1), (2, 2), (7, 3), (16, 2), (17, 1), (33, 4))  # F, O
ROWS = 40


def readouts(F: int, outputs: int) -> list[Any]:
    options: Any = {"features": F, "outputs": outputs, "penalty": 0.3}
    return [
        RLS(**options), RLS(**options, forgetting=0.9), RLS(**options, forgetting=0.95, shared=False),
        OnlineLogistic(F, outputs + 1, rate=0.8), OnlineLogistic(F, outputs + 1, rate=2.0, decay=0.01),
        OnlineLogistic(F, outputs + 1, rate=3000.0),
    ]  # fmt: skip


def told(readout: Any, seed: int) -> list[np.ndarray]:
    """Learn rows with gaps, of a rate that changes and a slot closed half-way; return all it said and holds."""
    rng = np.random.default_rng(seed)
    F, outputs, said = readout.features, readout.outputs, []
    z, y = 0.5 + rng.normal(size=(ROWS, F)), rng.normal(size=(ROWS, outputs))
    y[rng.random(y.shape) < 0.2] = np.nan
    for t in range(ROWS):
        if t == ROWS // 2 and F > 1:
            readout.close(F // 2)
        if t == ROWS // 3:  # as a drift does
            name = "forgetting" if isinstance(readout, RLS) else "rate"
            setattr(readout, name, 0.7 * getattr(readout, name))
        said.append(readout.predict(z[t]))
        if isinstance(readout, RLS):
            said.append(readout.learn(z[t], y[t], weight=1.0 + t % 3))
        else:
            said.append(readout.learn(z[t], int(rng.integers(outputs))))
    numbers = [value.numpy().astype(float) for name, value in readout.state_dict().items() if name != "factor"]
    if isinstance(readout, RLS):  # a root is not unique to the sign once rounding has been through a triangle
        known = [np.where(np.isinf(S), 0.0, S) for S in readout.factor.numpy()]
        numbers += [S @ S.T for S in known]
    return [*said, *numbers]


def faults() -> list[str]:
    """Return the readouts that differ compiled, and by how much."""
    found = []
    for i, (F, outputs) in enumerate(SIZES):
        for one, other in zip(readouts(F, outputs), readouts(F, outputs), strict=True):
            with ops.use("fast"):
                fast = told(one, i)
            with ops.use("reference"):
                slow = told(other, i)
            same = [np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True) for a, b in zip(fast, slow, strict=True)]
            found += [] if all(same) else [f"{one.config()}: {same.index(False)} of {len(same)}"]
    return found
