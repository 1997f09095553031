"""Accuracy under noise and with few labels: echo and spiking reservoirs beside a GRU and beside no reservoir at all.

    python benchmarks/resilience.py [--data DIR] [--sets digits Libras] [--rows noise labels] [--quick]

DIR (default: the environment variable LIQUID_DATA) holds `fsdd/` and `uea/`, see `labelled.SOURCE`. Adds a JSON object
for each set and row, of all rivals, to benchmarks/results/resilience.jsonl; `--quick` takes one fold, fewer levels and
draws, and adds nothing.

All rivals read the same channels, scaled by the training set. `control`, `spikes` (their counts), `echo` and `liquid`
(these, then a liquid) differ in the states alone: the means of equal parts of a sequence go to one ridge regression.
`GRU` is trained by BPTT, its epochs ended by a validation part. Every rival has a few options to choose among, by a
part of the training set (a speaker, or a third); those are kept for all levels of noise. It is learned from clean
recordings and tested on noisy ones. With few labels, options are the first of each, and scaling, thresholds and
gains, which need no labels, are of the whole training set; a GRU with fewer than 5 labels a class has no validation
part and trains for 150 updates.
Ten recordings a digit and speaker, three draws of labels: some ten minutes on one core.

What each rival may choose among was narrowed by hand while looking at scores of the speakers and test sets used here:
on the digits and for the liquid read its scores as attainable, not as unbiased.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from labelled import RECORDINGS, SOURCE, UEA, Fold, Scaled, disturbed, folds
from machine import about
from torch import Tensor, nn

from liquidtorch import EchoState, LiquidState
from liquidtorch.baselines.gru import GRU
from liquidtorch.encoders import StepForward
from liquidtorch.readout import Ridge, features, one_hot
from liquidtorch.reservoir import calibrate_spiking

RESULTS = Path(__file__).parent / "results" / "resilience.jsonl"
UNITS = 120
SAMPLE = 20.0  # ms a row of channels lasts for the liquid: true for the digits, and as good as any for the others
GAINS = ((0.02, 30.0), (0.01, 15.0))  # rates and time constants of synapses, of the liquid
OPTIONS: dict[str, list[dict[str, Any]]] = {  # the first ones are for few labels
    "control": [{"parts": 5}, {"parts": 3}, {"parts": 8}],
    "spikes": [{"parts": 5}, {"parts": 3}, {"parts": 8}],
    "echo": [{"parts": 5, "scale": 2.0, "tau": t} for t in ((0.5, 5.0), (2.0, 20.0))],
    "liquid": [{"parts": 5, "rate": r, "tau_syn": t} for r, t in GAINS],
    "GRU": [{"lr": 1e-2}, {"lr": 3e-3}],
}
NOISE = [
    ("clean", 0.0),
    *(("gaussian", db) for db in (20.0, 10.0, 0.0)),
    *(("dropped", p) for p in (0.1, 0.3, 0.5)),
]
LOST = (0.1, 0.3, 0.5)  # shares of spikes lost between encoder and reservoir
LABELS, DRAWS = (1, 2, 5, 10, 20), 3
EPOCHS, UPDATES = 30, 150  # of the GRU: the most, or as many as make these updates of 32 sequences, if more
PATIENCE = 60  # updates, or 10 epochs if more, without a better validation loss, after which it ends
PENALTY = 1e-2  # relative, where one label a class leaves nothing to choose it by

States = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]  # x, lengths, share lost -> h, lengths


def states(kind: str, options: dict[str, Any], x: Tensor, lengths: Tensor, seed: int) -> States:
    """Return what turns channels into what the readout sees a mean of; fitted to x, without labels."""
    channels = x.shape[2]
    if kind == "control":
        return lambda x, lengths, lost: (x, lengths)
    if kind == "echo":
        scale = options["scale"] / channels**0.5
        body = EchoState(channels, UNITS, scale=scale, bias=0.2, tau=options["tau"], seed=seed)
        return lambda x, lengths, lost: (body(x, lengths=lengths)[0], lengths)
    some = slice(None, None, len(x) // 12 or 1)
    encoder = StepForward.for_data(lead(x[some]), lengths[some] + 1, steps=8)

    def spikes(x: Tensor, lengths: Tensor, lost: float) -> tuple[Tensor, Tensor]:
        found = encoder(lead(x), lengths=lengths + 1)[0]
        kept = torch.rand(found.shape, generator=torch.Generator().manual_seed(seed)) >= lost
        return found * kept, (lengths + 1) * encoder.steps

    if kind == "spikes":
        return spikes
    liquid = LiquidState(
        encoder.outputs, UNITS, inputs="spikes", input_density=0.6, tau_syn=(options["tau_syn"],) * 2,
        refractory=(1.0, 1.0), rest=0.0, bias=0.0, traces=(20.0,), seed=seed,
    )  # fmt: skip
    dt = SAMPLE / encoder.steps
    z, ends = spikes(x[some], lengths[some], 0.0)
    calibrate_spiking(liquid, z, rate=options["rate"], dt=dt, lengths=ends)

    def run(x: Tensor, lengths: Tensor, lost: float) -> tuple[Tensor, Tensor]:
        z, ends = spikes(x, lengths, lost)
        return liquid(z, dt=dt, lengths=ends)[0], ends

    return run


def lead(x: Tensor) -> Tensor:
    """Return x with a row of means before: where baselines start, so that spikes tell the first level too."""
    return nn.functional.pad(x, (0, 0, 1, 0))


class Solved:
    """States, their means over parts of a sequence, and a ridge regression."""

    def __init__(self, kind: str, options: dict[str, Any], x: Tensor, lengths: Tensor, seed: int) -> None:
        self.states, self.parts = states(kind, options, x, lengths, seed), options["parts"]
        seen = self.seen(x, lengths)
        self.mean, self.deviation = seen.mean(0), seen.std(0) + 1e-9

    def seen(self, x: Tensor, lengths: Tensor, lost: float = 0.0) -> Tensor:
        """Return what the readout sees (B, F), unscaled."""
        return features.segments(*_swapped(self.states(x, lengths, lost), self.parts)).double()

    def learn(self, seen: Tensor, y: Tensor, groups: Tensor, classes: int) -> None:
        """Solve the readout for sequences seen."""
        self.readout = Ridge(seen.shape[1], classes)
        enough = len(groups.unique()) >= 4 and torch.bincount(y).max() > 1
        how: dict[str, Any] = {"groups": groups, "blocks": 4} if enough else {"select": PENALTY}
        self.readout.solve(self.scaled(seen), one_hot(y, classes), per_output=False, **how)

    def scaled(self, seen: Tensor) -> Tensor:
        """Return features of mean 0 and deviation 1 in the training set."""
        return (seen - self.mean) / self.deviation

    def answer(self, x: Tensor, lengths: Tensor, lost: float = 0.0) -> Tensor:
        """Return a class for each sequence."""
        return self.readout(self.scaled(self.seen(x, lengths, lost))).argmax(1)


def _swapped(both: tuple[Tensor, Tensor], parts: int) -> tuple[Tensor, int, Tensor]:
    return both[0], parts, both[1]


class Trained(nn.Module):
    """A GRU and a linear readout of its mean output, trained by backpropagation through time."""

    def __init__(self, channels: int, classes: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body, self.readout = GRU(channels, 64), nn.Linear(64, classes)
        self.draw = torch.Generator().manual_seed(seed)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        return self.readout(features.mean(self.body(x, lengths=lengths)[0], lengths))

    def learn(self, x: Tensor, lengths: Tensor, y: Tensor, valid: Tensor | None, lr: float) -> float:
        """Train, keep the epoch of the best loss on the rows `valid`, and return their accuracy."""
        rows = torch.arange(len(y)) if valid is None else (~valid).nonzero()[:, 0]
        adam, best, waited, kept = torch.optim.Adam(self.parameters(), lr=lr), np.inf, 0, self.state_dict()
        for _ in range(max(EPOCHS, UPDATES // -(-len(rows) // 32))):
            for batch in rows[torch.randperm(len(rows), generator=self.draw)].split(32):
                to = int(lengths[batch].max())
                loss = nn.functional.cross_entropy(self(x[batch, :to], lengths[batch]), y[batch])
                adam.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.parameters(), 1.0)
                adam.step()
            if valid is None:
                continue
            with torch.no_grad():
                loss = float(nn.functional.cross_entropy(self(x[valid], lengths[valid]), y[valid]))
            waited += 1
            if loss < best:
                best, waited, kept = loss, 0, {name: value.clone() for name, value in self.state_dict().items()}
            if waited >= max(10, PATIENCE / -(-len(rows) // 32)):
                break
        self.load_state_dict(kept)
        return 0.0 if valid is None else float((self.answer(x[valid], lengths[valid]) == y[valid]).float().mean())

    @torch.no_grad()
    def answer(self, x: Tensor, lengths: Tensor, lost: float = 0.0) -> Tensor:
        """Return a class for each sequence."""
        return self(x, lengths).argmax(1)


class Data:
    """A fold as tensors."""

    def __init__(self, fold: Fold, seed: int) -> None:
        channels = [fold.front(raw) for raw in fold.train]
        self.fold, self.seed, self.scale = fold, seed, Scaled(channels)
        self.x, self.lengths = self.scale(channels)
        self.y, self.groups = torch.tensor(fold.classes), torch.tensor(fold.groups)
        self.truth, self.classes = torch.tensor(fold.truth), int(max(fold.classes.max(), fold.truth.max())) + 1
        held = seed % int(
            self.groups.max() + 1
        )  # a speaker; or, where each is a group of its own, every third of a class
        alone = len(self.groups.unique()) == len(self.y)
        self.valid = _every(self.y, 3) if alone else self.groups == held

    def test(self, kind: str, level: float) -> tuple[Tensor, Tensor]:
        """Return the test recordings after what befell them."""
        rng = np.random.default_rng(self.seed)
        return self.scale([self.fold.front(disturbed(raw, kind, level, rng)) for raw in self.fold.test])

    def right(self, model: Solved | Trained, x: Tensor, lengths: Tensor, lost: float = 0.0) -> float:
        """Return the accuracy on test recordings."""
        return float((model.answer(x, lengths, lost) == self.truth).float().mean())

    def chosen(self, kind: str) -> tuple[Solved | Trained, dict[str, Any]]:
        """Return a rival with the options that are best on the validation part, and these options."""
        found, v = [], self.valid
        for options in OPTIONS[kind]:
            if kind == "GRU":
                model = Trained(self.x.shape[2], self.classes, self.seed)
                found.append((model.learn(self.x, self.lengths, self.y, v, options["lr"]), model))
                continue
            model = Solved(kind, options, self.x[~v], self.lengths[~v], self.seed)
            model.learn(model.seen(self.x[~v], self.lengths[~v]), self.y[~v], self.groups[~v], self.classes)
            found.append((float((model.answer(self.x[v], self.lengths[v]) == self.y[v]).float().mean()), model))
        best = int(np.argmax([score for score, _ in found]))
        if kind == "GRU":
            return found[best][1], OPTIONS[kind][best]
        model = Solved(kind, OPTIONS[kind][best], self.x, self.lengths, self.seed)
        model.learn(model.seen(self.x, self.lengths), self.y, self.groups, self.classes)
        return model, OPTIONS[kind][best]


def _every(y: Tensor, n: int) -> Tensor:
    """Return which rows are a class's n-th, 2n-th, ..., (N,) bool."""
    count = one_hot(y, int(y.max()) + 1).cumsum(0).gather(1, y[:, None])[:, 0]
    return count % n == 0


