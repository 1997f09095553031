"""Say of each library named on the command line whether its kernels differ from the reference.

A process of its own for each: what was changed may crash or never end. Prints the names of those that do not differ.
"""

from __future__ import annotations

import os
import signal
import sys

import arrivals
import learners
import libraries
import spikes
import steppers
import torch
import twins

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


def differs(
    path: str, drawn: list[tuple[str, twins.Problem, Found]], spiking: list[tuple[spikes.Problem, Found]]
) -> bool:  # fmt: skip
    with libraries.loaded(path):
        return (
            bool(steppers.faults() or learners.faults() or arrivals.faults())
            or any(
                spikes.differences(problem.run("fast", dtype), wanted)
                for problem, wanted in spiking
                for dtype in DTYPES
            )
            or any(
                twins.differences(problem.run("fast", dtype), wanted)
                for _, problem, wanted in drawn
                for dtype in DTYPES
            )
        )


def main() -> None:
    torch.set_num_threads(1)
    drawn, spiking = problems(), liquids()
    for path in sys.argv[1:]:
        child = os.fork()
        if child == 0:
            signal.alarm(SECONDS)
            os._exit(int(differs(path, drawn, spiking)))
        _, status = os.waitpid(child, 0)
        if status == 0:
            print(path)


if __name__ == "__main__":
    main()
