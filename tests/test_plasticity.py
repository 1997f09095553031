"""Operations on the structure of a running cell: what they promise about its answers, its counts and its budget."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from growing import FEATURES, KINDS, LIVING, SLOTS, Running, consistent, synapses

from liquidtorch import CfC, Leaky, Linear
from liquidtorch.errors import OptionError, ShapeError
from liquidtorch.plasticity import (
    Change,
    Population,
    Scores,
    add,
    cosine,
    grow,
    merge,
    missed,
    populate,
    prune,
    recycle,
    regression,
    remove,
    rewire,
    saliency,
    split,
    with_room,
)  # fmt: skip
from liquidtorch.wiring import full, random

every = pytest.mark.parametrize("kind", KINDS)
ROUNDING, PROMISE = 1e-12, 1e-6


def drawn(running: Running) -> Scores:
    return Scores(running.rng.random((SLOTS, SLOTS)), running.rng.random((SLOTS, FEATURES)))


def moved(running: Running) -> float:
    """How far the answers are once the numbers of all live synapses have moved a little: nothing promised stays."""
    before = running.ahead()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in running.cell.parameters():
            parameter += 1e-3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return float(np.abs(running.ahead() - before).max() / before.std(0).min())


@every
def test_grown_synapses_change_nothing_until_they_learn(kind: str) -> None:
    running = Running(kind)
    count = synapses(running.cell)
    change, jump = running.jump(grow, drawn(running), 20, sources=running.sources, rng=running.rng)
    assert len(change.born) + len(change.born_x) == 20
    assert synapses(running.cell) == count + 20
    assert jump < ROUNDING
    assert moved(running) > 1e-4
    consistent(running.cell, running.population)


@every
def test_grown_synapses_have_a_gradient_as_large_as_the_others(kind: str) -> None:
    """One that is born dead would keep every promise and learn nothing."""
    running = Running(kind)
    change, _ = running.jump(grow, drawn(running), 20, sources=running.sources, rng=running.rng)
    to, source = change.born.T
    torch.manual_seed(0)
    states = torch.from_numpy(running.h)[None]
    u = running.cell.inputs(torch.from_numpy(running.x[200:230])[:, None])
    for t in range(30):
        states = running.cell.step(u[t], states, torch.full((1, 1), 0.7, dtype=torch.float64))
    (states @ torch.from_numpy(running.weight).T).sum().backward()
    grad = (running.cell.sigma if "ltc" in kind else running.cell.W_h).grad
    assert grad is not None
    fresh = grad[to, source].abs().numpy()
    old = grad.abs().numpy()[running.cell.wiring.recurrent != 0]
    assert np.median(fresh) > 0.05 * np.median(old)


@every
@pytest.mark.parametrize("share", [0.4, 0.5, 0.9])
def test_a_split_changes_nothing(kind: str, share: float) -> None:
    running = Running(kind)
    change, jump = running.jump(split, 2, share=share, noise=0.0, rng=running.rng)
    assert change.splits == ((2, LIVING, share),)
    assert change.units_born.tolist() == [LIVING]
    assert jump < ROUNDING
    consistent(running.cell, running.population)
    assert running.jump(split, LIVING, share=share, noise=0.0, rng=running.rng)[1] < ROUNDING  # and the child again
    assert moved(running) > 1e-4


@every
def test_a_split_with_noise_keeps_its_promise_and_tells_the_two_apart(kind: str) -> None:
    running = Running(kind)
    _, jump = running.jump(split, 2, rng=running.rng)
    assert 0 < jump < PROMISE
    states = running.run(running.x[200:])
    assert np.abs(states[:, 2] - states[:, LIVING]).max() > 1e-6


@pytest.mark.parametrize("kind", ["leaky", "liquid"])
def test_a_split_may_give_more_than_there_was(kind: str) -> None:
    running = Running(kind)
    assert running.jump(split, 2, share=1.5, noise=0.0, rng=running.rng)[1] < ROUNDING


def test_a_split_without_the_state_does_jump() -> None:
    """What the state's part in the promise is: 2 % without it."""
    running = Running("leaky")
    before = running.ahead()
    change = split(running.cell, running.population, 2, noise=0.0, rng=running.rng)
    h = running.h.copy()
    running.follow(change)
    running.h = h
    assert np.abs(running.ahead() - before).max() / before.std(0).min() > 1e-3


