"""Spiking liquids on drawn numbers, away from ties: no potential so near its threshold that rounding decides.

Numbers are drawn in float32; the kernels of float32 and float64 are held to the reference in float64.
"""

from __future__ import annotations

from typing import Any

import torch
import twins
from torch import Tensor

from liquidtorch import ops
from liquidtorch.ops import reference

TIE = 3e-5  # thresholds; float32 is known to some 1e-6
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}  # of the largest number of a tensor, or of 1
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {}, "charges": {"charges": True}, "late": {"slots": 3}, "late-charges": {"slots": 1, "charges": True},
    "adaptive": {"adapts": True}, "plastic": {"plastic": True}, "all": {"slots": 5, "adapts": True, "plastic": True},
    "eager": {"slots": 2, "refractory": 0.0, "traces": 1}, "unconnected": {"density": 0.0},
}  # fmt: skip


class Problem:
    """A liquid, its input, and the state it starts from."""

    def __init__(self, name: str, H: int, B: int, T: int, seed: int = 0, dt: str = "irregular", ends: str = "whole"):
        for again in range(200):
            self._draw(twins.Draw(1000 * seed + again), H, B, T, dt, ends, **VARIANTS[name])
            if self._margin() > TIE:
                return
        raise AssertionError("no draw without a tie")

    def _draw(
        self, draw: twins.Draw, H: int, B: int, T: int, dt: str, ends: str, *, charges: bool = False, slots: int = 0,
        adapts: bool = False, plastic: bool = False, refractory: float = 3.0, traces: int = 3, density: float = 0.4,
    ) -> None:  # fmt: skip
        source, target = draw.chance(density, H, H).nonzero(as_tuple=True)
        S, kind = len(source), (torch.arange(H) >= 0.7 * H).long()
        pool = 2 * source + kind[target]
        order = pool.argsort(stable=True)
        source, target, pool = source[order], target[order], pool[order]
        late = torch.from_numpy(draw.rng.integers(0, slots + 1, S))
        place = (2 * late + kind[source]) * H + target
        membrane = torch.tensor([1.0, 0.3, 0.4], dtype=torch.float64)
        self.liquid = ops.Spiking(
            draw.uniform(2, 9, H), draw.uniform(1, 6, 2), draw.uniform(2, 20, traces),
            draw.uniform(0.5, 1, H) * refractory, membrane, draw.uniform(-1, 0.9, H),
            torch.searchsorted(pool, torch.arange(2 * H + 1)).int(), pool.int(), place.int(),
            draw.uniform(0.2, 2.0, S) * (1 - 2 * kind[source]), torch.tensor(0.7).double() if slots else None, slots,
            torch.tensor([0.3, 7.0]).double() if adapts else None,
            torch.stack([draw.uniform(0.1, 0.9, 2 * H), draw.uniform(1, 9, 2 * H), draw.uniform(1, 9, 2 * H)])
            if plastic else None,
        )  # fmt: skip
        self.u = draw.normal(B, T, 2 * H).abs() if charges else draw.normal(B, T, H, scale=3.0)
        if charges:
            self.u[..., :H] *= 2.5
            self.u[..., H:] *= -0.4
        times, shape = twins.dt_of(draw, dt, B, T)
        self.dt = times.expand(shape)
        low = {"v": -1, "phase": 0.1, "current": -1, "pending": -1}
        high = {"phase": 0.9, "v": 0.9, "current": 1, "pending": 1, "trace": 2}
        self.h = [
            draw.uniform(low.get(name, 0), high.get(name, 1), B, width) for name, width in self.liquid.widths().items()
        ]
        self.h[1] = torch.where(self.h[1] < 0.5, 0.0, self.h[1])
        self.ends = twins.ends_of(draw, ends, B, T)

    def _margin(self) -> float:
        """Return how near any potential comes to its threshold."""
        nearest, fires = [1.0], reference.fires

        def watched(x: Tensor) -> Tensor:
            nearest.append(float(x.abs().min()) if x.numel() else 1.0)
            return fires(x)

        reference.fires = watched
        self.run("reference", torch.float64)
        reference.fires = fires
        return min(nearest)

    def run(self, which: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the traces after every step and the tensors of the state at the end."""
        liquid = ops.Spiking(
            *(t.to(dtype) if isinstance(t, Tensor) and t.is_floating_point() else t for t in self.liquid)
        )
        with ops.use(which), torch.no_grad():
            h = [a.to(dtype) for a in self.h]
            traces, after = ops.spiking(self.u.to(dtype), h, self.dt.to(dtype), liquid, **self.ends)
        return {"traces": traces} | dict(zip(liquid.widths(), after, strict=True))


def error(found: Tensor, wanted: Tensor) -> float:
    if not wanted.numel():
        return 0.0
    return float((found.double() - wanted).abs().max()) / max(1.0, float(wanted.abs().max()))


def differences(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """Say where results differ: a spike more or less changes a trace by 1, far above the tolerance."""
    assert found.keys() == wanted.keys()
    return [
        f"{name} by {error(found[name], wanted[name]):.2g}"
        for name in wanted
        if found[name].shape != wanted[name].shape
        or not error(found[name], wanted[name]) <= TOLERANCE[found[name].dtype]
    ]


def faults(problem: Problem) -> list[str]:
    """Compare the kernel in each dtype with the reference in float64."""
    wanted = problem.run("reference", torch.float64)
    return [
        f"{dtype}: {what}" for dtype in TOLERANCE for what in differences(problem.run("fast", dtype), wanted)
    ]  # fmt: skip
