"""What an online readout sees of a body and its channels, and where a trained network's readout has it start."""

from __future__ import annotations

import numpy as np

from ..errors import OptionError
from ..layers.stepper import array
from ..model import LiquidNetwork
from ..readout import MLP, Linear, Logistic, Ridge

BLOCK = 32


class View:
    """Lay out z = [y | coded channels | tanh(V [y | coded] + c) | other channels | zeros]: what comes later is last.

    The width of z is a multiple of 32: so wide are the blocks that dot products are summed in, and with whole blocks
    more zeros at the end change no bit of a sum.

    Parameters
    ----------
    outputs : int
        Of the body, the width of y.
    coded : int
        How many of the channels u come first: those of a network's encoder.
    skip : bool
        Whether those are seen.
    hidden : (V, c) or None
        The hidden layer of a readout that has one; it is kept as it is.
    """

    def __init__(
        self, outputs: int, coded: int, skip: bool = True, hidden: tuple[np.ndarray, np.ndarray] | None = None
    ) -> None:
        self.outputs, self.coded, self.skip, self.hidden = outputs, coded, skip, hidden
        self.start = outputs + coded * skip + (0 if hidden is None else len(hidden[1]))  # of the other channels
        self._whole = hidden is None and (skip or not coded)
        self.room(0)

    def room(self, others: int) -> int:
        """Make room for so many other channels, and return the width of z."""
        size = self.start + others
        self._rest = np.zeros(-size % BLOCK)
        return size + len(self._rest)

    def see(self, y: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return z for the body's output (O,) and the channels (C,)."""
        if self._whole:
            return np.concatenate((y, u, self._rest))
        seen = np.concatenate((y, u[: self.coded])) if self.skip else y
        if self.hidden is None:
            return np.concatenate((seen, u[self.coded :], self._rest))
        V, c = self.hidden
        return np.concatenate((seen, np.tanh(V @ seen + c), u[self.coded :], self._rest))

    def back(self, q: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return dL/dy (O,) for q = dL/dz."""
        g = q[: self.outputs].copy()
        if self.hidden is not None:
            V, c = self.hidden
            inner = slice(self.start - len(c), self.start)
            g += (q[inner] * (1 - z[inner] ** 2)) @ V[:, : self.outputs]
        return g


def start(network: LiquidNetwork) -> tuple[View, np.ndarray, np.ndarray]:
    """Return what the online readout of a network sees, and the weights (O, F) and biases (O,) that it starts with.

    Raises
    ------
    OptionError
        If the network answers in a form that cannot be learned from single labels.
    """
    task, readout = network.task, network.readout
    if network.ahead:
        raise OptionError(
            "`model` must not forecast over gaps that it is told of; got a forecast where time is irregular. "
            "Resample the series, or make a network for even steps."
        )
    if task.classifies and len(task.targets) > 1:
        raise OptionError(f"`model` must classify one target; got {len(task.targets)}: {', '.join(task.targets)}.")
    hidden = None
    if isinstance(readout, Ridge | Logistic):
        W, b = array(readout.weight), array(readout.bias)
        if task.classifies and isinstance(readout, Ridge):  # scores near 0 and 1; p = 1/2 + logit/4 about the middle
            W, b = 4 * W, 4 * (b - 0.5)
    else:
        assert isinstance(readout, Linear)
        mean, scale = array(readout.mean), array(readout.scale)[:, None]
        W, b = scale * array(readout.last.weight), mean + scale[:, 0] * array(readout.last.bias)
        if isinstance(readout, MLP):
            W = np.concatenate((W, scale * array(readout.second.weight)), axis=1)
            hidden = array(readout.first.weight), array(readout.first.bias)
    point = slice(None) if task.classifies else slice(None, None, 1 + len(task.quantiles))
    view = View(network.body.outputs, network.encoder.outputs, network.skip, hidden)
    return view, np.ascontiguousarray(W[point]), np.ascontiguousarray(b[point])
