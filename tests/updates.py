"""Cells that are learned forward in time, compiled, beside the same in NumPy, every way through the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import streams
import torch

from liquidtorch import ops
from liquidtorch.cells import LTC, Cell, Leaky, Linear, Liquid, Mobius
from liquidtorch.layers import Recurrent
from liquidtorch.online.learning import Learning
from liquidtorch.wiring import auto_ncp

STEPS = 12
MORE: dict[str, Callable[[], Cell]] = {
    **{f"leaky dense {F}": lambda F=F: Leaky(F, 5) for F in range(1, 66, 8)},  # a trace is so many numbers and 7
    "leaky two units": lambda: Leaky(streams.FEATURES, 2),
    "leaky dense 11": lambda: Leaky(streams.FEATURES, 11, tau=(0.5, 5.0)),
    "leaky dense 13": lambda: Leaky(8, 13),
    "leaky many features": lambda: Leaky(31, 5, wiring=auto_ncp(5, 31, 1, density=0.9)),
    "liquid ring": lambda: Liquid(streams.FEATURES, 9, wiring=streams.ring(9)),
    "ltc two units": lambda: LTC(2, 2, unfolds=1),
    "linear wide": lambda: Linear(17, 9),
    "mobius wide": lambda: Mobius(6, 8),
}
RULES = ("exact", "snap2", "snap1", "eprop", "tbptt:3")


def learnings() -> list[tuple[str, Callable[[], Learning]]]:
    """Return what to make, with the rule and cell it is of: twice the same, however often it is called."""

    def maker(name: str, rule: str, made: Callable[[], Cell]) -> Callable[[], Learning]:
        def make() -> Learning:
            with torch.random.fork_rng():
                torch.manual_seed(len(name))
                cell = made().double()
                with torch.no_grad():
                    for parameter in cell.parameters():
                        parameter.add_(0.3 * torch.randn_like(parameter))
            return Learning(Recurrent(cell), rule, 0.01, 1e9)

        return make

    cells = {**streams.CELLS, **MORE}
    return [(f"{rule}: {name}", maker(name, rule, made)) for name, made in cells.items() for rule in RULES]


def told(learning: Learning, seed: int) -> list[np.ndarray]:
    """Go along with a stream, labels now and then, one of them steep; return all it said and holds."""
    rng = np.random.default_rng(seed)
    H, F = learning.layer.cell.units, learning.layer.cell.features
    h, said = rng.normal(size=H), []
    local = learning.rule.local  # pyright: ignore
    for t in range(STEPS):
        y, h = learning.step(rng.normal(size=F), h, (0.0, 0.3, 1.0, 40.0)[t % 4 if t % 5 else 1])
        said.append(h)
        if t % 3:
            learning.learn((9.0 if t == 5 else 0.05) * rng.normal(size=len(y)))
        if t == STEPS // 2:
            learning.layer.cell.log_tau.data.mul_(1.01) if hasattr(learning.layer.cell, "log_tau") else None
            learning.rule.changed()
            asked = rng.normal(size=F), h, 0.7
            said += list(local.terms(*asked)) if local.couples else [local.step(*asked)]
    said += [array.astype(float) for array in (*learning.rule.arrays().values(), *learning.optimizer.arrays().values())]
    said += [parameter.detach().numpy() for parameter in learning.layer.cell.parameters()]
    return [*said, local.theta, local.leak, local.jacobian, local.drive, local.immediate]


def slow() -> list[list[np.ndarray]]:
    """Return what NumPy finds, for every rule and cell."""
    with ops.use("reference"):
        return [told(make(), i) for i, (_, make) in enumerate(learnings())]


def faults(wanted: list[list[np.ndarray]] | None = None) -> Iterator[str]:
    """Give the rules that differ, compiled, from what `slow` found, one after the other."""
    for i, ((name, make), known) in enumerate(zip(learnings(), wanted or slow(), strict=True)):
        with ops.use("fast"):
            fast = told(make(), i)
        same = [np.allclose(a, b, rtol=1e-11, atol=1e-12) for a, b in zip(fast, known, strict=True)]
        if not all(same):
            yield f"{name}: {same.index(False)} of {len(same)}"