@every
def test_added_units_change_nothing_and_feel(kind: str) -> None:
    running = Running(kind)
    change, jump = running.jump(add, 4, tau=(5.0, 8.0), sources=running.sources, rng=running.rng)
    assert jump < ROUNDING
    assert len(change.units_born) == 4
    taus = running.cell.taus()[change.units_born]
    assert bool(((taus > 4.999) & (taus < 8.001)).all())
    assert running.run(running.x[200:])[:, change.units_born].std(0).min() > 1e-3
    assert moved(running) > 1e-4
    consistent(running.cell, running.population)


@every
def test_merging_a_split_undoes_it(kind: str) -> None:
    running = Running(kind)
    states, count = running.run(running.x[200:]), synapses(running.cell)
    running.jump(split, 2, share=0.3, noise=0.0, rng=running.rng)
    running.weight[:, 2] += running.weight[:, LIVING]
    change = merge(running.cell, running.population, 2, LIVING)
    running.follow(change)
    assert np.abs(running.run(running.x[200:]) - states).max() < ROUNDING
    assert synapses(running.cell) == count
    consistent(running.cell, running.population)


@pytest.mark.parametrize("kind", ["leaky", "liquid", "ltc"])
def test_merging_gives_what_only_one_gave(kind: str) -> None:
    """The child alone is felt by a third: the merged unit is from then on."""
    running = Running(kind)
    running.jump(split, 2, share=0.3, noise=0.0, rng=running.rng)
    wiring = running.cell.wiring
    felt = np.flatnonzero(wiring.recurrent[:, LIVING])[:1]
    scores = Scores(np.zeros((SLOTS, SLOTS)), np.zeros((SLOTS, FEATURES)))
    scores.h[:], scores.x[:] = 9.0, 9.0
    scores.h[felt, 2] = 0.0
    prune(running.cell, running.population, 1, scores=scores, rng=running.rng)
    assert not running.cell.wiring.recurrent[felt, 2]
    before = running.run(running.x[200:])
    change = merge(running.cell, running.population, 2, LIVING)
    assert change.born.tolist() == [[felt[0], 2]]
    change.carry(running.h)
    after = running.run(running.x[200:])
    before[:, LIVING] = 0.0
    assert np.abs(after - before).max() < ROUNDING


@every
def test_a_unit_that_gives_always_the_same_is_recycled_and_removed_without_a_trace(kind: str) -> None:
    for operation in (recycle, remove):
        running = Running(kind)
        constant(running, 4)
        running.weight[:, 4] = 0.0
        options = {"tau": (2.0, 3.0), "rng": running.rng} if operation is recycle else {}
        change, jump = running.jump(operation, 4, sources=running.sources, **options)
        assert jump < (ROUNDING if "ltc" not in kind else 1e-9)
        assert 4 in change.units_dead
        consistent(running.cell, running.population)
        if operation is recycle:
            assert 2.0 <= running.cell.taus()[4] <= 3.0
            assert running.run(running.x[200:])[:, 4].std() > 1e-3


def constant(running: Running, unit: int) -> None:
    """Let what a unit feels not move it: it stands still, at 0.5 or for an LTC where its synapses half open put it."""
    cell = running.cell
    assert cell.wiring.recurrent[unit].any()
    assert cell.wiring.recurrent[:, unit].any()
    with torch.no_grad():
        for name, value in cell.named_parameters():
            if name in ("W_h", "W_x", "G_h", "G_x", "sigma", "sigma_x"):
                value[unit] = 0.0
        if "ltc" not in type(cell).__name__.lower():
            cell.b[unit] = np.arctanh(0.5)
    for _ in range(3):
        states = running.run(running.x[:200])
        running.h = states[-1]
    assert states[:, unit].std() < 1e-9
    assert abs(states[-1, unit]) > 1e-3
    running.sources = running.sources._replace(mean_h=states.mean(0))


@every
def test_pruning_keeps_what_was_always_the_same(kind: str) -> None:
    running = Running(kind)
    running.x[:, 0] = 0.7
    running.h = running.run(running.x[:200])[-1]
    mean = running.sources.mean_x.copy()
    mean[0] = 0.7
    running.sources = running.sources._replace(mean_x=mean)
    scores = Scores(np.full((SLOTS, SLOTS), 9.0), np.full((SLOTS, FEATURES), 9.0))
    scores.x[:, 0] = 0.0
    count = int((running.cell.wiring.sensory[:, 0] != 0).sum())
    assert count
    change, jump = running.jump(prune, count, scores=scores, sources=running.sources, rng=running.rng)
    assert jump < ROUNDING
    assert set(change.dead_x[:, 1]) == {0}
    again = Running(kind)
    again.x[:, 0] = 0.7
    again.h = again.run(again.x[:200])[-1]
    assert again.jump(prune, count, scores=scores, rng=again.rng)[1] > 1e-4  # without the means it jumps


