"""A sequence as the linear model of its own states: what a readout sees is how they move, not where they end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import check_range, check_shape
from .rows import within
from .statistics import Statistics


class ModelSpace(nn.Module):
    """Describe each sequence by the ridge regression z(t+1) = A z(t) + b of its own states, as [A, b] flattened.

    z = (h - mean) basis: the first `dims` principal components of the training data's states.

    Parameters
    ----------
    features : int, at least 1
        H, the width of the states.
    dims : int, from 1 to features
        Components that are kept; the features are dims*(dims + 1).
    penalty : float, above 0
        Of each sequence's regression, relative to trace(G)/dims, G its centred Gram matrix.

    Notes
    -----
    `mean` (H,) and `basis` (H,dims) are buffers in float64, set by `solve`: until then, the first `dims` states as they
    are. All sequences at once: B*T*dims numbers, B*dims^3 operations.

    Source
    ------
    Chen, Tino, Rodan, Yao (2014), Learning in the model space for cognitive fault diagnosis, IEEE TNNLS 25; Bianchi,
    Scardapane, Lokse, Jenssen (2021), Reservoir computing approaches for representation and classification of
    multivariate time series, IEEE TNNLS 32, section IV.

    Examples
    --------
    >>> h = 0.5 ** torch.arange(5.0).view(1, 5, 1)  # each state is half of the one before
    >>> space = ModelSpace(1, 1, penalty=1e-9)
    >>> [round(c, 6) for c in space(h)[0].tolist()]
    [0.5, 0.0]
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, features: int, dims: int, *, penalty: float = 1e-3) -> None:
        super().__init__()
        self.features = check_range("features", features, 1, whole=True)
        self.dims = check_range("dims", dims, 1, self.features, whole=True)
        self.penalty = check_range("penalty", penalty, 0, open_low=True)
        self.outputs = self.dims * (self.dims + 1)
        self.register_buffer("mean", torch.zeros(self.features, dtype=torch.float64))
        self.register_buffer("basis", torch.eye(self.features, self.dims, dtype=torch.float64))

    def solve(self, h: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Find the principal components of training states h (B,T,H); returns the share of variance of each kept."""
        sizes = check_shape("h", h.shape, ("batch", "time", "units"), units=self.features)
        B, T = sizes["batch"], sizes["time"]
        states = h.flatten(0, 1) if lengths is None else h[within(lengths, B, T, least=1)]
        found = Statistics(self.features, 0, device=h.device).add(states, states[:, :0])
        variance, vectors = torch.linalg.eigh(found.gram)
        kept = vectors.flip(1)[:, : self.dims]
        largest = kept.gather(0, kept.abs().argmax(0, keepdim=True))  # a component has no sign of its own
        self.mean.copy_(found.means[0])
        self.basis.copy_(kept * largest.sign())
        return variance.flip(0)[: self.dims] / variance.sum()

    def forward(self, h: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the coefficients (B, dims*(dims + 1)) of states h (B,T,H): A row by row, then b.

        `lengths` (B,), from 2 to T: where padded sequences end.
        """
        sizes = check_shape("h", h.shape, ("batch", "time", "units"), units=self.features)
        B, T = sizes["batch"], sizes["time"]
        ends = torch.full((B,), T, device=h.device) if lengths is None else lengths
        moves = within(ends, B, T, least=2)[:, 1:, None]  # those steps that have one before them
        z = (h.to(self.mean.dtype) - self.mean) @ self.basis
        count = moves.sum(1)
        before, after = torch.where(moves, z[:, :-1], 0.0), torch.where(moves, z[:, 1:], 0.0)
        x, y = before.sum(1) / count, after.sum(1) / count
        before, after = torch.where(moves, before - x[:, None], 0.0), torch.where(moves, after - y[:, None], 0.0)
        gram, cross = before.mT @ before, before.mT @ after
        unit = gram.diagonal(dim1=1, dim2=2).mean(1)
        added = torch.where(unit > 0, self.penalty * unit, 1.0)  # states that do not move: A = 0
        A = torch.linalg.solve(gram + added[:, None, None] * torch.eye(self.dims).to(gram), cross).mT
        b = y - (A @ x[..., None])[..., 0]
        return torch.cat([A.flatten(1), b], 1)

    def config(self) -> dict[str, Any]:
        """Return the arguments that make an equal one, as plain JSON, without the components."""
        return {"features": self.features, "dims": self.dims, "penalty": self.penalty}
