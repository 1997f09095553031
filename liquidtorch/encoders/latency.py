"""Latency: one spike a sample, the sooner the higher the value."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..errors import check_range
from .encoder import Numbers
from .ranged import Ranged


class Latency(Ranged):
    """Spike once a sample, in substep round((steps - 1) * (1 - g(u))): at once for u = 1, last for u = 0.

    g(u) = u (linear), or with `compression` c above 0: g(u) = log(1 + c*u) / log(1 + c)

    Parameters
    ----------
    low, high : (C,) floats, `high` above `low`
        The range of each channel, in its unit: u = (x - low) / (high - low), held to 0..1.
    steps : int, at least 2
        Substeps a sample.
    compression : float, at least 0
        0 is linear; above, times are logarithmic and small values told apart more finely.

    Notes
    -----
    It has no state. Decoding is exact to half a substep.

    Source
    ------
    Logarithmic: compression = exp(steps - 1) - 1 is the latency code of SpikingJelly; 255 the mu-law of telephony. The
    time that a leaky integrator takes to its threshold, log(u / (u - theta)), is of that kind too, but never comes for
    u < theta.

    Examples
    --------
    >>> encoder = Latency([0.0], [3.0], steps=4)
    >>> spikes, _ = encoder(torch.tensor([[[3.0], [1.0]]]))
    >>> spikes.view(2, 4).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    >>> encoder.decode(spikes).flatten().tolist()
    [3.0, 1.0]
    """

    options = ("steps", "compression")

    def __init__(self, low: Numbers, high: Numbers, *, steps: int = 16, compression: float = 0.0) -> None:
        super().__init__(low, high, steps=check_range("steps", steps, 2, whole=True))
        self.compression = check_range("compression", compression, 0)

    def sequence(
        self, x: Tensor, e: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, tuple[()]]:
        """Place each sample's spike."""
        g = self.unit(x)
        if self.compression:
            g = torch.log1p(self.compression * g) / math.log1p(self.compression)
        at = ((self.steps - 1) * (1 - g)).round()
        return (at[:, :, None] == torch.arange(self.steps, device=x.device)[:, None]).to(x.dtype), ()

    def decode(self, spikes: Tensor) -> Tensor:
        """Return the value of each sample's spike (B,T,C) of (B, T*steps, C); `low` where there is none."""
        places = torch.linspace(1.0, 0.0, self.steps, dtype=spikes.dtype, device=spikes.device)
        g = (spikes.unflatten(1, (-1, self.steps)) * places[:, None]).amax(2)
        if self.compression:
            g = torch.expm1(g * math.log1p(self.compression)) / self.compression
        return self.value(g)
