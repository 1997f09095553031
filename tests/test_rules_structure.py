"""Online rules on a structure that changes: what is exact stays exact, through growth and through splits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from streams import FEATURES, Stream, apart, bptt, learned, ring, step, stream

from liquidtorch.cells import LTC, Cell, Leaky, Liquid
from liquidtorch.online import rules
from liquidtorch.online.rules.rule import Rule

UNITS = 9  # the last two are free slots
EXACT = 1e-9
CELLS = {
    "leaky": lambda wiring: Leaky(FEATURES, UNITS, wiring=wiring),
    "liquid": lambda wiring: Liquid(FEATURES, UNITS, wiring=wiring),
    "ltc": lambda wiring: LTC(FEATURES, UNITS, unfolds=2, tau=(1.0, 20.0), wiring=wiring),
}


def free(cell: Cell, units: list[int]) -> None:
    """Make free slots of units: no synapse, no bias."""
    live_h, live_x = cell.live_h.clone(), cell.live_x.clone()
    live_h[units] = live_h[:, units] = live_x[units] = 0
    with torch.no_grad():
        getattr(cell, "vleak" if isinstance(cell, LTC) else "b")[units] = 0
    rewire(cell, live_h, live_x)


def rewire(cell: Cell, live_h: torch.Tensor, live_x: torch.Tensor) -> None:
    """Set which synapses exist; the buffers are others, so that what autograd has kept stays as it was."""
    cell.live_h, cell.live_x = live_h, live_x
    cell._relist()


def grown(kind: str, seed: int = 0, loops: bool = True, first: int = 0) -> Cell:
    """Make a cell of seven units in a ring with shortcuts, some of which feel themselves, and two free slots.

    The ring is made of the units from `first` on.
    """
    torch.manual_seed(seed)
    seven = ring(UNITS - 2, loops, seed)
    wiring = ring(UNITS, loops, seed)
    made = CELLS[kind](wiring).double()
    live_h, live_x = torch.zeros_like(made.live_h), made.live_x.clone()
    taken = slice(first, first + UNITS - 2)
    live_h[taken, taken] = torch.from_numpy((seven.recurrent != 0).astype(float))
    rewire(made, live_h, live_x)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.copy_(
                parameter + 0.1 * torch.randn_like(parameter) if name != "erev" else torch.randn(UNITS, UNITS)
            )
    free(made, [i for i in range(UNITS) if not first <= i < first + UNITS - 2])
    return made


def change(**parts: Any) -> SimpleNamespace:
    """Say what happened, as `plasticity.Change` does."""
    none = {"born": [], "dead": [], "born_x": [], "dead_x": []}
    pairs = {name: np.array(parts.get(name, []), int).reshape(-1, 2) for name in none}
    units = {name: np.array(parts.get(name, []), int) for name in ("units_born", "units_dead")}
    return SimpleNamespace(**pairs, **units, splits=parts.get("splits", ()))


@torch.no_grad()
def split(cell: Cell, parent: int, child: int, share: float) -> SimpleNamespace:
    """Make one unit two that feel the same and share what the one gave to others."""
    old_h, old_x = cell.live_h.clone(), cell.live_x.clone()
    live_h, live_x = old_h.clone(), old_x.clone()
    live_h[child], live_x[child] = live_h[parent], live_x[parent]
    live_h[:, child] = live_h[:, parent]
    for name, axes in cell.axes.items():
        parameter = getattr(cell, name)
        parameter[child] = parameter[parent]
        if axes == "HH":
            parameter[:, child] = parameter[:, parent]
            for unit, part in ((child, share), (parent, 1 - share)):
                if name == "W_h" or name == "G_h":
                    parameter[:, unit] *= part
                elif name == "w":  # before its softplus
                    parameter[:, unit] = torch.log(torch.expm1(part * torch.nn.functional.softplus(parameter[:, unit])))
    rewire(cell, live_h, live_x)
    born, born_x = ((now - then > 0).nonzero().numpy() for now, then in ((live_h, old_h), (live_x, old_x)))
    return change(born=born, born_x=born_x, units_born=[child], splits=((parent, child, share),))


def run(rule: Rule, s: Stream, h: np.ndarray) -> np.ndarray:
    for x, dt, _ in zip(*s, strict=True):
        h = rule.step(x, h, float(dt))
    return h


def halves(cell: Cell, steps: int = 30, at: int = 17) -> tuple[Stream, Stream, Stream]:
    """Return a stream on whose first part nothing is asked, and its two parts."""
    s = stream(cell, steps)
    s.q[:at] = 0
    return s, Stream(*(a[:at] for a in s)), Stream(*(a[at:] for a in s))


@pytest.mark.parametrize("share", [0.4, 0.5, 0.9])
@pytest.mark.parametrize("kind", CELLS)
def test_exact_rules_stay_exact_after_a_split(kind: str, share: float, way: None) -> None:
    """As if both had always been there: BPTT of the cell that is split, from the stream's start."""
    c = grown(kind)
    rule = rules.make("exact", c)
    s, before, after = halves(c)
    h = run(rule, before, np.zeros(UNITS))
    rule.follow(split(c, 3, 7, share))  # 3 feels itself, and the ring leads back to it
    h[7] = h[3]
    found = learned(rule, after, h)
    assert apart(found, bptt(c, s)) < EXACT
    assert all(np.abs(found[n][7]).max() > 0 for n, axes in c.axes.items() if axes == "H")


