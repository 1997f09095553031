"""What the tests of online rules share: cells on odd sizes, streams with irregular gaps, and BPTT as their oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from liquidtorch.cells import LTC, Cell, Leaky, Linear, Liquid, Mobius
from liquidtorch.wiring import Wiring, auto_ncp

FEATURES = 3


class Stream(NamedTuple):
    """Rows (T, F), gaps (T,) and what is asked of every state, dL/dh (T, H)."""

    x: np.ndarray
    dt: np.ndarray
    q: np.ndarray


def stream(cell: Cell, steps: int = 23, seed: int = 0) -> Stream:
    """Draw a stream with irregular gaps, one of them 0."""
    rng = np.random.default_rng(seed)
    dt = rng.uniform(0.1, 2.0, steps)
    dt[steps // 2] = 0.0
    return Stream(rng.normal(size=(steps, cell.features)), dt, rng.normal(size=(steps, cell.units)))


def ring(units: int, loops: bool = True, seed: int = 0) -> Wiring:
    """Wire a ring, in which every unit reaches every other, a few shortcuts and two units that feel themselves."""
    rng = np.random.default_rng(seed)
    recurrent = np.roll(np.eye(units, dtype=np.int8), 1, 0)
    recurrent[rng.integers(0, units, 3), rng.integers(0, units, 3)] = -1
    np.fill_diagonal(recurrent, 0)
    if loops:
        recurrent[1, 1] = recurrent[3, 3] = 1
    sensory = (rng.random((units, FEATURES)) < 0.6).astype(np.int8)
    return Wiring(recurrent, sensory, outputs=units)


NCP = auto_ncp(17, FEATURES, 3, seed=0)
CELLS: dict[str, Callable[[], Cell]] = {
    "leaky dense": lambda: Leaky(FEATURES, 7),
    "leaky one unit": lambda: Leaky(FEATURES, 1),
    "leaky ncp": lambda: Leaky(FEATURES, 17, wiring=NCP),
    "leaky ring": lambda: Leaky(FEATURES, 9, wiring=ring(9)),
    "leaky euler": lambda: Leaky(FEATURES, 7, method="euler", tau=(3.0, 9.0)),
    "liquid dense": lambda: Liquid(FEATURES, 7),
    "liquid ncp": lambda: Liquid(FEATURES, 17, wiring=NCP),
    "ltc dense": lambda: LTC(FEATURES, 5, unfolds=3),
    "ltc ncp": lambda: LTC(FEATURES, 17, unfolds=2, tau=(1.0, 20.0), wiring=NCP),
    "ltc ring": lambda: LTC(FEATURES, 9, unfolds=1, tau=(1.0, 20.0), wiring=ring(9)),
    "linear": lambda: Linear(FEATURES, 5),
    "mobius": lambda: Mobius(FEATURES, 5),
}


def cell(name: str, seed: int = 0) -> Cell:
    """Make one of `CELLS` in float64, its biases drawn too."""
    torch.manual_seed(seed)
    made = CELLS[name]().double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def step(cell: Cell, x: np.ndarray, h: torch.Tensor, dt: float) -> torch.Tensor:
    """Return the state (1, H) after a row, through which autograd goes back."""
    return cell.step(cell.inputs(torch.from_numpy(x)[None]), h, torch.full((1, 1), float(dt), dtype=torch.float64))


def bptt(cell: Cell, s: Stream, first: int = 0, last: int | None = None) -> dict[str, np.ndarray]:
    """Return the gradient of sum_t q_t h_t over the whole stream, the state before `first` taken as given."""
    h = torch.zeros(1, cell.units, dtype=torch.float64)
    total = h.sum() * 0
    for t, (x, dt, q) in enumerate(zip(*s, strict=True)):
        h = step(cell, x, h.detach() if t == first else h, dt)
        if last is None or t == last:
            total = total + (h[0] * torch.from_numpy(q)).sum()
    found = torch.autograd.grad(total, list(cell.parameters()), materialize_grads=True)
    return {n: g.numpy() for (n, _), g in zip(cell.named_parameters(), found, strict=True)}


def learned(rule, s: Stream, h: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return the sum of a rule's gradients over the stream."""
    h = np.zeros(s.q.shape[1]) if h is None else h
    total: dict[str, np.ndarray] = {}
    for x, dt, q in zip(*s, strict=True):
        h = rule.step(x, h, float(dt))
        for name, g in rule.gradient(q).items():
            total[name] = total.get(name, 0.0) + g
    return total


def apart(found: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray]) -> float:
    """Return the largest difference of a parameter's gradient, relative to the largest number of the true one."""
    assert found.keys() == true.keys()
    return max(np.abs(found[n] - g).max() / max(np.abs(g).max(), 1e-12) for n, g in true.items())


def cosine(found: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray]) -> float:
    """Return the cosine of two gradients, all parameters together."""
    a, b = (np.concatenate([of[n].ravel() for n in true]) for of in (found, true))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
