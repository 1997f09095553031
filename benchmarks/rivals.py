"""The rivals, and how their outputs and gradients are read in our names and layouts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from timing import Answer, Side, training
from torch import Tensor, nn
from torch.nn.functional import softplus

from liquidtorch import ops
from liquidtorch.classic import LiquidNeuralNetwork, to_leaky
from liquidtorch.layers import Recurrent
from liquidtorch.ncps import from_module


def grads(layer: nn.Module) -> Answer:
    """Return the gradient of every parameter of a layer, by its name in the cell."""
    return {n.removeprefix("cell."): p.grad for n, p in layer.named_parameters() if p.grad is not None}


def of_ncps(module: nn.Module, x: Tensor) -> list[Side]:
    """Return our layer with the weights of `module`, and `module` itself: as layers, without a readout."""
    layer = from_module(module).body.train()
    slope = torch.randn(*x.shape[:2], module.output_size)
    if hasattr(module.rnn_cell, "gleak"):
        live, theirs = {}, _ltc_gradients
    else:
        live, theirs = _cfc_values(module, _nonzero), _cfc_gradients

    def ours() -> Answer:
        return {name: grad * live.get(name, 1.0) for name, grad in grads(layer).items()}

    return [
        training("liquidtorch", lambda: layer(x)[0], layer.parameters(), slope, ours),
        training(
            f"ncps {type(module).__name__}", lambda: module(x)[0], module.parameters(), slope, lambda: theirs(module)
        ),
    ]


def _ltc_gradients(module: nn.Module) -> Answer:
    """Transpose, and pass from cm to our log_cm, the softplus in between: dL/dlog_cm = dL/dcm * softplus / sigmoid."""
    cell: Any = module.rnn_cell
    found = {name: getattr(cell, name).grad.T for name in ("w", "mu", "sigma", "erev")}
    found |= {f"{name}_x": getattr(cell, f"sensory_{name}").grad.T for name in ("w", "mu", "sigma", "erev")}
    cm = cell.cm.detach()
    log_cm = cell.cm.grad * softplus(cm) / torch.sigmoid(cm)
    return {**found, "gleak": cell.gleak.grad, "vleak": cell.vleak.grad, "log_cm": log_cm}


def _cfc_gradients(module: nn.Module) -> Answer:
    live = _cfc_values(module, _nonzero)
    return {name: grad * live[name] for name, grad in _cfc_values(module, lambda p: p.grad).items()}


@torch.no_grad()
def _cfc_values(module: nn.Module, value: Callable[[Tensor], Tensor]) -> Answer:
    """Read a number for each weight as if it were the weight: reading a CfC only puts numbers in other places."""
    double = copy.deepcopy(module)
    for mine, theirs in zip(double.parameters(), module.parameters(), strict=True):
        if theirs.requires_grad:
            mine.copy_(value(theirs))
    found = dict(from_module(double).body.cell.named_parameters())
    return {name: p.detach() for name, p in found.items() if name != "log_tau"}  # ncps has no tau


def _nonzero(p: Tensor) -> Tensor:
    """Where ncps masks a weight, or `wire_every_head` made it zero, ours is not compared."""
    return (p != 0).to(p.dtype)


@torch.no_grad()
def wire_every_head(module: nn.Module) -> None:
    """Set to zero the weights of a wired CfC that its wiring does not have: ncps masks two of four heads only, and
    connects the units of a layer all to all. It computes as before; ours then has just the wiring's synapses.
    """
    wired: Any = module.rnn_cell
    wiring = wired._wiring
    before = None
    for i in range(wiring.num_layers):
        units = wiring.get_neurons_of_layer(i)
        into = wiring.adjacency_matrix[:, units]
        sources = wiring.sensory_adjacency_matrix[:, units] if before is None else into[before]
        live = torch.from_numpy(np.concatenate([sources, into[units]]).T != 0)
        for head in ("ff1", "ff2", "time_a", "time_b"):
            getattr(getattr(wired, f"layer_{i}"), head).weight.mul_(live)
        before = units


class TutorialLoop(nn.Module):
    """The introductory tutorials' loop over a `LiquidTimeStep`, which here keeps every state."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        """Return the states (B, T, H)."""
        h = x.new_zeros(len(x), self.step.W_h.out_features)
        states = []
        for t in range(x.shape[1]):
            h = self.step(x[:, t], h)
            states.append(h)
        return torch.stack(states, dim=1)


def of_tutorial(x: Tensor, slope: Tensor) -> tuple[Recurrent, list[Side]]:
    """Return our Leaky layer, and its side beside that of the tutorials' loop with the same weights."""
    units = slope.shape[2]
    network = LiquidNeuralNetwork(x.shape[2], units, 1)
    step = network.liquid_step
    nn.init.uniform_(step.tau, 1.0, 10.0)  # at the tutorials' tau of 1 a unit forgets its state at once
    layer, loop = to_leaky(network).body.train(), TutorialLoop(step)

    def theirs() -> Answer:
        W_in, W_h, tau = step.W_in, step.W_h, step.tau
        return {
            "W_x": W_in.weight.grad, "W_h": W_h.weight.grad, "b": W_in.bias.grad, "log_tau": tau.grad * tau.detach()
        }  # fmt: skip

    return layer, [
        training("liquidtorch", lambda: layer(x)[0], layer.parameters(), slope, lambda: grads(layer)),
        training("the tutorial's loop", lambda: loop(x), loop.parameters(), slope, theirs),
    ]


def of_torch(kind: type[nn.RNNBase], x: Tensor, slope: Tensor) -> Side:
    """Return PyTorch's own recurrent layer: another model, as wide."""
    rnn = kind(x.shape[2], slope.shape[2], batch_first=True)
    return training(f"nn.{kind.__name__}", lambda: rnn(x)[0], rnn.parameters(), slope, None)


def compiled(layer: Recurrent, x: Tensor, slope: Tensor) -> list[Side]:
    """Return `torch.compile` of a layer's reference, with the layer's own weights: of all steps, and of one step.

    The first is one graph, a scan. Inductor of torch 2.13 differentiates some scans wrongly (pytorch issue 153679),
    which the check of equality finds; the second is called in a Python loop.
    """
    cell = layer.cell
    every, one = torch.compile(layer, fullgraph=True), torch.compile(cell.step, fullgraph=True)
    dt = torch.ones(len(x), 1)

    def scanned() -> Tensor:
        with ops.use("reference"):
            return every(x)[0]

    def looped() -> Tensor:
        weights, h, states = cell.weights(), cell.initial(len(x)), []
        for u in layer.inputs(x).unbind(1):
            h = one(u, h, dt, weights)
            states.append(h)
        return torch.stack(states, dim=1)

    named = {"torch.compile, all steps": scanned, "torch.compile, one step": looped}
    return [training(n, f, layer.parameters(), slope, lambda: grads(layer)) for n, f in named.items()]


def reference(side: Side) -> Side:
    """Return the same work by the reference loops, in plain PyTorch."""

    def run() -> Any:
        with ops.use("reference"):
            return side.run()

    def answer() -> Answer:
        with ops.use("reference"):
            return side.answer()

    return Side("reference", run, side.clear, answer)