def test_the_least_salient_go_and_take_little_with_them() -> None:
    """Against the brute force: which synapse, if it alone goes, moves the answers least."""
    jumps = {}
    for which in ("least", "most"):
        found = []
        for seed in range(4):
            running = Running("leaky", seed=seed)
            s = saliency(running.cell, running.sources)
            s = s if which == "least" else Scores(1 / (1e-9 + s.h), 1 / (1e-9 + s.x))
            found.append(running.jump(prune, 3, scores=s, sources=running.sources, rng=running.rng)[1])
        jumps[which] = np.median(found)
    assert jumps["least"] < 0.1 * jumps["most"]


def test_what_is_told_from_others_is_kept() -> None:
    """A unit that is a mixture of two others, felt by who feels these: removed without a trace, with its slopes."""
    for given in (True, False):
        running = Running("leaky", density=1.0)
        states = running.states[50:]
        C = np.cov(states.T, bias=True)
        slope = regression(C, 5)
        fit = (states - states.mean(0)) @ slope
        assert np.allclose(slope[running.population.free], 0)
        rest = (states[:, 5] - states[:, 5].mean() - fit).std() / states[:, 5].std()
        running.weight[:, 5] = 0.0
        options = {"slope": slope} if given else {}
        jump = running.jump(remove, 5, sources=running.sources, **options)[1]
        assert rest < 0.5
        if given:
            kept = jump
    assert kept < 0.5 * jump


def test_slopes_are_those_of_least_squares() -> None:
    z = np.random.default_rng(0).standard_normal((200, 5)) @ np.random.default_rng(1).standard_normal((5, 5))
    C = np.cov(z.T, bias=True)
    others = [0, 1, 3, 4]
    centred = z - z.mean(0)
    wanted = np.linalg.lstsq(centred[:, others], centred[:, 2], rcond=None)[0]
    assert np.allclose(regression(C, 2, ridge=0.0)[others], wanted, atol=1e-9)
    P = np.linalg.inv(C)
    assert np.allclose(-P[2, others] / P[2, 2], wanted, atol=1e-9)


