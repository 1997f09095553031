"""Moving window: a spike where a sample leaves the mean of the samples before it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..cells import Spec
from ..errors import check_range
from .contrast import Contrast
from .encoder import Numbers
from .spikes import at_end, newest, samples_before


class Window(NamedTuple):
    """What `MovingWindow` remembers."""

    past: Tensor  # (B, window * C) the last samples, the oldest first
    count: Tensor  # (B, 1) how many of them there were


class MovingWindow(Contrast):
    """Spike where a sample differs from the mean of the ones before: ON if x_t - mean >= threshold, OFF if <= -.

    mean = (x_{t-window} + ... + x_{t-1}) / window, of fewer where there were fewer; the first sample gives no spike.

    Parameters
    ----------
    threshold : (C,) floats, above 0
        In the unit of each channel.
    window : int, at least 1
        Samples; with 1 it is `Delta`.

    Notes
    -----
    All times at once, a pass for each sample of the window. It smooths noise and, where the signal lasts, it spikes
    again and again for one change, so the decoded signal, which adds up the spikes, drifts.

    Source
    ------
    Petro, Kasabov, Kiss, IEEE TNNLS 31 (2020), 358: MW.

    Examples
    --------
    >>> encoder = MovingWindow([1.0], window=2)
    >>> spikes, _ = encoder(torch.tensor([[[0.0], [1.0], [1.0], [2.0], [0.0]]]))
    >>> spikes[0].T.tolist()
    [[0.0, 1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]]
    """

    options = ("window",)
    State = Window

    def __init__(self, threshold: Numbers, *, window: int = 3) -> None:
        super().__init__(threshold)
        self.window = check_range("window", window, 1, whole=True)

    def changes(self, x: Tensor, e: Window, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Window]:
        """Compare every sample with the mean of those before."""
        B, T, C = x.shape
        both = torch.cat([e.past.view(B, self.window, C), x], 1)
        before = samples_before(e.count, T, reset)[..., None]
        total = torch.zeros_like(x)
        for lag in range(1, self.window + 1):  # in one order wherever the series is cut: no sum differs by a rounding
            total = total + torch.where(before >= lag, both[:, self.window - lag : self.window - lag + T], 0.0)
        held = before.clamp(max=self.window)
        rise = torch.where(before > 0, x - total / held.clamp(min=1), 0.0)
        found = (rise >= self.threshold).to(x.dtype) - (rise <= -self.threshold).to(x.dtype)
        count = at_end(e.count, (held + 1).clamp(max=self.window).to(x.dtype), lengths)
        return found, Window(newest(both, self.window, lengths), count)

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the samples kept, and how many there were."""
        width = self.window * self.features
        return (Spec("past", width, -math.inf, math.inf), Spec("count", 1, 0.0, self.window))
