"""The quality of layers, each measure on layers whose quality is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from known_layers import Spiking, Step, linear, noise, ring, rotation
from numpy.polynomial import legendre
from torch import Tensor

from liquidtorch import Leaky, MixedMemory, Recurrent, diagnose
from liquidtorch.diagnose import capacity

# ---- memory ----


def test_a_delay_line_remembers_its_length_and_no_more() -> None:
    found = diagnose.memory_capacity(ring(20, closed=False), delays=60, steps=4000)
    assert found.curve.shape == (1, 61)
    np.testing.assert_allclose(found.curve[0, :20], 1.0, atol=1e-9)
    assert found.curve[0, 20:].abs().max() < 0.01
    assert found.total == pytest.approx(20, abs=0.2)


@pytest.mark.parametrize("units", [7, 33])
def test_a_linear_ring_has_the_memory_of_its_units(units: int) -> None:
    """Whatever the weights, a linear network of N independent states has N in total (Jaeger 2001, theorem)."""
    assert diagnose.memory_capacity(ring(units), delays=10 * units, steps=8000).total == pytest.approx(units, rel=0.02)


def test_memory_of_any_linear_network_of_any_features() -> None:
    layer = linear(0.8 * rotation(8), noise(8, 2, seed=1))
    found = [diagnose.memory_capacity(layer, delays=60, steps=8000, seed=s) for s in range(4)]
    assert found[0].curve.shape == (2, 61)
    assert np.mean([f.total for f in found]) == pytest.approx(8, abs=0.15)  # squared correlations would give 7.75


def test_chance_is_no_memory() -> None:
    """A layer deaf to its second feature: squared correlations of 300 delays over 1000 samples would give 0.3."""
    deaf = linear(0.5 * rotation(5), torch.tensor([[1.0, 0.0]] * 5, dtype=torch.float64))
    totals = [diagnose.memory_capacity(deaf, delays=299, steps=2000, seed=s).curve[1].sum() for s in range(4)]
    assert abs(np.mean(totals)) < 0.06
    assert min(totals) < 0, "no value is clipped"


def test_what_a_readout_was_solved_on_is_not_what_it_is_scored_on() -> None:
    """100 states of pure memory 1 beside an input they do not know: in sample each delay would gain 100/400."""
    layer = Step(2, 100, lambda x, h, dt: torch.sin(x[:, :1] * torch.arange(1, 101) * 2))
    found = diagnose.memory_capacity(layer, delays=50, steps=800)
    assert abs(found.curve[1].sum()) < 0.3
    assert found.curve[0, 0] > 0.99


def test_memory_is_of_the_layers_own_range() -> None:
    """tanh(5 u) bends; of small inputs it is linear."""
    layer = Step(1, 1, lambda x, h, dt: torch.tanh(5 * x))
    wide, narrow = (
        diagnose.memory_capacity(layer, delays=2, steps=2000, low=-r, high=r).curve[0, 0] for r in (1, 0.01)
    )
    assert narrow == pytest.approx(1, abs=1e-4)
    u = torch.linspace(-1, 1, 20001)
    assert wide == pytest.approx(float(torch.corrcoef(torch.stack([u, torch.tanh(5 * u)]))[0, 1] ** 2), abs=0.01)


# ---- information processing ----


def test_legendre_polynomials_are_orthonormal() -> None:
    u = torch.linspace(-1, 1, 7, dtype=torch.float64)
    found = capacity.legendre(u, 5)
    for d in range(6):
        np.testing.assert_allclose(
            found[d], math.sqrt(2 * d + 1) * legendre.legval(u.numpy(), np.eye(6)[d]), atol=1e-14
        )
    nodes, weights = legendre.leggauss(12)
    P = capacity.legendre(torch.tensor(nodes), 5).numpy()
    np.testing.assert_allclose((P * weights / 2) @ P.T, np.eye(6), atol=1e-13)


def test_every_function_is_asked_for_once() -> None:
    polynomials = capacity.legendre(noise(6, 50).tanh(), 3)
    for degree, variables in itertools.product((1, 2, 3), (1, 4, 6)):
        found = torch.cat(list(capacity._functions(polynomials, variables, degree)))
        assert len(found) == math.comb(variables + degree - 1, degree)
        assert len(torch.unique(found, dim=0)) == len(found)
    last = torch.cat(list(capacity._functions(polynomials, 4, 3)))
    expected = polynomials[2, 0] * polynomials[1, 3]
    assert any(torch.allclose(z, expected) for z in last)


def test_capacities_of_a_bent_input_are_its_legendre_series() -> None:
    layer = Step(1, 1, lambda x, h, dt: torch.tanh(3 * x))
    found = diagnose.information_processing_capacity(layer, delays=(3, 3, 3, 1, 1), steps=20_000)
    nodes, weights = legendre.leggauss(200)
    y = np.tanh(3 * nodes)
    power = (weights * y**2).sum() / 2
    for degree, got in enumerate(found.degrees, 1):
        P = math.sqrt(2 * degree + 1) * legendre.legval(nodes, np.eye(6)[degree])
        assert got == pytest.approx(((weights * y * P).sum() / 2) ** 2 / power, abs=0.004), degree
    assert found.bound == 1
    assert 0.97 < found.total <= 1


def test_a_product_of_inputs_is_of_degree_two() -> None:
    """States u[t], u[t-1] and u[t]*u[t-1]: capacities 2 and 1, nothing else, the bound reached."""

    def step(x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        return torch.cat([x, h[:, :1], x * h[:, :1]], dim=1)

    found = diagnose.information_processing_capacity(Step(1, 3, step), delays=(5, 5, 3), steps=4000)
    assert found.degrees == pytest.approx((2, 1, 0), abs=0.01)
    assert found.bound == 3
    assert found.functions == 6 + math.comb(7, 2) + math.comb(6, 3)


def test_capacities_never_exceed_the_independent_states() -> None:
    torch.manual_seed(0)
    layer = Recurrent(Leaky(1, 12, tau=1.5))
    found = diagnose.information_processing_capacity(layer, delays=(30, 12, 6), steps=10_000)
    assert 9 < found.total < 12 * 1.01
    linear_part = diagnose.memory_capacity(layer, delays=30, steps=20_000).total
    assert found.degrees[0] == pytest.approx(linear_part, abs=0.15)
    twice = Step(1, 6, lambda x, h, dt: torch.cat([x, h[:, :2]] * 2, dim=1))  # every state is there twice
    assert diagnose.information_processing_capacity(twice, delays=(9,), steps=2000).bound == 3


# ---- ranks, dimension, separation ----


def test_rank_of_known_matrices() -> None:
    for r in (1, 3, 7):
        M = noise(30, r) @ noise(r, 10, seed=1)
        assert diagnose.rank(M, tolerance=1e-10) == r
        assert diagnose.rank(M + 1e-6 * noise(30, 10, seed=2)) == r
    assert diagnose.rank(torch.diag(torch.tensor([1.0, 0.011, 0.009]))) == 2
    assert diagnose.rank(torch.zeros(3, 3)) == 0


def test_kernel_rank_is_that_of_what_is_remembered() -> None:
    """A delay line of 6 that is fed 4 steps holds 4 numbers; 3 inputs span 3 directions."""
    layer = ring(6, 0.9, closed=False)
    assert diagnose.kernel_rank(layer, noise(20, 4, 1)) == 4
    assert diagnose.kernel_rank(layer, noise(20, 9, 1)) == 6
    assert diagnose.kernel_rank(layer, noise(3, 9, 1)) == 3


def test_generalisation_rank_is_low_where_noise_is_forgotten() -> None:
    layer, x = ring(6, 0.9, closed=False), noise(12, 1)
    assert diagnose.generalisation_rank(layer, x, noise=0.0) == 1
    assert diagnose.generalisation_rank(layer, x, noise=1e-4) == 1, "below the tolerance"
    assert diagnose.generalisation_rank(layer, x, noise=1.0) == 6
    steep = Step(1, 6, lambda x, h, dt: torch.sign(h.roll(1, 1) + x * torch.eye(1, 6)))
    assert diagnose.generalisation_rank(steep, torch.sign(x) * 10 + x, noise=0.05, count=40) == 1


def test_jitter_loses_spikes_and_makes_none() -> None:
    x = (noise(200, 3) > 1).double()
    found = diagnose.jittered(x, 0.3, 50)
    assert found.shape == (50, 200, 3)
    assert bool(((found == 0) | (found == x)).all())
    assert float(found.sum() / (50 * x.sum())) == pytest.approx(0.7, abs=0.02)
    y = noise(4000, 2) * torch.tensor([1.0, 100.0])
    assert (diagnose.jittered(y, 0.1, 3) - y).std((0, 1)).tolist() == pytest.approx([0.1, 10], rel=0.05)


def test_dimension_and_condition_of_a_known_spectrum() -> None:
    s = torch.tensor([3.0, 2.0, 1.0, 0.5], dtype=torch.float64)
    U = torch.linalg.qr(torch.cat([torch.ones(50, 1), noise(50, 4)], dim=1))[0][:, 1:]  # orthogonal to the mean
    states = U * s @ rotation(4) + 100.0
    assert diagnose.effective_dimension(states) == pytest.approx(14.25**2 / (81 + 16 + 1 + 0.0625), abs=1e-9)
    assert diagnose.condition_number(states) == pytest.approx(6.0, abs=1e-9)
    assert diagnose.effective_dimension(states.view(5, 10, 4)) == pytest.approx(diagnose.effective_dimension(states))
    assert diagnose.effective_dimension(torch.ones(5, 3)) == 0
    assert diagnose.condition_number(torch.ones(5, 3)) == math.inf
    assert diagnose.condition_number(noise(3, 5)) == math.inf


def test_separation_of_a_rotation_is_the_distance_of_the_inputs() -> None:
    R, x = rotation(3), noise(6, 1, 3)
    found = diagnose.separation(Step(3, 3, lambda x, h, dt: x @ R.T), x)
    pairs = list(itertools.combinations(range(6), 2))
    by_hand = [math.sqrt(float((x[i] - x[j]).square().mean())) for i, j in pairs]
    np.testing.assert_allclose(found.inputs, by_hand)
    np.testing.assert_allclose(found.states, by_hand)
    assert found.correlation == pytest.approx(1)
    blind = diagnose.separation(Step(3, 2, lambda x, h, dt: h + 1), x)
    assert float(blind.states.max()) == 0
    assert math.isnan(blind.correlation)


# ---- echo, exponents ----


def test_echo_index_of_a_contraction() -> None:
    """An orthogonal step of radius 0.95 shrinks every distance by 0.95 a step."""
    layer = linear(0.95 * rotation(5), noise(5, 1, seed=1), bound=10.0)
    x = noise(2, 200, 1)
    found = diagnose.echo_index(layer, x, starts=3)
    assert found.index == pytest.approx(0.95**200, rel=1e-6)
    size = layer(x)[0].square().mean().sqrt()
    assert found.washout is not None
    for start in (-10.0, 10.0):  # the worst start lies in a corner
        apart = layer(x, torch.full((2, 5), start, dtype=torch.float64))[0] - layer(x)[0]
        rms = apart.square().mean(-1).sqrt().amax(0) / size
        assert float(rms[found.washout + 20]) < 1e-3  # 0.95^20 = 0.36, a corner over a draw
        assert float(rms[found.washout - 40]) > 1e-3


def test_echo_index_of_two_attractors() -> None:
    layer = Step(1, 4, lambda x, h, dt: torch.tanh(2 * h + 0.01 * x), bound=1.0)
    found = diagnose.echo_index(layer, noise(1, 100, 1))
    assert found.index > 0.5
    assert found.washout is None


def test_echo_index_starts_within_bounds_and_takes_any_state() -> None:
    seen = []
    layer = Step(1, 3, lambda x, h, dt: seen.append(h) or 0.5 * h, bound=0.25)
    diagnose.echo_index(layer, noise(1, 5, 1), starts=100)
    first = next(h for h in seen if len(h) == 100)
    assert (float(first.min()), float(first.max())) == pytest.approx((-0.25, 0.25), abs=0.02)
    assert diagnose.echo_index(MixedMemory(Leaky(1, 4, tau=2.0)), noise(2, 300, 1)).index < 1


@pytest.mark.parametrize("method", ["gradient", "perturbation"])
def test_exponent_of_a_linear_step_is_the_log_of_its_radius(method: str) -> None:
    layer = linear(0.8 * rotation(6), noise(6, 2, seed=1))
    x = noise(2, 120, 2)
    assert diagnose.lyapunov(layer, x, method=method) == pytest.approx(math.log(0.8), abs=1e-6)
    assert diagnose.lyapunov(layer, x, method=method, dt=0.5) == pytest.approx(2 * math.log(0.8), abs=2e-6)
    W = noise(10, 10, seed=2)
    radius = float(torch.linalg.eigvals(W).abs().max())
    layer = linear(0.9 * W / radius, noise(10, 1, seed=1))
    tolerance = {"gradient": 2e-3, "perturbation": 0.05}[method]  # no normal matrix: a while of its own growth
    assert diagnose.lyapunov(layer, noise(2, 600, 1), method=method) == pytest.approx(math.log(0.9), abs=tolerance)


def test_exponent_of_the_logistic_map_is_log_two() -> None:
    """x' = 4x(1-x), shifted so that 0 starts it at 0.3."""
    layer = Step(1, 1, lambda x, h, dt: 4 * (h + 0.3) * (0.7 - h) - 0.3)
    assert diagnose.lyapunov(layer, torch.zeros(1, 3000, 1)) == pytest.approx(math.log(2), abs=0.01)


