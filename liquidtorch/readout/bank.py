"""Several forgetting factors at once: who has been right lately answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import OptionError, check_range
from .kept import Array
from .members import Members
from .recursive import RLS

FORGETTINGS = (1.0, 0.9995, 0.995, 0.98)
UNLIKELIEST = 6.0  # log of how much less likely than the best a member may become: so it can come back soon


class Bank(Members):
    """Answer with the mean of several `RLS` that see the same z, each weighed by how likely its errors lately are.

    `y = sum_r p_r y_r`, `p_r ~ exp(-L_r / (2 v))`, L_r the sum of `keep^age` error^2 of r, `keep = 1 - 1/memory`, and v
    the least mean of these; for each output. No p_r falls below exp(-6) times the largest, however wrong r was once.

    Parameters
    ----------
    features, outputs : int, at least 1
        Widths of z and y.
    forgettings : floats, above 0, at most 1
        One for each `RLS`, all different.
    penalty : float, above 0
        As for `RLS`.
    shared : bool
        As for `RLS`.
    memory : float, at least 1
        Rows over which "lately" goes.

    Notes
    -----
    Each member is a whole `RLS` with its own covariance: R times its cost. On NARMA series that change half-way, the
    mixture was as good as the best member of each stretch, and 0.2 to 0.6 % better than only the one that is best
    lately; the memory hardly mattered, from 20 to 300 rows.

    Source
    ------
    Raftery, Karny, Ettler (2010), Online prediction under model uncertainty via dynamic model averaging, Technometrics
    52; here with Gaussian errors of the variance of the best, and discounted sums.

    Examples
    --------
    >>> bank = Bank(1, 1, forgettings=(1.0, 0.9))
    >>> for t in range(100):
    ...     error = bank.learn(np.array([1.0 + t % 3]), np.array([float(t > 50)]))
    >>> bank.shares.argmax(0).tolist()
    [1]
    """

    losses: Tensor
    told: Tensor
    _losses: Array
    _told: Array

    def __init__(
        self, features: int, outputs: int, *, forgettings: Sequence[float] = FORGETTINGS, penalty: float = 1.0,
        shared: bool = True, memory: float = 100.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.forgettings, self.memory = tuple(float(f) for f in forgettings), float(check_range("memory", memory, 1))
        if not self.forgettings or len(set(self.forgettings)) < len(self.forgettings):
            raise OptionError(f"`forgettings` must be one or more different numbers; got {self.forgettings}.")
        options: Any = {"penalty": penalty, "shared": shared}
        self.members = nn.ModuleList(RLS(features, outputs, forgetting=f, **options) for f in self.forgettings)
        self.firsts = (0,) * len(self.members)
        self._keep("losses", np.zeros((len(self.members), self.outputs)))
        self._keep("told", np.zeros(self.outputs))

    @property
    def shares(self) -> Array:
        """How much of the answer each member gives, (R, O)."""
        losses, told = self._losses, self._told
        best = losses.min(0)
        variance = best / np.maximum(told, 1.0)
        p = np.exp((best - losses) / np.where(variance > 0, 2 * variance, 1.0))
        return p / p.sum(0)

    def forward(self, z: Tensor) -> Tensor:
        """Return y (..., O) for z (..., F)."""
        answers = torch.stack([member(z) for member in self.members], -2)
        return (torch.from_numpy(self.shares) * answers).sum(-2)

    def predict(self, z: Array) -> Array:
        """Return y (O,) for z (F,)."""
        return (self.shares * [member.predict(z) for member in self.members]).sum(0)

    def learn(self, z: Array, y: Array, *, weight: float = 1.0) -> Array:
        """Learn one row, as `RLS.learn` does, and return the error of the answer before it, (O,)."""
        shares = self.shares
        errors = np.array([member.learn(z, y, weight=weight) for member in self.members])
        known = ~np.isnan(errors[0])
        keep = np.where(known, 1 - 1 / self.memory, 1.0)
        losses, told = self._losses, self._told
        losses[:] = keep * losses + np.where(known, errors * errors, 0.0)
        told[:] = keep * told + known
        np.minimum(losses, losses.min(0) * (1 + 2 * UNLIKELIEST / np.maximum(told, 1.0)), out=losses)
        return (shares * errors).sum(0)

    def gradient(self, z: Array, y: Array) -> tuple[Array, float]:
        """Return how the loss |y - answer|^2 / 2 over the known outputs changes with z, (F,), and the loss."""
        error = np.nan_to_num(self.members[0]._told(y) - self.predict(z))
        weight = (self.shares[:, :, None] * [member._weight for member in self.members]).sum(0)
        return -error @ weight, float(error @ error) / 2

    def saliency(self) -> Array:
        """Return the mean of the members' saliency, each as it shares in the answers, (F,)."""
        return self.shares.mean(1) @ [member.saliency() for member in self.members]

    def add_output(self) -> None:
        """Add an output, with the answer 0 and covariances of its own."""
        for member in self.members:
            member.add_output()
        self._keep("losses", np.pad(self._losses, ((0, 0), (0, 1))))
        self._keep("told", np.pad(self._told, (0, 1)))

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal readout from, as plain JSON, without the numbers."""
        first = self.members[0].config()
        options = {"forgettings": list(self.forgettings), "memory": self.memory}
        return {**{k: v for k, v in first.items() if k != "forgetting"}, "kind": "Bank", **options}
