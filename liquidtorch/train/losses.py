"""What is made small: cross-entropy for classes, squared error for numbers, pinball for quantiles."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..task import Task


class Loss(nn.Module):
    """Measure how wrong an answer is.

    Classes: the cross-entropy of each target. Numbers: ((y - truth) / scale)^2; for forecasts also, of each quantile
    q, max(q * d, (q - 1) * d) with d = (truth - y) / scale. NaN in the truth (padding, an unknown future) counts
    for nothing.

    Parameters
    ----------
    task : Task
        What is asked.
    scale : (task.outputs,) float
        The spread of each number of the answer in the training data, so that targets weigh the same.

    Examples
    --------
    >>> loss = Loss(Task("regress", ("y",)), np.array([2.0]))
    >>> total, count = loss(torch.tensor([[1.0], [5.0]]), torch.tensor([[5.0], [float("nan")]]))
    >>> total.item(), int(count)
    (4.0, 1)
    """

    scale: Tensor
    levels: Tensor

    def __init__(self, task: Task, scale: np.ndarray) -> None:
        super().__init__()
        self.task = task
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64))
        self.register_buffer("levels", torch.tensor(task.quantiles, dtype=torch.float64))

    def forward(self, y: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return (sum, count) over all that is known: y (..., task.outputs), truth (..., O) or (..., H, O)."""
        known = ~torch.isnan(truth)
        if self.task.classifies:
            return self._classes(y, truth, known), known.sum()
        shape = (*truth.shape, 1 + len(self.levels))
        wrong = (truth[..., None] - y.reshape(shape)) / self.scale.reshape(shape[truth.ndim - self._axes :])
        wrong = torch.where(known[..., None], wrong, 0.0)  # after the difference: its gradient is 0, never NaN
        total = (wrong[..., 0] ** 2).sum()
        if len(self.levels):
            band = wrong[..., 1:]
            total = total + torch.maximum(self.levels * band, (self.levels - 1) * band).sum()
        return total, known.sum()

    @property
    def _axes(self) -> int:
        return 2 if self.task.kind == "forecast" else 1

    def _classes(self, y: Tensor, truth: Tensor, known: Tensor) -> Tensor:
        codes = torch.where(known, truth, -100).long()
        total, first = y.new_zeros(()), 0
        for j, classes in enumerate(self.task.classes):
            logits = y[..., first : first + len(classes)].reshape(-1, len(classes))
            total = total + F.cross_entropy(logits, codes[..., j].reshape(-1), ignore_index=-100, reduction="sum")
            first += len(classes)
        return total
