"""Layers step by step on NumPy rows: compiled where a cell has a kernel, by PyTorch where it has none."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..cells import first_parameter
from ..ops import Stepper


def called(layer: Any) -> Stepper:
    """Return a stepper that calls a copy of any layer, as it is now, with one row of one step."""
    layer = copy.deepcopy(layer)
    like = first_parameter(layer)
    state = layer.initial(1)

    @torch.no_grad()
    def advance(x: np.ndarray, dt: float) -> np.ndarray:
        nonlocal state
        y, state = layer(torch.as_tensor(x, dtype=like.dtype, device=like.device).view(1, 1, -1), state, dt=dt)
        return y.view(-1).cpu().numpy()

    def reset() -> None:
        nonlocal state
        state = layer.initial(1)

    return Stepper(layer.features, advance, reset)


def stacked(parts: Sequence[Stepper], norms: Sequence[nn.LayerNorm] | None, residual: bool) -> Stepper:
    """Return a stepper of `Stack` from those of its layers."""
    scales = [(array(norm.weight), array(norm.bias), norm.eps) for norm in norms or ()]

    def advance(x: np.ndarray, dt: float) -> np.ndarray:
        y = parts[0](x, dt)
        for i, part in enumerate(parts[1:]):
            z = y
            if scales:
                weight, bias, eps = scales[i]
                z = (y - y.mean()) / np.sqrt(y.var() + eps) * weight + bias
            y = part(z, dt) + y if residual else part(z, dt)
        return y

    def reset() -> None:
        for part in parts:
            part.reset()

    return Stepper(parts[0].features, advance, reset)


def array(parameter: Tensor) -> np.ndarray:
    """Return a copy of a parameter as it is now."""
    return parameter.detach().cpu().numpy().copy()
