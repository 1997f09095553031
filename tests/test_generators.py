"""The exact generators: each held to another way of computing the same."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from liquidtorch import datasets
from liquidtorch.datasets import autoregression, delay, flows, taylor
from liquidtorch.errors import DataError, OptionError

SEEDED: dict[str, Callable[..., object]] = {
    "narma10": partial(datasets.narma, 50),
    "narma30": partial(datasets.narma, 50, 30),
    "mackey_glass": partial(datasets.mackey_glass, 50),
    "lorenz63": partial(datasets.lorenz63, 20),
    "lorenz96": partial(datasets.lorenz96, 5, variables=7),
    "roessler": partial(datasets.roessler, 20),
    "channel_equalisation": partial(datasets.channel_equalisation, 50),
    "delayed_recall": partial(datasets.delayed_recall, 50),
    "temporal_parity": partial(datasets.temporal_parity, 50),
    "flip_flop": partial(datasets.flip_flop, 50, rate=0.5),
}
FLOWS: dict[str, tuple[Callable[..., np.ndarray], Callable[[float, np.ndarray], object]]] = {
    "lorenz63": (
        datasets.lorenz63,
        lambda t, s: [10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]],
    ),
    "roessler": (datasets.roessler, lambda t, s: [-s[1] - s[2], s[0] + 0.2 * s[1], 0.2 + s[2] * (s[0] - 5.7)]),
    "lorenz96": (
        partial(datasets.lorenz96, variables=10),
        lambda t, s: (np.roll(s, -1) - np.roll(s, 2)) * np.roll(s, 1) - s + 8,
    ),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_says_all(name: str) -> None:
    make = SEEDED[name]
    one, same, other = (np.asarray(make(seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    state = np.random.get_state()[1].copy()
    make(seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("name", SEEDED)
def test_a_bad_seed_and_no_steps_are_refused(name: str) -> None:
    make = SEEDED[name]
    with pytest.raises(OptionError, match="`seed` must be a whole number at least 0; got -1"):
        make(seed=-1)
    with pytest.raises(OptionError, match="`steps` must be a whole number at least 1; got 0"):
        make.func(0, **make.keywords)


def test_generators_open_lazily() -> None:
    code = "import sys; from liquidtorch import datasets; datasets.names(); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert all(getattr(datasets, name) is not None for name in datasets.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        datasets.nothing  # noqa: B018


# ---- flows ----


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_is_the_one_of_dop853_for_five_lyapunov_times(name: str) -> None:
    make, slope = FLOWS[name]
    dt = {"lorenz63": 0.02, "roessler": 0.1, "lorenz96": 0.05}[name]
    steps = int(5 / datasets.LYAPUNOV[name] / dt)
    found = make(steps, seed=3)
    times = dt * np.arange(steps)  # exact multiples, not linspace(0, steps*dt, steps)
    oracle = solve_ivp(slope, (0, times[-1]), found[0], "DOP853", times, rtol=1e-12, atol=1e-12).y.T
    assert np.abs(found - oracle).max() < 1e-7
    assert np.abs(found[1:] - oracle[:-1]).max() > 1e-2, "and not at another time"


@pytest.mark.parametrize("name", FLOWS)
def test_dt_only_says_where_one_looks(name: str) -> None:
    """Sample times are exact: every tenth of a fine series is the coarse one, for a dt longer than a step too."""
    make, _ = FLOWS[name]
    fine, coarse = make(101, dt=0.013, seed=1), make(11, dt=0.13, seed=1)
    np.testing.assert_allclose(fine[::10], coarse, rtol=0, atol=1e-9)


def test_a_series_is_of_its_order() -> None:
    """Halving a step of order p divides its error by 2^(p+1)."""
    start, exact = [1.0, 2.0, 20.0], {}
    for h in (0.01, 0.005):
        exact[h] = taylor._values(flows._lorenz63(start, 24), np.array([h]))[0]
    for order in (3, 4, 6):
        error = [
            np.abs(taylor._values(flows._lorenz63(start, order), np.array([h]))[0] - exact[h]).max() for h in exact
        ]
        assert math.log2(error[0] / error[1]) == pytest.approx(order + 1, abs=0.15)


def test_a_series_against_a_closed_form() -> None:
    """x' = x^2 from 1 blows up at t = 1: 1/(1 - t), where steps must shrink on the way."""

    def expand(state: list[float], order: int) -> np.ndarray:
        return np.array([[state[0] ** (k + 1)] for k in range(order + 1)])

    times = 0.0999 * np.arange(1, 11)
    np.testing.assert_allclose(taylor.solve(expand, [1.0], 0.0999, 10)[:, 0], 1 / (1 - times), rtol=1e-10)
    still = taylor.solve(lambda state, order: np.eye(order + 1, 1) * state[0], [2.0], 0.5, 3)
    np.testing.assert_array_equal(still, np.full((3, 1), 2.0))


