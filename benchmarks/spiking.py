"""How many steps a second does a spiking liquid take, the more of its neurons spike?

    python benchmarks/spiking.py [--units 1000] [--density 0.1] [--steps 500] [--repeat 20] [--quick]

A random liquid on one thread, one row, float32, delays of one step; a current drives a drawn share of the neurons over
their threshold at every step. Beside ours: the same neurons with a dense product a step in a PyTorch loop, and in a
NumPy loop. All three must give the same spikes first. Adds a JSON object for each activity to
benchmarks/results/spiking.jsonl; `--quick` takes few turns and adds nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import about
from timing import Side, alternate
from torch import Tensor

from liquidtorch import LiquidState, ops

RESULTS = Path(__file__).parent / "results" / "spiking.jsonl"
ACTIVITIES = (0.0, 0.01, 0.02, 0.05, 0.1)  # spikes per neuron and step that are asked for
TARGET = 80_000  # steps a second at an activity of 0.05
DRIVE, CALM = 1e3, -0.05
SCALE = 1e-3  # of the synapses, so that the drive alone sets the activity


def dense_loop(liquid: LiquidState, u: Any, step: Callable[..., Any], zeros: Callable[[int], Any], matrix: Any) -> Any:
    """Run the neurons of `liquid` with `step`, a product with all synapses a step; return the spikes of every step."""
    H = liquid.units
    v, rest, current, pending = zeros(H) + step.start, zeros(H), zeros(2 * H), zeros(2 * H)
    traces, found = zeros((liquid.outputs // H) * H).reshape(-1, H), []
    for t in range(len(u)):
        v, rest, current, pending, traces, s = step(u[t], v, rest, current, pending, traces, matrix)
        found.append(s)
    return found


class Step:
    """One step of the neurons in the library `xp` (torch or numpy), for dt = 1 and a delay of one step."""

    def __init__(self, liquid: LiquidState, xp: Any, of: Callable[[Tensor], Any]) -> None:
        one = torch.ones(())
        p, self.xp, self.join = liquid._spiking(), xp, xp.cat if xp is torch else np.concatenate
        self.start = of(p.start)
        self.lost = of(-torch.expm1(-one / p.tau))
        self.reach = [of(ops.reference.reach(one, tau, p.tau)) for tau in p.tau_syn]
        self.pace, self.after, self.bias = of(1 / p.refractory), float(p.membrane[1]), float(p.membrane[2])
        self.threshold = float(p.membrane[0])
        self.kept = of(torch.exp(-one / p.tau_syn).repeat_interleave(liquid.units))
        self.fading = of(torch.exp(-one / p.tau_trace).unsqueeze(-1))

    def __call__(self, u: Any, v: Any, rest: Any, current: Any, pending: Any, traces: Any, W: Any) -> tuple[Any, ...]:
        """Return the state after the step, and its spikes."""
        where, H = self.xp.where, len(v)
        v = v + self.lost * (u + self.bias - v) + self.reach[0] * current[:H] + self.reach[1] * current[H:]
        held = rest > 0
        v = where(held, self.after, v)
        s = ~held & (v >= self.threshold)
        rest = where(s, 1.0, where(rest - self.pace < ops.reference.TICK, 0.0, rest - self.pace))
        v = where(s, self.after, v)
        spikes = s + 0 * v
        E = W[0].shape[1]
        sent = self.join([W[0] @ spikes[:E], W[1] @ spikes[E:]])
        return v, rest, current * self.kept + pending, sent, traces * self.fading + spikes, s


def sides(liquid: LiquidState, u: Tensor) -> list[Side]:
    """Return ours, a PyTorch loop and a NumPy loop over u (T, H); the answer of each is its spikes."""
    H, T, p = liquid.units, len(u), liquid._spiking()
    h, dt = liquid.initial(1), torch.ones(1, T)
    W = torch.zeros(H, H)
    W.index_put_(((p.place % H).long(), (p.pool // 2).long()), p.weight)
    parts = W[:, : liquid.excitatory].contiguous(), W[:, liquid.excitatory :].contiguous()

    @torch.no_grad()
    def ours() -> Tensor:
        return ops.spiking(u.unsqueeze(0), h, dt, p)[0]

    def answer() -> dict[str, Tensor]:
        z = ours()[0, :, :H]
        before = torch.cat([torch.zeros(1, H), z[:-1] * torch.exp(-1 / p.tau_trace[0])])
        return {"output": (z - before > 0.5).float()}

    in_torch, in_numpy = Step(liquid, torch, lambda t: t), Step(liquid, np, lambda t: t.numpy())

    @torch.no_grad()
    def torch_loop() -> Any:
        return dense_loop(liquid, u, in_torch, torch.zeros, parts)

    def numpy_loop() -> Any:
        return dense_loop(liquid, u.numpy(), in_numpy, lambda n: np.zeros(n, np.float32), [W.numpy() for W in parts])

    def nothing() -> None:
        pass

    return [
        Side("liquidtorch", ours, nothing, answer, calls=T),
        Side("torch loop, dense", torch_loop, nothing, lambda: {"output": torch.stack(torch_loop()).float()}, calls=T),
        Side(
            "numpy loop, dense", numpy_loop, nothing,
            lambda: {"output": torch.from_numpy(np.stack(numpy_loop())).float()}, calls=T,
        ),
    ]  # fmt: skip


def row(units: int, density: float, steps: int, activity: float, repeat: int) -> dict[str, Any]:
    """Return steps a second of every side at one activity."""
    liquid = LiquidState(1, units, topology=f"random:{density}", delay=(1.0, 1.0), substep=1.0)
    liquid.weight.mul_(SCALE)
    rng = np.random.default_rng(0)
    free = activity / max(1 - 3.8 * activity, 1e-9)  # of neurons that are not refractory
    u = torch.from_numpy(np.where(rng.random((steps, units)) < free, DRIVE, CALM).astype(np.float32))
    three = sides(liquid, u)
    wanted, *others = (side.answer()["output"] for side in three if side.answer)
    for side, found in zip(three[1:], others, strict=True):
        wrong = float((found != wanted).float().mean())
        if wrong > 1e-4:  # float32 sums in another order may move a spike
            raise AssertionError(f"{side.name}: {wrong:.2%} of spikes differ")
    times = alternate(three, [1], repeat)
    rates = {side.name: round(1 / min(times[side.name, 1].seconds)) for side in three}
    return {"activity": float(f"{float(wanted.mean()):.4g}"), "steps_per_second": rates}


def main() -> None:
    """Measure every activity, print it, and add it to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    facts = {"units": given.units, "density": given.density, "steps": given.steps, "dtype": "float32", "threads": 1}
    for activity in ACTIVITIES:
        found = row(given.units, given.density, given.steps, activity, 2 if given.quick else given.repeat)
        print(f"activity {found['activity']:.3f}: {found['steps_per_second']} steps/s", flush=True)
        if not given.quick:
            line = {"row": "spiking", **facts, **found, "target": TARGET, **about()}
            with RESULTS.open("a") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