def noise(data: list[Data], quick: bool) -> dict[str, Any]:
    """Return the accuracy of each rival, a number a fold, at each level of noise."""
    levels = [*NOISE[:3], NOISE[-1]] if quick else NOISE
    found: dict[str, dict[str, list[float]]] = {kind: {} for kind in OPTIONS}
    picked: dict[str, list[dict[str, Any]]] = {kind: [] for kind in OPTIONS}
    for d in data:
        models = {}
        for kind in OPTIONS:
            models[kind], options = d.chosen(kind)
            picked[kind].append(options)
        for name, level in levels:
            x, lengths = d.test(name, level)
            for kind, model in models.items():
                found[kind].setdefault(f"{name} {level:g}", []).append(d.right(model, x, lengths))
        x, lengths = d.test("clean", 0.0)
        for lost in LOST:
            for kind in ("spikes", "liquid"):
                found[kind].setdefault(f"lost {lost:g}", []).append(d.right(models[kind], x, lengths, lost))
    return {"row": "noise", "accuracy": found, "options": picked}


def labels(data: list[Data], quick: bool) -> dict[str, Any]:
    """Return the accuracy of each rival, a number a draw, for each number of labelled sequences a class."""
    found: dict[str, dict[str, list[float]]] = {kind: {} for kind in OPTIONS}
    for draw in range(2 if quick else DRAWS):
        d = data[draw % len(data)]
        x, lengths = d.test("clean", 0.0)
        for kind, options in OPTIONS.items():
            model = None if kind == "GRU" else Solved(kind, options[0], d.x, d.lengths, draw)
            seen = None if model is None else model.seen(d.x, d.lengths)
            for count, rows in _few(d.y, draw):
                if model is None or seen is None:
                    gru = Trained(d.x.shape[2], d.classes, draw)
                    valid = _every(d.y[rows], 5) if count >= 5 else None
                    gru.learn(d.x[rows], d.lengths[rows], d.y[rows], valid, options[0]["lr"])
                    right = d.right(gru, x, lengths)
                else:
                    model.learn(seen[rows], d.y[rows], torch.arange(len(rows)), d.classes)
                    right = d.right(model, x, lengths)
                found[kind].setdefault(str(count), []).append(right)
    return {"row": "labels", "accuracy": found, "options": {kind: options[0] for kind, options in OPTIONS.items()}}