@pytest.mark.parametrize(("first", "parent", "child"), [(0, 0, 7), (2, 2, 0), (2, 5, 1), (1, 4, 0)])
@pytest.mark.parametrize("kind", CELLS)
def test_wherever_the_slots_are(kind: str, first: int, parent: int, child: int) -> None:
    c = grown(kind, first=first)
    rule = rules.make("exact", c)
    s, before, after = halves(c)
    h = run(rule, before, np.zeros(UNITS))
    rule.follow(split(c, parent, child, 0.3))
    h[child] = h[parent]
    assert apart(learned(rule, after, h), bptt(c, s)) < EXACT


@pytest.mark.parametrize("kind", CELLS)
def test_exact_rules_stay_exact_after_splits_of_splits(kind: str) -> None:
    c = grown(kind)
    rule = rules.make("exact", c)
    s, before, after = halves(c)
    h = run(rule, Stream(*(a[:9] for a in before)), np.zeros(UNITS))
    rule.follow(split(c, 3, 8, 0.3))
    h[8] = h[3]
    h = run(rule, Stream(*(a[9:] for a in before)), h)
    rule.follow(split(c, 8, 7, 0.6))
    h[7] = h[8]
    assert apart(learned(rule, after, h), bptt(c, s)) < EXACT


def test_two_splits_may_be_told_at_once() -> None:
    c = grown("leaky")
    rule = rules.make("exact", c)
    s, before, after = halves(c)
    h = run(rule, before, np.zeros(UNITS))
    first, second = split(c, 3, 8, 0.3), split(c, 8, 7, 0.6)
    rule.follow(
        change(
            born=np.concatenate([first.born, second.born]), born_x=np.concatenate([first.born_x, second.born_x]),
            units_born=[8, 7], splits=first.splits + second.splits,
        )
    )  # fmt: skip
    h[7] = h[8] = h[3]
    assert apart(learned(rule, after, h), bptt(c, s)) < EXACT


@pytest.mark.parametrize("spec", ["eprop", "snap1"])
@pytest.mark.parametrize("kind", CELLS)
def test_local_traces_are_copied_at_a_split(kind: str, spec: str) -> None:
    """What the rule would have found had both always been there; SnAp-1 where no unit feels itself."""
    c = grown(kind, loops=spec == "eprop")
    rule = rules.make(spec, c)
    s, before, after = halves(c)
    h = run(rule, before, np.zeros(UNITS))
    rule.follow(split(c, 4, 7, 0.4))
    h[7] = h[4]
    assert apart(learned(rule, after, h), learned(rules.make(spec, c), s)) < EXACT


def through_time(cell: Cell, s: Stream, changes: dict[int, Any]) -> dict[str, np.ndarray]:
    """Return the gradient by autograd where the structure changes on the way: `changes[t](h) -> h` before step t."""
    h = torch.zeros(1, UNITS, dtype=torch.float64)
    total = h.sum() * 0
    for t, (x, dt, q) in enumerate(zip(*s, strict=True)):
        if t in changes:
            h = changes[t](h)
        h = step(cell, x, h, dt)
        total = total + (h[0] * torch.from_numpy(q)).sum()
    found = torch.autograd.grad(total, list(cell.parameters()), materialize_grads=True)
    return {n: g.numpy() for (n, _), g in zip(cell.named_parameters(), found, strict=True)}


@pytest.mark.parametrize("kind", CELLS)
def test_exact_rules_stay_exact_when_synapses_and_units_are_born(kind: str, way: None) -> None:
    c = grown(kind)
    masks = c.live_h, c.live_x
    live_h, live_x = (m.clone() for m in masks)
    to, source = (int(i) for i in (masks[0][:7, :7] + torch.eye(7) == 0).nonzero()[5])
    born = [(7, 2), (0, 7), (4, 4), (to, source)]
    live_h[tuple(zip(*born, strict=True))] = 1
    assert (live_h - masks[0]).sum() == 4
    live_x[7] = 1
    told = change(born=born, born_x=[(7, 0), (7, 1), (7, 2)], units_born=[7])
    rule = rules.make("exact", c)
    s, before, after = halves(c)
    h = run(rule, before, np.zeros(UNITS))
    rewire(c, live_h, live_x)
    rule.follow(told)
    found = learned(rule, after, h)

    def grow(h: torch.Tensor) -> torch.Tensor:
        rewire(c, live_h, live_x)
        return torch.cat([h[:, :7], h[:, 7:8].detach(), h[:, 8:]], 1)  # the slot is taken anew

    rewire(c, *masks)
    assert apart(found, through_time(c, s, {len(before.x): grow})) < EXACT
    assert np.abs(found["w" if kind == "ltc" else "W_h"][tuple(zip(*born, strict=True))]).min() > 0


