"""Slots: what readouts that learn one row at a time have in common: features that come and go."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import DataError, OptionError, ShapeError, StateError, check_range
from .kept import Array, Kept


class Slots(Kept):
    """A linear readout of F slots, each open (a feature is there) or closed (free: it is not seen, its weights are 0).

    Its numbers are buffers in float64; rows are learned with the NumPy arrays that share their memory.
    """

    weight: Tensor
    bias: Tensor
    live: Tensor
    _weight: Array
    _bias: Array
    _live: NDArray[np.bool_]

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.features = check_range("features", features, 1, whole=True)
        self.outputs = check_range("outputs", outputs, 1, whole=True)
        self._keep("live", np.ones(self.features, bool))
        self._keep("weight", np.zeros((self.outputs, self.features)))
        self._keep("bias", np.zeros(self.outputs))

    def forward(self, z: Tensor) -> Tensor:
        """Return W z + b, (..., outputs), for z (..., features)."""
        return nn.functional.linear(z.to(self.weight.dtype), self.weight, self.bias)

    def _checked(self, z: Array) -> Array:
        if not isinstance(z, np.ndarray) or z.shape != (self.features,):
            told = str(z.shape) if isinstance(z, np.ndarray) else type(z).__name__
            raise ShapeError(f"`z` must be an array of the shape ({self.features},); got {told}.")
        if not math.isfinite(z.dot(z)):
            raise self._infinite(z)
        return z

    def _infinite(self, z: Array) -> DataError:
        wrong = ~np.isfinite(z)
        where = f"{z[wrong][0]} at feature {wrong.argmax()}" if wrong.any() else "numbers whose squares are not"
        return DataError(f"`z` must be finite; got {where}. Fill in what is missing before the readout.")

    def _slot(self, name: str, j: int, *, free: bool) -> int:
        j = check_range(name, j, 0, self.features - 1, whole=True)
        if free == bool(self._live[j]):
            raise StateError(f"`{name}` must be {'a closed' if free else 'an open'} slot; got {j}, which is not.")
        return j

    def _widened(self, features: int) -> int:
        if check_range("features", features, 1, whole=True) < self.features:
            raise OptionError(f"`features` must be at least {self.features}, as many as there are; got {features}.")
        return features - self.features

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        moved = fn(self.weight)
        if moved.dtype != torch.float64 or moved.device.type != "cpu":
            raise OptionError(
                f"`{type(self).__name__}` must stay in float64 on the CPU; got {moved.dtype} on {moved.device} "
                "(it learns one row at a time, in NumPy)."
            )
        return super()._apply(fn, recurse)