def test_flows_start_on_their_attractors() -> None:
    """Known means and spreads (Lorenz: E z = 23.55, from long integrations; E x^2 = beta E z exactly)."""
    s = np.concatenate([datasets.lorenz63(3000, dt=0.05, seed=i) for i in range(2)])
    assert s[:, 2].mean() == pytest.approx(23.55, abs=0.4)
    assert (s[:, 0] * s[:, 1]).mean() == pytest.approx(8 / 3 * s[:, 2].mean(), rel=0.01)
    ring = datasets.lorenz96(400, variables=20, seed=0)
    assert (ring**2).mean() == pytest.approx(8 * ring.mean(), rel=0.03)  # dE/dt = 0 on average
    assert np.abs(datasets.roessler(2000, seed=0)[:, :2]).max() < 13


def test_a_lorenz_exponent_is_the_one_that_stands_there() -> None:
    """Two series, 1e-7 apart, renormalised (Benettin)."""
    rng, grown, s = np.random.default_rng(0), [], datasets.lorenz63(1)[0]
    v = rng.normal(size=3)
    other = s + 1e-7 * v / np.linalg.norm(v)
    for _ in range(300):
        s, other = (taylor.solve(flows._lorenz63, state.tolist(), 1.0, 1)[0] for state in (s, other))
        apart = np.linalg.norm(other - s)
        grown.append(math.log(apart / 1e-7))
        other = s + (other - s) * 1e-7 / apart
    assert np.mean(grown[5:]) == pytest.approx(datasets.LYAPUNOV["lorenz63"], abs=0.06)


# ---- Mackey-Glass ----


def by_steps(before: float, tau: float, spans: int) -> Callable[[float], float]:
    """The method of steps: over each tau the delayed value is known, and an ODE solver with dense output goes on."""
    parts, x = [], before
    for k in range(spans):
        delayed = (lambda t, p=parts[-1]: p(t - tau)[0]) if parts else (lambda t: before)

        def slope(t: float, x: np.ndarray, delayed: Callable[[float], float] = delayed) -> list[float]:
            d = delayed(t)
            return [0.2 * d / (1 + d**10) - 0.1 * x[0]]

        done = solve_ivp(
            slope, (k * tau, (k + 1) * tau), [x], "DOP853", dense_output=True, rtol=1e-12, atol=1e-14, max_step=tau / 40
        )
        parts.append(done.sol)
        x = done.y[0, -1]
    return lambda t: parts[min(int(t / tau), spans - 1)](t)[0]


def test_mackey_glass_is_of_order_four_against_the_method_of_steps() -> None:
    oracle, errors = by_steps(1.2, 17.0, 6), []
    for h in (0.2, 0.1, 0.05):
        x = delay._follow(1.2, 17.0, h, round(100 / h))
        errors.append(max(abs(x[round(t / h)] - oracle(t)) for t in range(0, 101, 5)))
    assert errors[1] < 5e-9
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert orders == pytest.approx([4, 4], abs=0.25)


