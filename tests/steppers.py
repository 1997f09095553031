"""One row, one step at a time, beside the same layer's reference: every stepper, in few numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from liquidtorch import ops, wiring
from liquidtorch.cells import LTC, Cell, CfC, Leaky, Linear, Liquid, Mobius
from liquidtorch.layers import Recurrent
from liquidtorch.reservoir import Echo

SIZES = ((3, 1), (7, 3), (17, 9), (33, 2))  # H, F


def cells(H: int, F: int) -> list[Cell]:
    """Make a cell for each way through csrc/step.h."""
    wired = wiring.auto_ncp(H, F, 2) if H > 6 else wiring.random(H, F, 2, density=0.5)
    return [
        Leaky(F, H), Leaky(F, H, wiring=wired), Liquid(F, H), LTC(F, H), LTC(F, H, wiring=wired), CfC(F, H),
        CfC(F, H, wiring=wired), CfC(F, H, mode="pure", backbone=(5, 2)), Linear(F, H), Mobius(F, H),
        Echo(F, H, density=0.4, bias=0.5), Echo(F, H, density=0.5, topology="blocked" if H > 32 else "random"),
    ]  # fmt: skip


def faults() -> Iterator[str]:
    """Give the cells whose stepper leaves other states than the reference, one after the other."""
    rng = np.random.default_rng(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [(F, cell) for H, F in SIZES for cell in cells(H, F)]
    for F, cell in drawn:
        layer, x = Recurrent(cell), rng.normal(size=(5, F)).astype(np.float32)
        with ops.use("reference"), torch.no_grad():
            y, _ = layer(torch.from_numpy(x)[None], dt=0.5)
        step = layer.stepper()
        own = np.stack([step(row, 0.5) for row in x])
        if not np.allclose(own, y[0].numpy(), atol=1e-5, rtol=0):
            yield f"stepper of {cell}"
