"""Samples through channels, body and view in one call, beside the same one after the other: equal bit by bit."""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import steppers
import torch

from liquidtorch.layers import Layer, Recurrent
from liquidtorch.online.arrival import Arrival
from liquidtorch.online.body import Body
from liquidtorch.online.channels import Channels
from liquidtorch.online.inputs import OfLayer, plain
from liquidtorch.online.view import View

STEPS = 80
ODD = {20: -math.inf, 40: 1e3, 43: -1e3, 50: math.inf, 70: 1e200}  # 5 deviations away is one of 27 values, at the least
Sample = tuple[dict[Hashable, Any], float, int]


def samples(names: list[Hashable], seed: int) -> Iterator[Sample]:
    """Give samples with gaps, outliers, steps of no time and a value that never changes, of two streams; two wrong."""
    rng = np.random.default_rng(seed)
    for t in range(STEPS):
        x = {name: float(v) for name, v in zip(names, rng.normal(3, 1, len(names)), strict=True)}
        x[names[-1]] = 7 if t % 2 else 7.0
        for name in names:
            if rng.random() < 0.2:
                x[name] = (math.nan, None, True)[int(rng.integers(3))]
            if rng.random() < 0.1:
                del x[name]
        if t in ODD:
            x[names[t % len(names)]] = ODD[t]
        yield dict(sorted(x.items(), key=str, reverse=bool(t % 3))), (0.0, 0.5, 2.0)[t % 3], int(rng.integers(2))


def bodies() -> Iterator[tuple[Layer, int]]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for H, F in steppers.SIZES:
            for cell in steppers.cells(H, F):
                yield Recurrent(cell).double(), F


def same(layer: Layer, F: int) -> str:
    """Return what differs between the two ways, "" if nothing does."""
    names: list[Hashable] = [f"feature {j}" if j % 2 else j for j in range(F)]
    fast, slow = OfLayer(Channels(F, names)), OfLayer(Channels(F, names))
    view, body, other = View(layer.outputs, 0), Body(layer), Body(layer)
    view.room(F)
    way, h, g = body.find(fast, view), [body.initial()] * 2, [body.initial()] * 2
    if not isinstance(way, Arrival):
        return "no way"
    for t, (x, dt, key) in enumerate(samples(names, F)):
        before = copy.deepcopy(fast.channels.state())
        found = way(x, h[key], dt)
        if any(v is not None and math.isinf(v) for v in x.values()):
            if found is not None or fast.channels.state() != before:
                return f"an infinite value at {t}"
            continue
        if found is None:
            return f"no answer at {t}"
        u = slow.channels.read(x)
        y, g[key] = other.step(u, g[key], dt)
        z, shown, h[key], kept = found
        pairs = (z, view.see(y, u)), (shown, u), (h[key], g[key])
        if not all(np.array_equal(a, b) for a, b in pairs) or kept != plain(x):
            return f"sample {t}"
    return "" if str(fast.channels.state()) == str(slow.channels.state()) else "channels"


def faults() -> Iterator[str]:
    """Give the layers for which the two ways differ, and in what, one after the other."""
    for layer, F in bodies():
        what = same(layer, F)
        if what:
            yield f"arrival of {layer.cell}: {what}"  # pyright: ignore
