"""Labelled sequences for `resilience.py`: spoken digits and UEA sets, and what can befall a recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from liquidtorch.encoders import decibels, filter_bank

RATE, HOP, CHANNELS = 8000, 0.02, 16  # of the spoken digits: samples a second; seconds a frame; bands
RECORDINGS = 10  # of each digit and speaker, of 50
UEA = ("JapaneseVowels", "BasicMotions", "Libras")
SOURCE = {
    "digits": "fsdd/fsdd_8khz_int16.npz, made of https://github.com/Jakobovski/free-spoken-digit-dataset",
    **{name: f"uea/{name}.npz, made of https://www.timeseriesclassification.com" for name in UEA},
}


@dataclass(frozen=True)
class Fold:
    """What is learned from and what is tested on; raw recordings, each (N,) or (T, C), and a class for each."""

    name: str
    train: list[np.ndarray]
    classes: np.ndarray
    groups: np.ndarray  # who a recording to learn from is of: held out together
    test: list[np.ndarray]
    truth: np.ndarray
    front: Callable[[np.ndarray], np.ndarray]  # from a raw recording to channels (T, C)


def folds(name: str, data: Path, recordings: int) -> list[Fold] | None:
    """Return the folds of a set: one for each speaker left out, or the archive's split; None where it is not there."""
    path = data / SOURCE[name].split(",")[0]
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as held:
        if name == "digits":
            return _speakers(held, recordings)
        parts = [[row[:n] for row, n in zip(held[f"x_{p}"], _ends(held[f"x_{p}"]), strict=True)] for p in _PARTS]
        train, truth = held["y_train"].astype(int), held["y_test"].astype(int)
        return [Fold("archive", parts[0], train, np.arange(len(train)), parts[1], truth, lambda x: x)]


_PARTS = ("train", "test")


def _ends(x: np.ndarray) -> np.ndarray:
    """Return how many rows of x (N,T,C) stand before the padding of NaN."""
    return np.isfinite(x).any(2).sum(1)


def _speakers(held: np.lib.npyio.NpzFile, recordings: int) -> list[Fold]:
    sounds = np.split(held["audio"].astype(float), held["lengths"].cumsum()[:-1])
    digit, speaker = held["digit"].astype(int), held["speaker"]
    place = np.zeros(len(digit), dtype=int)  # of a recording among those of its digit and speaker
    for who in np.unique(speaker):
        for d in range(10):
            mine = (speaker == who) & (digit == d)
            place[mine] = np.arange(mine.sum())
    kept = place < recordings
    found = []
    for who in np.unique(speaker):
        train, test = np.flatnonzero(kept & (speaker != who)), np.flatnonzero(kept & (speaker == who))
        groups = np.unique(speaker[train], return_inverse=True)[1]
        raw = [[sounds[i] for i in part] for part in (train, test)]
        found.append(Fold(str(who), raw[0], digit[train], groups, raw[1], digit[test], heard))
    return found


def heard(sound: np.ndarray) -> np.ndarray:
    """Return the levels of a sound in bands of hearing, 0 to 1 for 60 dB."""
    return decibels(filter_bank(sound, RATE, channels=CHANNELS, high=3600.0, hop=HOP)) / 60 + 1


def disturbed(raw: np.ndarray, kind: str, level: float, rng: np.random.Generator) -> np.ndarray:
    """Return a raw recording with something befallen it.

    "gaussian": noise of `level` dB below each channel's variance in this recording. "dropped": a share `level` of the
    samples is lost; the last one that came stands in for them.
    """
    if kind == "gaussian":
        return raw + raw.std(0) * 10 ** (-level / 20) * rng.standard_normal(raw.shape)
    if kind == "dropped":
        came = rng.random(len(raw)) >= level
        came[0] = True
        return raw[np.maximum.accumulate(np.where(came, np.arange(len(raw)), 0))]
    return raw


class Scaled:
    """Channels brought to mean 0 and deviation 1 over the training set's samples."""

    def __init__(self, channels: Sequence[np.ndarray]) -> None:
        rows = np.concatenate(channels)
        self.mean, self.deviation = rows.mean(0), rows.std(0) + 1e-9

    def __call__(self, channels: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Return x (B, T, C) float32, 0 in the padding, and the lengths (B,)."""
        rows = [torch.tensor((c - self.mean) / self.deviation, dtype=torch.float32) for c in channels]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(r) for r in rows])
