"""Numbers kept as buffers that NumPy and compiled steps share, and options that may be changed between rows."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]


class Option:
    """A number of a `Kept` that may be changed between rows: it lies where a compiled step reads it.

    Parameters
    ----------
    place : int
        Where among the options.
    """

    def __init__(self, place: int) -> None:
        self.place = place

    def __get__(self, owner: Kept, kind: Any = None) -> float:
        """Return it."""
        return float(owner._options[self.place])

    def __set__(self, owner: Kept, value: float) -> None:
        """Change it, from the next row on."""
        owner._options[self.place] = value


class Kept(nn.Module):
    """A module whose buffers are also NumPy arrays in the same memory, by the same names with a `_` before.

    Rows are learned with the arrays; `state_dict` holds the buffers. A compiled call is kept as `_call` as long as the
    memory stays.
    """

    _call: Any

    def __init__(self) -> None:
        super().__init__()
        self._options = np.zeros(2)
        self._bind()

    def _keep(self, name: str, value: NDArray[Any] | Tensor) -> None:
        """Keep an array as a buffer, in new memory, and as a NumPy array that shares it."""
        self.register_buffer(name, torch.as_tensor(value).clone(memory_format=torch.contiguous_format))
        self._bind()

    def _bind(self) -> None:
        """Find the memory of the buffers again; it has moved."""
        for name, tensor in self._buffers.items():
            assert tensor is not None
            setattr(self, f"_{name}", tensor.numpy())
        self._call = None

    @property
    def _option(self) -> Tensor:
        """The memory of the options."""
        return torch.from_numpy(self._options)

    def _room(self, **sizes: int) -> dict[str, Tensor]:
        """Return memory for a compiled step to work in: so many numbers for each name, NaN before the first row."""
        return {name: torch.full((size,), math.nan, dtype=torch.float64) for name, size in sizes.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_call" and k.removeprefix("_") not in self._buffers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._bind()

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._bind()
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._bind()
