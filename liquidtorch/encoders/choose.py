"""Which spike encoder fits the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError, OptionError
from .kinds import SPIKES
from .spikes import SpikeEncoder, row_ends, valid

Make = Callable[..., SpikeEncoder]
HELD_OUT = 0.25  # of each row, its end


def choose_encoder(
    x: Tensor,
    lengths: Tensor | None = None,
    *,
    candidates: Sequence[type[SpikeEncoder] | Make] | None = None,
    score: str | Callable[[SpikeEncoder], float] = "snr",
) -> list[tuple[SpikeEncoder, float]]:
    """Rank spike encoders by how well they keep the data, or by a score of your own.

    Parameters
    ----------
    x : tensor (B, T, C)
        Training data only.
    lengths : (B,), optional
        Where each row ends.
    candidates : sequence of encoder classes or functions (x, lengths) -> encoder, optional
        What to choose from; all classes, with the options they have by default, if left out.
    score : "snr" or function encoder -> float
        "snr": the signal-to-noise ratio of decoding, in dB, the mean over channels (but those that never change),
        of the last quarter of each row, by an encoder fitted to the rest. A function is given encoders fitted to all
        of x, and higher is better: the score of a readout behind the encoder, say.

    Returns
    -------
    list of (encoder, score), the best first; the encoders are fitted to all of x

    Raises
    ------
    OptionError
        If there is no candidate or `score` is neither.
    DataError
        If the rows are too short to hold something out.

    Notes
    -----
    A high SNR has a price, which is not weighed here: digits and rates take many substeps and spikes, step-forward
    less than one spike a sample.

    Examples
    --------
    >>> from liquidtorch.encoders import Delta, StepForward
    >>> x = torch.sin(torch.arange(400) / 20).view(1, -1, 1)
    >>> ranked = choose_encoder(x, candidates=[Delta, StepForward])
    >>> [type(encoder).__name__ for encoder, _ in ranked]
    ['StepForward', 'Delta']
    """
    makes = [_maker(c) for c in (SPIKES if candidates is None else candidates)]
    if not makes:
        raise OptionError("`candidates` must name an encoder; got none. Leave it out to try all.")
    if score != "snr" and not callable(score):
        raise OptionError(f"`score` must be 'snr' or a function encoder -> float; got {score!r}.")
    valid(x, lengths)
    fitted = [make(x, lengths) for make in makes]
    scores = [float(score(encoder)) for encoder in fitted] if callable(score) else _held_out(makes, x, lengths)
    return sorted(zip(fitted, scores, strict=True), key=lambda pair: pair[1], reverse=True)


def _maker(candidate: type[SpikeEncoder] | Make) -> Make:
    return candidate.for_data if isinstance(candidate, type) else candidate


def _held_out(makes: Sequence[Make], x: Tensor, lengths: Tensor | None) -> list[float]:
    """Return the SNR of each on the ends of the rows, fitted to their beginnings."""
    ends = row_ends(x, lengths)
    first = ends - (HELD_OUT * ends).long()
    rest = ends - first
    if int(rest.max()) < 2:
        raise DataError(
            f"`x` must have a row of at least 8 samples, to hold out a quarter; got at most {int(ends.max())}. "
            "Give a `score` that holds out otherwise."
        )
    steps = torch.arange(int(rest.max()), device=x.device)
    places = (first[:, None] + steps).clamp(max=x.shape[1] - 1)
    tail = x.gather(1, places[..., None].expand(-1, -1, x.shape[2]))
    scores = []
    for make in makes:
        snr = make(x[:, : int(first.max())], first).snr(tail, rest)
        known: Any = snr[~snr.isnan()]
        scores.append(float(known.mean()) if len(known) else -math.inf)
    return scores
