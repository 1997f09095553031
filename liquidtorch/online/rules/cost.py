"""Cost: what a rule adds to the step itself."""

from __future__ import annotations

from typing import NamedTuple


class Cost(NamedTuple):
    """Count what a rule does beside advancing the state: one step of its traces and one gradient.

    Parameters
    ----------
    multiply_adds : int
        Multiplications of a number of the traces, as the layout makes them.
    bytes : int
        Memory of the traces and of the matrices that move them.
    """

    multiply_adds: int
    bytes: int

    def __add__(self, other: tuple[int, ...]) -> Cost:
        return Cost(self.multiply_adds + other[0], self.bytes + other[1])
