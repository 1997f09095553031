"""Probes against autograd: exact where e-prop is, and of much the same direction elsewhere."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from liquidtorch import LTC, CfC, Leaky, Liquid
from liquidtorch.cells import Cell
from liquidtorch.errors import OptionError
from liquidtorch.plasticity import (
    Change,
    Probes,
    Scores,
    Sources,
    birth_gradient,
    everyone,
    fill,
    grow,
    local,
    populate,
)  # fmt: skip
from liquidtorch.wiring import Wiring, full, random

H, F, T, DT = 8, 3, 25, 0.6
KINDS = {
    "leaky": lambda w: Leaky(F, H, tau=(1.0, 10.0), wiring=w),
    "euler": lambda w: Leaky(F, H, tau=(2.0, 10.0), method="euler", wiring=w),
    "liquid": lambda w: Liquid(F, H, tau=(1.0, 10.0), wiring=w),
    "ltc": lambda w: LTC(F, H, unfolds=4, tau=(1.0, 10.0), wiring=w),
}


def given(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((T, F)), rng.standard_normal((T, H))


def probed(cell: Cell, x: np.ndarray, q: np.ndarray) -> tuple[Scores, np.ndarray]:
    """The gradient of `sum_t q_t h_t` at every missing synapse by probes, all of them at once; and the states."""
    probes, h = Probes(cell, H + F), np.zeros(H)
    probes.draw(cell, everyone(cell), rng=np.random.default_rng(0))
    states = [h]
    for t in range(T):
        terms = local(cell, x[t], h, DT)
        probes.step(terms, h, x[t])
        with torch.no_grad():
            row = [torch.from_numpy(v)[None] for v in (x[t], h)]
            h = cell.step(cell.inputs(row[0]), row[1], torch.full((1, 1), DT, dtype=torch.float64))[0].numpy()
        probes.credit(q[t])
        states.append(h)
    found = probes.scores()
    return Scores(found.h * T, found.x * T), np.stack(states)


def exact(cell: Cell, x: np.ndarray, q: np.ndarray) -> Scores:
    whole = copy.deepcopy(cell)
    fill(whole)
    h, loss = torch.zeros(1, H, dtype=torch.float64), torch.zeros(())
    for t in range(T):
        u = whole.inputs(torch.from_numpy(x[t])[None])
        h = whole.step(u, h, torch.full((1, 1), DT, dtype=torch.float64))
        loss = loss + (h[0] * torch.from_numpy(q[t])).sum()
    loss.backward()
    missing = Scores(cell.live_h.numpy() == 0, cell.live_x.numpy() == 0)
    return Scores(*(np.where(m, g, 0.0) for m, g in zip(missing, birth_gradient(whole), strict=True)))


@pytest.mark.parametrize("kind", KINDS)
def test_exact_where_nothing_comes_back(kind: str) -> None:
    torch.manual_seed(0)
    cell = KINDS[kind](Wiring(np.zeros((H, H)), random(H, F, density=0.4).sensory, outputs=H)).double()
    x, q = given()
    (found, _), wanted = probed(cell, x, q), exact(cell, x, q)
    assert np.allclose(found.x, wanted.x, rtol=1e-9, atol=1e-12)
    assert (found.x > 0).sum() == (cell.live_x == 0).sum()
    if kind == "ltc":  # the source moves while a step is unfolded
        assert cosine(found.h, wanted.h) > 0.99
    else:
        assert np.allclose(found.h, wanted.h, rtol=1e-9, atol=1e-12)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


@pytest.mark.parametrize("kind", KINDS)
def test_near_where_much_comes_back(kind: str) -> None:
    near = []
    for seed in range(3):
        torch.manual_seed(seed)
        cell = KINDS[kind](random(H, F, density=0.3, seed=seed)).double()
        x, q = given(seed)
        (found, _), wanted = probed(cell, x, q), exact(cell, x, q)
        near += [cosine(a, b) for a, b in zip(found, wanted, strict=True)]
    assert np.median(near) > 0.85


def test_what_probes_grow_is_among_the_steepest() -> None:
    """By brute force, moving the weight of the grown synapse up and down."""
    torch.manual_seed(0)
    cell = KINDS["leaky"](random(H, F, density=0.3, seed=0)).double()
    x, q = given()
    wanted = exact(cell, x, q)
    change = grow(cell, populate(cell), probed(cell, x, q)[0], 1, rng=np.random.default_rng(0))
    (to, source), weight = (change.born[0], cell.W_h) if len(change.born) else (change.born_x[0], cell.W_x)
    losses = []
    for step in (-1e-5, 1e-5):
        with torch.no_grad():
            weight[to, source] = step
        losses.append((run(cell, x) * q).sum())
    slope = abs(losses[1] - losses[0]) / 2e-5
    assert slope == pytest.approx((wanted.h if weight is cell.W_h else wanted.x)[to, source], rel=1e-4)
    assert slope > 0.8 * max(wanted.h.max(), wanted.x.max())


def run(cell: Cell, x: np.ndarray) -> np.ndarray:
    h, found = torch.zeros(1, H, dtype=torch.float64), []
    with torch.no_grad():
        for row in x:
            h = cell.step(cell.inputs(torch.from_numpy(row)[None]), h, torch.full((1, 1), DT, dtype=torch.float64))
            found.append(h[0].numpy())
    return np.stack(found)


def test_the_terms_of_a_step_that_is_given_are_the_cells() -> None:
    """`local` walks through the step itself: what it makes of h is what the cell does, seen from the leak."""
    for kind in KINDS:
        torch.manual_seed(0)
        cell = KINDS[kind](Wiring(np.zeros((H, H)), random(H, F, density=0.4).sensory, outputs=H)).double()
        h = torch.full((1, H), 0.3, dtype=torch.float64)
        x = torch.ones(1, F, dtype=torch.float64)
        step = lambda h, cell=cell, x=x: cell.step(cell.inputs(x), h, torch.full((1, 1), DT, dtype=torch.float64))  # noqa: E731
        D = torch.autograd.functional.jacobian(step, h)[0, :, 0].numpy()
        assert np.allclose(local(cell, x[0].numpy(), h[0].numpy(), DT).leak, D.diagonal(), atol=1e-12)


def test_candidates_take_turns() -> None:
    cell = Leaky(F, H, wiring=random(H, F, density=0.3, seed=0)).double()
    population = populate(cell)
    rng, probes, seen = np.random.default_rng(0), Probes(cell, 2), np.zeros((H, H + F), bool)
    missing = np.concatenate([cell.live_h == 0, cell.live_x == 0], 1)
    for _ in range(60):
        probes.draw(cell, population, rng=rng)
        to, at = np.nonzero(probes.source >= 0)
        seen[to, probes.source[to, at]] = True
        assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in probes.source)
    assert np.array_equal(seen, missing & population.alive[:, None])


def test_probes_follow_a_change() -> None:
    cell = Leaky(F, H, wiring=random(H, F, density=0.3, seed=0)).double()
    probes = Probes(cell, H + F)
    probes.draw(cell, everyone(cell), rng=np.random.default_rng(0))
    probes.total[:] = 1.0
    probes.credit(np.zeros(H))
    scores = probes.scores()
    to, source = np.argwhere(scores.h > 0)[0]
    feature = np.argwhere(scores.x > 0)[-1]
    probes.follow(Change(born=[(to, source)], born_x=[feature]))
    after = probes.scores()
    assert after.h[to, source] == 0
    assert after.x[tuple(feature)] == 0
    assert (after.h > 0).sum() == (scores.h > 0).sum() - 1
    assert (after.x > 0).sum() == (scores.x > 0).sum() - 1
    probes.follow(Change(units_dead=[2]))
    assert not probes.scores().h[2].any()
    assert not probes.scores().h[:, 2].any()
    again = Probes(cell, H + F)
    for name, value in probes.arrays().items():
        again.arrays()[name][...] = value
    assert np.array_equal(again.scores().h, probes.scores().h)


def test_the_gate_of_a_new_conductance_lies_at_the_mean() -> None:
    cell = LTC(F, H, wiring=random(H, F, density=0.3, seed=0)).double()
    sources = Sources(np.full(H, 0.2), np.ones(H), np.full(F, 0.7), np.ones(F))
    probes = Probes(cell, H + F)
    probes.draw(cell, everyone(cell), sources=sources, rng=np.random.default_rng(0))
    x, h = np.full(F, 0.7), np.full(H, 0.2)
    probes.step(local(cell, x, h, DT), h, x)
    assert not probes.trace.any()


def test_cells_that_cannot_be_probed() -> None:
    for cell in (CfC(F, H, wiring=full(H, F)), Leaky(F, H), LTC(F, H)):
        with pytest.raises(OptionError, match="must be Leaky, Liquid or LTC, with a wiring"):
            local(cell.double(), np.zeros(F), np.zeros(H))
