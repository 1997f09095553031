"""Spoken digits of benchmarks/reservoir.py: what is said by a speaker who was never heard before.

Options are chosen for each speaker anew, by leaving out, in turn, each of the speakers learned from. Each rival chooses
among 16 to 24 combinations (quadratic lags: 6) and the penalties. The grids were not changed after scores; but the
liquid's gains and time constants in them are those of `resilience.py`, which were narrowed on these speakers.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from labelled import folds, heard
from reservoir_bodies import Lags, Options, quadratic
from torch import Tensor, nn

from liquidtorch import EchoState, LiquidState
from liquidtorch.encoders import SigmaDelta, SpikeEncoder, StepForward
from liquidtorch.errors import StateError
from liquidtorch.readout import Ridge, features, one_hot
from liquidtorch.reservoir import Encoded, calibrate_spiking

UNITS = 200
MS = 20.0  # a frame lasts
STEPS = 8  # substeps of spikes a frame
SOME, BEGINNING = 20, 30  # codes and gains are fitted to the first 30 frames of every 20th recording to learn from
AT_ONCE = 50  # recordings that go through a body together
ENCODERS: dict[str, type[SpikeEncoder]] = {"StepForward": StepForward, "SigmaDelta": SigmaDelta}
PENALTIES = tuple(10.0**e for e in range(1, -6, -1))

BOTH, PARTS = [False, True], [3, 5, 8, 12]
LINEAR = {"kind": ["lags"], "centred": BOTH, "lags": [1, 2, 3], "parts": PARTS}
QUADRATIC = {"kind": ["quadratic"], "centred": BOTH, "parts": PARTS[:3]}
ECHO = {"kind": ["echo"], "centred": BOTH, "tau": [(0.5, 5.0), (2.0, 20.0)], "scale": [0.5, 2.0], "parts": PARTS[:3]}
COUNTS = {"kind": ["counts"], "centred": BOTH, "encoder": list(ENCODERS), "parts": PARTS}
SPIKING = COUNTS | {"kind": ["spiking"], "gain": [(0.02, 30.0), (0.01, 15.0)], "parts": PARTS[:3]}

Shown = list[tuple[Tensor, Tensor]]  # what the readout sees the means of: (B, T, F), and where they end, (B,)
Show = Callable[[Tensor, Tensor], Shown]  # of x (B, T, C) and lengths


@dataclass(frozen=True)
class Digits:
    """Ten digits, each speaker told from the others' recordings alone; the share that is right, a mean over speakers.

    Options are a grid: a list for each. `kind`: what states are of; `centred`, whether each band's mean over a
    recording is taken off; `parts`, the equal parts of a recording that states are averaged over; others are those of
    the kind. Beside a reservoir's states the readout sees its input: the bands, or the counts of spikes.
    """

    data: Path
    recordings: int = 10  # of each digit and speaker

    def measure(self, options: Options, seed: int, searching: bool) -> float:
        """Choose and learn for each speaker left out, and judge that speaker's recordings.

        Where searching: 1 - the squared error, of the classes' numbers, of the speakers left out within.
        """
        drawn = options["kind"][0] in ("echo", "spiking")  # the others know no seed
        return self._measured(json.dumps(options), seed if drawn else 0, searching)

    @cache  # noqa: B019
    def _measured(self, said: str, seed: int, searching: bool) -> float:
        options, found = json.loads(said), []
        digit, speaker = self._said()[1:]
        for who in speaker.unique().tolist():
            train = speaker != who
            error, told = min(self._tried(options, train, seed), key=lambda both: both[0])
            right = (told.argmax(1) == digit[~train]).double().mean().item()
            found.append(1 - error if searching else right)
        return sum(found) / len(found)

    @cache  # noqa: B019
    def _said(self) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the levels (T_i, C) of each recording, 0 to 1 for 60 dB, its digit and its speaker."""
        held = folds("digits", self.data, self.recordings) or []
        levels = [torch.from_numpy(heard(sound)).float() for fold in held for sound in fold.test]
        digit = torch.cat([torch.from_numpy(fold.truth) for fold in held])
        return levels, digit, torch.arange(len(held)).repeat_interleave(torch.tensor([len(f.test) for f in held]))

    @cache  # noqa: B019
    def _channels(self, centred: bool) -> tuple[Tensor, Tensor]:
        """Return all recordings as x (B, T, C), after a row of silence, or of the mean, and their lengths."""
        rows = [row - row.mean(0) if centred else row for row in self._said()[0]]
        lengths = torch.tensor([len(row) + 1 for row in rows])
        return nn.functional.pad(nn.utils.rnn.pad_sequence(rows, batch_first=True), (0, 0, 1, 0)), lengths

    def _tried(self, grid: Options, train: Tensor, seed: int) -> Iterator[tuple[float, Tensor]]:
        """Yield, for all options, the error of speakers left out of `train` in turn, and the answers for the rest."""
        _, digit, speaker = self._said()
        y = one_hot(digit[train], 10)
        groups = speaker[train].unique(return_inverse=True)[1]
        for options in combinations({k: v for k, v in grid.items() if k != "parts"}):
            x, lengths = self._channels(options["centred"])
            try:
                show = shower(options, x[train], lengths[train], seed)
            except StateError:  # a liquid that calibration refuses, half of it being silent, is not chosen
                continue
            for seen in means(show, x, lengths, grid["parts"]):
                seen = (seen - seen[train].mean(0)) / (seen[train].std(0) + 1e-9)
                if train.sum() < seen.shape[1]:  # a ridge regression's weights lie in the span of its rows
                    seen = seen @ torch.linalg.svd(seen[train], full_matrices=False).Vh.mT
                readout = Ridge(seen.shape[1], 10)
                solved = readout.solve(
                    seen[train], y, groups=groups, blocks=int(groups.max()) + 1, penalties=PENALTIES, per_output=False
                )
                yield solved.scores.sum(1).min().item(), readout(seen[~train])


