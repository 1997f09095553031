"""Readouts that learn row by row, compiled, beside the same in NumPy: every way through the text, at odd sizes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from liquidtorch import ops
from liquidtorch.errors import DataError
from liquidtorch.readout import RLS, Bank, Committee, OnlineLogistic, RecursiveLogistic

SIZES = ((1, 1), (2, 2), (7, 3), (16, 2), (17, 1), (33, 4))  # F, O
ROWS = 42
MORE = 3  # slots that come on the way
OPTIONS = ("rate", "forgetting", "memory")  # what a drift changes between two rows, or somebody else


def readouts(F: int, outputs: int) -> list[Any]:
    options: Any = {"features": F, "outputs": outputs, "penalty": 0.3}
    sizes = F, outputs + 1
    return [
        RLS(**options), RLS(**options, forgetting=0.9), RLS(**options, forgetting=0.95, shared=False),
        Bank(**options, forgettings=(1.0, 0.9, 0.7), memory=10), Bank(**options, shared=False),
        OnlineLogistic(*sizes, rate=0.8), OnlineLogistic(*sizes, rate=2.0, decay=0.01),
        OnlineLogistic(*sizes, rate=3000.0),
        RecursiveLogistic(*sizes, forgetting=0.95, penalty=0.3), RecursiveLogistic(*sizes, forgetting=1.0),
        Committee(*sizes, body=F // 2, rate=0.8, memory=20), Committee(*sizes, forgetting=0.9, rate=5.0),
    ]  # fmt: skip


def told(readout: Any, seed: int) -> list[np.ndarray]:
    """Learn rows with gaps, told of before or not, while all that may change does; return all it said and holds."""
    rng = np.random.default_rng(seed)
    F, outputs, said = readout.features, readout.outputs, []
    z, y = 0.5 + rng.normal(size=(ROWS, F + MORE)), rng.normal(size=(ROWS, outputs + 1))
    y[rng.random(y.shape) < 0.2] = np.nan
    classes = not isinstance(readout, RLS | Bank) or isinstance(readout, RecursiveLogistic)
    for t in range(ROWS):
        if t % 3:
            said.append(readout.predict(z[t, : readout.features]))
        if t == ROWS // 3:
            for part in (readout, *getattr(readout, "members", ())):
                for name in OPTIONS:
                    if hasattr(part, name):
                        setattr(part, name, 0.7 * getattr(part, name))
        if t == ROWS // 2 and F > 1:
            readout.close(F // 2)
        if t == ROWS // 2 + 2:
            readout.widen(F + MORE)
            readout.open(F + 1)
        if t == 2 * ROWS // 3:
            readout.add_class(0.1) if classes else readout.add_output()
        if isinstance(readout, Committee) and t % 3 == 1:  # what was told of the row is told no more
            changed = (readout._v, readout._wrong, readout.members[0]._state[2:])[t // 3 % 3]
            changed *= 1.1
        row = z[t, : readout.features]
        if t % 7 == 6:
            said += [np.array(refused(readout, np.full(len(row), wrong))) for wrong in (np.nan, np.inf)]
        weight = {} if isinstance(readout, OnlineLogistic | Committee) else {"weight": 1.0 + t % 3}
        code = int(rng.integers(readout.outputs))
        said.append(readout.learn(row, code if classes else y[t, : readout.outputs], **weight))
        if classes and t % 10 == 9:
            said.append(readout.learn(row, float("nan")))
    if isinstance(readout, Committee):
        said += sure(readout, row)
    numbers = []
    for name, value in readout.state_dict().items():
        if name.endswith("factor"):  # a root is not unique to the sign once rounding has been through a triangle
            known = [np.where(np.isinf(S), 0.0, S) for S in value.numpy()]
            numbers += [S @ S.T for S in known]
        else:
            numbers.append(value.numpy().astype(float))
    return [*said, *numbers]


def sure(readout: Committee, row: np.ndarray) -> list[np.ndarray]:
    """Learn the same row twice, of a class so sure that no weight moves by a bit."""
    readout._wrong[:], readout._v[:] = 0, 1e3
    for member in readout.members:
        member._weight[:] = 0
        member._bias[:] = 1.0 + 60.0 * (np.arange(readout.classes) == 0)  # beside 1 a step of 1e-27 is lost
    return [readout.learn(row, 0) for _ in range(2)] + [readout.predict(row)]


def refused(readout: Any, z: np.ndarray) -> bool:
    """Whether a row is answered with an error, asked and learned."""
    y = 0 if hasattr(readout, "classes") else np.zeros(readout.outputs)
    for verb in (lambda: readout.predict(z), lambda: readout.learn(z, y)):
        with contextlib.suppress(DataError):
            verb()
            return False
    return True


def slow() -> list[list[np.ndarray]]:
    """Return what NumPy finds, for every size and readout."""
    with ops.use("reference"):
        return [told(readout, i) for i, sizes in enumerate(SIZES) for readout in readouts(*sizes)]


def faults(wanted: list[list[np.ndarray]] | None = None) -> Iterator[str]:
    """Give the readouts that differ, compiled, from what `slow` found, one after the other."""
    every = [(i, readout) for i, sizes in enumerate(SIZES) for readout in readouts(*sizes)]
    for (i, readout), known in zip(every, wanted or slow(), strict=True):
        with ops.use("fast"):
            fast = told(readout, i)
        same = [np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True) for a, b in zip(fast, known, strict=True)]
        if not all(same):
            yield f"{readout.config()}: {same.index(False)} of {len(same)}"
