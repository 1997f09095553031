"""Say of each library named on the command line whether its kernels differ from the reference.

A process of its own for each: what was changed may crash or never end. Prints the names of those that do not differ.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import NamedTuple

import arrivals
import learners
import libraries
import numpy as np
import spikes
import steppers
import torch
import twins
import updates

CASES = [  # H, B, T, dt and ends: few numbers, but every way through the text; the last has more than one chunk
    (7, 9, 4, "irregular", "both"), (17, 3, 3, "huge", "lengths"), (1, 2, 3, "zero", "resets"),
    (6, 33, 5, "irregular", "both"),
]  # fmt: skip
ECHOES = [  # of reservoirs: one row, whose sources fill no whole vectors, and rows of several vectors at the same times
    (37, 1, 9, "zero", "both"), (37, 1, 9, "irregular", "lengths"), (7, 1, 9, "irregular", "resets"),
    (7, 9, 9, "a row", "whole"),
]  # fmt: skip
SECONDS = 60
Found = dict[str, torch.Tensor]
DTYPES = (torch.float32, torch.float64)


def problems() -> list[tuple[str, twins.Problem, Found]]:
    """Return every variant in every case, with what the reference finds."""
    named = [(case, name) for case in CASES for name in twins.NAMES]
    named += [(case, name) for case in ECHOES for name in twins.NAMES if name.startswith("echo")]
    drawn = [(name, twins.problem(name, *case[:3], dt=case[3], ends=case[4])) for case, name in named]
    return [(name, problem, problem.run("reference", torch.float64)) for name, problem in drawn]


def liquids() -> list[tuple[spikes.Problem, Found]]:
    """Return every spiking liquid in every case, with what the reference finds."""
    drawn = [spikes.Problem(name, *case[:3], dt=case[3], ends=case[4]) for case in CASES for name in spikes.VARIANTS]
    drawn += [spikes.Problem(name, 9, 2, 25, ends="resets") for name in spikes.VARIANTS]
    return [(problem, problem.run("reference", torch.float64)) for problem in drawn]


class Known(NamedTuple):
    """What the reference finds, once for all libraries."""

    drawn: list[tuple[str, twins.Problem, Found]]
    spiking: list[tuple[spikes.Problem, Found]]
    learned: list[list[np.ndarray]]
    updated: list[list[np.ndarray]]


def differences(known: Known) -> Iterator[object]:
    """Give what differs, one after the other: the first is enough."""
    yield from steppers.faults()
    yield from learners.faults(known.learned)
    yield from arrivals.faults()
    yield from updates.faults(known.updated)
    for problem, wanted in known.spiking:
        for dtype in DTYPES:
            yield from spikes.differences(problem.run("fast", dtype), wanted)
    for _, problem, wanted in known.drawn:
        for dtype in DTYPES:
            yield from twins.differences(problem.run("fast", dtype), wanted)


def main() -> None:
    torch.set_num_threads(1)
    known = Known(problems(), liquids(), learners.slow(), updates.slow())
    for path in sys.argv[1:]:
        child = os.fork()
        if child == 0:
            signal.alarm(SECONDS)
            with libraries.loaded(path):
                os._exit(int(any(True for _ in differences(known))))
        _, status = os.waitpid(child, 0)
        if status == 0:
            print(path)


if __name__ == "__main__":
    main()
