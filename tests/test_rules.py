"""Online rules against autograd: exact ones equal BPTT, the others reach what they say."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from streams import CELLS, FEATURES, apart, bptt, cell, cosine, learned, step, stream

from liquidtorch.cells import CfC, Leaky
from liquidtorch.derivatives import local
from liquidtorch.errors import OptionError
from liquidtorch.online import rules
from liquidtorch.online.rules.make import LAYOUTS
from liquidtorch.online.rules.rule import Traced
from liquidtorch.online.rules.traces import Own, Packed, reach
from liquidtorch.wiring import random

EXACT = 1e-9


@pytest.mark.parametrize("name", CELLS)
def test_exact_is_bptt(name: str, way: None) -> None:
    """Every parameter, on odd sizes, irregular gaps, wired and dense."""
    c = cell(name)
    s = stream(c)
    assert apart(learned(rules.make("exact", c), s), bptt(c, s)) < EXACT


@pytest.mark.parametrize("name", CELLS)
def test_a_step_is_the_cells(name: str, way: None) -> None:
    c = cell(name)
    s = stream(c)
    made = [rules.make(spec, c) for spec in ("exact", "eprop", "tbptt:3", "readout")]
    states = [np.zeros(c.units) for _ in made]
    h = torch.zeros(1, c.units, dtype=torch.float64)
    with torch.no_grad():
        for x, dt, _ in zip(*s, strict=True):
            h = step(c, x, h, dt)
            states = [rule.step(x, state, float(dt)) for rule, state in zip(made, states, strict=True)]
            np.testing.assert_allclose(states, h.expand(len(made), -1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["leaky ncp", "leaky ring", "liquid ncp", "ltc ring"])
def test_snap_is_exact_at_the_diameter_and_not_before(name: str) -> None:
    c = cell(name)
    slots = local(c).slots
    whole = reach(slots, None)
    hops = next(n for n in range(c.units) if (reach(slots, n) == whole).all())
    s = stream(c, 60)
    true = bptt(c, s)
    assert hops >= 2
    assert apart(learned(rules.make(f"snap{hops + 1}", c), s), true) < EXACT
    assert apart(learned(rules.make(f"snap{hops}", c), s), true) > 1e-7


def test_snap_keeps_what_so_many_steps_reach() -> None:
    """Menick 2021: an entry of J is kept if the parameter can have moved the unit within n steps."""
    c = cell("leaky ring")
    felt = (c.live_h.numpy() != 0) | np.eye(9, dtype=bool)
    slots = local(c).slots
    for hops in range(4):
        moved = np.linalg.matrix_power(felt.astype(int), hops) > 0  # (to, from)
        assert (reach(slots, hops) == moved.T).all()


@pytest.mark.parametrize("name", ["leaky ncp", "liquid ncp", "ltc ncp"])
def test_eprop_is_exact_for_motor_units(name: str) -> None:
    """Nothing leads back from a motor unit, so what it does to itself goes along its leak alone."""
    c = cell(name)
    s = stream(c)
    s.q[:, 3:] = 0
    found, true = learned(rules.make("eprop", c), s), bptt(c, s)
    motor = {n: g[:3] for n, g in true.items()}
    assert apart({n: found[n][:3] for n in motor}, motor) < EXACT
    assert apart(found, true) > 1e-2


@pytest.mark.parametrize("spec", ["eprop", "snap1"])
@pytest.mark.parametrize("name", ["linear", "mobius", "leaky one unit"])
def test_units_that_feel_only_themselves(name: str, spec: str) -> None:
    """Then SnAp-1 is exact, and e-prop too where the whole of dh'/dh is leak."""
    c = cell(name)
    s = stream(c)
    difference = apart(learned(rules.make(spec, c), s), bptt(c, s))
    assert (difference < EXACT) == (name != "leaky one unit" or spec == "snap1")


def test_snap1_and_eprop_are_their_recursions() -> None:
    """The trace of one weight and one bias by hand: D_ii e + I, and (1-a) e + I."""
    c = cell("leaky dense")
    s = stream(c)
    W_h, W_x, b, log_tau = (p.detach().numpy() for p in (c.W_h, c.W_x, c.b, c.log_tau))
    for spec, with_loop in (("snap1", 1.0), ("eprop", 0.0)):
        rule, h = rules.make(spec, c), np.zeros(7)
        e = np.zeros(2)
        for x, dt, _ in zip(*s, strict=True):
            a = 1 - np.exp(-dt / np.exp(log_tau[2]))
            u = np.tanh(W_h[2] @ h + W_x[2] @ x + b[2])
            slope = a * (1 - u * u)
            e = (1 - a + with_loop * slope * W_h[2, 2]) * e + slope * np.array([h[4], 1.0])
            h = rule.step(x, h, float(dt))
        g = rule.gradient(np.eye(7)[2])
        np.testing.assert_allclose([g["W_h"][2, 4], g["b"][2]], e, rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 5, 40])
