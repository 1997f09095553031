"""A pump whose load follows pressure and flow, until its valve is turned: tables to learn from and to stream.

`python examples/pump.py` writes past.csv, to fit a run to, and now.csv, in whose middle the load turns against the
flow. README.md tells what `liquid stream` makes of it.
"""

from __future__ import annotations

import csv
import math
import random

PAST, NOW, TURNED = 1500, 6000, 4000  # rows of each pump, and when the valve is turned


def rows() -> list[list[object]]:
    """Return the rows of two pumps in the order of time."""
    rng = random.Random(0)
    mean = {"a": 0.0, "b": 0.0}
    found: list[list[object]] = []
    for t in range(PAST + NOW):
        for pump, phase in (("a", 0), ("b", 2)):
            pressure, flow = math.sin(t / 9 + phase) + rng.gauss(0, 0.1), rng.gauss(0, 1)
            mean[pump] = 0.8 * mean[pump] + 0.2 * flow
            load = pressure + (2 if t < TURNED else -2) * mean[pump] + rng.gauss(0, 0.05)
            found.append([pump, t, *(round(v, 4) for v in (pressure, flow, load))])
    return found


def main() -> None:
    """Write past.csv and now.csv."""
    every = rows()
    for name, part in (("past.csv", every[: 2 * PAST]), ("now.csv", every[2 * PAST :])):
        with open(name, "w", newline="") as f:
            csv.writer(f).writerows([["pump", "t", "pressure", "flow", "load"], *part])


if __name__ == "__main__":
    main()
