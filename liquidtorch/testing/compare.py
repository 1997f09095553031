"""What the laws share: random inputs, and when two results are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.testing import assert_close

from ..cells import first_parameter
from ..layers import Layer

B, T = 3, 6
CLOSE: dict[str, Any] = {"rtol": 0.0, "atol": 1e-10}  # float64: 1e4 times a rounding, 1e8 times below the signal


def example(layer: Layer, batch: int = B, steps: int = T) -> tuple[Tensor, Tensor]:
    """Return random x (B, T, F) and irregular dt (B, T) of the layer's dtype, the first dt zero."""
    like = first_parameter(layer)
    x = torch.randn(batch, steps, layer.features, dtype=like.dtype)
    dt = torch.rand(batch, steps, dtype=like.dtype) * 3
    dt[0, 0] = 0
    return x, dt


def weights_of(layer: Any) -> dict[str, Tensor]:
    """Return the parameters by name; of a layer that is never trained, the buffers that take their place."""
    named = dict(layer.named_parameters())
    return named or {name: b.requires_grad_() for name, b in layer.named_buffers() if b.is_floating_point()}


def gradients(total: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients of those weights that `total` depends on."""
    found = torch.autograd.grad(total, weights, allow_unused=True)
    return [g for g in found if g is not None]


def same(found: Any, wanted: Any) -> None:
    """Assert that two (nested) results are equal to 1e-10."""
    assert_close(tuple(flat(found)), tuple(flat(wanted)), **CLOSE)


def flat(found: Any) -> Iterator[Tensor]:
    """Yield the tensors of a nested result."""
    if isinstance(found, Tensor):
        yield found
    else:
        for part in found:
            yield from flat(part)
