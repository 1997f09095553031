"""A body that advances by one sample: its state an argument and a result, flat and in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..layers import Layer
from ..layers.door import tensors_of
from .arrival import Way, way
from .inputs import OfLayer, OfNetwork
from .view import View


class Body:
    """Advance a layer whose weights stay as they are: `y, h = body.step(u, h, dt)`, by its compiled stepper if any.

    Parameters
    ----------
    layer : Layer
        In float64, on the CPU.

    Examples
    --------
    >>> from liquidtorch import EchoState
    >>> body = Body(EchoState(2, 8).double())
    >>> y, h = body.step(np.ones(2), body.initial(), 1.0)
    >>> y.shape, bool((h == y).all())
    ((8,), True)
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.outputs = layer.outputs
        self._widths = [spec.width for spec in layer.state_spec()]
        self.way: Way | None = None  # of samples, once it was looked for
        stepper = layer.stepper()
        self._kernel = stepper.kernel
        if stepper.state is None or len(self._widths) > 1:
            self.step = self._called
        else:
            self._live, self._advance = stepper.state, stepper.advance
            self.step = self._whole if self.outputs == len(stepper.state) else self._compiled

    def find(self, inputs: OfLayer | OfNetwork, view: View) -> Way:
        """Find the way of samples through channels, body and view, as they are now, and keep it."""
        self.way = way(self._kernel, inputs, view)
        return self.way

    def initial(self) -> np.ndarray:
        """Return the state before the first step."""
        with torch.no_grad():
            return np.concatenate([part.numpy()[0] for part in tensors_of(self.layer.initial(1))])

    def _whole(self, u: np.ndarray, h: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        self._live[:] = h
        y = self._advance(u, dt)
        return y, y

    def _compiled(self, u: np.ndarray, h: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        self._live[:] = h
        y = self._advance(u, dt)
        return y, self._live.copy()

    @torch.no_grad()
    def _called(self, u: np.ndarray, h: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        parts = torch.from_numpy(h).view(1, -1).split(self._widths, dim=1)
        state: Any = self.layer._state(list(parts))
        y, after = self.layer(torch.from_numpy(u).view(1, 1, -1), state, dt=dt)
        return y.view(-1).numpy(), np.concatenate([part.numpy()[0] for part in tensors_of(after)])
