"""From what the body says to the answer, in the target's own unit; trained with the body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import OptionError, check_range, check_shape

Numbers = Sequence[float] | np.ndarray | Tensor


class Linear(nn.Module):
    """Answer linearly: y = mean + scale * (W x + b).

    Parameters
    ----------
    features, outputs : int, at least 1
        Widths of x and y.
    mean, scale : (outputs,) floats, `scale` above 0; default 0 and 1
        Of the targets, in their own unit; kept with the weights. W and b start at 0, so the first answer is the mean.

    Examples
    --------
    >>> readout = Linear(3, 1, mean=[20.0], scale=[5.0])
    >>> readout(torch.zeros(2, 3)).tolist()
    [[20.0], [20.0]]
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        features: int,
        outputs: int,
        *,
        mean: Numbers | None = None,
        scale: Numbers | None = None,
    ) -> None:
        super().__init__()
        features = check_range("features", features, 1, whole=True)
        outputs = check_range("outputs", outputs, 1, whole=True)
        self.features, self.outputs = features, outputs
        dtype = torch.get_default_dtype()
        for name, given, usual in (("mean", mean, 0.0), ("scale", scale, 1.0)):
            number = torch.full((outputs,), usual) if given is None else torch.as_tensor(given)
            check_shape(name, number.shape, ("outputs",), outputs=outputs)
            self.register_buffer(name, number.to(dtype).clone())
        if not bool((self.scale > 0).all()):
            raise OptionError(f"`scale` must be above 0; got {self.scale.tolist()}.")
        self.last = nn.Linear(features, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return y (..., outputs) for x (..., features)."""
        return self.mean + self.scale * self.last(x)

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal readout from, as plain JSON, without the weights."""
        scaling = {"mean": self.mean.tolist(), "scale": self.scale.tolist()}
        return {"kind": "Linear", "features": self.features, "outputs": self.outputs, **scaling}


class MLP(Linear):
    """Answer linearly, and through one hidden layer beside: y = mean + scale * (W x + U tanh(V x + c) + b).

    Parameters
    ----------
    features, outputs : int, at least 1
        Widths of x and y.
    hidden : int, at least 1
        Width of the hidden layer.
    mean, scale : (outputs,) floats, `scale` above 0; default 0 and 1
        As for `Linear`. W, U and b start at 0, so the first answer is the mean.

    Examples
    --------
    >>> MLP(3, 1, hidden=8)(torch.zeros(2, 3)).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        *,
        hidden: int = 64,
        mean: Numbers | None = None,
        scale: Numbers | None = None,
    ) -> None:
        hidden = check_range("hidden", hidden, 1, whole=True)
        super().__init__(features, outputs, mean=mean, scale=scale)
        self.hidden = hidden
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, outputs, bias=False)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return y (..., outputs) for x (..., features)."""
        return super().forward(x) + self.scale * self.second(torch.tanh(self.first(x)))

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal readout from, as plain JSON, without the weights."""
        return {**super().config(), "kind": "MLP", "hidden": self.hidden}
