"""Run the library named on the command line over fuzzed sizes, where every number read or written too far is caught.

With the sanitizers loaded first, tensors lie between forbidden zones; so does the scratch made here, of the exact size.
Memory that nothing wrote yet is NaN, so that reading it shows. Prints what differs from the reference.
"""

from __future__ import annotations

import ctypes
import sys

import arrivals
import learners
import libraries
import numpy as np
import spikes
import steppers
import torch
import twins
import updates

from liquidtorch.ops import conductance, diagonal, events, gated, library, sparse

LIBC = ctypes.CDLL(None)
ROUNDS = 6  # sizes for every variant


def run_exactly(name: str, dtype: torch.dtype, arguments: library.Arguments, parts: int, operations: float) -> None:
    """As library.run on one thread, with no byte of scratch to spare."""
    at, room = ctypes.addressof(arguments), ctypes.c_void_p()
    size = library.entry(name.rpartition("_")[0] + "_scratch", dtype)(at) * dtype.itemsize
    assert LIBC.posix_memalign(ctypes.byref(room), 64, ctypes.c_size_t(size)) == 0
    ctypes.memset(room, 0xFF, size)
    library.entry(name, dtype)(at, parts, 1, None, room, size)
    LIBC.free(room)


def sequences() -> list[str]:
    rng, found = np.random.default_rng(0), []
    for i, name in enumerate(twins.NAMES):
        for j in range(ROUNDS):
            H, B, T = int(rng.integers(1, 40)), int(rng.integers(0, 35)), int(rng.integers(0, 5))
            how = twins.conditions(i + j)
            faults = twins.faults(twins.problem(name, H, B, T, seed=j, **how))
            found += [f"{name} {H} {B} {T} {how}: {faults}"] * bool(faults)
    return found


def liquids() -> list[str]:
    rng, found = np.random.default_rng(0), []
    for i, name in enumerate(spikes.VARIANTS):
        for j in range(2 * ROUNDS):
            H, B, T = int(rng.integers(1, 40)), int(rng.integers(0, 5)), int(rng.integers(0, 9))
            how = twins.conditions(i + j)
            faults = spikes.faults(spikes.Problem(name, H, B, T, seed=j, **how))
            found += [f"liquid {name} {H} {B} {T} {how}: {faults}"] * bool(faults)
    return found


def main() -> None:
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)  # fills what torch.empty makes with NaN
    for room in (gated, diagonal, conductance, sparse, events):
        room.run = run_exactly  # pyright: ignore
    with libraries.loaded(sys.argv[1]):
        rows = [*steppers.faults(), *learners.faults(), *arrivals.faults(), *updates.faults()]
        print("\n".join([*rows, *sequences(), *liquids(), "done"]))


if __name__ == "__main__":
    main()