def _few(y: Tensor, seed: int) -> Iterator[tuple[int, Tensor]]:
    """Yield numbers of labels a class, as far as there are as many, and rows drawn; more rows hold those of fewer."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    place = one_hot(y[order], int(y.max()) + 1).cumsum(0).gather(1, y[order][:, None])[:, 0]
    for count in LABELS:
        if count <= int(torch.bincount(y).min()):
            yield count, order[place <= count]


def show(line: dict[str, Any]) -> None:
    """Print a line's medians (few labels) or means (folds) as a table."""
    levels = list(dict.fromkeys(level for found in line["accuracy"].values() for level in found))
    print(f"{line['set']}, {line['row']:8s}" + "".join(f"{level:>13s}" for level in levels))
    middle = np.median if line["row"] == "labels" else np.mean
    for kind, found in line["accuracy"].items():
        cells = "".join(f"{middle(found[level]):13.3f}" if level in found else " " * 13 for level in levels)
        print(f"  {kind:15s}{cells}", flush=True)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("LIQUID_DATA"))
    parser.add_argument("--sets", nargs="+", choices=["digits", *UEA], default=["digits", *UEA])
    parser.add_argument("--rows", nargs="+", choices=["noise", "labels"], default=["noise", "labels"])
    parser.add_argument("--quick", action="store_true", help="one fold, fewer levels and draws; adds nothing")
    asked = parser.parse_args()
    if asked.data is None:
        parser.error("--data must be given, or LIQUID_DATA set")
    torch.set_num_threads(1)
    for name in asked.sets:
        found = folds(name, Path(asked.data), RECORDINGS)
        if found is None:
            print(f"{name}: not there; it wants {SOURCE[name]}")
            continue
        found = found * 2 if len(found) == 1 else found  # two seeds of what is drawn
        data = [Data(fold, seed) for seed, fold in enumerate(found[: 1 if asked.quick else None])]
        sizes = {"train": len(data[0].y), "test": len(data[0].truth), "folds": [d.fold.name for d in data]}
        for row in asked.rows:
            line = {"set": name, **(noise if row == "noise" else labels)(data, asked.quick), **sizes}
            show(line)
            if not asked.quick:
                with RESULTS.open("a") as results:
                    results.write(json.dumps({**line, **about()}) + "\n")


if __name__ == "__main__":
    main()
