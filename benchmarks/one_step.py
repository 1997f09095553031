"""Rows of one step of one row at a time, without gradients, as a controller takes them: Python's share included.

Ours goes from a NumPy row to a NumPy row; the rival is given tensors, and its cell alone rather than its layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ncps.torch
import torch
from ncps import wirings
from timing import Side, stepping
from torch import Tensor, nn
from work import FEATURES, MissingError, Row

from liquidtorch import Liquid, Recurrent
from liquidtorch.ncps import from_module

CALLS = 200  # of one run, so that the clock's own cost does not count
BELOW_US, TIMES = 5.0, 60.0


def _sides(layer: Any, name: str, begin: Callable[[], Tensor], step: Callable[[Tensor, Tensor], Any]) -> list[Side]:
    """Return our side and the rival's: `begin` gives a state, `step(x, h)` an output and the next state."""
    if not hasattr(layer, "stepper"):
        raise MissingError("there is no layer.stepper()")
    rows = torch.randn(CALLS, 1, FEATURES)
    stepper, state = layer.eval().stepper(), {}

    def restart() -> None:
        state["h"] = begin()

    def theirs(x: Tensor) -> Tensor:
        y, state["h"] = step(x, state["h"])
        return y

    ours = stepping("liquidtorch", stepper.reset, lambda x: stepper(x, 1.0), list(rows.squeeze(1).numpy()))
    return [ours, stepping(name, restart, theirs, list(rows))]


def _ncps(work: str, make: Callable[[], nn.Module]) -> Callable[[], Row]:
    def row() -> Row:
        module = make().eval()
        cell, layer = module.rnn_cell, from_module(module).body
        name = f"ncps {type(cell).__name__}"
        sides = _sides(layer, name, lambda: torch.zeros(1, module.state_size), lambda x, h: cell(x, h, 1.0))
        return Row(f"one step of {work}, B1", sides, {name: TIMES}, below_us=BELOW_US)

    return row


def _liquid() -> Row:
    layer = Recurrent(Liquid(FEATURES, 32))
    cell, dt = layer.cell, torch.ones(1, 1)

    def step(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = cell.step(cell.inputs(x), h, dt)
        return cell.output(h), h

    sides = _sides(layer, "the reference step", lambda: cell.initial(1), step)
    return Row("one step of Liquid 32 units, B1", sides, {"the reference step": TIMES}, below_us=BELOW_US)


STEPS: dict[str, Callable[[], Row]] = {
    "step-liquid-32": _liquid,
    "step-ltc-auto-19": _ncps("LTC AutoNCP(19, 1)", lambda: ncps.torch.LTC(FEATURES, wirings.AutoNCP(19, 1))),
    "step-cfc-32": _ncps("CfC 32 units, backbone 128", lambda: ncps.torch.CfC(FEATURES, 32)),
}
