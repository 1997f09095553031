"""How much memory do LTC's forward and backward passes take? One process for each side.

    python benchmarks/memory.py

Run by `run.py`; alone it prints what it finds. A side's extra memory is the highest resident set while it works less
the resident set before, after a tiny case of the same work has loaded every library. Linux only: elsewhere the highest
resident set cannot be started anew.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import ncps.torch
import torch
from rivals import of_ncps

BATCH, STEPS, UNITS, FEATURES = 32, 64, 128, 8
ROW = "memory-ltc-128"
WORK = f"memory of LTC FullyConnected({UNITS}), B{BATCH} T{STEPS}"
BELOW_MB = 40.0
STATUS, RESTART = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _resident(field: str) -> float:
    """Return a line of the process's status in MB."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024 / 1e6


def _run(side: int, units: int, batch: int, steps: int) -> float:
    """Return the extra MB of one forward and backward pass of our side (0) or that of ncps (1)."""
    torch.manual_seed(0)
    made = of_ncps(ncps.torch.LTC(FEATURES, units), torch.randn(batch, steps, FEATURES))[side]
    gc.collect()
    RESTART.write_text("5")  # the highest resident set starts anew from the present one
    before = _resident("VmRSS")
    made.run()
    return _resident("VmHWM") - before


def extra(side: int) -> float:
    """Return the extra MB of a side, measured in this process."""
    _run(side, 4, 2, 2)
    return _run(side, UNITS, BATCH, STEPS)


def line(repeats: int) -> dict[str, Any]:
    """Return what is written of both sides: the median of as many fresh processes as `repeats`."""
    found = []
    for side, name in enumerate(("liquidtorch", "ncps LTC")):
        command = [sys.executable, __file__, str(side)]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(repeats)]
        mb = sorted(float(out) for out in runs)
        found.append({"name": name, "mb": statistics.median(mb), "least": mb[0], "most": mb[-1], "count": len(mb)})
    ours, theirs = found
    theirs["times"] = float(f"{theirs['mb'] / ours['mb']:.3g}")
    return {"row": ROW, "work": WORK, "ours": ours, "rivals": [theirs], "below_mb": BELOW_MB}


def main() -> None:
    """Measure one side, as `line` asks in a process of its own, or print both."""
    print(round(extra(int(sys.argv[1])), 2) if len(sys.argv) > 1 else json.dumps(line(1)))


if __name__ == "__main__":
    main()
