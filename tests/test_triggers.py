"""Triggers: they fire where they should, once, and not where they should not; saved and restored, they go on alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from liquidtorch.errors import OptionError
from liquidtorch.plasticity import (
    Change,
    Dormancy,
    Lag,
    Plateau,
    Population,
    Rest,
    Running,
    Saturation,
    redundant,
)  # fmt: skip

OPTIONS: Any = {"fast": 20, "slow": 100, "patience": 30, "rest": 200, "tolerance": 0.02}


def people(units: int, age: int = 10_000) -> Population:
    found = Population(np.ones(units, bool), 1, most_units=units, most_synapses=units * (units + 1))
    found.tick(age)
    return found


def fired(update: Callable[[int], bool], steps: int) -> list[int]:
    return [t for t in range(steps) if update(t)]


def test_a_plateau_is_found_where_the_loss_stops_falling() -> None:
    rng = np.random.default_rng(0)
    noise = 1 + 0.1 * rng.standard_normal(3000)
    plateau = Plateau(**OPTIONS)
    falling = fired(lambda t: plateau.update(float(np.exp(-t / 300) * noise[t])), 1500)
    assert falling == []
    stuck = fired(lambda t: plateau.update(float(np.exp(-5) * noise[1500 + t])), 1500)
    assert 0 < stuck[0] < 600
    assert min(np.diff(stuck)) >= OPTIONS["rest"]
    below = Plateau(**OPTIONS, floor=2.0)
    assert fired(lambda t: below.update(float(noise[t])), 1500) == []


def test_a_rest_is_kept_and_hysteresis() -> None:
    rest = Rest(5)
    assert fired(lambda t: rest.fires(True, low=False), 50) == [0]  # it was never low again
    assert fired(lambda t: rest.fires(t % 10 > 4, low=t % 10 <= 4), 50) == [5, 15, 25, 35, 45]
    short = Rest(5)
    assert fired(lambda t: short.fires(t % 2 == 1, low=t % 2 == 0), 20) == [1, 7, 13, 19]
    with pytest.raises(OptionError, match="`rest` must be a whole number at least 0"):
        Rest(-1)


def test_saturation_fires_at_high_and_again_only_after_low() -> None:
    population = people(4)
    population.alive[3] = False
    saturation = Saturation(4, memory=20, high=0.5, low=0.2, rest=0)
    level = np.concatenate([np.full(300, 0.5), np.full(300, 0.99), np.full(300, 0.5), np.full(300, 0.99)])
    found = fired(lambda t: saturation.update(np.array([level[t], level[t], 0.1, 1.0]), population), 1200)
    assert len(found) == 2
    assert 300 < found[0] < 400
    assert 900 < found[1] < 1000
    saturation.follow(Change(units_dead=[0]))
    assert saturation.share[0] == 0
    assert saturation.share[1] > 0.9


def test_the_dormant_are_those_that_do_not_move() -> None:
    population, dormancy, rng = people(5), Dormancy(5, memory=200), np.random.default_rng(0)
    population.alive[4] = False
    for _ in range(1000):
        dormancy.update(np.array([0.9, 1e-4, 1.0, 1.0, 0.0]) * rng.standard_normal(5) + np.array([0, 0.9, 0, 0, 0]))
    assert dormancy.units(population).tolist() == [1]
    assert dormancy.units(people(5, age=50), maturity=100).tolist() == []
    dormancy.follow(Change(units_born=[4], splits=((0, 4, 0.5),)))
    assert dormancy.swing[4] == dormancy.swing[0]
    dormancy.follow(Change(units_dead=[0]))
    assert dormancy.swing[0] == 0


def test_running_moments_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 5)) + 2
    running = Running(3, 2, memory=1e9)
    for row in z:
        running.update(row[:3], row[3:])
    assert np.allclose(running.mean, z.mean(0))
    assert np.allclose(running.covariance, np.cov(z.T, bias=True))
    assert np.allclose(running.correlation(), np.corrcoef(z.T)[:3, :3])
    assert np.allclose(running.sources().std_x, z[:, 3:].std(0))
    short = Running(3, 2, memory=50)
    for row in np.concatenate([z + 100, z]):
        short.update(row[:3], row[3:])
    assert np.abs(short.mean - z[-100:].mean(0)).max() < 2
    running.follow(Change(units_born=[2], splits=((0, 2, 0.5),)))
    assert running.correlation()[0, 2] == pytest.approx(1)
    running.follow(Change(units_dead=[0]))
    assert not running.covariance[0].any()


def test_the_redundant_come_in_pairs() -> None:
    correlation = np.eye(5)
    for i, j, r in ((0, 1, 0.995), (1, 2, 0.999), (3, 4, -0.992), (0, 3, 0.5)):
        correlation[i, j] = correlation[j, i] = r
    population = people(5)
    population.since[1] = 500
    population.since[3] = 900
    assert redundant(correlation, population).tolist() == [[2, 1], [4, 3]]
    assert redundant(correlation, population, threshold=0.9985).tolist() == [[2, 1]]
    assert redundant(correlation, population, maturity=9_200).tolist() == [[2, 1]]
    population.alive[2] = False
    assert redundant(correlation, population).tolist() == [[0, 1], [4, 3]]


def residuals(delay: int, reach: int, steps: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the best linear model of `reach` lags of x, where the truth is `delay` steps old; and x."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(steps)
    y = np.roll(x, delay) + 0.5 * np.roll(x, 1) + 0.3 * rng.standard_normal(steps)
    lags = np.stack([np.roll(x, k) for k in range(reach + 1)], 1)
    W = np.linalg.lstsq(lags, y, rcond=None)[0]
    return (y - lags @ W)[100:], x[100:]


@pytest.mark.parametrize("delay", [30, 41, 90])
def test_a_lag_that_is_missing_is_found(delay: int) -> None:
    error, x = residuals(delay, reach=10)
    lag = Lag(1, 1, longest=128)
    for e, row in zip(error, x, strict=True):
        lag.update(np.array([e]), np.array([row]))
    found = lag.found(reach=10)
    assert found is not None
    assert found.lag == delay
    wanted = np.corrcoef(error[delay:], x[:-delay])[0, 1]
    assert found.correlation == pytest.approx(wanted, abs=0.05)
    assert lag.band(reach=10) == (delay / 2, 2 * delay)
    assert lag.found(reach=delay) is None


def test_no_lag_is_found_where_none_is_missing() -> None:
    for seed in range(5):
        error, x = residuals(30, reach=40, seed=seed)
        lag = Lag(1, 1, longest=128)
        for e, row in zip(error, x, strict=True):
            lag.update(np.array([e]), np.array([row]))
        assert lag.found(reach=0, smallest=0.0) is None
        assert lag.band(reach=0) is None


def test_lags_are_those_of_the_brute_force() -> None:
    rng = np.random.default_rng(0)
    x, e = rng.standard_normal((400, 2)) + 3, rng.standard_normal((400, 3)) - 1
    lag = Lag(2, 3, longest=7, memory=1e9)
    for t in range(400):
        lag.update(e[t], x[t])
    z = np.concatenate([x, e], 1)
    z = z - z.mean(0)
    found = lag.correlation()
    for k in range(1, 8):
        for i in range(5):
            for j in range(3):
                r = (z[:-k, i] * z[k:, 2 + j]).mean() / z[:, i].std() / z[:, 2 + j].std()
                assert found[k - 1, i, j] == pytest.approx(r, abs=0.03)


def test_what_is_saved_goes_on() -> None:
    rng = np.random.default_rng(0)
    population = people(3)
    makes: list[tuple[Callable[[], Any], Callable[[Any, np.ndarray], Any]]] = [
        (lambda: Plateau(**OPTIONS), lambda t, v: t.update(float(1 + 0.01 * v[0]))),
        (lambda: Saturation(3, memory=9, high=0.3, low=0.2, rest=3), lambda t, v: t.update(v, population)),
        (lambda: Dormancy(3, memory=9), lambda t, v: t.update(v)),
        (lambda: Running(2, 1, memory=9), lambda t, v: t.update(v[:2], v[2:])),
        (lambda: Lag(2, 1, longest=4), lambda t, v: t.update(v[:1], v[1:])),
    ]
    for make, update in makes:
        one, other = make(), make()
        rows = rng.standard_normal((400, 3))
        for row in rows[:200]:
            update(one, row)
        for name, value in one.arrays().items():
            other.arrays()[name][...] = value
        assert [update(one, row) for row in rows[200:]] == [update(other, row) for row in rows[200:]]
        assert all(np.array_equal(v, other.arrays()[k]) for k, v in one.arrays().items())
