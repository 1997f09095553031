"""Slots: what readouts that learn one row at a time have in common: features that come and go, and numbers in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import DataError, OptionError, ShapeError, StateError, check_range

Array = NDArray[np.float64]


class Slots(nn.Module):
    """A linear readout of F slots, each open (a feature is there) or closed (free: it is not seen, its weights are 0).

    Its numbers are buffers in float64; NumPy arrays that share their memory, by the same names with a `_` before, are
    what rows are learned with.
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

    def _keep(self, name: str, value: NDArray[Any] | Tensor) -> None:
        """Keep an array as a buffer, in new memory, and as a NumPy array that shares it."""
        self.register_buffer(name, torch.as_tensor(value).clone(memory_format=torch.contiguous_format))
        self._bind()

    def _bind(self) -> None:
        """Find the memory of the buffers again; it has moved."""
        for name, tensor in self._buffers.items():
            assert tensor is not None
            setattr(self, f"_{name}", tensor.numpy())
        self._call: Callable[..., Array] | None = None

    def _checked(self, z: Array) -> Array:
        if not isinstance(z, np.ndarray) or z.shape != (self.features,):
            told = str(z.shape) if isinstance(z, np.ndarray) else type(z).__name__
            raise ShapeError(f"`z` must be an array of the shape ({self.features},); got {told}.")
        if not math.isfinite(z.dot(z)):
            wrong = ~np.isfinite(z)
            where = f"{z[wrong][0]} at feature {wrong.argmax()}" if wrong.any() else "numbers whose squares are not"
            raise DataError(f"`z` must be finite; got {where}. Fill in what is missing before the readout.")
        return z

    def _slot(self, name: str, j: int, *, free: bool) -> int:
        j = check_range(name, j, 0, self.features - 1, whole=True)
        if free == bool(self._live[j]):
            raise StateError(f"`{name}` must be {'a closed' if free else 'an open'} slot; got {j}, which is not.")
        return j

    def _widened(self, features: int) -> int:
        if check_range("features", features, 1, whole=True) < self.features:
            raise OptionError(f"`features` must be at least {self.features}, as many as there are; got {features}.")
        return features - self.features

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_call" and k.removeprefix("_") not in self._buffers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._bind()

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        moved = fn(self.weight)
        if moved.dtype != torch.float64 or moved.device.type != "cpu":
            raise OptionError(
                f"`{type(self).__name__}` must stay in float64 on the CPU; got {moved.dtype} on {moved.device} "
                "(it learns one row at a time, in NumPy)."
            )
        super()._apply(fn, recurse)
        self._bind()
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._bind()