@pytest.mark.parametrize("name", ["leaky dense", "leaky ncp", "liquid ncp", "ltc ring", "linear"])
def test_truncated_is_autograd_over_the_last_steps(name: str, steps: int, way: None) -> None:
    c = cell(name)
    s = stream(c)
    rule, h = rules.make(f"tbptt:{steps}", c), np.zeros(c.units)
    for x, dt, _ in zip(*s, strict=True):
        h = rule.step(x, h, float(dt))
    last = len(s.x) - 1
    assert apart(rule.gradient(s.q[last]), bptt(c, s, max(0, last + 1 - steps), last)) < EXACT


@pytest.mark.parametrize("steps", [1, 5, 40])
def test_any_cell_is_truncated_through_autograd(steps: int) -> None:
    torch.manual_seed(0)
    c = CfC(FEATURES, 5, backbone=(6, 2), carry=True).double()
    s = stream(c)
    rule, h = rules.make(f"tbptt:{steps}", c), np.zeros(5)
    for x, dt, _ in zip(*s, strict=True):
        h = rule.step(x, h, float(dt))
    last = len(s.x) - 1
    assert apart(rule.gradient(s.q[last]), bptt(c, s, max(0, last + 1 - steps), last)) < EXACT
    assert rules.make("readout", c).step(s.x[0], np.zeros(5), 1.0).shape == (5,)
    numbers = sum(p.numel() for p in c.parameters())
    assert rule.cost == (3 * steps * numbers, steps * (FEATURES + 5 + 1) * 8)  # forward, and twice that back


# radius of W_h, range of tau -> mean cosines that another program measured by the same recipe
COSINES = {
    (0.9, (1, 10)): {"snap2": 0.969, "snap1": 0.872, "eprop": 0.869, "tbptt:1": 0.723, "tbptt:5": 0.933},
    (0.9, (2, 50)): {"snap2": 0.982, "snap1": 0.907, "eprop": 0.903, "tbptt:1": 0.721, "tbptt:5": 0.859},
    (1.3, (2, 50)): {"snap2": 0.935, "snap1": 0.805, "eprop": 0.793, "tbptt:1": 0.624, "tbptt:5": 0.773},
}


@pytest.mark.parametrize(("radius", "taus"), COSINES)
def test_cosines_of_the_approximate_rules(radius: float, taus: tuple[float, float]) -> None:
    """32 leaky tanh units, a tenth of the synapses, 100 steps, five draws."""
    found: dict[str, list[float]] = {spec: [] for spec in COSINES[radius, taus]}
    for seed in range(5):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        c = Leaky(2, 32, method="euler", tau=taus, wiring=random(32, 2, density=0.1, seed=seed)).double()
        c.live_x.fill_(1)
        with torch.no_grad():
            c.W_h.copy_(torch.randn(32, 32) * c.live_h)
            c.W_h *= radius / torch.linalg.eigvals(c.W_h).abs().max()
            c.W_x.copy_(0.5 * torch.randn(32, 2))
        s = stream(c, 100, seed)
        s.dt[:] = 1.0
        C, y = rng.normal(size=(1, 32)) / 32**0.5, lfilter([0.1], [1, -0.9], s.x.sum(1))[:, None]
        body, h = rules.make("readout", c), np.zeros(32)
        for t, x in enumerate(s.x):
            h = body.step(x, h, 1.0)
            s.q[t] = (C @ h - y[t]) @ C
        true = bptt(c, s)
        for spec, cosines in found.items():
            cosines.append(cosine(learned(rules.make(spec, c), s), true))
    mean = {spec: float(np.mean(cosines)) for spec, cosines in found.items()}
    assert mean == pytest.approx(COSINES[radius, taus], abs=0.06)


@pytest.mark.parametrize("name", ["leaky ncp", "leaky ring", "liquid ncp", "ltc ring"])
def test_costs_are_counted_operations(name: str) -> None:
    c = cell(name)
    H, F = c.units, c.features
    felt, felt_x = c.live_h.numpy() != 0, c.live_x.numpy() != 0
    fan = felt.sum(1).max() + felt_x.sum(1).max()
    p = {"leaky": fan + 2, "liquid": 2 * fan + 2, "ltc": 4 * fan + 3}[name.split()[0]]
    p += -p % 8  # whole vectors
    assert F == FEATURES
    for spec, hops in (("snap2", 1), ("exact", H)):
        moves = rows = 0
        for i in range(H):
            kept = {i}
            for _ in range(hops):
                kept |= {k for k in range(H) for j in kept if felt[k, j]}
            rows += len(kept)
            moves += sum(1 + sum(1 for j in kept if felt[k, j]) for k in kept)
        rule = Traced(spec, local(c), lambda slots, hops=hops: Packed(slots, reach(slots, hops)))
        unfolds = getattr(c, "unfolds", 1)
        assert rule.traces.x.shape == (rows, p)
        assert rule.cost.multiply_adds == unfolds * p * (moves + H) + p * rows
        matrices = moves + rows + H * (felt.sum(1).max() + 1)  # D, q and dh'/dh by slot
        assert rule.cost.bytes == 8 * (p * rows + p * H + matrices)
    assert rules.make("eprop", c).cost == (H * p * (unfolds + 1), H * p * 8)
    assert rules.make("readout", c).cost == (0, 0)
    back = unfolds * (H + H * felt.sum(1).max() + H * p)  # the leak, the synapses and the parameters of a step
    assert rules.make("tbptt:7", c).cost == (7 * back, 7 * back * 8)


