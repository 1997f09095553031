"""Japanese vowels of benchmarks/reservoir.py: a speaker told by the states that an utterance leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from reservoir_bodies import SMALL, Body, Options
from torch import Tensor

from liquidtorch.readout import Ridge, features, one_hot

THIRDS = 3
BACK = 1_000_000  # added to the seeds of reservoirs that read backwards
POOLED = {"points": features.points, "segments": features.segments}


class Said(NamedTuple):
    """Utterances x (B, T, F), padded with 0, their lengths, and the codes of who said them."""

    x: Tensor
    lengths: Tensor
    codes: Tensor


@dataclass(frozen=True)
class Vowels:
    """Nine speakers, 270 utterances to learn from and 370 to judge; the share of speakers told right.

    Options beside those of a body: `parts`, at how many parts of an utterance states are seen, beside their mean;
    `pooled`, one of POOLED, how they are; `changes`, whether the channels' changes from step to step are read beside
    them; `back`, whether a second body reads each utterance from its end; `members`, how many such bodies there are,
    each with a readout of its own: their answers are averaged.
    """

    data: Path

    def measure(self, options: Options, seed: int, searching: bool) -> float:
        """Learn, and judge the test utterances.

        Where searching, only training utterances: each speaker's first, second and last ten are learned from in turn
        and the rest is judged, and then the other way round. Utterances of a speaker that follow each other are alike,
        so this has errors enough to choose by, where utterances left out at random have one in 270.
        """
        own: dict[str, Any] = {"changes": False, "back": False, "members": 1, "pooled": "points", **options}
        train, test = self._standard(own.pop("changes"))
        parts = [train] if searching else [train, test]
        seen = [self._seen(own, parts, seed, member) for member in range(own["members"])]
        if not searching:
            told = sum(_told(learned, train.codes, judged) for learned, judged in seen)
            return _right(told, test.codes)
        found = []
        for learned in self._thirds(train.codes):
            told = sum(_told(x[learned], train.codes[learned], x[~learned]) for (x,) in seen)
            found.append(_right(told, train.codes[~learned]) * int((~learned).sum()))
        return sum(found) / (THIRDS * len(train.codes))

    def _thirds(self, codes: Tensor) -> list[Tensor]:
        """Return which utterances to learn from (B,) bool: a third of each speaker's, or all but a third."""
        place = one_hot(codes, int(codes.max()) + 1).cumsum(0).gather(1, codes.long()[:, None])[:, 0] - 1
        third = place * THIRDS // torch.bincount(codes.long()).gather(0, codes.long())
        return [kept for k in range(THIRDS) for kept in (third == k, third != k)]

    def _standard(self, changes: bool) -> list[Said]:
        """Return both parts, standardised by the first."""
        held = np.load(self.data / "uea" / "JapaneseVowels.npz")
        parts = [
            Said(*(torch.from_numpy(held[f"{k}_{p}"]) for k in ("x", "len", "y"))) for p in ("train", "test")
        ]  # fmt: skip
        wide = [p.x.double() for p in parts]
        if changes:
            wide = [torch.cat([x, x.diff(dim=1, prepend=x[:, :1])], 2) for x in wide]
        known = wide[0][~wide[0].isnan().any(2)]
        return [
            Said(((x - known.mean(0)) / known.std(0)).nan_to_num(), p.lengths.long(), p.codes.double())
            for x, p in zip(wide, parts, strict=True)
        ]

    def _seen(self, own: dict[str, Any], parts: list[Said], seed: int, member: int) -> list[Tensor]:
        """Return what a member's readout sees of the utterances of each part, (B, F)."""
        of_body = {k: v for k, v in own.items() if k not in ("back", "members", "parts", "pooled")}
        seed, width = seed * own["members"] + member, parts[0].x.shape[2]
        bodies = [Body(width, of_body, seed + k * BACK) for k in range(1 + own["back"])]
        found = []
        for said in parts:
            ways = [said.x, _reversed(said)][: len(bodies)]
            states = [body.run(x)[0] for body, x in zip(bodies, ways, strict=True)]
            pooled = [POOLED[own["pooled"]](y, own["parts"], said.lengths) for y in states]
            found.append(torch.cat([*pooled, *(features.mean(y, said.lengths) for y in states)], 1))
        return found


def _reversed(said: Said) -> Tensor:
    """Return the utterances from their ends, (B, T, F), padded as before."""
    steps = torch.arange(said.x.shape[1])
    at = torch.where(steps < said.lengths[:, None], said.lengths[:, None] - 1 - steps, steps)
    return said.x.gather(1, at[..., None].expand_as(said.x))


def _told(seen: Tensor, codes: Tensor, judged: Tensor) -> Tensor:
    """Return a number for each class, about 0 to 1, for what is seen of the utterances to judge."""
    classes = int(codes.max()) + 1
    if len(seen) < seen.shape[1]:  # a ridge regression's weights lie in the span of its rows
        span = torch.linalg.svd(seen - seen.mean(0), full_matrices=False).Vh.mT
        seen, judged = seen @ span, judged @ span
    readout = Ridge(seen.shape[1], classes)
    readout.solve(seen, one_hot(codes, classes), penalties=SMALL, select="loo", per_output=False)
    return readout(judged)


def _right(told: Tensor | int, codes: Tensor) -> float:
    return (torch.as_tensor(told).argmax(1) == codes).double().mean().item()
