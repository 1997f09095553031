"""A cell that takes another wiring is the cell that was made with it, in every way it is run."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from liquidtorch import LTC, CfC, Leaky, Liquid, Recurrent, ops
from liquidtorch.cells import Cell, build
from liquidtorch.errors import OptionError, ShapeError
from liquidtorch.wiring import Wiring, auto_ncp, full, random

KINDS = [Leaky, Liquid, LTC, CfC]


def pair(kind: type[Cell], before: Wiring, after: Wiring, dtype: torch.dtype) -> tuple[Recurrent, Recurrent]:
    torch.manual_seed(0)
    rewired = Recurrent(kind(before.features, before.units, wiring=before)).to(dtype)
    made = Recurrent(kind(before.features, before.units, wiring=after)).to(dtype)
    rewired.cell.rewire(after)
    made.load_state_dict(rewired.state_dict())
    return rewired, made


WIRINGS = {
    "dense to sparse": (full(9, 3), random(9, 3, density=0.1, seed=2)),
    "sparse to dense": (random(9, 3, density=0.1, seed=2), full(9, 3)),
    "roles": (auto_ncp(9, 3, 2, seed=0), auto_ncp(9, 3, 2, seed=5)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WIRINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_rewired_is_made(kind: type[Cell], name: str, dtype: torch.dtype, backend: str) -> None:
    before, after = WIRINGS[name]
    assert before != after
    rewired, made = pair(kind, before, after, dtype)
    x = torch.randn(3, 7, 3, dtype=dtype, generator=torch.Generator().manual_seed(1))
    with ops.use(backend):
        found = []
        for layer in (rewired, made):
            y, h = layer(x, dt=0.7)
            y.square().sum().backward()
            found.append([y, h, *(p.grad for p in layer.parameters())])
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
        one, other = (layer.stepper() for layer in (rewired, made))
        for row, y in zip(x[0].numpy(), found[0][0][0].detach().numpy(), strict=True):
            step = one(row, 0.7)
            assert np.array_equal(step, other(row, 0.7))
            assert np.allclose(step, y, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_rewired_is_seen_by_what_comes_later(kind: type[Cell]) -> None:
    before, after = WIRINGS["dense to sparse"]
    rewired, made = pair(kind, before, after, torch.float64)
    assert rewired.cell.config() == made.cell.config()
    again = build(rewired.cell.config()).double()
    again.load_state_dict(rewired.cell.state_dict())
    x = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = rewired(x)[0]
    assert torch.equal(Recurrent(again)(x)[0], y)
    assert torch.equal(copy.deepcopy(rewired)(x)[0], y)
    assert not torch.allclose(pair(kind, before, before, torch.float64)[0](x)[0], y)


def test_masks_and_parameters_stay_the_same_tensors() -> None:
    before, after = WIRINGS["sparse to dense"]
    cell = Leaky(3, 9, wiring=before)
    kept = [cell.live_h, cell.live_x, *cell.parameters()]
    cell.rewire(after)
    assert all(a is b for a, b in zip(kept, [cell.live_h, cell.live_x, *cell.parameters()], strict=True))
    assert cell.live_h.sum() == after.synapses


def test_wirings_that_do_not_fit() -> None:
    with pytest.raises(OptionError, match="must be given when a cell is made"):
        Leaky(3, 9).rewire(full(9, 3))
    cell = Leaky(3, 9, wiring=full(9, 3))
    with pytest.raises(ShapeError, match="must have 9 units and 3 features"):
        cell.rewire(full(8, 3))
    with pytest.raises(OptionError, match=r"got inter at 2 \(motor so far\)"):
        cell.rewire(full(9, 3, 2))
