"""Threshold-based representation: send on delta, its threshold from how the differences are spread."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from ..errors import check_range
from .contrast import best
from .delta import Delta
from .encoder import Numbers
from .spikes import row_ends, valid

FACTORS = torch.linspace(0.1, 3.0, 30, dtype=torch.float64)


class ThresholdBased(Delta):
    """Spike where neighbouring samples differ by mean + factor * (standard deviation) of the training differences.

    It codes as `Delta`; only the fit is its own.

    Parameters
    ----------
    threshold : (C,) floats, above 0
        In the unit of each channel; `for_data` takes it from the differences.

    Notes
    -----
    As published it takes the mean and the standard deviation over the signal that it is to code, which looks ahead,
    and the difference to the next sample; here both come from training data and the difference is to the previous
    sample, so that spikes can be sent as the samples arrive.

    Source
    ------
    Petro, Kasabov, Kiss, "Selection and optimization of temporal spike encoding methods for spiking neural networks",
    IEEE TNNLS 31 (2020), 358: TBR.

    Examples
    --------
    >>> x = torch.tensor([0.0, 1.0, 0.0, 5.0, 4.0]).view(1, 5, 1)
    >>> encoder = ThresholdBased.for_data(x, factor=1.0)
    >>> round(encoder.threshold.item(), 3)
    3.449
    >>> encoder(x)[0][0, :, 0].tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0]
    """

    @classmethod
    @torch.no_grad()
    def for_data(
        cls,
        x: Tensor,
        lengths: Tensor | None = None,
        *,
        threshold: Numbers | None = None,
        factor: float | None = None,
    ) -> Self:
        """Make an encoder whose threshold is |mean(d)| + factor * std(d), d the differences of the training data.

        Parameters
        ----------
        x : tensor (B, T, C)
            Training data only.
        lengths : (B,), optional
            Where each row ends; the padding is not looked at.
        threshold : (C,) floats, optional
            Taken as it is, instead.
        factor : float, at least 0, optional
            If left out, the one of 30 between 0.1 and 3 that gives the training data back best, for each channel.
        """
        if threshold is not None:
            return super().for_data(x, lengths, threshold=threshold)
        valid(x, lengths)
        d = valid(x.diff(dim=1), (row_ends(x, lengths) - 1).clamp(min=0))
        mean, std = d.mean(0).abs(), d.std(0, correction=0)
        std = torch.where((std > 0) | (mean > 0), std, 1.0)  # a channel that never changes: any threshold does
        if factor is not None:
            chosen = mean + check_range("factor", factor, 0) * std
        else:
            chosen = best(mean[:, None] + FACTORS.to(std) * std[:, None], lambda t, w: cls(t).snr(w, lengths), x)
        return cls(chosen)
