"""RecursiveLogistic against its formula with the covariance itself, and the committee that asks it and others."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from liquidtorch import readout
from liquidtorch.errors import DataError, OptionError
from liquidtorch.readout import Committee, OnlineLogistic, RecursiveLogistic

MAKERS = {
    "recursive": lambda K=3: RecursiveLogistic(5, K, forgetting=0.99),
    "committee": lambda K=3: Committee(5, K, body=3),
}


def rows(count: int, classes: int = 3, seed: int = 0) -> list[tuple[np.ndarray, int]]:
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(classes, 5))
    z = rng.normal(size=(count, 5))
    return [(row, int((W @ row + rng.gumbel(size=classes)).argmax())) for row in z]


def taught(made: Any, count: int = 60, classes: int = 3, seed: int = 0) -> Any:
    for z, y in rows(count, classes, seed):
        made.learn(z, y)
    return made


def test_a_row_is_learned_as_the_formula_with_the_covariance_says() -> None:
    made, P, W = RecursiveLogistic(5, 2, penalty=0.5), np.diag([2.0] * 5 + [1e12]), np.zeros((2, 6))
    made.forgetting = 1.0
    for z, y in rows(80, 2):
        one = np.append(z, 1.0)
        p = np.exp(W @ one) / np.exp(W @ one).sum()
        c = max(p[0] * p[1], 0.02)
        gain = P @ one / (1 / c + one @ P @ one)
        error = np.eye(2)[y] - p
        np.testing.assert_allclose(made.learn(z, y), error, atol=1e-6)
        W += np.outer(error / (2 * c), gain)
        P -= np.outer(gain, one @ P)
    np.testing.assert_allclose(made.weight, W[:, :-1], atol=1e-6)
    np.testing.assert_allclose(made.bias, W[:, -1], atol=1e-6)


def test_what_is_learned_once_is_near_the_maximum_of_the_likelihood() -> None:
    from sklearn.linear_model import LogisticRegression

    given = rows(4000, 2, seed=3)
    made = RecursiveLogistic(5, 2, forgetting=1.0)
    for z, y in given:
        made.learn(z, y)
    x, y = np.array([z for z, _ in given]), np.array([y for _, y in given])
    best = LogisticRegression(C=1.0, tol=1e-10).fit(x, y)
    found = np.array([made.predict(z)[1] for z in x[:200]])
    np.testing.assert_allclose(found, best.predict_proba(x[:200])[:, 1], atol=0.03)


def test_weak_rows_for_long_leave_it_finite() -> None:
    made, rng = RecursiveLogistic(5, 2, forgetting=0.98), np.random.default_rng(0)
    for t in range(5000):
        made.learn(np.array([1.0, 1e-3 * rng.normal(), 0.0, 0.0, 0.0]), t // 7 % 2)
    assert np.isfinite(made._weight).all()
    assert np.abs(made._factor[0]).max() < 1e3


@pytest.mark.parametrize("name", MAKERS)
def test_gradient_is_that_of_finite_differences(name: str) -> None:
    made = taught(MAKERS[name]())
    for z, y in rows(5, seed=9):
        q, loss = made.gradient(z, y)
        assert loss == pytest.approx(-np.log(made.predict(z)[y]), rel=1e-12)
        for j in range(5):
            step = 1e-6 * np.eye(5)[j]
            up, down = (-np.log(made.predict(z + s)[y]) for s in (step, -step))
            assert q[j] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", MAKERS)
def test_all_of_it_is_in_config_and_state_dict(name: str) -> None:
    made = taught(MAKERS[name]())
    made.add_class()
    taught(made, 20, 4, seed=5)
    again = readout.build(json.loads(json.dumps(made.config())))
    again.load_state_dict(made.state_dict())
    taught(made, 20, 4, seed=6)
    taught(again, 20, 4, seed=6)
    for key, value in made.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


@pytest.mark.parametrize("name", MAKERS)
def test_tensors_are_answered_as_arrays_are(name: str) -> None:
    made = taught(MAKERS[name]())
    z = np.array([z for z, _ in rows(4, seed=2)])
    found = made(torch.from_numpy(z)).softmax(-1)
    np.testing.assert_allclose(found, [made.predict(row) for row in z], atol=1e-12)


@pytest.mark.parametrize("name", MAKERS)
def test_a_new_class_leaves_the_ratios_of_the_old(name: str) -> None:
    made = taught(MAKERS[name](), 300)
    z = rows(1, seed=4)[0][0]
    before = made.predict(z)
    made.add_class(0.01)
    after = made.predict(z)
    assert 0 < after[3] < 0.2
    if name == "recursive":  # each member keeps the ratios; their mean keeps them as far as they agree
        np.testing.assert_allclose(after[:3] / after[:3].sum(), before, rtol=1e-12)
    else:
        np.testing.assert_allclose(after[:3] / after[:3].sum(), before, atol=0.02)


@pytest.mark.parametrize("name", MAKERS)
def test_more_room_changes_no_answer_and_an_opened_slot_is_learned(name: str) -> None:
    made = taught(MAKERS[name](2), 60, 2)
    z = rows(1, seed=4)[0][0]
    before = made.predict(z)
    made.widen(8)
    wide = np.append(z, np.zeros(3))
    np.testing.assert_allclose(made.predict(wide), before, rtol=1e-12)
    made.open(6)
    np.testing.assert_allclose(made.predict(wide), before, rtol=1e-12)
    rng = np.random.default_rng(1)
    for _ in range(300):
        row = np.append(rng.normal(size=7), 0.0)
        row[5] = 0.0
        made.learn(row, int(row[6] > 0))
    probe = np.zeros(8)
    probe[6] = 2.0
    assert made.predict(probe)[1] > 0.9
    made.close(6)
    assert made.predict(probe)[1] < 0.9


def test_the_committee_follows_whoever_is_right() -> None:
    """First the label is a sum of inputs, drowned for those who see the body's noise; then it is the body's."""
    rng = np.random.default_rng(0)
    made = Committee(42, 2, body=40)
    alone = [OnlineLogistic(42, 2), RecursiveLogistic(42, 2), OnlineLogistic(2, 2), RecursiveLogistic(2, 2)]
    right = np.zeros((2, 5))
    for t in range(3000):
        z = rng.normal(size=42)
        y = int((z[40] + 0.5 * z[41] if t < 1500 else z[:3].sum()) + 0.3 * rng.normal() > 0)
        answers = [made.predict(z), *(m.predict(z[42 - m.features :]) for m in alone)]
        right[t // 1500] += [a.argmax() == y for a in answers]
        made.learn(z, y)
        for m in alone:
            m.learn(z[42 - m.features :], y)
    right /= 1500
    for period in right:
        assert period[0] > period[1:].max() - 0.02
    assert right[0, 1:].argmax() != right[1, 1:].argmax()


def test_what_is_wrong_is_said_and_nothing_learned() -> None:
    for make in MAKERS.values():
        made = taught(make())
        before = {k: v.clone() for k, v in made.state_dict().items()}
        with pytest.raises(DataError, match="`y` must be a whole number from 0 to 2"):
            made.learn(np.zeros(5), 3)
        with pytest.raises(DataError, match="`z` must be finite"):
            made.learn(np.array([0, 0, np.nan, 0, 0]), 1)
        assert np.isnan(made.learn(np.ones(5), float("nan"))).all()
        assert all(torch.equal(v, before[k]) for k, v in made.state_dict().items())
    with pytest.raises(OptionError, match="`body` must be"):
        Committee(3, 2, body=4)
    with pytest.raises(OptionError, match="`classes` must be"):
        RecursiveLogistic(3, 1)