def test_mackey_glass_with_a_delay_between_two_steps() -> None:
    oracle = by_steps(0.7, 16.83, 6)
    x = delay._follow(0.7, 16.83, 0.1, 1000)
    apart = [abs(x[10 * t] - oracle(t)) for t in range(0, 101, 5)]
    assert max(apart) < 1e-5
    assert max(apart[:3]) < 1e-10, "until the delayed value moves, at tau, there is nothing to interpolate"


def test_mackey_glass_does_not_freeze_the_delayed_value() -> None:
    """The series is the same looked at ten times as often, and its slope is the equation's (frozen: 3 % off)."""
    x = datasets.mackey_glass(40, seed=5)
    fine = datasets.mackey_glass(391, dt=0.1, seed=5)
    np.testing.assert_allclose(x, fine[::10], rtol=0, atol=1e-9)  # the same steps of 0.1
    slope = [0.2 * fine[i] / (1 + fine[i] ** 10) - 0.1 * fine[i + 170] for i in range(1, 221)]
    rise = [(fine[i + 171] - fine[i + 169]) / 0.2 for i in range(1, 220)]
    np.testing.assert_allclose(rise, slope[:219], rtol=0, atol=2e-4)  # central differences are of order 2


def test_mackey_glass_has_the_known_statistics() -> None:
    x = datasets.mackey_glass(10_000)
    assert (x.mean(), x.std()) == pytest.approx((0.9297, 0.2261), abs=2e-3)
    assert (x.min(), x.max()) == pytest.approx((0.417, 1.319), abs=3e-3)


def test_mackey_glass_follows_any_delay_and_step() -> None:
    assert datasets.mackey_glass(3, tau=0.05, dt=0.3) == pytest.approx(1.0, abs=1e-6)  # a short delay rests at 1
    with pytest.raises(OptionError, match="`tau` must be a number above 0; got 0"):
        datasets.mackey_glass(3, tau=0)
    with pytest.raises(OptionError, match="`dt` must be a number above 0; got -1"):
        datasets.mackey_glass(3, dt=-1.0)


# ---- driven ----


@pytest.mark.parametrize(("order", "parameters"), [(10, (0.3, 0.05, 1.5, 0.1)), (30, (0.2, 0.04, 1.5, 0.001))])
def test_narma_is_the_textbooks(order: int, parameters: tuple[float, ...]) -> None:
    """Y[t + 1] in the textbook's own indices, sums term by term."""
    u, y = datasets.narma(1000, order, seed=4)
    alpha, beta, gamma, delta = parameters
    Y = [0.0] * (len(u) + 1)
    for t in range(order - 1, len(u)):
        total = 0.0
        for i in range(order):
            total += Y[t - i]
        Y[t + 1] = alpha * Y[t] + beta * Y[t] * total + gamma * u[t - order + 1] * u[t] + delta
    np.testing.assert_allclose(y, Y[1:], rtol=0, atol=1e-13)
    assert u.min() >= 0
    assert 0.49 < u.max() <= 0.5
    assert y.std() > 0.02


def test_narma_by_hand() -> None:
    """Inputs of 0.2: 1.5*0.04 + 0.1 = 0.16; then 0.3*0.16 + 0.05*0.16*0.16 + 0.16 = 0.20928."""
    y = autoregression._recursion([0.2] * 11, 10)
    assert y[:9] == [0.0] * 9
    assert y[9:] == pytest.approx([0.16, 0.20928], abs=1e-15)


def test_narma_never_runs_away() -> None:
    longest = [
        len(autoregression._recursion(np.random.default_rng(s).uniform(0, 0.5, 4000).tolist(), 10)) for s in range(30)
    ]
    assert min(longest) < 4000, "some draws do"
    assert all(np.abs(datasets.narma(4000, seed=s).y).max() <= 1 for s in range(30))
    assert len(datasets.narma(3).y) == 3
    with pytest.raises(OptionError, match="`order` must be one of 10, 30; got 20"):
        datasets.narma(100, 20)


