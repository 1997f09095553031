"""Recurrent: the loop over time; MixedMemory: the same loop with an LSTM's memory beside the cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .. import cells, ops
from ..cells import Cell, Spec
from ..errors import OptionError
from .door import Layer, live_steps
from .stepper import called


class Recurrent(Layer):
    """Run a cell over time.

    `h[t] = cell.step(x[t], h[t-1], dt[t])`, `y[t] = cell.output(h[t])`.

    Parameters
    ----------
    cell : Cell
        What one step does.

    Raises
    ------
    OptionError
        If `cell` is not a Cell.

    Notes
    -----
    Called as every layer is: see `Layer.forward` for x, h, dt, lengths and reset. One kernel runs
    all steps where one fits (`ops.backend`). Memory for a backward pass grows with T.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import Liquid, Recurrent
    >>> layer = Recurrent(Liquid(3, 8))
    >>> x = torch.randn(2, 5, 3)
    >>> y, h = layer(x, lengths=[5, 2])
    >>> bool((y[1, 2:] == 0).all())
    True
    >>> first, h = layer(x[:, :3])
    >>> rest, h = layer(x[:, 3:], h)
    >>> torch.allclose(torch.cat([first, rest], 1), layer(x)[0], atol=1e-6)
    True
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        if not isinstance(cell, Cell):
            raise OptionError(f"`cell` must be a Cell; got {type(cell).__name__}.")
        self.cell = cell
        self.features, self.outputs = cell.features, cell.outputs
        self.continuous, self.stable = cell.continuous, cell.stable
        self._publish()

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the tensors of the state."""
        return self.cell.state_spec()

    def initial(self, batch: int) -> Any:
        """Return the state before the first step."""
        return self.cell.initial(batch)

    def taus(self) -> Tensor:
        """Return the present base time constant of every unit, (H,), in the unit of dt."""
        return self.cell.taus()

    def scale_time(self, c: float) -> None:
        """Become, in place, the same network for a dt given in a unit c times finer (dt becomes c*dt)."""
        self.cell.scale_time(c)

    def permute(self, order: Sequence[int] | Tensor) -> None:
        """Renumber the units in place: the new unit i is the old unit `order[i]`."""
        self.cell.permute(order)

    def config(self) -> dict[str, Any]:
        """Return everything `layers.build` needs, as plain JSON values."""
        return {"kind": type(self).__name__, "cell": self.cell.config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Recurrent:
        """Make a layer from what its `config` returned, with fresh weights."""
        return cls(cells.build(config["cell"]))

    def inputs(self, x: Tensor) -> Tensor:
        """Return all that depends on x alone, for all steps at once."""
        return self.cell.inputs(x)

    def states(self, u: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, ...]:
        """Return the tensors of the state after every step, (B, T, H) each."""
        return (self.cell.sequence(u, h, dt, lengths, reset),)

    def output(self, h: Any) -> Tensor:
        """Return what is shown of the state."""
        return self.cell.output(h)

    def _stepper(self) -> ops.Stepper:
        like = cells.first_parameter(self)
        found = self.cell.stepper() if like.device.type == "cpu" and ops.pick("stepper", like) else None
        return found or super()._stepper()

    def run(self, x: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Any]:
        """Run over checked tensors."""
        live = None if lengths is None else live_steps(lengths, x.shape[1])
        if live is not None:  # what stands in the padding must not reach a gradient, not even as 0 * nan
            x, dt = x.masked_fill(~live.unsqueeze(-1), 0), dt.masked_fill(~live, 0)
        states = self.states(self.inputs(x), h, dt, lengths, reset)
        y = self.output(self._state(states))
        after = self._state([a[:, -1] for a in states])
        return y if live is None else y.masked_fill(~live.unsqueeze(-1), 0), after


class MixedMemory(Recurrent):
    """Run a cell over time with an LSTM's memory beside it, which the cell's decay does not touch.

    `i, f, g, o = V_x x + V_h h + b`, `c' = sigmoid(f)*c + sigmoid(i)*tanh(g)`,
    `h' = cell.step(x, sigmoid(o)*tanh(c'), dt)`.

    Parameters
    ----------
    cell : Cell
        What one step does after the LSTM; its state must be one tensor.

    Raises
    ------
    OptionError
        If `cell` is not a Cell, or keeps more than one tensor.

    Notes
    -----
    The state is a NamedTuple `(h, c)`, c unbounded. The LSTM is dense even where the cell is wired, takes one step an
    input whatever dt is, and so dt = 0 does change the state. Its forget bias starts at log(U(1, tau-1)), tau the
    cell's largest time constant, taken as a number of steps: gradients last about that long.

    Source
    ------
    ODE-LSTM, Lechner and Hasani 2020 (arXiv 2006.04418), eq. 3, in ncps' order; the chrono start is Tallec and
    Ollivier 2018 (arXiv 1804.11188), eq. 16.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import CfC, MixedMemory
    >>> layer = MixedMemory(CfC(3, 8))
    >>> y, h = layer(torch.randn(2, 5, 3))
    >>> h.c.shape
    torch.Size([2, 8])
    """

    axes = {"V_x": "KHF", "V_h": "KHH", "b": "KH"}  # noqa: RUF012

    def __init__(self, cell: Cell) -> None:
        if isinstance(cell, Cell) and len(cell.state_spec()) > 1:
            raise OptionError(f"`cell` must keep one tensor; got {type(cell).__name__} ({len(cell.state_spec())}).")
        super().__init__(cell)
        self.continuous = False
        units, bound = cell.units, 1 / math.sqrt(cell.units)
        self.V_x = nn.Parameter(torch.empty(4, units, cell.features).uniform_(-bound, bound))
        self.V_h = nn.Parameter(torch.empty(4, units, units).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.zeros(4, units))
        with torch.no_grad():
            longest = max(2.0, cell.taus().max().item())
            self.b[1] = torch.empty(units).uniform_(1.0, longest - 1).log()  # forget (Tallec 2018, eq. 16)
            self.b[0] = -self.b[1]

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the state: h, which the cell leaves within its own bounds or [-1, 1], and the memory c."""
        _, width, low, high = self.cell.state_spec()[0]
        return Spec("h", width, min(low, -1.0), max(high, 1.0)), Spec("c", width, -math.inf, math.inf)

    def initial(self, batch: int) -> Any:
        """Return the state before the first step."""
        h = self.cell.initial(batch)
        return self.State(h, torch.zeros_like(h))

    @torch.no_grad()
    def permute(self, order: Sequence[int] | Tensor) -> None:
        """Renumber the units in place: the new unit i is the old unit `order[i]`."""
        self.cell.permute(order)
        cells.renumber(self, self.axes, order)

    def inputs(self, x: Tensor) -> Tensor:
        """Return the gates' share of x, (..., 4H), beside the cell's."""
        return torch.cat([linear(x, self.V_x.flatten(0, 1), self.b.flatten()), self.cell.inputs(x)], dim=-1)

    def states(self, u: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, ...]:
        """Return h and c after every step, (B, T, H) each."""
        V_h, inner = self.V_h.flatten(0, 1), self.cell.weights()

        def step(u: Tensor, h: tuple[Tensor, ...], dt: Tensor) -> tuple[Tensor, ...]:
            gates, u = u.split([V_h.shape[0], u.shape[-1] - V_h.shape[0]], dim=-1)
            i, f, g, o = (gates + linear(h[0], V_h)).chunk(4, dim=-1)
            c = torch.sigmoid(f) * h[1] + torch.sigmoid(i) * torch.tanh(g)
            return self.cell.step(u, torch.sigmoid(o) * torch.tanh(c), dt, inner), c

        return ops.over(step, u, h, dt, lengths, reset, self.initial(u.shape[0]))

    def _stepper(self) -> ops.Stepper:
        return called(self)  # the cell's own kernel knows nothing of the LSTM

    def output(self, h: Any) -> Tensor:
        """Return what the cell shows of its state."""
        return self.cell.output(h.h)