def test_exponent_of_lorenz_63_is_the_known_one() -> None:
    def slope(s: Tensor) -> Tensor:
        x, y, z = s.unbind(1)
        return torch.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], dim=1)

    def step(x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        s = h + torch.tensor([1.0, 2.0, 20.0], dtype=torch.float64)
        k1 = slope(s)
        k2 = slope(s + dt / 2 * k1)
        k3 = slope(s + dt / 2 * k2)
        return h + dt / 6 * (k1 + 2 * k2 + 2 * k3 + slope(s + dt * k3)) + 1e-3 * x

    found = diagnose.lyapunov(Step(1, 3, step), noise(64, 600, 3)[:, :, :1], dt=0.02)
    assert found == pytest.approx(0.9056, abs=0.08)


@pytest.mark.parametrize(("gain", "close"), [(1.0, 1e-4), (8.0, 5e-3)], ids=["calm", "chaos"])
def test_exponent_of_a_tanh_layer_by_hand(gain: float, close: float) -> None:
    """Products of Jacobians of `(1-a) h + a tanh(W h + u)`, each multiplied out by its formula.

    In chaos rounding soon leads elsewhere on the same attractor, and the mean of 1600 steps differs with it.
    """
    torch.manual_seed(1)
    layer = Recurrent(Leaky(1, 40, tau=3.0)).double()
    with torch.no_grad():
        layer.cell.W_h.copy_(gain * noise(40, 40) / 40**0.5)
    x = 0.1 * noise(1, 2000, 1)
    y = layer(x)[0][0].detach()
    a = 1 - math.exp(-1 / 3)
    v, grown = torch.eye(40, dtype=torch.float64)[0], []
    for before, after in itertools.pairwise(y):
        u = (after - (1 - a) * before) / a
        v = (1 - a) * v + a * (1 - u**2) * (layer.cell.W_h.detach() @ v)
        grown.append(float(v.norm().log()))
        v = v / v.norm()
    by_hand = np.mean(grown[200:1800])
    assert (by_hand > 0.05) == (gain > 1)
    assert diagnose.lyapunov(layer, x) == pytest.approx(by_hand, abs=close)
    if gain == 1:
        return
    found = diagnose.lyapunov(layer, 0.1 * noise(4, 500, 1), method="perturbation")
    assert found == pytest.approx(by_hand, rel=0.4)  # four windows of about 160 steps


def test_exponents_of_spikes_come_from_perturbations() -> None:
    """The gradient of a threshold is that of the leak alone; the network's own chaos shows in what spikes do."""
    currents, pulses = 0.4 + 0.1 * noise(2, 150, 1), (noise(2, 150, 1) > 0).double()
    for x, (strength, sign) in itertools.product((currents, pulses), ((3.0, 1), (0.0, -1))):
        layer = Spiking(60, strength)
        found = diagnose.lyapunov(layer, x)
        assert found == diagnose.lyapunov(layer, x, method="perturbation")
        assert found * sign > 0.05
        assert diagnose.lyapunov(layer, x, method="gradient") < -0.1
        assert diagnose.lyapunov(layer, currents, size=1e-6) < -0.08, "no spike is moved"


@pytest.mark.parametrize("method", ["gradient", "perturbation"])
def test_what_has_no_memory_forgets_at_once(method: str) -> None:
    layer = Step(1, 2, lambda x, h, dt: torch.cat([x, x], dim=1))
    assert diagnose.lyapunov(layer, noise(1, 60, 1), method=method) == -math.inf


# ---- spikes ----


def test_rates_of_a_bernoulli_process() -> None:
    p = 0.05
    s = torch.rand(4, 20_000, 10, generator=torch.Generator().manual_seed(0)) < p
    found = diagnose.rates(s, dt=0.001)
    assert found.mean == pytest.approx(50, rel=0.03)
    assert (found.silent, found.saturated) == (0, 0)
    assert found.cv == pytest.approx(math.sqrt(1 - p), abs=0.015)
    assert found.fano == pytest.approx(1 - p, abs=0.02)


def test_rates_of_clocks_bursts_silence_and_noise() -> None:
    s = torch.zeros(1, 1000, 4)
    s[:, ::10, 0] = 1  # a clock
    s[:, 1::2, 2] = 1
    s[:, ::2, 2] = 1  # always
    found = diagnose.rates(s, window=10)
    assert found.silent == 0.5
    assert found.saturated == 0.25
    assert found.cv == 0
    assert found.fano == 0
    assert found.mean == pytest.approx((0.1 + 1) / 4)
    bursts = torch.zeros(1, 1000, 1)
    for start in range(0, 1000, 100):
        bursts[:, start : start + 5] = 1
    intervals = np.diff(np.nonzero(bursts[0, :, 0].numpy())[0])
    found = diagnose.rates(bursts, window=50)
    assert found.cv == pytest.approx(intervals.std(ddof=1) / intervals.mean())
    assert found.cv > 1
    assert found.fano == pytest.approx(np.var([5, 0] * 10, ddof=1) / 2.5)
    nothing = diagnose.rates(torch.zeros(50, 3))
    assert nothing.silent == 1
    assert math.isnan(nothing.cv)
    assert math.isnan(nothing.fano)


def test_intervals_do_not_reach_from_row_to_row() -> None:
    s = torch.zeros(2, 100, 1)
    s[0, [0, 7, 14]] = 1
    s[1, [3, 10, 17]] = 1
    assert diagnose.rates(s).cv == 0
    two = torch.zeros(2, 100, 1)
    two[0, [5, 9]] = 1
    assert diagnose.rates(torch.cat([s, two], dim=2)).cv == 0, "one interval does not vary"


def test_operations_against_a_loop() -> None:
    s, fan_out = (noise(3, 20, 5) > 1).double(), torch.tensor([1, 7, 2, 0, 4])
    count = sum(int(fan_out[i]) for b, t, i in itertools.product(range(3), range(20), range(5)) if s[b, t, i])
    found = diagnose.operations(s, fan_out)
    assert found == pytest.approx((float(s.sum()) / 3, count / 3, 20 * 14))
    assert diagnose.operations(s, 10) == pytest.approx((float(s.sum()) / 3, float(s.sum()) * 10 / 3, 20 * 50))
