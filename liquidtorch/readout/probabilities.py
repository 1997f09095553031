"""What readouts have in common that learn classes one row at a time, and answer with the probability of each."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, check_range
from ..ops.library import entry
from .kept import Array
from .slots import Slots


class Probabilities(Slots):
    """A readout of logits: p = softmax(sharpness (W z + b)), the true class given as a code.

    `state` begins with the rows so far and, over the last of them, the mean of log sum exp of the logits.
    """

    STEP = ""  # the function of the library that tells or learns a row
    state: Tensor
    _state: Array

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.outputs

    @property
    def sharpness(self) -> float:
        """What logits are multiplied by."""
        return 1.0

    def code(self, y: int | float) -> int:
        """Return the class, or -1 for an unknown one.

        Raises
        ------
        DataError
            If there is no such class.
        """
        if 0 <= y < self.outputs and y == (code := int(y)):
            return code
        if y != y:
            return -1
        raise DataError(f"`y` must be a whole number from 0 to {self.outputs - 1}, or NaN where unknown; got {y!r}.")

    def _struct(self, z: Tensor, told: Tensor, logit: Tensor) -> Any:
        """Return what that function needs, for rows that are put into z (F,); answers and logits are left in (K,) each.

        It belongs to the memory that the buffers have now.
        """
        raise NotImplementedError

    def _ready(self) -> tuple[Callable[[Array, int], Array], Any]:
        """Return the function, ready to tell of a row for y < 0, and to learn it else; and what it was given."""
        if self._call is None:
            room = self._room(z=self.features, told=self.outputs, logit=self.outputs)
            step, row, said = self._struct(**room), room["z"].numpy(), room["told"].numpy()
            function, at = entry(self.STEP, torch.float64), ctypes.addressof(step)

            def call(z: Array, y: int) -> Array:
                row[:] = z
                function(at, y)
                return said.copy()

            self._call = call, step
        return self._call

    def predict(self, z: Array) -> Array:
        """Return the probability of each class, (K,), for z (F,)."""
        raise NotImplementedError

    def gradient(self, z: Array, y: int | float) -> tuple[Array, float]:
        """Return how the loss -log p_y changes with z, (F,), and the loss; 0 for an unknown y."""
        told, code = self.predict(z), self.code(y)
        if code < 0:
            return np.zeros(self.features), 0.0
        loss = -math.log(max(told[code], 5e-324))
        told[code] -= 1
        return self.sharpness * (told @ self._weight), loss

    def add_class(self, p: float = 1e-3) -> None:
        """Add a class of probability p, on the average of the last rows; the ratios of the others stay as they are.

        `b_new = (log(p / (1 - p)) + mean of log sum exp of the logits) / sharpness`, `w_new = 0`.
        """
        p = check_range("p", p, 0, 0.5, open_low=True)
        level = self._state[1] if self._state[0] else math.log(self.outputs)
        self.outputs += 1
        self._keep("weight", np.pad(self._weight, ((0, 1), (0, 0))))
        self._keep("bias", np.append(self._bias, (math.log(p / (1 - p)) + level) / self.sharpness))
