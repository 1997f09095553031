"""Encoders of a value in a known range: low to 0, high to 1."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from ..errors import OptionError
from .encoder import Numbers
from .spikes import SpikeEncoder, valid


class Ranged(SpikeEncoder):
    """Code u = (x - low) / (high - low), held to 0..1; the parent of the encoders that do.

    Parameters
    ----------
    low, high : (C,) floats, `high` above `low`
        The range of each channel, in its unit; values beyond count as its end.
    steps : int, at least 1
        Substeps a sample.
    width : int, at least 1
        Outputs a channel.
    """

    channelwise = ("low", "high")
    low: Tensor
    high: Tensor

    def __init__(self, low: Numbers, high: Numbers, *, steps: int, width: int = 1, **channelwise: Numbers) -> None:
        super().__init__(steps=steps, width=width, low=low, high=high, **channelwise)
        if not bool((self.high > self.low).all()):
            raise OptionError(
                f"`high` must be above `low`; got {self.high.tolist()} and {self.low.tolist()}. "
                "Give a channel that never changes the range low to low + 1."
            )

    def unit(self, x: Tensor) -> Tensor:
        """Return u for x, in 0..1."""
        return ((x - self.low) / (self.high - self.low)).clamp(0, 1)

    def value(self, u: Tensor) -> Tensor:
        """Return x for u."""
        return self.low + (self.high - self.low) * u

    @classmethod
    @torch.no_grad()
    def for_data(cls, x: Tensor, lengths: Tensor | None = None, **options: Any) -> Self:
        """Make an encoder of the range that the training data have.

        Parameters
        ----------
        x : tensor (B, T, C)
            Training data only.
        lengths : (B,), optional
            Where each row ends; the padding is not looked at.
        options
            As for the class.
        """
        return cls(*extent(x, lengths), **options)


def extent(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest value of each channel (C,), one apart where it never changes."""
    low, high = valid(x, lengths).aminmax(dim=0)
    return low, torch.where(high > low, high, low + 1)
