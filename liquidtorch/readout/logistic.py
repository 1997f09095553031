"""Multinomial logistic regression on states: probabilities that mean what they say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DataError, OptionError, check_choice, check_range
from .newton import Softmax, Whitening, minimise
from .ridge import path_of
from .rows import rows
from .spectrum import Spectrum
from .statistics import Statistics
from .targets import one_hot

PATH = tuple(10.0 ** (e / 2) for e in range(2, -15, -1))  # 1e1 to 1e-7
WORSE = 3  # penalties in a row that do no better, after which no smaller one is tried
EXACT, ENOUGH = 1e-18, 1e-8  # nats a row that may be left to gain: in the end, and while penalties are compared


@dataclass(frozen=True)
class Likelihood:
    """What a logistic regression found: probabilities = softmax(weight x + bias), and how.

    Parameters
    ----------
    weight : (K, F) float64
    bias : (K,) float64
        Both divided by the temperature already.
    temperature : float
        Above 1 where the scores were too sure on rows held out; 1 where the penalty was given.
    penalty : float
        Relative; `penalty * unit` is lambda.
    unit : float
        trace(G) / F, G the centred Gram matrix.
    penalties, scores : (L,) float64
        The penalties tried, from the largest down, and the mean -log p of the true class on rows held out, in nats;
        (0,) scores where the penalty was given.
    """

    weight: Tensor
    bias: Tensor
    temperature: float
    penalty: float
    unit: float
    penalties: Tensor
    scores: Tensor


class Logistic(nn.Module):
    """Answer with a logit for each class: p = softmax(W x + b), W and b of least -log p + lambda/2 |W|^2.

    Parameters
    ----------
    features : int, at least 1
        Width of x.
    classes : int, at least 2
        K, the width of the answer.

    Notes
    -----
    `weight` (K,F) and `bias` (K,) are buffers in float64, 0 until `solve`. The logits are calibrated: divided by the
    temperature at which the classes of rows held out were most likely.

    Source
    ------
    Temperature: Guo, Pleiss, Sun, Weinberger (2017), On calibration of modern neural networks, section 4.2; found by
    cross-validation instead of on a validation part.

    Examples
    --------
    >>> x = torch.linspace(-1, 1, 60)[:, None]
    >>> readout = Logistic(1, 2)
    >>> found = readout.solve(x, (x[:, 0] > 0).long(), groups=torch.arange(60))
    >>> readout.probabilities(torch.tensor([[-1.0], [1.0]])).argmax(1).tolist()
    [0, 1]
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.features = check_range("features", features, 1, whole=True)
        self.classes = self.outputs = check_range("classes", classes, 2, whole=True)
        self.register_buffer("weight", torch.zeros(self.classes, self.features, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(self.classes, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (..., classes) for x (..., features)."""
        return nn.functional.linear(x.to(self.weight.dtype), self.weight, self.bias)

    def probabilities(self, x: Tensor) -> Tensor:
        """Return the probability of each class (..., classes) for x (..., features)."""
        return torch.softmax(self(x), -1)

    def solve(
        self,
        x: Tensor,
        codes: Tensor,
        *,
        penalties: Iterable[float] | None = None,
        select: str | float = "blocks",
        blocks: int = 5,
        lengths: Tensor | None = None,
        groups: Tensor | None = None,
        weight: Tensor | None = None,
        seed: int = 0,
    ) -> Likelihood:
        """Solve for W and b, and keep them.

        Parameters
        ----------
        x : (N, F), or padded series (B, T, F); float32 or float64
        codes : (N,) or (B, T)
            The class of each row, from 0 to classes - 1; a row with NaN is left out.
        penalties : floats, above 0
            Relative to trace(G)/F, G the centred Gram matrix. Default: 1e1 down to 1e-7, two to a decade.
        select : "blocks" or a float above 0
            How the penalty is chosen: by the likelihood of blocks held out in turn; or the penalty itself.
        blocks, lengths, groups, weight, seed
            As for `Ridge.solve`.

        Returns
        -------
        Likelihood

        Raises
        ------
        ShapeError, OptionError, DataError
            When shapes or options contradict each other, fewer than two classes are there, or a row is not finite.

        Notes
        -----
        A centred copy of x in float64 is kept while it solves. Newton-CG, whitened by the eigenbasis of the Gram matrix
        and started from the ridge regression on one-hot targets; each penalty from the one before. It stops where
        three smaller penalties in a row do no better on the blocks held out.
        """
        path = path_of(PATH if penalties is None and isinstance(select, str) else penalties, select)
        if path[-1] <= 0:
            raise OptionError(
                f"`penalties` must be above 0; got {path[-1]} (classes that can be told apart have no end)."
            )
        given = rows(
            x, one_hot(codes, self.classes), features=self.features, outputs=self.classes,
            lengths=lengths, groups=groups, weight=weight,
        )  # fmt: skip
        if isinstance(select, str):
            check_choice("select", select, ("blocks",))
        whole = Statistics(self.features, self.classes, device=x.device).add(given.x, given.y, given.weight)
        if int((whole.means[1] > 0).sum()) < 2:
            raise DataError(f"`codes` must hold at least two classes; got {int((whole.means[1] > 0).sum())}.")
        folds = given.folds(blocks, seed) if isinstance(select, str) else []
        known, centre = ~torch.isnan(given.y).any(1), whole.means[0]
        heavy = known.to(torch.float64) if given.weight is None else torch.where(known, given.weight.double(), 0.0)
        centred = torch.where(known[:, None], given.x.double() - centre, 0.0)
        problem = _Problem(centred, given.y.nan_to_num(), heavy[:, None], whole.spectrum(), whole)
        temperature, penalty, scores = 1.0, path[0], []
        if folds:
            scores, penalty, temperature = problem.compare(path, folds)
        theta = problem.solve(problem.weight, penalty, problem.start(penalty), EXACT) / temperature
        self.weight.copy_(theta[:, :-1])
        self.bias.copy_(theta[:, -1] - theta[:, :-1] @ centre)
        tried = torch.tensor(path[: len(scores)] if scores else path, dtype=torch.float64)
        said = torch.tensor(scores, dtype=torch.float64)
        return Likelihood(
            self.weight.clone(), self.bias.clone(), temperature, penalty, problem.spectrum.unit, tried, said
        )

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal readout from, as plain JSON, without the weights."""
        return {"kind": "Logistic", "features": self.features, "classes": self.classes}


@dataclass(frozen=True)
class _Problem:
    x: Tensor  # (N, F) float64, centred
    truth: Tensor  # (N, K)
    weight: Tensor  # (N, 1), 0 for rows left out
    spectrum: Spectrum
    whole: Statistics

    def start(self, penalty: float) -> Tensor:
        """Return the ridge regression on one-hot targets as logits (K, F+1): at equal odds p = 1/K + scores/K."""
        classes = self.truth.shape[1]
        odds = torch.log(self.whole.means[1].clamp(min=0.5 / self.whole.rows))
        return torch.cat([classes * self.spectrum.weights(penalty), (odds - odds.mean())[:, None]], 1)

    def solve(self, weight: Tensor, penalty: float, theta: Tensor, tolerance: float) -> Tensor:
        """Return W and b (K, F+1) for the rows of a weight above 0; lambda is in proportion to what they weigh."""
        kept = weight[:, 0] > 0
        heavy = weight.sum().item()
        added = penalty * self.spectrum.unit * heavy / self.whole.weight
        f = Softmax(self.x[kept], self.truth[kept], weight[kept], added)
        return minimise(f, Whitening(self.spectrum, self.truth.shape[1], heavy, added), theta, tolerance * heavy)

    def compare(self, path: list[float], folds: list[Tensor]) -> tuple[list[float], float, float]:
        """Return the mean -log p on what was held out, for each penalty; the best penalty; and its temperature."""
        folds = [fold for fold in folds if bool((self.weight[fold] > 0).any())]
        thetas = [self.start(path[0])] * len(folds)
        scores, best, worse = [], (torch.inf, path[0], 1.0), 0
        for penalty in path:
            said = torch.zeros_like(self.truth)
            for i, fold in enumerate(folds):
                weight = self.weight.index_fill(0, fold, 0.0)
                thetas[i] = self.solve(weight, penalty, thetas[i], ENOUGH)
                said[fold] = torch.addmm(thetas[i][:, -1], self.x[fold], thetas[i][:, :-1].T)
            scores.append(self._loss(said, 1.0))
            worse = 0 if scores[-1] < best[0] else worse + 1
            if worse == 0:
                best = (scores[-1], penalty, self._temperature(said))
            if worse == WORSE:
                break
        return scores, best[1], best[2]

    def _loss(self, said: Tensor, temperature: float) -> float:
        each = (self.truth * torch.log_softmax(said / temperature, 1)).sum(1, keepdim=True)
        return -(self.weight * each).sum().item() / self.weight.sum().item()

    def _temperature(self, said: Tensor) -> float:
        """Return the temperature of least loss, from 1/8 to 8, to a thousandth: the loss is convex in its inverse."""
        low, high = 1 / 8, 8.0
        while high - low > 1e-3:
            one, two = low + (high - low) / 3, high - (high - low) / 3
            if self._loss(said, 1 / one) <= self._loss(said, 1 / two):
                high = two
            else:
                low = one
        return 2 / (low + high)
