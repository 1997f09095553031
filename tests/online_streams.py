"""Streams and models that the tests of online learning share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from liquidtorch import EchoState, Leaky, Liquid, LiquidNetwork, MixedMemory, Recurrent, Stack, wiring
from liquidtorch.data import from_arrays
from liquidtorch.layers import Layer
from liquidtorch.online import Online
from liquidtorch.task import infer

Row = tuple[dict[str, float], Any]


def rows(steps: int, names: str = "ab", seed: int = 0) -> list[Row]:
    """Numbers that lag behind their causes."""
    x = np.random.default_rng(seed).normal(size=(steps, len(names)))
    y = 0.5 * np.roll(x[:, 0], 1) + x[:, -1] + 3
    return [(dict(zip(names, row, strict=True)), label) for row, label in zip(x.tolist(), y.tolist(), strict=True)]


def classed(steps: int, seed: int = 0) -> list[Row]:
    return [(x, ("low", "mid", "high")[int(y > 2.5) + int(y > 3.5)]) for x, y in rows(steps, seed=seed)]


def echo(features: int = 2, units: int = 12, seed: int = 1) -> EchoState:
    return EchoState(features, units, seed=seed, tau=(1.0, 10.0))


def of_cell(make: Callable[..., Any], *sizes: int, **options: Any) -> Layer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Recurrent(make(*sizes, **options))


def asked(online: Online, x: Any, dt: float = 1.0, key: Any = None) -> Any:
    """The answer, in a form that `==` compares bit by bit."""
    if online.classes is not None:
        return online.predict_proba_one(x, dt, key=key)
    found = online.predict_one(x, dt, key=key)
    return found.tolist() if isinstance(found, np.ndarray) else found


BODIES: dict[str, Callable[[], Layer]] = {
    "echo": lambda: echo(2),
    "leaky": lambda: of_cell(Leaky, 2, 8),
    "liquid": lambda: of_cell(Liquid, 2, 8),
    "wired": lambda: of_cell(Liquid, 2, 8, wiring=wiring.random(8, 2, density=0.5, outputs=3, seed=0)),
    "stack": lambda: Stack([of_cell(Leaky, 2, 8), of_cell(Liquid, 8, 5)]),
    "memory": lambda: MixedMemory(Leaky(2, 6)),
}


def series(steps: int = 150, gaps: bool = True) -> tuple[np.ndarray, np.ndarray]:
    data = rows(steps, seed=3)
    x = np.array([list(x.values()) for x, _ in data])
    if gaps:
        x[::7, 1] = np.nan
    return x, np.array([y for _, y in data])


def fitted_network(**options: Any) -> LiquidNetwork:
    x, y = series()
    train = from_arrays([x, x], [y, y], names=["s", "t"], features=["a", "b"], targets=["y"])
    task, _ = infer(train)
    return LiquidNetwork.for_data(train, task, units=8, **options)
