"""The introductory tutorials' two classes under their own names, and the way from there to a `Leaky` network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .cells import Leaky
from .encoders import Identity
from .errors import DataError, check_shape
from .layers import Recurrent
from .model import LiquidNetwork
from .readout import Linear
from .task import Task


class LiquidTimeStep(nn.Module):
    """Move a state one explicit Euler step towards a tanh: `h + (tanh(W_in x + W_h h) - h) / tau`.

    Parameters
    ----------
    input_size : int
        Numbers in x.
    hidden_size : int
        Units, the numbers in h. Their time constants `tau` start at 1 and are free: training may carry one to 0 or
        below, where the step no longer relaxes. `cells.Leaky` keeps them positive.

    Source
    ------
    Euler's method with a step of 1 on the continuous-time recurrent network of Funahashi and Nakamura 1993, eq. 1.

    Examples
    --------
    >>> import torch
    >>> step = LiquidTimeStep(3, 5)
    >>> step(torch.randn(2, 3), torch.zeros(2, 5)).shape
    torch.Size([2, 5])
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.W_in = nn.Linear(input_size, hidden_size)
        self.W_h = nn.Linear(hidden_size, hidden_size)
        self.tau = nn.Parameter(torch.ones(hidden_size))

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """Return the state (B, hidden_size) after one step from x (B, input_size) and h (B, hidden_size)."""
        return h + (torch.tanh(self.W_in(x) + self.W_h(h)) - h) / self.tau


class LiquidNeuralNetwork(nn.Module):
    """Read a sequence with a `LiquidTimeStep` from a state of zeros and answer linearly from the last state.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        Numbers in a step of x, units, numbers in the answer.

    Raises
    ------
    ShapeError
        When x is not (batch, time, input_size).

    Examples
    --------
    >>> import torch
    >>> LiquidNeuralNetwork(10, 20, 1)(torch.randn(4, 6, 10)).shape
    torch.Size([4, 1])
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.liquid_step = LiquidTimeStep(input_size, hidden_size)
        self.output_layer = nn.Linear(hidden_size, output_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the answer (B, output_size) to the sequences x (B, T, input_size)."""
        check_shape("x", x.shape, ("batch", "time", "features"), features=self.liquid_step.W_in.in_features)
        h = x.new_zeros(len(x), self.hidden_size)
        for t in range(x.shape[1]):
            h = self.liquid_step(x[:, t], h)
        return self.output_layer(h)


@torch.no_grad()
def to_leaky(network: LiquidNeuralNetwork) -> LiquidNetwork:
    """Turn a tutorial's network into the same network with a `Leaky(method="euler")` body.

    Parameters
    ----------
    network : LiquidNeuralNetwork
        Left as it is; its weights are copied.

    Returns
    -------
    LiquidNetwork
        Answers at every step; the last step's answer is that of `network`. Its task is one number for each output
        of a series.

    Raises
    ------
    DataError
        If training has carried a tau to 0 or below: no `Leaky` cell has such a unit.

    Examples
    --------
    >>> import torch
    >>> network, x = LiquidNeuralNetwork(3, 8, 2), torch.randn(4, 6, 3)
    >>> y, h = to_leaky(network)(x)
    >>> torch.allclose(y[:, -1], network(x), atol=1e-6)
    True
    """
    step, answer = network.liquid_step, network.output_layer
    wrong = torch.nonzero(~((step.tau > 0) & step.tau.isfinite()))
    if len(wrong):
        unit = int(wrong[0])
        raise DataError(
            f"`tau` must be above 0 and finite in every unit; got {step.tau[unit].item():g} (unit {unit}). "
            "Train with cells.Leaky, which keeps it positive."
        )
    units, features = step.W_in.weight.shape
    encoder, readout = Identity([0.0] * features, [1.0] * features), Linear(units, answer.out_features)
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn only to be written over
        cell = Leaky(features, units, method="euler", tau=1.0)
    task = Task("regress", tuple(f"y{i}" for i in range(answer.out_features)))
    found = LiquidNetwork(encoder, Recurrent(cell), readout, task=task, skip=False)
    found.to(device=step.tau.device, dtype=step.tau.dtype)
    for mine, theirs in (
        (cell.W_x, step.W_in.weight),
        (cell.W_h, step.W_h.weight),
        (cell.b, step.W_in.bias + step.W_h.bias),
        (cell.log_tau, step.tau.log()),
        (readout.last.weight, answer.weight),
        (readout.last.bias, answer.bias),
    ):
        mine.copy_(theirs)
    return found
