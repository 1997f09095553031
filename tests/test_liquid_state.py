"""LiquidState against closed forms: rates, currents, delays, plasticity, connections; and its calibration."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from liquidtorch import LiquidState, layers, ops
from liquidtorch.errors import OptionError, StateError
from liquidtorch.ops import reference
from liquidtorch.reservoir import activity, calibrate_spiking, column
from liquidtorch.reservoir.calibrate_spiking import _branching, _irregularity


def alone(features: int = 1, units: int = 1, **options: Any) -> LiquidState:
    """Neurons without synapses, each driven by x alone."""
    liquid = LiquidState(features, units, topology="random:0", **({"bias": 0.0, "rest": 0.0} | options)).double()
    liquid.W_x.fill_(1.0)
    return liquid


def pair(weight: float, delay: float = 0.0, substep: float = 0.5, **options: Any) -> LiquidState:
    """Neuron 0 excites neuron 1; x drives neuron 0 only."""
    liquid = LiquidState(
        1, 2, topology="random:1", inhibitory=0.0, bias=0.0, rest=0.0, delay=(delay, delay), substep=substep, **options
    ).double()
    liquid.W_x[:, 0] = torch.tensor([1.0, 0.0])
    liquid.weight.copy_(torch.where((liquid.pool == 0) & (liquid.place % 2 == 1), weight, 0.0))
    liquid.start.zero_()
    return liquid


def steps_of(spikes: Tensor) -> list[int]:
    return spikes.flatten().nonzero().flatten().tolist()


@pytest.mark.parametrize("dt", [0.1, 0.25])
@pytest.mark.parametrize("current", [1.05, 1.5, 4.0])
def test_spike_times_under_constant_current(current: float, dt: float) -> None:
    """From v0 the threshold is met after tau*log((I - v0)/(I - 1)), then every period later (exact for any dt)."""
    tau, period = 20.0, 3.0
    liquid = alone(tau=tau, refractory=(period, period))
    found = steps_of(liquid.spikes(torch.full((1, 4000, 1), current).double(), dt=dt))
    v0 = float(liquid.start)
    first = math.ceil(tau * math.log((current - v0) / (current - 1)) / dt) - 1
    between = round(period / dt) + math.ceil(tau * math.log(current / (current - 1)) / dt)
    assert found == list(range(first, 4000, between))
    assert len(found) > 3


def test_a_subthreshold_current_never_spikes() -> None:
    assert not alone().spikes(torch.full((1, 3000, 1), 0.999).double(), dt=0.5).any()


@pytest.mark.parametrize("tau_syn", [(3.0, 6.0), (10.0, 2.0)])
def test_potentials_are_exact(tau_syn: tuple[float, float]) -> None:
    """Against an ODE solver, over steps of any length; also where a current is as slow as the membrane."""
    tau, dts = 10.0, [0.3, 4.0, 1.0, 0.0, 2.5]
    liquid = alone(tau=tau, tau_syn=tau_syn)
    start = torch.tensor([[0.7, -0.4]]).double()
    h = liquid.initial(1)._replace(current=start, v=torch.tensor([[0.2]]).double())
    x = torch.full((1, len(dts), 1), 0.3).double()
    _, h = liquid(x, h, dt=torch.tensor([dts]).double())

    def slopes(_: float, s: np.ndarray) -> list[float]:
        v, e, i = s
        return [(0.3 - v + e + i) / tau, -e / tau_syn[0], -i / tau_syn[1]]

    wanted = solve_ivp(slopes, (0, sum(dts)), [0.2, 0.7, -0.4], rtol=1e-11, atol=1e-12).y[:, -1]
    assert np.allclose([float(h.v), *h.current[0].tolist()], wanted, atol=1e-9)


@pytest.mark.parametrize("dt", [0.3, 0.5, 1.0, 2.0, 7.0])
def test_the_refractory_period_holds(dt: float) -> None:
    """A drive without bound makes a neuron spike as soon as it may: one step after the period, rounded up to steps."""
    liquid = alone(units=3, refractory=(3.0, 3.0))
    spikes = liquid.spikes(torch.full((1, 60, 1), 1e6).double(), dt=dt)
    for neuron in spikes[0].T:
        assert set(np.diff(steps_of(neuron))) == {math.ceil(3.0 / dt - 1e-9) + 1}
    assert LiquidState(1, 10).refractory.tolist() == [3.0] * 8 + [2.0] * 2


@pytest.mark.parametrize("dt", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("delay", [0.0, 1.5, 3.0])
def test_a_spike_arrives_after_its_delay(delay: float, dt: float) -> None:
    """At the end of the first step by which the delay has passed, not earlier and not twice."""
    liquid = pair(0.25, delay, refractory=(100.0, 100.0))
    h, arrived = liquid.initial(1), []
    for t in range(12):
        _, h = liquid(torch.full((1, 1, 1), 1e6 * (t == 2)).double(), h, dt=dt)
        arrived.append(float(h.current[0, 1]))
    step = 2 + math.ceil(delay / dt - 1e-9)
    assert not any(arrived[:step])
    decayed = [0.25 * math.exp(-k * dt / 3.0) for k in range(12 - step)]
    assert np.allclose(arrived[step:], decayed, atol=1e-12)


def test_delays_hold_over_uneven_steps() -> None:
    liquid, dts = pair(0.25, 2.0), [0.4, 0.6, 0.2, 0.3, 0.5, 0.7, 0.4, 0.4]
    h, passed, arrived = liquid.initial(1), 0.0, []
    for t, dt in enumerate(dts):
        _, h = liquid(torch.full((1, 1, 1), 1e6 * (t == 1)).double(), h, dt=dt)
        passed += dt if t > 1 else 0.0
        arrived.append((passed, float(h.current[0, 1]) > 0))
    assert [there for _, there in arrived] == [passed >= 2.0 for passed, _ in arrived]


@pytest.mark.parametrize(("source", "target"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_plasticity_comes_to_its_steady_state(source: int, target: int) -> None:
    """At a regular interval u = U/(1 - (1-U)*E_F), R = (1 - E_D)/(1 - (1-u)*E_D) (from Markram 1998, eq. 3 and 4)."""
    U, D, F = (t[source, target] for t in (column.USE, column.DEPRESSION, column.FACILITATION))
    liquid = LiquidState(1, 2, topology="random:1", inhibitory=0.5, plasticity=True, delay=(0.0, 0.0)).double()
    liquid.W_x[:, 0] = (torch.arange(2) == source).double()
    liquid.weight.copy_(torch.where(liquid.pool == 2 * source + target, 1e-6, 0.0))
    every = 20
    x = (1e6 * (torch.arange(400 * every + 1) % every == 0)).double().view(1, -1, 1)
    _, h = liquid(x[:, :-1], dt=1.0)
    before = h.current
    _, h = liquid(x[:, -1:], h, dt=1.0)
    E_F, E_D = math.exp(-every / F), math.exp(-every / D)
    u = U / (1 - (1 - U) * E_F)
    R = (1 - E_D) / (1 - (1 - u) * E_D)
    jump = (h.current - before * torch.exp(-1 / liquid.tau_syn).repeat_interleave(2))[0, 2 * source + target]
    assert math.isclose(float(jump), 1e-6 * u * R, rel_tol=1e-6)


def test_traces_are_sums_of_exponentials() -> None:
    liquid = alone(traces=(5.0, 50.0))
    x = torch.full((1, 200, 1), 3.0).double()
    y, _ = liquid(x, dt=0.5)
    times = [0.5 * t for t in steps_of(liquid.spikes(x, dt=0.5))]
    wanted = [sum(math.exp(-(199 * 0.5 - t) / tau) for t in times) for tau in (5.0, 50.0)]
    assert len(times) > 2
    assert np.allclose(y[0, -1], wanted, atol=1e-12)


def test_a_threshold_adapts() -> None:
    """Intervals lengthen as the threshold rises; and the rise after each spike is the size asked for."""
    liquid = alone(adaptation=(0.1, 200.0))
    x = torch.full((1, 1500, 1), 1.5).double()
    gaps = np.diff(steps_of(liquid.spikes(x, dt=0.5)))
    assert gaps[1] > gaps[0]
    assert gaps[-1] > 1.4 * gaps[0]
    _, h = liquid(x[:, :1] * 1e6, dt=0.5)
    assert float(h.adaptation) == pytest.approx(0.1)


def test_a_spike_in_is_a_charge_whatever_dt() -> None:
    liquid = LiquidState(1, 4, topology="random:0", inputs="spikes", inhibitory=0.0, bias=0.0, rest=0.0).double()
    liquid.W_x[:, 0] = torch.tensor([0.3, -0.2, 0.0, 0.1])
    for dt in (0.0, 1e-3):
        _, h = liquid(torch.full((1, 1, 1), 2.0).double(), dt=dt)
        expected = [0.6, 0, 0, 0.2, 0, -0.4, 0, 0]
        assert np.allclose(h.current[0], expected, atol=1e-3 * (dt > 0))


def test_the_surrogate_is_the_derivative_it_is_said_to_be() -> None:
    """One neuron, one step: d trace/d x = (1 - exp(-dt/tau)) / (1 + 10|v - threshold|)^2."""
    liquid = alone(tau=10.0)
    for current in (5.0, 30.0):
        x = torch.full((1, 1, 1), current).double().requires_grad_()
        y, _ = liquid(x, dt=1.0)
        lost = 1 - math.exp(-0.1)
        v = float(liquid.start) * (1 - lost) + lost * current
        y[0, 0, 0].backward()
        assert float(x.grad) == pytest.approx(lost / (1 + 10 * abs(v - 1)) ** 2, rel=1e-9)


def test_training_through_spikes_lowers_a_loss() -> None:
    """What comes before a liquid learns through it: a gain finds back to where the traces were made."""
    liquid, x = LiquidState(1, 30, seed=2), torch.ones(1, 60, 1)
    liquid.weight.mul_(0.3)
    goal, gain, losses = liquid(x)[0].mean(), torch.tensor(0.5, requires_grad=True), []
    optimizer = torch.optim.Adam([gain], 0.05)
    for _ in range(40):
        loss = (liquid(gain * x)[0].mean() - goal).square()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses) < 0.05 * losses[0]
    assert gain.item() == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("topology", ["column", "column:3:4x4x4", "random:0.2"])
def test_dale(topology: str) -> None:
    """All that a neuron sends excites, or all inhibits; it lands in the current of that kind."""
    liquid = LiquidState(1, 60, topology=topology, seed=3)
    source, kind = liquid.pool // 2, (liquid.place // 60) % 2
    assert torch.equal(liquid.weight > 0, source < liquid.excitatory)
    assert torch.equal(kind.bool(), source >= liquid.excitatory)
    assert liquid.excitatory == 48
    _, h = liquid(torch.full((2, 60, 1), 5.0))
    assert (h.current[:, :60] >= 0).all()
    assert (h.current[:, 60:] <= 0).all()
    assert (h.current != 0).any()


def test_near_neurons_are_connected_by_the_rule() -> None:
    """On two neurons side by side the chance is C*exp(-1/reach^2) by their kinds; farther ones have less."""
    count = np.zeros((2, 2))
    for seed in range(2000):
        found = column.column(2, grid=(2, 1, 1), reach=2.0, inhibitory=0.5, seed=seed)
        for a, b in zip(found.source, found.target, strict=True):
            count[a, b] += 1
    chance = 0.2 * math.exp(-0.25), 0.4 * math.exp(-0.25)
    assert not count.diagonal().any()
    for found, p in zip((count[0, 1], count[1, 0]), chance, strict=True):
        assert abs(found / 2000 - p) < 4 * math.sqrt(p * (1 - p) / 2000)


def test_far_neurons_are_rarely_connected() -> None:
    near, far = (len(column.column(500, reach=reach, seed=0).source) for reach in (2.0, 0.5))
    assert far < near / 10


def test_weights_have_the_means_by_kind() -> None:
    found = column.column(1500, reach=3.0, seed=0)
    source, target = found.kinds()
    for a in (0, 1):
        for b in (0, 1):
            these = np.abs(found.weight[(source == a) & (target == b)])
            assert abs(these.mean() / column.STRENGTH[a, b] - 1) < 5 / math.sqrt(len(these))
            assert abs(these.std() / these.mean() - 1) < 0.2


def test_at_random_every_neuron_hears_as_many() -> None:
    found = column.random(100, density=0.2, seed=1)
    assert set(np.bincount(found.target, minlength=100)) == {20}
    assert set(np.bincount(found.target[found.source < 80], minlength=100)) == {16}
    assert len(set(zip(found.source.tolist(), found.target.tolist(), strict=True))) == 2000


def test_a_seed_is_the_whole_of_chance() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again, other = (LiquidState(2, 30, tau=(5.0, 50.0), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    for name, t in first.state_dict().items():
        assert torch.equal(t, again.state_dict()[name]), name
    assert not torch.equal(first.W_x, other.W_x)
    assert not torch.equal(first.tau, other.tau)
    assert not torch.equal(first.start, other.start)
    each = LiquidState(1, 3, tau=torch.tensor([1.0, 2.0, 3.0]))
    assert layers.build(each.config()).taus().tolist() == pytest.approx([1.0, 2.0, 3.0])


def test_spikes_are_counted_over_resets_ends_and_no_time() -> None:
    liquid, x = LiquidState(2, 20, seed=1), 3 * torch.ones(2, 40, 2)
    dt = torch.ones(2, 40)
    dt[:, 10:12] = 0
    reset = torch.zeros(2, 40, dtype=torch.bool)
    reset[:, 20] = True
    spikes = liquid.spikes(x, dt=dt, lengths=[40, 30], reset=reset)
    assert spikes.sum() > 20
    assert not spikes[:, 10:12].any()
    assert not spikes[1, 30:].any()
    assert torch.equal(spikes[:, 20:30], liquid.spikes(x[:, :10], dt=1.0))
    _, h = liquid(x[:, :15], dt=dt[:, :15])
    assert torch.equal(spikes[:, 15:20], liquid.spikes(x[:, 15:20], h, dt=dt[:, 15:20]))


WRONG = [
    ({"topology": "ring"}, "`topology` must be 'column', 'column:REACH', 'column:REACH:XxYxZ' or 'random:DENSITY'"),
    ({"topology": "column:2:2x2x2"}, "`grid` must have three sides and at least 20 places; got (2, 2, 2)."),
    ({"topology": "random:2"}, "`density` must be a number at least 0 and at most 1; got 2.0."),
    ({"inputs": "spike"}, "`inputs` must be one of 'current', 'spikes'; got 'spike'. Did you mean 'spikes'?"),
    ({"rest": 1.0}, "`rest` must be below the threshold, 1; got 1.0."),
    (
        {"delay": (1.6, 1.0)},
        "`delay` must be whole multiples of the substep, 0.5; got 1.6. Use 1.5, or a finer substep.",
    ),
    ({"traces": ()}, "`traces` must hold at least one time constant; got none."),
    ({"tau_syn": (3.0,)}, "`tau_syn` must be two numbers; got (3.0,)."),
    ({"tau_syn": (3.0, 0.0)}, "`tau_syn` must be a number above 0; got 0.0."),
    ({"refractory": (3.0, -1.0)}, "`refractory` must be a number at least 0; got -1.0."),
    ({"adaptation": (0.1, 0.0)}, "`adaptation` must be a number above 0; got 0.0."),
    ({"input_density": 0.0}, "`input_density` must be a number above 0 and at most 1; got 0.0."),
]


@pytest.mark.parametrize(("options", "text"), WRONG, ids=[next(iter(o)) for o, _ in WRONG])
def test_wrong_options(options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        LiquidState(1, 20, **options)


def signal(features: int, spikes: bool = False) -> Tensor:
    rng = np.random.default_rng(0)
    drawn = rng.random((3, 300, features)) < 0.05 if spikes else rng.normal(size=(3, 300, features))
    return torch.from_numpy(drawn.astype(np.float32))


@pytest.mark.parametrize("rate", [0.01, 0.04])
@pytest.mark.parametrize("inputs", ["current", "spikes"])
@pytest.mark.parametrize("topology", ["column", "random:0.1"])
def test_calibrate(topology: str, inputs: str, rate: float) -> None:
    liquid = LiquidState(5, 120, topology=topology, inputs=inputs, seed=1)
    x, before = signal(5, inputs == "spikes"), liquid.weight.clone()
    found = calibrate_spiking(liquid, x, rate=rate)
    spikes = liquid.spikes(x)
    assert found.rate == pytest.approx(rate, rel=0.1)
    assert found.rate == pytest.approx(float(spikes.double().mean()), rel=1e-6)
    assert found.silent == float((spikes.sum((0, 1)) == 0).double().mean())
    assert torch.allclose(liquid.weight, before * found.recurrent_gain)
    assert 0.2 < found.cv < 2.5
    calm = LiquidState(5, 120, topology=topology, inputs=inputs, seed=1)
    calm.W_x.mul_(found.input_gain)
    calm.weight.zero_()
    alone = float(calm.spikes(x).double().mean())
    assert not 0.7 < alone / rate < 1.4, "the synapses must matter"


def test_calibrate_counts_time_in_the_unit_of_dt() -> None:
    liquid = LiquidState(2, 60, seed=1)
    liquid.scale_time(1e-3)
    assert calibrate_spiking(liquid, signal(2), rate=20.0, dt=1e-3).rate == pytest.approx(20.0, rel=0.1)


def test_calibrate_refuses() -> None:
    x = signal(2)
    cases = (
        ({}, 0 * x, 0.02, StateError, "got no spike at any gain (it is silent). Give an x that is not 0"),
        ({"bias": 1.2}, x, 0.02, StateError, "`liquid` must be quiet without input; got 0.0"),
        ({}, x, 0.6, OptionError, "`rate` must be below what the strongest input brings about, 0."),
        (
            {"input_density": 0.05, "topology": "random:0"},
            x,
            0.005,
            StateError,
            "at most half of its neurons silent; got 9",
        ),
    )
    for options, given, rate, error, text in cases:
        liquid = LiquidState(2, 40, **options)
        before = {name: t.clone() for name, t in liquid.state_dict().items()}
        with pytest.raises(error, match=re.escape(text)):
            calibrate_spiking(liquid, given, rate=rate)
        for name, t in liquid.state_dict().items():
            assert torch.equal(t, before[name]), name


def test_activity_of_a_clock() -> None:
    """Neurons that spike at one interval have no irregularity, and a rate that is its inverse."""
    liquid = alone(units=2, refractory=(3.0, 3.0))
    found = activity(liquid, torch.full((1, 400, 1), 1e6).double(), dt=0.5)
    assert found.rate == pytest.approx(1 / 3.5, rel=0.02)
    assert (found.silent, round(found.cv, 9)) == (0.0, 0.0)


def test_irregularity_of_chance_is_one() -> None:
    """Intervals of independent steps are geometric: CV = sqrt(1-p)."""
    p, rng = 0.05, np.random.default_rng(0)
    spikes = torch.from_numpy(rng.random((1, 40000, 4)) < p)
    time = torch.arange(40000.0).double().view(1, -1)
    assert _irregularity(spikes, time) == pytest.approx(math.sqrt(1 - p), abs=0.03)


def test_branching_is_that_of_a_branching_process() -> None:
    rng, counts = np.random.default_rng(0), [20]
    for _ in range(20000):
        counts.append(rng.poisson(0.8 * counts[-1] + 4))
    spikes = torch.tensor([counts], dtype=torch.float64)
    assert _branching(spikes, torch.ones_like(spikes).bool()) == pytest.approx(0.8, abs=0.03)


def test_a_current_as_slow_as_the_membrane_is_the_limit_of_others() -> None:
    s, tau = torch.tensor([0.1, 1.0, 30.0]).double(), torch.tensor(7.0).double()
    near = [reference.reach(s, tau * f, tau) for f in (1 - 1e-7, 1.0, 1 + 1e-7)]
    assert torch.allclose(near[1], s / tau * torch.exp(-s / tau), rtol=1e-12)
    assert torch.allclose(near[0], near[2], rtol=1e-6)
    assert torch.allclose(near[0], near[1], rtol=1e-6)


def test_a_large_liquid_runs_without_gradients_by_the_kernel(kernels: None) -> None:
    liquid, x = LiquidState(1, 100, topology="random:0.1"), torch.randn(2, 5, 1)
    with ops.use("fast"):
        y, _ = liquid(x)
    assert y.shape == (2, 5, 300)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"inputs": "spikes"},
        {"adaptation": (0.1, 50.0), "plasticity": True},
        {"delay": (0.0, 0.0), "traces": (10.0,)},
    ],
    ids=str,
)
def test_a_stepper_is_the_whole(options: Any, kernels: None) -> None:
    """Row by row by the compiled stepper, and at once by the reference: over irregular gaps, and after a reset."""
    rng = np.random.default_rng(0)
    layer = LiquidState(3, 37, seed=0, **options).double()
    spikes = options.get("inputs") == "spikes"
    x = 20.0 * (rng.random((80, 3)) < 0.3) if spikes else rng.normal(10, 8, (80, 3))
    dt = rng.uniform(0, 2, 80)
    with ops.use("reference"):
        y = layer(torch.as_tensor(x)[None], dt=torch.as_tensor(dt)[None])[0][0].numpy()
    assert y.max() > 1
    stepper = layer.stepper()
    assert stepper.advance.__qualname__.startswith("spiking_stepper")
    for _ in range(2):
        own = np.stack([stepper(row, gap) for row, gap in zip(x, dt, strict=True)])
        np.testing.assert_allclose(own, y, atol=1e-9)
        stepper.reset()
    layer.weight.zero_()
    layer.W_x.zero_()
    np.testing.assert_allclose([stepper(row, gap) for row, gap in zip(x, dt, strict=True)], y, atol=1e-9)


def test_a_stepper_of_another_kind_is_the_layer_called() -> None:
    layer = LiquidState(1, 9, seed=0)
    with ops.use("reference"):
        stepper = layer.stepper()
        assert stepper.advance.__qualname__.startswith("called")
        x = np.full((20, 1), 30.0, dtype=np.float32)
        own = np.stack([stepper(row) for row in x])
        np.testing.assert_allclose(own, layer(torch.from_numpy(x)[None])[0][0].numpy(), atol=1e-5)
