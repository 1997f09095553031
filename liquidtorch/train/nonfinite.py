"""Where a training went wrong, in a sentence, when its loss or gradient is not a number any more."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .batches import Batch


class NonFiniteError(Exception):
    """Raised inside `fit` to end a training whose loss or gradient is not finite; its text is the diagnosis."""


def diagnose(network: nn.Module, batch: Batch, columns: Sequence[str], loss: float, epoch: int, number: int) -> str:
    """Say which batch it was, the first parameter with a bad gradient, and the largest input."""
    guilty = [
        name for name, p in network.named_parameters() if p.grad is not None and not bool(torch.isfinite(p.grad).all())
    ]
    step = torch.arange(batch.x.shape[1], device=batch.x.device)
    inside = (step < batch.lengths[:, None])[..., None]
    size = torch.where(inside & ~torch.isnan(batch.x), batch.x.abs(), 0.0).amax((0, 1))
    column = int(size.argmax())
    name = columns[column] if column < len(columns) else f"the gap {column - len(columns) + 1} rows ahead"
    return (
        f"`loss` must stay finite; got {loss:g} in epoch {epoch}, batch {number} "
        f"(first parameter with a bad gradient: {guilty[0] if guilty else 'none'}; "
        f"largest input: {float(size[column]):g} in {name}). Lower `lr`, or look at that column."
    )
