"""Does it pay that structure changes on a stream? Arms of equal budgets on rules that come to need another structure.

    python benchmarks/structure.py [--needs "other times"] [--kinds abrupt] [--arms static] [--seeds 1 2 3]

`structure_streams` says what changes and how. Every arm is a network of at most 32 leaky units and 200 synapses, those
from inputs included, drawn for the earlier times (time constants of 1 to 8 samples) and for no input in particular,
with the same readout; no arm is told of the change. All but "static" reset the readout on drift; "learned" learns its
weights and time constants besides, by exact RTRL; and of those that follow each lets its structure change too, "grow"
from 24 units with 150 synapses. `known` is no rival: its units are drawn for the two rules of the stream, half for
each, which no other arm knows; it says what the right structure is worth. Each line added to
benchmarks/results/structure.jsonl is one arm on one stream. Options are chosen on seeds 0, 123 and 101 to 106, which
are not reported.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from structure_streams import KINDS, NEEDS, RULES, STEPS, Changing, changing
from structure_table import structure_table

import liquidtorch
from liquidtorch import RLS, Leaky, Recurrent
from liquidtorch.online import Drift, Online, Plasticity, evaluate
from liquidtorch.plasticity import with_room
from liquidtorch.wiring import Wiring

RESULTS = Path(__file__).parent / "results" / "structure.jsonl"
UNITS, READS = 32, 3  # units, and inputs that a unit reads
BUDGET = 200  # synapses
START = 24  # units that what grows begins with
NEAR = 1000  # samples after a change, and before the next or the end, that are told apart

Make = Callable[[int, int], Any]  # of a seed and how many inputs there are


class Draw(NamedTuple):
    """What units are drawn from: the inputs they may read, and the bounds of their time constants."""

    inputs: Sequence[int]
    tau: tuple[float, float]


def body(seed: int, features: int, *, units: int = UNITS, draws: Sequence[Draw] = ()) -> Recurrent:
    """Draw a network with room for 32 units: `units` of them there, each with its share of the budget of synapses.

    Units take turns in `draws`. Each reads three of the inputs of its own, or all where there are fewer, and the rest
    of the share comes from other units.
    """
    rng, draws = np.random.default_rng(seed), draws or [Draw(range(features), (1.0, 8.0))]
    sensory, recurrent, tau = np.zeros((units, features), int), np.zeros((units, units), int), np.ones(UNITS)
    for i in range(UNITS):
        draw = draws[i % len(draws)]
        tau[i] = np.exp(rng.uniform(*np.log(draw.tau)))
        if i < units:
            sensory[i, rng.choice(draw.inputs, min(READS, len(draw.inputs)), replace=False)] = 1
    others = np.flatnonzero(~np.eye(units, dtype=bool))
    recurrent.flat[rng.choice(others, BUDGET * units // UNITS - sensory.sum(), replace=False)] = 1
    torch.manual_seed(seed)
    cell = Leaky(features, UNITS, tau=torch.tensor(tau), wiring=with_room(Wiring(recurrent, sensory, units), UNITS))
    with torch.no_grad():
        cell.W_h *= 0.9 / torch.linalg.eigvals(cell.W_h * cell.live_h).abs().max()
        cell.W_x.normal_(std=0.5)
        cell.b.normal_(std=0.5)
    return Recurrent(cell)


def online(layer: Recurrent, seed: int, **options: Any) -> Online:
    """Return an online model whose readout is that of every arm."""
    return Online(layer, readout=readout, seed=seed, **options)


def readout(features: int, outputs: int) -> RLS:
    """Return least squares over about the last 1000 samples."""
    return RLS(features, outputs, forgetting=0.999)


def known(need: str) -> Make:
    """Return the maker of what structure is worth: half of the units are drawn for each of the rules of the stream."""
    draws = [Draw(rule.inputs, (rule.tau / 1.5, rule.tau * 1.5)) for rule in RULES[need]]
    return lambda seed, of: online(body(seed, of, draws=draws), seed, rule="readout")


def changing_by(kind: str, units: int) -> Make:
    """Return the maker of an arm that learns, and whose structure changes."""
    budget = Plasticity(kind=kind, units=UNITS, synapses=BUDGET)
    return lambda seed, of: learned(body(seed, of, units=units), seed, plasticity=budget)


def learned(layer: Recurrent, seed: int, **options: Any) -> Online:
    """Return an online model that learns its body too."""
    return online(layer, seed, rule="exact", rate=2e-3, drift=Drift("adwin"), **options)


ARMS: dict[str, Make] = {
    "static": lambda seed, of: online(body(seed, of), seed, rule="readout"),
    "reset on drift": lambda seed, of: online(body(seed, of), seed, rule="readout", drift=Drift("adwin")),
    "learned": lambda seed, of: learned(body(seed, of), seed),
    "rewire": changing_by("rewire", UNITS),
    "grow": changing_by("grow", START),
    "grow and prune": changing_by("grow and prune", START),
}


def run(need: str, kind: str, arm: str, make: Make, seed: int) -> dict[str, Any]:
    """Measure one arm on one stream, and return the line."""
    given, model = changing(need, kind, seed), make(seed, RULES[need][0].of)
    start = time.perf_counter()
    found = evaluate(model, given.rows, window=NEAR // 2, drifts=given.drifts)
    line = {"need": need, "kind": kind, "arm": arm, "seed": seed, "version": liquidtorch.__version__, **found.to_json()}
    line["seconds"] = time.perf_counter() - start
    line["after"], line["settled"] = _near(found.windows["model"], given)
    line["drifts_found"], line["turns"] = model.drifts, model.trial.gate.turns if model.trial else []
    line["changes"] = dict(Counter(operation for _, _, operation, _, _ in model.changes))
    wired = model.layer.cell.wiring
    line["synapses"] = wired.all_synapses
    line["units"] = int(((wired.recurrent != 0).any(1) | (wired.sensory != 0).any(1)).sum())
    for name, most in (("synapses", BUDGET), ("units", UNITS)):
        if line[name] > most:
            raise RuntimeError(f"{arm}: at most {most} {name} are in the budget; it has {line[name]}.")
    return line


def _near(windows: list[float], given: Changing) -> tuple[float, float]:
    """Return the NRMSE of the 1000 samples after each change, and before the next or the end: the mean of squares."""
    spread = float(np.std([label for _, label in given.rows]))
    square, width = np.square(windows), NEAR // 2
    starts = [at // width for at in given.drifts]
    ends = [*starts[1:], STEPS // width]
    parts = ([square[i : i + 2] for i in starts], [square[i - 2 : i] for i in ends])
    after, settled = (float(np.sqrt(np.mean(part))) / spread for part in parts)
    return after, settled


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--needs", nargs="+", default=list(NEEDS), choices=NEEDS)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--arms", nargs="+", default=["known", *ARMS], choices=["known", *ARMS])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--dry", action="store_true", help="add no lines")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    for need in asked.needs:
        for kind in asked.kinds:
            for arm in asked.arms:
                for seed in asked.seeds:
                    line = run(need, kind, arm, known(need) if arm == "known" else ARMS[arm], seed)
                    told = {k: line[k] for k in ("after", "settled", "units", "synapses", "changes", "seconds")}
                    print(
                        need,
                        kind,
                        arm,
                        seed,
                        f"nrmse {line['scores']['model']['nrmse']:.3f}",
                        told,
                        sep="; ",
                        flush=True,
                    )
                    lines.append(line)
                    if not asked.dry:
                        with RESULTS.open("a") as out:
                            out.write(json.dumps(line) + "\n")
    print(structure_table(lines))


if __name__ == "__main__":
    main()
