"""First-order sigma-delta modulation: a rate code without noise."""

from __future__ import annotations

from typing import Any

import torch
from scipy.signal import firwin
from torch import Tensor
from torch.nn.functional import conv1d

from ..cells import Spec
from .encoder import Numbers, inside
from .ranged import Ranged
from .spikes import at_end, row_ends

BITS = 24  # u is rounded to 2**-BITS: sums of it are exact, in any order, and a float32 holds what is left over

BANDWIDTH = 0.5  # what decoding lets pass, in units of half the sampling rate


class SigmaDelta(Ranged):
    """Add u up; wherever the sum passes 1/2, spike and take 1 off: v <- v + u, s = [v >= 1/2], v <- v - s.

    Each sample is held for `steps` substeps. |v| <= 1/2 always, so in any stretch of time the number of spikes is that
    of the sum of u to within 1: exact in the mean, with an error that falls as 1/time (a random rate: 1/sqrt(time)).

    Parameters
    ----------
    low, high : (C,) floats, `high` above `low`
        The range of each channel, in its unit: u = (x - low) / (high - low), held to 0..1.
    steps : int, at least 1
        Substeps a sample (oversampling).

    Notes
    -----
    All times at once: the spikes are the steps of floor(1/2 + sum of u), in whole numbers of 2^-24, which u is rounded
    to. Decoding is a low-pass filter as long as four samples (two of them ahead) that passes what
    is slower than four samples a period: white noise will not come back.

    Source
    ------
    Inose, Yasuda, "A unity bit coding method by negative feedback", Proc. IEEE 51 (1963), 1524.

    Examples
    --------
    >>> encoder = SigmaDelta([0.0], [10.0], steps=4)
    >>> spikes, v = encoder(torch.tensor([[[5.0], [2.5]]]))
    >>> spikes.flatten().tolist(), v.item()
    ([1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 0.0)
    """

    options = ("steps",)

    def __init__(self, low: Numbers, high: Numbers, *, steps: int = 8) -> None:
        super().__init__(low, high, steps=steps)

    def sequence(
        self, x: Tensor, e: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Take the steps of the sum."""
        one = 1 << BITS
        u = _whole(self.unit(x))  # (B, T, C)
        total = u.cumsum(1) * self.steps
        before, start = total - u * self.steps, _whole(e)[:, None]
        if reset is not None:
            step = torch.arange(x.shape[1], device=x.device)
            anew = torch.where(reset, step, -1).cummax(1).values[..., None]
            start = torch.where(anew >= 0, -before.gather(1, anew.clamp(min=0).expand_as(x)), start)
        count = torch.arange(self.steps + 1, device=x.device)[:, None]
        spikes = (before + start + one // 2)[:, :, None] + u[:, :, None] * count >> BITS  # >> rounds down, below 0 too
        left = (total + start + one // 2) % one - one // 2
        return spikes.diff(dim=2).to(x.dtype), at_end(e, (left / one).to(e), lengths)

    def decode(self, spikes: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Low-pass the spikes and read them in the middle of each sample.

        Parameters
        ----------
        spikes : tensor (B, T*steps, C)
        lengths : (B,), optional
            Where each row ends, so that the silence beyond does not enter its last samples.

        Returns
        -------
        tensor (B, T, C)
        """
        B, T, C = spikes.shape
        taps = 4 * self.steps + self.steps % 2  # of the parity of steps: symmetric about a sample's middle
        h = firwin(taps, BANDWIDTH / self.steps)
        kernel = torch.as_tensor(h, dtype=spikes.dtype, device=spikes.device).view(1, 1, -1)
        ends = row_ends(spikes[:, :: self.steps], lengths) * self.steps
        live = inside(ends, T).to(spikes.dtype).expand_as(spikes)

        def low_pass(z: Tensor) -> Tensor:
            rows = z.transpose(1, 2).reshape(B * C, 1, T)
            return conv1d(rows, kernel, stride=self.steps, padding=(len(h) - self.steps) // 2).view(B, C, -1).mT

        return self.value(low_pass(spikes * live) / low_pass(live).clamp(min=1e-3))  # at the ends of what there is

    def _restored(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        return self.decode(self(x, lengths=lengths)[0], lengths)

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe what is left over, v."""
        return (Spec("v", self.features, -0.5, 0.5),)


def _whole(u: Tensor) -> Tensor:
    """Return u in whole numbers of 2**-BITS."""
    return (u.double() * (1 << BITS)).round().to(torch.int64)
