"""The tasks of benchmarks/reservoir.py on series: what is learned from, what is judged, and the score.

Each takes a body's options (or `last`: the last input is the answer), a seed and `searching`: where hyper-parameters
are looked for. A generated series is then of another seed, by the caller; of a recorded one only the part to learn
from is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from reservoir_bodies import Body, Options
from torch import Tensor

from liquidtorch import EchoState, datasets, diagnose


class Cut(NamedTuple):
    """A series u (1, T, F), what is due at its steps, y (T, O), and which of them are learned from and judged."""

    u: Tensor
    y: Tensor
    train: slice
    test: slice


@dataclass(frozen=True)
class Driven:
    """An answer due at every step of an input."""

    def cut(self, seed: int, searching: bool) -> Cut:
        """Return the series."""
        raise NotImplementedError

    def score(self, told: Tensor, y: Tensor, searching: bool) -> float:
        """Return the error of answers."""
        raise NotImplementedError

    def measure(self, options: Options, seed: int, searching: bool) -> float:
        """Learn, and return the error on the part that is judged."""
        u, y, train, test = self.cut(seed, searching)
        if "last" in options:
            return self.score(u[0, test], y[test], searching)
        body = Body(u.shape[2], options, seed)
        rows = body.run(u)[0][0]
        body.solve(rows[train], y[train])
        return self.score(body.readout(rows[test]), y[test], searching)


@dataclass(frozen=True)
class Narma(Driven):
    """NARMA-10 from its input alone; the normalised root mean squared error."""

    washout: int = 200
    rows: int = 2000
    judged: int = 2000

    @cache  # noqa: B019
    def cut(self, seed: int, searching: bool) -> Cut:
        """Return a series of this seed; the input, uniform in [0, 0.5], goes in as -1 to 1."""
        ends = self.washout, self.washout + self.rows, self.washout + self.rows + self.judged
        u, y = (torch.from_numpy(a) for a in datasets.narma(ends[2], seed=seed))
        return Cut(4 * u.view(1, -1, 1) - 1, y[:, None], slice(*ends[:2]), slice(*ends[1:]))

    def score(self, told: Tensor, y: Tensor, searching: bool) -> float:
        """Return the root of the mean squared error over the variance."""
        return nmse(told, y) ** 0.5


@dataclass(frozen=True)
class Channel(Driven):
    """Symbols sent through a nonlinear channel, at 28 dB; the share that is read wrongly."""

    washout: int = 100
    rows: int = 6000
    judged: int = 100_000

    @cache  # noqa: B019
    def cut(self, seed: int, searching: bool) -> Cut:
        """Return a series of this seed."""
        judged = self.judged // 5 if searching else self.judged
        ends = self.washout, self.washout + self.rows, self.washout + self.rows + judged
        u, y = (torch.from_numpy(a) for a in datasets.channel_equalisation(ends[2], seed=seed))
        return Cut(u.view(1, -1, 1), y[:, None], slice(*ends[:2]), slice(*ends[1:]))

    def score(self, told: Tensor, y: Tensor, searching: bool) -> float:
        """Return how many of the nearest symbols are wrong, as a share; the error 1 in 1000 exceeds, for searching."""
        if searching:  # so few are wrong that their number says little
            return (told - y).abs().flatten().quantile(0.999).item()
        nearest = (2 * torch.round((told + 3) / 2) - 3).clamp(-3, 3)
        return (nearest != y).double().mean().item()


@dataclass(frozen=True)
class SantaFe(Driven):
    """The next intensity of the Santa Fe laser; the normalised mean squared error. A seed is of the reservoir alone."""

    data: Path
    washout: int = 200
    rows: int = 2800
    judged: int = 2000

    def measure(self, options: Options, seed: int, searching: bool) -> float:
        """Learn, and return the error on the rows judged; where searching, that of five blocks left out in turn.

        The rows that are learned from, and hold blocks to choose a penalty by, are the 2000 to train and the 800 to
        validate of the usual split.
        """
        options = {"select": "blocks", **options}
        if not searching:
            return super().measure(options, seed, searching)
        u, y, train, _ = self.cut(seed, searching)
        body = Body(u.shape[2], options, seed)
        found = body.solve(body.run(u)[0][0, train], y[train])
        return (found.scores.min() / found.variance).item()

    @cache  # noqa: B019
    def cut(self, seed: int, searching: bool) -> Cut:
        """Return the series, standardised by the rows to learn from."""
        x = np.loadtxt(self.data / "santafe_laser" / "santafe_a_first5000.csv", delimiter=",")
        x = torch.from_numpy(x[: self.rows + self.judged + 1])
        x = (x - x[: self.rows].mean()) / x[: self.rows].std()
        return Cut(x[:-1].view(1, -1, 1), x[1:, None], slice(self.washout, self.rows - 1), slice(self.rows, len(x) - 1))

    def score(self, told: Tensor, y: Tensor, searching: bool) -> float:
        """Return the mean squared error over the variance."""
        return nmse(told, y)


@dataclass(frozen=True)
class Free:
    """A forecast that runs free: changes are learned a step ahead, then the answers are fed back."""

    washout: int  # steps that force a state before it counts
    rows: int  # from the first on that are learned from, those of the washout among them
    steps: int  # of a forecast

    def measure(self, options: Options, seed: int, searching: bool) -> float:
        """Learn, forecast from every start at once, and return the score."""
        x, starts = self.series(seed, searching)
        x = (x - x[: self.rows].mean(0)) / x[: self.rows].std(0)
        before = torch.stack([x[s - self.washout : s] for s in starts])
        truth = torch.stack([x[s : s + self.steps] for s in starts])
        if "last" in options:
            return self.score(before[:, -1:].expand_as(truth), truth)
        body = Body(x.shape[1], options, seed)
        seen, _ = body.run(x[None, : self.rows - 1])
        change = x[1 : self.rows] - x[: self.rows - 1]
        body.solve(seen[0, self.washout :], change[self.washout :])
        return self.score(body.forecast(before, self.steps), truth)

    def series(self, seed: int, searching: bool) -> tuple[Tensor, list[int]]:
        """Return a series (T, F) and where forecasts start in it."""
        raise NotImplementedError

    def score(self, told: Tensor, truth: Tensor) -> float:
        """Return the score of forecasts (B, steps, F) of a standardised series."""
        raise NotImplementedError


@dataclass(frozen=True)
class MackeyGlass(Free):
    """Mackey-Glass, tau 17, 84 steps ahead: the error then, root mean square over 50 starts, in standard deviations."""

    washout: int = 1000
    rows: int = 3000
    steps: int = 84
    starts: int = 50

    @cache  # noqa: B019
    def series(self, seed: int, searching: bool) -> tuple[Tensor, list[int]]:
        """Return a series of this seed, and starts one after the other, forced by 1000 values each."""
        first = self.rows + self.washout
        x = datasets.mackey_glass(first + self.starts * self.steps, seed=seed)
        return torch.from_numpy(x)[:, None], list(range(first, len(x), self.steps))

    def score(self, told: Tensor, truth: Tensor) -> float:
        """Return NRMSE84."""
        return (told - truth)[:, -1].square().mean().sqrt().item()


@dataclass(frozen=True)
class Lorenz(Free):
    """Lorenz 1963: how long forecasts stay valid, in Lyapunov times; the median of 30 starts."""

    washout: int = 300
    rows: int = 5300
    steps: int = 1300
    starts: int = 30
    apart: int = 150
    dt: float = 0.02
    threshold: float = 0.3

    @cache  # noqa: B019
    def series(self, seed: int, searching: bool) -> tuple[Tensor, list[int]]:
        """Return a series of this seed, and starts at equal distances behind what is learned from."""
        first = self.rows + self.washout
        starts = [first + self.apart * i for i in range(self.starts)]
        return torch.from_numpy(datasets.lorenz63(starts[-1] + self.steps, dt=self.dt, seed=seed)), starts

    def score(self, told: Tensor, truth: Tensor) -> float:
        """Return the time until the root mean square of the three standardised errors is above the threshold."""
        off = ~((told - truth).square().mean(2).sqrt() <= self.threshold)
        off = torch.cat([off, torch.ones_like(off[:, :1])], 1)
        valid = off.double().argmax(1).double() * self.dt * datasets.LYAPUNOV["lorenz63"]
        return valid.median().item()


@dataclass(frozen=True)
class Sines(Free):
    """A sum of eight sines, 300 steps ahead after 300 learned from. A seed is of the reservoir alone."""

    washout: int = 100
    rows: int = 400
    steps: int = 300

    @cache  # noqa: B019
    def series(self, seed: int, searching: bool) -> tuple[Tensor, list[int]]:
        """Return the series; a later part of it where hyper-parameters are looked for."""
        first = 5000 if searching else 0
        x = datasets.mso(first + self.rows + self.steps)[first:]
        return torch.from_numpy(x)[:, None], [self.rows]

    def score(self, told: Tensor, truth: Tensor) -> float:
        """Return the root of the mean squared error over the variance."""
        return nmse(told[0], truth[0]) ** 0.5


@dataclass(frozen=True)
class Memory:
    """Linear memory capacity over 1 to 200 steps back, white inputs in -0.8 to 0.8."""

    steps: int = 10_000

    def measure(self, options: Options, seed: int, searching: bool) -> float:
        """Return the sum over delays, the present input left out."""
        layer = EchoState(1, seed=seed, **options)
        found = diagnose.memory_capacity(layer, delays=200, steps=self.steps, low=-0.8, high=0.8, seed=seed)
        return found.curve[0, 1:].sum().item()


def nmse(told: Tensor, y: Tensor) -> float:
    """Return the mean squared error over the population variance of the truth."""
    return ((told - y).square().mean() / y.var(correction=0)).item()
