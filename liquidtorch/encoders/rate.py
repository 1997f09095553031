"""Rate code: spikes at random, as often as the value is high."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..cells import Spec
from ..errors import check_range
from .encoder import Numbers, spread
from .noise import uniform
from .ranged import Ranged
from .spikes import at_end, samples_before

PERIOD = 2**24  # samples until the noise comes again: the last whole numbers that a float32 counts through


class Rate(Ranged):
    """Spike at random in each substep, with a probability that says the value.

    p = u (Bernoulli), or with `peak` that of at least one event of a Poisson process: p = 1 - exp(-peak * u * dt/steps)

    Parameters
    ----------
    low, high : (C,) floats, `high` above `low`
        The range of each channel, in its unit: u = (x - low) / (high - low), held to 0..1.
    steps : int, at least 1
        Substeps a sample.
    peak : float, above 0, optional
        The rate of events at u = 1, a unit of dt. With it a longer dt gives more spikes.
    seed : int, 0 to 2^32 - 1
        Of the noise.

    Notes
    -----
    The noise of a substep is a function of the seed, the number of the sample since the start, the channel and the
    substep: the state is that number. So all rows that start together share their noise, whatever the batch. To give
    each row its own, start them at different numbers, e.g. `encoder(x, 10_000 * torch.arange(B)[:, None])`. The noise
    comes again after 2^24 samples.

    Examples
    --------
    >>> encoder = Rate([0.0], [1.0], steps=1000, seed=1)
    >>> spikes, e = encoder(torch.tensor([[[0.25]]]))
    >>> abs(spikes.mean().item() - 0.25) < 0.03, e.item()
    (True, 1.0)
    """

    options = ("steps", "peak", "seed")

    def __init__(
        self, low: Numbers, high: Numbers, *, steps: int = 16, peak: float | None = None, seed: int = 0
    ) -> None:
        super().__init__(low, high, steps=steps)
        self.peak = None if peak is None else check_range("peak", peak, 0, open_low=True)
        self.seed = check_range("seed", seed, 0, 2**32 - 1, whole=True)

    def sequence(
        self, x: Tensor, e: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Compare the noise with p."""
        T, device = x.shape[1], x.device
        n = samples_before(e, T, reset) % PERIOD
        channel, substep = torch.arange(self.features, device=device), torch.arange(self.steps, device=device)
        noise = uniform(self.seed, channel, substep[:, None], n[..., None, None])
        p = self.unit(x)
        if self.peak is not None:
            p = -torch.expm1(-self.peak * p * dt[..., None] / self.steps)
        after = ((n + 1) % PERIOD).to(e.dtype)
        return (noise < p[:, :, None]).to(x.dtype), at_end(e, after[..., None], lengths)

    def decode(self, spikes: Tensor, dt: Tensor | float = 1.0) -> Tensor:
        """Return the value that makes the spikes of each sample likeliest.

        Parameters
        ----------
        spikes : tensor (B, T*steps, C)
        dt : number, (T,), (B,) or (B, T), above 0
            As it was encoded; it matters with `peak` only.

        Returns
        -------
        tensor (B, T, C), with `peak` also beyond `high`: holding it there would bias the mean
        """
        share = spikes.unflatten(1, (-1, self.steps)).mean(2)
        if self.peak is None:
            return self.value(share)
        gap = spread(dt, share.shape[0], share.shape[1], spikes)[..., None]
        share = share.clamp(max=1 - 0.5 / self.steps)  # where every substep has a spike, as if half a one were missing
        return self.value(-torch.log1p(-share) * self.steps / (self.peak * gap))

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the number of the sample."""
        return (Spec("count", 1, 0.0, PERIOD - 1),)

    def scale_time(self, c: float) -> None:
        """Change, in place, to a unit of time in which every dt is c times larger."""
        super().scale_time(c)
        self.peak = None if self.peak is None else self.peak / c
