"""How does the time grow with the number of steps, and with the number of synapses?

    python benchmarks/growth.py [--repeat 9] [--threads 1] [--quick]

Forward and backward together, as `timing` has it, the sizes turn by turn. Adds a JSON object for each cell and
question to benchmarks/results/growth.jsonl, with two fits: the exponent k of ms = c * size**k, and how linear the
growth is, R2 of ms = c + m * size. Draws docs/growth.svg of what it has found. `--quick` takes few turns and neither
adds nor draws.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import about
from picture import Panel, picture
from timing import Side, alternate, training

from liquidtorch import LTC, CfC, Leaky, Linear, Liquid, Recurrent
from liquidtorch.cells import Cell
from liquidtorch.wiring import auto_ncp, random

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "growth.jsonl"
FEATURES, BATCH = 8, 32
STEPS = (64, 128, 256, 512, 1024, 2048, 4096)
DENSITIES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
WIRED_UNITS, WIRED_STEPS = 128, 64

OVER_STEPS: dict[str, Callable[[], Cell]] = {
    "LTC AutoNCP(64, 8)": lambda: LTC(FEATURES, 64, wiring=auto_ncp(64, FEATURES, 8)),
    "Leaky 64": lambda: Leaky(FEATURES, 64),
    "Liquid 64": lambda: Liquid(FEATURES, 64),
    "CfC 64": lambda: CfC(FEATURES, 64),
    "Linear 64": lambda: Linear(FEATURES, 64),
}
OVER_SYNAPSES: dict[str, type[LTC | Leaky | Liquid | CfC]] = {"LTC": LTC, "Leaky": Leaky, "Liquid": Liquid, "CfC": CfC}


def _side(size: int, cell: Cell, steps: int) -> Side:
    layer, x = Recurrent(cell), torch.randn(BATCH, steps, FEATURES)
    slope = torch.randn(BATCH, steps, layer.outputs)
    return training(str(size), lambda: layer(x)[0], layer.parameters(), slope, None)


def over_steps(name: str) -> list[Side]:
    """Return a side for each number of steps."""
    return [_side(steps, OVER_STEPS[name](), steps) for steps in STEPS]


def over_synapses(name: str) -> list[Side]:
    """Return a side for each density; its size is the number of live synapses, those of the features included."""
    sides = []
    for density in DENSITIES:
        wiring = random(WIRED_UNITS, FEATURES, density=density)
        cell = OVER_SYNAPSES[name](FEATURES, WIRED_UNITS, wiring=wiring)
        sides.append(_side(wiring.all_synapses, cell, WIRED_STEPS))
    return sides


def measured(over: str, name: str, sides: Sequence[Side], threads: int, repeats: int) -> dict[str, Any]:
    """Return the line of one cell and question."""
    times = alternate(sides, [threads], repeats)
    sizes = [int(side.name) for side in sides]
    ms = [times[side.name, threads].summary()["ms"] for side in sides]
    exponent = float(np.polyfit(np.log(sizes), np.log(ms), 1)[0])
    r2 = float(np.corrcoef(sizes, ms)[0, 1] ** 2)
    fits = {"exponent": round(exponent, 3), "r2": round(r2, 4)}
    return {"over": over, "cell": name, "sizes": sizes, "ms": ms, **fits, "batch": BATCH, "threads": threads}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="2 turns; adds and draws nothing")
    asked = parser.parse_args()
    facts, found = about(), []
    for over, names, make in (("steps", OVER_STEPS, over_steps), ("synapses", OVER_SYNAPSES, over_synapses)):
        for name in names:
            torch.manual_seed(0)
            line = measured(over, name, make(name), asked.threads, 2 if asked.quick else asked.repeat)
            print(f"{name} over {over}: exponent {line['exponent']}, R2 {line['r2']}, ms {line['ms']}", flush=True)
            found.append(line)
    if asked.quick:
        return
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as results:
        results.writelines(json.dumps({**line, **facts}) + "\n" for line in found)
    panels = []
    for over in ("steps", "synapses"):
        drawn = {line["cell"]: (line["sizes"], line["ms"]) for line in found if line["over"] == over}
        panels.append(Panel(f"{over} (batch of {BATCH})", "ms", drawn))
    (ROOT / "docs" / "growth.svg").write_text(picture(panels))


if __name__ == "__main__":
    main()