def combinations(grid: Options) -> Iterator[dict[str, Any]]:
    """Yield every combination of a grid."""
    yield from (dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values()))


@torch.no_grad()
def means(show: Show, x: Tensor, lengths: Tensor, parts: list[int]) -> list[Tensor]:
    """Return, for each number of parts, the means over these of what is shown of all recordings, (B, F)."""
    order, found = lengths.argsort(), []
    for some in order.split(AT_ONCE):  # of about one length: little padding
        shown = show(x[some, : int(lengths[some].max())], lengths[some])
        found.append([torch.cat([features.segments(h, n, ends) for h, ends in shown], 1).double() for n in parts])
    return [torch.cat(rows)[order.argsort()] for rows in zip(*found, strict=True)]


def shower(options: dict[str, Any], x: Tensor, lengths: Tensor, seed: int) -> Show:
    """Return what shows recordings, fitted, without labels, to those to learn from."""
    kind, channels = options["kind"], x.shape[2]
    if kind == "lags":
        return lambda x, lengths: [(Lags(options["lags"])(x)[0], lengths)]
    if kind == "quadratic":
        return lambda x, lengths: [(quadratic(x), lengths)]
    if kind == "echo":
        scale = options["scale"] / channels**0.5 / x.std().item()
        body = EchoState(channels, UNITS, scale=scale, bias=0.2, tau=tuple(options["tau"]), seed=seed)
        return lambda x, lengths: [(body(x, lengths=lengths)[0], lengths), (x, lengths)]
    some, ends = x[::SOME, :BEGINNING], lengths[::SOME].clamp(max=BEGINNING)
    encoder = ENCODERS[options["encoder"]].for_data(some, ends, steps=STEPS)

    def counts(x: Tensor, lengths: Tensor) -> Shown:
        return [(encoder(x, lengths=lengths)[0], lengths * STEPS)]

    if kind == "counts":
        return counts
    rate, tau = options["gain"]
    liquid = LiquidState(
        encoder.outputs, UNITS, inputs="spikes", input_density=0.6, tau_syn=(tau, tau), refractory=(1.0, 1.0),
        rest=0.0, bias=0.0, traces=(MS,), seed=seed,
    )  # fmt: skip
    [(spikes, ends)] = counts(some, ends)
    calibrate_spiking(liquid, spikes, rate=rate, dt=MS / STEPS, lengths=ends)
    body = Encoded(encoder, liquid)
    return lambda x, lengths: [(body(x, dt=MS, lengths=lengths)[0], lengths), *counts(x, lengths)]