def test_narma_gives_up_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(autoregression.PARAMETERS, 10, (1.5, 0.05, 1.5, 0.1))
    monkeypatch.setattr(autoregression, "DRAWS", 3)
    with pytest.raises(DataError, match=r"`steps` must leave a sequence .*; got 500 \(all of 3 drawn ran away\)"):
        datasets.narma(500)


def test_channel_equalisation_is_the_direct_convolution() -> None:
    u, y = datasets.channel_equalisation(300, snr=200.0, seed=2)  # no noise to speak of
    d = {t - 2: v for t, v in enumerate(y)}  # y[t] = d[t-2]
    for n in range(5, 290):
        q = (
            0.08 * d[n + 2] - 0.12 * d[n + 1] + d[n] + 0.18 * d[n - 1] - 0.1 * d[n - 2] + 0.091 * d[n - 3]
            - 0.05 * d[n - 4] + 0.04 * d[n - 5] + 0.03 * d[n - 6] + 0.01 * d[n - 7]
        )  # fmt: skip
        assert u[n] == pytest.approx(q + 0.036 * q**2 - 0.011 * q**3, abs=1e-8)


@pytest.mark.parametrize("snr", [12.0, 28.0])
def test_channel_noise_is_as_strong_as_asked(snr: float) -> None:
    noisy, y = datasets.channel_equalisation(40_000, snr=snr, seed=1)
    clean, same = datasets.channel_equalisation(40_000, snr=300.0, seed=1)
    np.testing.assert_array_equal(y, same)
    noise = noisy - clean
    assert 10 * math.log10((clean**2).mean() / (noise**2).mean()) == pytest.approx(snr, abs=0.1)
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.02
    assert np.unique(y, return_counts=True)[1] == pytest.approx(10_000, rel=0.05)


def test_mso_is_its_sum() -> None:
    y = datasets.mso(500)
    w = (0.2, 0.311, 0.42, 0.51, 0.63, 0.74, 0.85, 0.97)
    assert y[0] == 0
    assert y[123] == pytest.approx(sum(math.sin(123 * f) for f in w), abs=1e-12)
    np.testing.assert_allclose(datasets.mso(50, sines=1), np.sin(0.2 * np.arange(50)))
    with pytest.raises(OptionError, match="`sines` must be a whole number at least 1 and at most 8; got 9"):
        datasets.mso(5, sines=9)


def test_memory_tasks_against_loops() -> None:
    u, y = datasets.delayed_recall(60, delay=7)
    assert [y[t] for t in range(7, 60)] == [u[t - 7] for t in range(7, 60)]
    assert len(y) == 60
    assert len(datasets.delayed_recall(5, delay=0).u) == 5
    for order, late in ((1, 0), (2, 0), (3, 2)):
        u, y = datasets.temporal_parity(60, order=order, delay=late)
        for t in range(late + order - 1, 60):
            product = 1.0
            for i in range(order):
                product *= u[t - late - i]
            assert y[t] == product
    u, y = datasets.flip_flop(300, bits=2, rate=0.1)
    held = [0.0, 0.0]
    for t in range(300):
        held = [new or old for new, old in zip(u[t], held, strict=True)]
        assert y[t].tolist() == held
    assert set(np.unique(u)) == {-1.0, 0.0, 1.0}
    u, y = datasets.flip_flop(20, rate=1.0)
    np.testing.assert_array_equal(u, y)  # from the first step
    with pytest.raises(OptionError, match="`rate` must be a number above 0 and at most 1; got 0"):
        datasets.flip_flop(5, rate=0)


def test_parity_is_not_linear() -> None:
    u, y = datasets.temporal_parity(20_000, order=2)
    assert max(abs(np.corrcoef(np.roll(u, k)[5:], y[5:])[0, 1]) for k in range(5)) < 0.03
