"""Rewiring: while a network is trained, its weakest synapses go to where the loss asks for new ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..cells import Cell
from ..errors import OptionError
from ..plasticity import Change, birth_gradient, cosine, everyone, fill, rewire
from ..wiring import Wiring

EVERY, FRACTION = (
    50,
    0.3,
)  # steps between two rewirings, and how much the first moves; RigL: 100 steps of far longer runs


class Rewiring:
    """Rewire the wired cells of a network every so many steps: smallest |w| out, largest |gradient| in.

    A copy of the network in which every missing synapse has been grown, at nothing, is asked for its gradient on the
    batch just learned from: it is the same function, so this is the gradient the synapse would be born to. It costs one
    dense step in EVERY.

    Parameters
    ----------
    network : module
        With at least one wired cell that lacks a synapse.
    optimiser : AdamW
        Its moments of synapses that move become 0.
    seed : int
        Fixes, with the step's number, the draw between equal scores: nothing of this is kept in a checkpoint.

    Raises
    ------
    OptionError
        If there is no such cell.

    Source
    ------
    RigL, Evci et al. 2020 (arXiv 1911.11134), algorithm 1, on recurrent cells; counts stay for synapses from units and
    from features apart, as they do there for each layer.
    """

    def __init__(self, network: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
        self.network, self.optimiser, self.seed = network, optimiser, seed
        cells = wired(network).values()
        if not any(_missing(cell) for cell in cells):
            why = "all synapses of its wiring exist" if cells else "no cell of it has a wiring"
            raise OptionError(
                f"`plasticity` must be None for this network; got 'rewire' ({why}). "
                "Give its body a sparse wiring, such as wiring='random:0.2'."
            )

    def due(self, steps: int) -> bool:
        """Return whether it is time after so many steps."""
        return steps % EVERY == 0

    def __call__(self, loss: Callable[[nn.Module], Tensor], steps: int, done: float) -> str:
        """Rewire for a loss, after so many steps and the part `done` of the training; returns what was moved, or ""."""
        fraction = cosine(FRACTION, done)
        if not fraction:
            return ""
        filled = copy.deepcopy(self.network)
        filled.zero_grad(set_to_none=True)
        for cell in wired(filled).values():
            fill(cell)
        loss(filled).backward()
        rng, moved, count = np.random.default_rng([self.seed, steps]), 0, 0
        for cell, whole in zip(wired(self.network).values(), wired(filled).values(), strict=True):
            change = rewire(cell, everyone(cell), birth_gradient(whole), fraction, rng=rng)
            self._forget(cell, change)
            moved += len(change.born) + len(change.born_x)
            count += int(cell.live_h.sum() + cell.live_x.sum())
        return f"{moved} of {count} synapses were moved after {steps} steps." if moved else ""

    def _forget(self, cell: Cell, change: Change) -> None:
        for name, axes in cell.axes.items():
            for ends, places in (("HH", (change.dead, change.born)), ("HF", (change.dead_x, change.born_x))):
                if axes.endswith(ends):
                    moments = self.optimiser.state.get(getattr(cell, name), {})
                    to, source = np.concatenate(places).T
                    for key in ("exp_avg", "exp_avg_sq"):
                        if key in moments:
                            moments[key][..., to, source] = 0.0


def wired(network: nn.Module) -> dict[str, Cell]:
    """Return the cells of a network that have a wiring, by their names in it."""
    return {name: m for name, m in network.named_modules() if isinstance(m, Cell) and m.wiring is not None}


def kept(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a network's weights, and beside them the wirings of its cells."""
    found = {name: value.detach().clone() for name, value in network.state_dict().items()}
    for name, cell in wired(network).items():
        assert cell.wiring is not None
        for part in ("recurrent", "sensory"):
            found[f"{name}.wiring.{part}"] = torch.from_numpy(getattr(cell.wiring, part).copy())
    return found


def put_back(network: nn.Module, found: dict[str, Tensor]) -> None:
    """Give a network the weights, and its cells the wirings, that `kept` found."""
    rest: dict[str, Any] = dict(found)
    for name, cell in wired(network).items():
        recurrent, sensory = (rest.pop(f"{name}.wiring.{part}").cpu().numpy() for part in ("recurrent", "sensory"))
        was = cell.wiring
        assert was is not None
        cell.rewire(Wiring(recurrent, sensory, was.outputs, was.roles, was.name))
    network.load_state_dict(rest)


def _missing(cell: Cell) -> bool:
    return not (bool(cell.live_h.all()) and bool(cell.live_x.all()))