def test_auto_is_the_most_exact_within_the_budget() -> None:
    c = cell("leaky ncp")
    order = [*LAYOUTS, "readout"]
    costs = [rules.make(spec, c).cost.multiply_adds for spec in order]
    assert costs == sorted(costs, reverse=True)
    assert rules.make("auto", c).name == "exact"
    for spec, cost in zip(order, costs, strict=True):
        chosen = rules.make("auto", c, budget=cost)
        assert chosen.name == order[costs.index(cost)]
        assert chosen.cost.multiply_adds == cost, spec
    assert rules.make("auto", c, budget=0).name == "readout"
    assert rules.make("auto", CfC(3, 5).double()).name == "tbptt:20"
    assert rules.make("auto", CfC(3, 5).double(), budget=0).name == "readout"


@pytest.mark.parametrize("spec", LAYOUTS)
@pytest.mark.parametrize("name", CELLS)
def test_what_a_rule_costs_is_known_before_it_is_made(name: str, spec: str) -> None:
    c = cell(name)
    assert LAYOUTS[spec].multiply_adds(local(c)) == rules.make(spec, c).cost.multiply_adds


def test_a_body_too_large_for_a_rule_is_not_laid_out_for_it() -> None:
    """All traces of 300 full units are 225 MB; what says where they lie, more."""
    c = Leaky(3, 300).double()
    tracemalloc.start()
    rule = rules.make("auto", c)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rule.name == "snap1"
    assert most < 40e6


def test_units_that_reach_nobody_keep_their_own_traces_alone() -> None:
    assert isinstance(rules.make("exact", cell("leaky ncp")).traces, Packed)
    assert isinstance(rules.make("exact", cell("mobius")).traces, Own)
    assert isinstance(rules.make("snap2", cell("leaky ring")).traces, Packed)


@pytest.mark.parametrize("spec", ["exact", "snap2", "snap1", "eprop", "tbptt:4", "readout"])
@pytest.mark.parametrize("name", ["leaky ncp", "ltc dense"])
def test_arrays_restore_and_reset_forgets(name: str, spec: str) -> None:
    c = cell(name)
    s = stream(c)
    rule, other = rules.make(spec, c), rules.make(spec, c)
    fresh = learned(rule, s)
    h = np.zeros(c.units)
    for x, dt, _ in zip(*s, strict=True):
        h = rule.step(x, h, float(dt))
    for kept, array in other.arrays().items():
        array[...] = rule.arrays()[kept]
    more = stream(c, 9, seed=1)
    a, b = learned(rule, more, h), learned(other, more, h)
    assert a.keys() == b.keys()
    assert all((a[n] == b[n]).all() for n in a)
    rule.reset()
    again = learned(rule, s)
    assert all((again[n] == fresh[n]).all() for n in fresh)


@pytest.mark.parametrize("name", ["leaky ncp", "liquid dense", "ltc ncp", "mobius"])
def test_what_is_written_into_the_parameters_is_read(name: str) -> None:
    c = cell(name)
    s = stream(c)
    s.dt[:] = 0.7
    rule = rules.make("exact", c)
    before = learned(rule, s)
    with torch.no_grad():
        for parameter in c.parameters():
            parameter.mul_(1.1)
    rule.reset()
    rule.changed()
    after = learned(rule, s)
    assert apart(after, bptt(c, s)) < EXACT
    assert apart(before, after) > 1e-3


def test_a_gradient_is_0_where_no_synapse_is() -> None:
    c = cell("leaky ncp")
    g = learned(rules.make("exact", c), stream(c))
    assert not g["W_h"][c.live_h.numpy() == 0].any()
    assert not g["W_x"][c.live_x.numpy() == 0].any()
    assert {n: a.shape for n, a in g.items()} == {n: tuple(p.shape) for n, p in c.named_parameters()}


def test_messages() -> None:
    with pytest.raises(OptionError, match=r"`rule` must be exact, snapN, .*; got 'exakt'. Did you mean 'exact'\?"):
        rules.make("exakt", cell("linear"))
    for wrong in ("snap0", "tbptt:0", "tbptt", "snap", "exact:3"):
        with pytest.raises(OptionError, match="`rule` must be"):
            rules.make(wrong, cell("linear"))
    with pytest.raises(OptionError, match=r'`cell` must be one of .*Leaky.*; got CfC. Use rule "tbptt:K"'):
        rules.make("exact", CfC(3, 5).double())
    for spec in ("exact", "tbptt:3", "readout"):
        with pytest.raises(OptionError, match=r"`cell` must have float64 .*; got float32 .*Call cell.double"):
            rules.make(spec, Leaky(3, 5))
    with pytest.raises(OptionError, match="`budget` must be a number at least 0; got -1"):
        rules.make("auto", cell("linear"), budget=-1)
