"""The quality of layers, each measure on layers whose quality is known."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.polynomial import legendre
from torch import Tensor, nn

from liquidtorch import Bidirectional, Leaky, Linear, MixedMemory, Recurrent, diagnose
from liquidtorch.cells import Spec
from liquidtorch.diagnose import capacity
from liquidtorch.errors import DataError, OptionError, ShapeError
from liquidtorch.layers import Layer

torch.set_num_threads(1)


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
    assert float(first.abs().max()) == pytest.approx(0.25, abs=0.02)
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


def test_exponent_of_a_tanh_layer_by_hand() -> None:
    """Products of Jacobians of `(1-a) h + a tanh(W h + u)`, each multiplied out by its formula."""
    torch.manual_seed(1)
    layer = Recurrent(Leaky(1, 20, tau=3.0)).double()
    with torch.no_grad():
        layer.cell.W_h.copy_(3 * noise(20, 20) / 20**0.5)
    x = 0.1 * noise(1, 2000, 1)
    y = layer(x)[0][0].detach()
    a = 1 - math.exp(-1 / 3)
    v, grown = torch.eye(20, dtype=torch.float64)[0], []
    for before, after in itertools.pairwise(y):
        u = (after - (1 - a) * before) / a
        v = (1 - a) * v + a * (1 - u**2) * (layer.cell.W_h.detach() @ v)
        grown.append(float(v.norm().log()))
        v = v / v.norm()
    by_hand = np.mean(grown[200:1800])
    assert by_hand > 0.05, "chaos"
    assert diagnose.lyapunov(layer, x) == pytest.approx(by_hand, abs=1e-3)
    found = diagnose.lyapunov(layer, 0.1 * noise(4, 500, 1), method="perturbation")
    assert found == pytest.approx(by_hand, rel=0.2)


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


def test_operations_against_a_loop() -> None:
    s, fan_out = (noise(3, 20, 5) > 1).double(), torch.tensor([1, 7, 2, 0, 4])
    count = sum(int(fan_out[i]) for b, t, i in itertools.product(range(3), range(20), range(5)) if s[b, t, i])
    found = diagnose.operations(s, fan_out)
    assert found == pytest.approx((float(s.sum()) / 3, count / 3, 20 * 14))
    assert diagnose.operations(s, 10) == pytest.approx((float(s.sum()) / 3, float(s.sum()) * 10 / 3, 20 * 50))


# ---- together ----

EVERY = {
    "layer", "features", "outputs", "state", "tau", "states", "echo", "lyapunov", "rank", "separation", "memory",
    "capacity",
}  # fmt: skip


@pytest.mark.parametrize("cell", [Leaky, Linear])
def test_inspect_takes_all_and_is_json(cell: Any) -> None:
    torch.manual_seed(0)
    layer = Recurrent(cell(2, 6))
    x = noise(3, 200, 2).float()
    found = diagnose.inspect(layer, x, dt=0.5)
    assert found.keys() == EVERY
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == diagnose.inspect(layer, x, dt=0.5)
    assert found["rank"]["of"] == 6
    assert 0 < found["memory"]["total"] <= 6
    assert found["states"]["effective_dimension"] <= 6
    assert next(layer.parameters()).dtype == torch.float32
    assert layer.training
    assert next(layer.parameters()).requires_grad
    text = diagnose.table(found)
    assert f"{found['lyapunov']:.4g}" in text
    assert len({line.index(line.split()[1]) for line in text.splitlines() if len(line.split()) == 2}) == 1


def test_inspect_leaves_out_what_does_not_apply() -> None:
    torch.manual_seed(0)
    both = Bidirectional(Recurrent(Leaky(1, 3)), Recurrent(Leaky(1, 3)))
    found = diagnose.inspect(both, noise(2, 100, 1).float(), steps=0)
    assert found.keys() == EVERY - {"echo", "lyapunov", "memory", "capacity"}
    found = diagnose.inspect(Spiking(8, 1.0), (noise(2, 100, 1) > 0).double(), fan_out=3)
    assert found.keys() == (EVERY - {"memory", "capacity"}) | {"rates", "operations"}
    assert found["rates"]["mean"] > 0
    assert found["operations"]["synaptic"] == pytest.approx(3 * found["operations"]["spikes"])
    assert found["tau"] is None
    json.dumps(found, allow_nan=False)


def test_inspect_says_none_where_a_number_is_none() -> None:
    still = Step(1, 2, lambda x, h, dt: torch.cat([x, x], dim=1))
    found = diagnose.inspect(still, noise(1, 60, 1), steps=500)
    assert found["lyapunov"] is None
    assert found["states"]["condition_number"] is None
    assert "lyapunov                    -" in diagnose.table(found)


def test_drive_runs_the_layer_as_it_is_in_float64() -> None:
    layer = Recurrent(Leaky(2, 4))
    x, dt = noise(3, 10, 2), noise(3, 10).abs()
    found = diagnose.drive(layer, x, dt=dt, washout=4)
    np.testing.assert_allclose(found, layer.double()(x, dt=dt)[0][:, 4:].reshape(18, 4).detach(), atol=1e-14)


def test_what_is_asked_wrongly_is_said() -> None:
    layer, x = Recurrent(Leaky(2, 4)), noise(3, 40, 2)
    reads_ahead = Bidirectional(layer, Recurrent(Leaky(2, 4)))
    cases: list[tuple[type[Exception], str, Callable[[], Any]]] = [
        (OptionError, r"`layer` must be a Layer; got Leaky\. Wrap", lambda: diagnose.drive(layer.cell, x)),
        (
            ShapeError,
            r"`x` must have the shape \(batch, time, features=2\); got \(40, 2\)",
            lambda: diagnose.drive(layer, x[0]),
        ),
        (ShapeError, r"`x` must have the shape .*; got \(3, 40, 1\)", lambda: diagnose.drive(layer, x[..., :1])),
        (DataError, r"`x` must be finite; got nan \(row 1, time 2, column 0\)", lambda: diagnose.drive(layer, hole(x))),
        (ShapeError, r"`dt` must be a number or .*; got \(3,\)", lambda: diagnose.drive(layer, x, dt=[1, 2, 3])),
        (
            OptionError,
            "`washout` must be a whole number at least 0 and at most 39; got 40",
            lambda: diagnose.drive(layer, x, washout=40),
        ),
        (
            OptionError,
            "`steps` must be a whole number at least 32; got 31",
            lambda: diagnose.memory_capacity(layer, steps=31),
        ),
        (
            OptionError,
            "`high` must be above `low`; got -1.0 and 1.0",
            lambda: diagnose.memory_capacity(layer, low=1.0, high=-1.0),
        ),
        (OptionError, "`delays` must name", lambda: diagnose.information_processing_capacity(layer, delays=())),
        (
            OptionError,
            r"`delays\[1\]` must be a whole number at least 0; got -1",
            lambda: diagnose.information_processing_capacity(layer, delays=(3, -1)),
        ),
        (
            ShapeError,
            r"`states` must have the shape \(\.\.\., units\), one state or more; got \(4,\)",
            lambda: diagnose.rank(torch.ones(4)),
        ),
        (DataError, "`states` must be finite", lambda: diagnose.effective_dimension(torch.full((2, 2), math.inf))),
        (
            OptionError,
            "`tolerance` must be a number at least 0 and at most 1; got 2",
            lambda: diagnose.rank(x, tolerance=2),
        ),
        (
            ShapeError,
            r"`x` must be one input, \(time, features\); got \(3, 40, 2\)",
            lambda: diagnose.generalisation_rank(layer, x),
        ),
        (
            ShapeError,
            r"`x` must have the shape .* two rows or more; got \(1, 40, 2\)",
            lambda: diagnose.separation(layer, x[:1]),
        ),
        (OptionError, "`layer` must be causal; got Bidirectional", lambda: diagnose.echo_index(reads_ahead, x)),
        (OptionError, "`layer` must be causal; got Bidirectional", lambda: diagnose.lyapunov(reads_ahead, x)),
        (OptionError, "`method` must be one of", lambda: diagnose.lyapunov(layer, x, method="tangent")),
        (ShapeError, "`x` must have 30 steps or more; got 29", lambda: diagnose.lyapunov(layer, x[:, :29])),
        (DataError, "`spikes` must be 0 or 1; got 0.5. Give spikes", lambda: diagnose.rates(torch.full((4, 1), 0.5))),
        (
            ShapeError,
            r"`fan_out` must have the shape \(units=1\); got \(2,\)",
            lambda: diagnose.operations(torch.ones(4, 1), [1, 2]),
        ),
    ]
    for error, text, call in cases:
        with pytest.raises(error, match=text):
            call()


def hole(x: Tensor) -> Tensor:
    x = x.clone()
    x[1, 2, 0] = math.nan
    return x
