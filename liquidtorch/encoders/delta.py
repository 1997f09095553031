"""Send on delta: a spike where a sample differs from the one before."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..cells import Spec
from .contrast import Contrast
from .encoder import Numbers
from .spikes import at_end


class Last(NamedTuple):
    """What `Delta` remembers."""

    value: Tensor  # (B, C) the last sample
    seen: Tensor  # (B, 1) whether there was one, 0 or 1


class Delta(Contrast):
    """Spike where neighbouring samples differ: ON if x_t - x_{t-1} >= threshold, OFF if <= -threshold.

    The first sample gives no spike. What a change has beyond the threshold is lost, so the decoded signal drifts;
    `StepForward` feeds the error back.

    Parameters
    ----------
    threshold : (C,) floats, above 0
        In the unit of each channel.

    Notes
    -----
    All times at once.

    Examples
    --------
    >>> encoder = Delta([1.0])
    >>> spikes, _ = encoder(torch.tensor([[[0.0], [3.0], [2.5], [1.0]]]))
    >>> spikes[0].T.tolist()
    [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """

    State = Last

    def __init__(self, threshold: Numbers) -> None:
        super().__init__(threshold)

    def changes(self, x: Tensor, e: Last, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Last]:
        """Compare every sample with the one before."""
        before = torch.cat([e.value[:, None], x], 1)[:, :-1]
        ones = x.new_ones(*x.shape[:2], 1)
        known = torch.cat([e.seen[:, None], ones], 1)[:, :-1] > 0
        if reset is not None:
            known = known & ~reset[..., None]
        rise = x - before
        found = known * ((rise >= self.threshold).to(x.dtype) - (rise <= -self.threshold).to(x.dtype))
        return found, Last(at_end(e.value, x, lengths), at_end(e.seen, ones, lengths))

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the last sample, and whether there was one."""
        return (Spec("value", self.features, -math.inf, math.inf), Spec("seen", 1, 0.0, 1.0))