@pytest.mark.parametrize("kind", CELLS)
def test_exact_rules_stay_exact_when_something_dies_that_reached_nobody_alone(kind: str, way: None) -> None:
    """A shortcut of the ring and a synapse from a feature: what they carried goes on around the ring."""
    c = grown(kind)
    masks = c.live_h, c.live_x
    live_h, live_x = (m.clone() for m in masks)
    ring_only = torch.roll(torch.eye(7), 1, 0)
    to, source = [int(i) for i in ((masks[0][:7, :7] - ring_only) > 0).nonzero()[0]]
    feels, feature = [int(i) for i in masks[1].nonzero()[0]]
    live_h[to, source] = live_x[feels, feature] = 0
    rule = rules.make("exact", c)
    s, before, after = halves(c)
    h = run(rule, before, np.zeros(UNITS))
    rewire(c, live_h, live_x)
    rule.follow(change(dead=[(to, source)], dead_x=[(feels, feature)]))
    found = learned(rule, after, h)

    def die(h: torch.Tensor) -> torch.Tensor:
        rewire(c, live_h, live_x)
        return h

    rewire(c, *masks)
    true = through_time(c, s, {len(before.x): die})
    for name, axes in c.axes.items():
        true[name] *= {"HH": live_h, "HF": live_x}.get(axes, torch.ones(1)).numpy()
    assert apart(found, true) < EXACT


def along_the_leak(rule: Any) -> dict[str, np.ndarray]:
    """Return the traces along the leak by parameter; those of e-prop are all it has."""
    traces = rule.traces if rule.apart is None else rule.apart
    return {n: a.copy() for n, a in rule.local.scatter(traces.x).items()}


def test_a_place_that_dies_and_is_born_again_starts_from_nothing() -> None:
    c = grown("leaky")
    to, source = (int(i) for i in c.live_h.nonzero()[0])
    feels, feature = (int(i) for i in c.live_x.nonzero()[0])
    for spec in ("exact", "snap2", "eprop"):
        rule = rules.make(spec, c)
        run(rule, halves(c)[1], np.zeros(UNITS))
        q = np.ones(UNITS)
        kept = {n: g.copy() for n, g in rule.gradient(q).items()}
        own = along_the_leak(rule)
        same, x_same = [(to, source)], [(feels, feature)]
        rule.follow(change(dead=same, born=same, dead_x=x_same, born_x=x_same))
        g = rule.gradient(q)
        assert kept["W_h"][to, source] != 0
        assert kept["W_x"][feels, feature] != 0
        kept["W_h"][to, source] = kept["W_x"][feels, feature] = 0
        for name in kept:
            assert_allclose(g[name], kept[name], rtol=1e-12, err_msg=name)
        own["W_h"][to, source] = own["W_x"][feels, feature] = 0
        for name, array in along_the_leak(rule).items():
            assert_allclose(array, own[name], rtol=1e-12, err_msg=name)


def test_a_unit_that_dies_is_forgotten() -> None:
    c = grown("liquid")
    for spec in ("exact", "eprop"):
        rule = rules.make(spec, c)
        run(rule, halves(c)[1], np.zeros(UNITS))
        dead, dead_x = (
            [(i, j) for i, j in m.nonzero().tolist() if 2 in ((i, j) if m is c.live_h else (i,))]
            for m in (c.live_h, c.live_x)
        )
        masks = c.live_h, c.live_x
        free(c, [2])
        rule.follow(change(dead=dead, dead_x=dead_x, units_dead=[2]))
        alive = np.ones(UNITS)
        asked_of_it = rule.gradient(np.eye(UNITS)[2])
        assert not any(g.any() for g in asked_of_it.values())
        asked = rule.gradient(alive)
        assert not any(asked[n][2].any() for n in asked)
        assert asked["b"][[0, 1, 3]].all()
        rewire(c, *masks)


@pytest.mark.parametrize("spec", ["tbptt:4", "readout"])
def test_rules_without_traces_start_anew(spec: str) -> None:
    c = grown("leaky")
    rule = rules.make(spec, c)
    _, before, after = halves(c)
    h = run(rule, before, np.zeros(UNITS))
    rule.follow(split(c, 3, 7, 0.4))
    h[7] = h[3]
    fresh = rules.make(spec, c)
    a, b = learned(rule, after, h), learned(fresh, after, h)
    assert a.keys() == b.keys()
    assert all((a[n] == b[n]).all() for n in a)
    assert_allclose(run(rule, after, h), run(fresh, after, h), rtol=0)


def test_the_layout_follows_the_wiring() -> None:
    c = grown("leaky")
    rule = rules.make("snap2", c)
    rows = len(rule.arrays()["traces"])
    rule.follow(split(c, 3, 7, 0.4))
    assert len(rule.arrays()["traces"]) > rows
    assert rule.cost == rules.make("snap2", c).cost
