"""The adding problem: does a cell learn to carry two numbers over T steps?

Each sequence holds T pairs (a number from U(0, 1), a marker); the marker is 1 at one step of each half. The target is
the sum of the two marked numbers, asked for at the end. Answering 1 always gives a mean squared error of 1/6 = 0.167.

    python benchmarks/adding.py --cells ltc ltc-published liquid --T 40 --steps 1500 --seeds 0 1

Adds one JSON object a run to benchmarks/results/adding.jsonl.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import liquidtorch
from liquidtorch import LTC, CfC, Leaky, Linear, Liquid, MixedMemory, Mobius, Recurrent

UNITS, BATCH, TEST = 32, 32, 1000
RESULTS = Path(__file__).parent / "results" / "adding.jsonl"
CELLS: dict[str, Callable[[int], nn.Module]] = {  # name -> layer, given how many unfolds an LTC takes
    "ltc": lambda unfolds: Recurrent(LTC(2, UNITS, unfolds=unfolds, tau=(1.0, 100.0))),
    "ltc-published": lambda unfolds: Recurrent(LTC(2, UNITS, unfolds=unfolds)),
    "liquid": lambda _: Recurrent(Liquid(2, UNITS)),
    "leaky": lambda _: Recurrent(Leaky(2, UNITS)),
    "cfc": lambda _: Recurrent(CfC(2, UNITS)),
    "cfc-carry": lambda _: Recurrent(CfC(2, UNITS, carry=True)),
    "cfc-mixed": lambda _: MixedMemory(CfC(2, UNITS)),
    "linear": lambda _: Recurrent(Linear(2, UNITS)),
    "mobius": lambda _: Recurrent(Mobius(2, UNITS)),
    "gru": lambda _: nn.GRU(2, UNITS, batch_first=True),
}


class Adder(nn.Module):
    """A recurrent layer and a linear answer from its last output."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.answer = layer, nn.Linear(UNITS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the answer, (B, 1)."""
        y, _ = self.layer(x)
        return self.answer(y[:, -1])


def draw(batch: int, T: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return x (batch, T, 2) and the sums (batch, 1)."""
    numbers = torch.rand(batch, T, generator=generator)
    marks = torch.zeros(batch, T)
    for first, length in ((0, T // 2), (T // 2, T - T // 2)):
        place = first + torch.randint(length, (batch, 1), generator=generator)
        marks.scatter_(1, place, 1.0)
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(1, keepdim=True)


def learn(name: str, T: int, steps: int, seed: int, lr: float, unfolds: int) -> dict[str, object]:
    """Train one network and return its line."""
    torch.manual_seed(seed)
    net = Adder(CELLS[name](unfolds))
    run = net
    data = torch.Generator().manual_seed(seed)
    x_test, sum_test = draw(TEST, T, torch.Generator().manual_seed(999))
    optimizer = torch.optim.Adam(net.parameters(), lr)
    began, curve = time.perf_counter(), []
    for step in range(1, steps + 1):
        x, total = draw(BATCH, T, data)
        loss = (run(x) - total).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if step % max(1, steps // 10) == 0:
            with torch.no_grad():
                curve.append(round((net(x_test) - sum_test).square().mean().item(), 5))
            print(f"{name} T={T} seed={seed} lr={lr} step={step} mse={curve[-1]}", flush=True)
    return {
        "cell": name, "T": T, "units": UNITS, "batch": BATCH, "steps": steps, "lr": lr, "seed": seed,
        "unfolds": unfolds if name.startswith("ltc") else None, "mse": curve[-1], "curve": curve, "baseline": 0.1667,
        "seconds": round(time.perf_counter() - began, 1), "liquidtorch": liquidtorch.__version__,
        "torch": torch.__version__, "python": platform.python_version(), "threads": torch.get_num_threads(),
    }  # fmt: skip


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--T", type=int, nargs="+", default=[40, 120])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--unfolds", type=int, default=6)
    asked = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    for T in asked.T:
        for seed in asked.seeds:
            for name in asked.cells:
                line = learn(name, T, asked.steps, seed, asked.lr, asked.unfolds)
                with RESULTS.open("a") as results:
                    results.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
