"""From raw audio to spikes, a liquid, a readout and an accuracy: who says which digit, each speaker unheard before.

Run: python examples/spoken_digits.py --data DIR (a minute on one core). DIR (default: the folder fsdd in that of the
environment variable LIQUID_DATA) holds the recordings of https://github.com/Jakobovski/free-spoken-digit-dataset,
`DIGIT_SPEAKER_NUMBER.wav`, or all of them as `fsdd_8khz_int16.npz`. 10 recordings of each digit and speaker are taken.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile

from liquidtorch import LiquidState
from liquidtorch.encoders import StepForward, decibels, filter_bank
from liquidtorch.readout import Ridge, features, one_hot
from liquidtorch.reservoir import Encoded, calibrate_spiking

RATE = 8000


def recordings(folder: Path, most: int) -> tuple[list[np.ndarray], torch.Tensor, np.ndarray]:
    """Return the sounds (N_i,), their digits and their speakers: the first `most` of each digit and speaker."""
    packed = folder / "fsdd_8khz_int16.npz"
    if packed.is_file():
        with np.load(packed, allow_pickle=False) as held:
            sounds = np.split(held["audio"], held["lengths"].cumsum()[:-1])
            said = list(zip(held["digit"], held["speaker"], held["index"], sounds, strict=True))
    else:
        names = [(path, *path.stem.split("_")) for path in sorted(folder.glob("[0-9]_*_*.wav"))]
        said = [(digit, who, number, wavfile.read(path)[1]) for path, digit, who, number in names]
    kept = [(int(digit), str(who), sound) for digit, who, number, sound in said if int(number) < most]
    digits, speakers, found = zip(*kept, strict=True)
    return list(found), torch.tensor(digits), np.array(speakers)


def accuracies(sounds: list[np.ndarray], digit: torch.Tensor, speaker: np.ndarray) -> dict[str, float]:
    """Return the accuracy for each speaker, the others learned from."""
    levels = [torch.tensor(decibels(filter_bank(s, RATE, high=3600, hop=0.02)) / 60 + 1).float() for s in sounds]
    x = torch.nn.utils.rnn.pad_sequence(levels, batch_first=True)
    x, lengths = (
        torch.nn.functional.pad(x, (0, 0, 1, 0)),
        torch.tensor([len(row) + 1 for row in levels]),
    )  # from silence
    groups, found = torch.tensor(np.unique(speaker, return_inverse=True)[1]), {}
    for who in np.unique(speaker):
        train = torch.tensor(speaker != who)
        some, ends = x[train][::20], lengths[train][::20]
        encoder = StepForward.for_data(some, ends, steps=8)
        liquid = LiquidState(
            encoder.outputs, 120, inputs="spikes", input_density=0.6, tau_syn=(30.0, 30.0), refractory=(1.0, 1.0),
            rest=0.0, bias=0.0, traces=(20.0,),
        )  # fmt: skip
        spikes, _ = encoder(some, lengths=ends)
        calibrate_spiking(liquid, spikes, rate=0.02, dt=20 / encoder.steps, lengths=ends * encoder.steps)  # in ms
        traces, _ = Encoded(encoder, liquid)(x, dt=20.0, lengths=lengths)
        seen = features.segments(traces, 5, lengths).double()
        readout = Ridge(seen.shape[1], 10)
        readout.solve(seen[train], one_hot(digit[train], 10), groups=groups[train], blocks=4)
        right = readout(seen[~train]).argmax(1) == digit[~train]
        found[str(who)] = right.double().mean().item()
        print(f"{who:10s} {found[str(who)]:.3f}", flush=True)
    return found


def main() -> None:
    """Read, learn, and say how often it was right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LIQUID_DATA", ".")) / "fsdd")
    parser.add_argument("--recordings", type=int, default=10, help="of each digit and speaker")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = accuracies(*recordings(asked.data, asked.recordings))
    print(f"all        {np.mean(list(found.values())):.3f} (a guess has 0.1)")


if __name__ == "__main__":
    main()
