"""Japanese vowels of benchmarks/reservoir.py: a speaker told by the states that an utterance leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from reservoir_bodies import SMALL, Body, Options
from torch import Tensor

from liquidtorch.readout import Logistic, Ridge, features, one_hot

FOLDS = 10


class Said(NamedTuple):
    """Utterances x (B, T, F), padded with 0, their lengths, and the codes of who said them."""

    x: Tensor
    lengths: Tensor
    codes: Tensor


@dataclass(frozen=True)
class Vowels:
    """Nine speakers, 270 utterances to learn from and 370 to judge; the share of speakers told right.

    Options beside those of a body: `points`, at how many parts of an utterance states are seen, beside their mean;
    `logistic`, the readout in the place of a ridge regression on one-hot targets.
    """

    data: Path

    def measure(self, options: Options, seed: int, searching: bool) -> float:
        """Learn, and judge the test utterances.

        Where searching: 1 - the squared error of the classes' numbers, of training utterances left out in tenths: it
        tells more than how many are right, which is nearly all of them.
        """
        train, test = self._standard()
        body = Body(train.x.shape[2], {k: v for k, v in options.items() if k not in ("points", "logistic")}, seed)
        seen = self._seen(body, train, options["points"])
        if not searching:
            told = self._told(options, seen, train.codes, self._seen(body, test, options["points"]))
            return (told.argmax(1) == test.codes).double().mean().item()
        order = torch.randperm(len(seen), generator=torch.Generator().manual_seed(0))
        told = torch.empty(len(seen), int(train.codes.max()) + 1, dtype=torch.float64)
        for fold in order.chunk(FOLDS):
            rest = torch.ones(len(order), dtype=torch.bool).index_fill(0, fold, False)
            told[fold] = self._told(options, seen[rest], train.codes[rest], seen[fold])
        return 1 - (told - one_hot(train.codes, told.shape[1])).square().sum(1).mean().item()

    def _standard(self) -> list[Said]:
        """Return both parts, standardised by the first."""
        held = np.load(self.data / "uea" / "JapaneseVowels.npz")
        parts = [
            Said(*(torch.from_numpy(held[f"{k}_{p}"]) for k in ("x", "len", "y"))) for p in ("train", "test")
        ]  # fmt: skip
        known = parts[0].x[~parts[0].x.isnan()].view(-1, parts[0].x.shape[2]).double()
        return [
            Said(((p.x - known.mean(0)) / known.std(0)).nan_to_num(), p.lengths.long(), p.codes.double()) for p in parts
        ]

    def _told(self, options: Options, seen: Tensor, codes: Tensor, judged: Tensor) -> Tensor:
        """Return a number for each class, about 0 to 1, for what is seen of the utterances to judge."""
        classes = int(codes.max()) + 1
        if options.get("logistic"):
            readout = Logistic(seen.shape[1], classes)
            readout.solve(seen, codes, groups=torch.arange(len(codes)))
            return readout.probabilities(judged)
        readout = Ridge(seen.shape[1], classes)
        readout.solve(seen, one_hot(codes, classes), penalties=SMALL, select="loo", per_output=False)
        return readout(judged)

    def _seen(self, body: Body, part: Said, count: int) -> Tensor:
        y, _ = body.run(part.x)
        return torch.cat([features.points(y, count, part.lengths), features.mean(y, part.lengths)], 1)
