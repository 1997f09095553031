"""Layers whose quality is known, for the tests of `diagnose`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from liquidtorch.cells import Spec
from liquidtorch.layers import Layer


class Step(Layer):
    """Any step `h' = step(x, h, dt)` as a layer, its state its output."""

    def __init__(
        self, features: int, units: int, step: Callable[[Tensor, Tensor, Tensor], Tensor], bound: float = math.inf
    ) -> None:
        super().__init__()
        self.features, self.outputs, self.step, self.bound = features, units, step, bound
        self.unused = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self._publish()

    def state_spec(self) -> tuple[Spec, ...]:
        return (Spec("h", self.outputs, -self.bound, self.bound),)

    def initial(self, batch: int) -> Tensor:
        return self.unused.new_zeros(batch, self.outputs)

    def run(self, x: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Any]:
        found = []
        for t in range(x.shape[1]):
            h = self.step(x[:, t], h, dt[:, t : t + 1])
            found.append(h)
        return torch.stack(found, 1), h

    def taus(self) -> Tensor:
        return torch.empty(0)


class Spiking(Step):
    """Leaky neurons that fire at 1 and start again at 0, driven by currents; the output is 1 where one fires."""

    spiking = True

    def __init__(self, units: int, strength: float, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        W = strength * torch.randn(units, units, generator=draw, dtype=torch.float64) / units**0.5
        w = torch.rand(units, generator=draw, dtype=torch.float64)

        def step(x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
            fired = (h >= 1).to(h)
            return 0.9 * h * (1 - fired) + fired @ W.T + x * w

        super().__init__(1, units, step)

    def run(self, x: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Any]:
        v, h = super().run(x, h, dt, lengths, reset)
        return (v >= 1).to(v), h


def linear(W: Tensor, w: Tensor, **options: Any) -> Step:
    return Step(w.shape[1], len(W), lambda x, h, dt: h @ W.T + x @ w.T, **options)


def ring(units: int, radius: float = 0.9, closed: bool = True) -> Step:
    W = radius * torch.eye(units, dtype=torch.float64).roll(1, 0)
    if not closed:
        W[0, -1] = 0
    return linear(W, torch.eye(units, 1, dtype=torch.float64))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(units: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(noise(units, units, seed=seed))[0]
