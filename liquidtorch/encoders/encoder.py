"""What the encoders of numbers share: a scaling per feature, the call of a layer, and how its arguments are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import OptionError, ShapeError, check_shape

Numbers = Sequence[float] | np.ndarray | Tensor


class Encoder(nn.Module):
    """What Identity and MissingAware share: a scaling per feature, kept with the weights, and the call of a layer."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Numbers, scale: Numbers) -> None:
        super().__init__()
        dtype = torch.get_default_dtype()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=dtype).clone())
        self.register_buffer("scale", torch.as_tensor(scale, dtype=dtype).clone())
        self.features = len(self.mean)
        for name in ("mean", "scale"):
            check_shape(name, getattr(self, name).shape, ("features",), features=self.features)
        if not bool((self.scale > 0).all()) or not bool(torch.isfinite(self.mean).all()):
            raise OptionError(
                f"`scale` must be above 0 and `mean` finite; got {self.scale.tolist()} and {self.mean.tolist()}. "
                "Give a column that never changes the scale 1."
            )

    def forward(
        self,
        x: Tensor,
        e: Any = None,
        *,
        dt: Tensor | float = 1.0,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Encode x (B,T,F) from the state `e`; returns the channels z (B,T,outputs) and the new state."""
        z, _, e = self.filled(x, e, dt=dt, lengths=lengths, reset=reset)
        return z, e

    def filled(
        self,
        x: Tensor,
        e: Any = None,
        *,
        dt: Tensor | float = 1.0,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Any]:
        """Encode, and return beside z the raw values with every gap filled (B,T,F): (z, values, e)."""
        raise NotImplementedError

    def _checked(self, x: Tensor) -> tuple[int, int]:
        sizes = check_shape("x", x.shape, ("batch", "time", "features"), features=self.features)
        return sizes["batch"], sizes["time"]


def spread(dt: Tensor | float, B: int, T: int, like: Tensor) -> Tensor:
    """Return dt as (B, T)."""
    dt = torch.as_tensor(dt, dtype=like.dtype, device=like.device)
    if dt.ndim == 1 and dt.shape == (B,):
        if B == T != 1:
            raise ShapeError(f"`dt` must be (batch, time) where both are {B}; got ({B},) (a step's or a row's?).")
        dt = dt[:, None]
    if dt.ndim > 2 or dt.shape not in ((), (T,), (B, 1), (B, T)):
        raise ShapeError(f"`dt` must be a number, (time={T},), (batch={B},) or ({B}, {T}); got {tuple(dt.shape)}.")
    return dt.expand(B, T)


def inside(lengths: Tensor, T: int) -> Tensor:
    """Return the (B, T, 1) mask of the steps before each row's end."""
    return (torch.arange(T, device=lengths.device) < lengths[:, None])[..., None]
