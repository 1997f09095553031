"""Encoders of change: a spike says that the signal went up (ON) or down (OFF) by a threshold."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from ..errors import OptionError, check_shape
from .encoder import Numbers
from .ranged import extent
from .spikes import SpikeEncoder

FRACTIONS = torch.logspace(-2.3, -0.3, 41, dtype=torch.float64)  # of the range: 0.5 % to 50 %


class Contrast(SpikeEncoder):
    """Code changes by spikes of two polarities; the parent of the encoders that do.

    The outputs are the ON channels, in the order of x, then the OFF channels.

    Parameters
    ----------
    threshold : (C,) floats, above 0
        The change that a spike stands for, in the unit of each channel.
    steps : int, at least 1
        The most spikes a sample.
    """

    channelwise = ("threshold",)
    threshold: Tensor

    def __init__(self, threshold: Numbers, *, steps: int = 1) -> None:
        super().__init__(steps=steps, width=2, threshold=threshold)
        if not bool((self.threshold > 0).all()):
            raise OptionError(f"`threshold` must be above 0; got {self.threshold.tolist()}. Use for_data to fit it.")

    def changes(self, x: Tensor, e: Any, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Any]:
        """Return how many spikes, below 0 for OFF, each sample gives (B,T,C), and the state after each row's end."""
        raise NotImplementedError

    def sequence(
        self, x: Tensor, e: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, Any]:
        """Spread the changes over two polarities and over the substeps, the first ones first."""
        found, e = self.changes(x, e, lengths, reset)
        counts = torch.cat([found, -found], -1)[:, :, None]
        return (counts > torch.arange(self.steps, device=x.device)[:, None]).to(x.dtype), e

    def decode(self, spikes: Tensor, start: Tensor | None = None) -> Tensor:
        """Add up the changes: x_t = start + threshold * sum over time of (ON - OFF).

        Parameters
        ----------
        spikes : tensor (B, T*steps, 2C)
            Of rows from their start, without a reset.
        start : tensor (B, C), optional
            The first sample, which no spike tells; 0 if left out.

        Returns
        -------
        tensor (B, T, C)
        """
        changes = spikes.unflatten(1, (-1, self.steps)).sum(2).cumsum(1)
        found = self.threshold * (changes[..., : self.features] - changes[..., self.features :])
        if start is None:
            return found
        check_shape("start", start.shape, ("batch", "channels"), batch=len(spikes), channels=self.features)
        return start[:, None] + found

    def _restored(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        return self.decode(self(x, lengths=lengths)[0], x[:, 0])

    @classmethod
    @torch.no_grad()
    def for_data(
        cls, x: Tensor, lengths: Tensor | None = None, *, threshold: Numbers | None = None, **options: Any
    ) -> Self:
        """Make an encoder with the thresholds that give the training data back best.

        Parameters
        ----------
        x : tensor (B, T, C)
            Training data only.
        lengths : (B,), optional
            Where each row ends; the padding is not looked at.
        threshold : (C,) floats, optional
            Of each channel; if left out, the one of 41 between 0.5 % and 50 % of its range that has the highest SNR.
        options
            As for the class.
        """
        low, high = extent(x, lengths)
        if threshold is None:
            grid = (high - low)[:, None] * FRACTIONS.to(low)
            threshold = best(grid, lambda flat, wide: cls(flat, **options).snr(wide, lengths), x)
        return cls(torch.as_tensor(threshold).to(x), **options)


def best(grid: Tensor, snr: Any, x: Tensor) -> Tensor:
    """Return of each channel's candidates, `grid` (C,G), the one of the highest SNR: all are tried as channels."""
    C, G = grid.shape
    found = snr(grid.flatten(), x.repeat_interleave(G, -1)).view(C, G)
    return grid.gather(1, found.nan_to_num(-torch.inf, torch.inf, -torch.inf).argmax(1, keepdim=True))[:, 0]
