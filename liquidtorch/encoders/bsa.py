"""Ben's spiker algorithm: spikes that a filter turns back into the signal."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from scipy.signal import firwin
from torch import Tensor
from torch.nn.functional import conv1d

from ..cells import Spec
from ..errors import OptionError, check_range
from .contrast import best
from .encoder import Numbers, inside
from .ranged import Ranged, extent
from .spikes import at_end, newest, samples_before


class Residual(NamedTuple):
    """What `BSA` remembers."""

    past: Tensor  # (B, (taps - 1) * C) the last samples less what spikes account for, the oldest first
    count: Tensor  # (B, 1) how many of them there were


class BSA(Ranged):
    """Spike where taking the filter h off the signal ahead leaves less of it, by more than the threshold.

    e1 = sum_k |y_{t+k} - h_k|, e2 = sum_k |y_{t+k}|, k = 0..taps-1; where e1 <= e2 - threshold: s_t = 1, y_{t+k} -= h_k

    y starts as u = (x - low) / (high - low). Decoding is u_t = sum_k h_k s_{t-k}. Whether to spike for sample t is
    known when sample t + taps - 1 has come: the spike stands there, `delay` = taps - 1 samples late.

    Parameters
    ----------
    low, high : (C,) floats, `high` above `low`
        The range of each channel, in its unit.
    threshold : (C,) floats, at least 0
        How much smaller the error must get by a spike; by 1 at most it can.
    taps : int, at least 2
        Length of the filter h, a low-pass (Hamming window) whose sum is 1, so that spikes all the time are u = 1.
    cutoff : float, above 0 and below 1
        Of the filter, in units of half the sampling rate.

    Notes
    -----
    A loop over time: a spike changes what is left for the next.

    Source
    ------
    Schrauwen, Van Campenhout, "BSA, a fast and accurate spike train encoding scheme", IJCNN 2003, 2825. The widespread
    MATLAB tool compares y_{t+k} - h_k with y_{t+k-1}; here as published, with y_{t+k}.

    Examples
    --------
    >>> encoder = BSA([0.0], [1.0], [0.0], taps=3, cutoff=0.5)
    >>> spikes, _ = encoder(torch.tensor([[[0.0], [0.1], [0.9], [0.1], [0.0]]]))
    >>> spikes.flatten().tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0]
    """

    channelwise = ("low", "high", "threshold")
    options = ("taps", "cutoff")
    State = Residual
    threshold: Tensor

    def __init__(self, low: Numbers, high: Numbers, threshold: Numbers, *, taps: int = 16, cutoff: float = 0.1) -> None:
        super().__init__(low, high, threshold=threshold, steps=1)
        if not bool((self.threshold >= 0).all()):
            raise OptionError(f"`threshold` must be at least 0; got {self.threshold.tolist()}. Use for_data to fit it.")
        self.taps = check_range("taps", taps, 2, whole=True)
        self.cutoff = check_range("cutoff", cutoff, 0, 1, open_low=True)
        if cutoff == 1:
            raise OptionError("`cutoff` must be below 1, half the sampling rate; got 1. Use a lower one.")
        self.delay = self.taps - 1
        self._h = np.asarray(firwin(self.taps, self.cutoff))

    def sequence(
        self, x: Tensor, e: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, Residual]:
        """Decide for the oldest sample kept, as each one comes."""
        T = x.shape[1]
        h = torch.as_tensor(self._h, dtype=x.dtype, device=x.device)[:, None]  # (taps, 1)
        y = torch.cat([e.past.unflatten(1, (self.delay, -1)), self.unit(x)], 1)
        before = samples_before(e.count, T, reset)[..., None]
        whole = before >= self.delay  # a window that reaches over the start or a reset tells nothing
        if lengths is not None:
            whole = whole & inside(lengths, T)
        spikes = torch.zeros_like(x)
        for t in range(T):
            ahead = y[:, t : t + self.taps]
            better = (ahead.abs() - (ahead - h).abs()).sum(1) >= self.threshold
            spikes[:, t] = whole[:, t] & better
            ahead -= h * spikes[:, t, None]  # in y
        count = (before + 1).clamp(max=self.delay).to(x.dtype)
        return spikes[:, :, None], Residual(newest(y, self.delay, lengths), at_end(e.count, count, lengths))

    def decode(self, spikes: Tensor) -> Tensor:
        """Filter the spikes, moved to the samples they stand for: (B,T,C) of (B,T,C)."""
        B, T, C = spikes.shape
        h = torch.as_tensor(self._h[::-1].copy(), dtype=spikes.dtype, device=spikes.device).view(1, 1, -1)
        rows = spikes.transpose(1, 2).reshape(B * C, 1, T)
        return self.value(conv1d(rows, h, padding=self.delay)[..., self.delay :].view(B, C, T).mT)

    @classmethod
    @torch.no_grad()
    def for_data(
        cls, x: Tensor, lengths: Tensor | None = None, *, threshold: Numbers | None = None, **options: Any
    ) -> Self:
        """Make an encoder of the range that the training data have, with the threshold that gives them back best.

        Parameters
        ----------
        x : tensor (B, T, C)
            Training data only.
        lengths : (B,), optional
            Where each row ends; the padding is not looked at.
        threshold : (C,) floats, optional
            If left out, the one of 41 between 0 and 1 that has the highest SNR, for each channel.
        options
            As for the class.
        """
        low, high = extent(x, lengths)
        if threshold is None:
            grid = torch.linspace(0, 1, 41, dtype=low.dtype, device=low.device).expand(len(low), -1)

            def snr(flat: Tensor, wide: Tensor) -> Tensor:
                below, above = (end.repeat_interleave(grid.shape[1]) for end in (low, high))
                return cls(below, above, flat, **options).snr(wide, lengths)

            threshold = best(grid, snr, x)
        return cls(low, high, torch.as_tensor(threshold).to(x), **options)

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the samples kept, and how many there were."""
        width = self.delay * self.features
        return (Spec("past", width, -math.inf, math.inf), Spec("count", 1, 0.0, self.delay))
