"""Burst: the higher the value, the more spikes, and the closer together."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..errors import OptionError, check_range
from .encoder import Numbers
from .ranged import Ranged


class Burst(Ranged):
    """Spike n = ceil(spikes * u) times, in the substeps 0, i, 2i, ..., i = ceil(t_max - u * (t_max - t_min)).

    Parameters
    ----------
    low, high : (C,) floats, `high` above `low`
        The range of each channel, in its unit: u = (x - low) / (high - low), held to 0..1.
    spikes : int, at least 1
        The most spikes of a burst.
    interval : (t_min, t_max), ints, 1 <= t_min <= t_max
        Substeps from one spike to the next, for u = 1 and for u = 0.

    Notes
    -----
    It has no state. `steps` is what the longest burst takes. Decoding is the middle of the values that give the same
    burst.

    Source
    ------
    Guo, Fouda, Eltawil, Salama, "Neural coding in spiking neural networks: a comparative study for robust neuromorphic
    systems", Front. Neurosci. 15 (2021), 638474. A single spike has no interval.

    Examples
    --------
    >>> encoder = Burst([0.0], [1.0], spikes=3, interval=(1, 3))
    >>> spikes, _ = encoder(torch.tensor([[[1.0], [0.5], [0.0]]]))
    >>> spikes.view(3, encoder.steps).int().tolist()
    [[1, 1, 1, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    """

    options = ("spikes", "interval")

    def __init__(
        self, low: Numbers, high: Numbers, *, spikes: int = 5, interval: tuple[int, int] | list[int] = (1, 4)
    ) -> None:
        n = check_range("spikes", spikes, 1, whole=True)
        if len(interval) != 2:
            raise OptionError(f"`interval` must hold two numbers of substeps; got {interval}.")
        t_min, t_max = (check_range("interval", t, 1, whole=True) for t in interval)
        if t_min > t_max:
            raise OptionError(f"`interval` must be (t_min, t_max), t_min <= t_max; got {tuple(interval)}. Swap them.")
        longest = max(math.ceil(t_max - i / n * (t_max - t_min)) * i for i in range(n))  # u just above i / n
        super().__init__(low, high, steps=1 + longest)
        self.spikes, self.interval = n, [t_min, t_max]

    def sequence(
        self, x: Tensor, e: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, tuple[()]]:
        """Place each sample's burst."""
        u, (t_min, t_max) = self.unit(x), self.interval
        n = (u * self.spikes).ceil()[:, :, None]
        apart = (t_max - u * (t_max - t_min)).ceil()[:, :, None]
        step = torch.arange(self.steps, device=x.device, dtype=x.dtype)[:, None]
        return ((step % apart == 0) & (step < n * apart)).to(x.dtype), ()

    def decode(self, spikes: Tensor) -> Tensor:
        """Return the middle of the values that give each sample's burst: (B,T,C) of (B, T*steps, C)."""
        z, (t_min, t_max) = spikes.unflatten(1, (-1, self.steps)), self.interval
        n = z.sum(2)
        low, high = (n - 1).clamp(min=0) / self.spikes, n / self.spikes  # n = ceil(spikes * u)
        if t_max > t_min:
            step = torch.arange(self.steps, device=z.device, dtype=z.dtype)[:, None]
            last = (z * step).amax(2)
            apart = torch.where(n > 1, last / (n - 1).clamp(min=1), torch.nan)
            high = torch.fmin(high, (t_max - apart + 1) / (t_max - t_min))  # apart - 1 < t_max - u * (t_max - t_min)
            low = torch.fmax(low, (t_max - apart) / (t_max - t_min))
        return self.value((low + high) / 2)
