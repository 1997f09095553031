"""Population: overlapping Gaussian receptive fields, each of which spikes the sooner the nearer the value is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import check_range
from .encoder import Numbers
from .ranged import Ranged


class Population(Ranged):
    """Spread each channel over `fields` Gaussian fields; field i spikes once, in substep round(steps * (1 - a_i)).

    a_i = exp(-(u - mu_i)^2 / (2 sigma^2)), mu_i = (i - 1/2) / (fields - 2), sigma = 1 / (overlap * (fields - 2)),

    i = 0..fields-1; a field whose spike would come after the sample is silent. The outputs are all fields of the first
    channel, then all of the second, and so on.

    Parameters
    ----------
    low, high : (C,) floats, `high` above `low`
        The range of each channel, in its unit: u = (x - low) / (high - low), held to 0..1.
    fields : int, at least 3
        Receptive fields a channel. The outermost are centred half a spacing beyond the range.
    steps : int, at least 1
        Substeps a sample.
    overlap : float, above 0
        The spacing of the fields in widths sigma.

    Notes
    -----
    It has no state.

    Source
    ------
    Bohte, Kok, La Poutre, "Error-backpropagation in temporally encoded networks of spiking neurons", Neurocomputing 48
    (2002), 17: section 4; there i counts from 1, the overlap is called beta and 1.5 is used.

    Examples
    --------
    >>> encoder = Population([0.0], [1.0], fields=4, steps=8)
    >>> spikes, _ = encoder(torch.tensor([[[0.25]]]))
    >>> spikes.argmax(1).tolist(), spikes.sum().item()
    ([[5, 0, 5, 0]], 3.0)
    """

    options = ("fields", "steps", "overlap")

    def __init__(self, low: Numbers, high: Numbers, *, fields: int = 8, steps: int = 16, overlap: float = 1.5) -> None:
        fields = check_range("fields", fields, 3, whole=True)
        super().__init__(low, high, steps=steps, width=fields)
        self.fields, self.overlap = fields, check_range("overlap", overlap, 0, open_low=True)

    def _centres(self, like: Tensor) -> Tensor:
        return (torch.arange(self.fields, dtype=like.dtype, device=like.device) - 0.5) / (self.fields - 2)

    def sequence(
        self, x: Tensor, e: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, tuple[()]]:
        """Place each field's spike."""
        widths = (self.unit(x)[..., None] - self._centres(x)) * self.overlap * (self.fields - 2)  # (B, T, C, fields)
        at = (self.steps * (1 - torch.exp(-widths.square() / 2))).round()[:, :, None]
        step = torch.arange(self.steps, device=x.device)[:, None, None]
        return (at == step).to(x.dtype).flatten(-2), ()

    def decode(self, spikes: Tensor) -> Tensor:
        """Return the mean of the centres, each as heavy as its spike is early: (B,T,C) of (B, T*steps, outputs)."""
        early = 1 - torch.arange(self.steps, dtype=spikes.dtype, device=spikes.device) / self.steps
        z = spikes.unflatten(1, (-1, self.steps)).unflatten(-1, (self.features, self.fields))
        a = (z * early[:, None, None]).sum(2)  # (B, T, C, fields)
        return self.value((a * self._centres(a)).sum(-1) / a.sum(-1).clamp(min=1e-9))
