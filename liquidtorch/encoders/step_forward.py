"""Step-forward: a baseline follows the signal in steps of the threshold, a spike a step."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..cells import Spec
from ..errors import check_range
from .contrast import Contrast
from .encoder import Numbers
from .spikes import at_end


class Baseline(NamedTuple):
    """What `StepForward` remembers."""

    value: Tensor  # (B, C) what the spikes so far add up to
    seen: Tensor  # (B, 1) whether there was a sample, 0 or 1


class StepForward(Contrast):
    """Spike whenever the signal leaves the band of one threshold around a baseline, and move the baseline there.

    n = min(floor(|x - base| / threshold), steps), of the sign of x - base; base <- base + n * threshold

    The baseline starts at the first sample, which gives no spike. Decoding gives the baseline back, so the error is
    below the threshold wherever the signal changes by at most steps * threshold a sample.

    Parameters
    ----------
    threshold : (C,) floats, above 0
        In the unit of each channel.
    steps : int, at least 1
        The most spikes a sample. With 1 it is step-forward as published, which lags behind a fast signal; with more
        the baseline catches up at once.

    Notes
    -----
    A loop over time: the baseline depends on all spikes before.

    Source
    ------
    Petro, Kasabov, Kiss, IEEE TNNLS 31 (2020), 358: SF. It spikes above the threshold, this at it already; and
    several spikes a sample are ours.

    Examples
    --------
    >>> encoder = StepForward([1.0], steps=2)
    >>> x = torch.tensor([[[0.0], [2.5], [2.5], [0.9]]])
    >>> spikes, e = encoder(x)
    >>> spikes[0].T.tolist()
    [[0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]]
    >>> encoder.decode(spikes, x[:, 0]).flatten().tolist()
    [0.0, 2.0, 2.0, 1.0]
    """

    options = ("steps",)
    State = Baseline

    def __init__(self, threshold: Numbers, *, steps: int = 1) -> None:
        super().__init__(threshold, steps=check_range("steps", steps, 1, whole=True))

    def changes(self, x: Tensor, e: Baseline, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Baseline]:
        """Follow the signal."""
        base = torch.where(e.seen > 0, e.value, x[:, 0]) if x.shape[1] else e.value
        found, bases = [], []
        for t, sample in enumerate(x.unbind(1)):
            if reset is not None:
                base = torch.where(reset[:, t, None], sample, base)
            n = ((sample - base) / self.threshold).trunc().clamp(-self.steps, self.steps)
            base = base + n * self.threshold
            found.append(n)
            bases.append(base)
        seen = x.new_ones(*x.shape[:2], 1)
        along = torch.stack(bases, 1) if bases else x
        state = Baseline(at_end(e.value, along, lengths), at_end(e.seen, seen, lengths))
        return torch.stack(found, 1) if found else x, state

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the baseline, and whether there was a sample."""
        return (Spec("value", self.features, -math.inf, math.inf), Spec("seen", 1, 0.0, 1.0))
