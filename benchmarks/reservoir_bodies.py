"""What stands before a ridge readout in benchmarks/reservoir.py: a reservoir, or a delay line as its control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from liquidtorch import EchoState
from liquidtorch.readout import Ridge, Solution, features

SMALL = tuple(10.0**e for e in range(-1, -15, -1))  # penalties that are tried where none is given
Options = Mapping[str, Any]


class Lags:
    """Show the last `count` inputs at every step: a reservoir's control, called as one."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the inputs x (B, T, F) and those before them, (B, T, F*count), and the last count - 1 of them."""
        past = torch.cat([x.new_zeros(len(x), self.count - 1, x.shape[2]) if h is None else h, x], 1)
        return past.unfold(1, self.count, 1).flatten(2), past[:, x.shape[1] :]


def quadratic(y: Tensor) -> Tensor:
    """Return y (..., D) and all products of two of its columns."""
    i, j = torch.triu_indices(y.shape[-1], y.shape[-1])
    return torch.cat([y, y[..., i] * y[..., j]], -1)


SEES: dict[str, Callable[[Tensor], Tensor]] = {  # of states y
    "states": lambda y: y,
    "squares": lambda y: features.squares(y),
    "half squared": lambda y: features.squares(y, half=True),
    "neighbours": lambda y: torch.cat([y, *(y * y.roll(apart, -1) for apart in range(3))], -1),
    "quadratic": lambda y: quadratic(y),
}


class Body:
    """A reservoir or a delay line, what the readout sees of it, and the readout.

    Parameters
    ----------
    width : int
        F, of the input.
    options : mapping
        `lags`: a delay line of so many; else those of EchoState. And of the readout: `sees`, one of SEES; `inputs`, how
        many of the last inputs it sees beside them; `penalty`, relative; or, if that is left out, `select`, how it is
        chosen: by generalised cross-validation if left out too.
    seed : int
        Of the reservoir.
    """

    def __init__(self, width: int, options: Options, seed: int) -> None:
        own = {k: v for k, v in options.items() if k not in ("sees", "inputs", "penalty", "select")}
        self.sees, self.penalty = SEES[options.get("sees", "states")], options.get("penalty")
        self.select = options.get("select", "gcv")
        self.layer: Any = Lags(own["lags"]) if "lags" in own else EchoState(width, seed=seed, **own).double()
        self.beside = Lags(options["inputs"]) if options.get("inputs") else None
        self.readout = Ridge(1, 1)

    @torch.no_grad()
    def run(self, x: Tensor, h: Any = None) -> tuple[Tensor, Any]:
        """Return what the readout sees at every step of x (B, T, F), and the state after the last."""
        of_layer, of_inputs = h or (None, None)
        y, of_layer = self.layer(x, of_layer)
        seen = self.sees(y)
        if self.beside is not None:
            last, of_inputs = self.beside(x, of_inputs)
            seen = torch.cat([seen, last], -1)
        return seen, (of_layer, of_inputs)

    def solve(self, x: Tensor, y: Tensor) -> Solution:
        """Solve the readout from rows x (N, F') and targets y (N, O)."""
        self.readout = Ridge(x.shape[1], y.shape[1])
        if self.penalty is None:
            return self.readout.solve(x, y, penalties=SMALL, select=self.select)
        return self.readout.solve(x, y, select=self.penalty)

    @torch.no_grad()
    def forecast(self, x: Tensor, steps: int) -> Tensor:
        """Feed series x (B, T, F) in, then the own answers, as changes of x, and return these, (B, steps, F)."""
        seen, h = self.run(x)
        seen, x, told = seen[:, -1:], x[:, -1:], []
        for _ in range(steps):
            x = x + self.readout(seen)
            told.append(x)
            seen, h = self.run(x, h)
        return torch.cat(told, 1)