def test_missed_is_what_the_error_grows_by() -> None:
    """Against least squares with and without the feature: half the growth of the mean squared error."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((400, 4)) @ rng.standard_normal((4, 4))
    y = z @ rng.standard_normal((4, 2)) + 0.3 * rng.standard_normal((400, 2))

    def error(z: np.ndarray) -> float:
        return float(np.square(y - z @ np.linalg.lstsq(z, y, rcond=None)[0]).mean(0).sum())

    W = np.linalg.lstsq(z, y, rcond=None)[0].T
    found = missed(W, np.linalg.inv(z.T @ z / len(z)))
    wanted = [(error(np.delete(z, j, 1)) - error(z)) / 2 for j in range(4)]
    assert np.allclose(found, wanted, rtol=1e-9)


@every
def test_rewiring_keeps_the_counts(kind: str) -> None:
    running = Running(kind)
    for _ in range(5):
        running.population.tick()
        before = running.cell.wiring
        change, _ = running.jump(rewire, drawn(running), 0.3, sources=running.sources, maturity=1, rng=running.rng)
        after = running.cell.wiring
        assert (after.synapses, after.sensory_synapses) == (before.synapses, before.sensory_synapses)
        assert len(change.born) == len(change.dead) == int(0.3 * before.synapses)
        assert len(change.born_x) == len(change.dead_x) == int(0.3 * before.sensory_synapses)
        assert not before.recurrent[tuple(change.born.T)].any()
        assert not after.recurrent[tuple(change.dead.T)].any()
        consistent(running.cell, running.population)


def test_rewiring_takes_the_best_for_the_least() -> None:
    running = Running("leaky")
    scores, worth = drawn(running), saliency(running.cell, running.sources)
    live, alive = running.cell.wiring.recurrent != 0, running.population.alive
    change = rewire(running.cell, running.population, scores, 0.2, sources=running.sources, rng=running.rng)
    dead, born = change.dead, change.born
    stays = live.copy()
    stays[tuple(dead.T)] = False
    assert worth.h[tuple(dead.T)].max() <= worth.h[stays].min()
    left = ~live & alive[:, None] & alive
    left[tuple(born.T)] = False
    assert scores.h[tuple(born.T)].min() >= scores.h[left].max()


def test_the_young_are_spared() -> None:
    running = Running("leaky")
    running.population.tick(10)
    born = grow(running.cell, running.population, drawn(running), 6, rng=running.rng)
    running.population.tick(5)
    change = prune(running.cell, running.population, 1000, maturity=6, rng=running.rng)
    gone = {tuple(p) for p in change.dead}
    assert not gone & {tuple(p) for p in born.born}
    assert running.cell.wiring.synapses == len(born.born)


def test_the_budget_is_held() -> None:
    running = Running("leaky", most_units=LIVING + 1, most_synapses=40)
    room = running.population.room(running.cell)
    assert room.units == 1
    kept = {k: v.clone() for k, v in running.cell.state_dict().items()}
    wiring, alive = running.cell.wiring, running.population.alive.copy()
    with pytest.raises(OptionError, match=f"`most_synapses` must leave room for {room.synapses + 1} more"):
        grow(running.cell, running.population, drawn(running), room.synapses + 1, rng=running.rng)
    with pytest.raises(OptionError, match="`most_units` must leave room for 2 more; it leaves 1 of 10"):
        add(running.cell, running.population, 2, tau=(1.0, 2.0), fan_in=1, fan_out=0, rng=running.rng)
    with pytest.raises(OptionError, match="`count` must be at most 5"):
        add(running.cell, running.population, 6, tau=(1.0, 2.0), rng=running.rng)
    assert running.cell.wiring is wiring
    assert np.array_equal(running.population.alive, alive)
    assert all(torch.equal(v, kept[k]) for k, v in running.cell.state_dict().items())
    grow(running.cell, running.population, drawn(running), room.synapses, rng=running.rng)
    assert running.population.room(running.cell).synapses == 0
    rewire(running.cell, running.population, drawn(running), 0.5, rng=running.rng)
    with pytest.raises(OptionError, match="Prune first"):
        split(running.cell, running.population, 0, rng=running.rng)
    with pytest.raises(OptionError, match="`most_units` must be at least 9, what the cell has already; got 8"):
        populate(running.cell, most_units=8)


def test_a_life_of_changes_stays_in_order() -> None:
    """Everything in any order, as a controller might: masks, lists, population and budget agree all along."""
    for kind in KINDS:
        running = Running(kind, most_synapses=110)
        rng, done = running.rng, set()
        for _ in range(150):
            cell, population = running.cell, running.population
            population.tick()
            room, living = population.room(cell), np.flatnonzero(population.alive)
            fan = int(synapses(cell) / max(len(living), 1)) + 2
            name = rng.choice(["grow", "prune", "rewire", "split", "add", "remove", "merge", "recycle"])
            unit, other = (int(u) for u in rng.choice(living, 2, replace=False))
            if name == "grow":
                change = grow(cell, population, drawn(running), min(3, room.synapses), rng=rng)
            elif name == "prune":
                change = prune(cell, population, 2, sources=running.sources, rng=rng)
            elif name == "rewire":
                change = rewire(cell, population, drawn(running), 0.2, rng=rng)
            elif name == "split" and room.units and room.synapses > 3 * fan + 9:
                change = split(cell, population, unit, rng=rng)
            elif name == "add" and room.units and room.synapses > 2 * fan:
                change = add(cell, population, 1, tau=(1.0, 5.0), rng=rng)
            elif name in ("remove", "merge") and len(living) > 4:
                change = remove(cell, population, unit) if name == "remove" else merge(cell, population, unit, other)
            else:
                change = recycle(cell, population, unit, tau=(1.0, 5.0), rng=rng)
            done.add(name)
            running.follow(change)
            consistent(cell, population)
            states = running.run(running.x[:20])
            assert np.isfinite(states).all()
            assert not states[:, population.free].any()
            running.h = states[-1]
        assert len(done) == 8


def test_units_that_cannot_be() -> None:
    running = Running("leaky")
    cell, population, rng = running.cell, running.population, running.rng
    for call in (
        lambda: split(cell, population, LIVING, rng=rng),
        lambda: remove(cell, population, LIVING),
        lambda: recycle(cell, population, LIVING, tau=(1.0, 2.0), rng=rng),
        lambda: merge(cell, population, 0, LIVING),
    ):
        with pytest.raises(OptionError, match=f"must be alive; unit {LIVING} is a free slot"):
            call()
    with pytest.raises(OptionError, match="`gone` must be another unit"):
        merge(cell, population, 1, 1)
    with pytest.raises(OptionError, match="`slope` must come with `sources`"):
        remove(cell, population, 1, slope=np.zeros(SLOTS))
    with pytest.raises(ShapeError, match=r"`scores.h` must have the shape \(units=14"):
        grow(cell, population, Scores(np.zeros((2, 2)), np.zeros((14, 3))), 1, rng=rng)
    hidden = Leaky(2, 6, wiring=random(6, 2, 2, density=0.5))
    with pytest.raises(OptionError, match="must show every unit for units to come and go; it shows 2 of 6"):
        split(hidden, populate(hidden), 0, rng=rng)
    with pytest.raises(OptionError, match="must have a wiring, for its structure to change"):
        populate(Leaky(2, 3))
    with pytest.raises(OptionError, match="must have a wiring"):
        populate(Linear(2, 3))
    with pytest.raises(OptionError, match="must be Leaky, Liquid or LTC; got CfC"):
        populate(CfC(2, 3, wiring=full(3, 2)))
    ltc = Running("ltc")
    with pytest.raises(OptionError, match="`share` must be above 0 and below 1 for LTC"):
        split(ltc.cell, ltc.population, 0, share=1.5, rng=rng)
    with pytest.raises(OptionError, match="`units` must be a whole number at least 6"):
        with_room(random(6, 2), 4)


def test_all_slots_taken() -> None:
    cell = Leaky(2, 3, wiring=full(3, 2))
    with pytest.raises(OptionError, match="must have a free slot to split a unit"):
        split(cell, populate(cell), 0, rng=np.random.default_rng(0))


def test_float32_cells_keep_what_is_not_touched() -> None:
    torch.manual_seed(0)
    cell = Leaky(2, 8, wiring=with_room(random(5, 2, density=0.5), 8))
    population = populate(cell)
    kept = {k: v.clone() for k, v in cell.state_dict().items()}
    scores = Scores(np.ones((8, 8)), np.zeros((8, 2)))
    change = grow(cell, population, scores, 4, rng=np.random.default_rng(0))
    for name, value in cell.state_dict().items():
        same = torch.ones_like(value, dtype=torch.bool)
        if name == "W_h":
            same[tuple(change.born.T)] = False
        assert torch.equal(value[same], kept[name][same])


def test_ages() -> None:
    population = Population(np.array([True, True, False]), 1, most_units=3, most_synapses=12)
    population.tick(7)
    population.follow(Change(units_born=[2], units_dead=[0], born=[(2, 1)]))
    population.tick(2)
    assert population.age.tolist() == [2, 9, 2]
    assert population.alive.tolist() == [False, True, True]
    assert population.since_h[2, 1] == 7
    again = Population(np.zeros(3, bool), 1, most_units=3, most_synapses=12)
    for name, value in population.arrays().items():
        again.arrays()[name][...] = value
    assert again.age.tolist() == [2, 9, 2]


def test_copies_lead_back_to_the_first() -> None:
    change = Change(
        born=[(2, 0), (3, 2), (1, 3), (1, 1)], born_x=[(3, 0)], units_born=[2, 3], splits=((0, 2, 0.5), (2, 3, 0.5))
    )
    copies = change.copies()
    assert copies.born.tolist() == [[2, 0], [3, 2], [1, 3]]
    assert copies.of.tolist() == [[0, 0], [0, 0], [1, 0]]
    assert change.copies_x().of.tolist() == [[0, 0]]
    h = np.array([[0.5, 0.1, 0.2, 0.3]])
    change.carry(h)
    assert h.tolist() == [[0.5, 0.1, 0.5, 0.5]]


def test_less_and_less_is_rewired() -> None:
    found = [cosine(0.3, done) for done in np.linspace(0, 1, 21)]
    assert found[0] == 0.3
    assert found == sorted(found, reverse=True)
    assert found[15:] == [0.0] * 6
