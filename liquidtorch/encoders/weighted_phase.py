"""Weighted phase: a sample's binary digits, the heaviest first."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import check_range
from .encoder import Numbers
from .ranged import Ranged


class WeightedPhase(Ranged):
    """Spike in substep k = 1..steps where the k-th binary digit of u is 1: u = sum of s_k 2^-k / (1 - 2^-steps).

    Parameters
    ----------
    low, high : (C,) floats, `high` above `low`
        The range of each channel, in its unit: u = (x - low) / (high - low), held to 0..1.
    steps : int, 1 to 20
        Digits.

    Notes
    -----
    It has no state. A spike's weight hangs on its phase, so what reads it must know the phase.

    Source
    ------
    Kim, Kim, Huh, Lee, Choi, "Deep neural networks with weighted spikes", Neurocomputing 311 (2018), 373. There u is
    cut to steps digits; here it is rounded to the nearest of 2^steps levels, of which the last is 1 exactly.

    Examples
    --------
    >>> encoder = WeightedPhase([0.0], [7.0], steps=3)
    >>> spikes, _ = encoder(torch.tensor([[[5.0], [7.0]]]))
    >>> spikes.view(2, 3).tolist(), encoder.decode(spikes).flatten().tolist()
    ([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]], [5.0, 7.0])
    """

    options = ("steps",)

    def __init__(self, low: Numbers, high: Numbers, *, steps: int = 8) -> None:
        super().__init__(low, high, steps=check_range("steps", steps, 1, 20, whole=True))

    def sequence(
        self, x: Tensor, e: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, tuple[()]]:
        """Write every sample in binary digits."""
        level = (self.unit(x) * (2**self.steps - 1)).round().to(torch.int64)
        place = torch.arange(self.steps - 1, -1, -1, device=x.device)[:, None]
        return ((level[:, :, None] >> place) & 1).to(x.dtype), ()

    def decode(self, spikes: Tensor) -> Tensor:
        """Read the digits: (B,T,C) of (B, T*steps, C)."""
        weights = 2.0 ** torch.arange(self.steps - 1, -1, -1, dtype=spikes.dtype, device=spikes.device)
        level = (spikes.unflatten(1, (-1, self.steps)) * weights[:, None]).sum(2)
        return self.value(level / (2**self.steps - 1))
