"""RLS: equal to the ridge regression it stands for, stable without excitation, and exact where features come and go."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch

from liquidtorch.errors import DataError, OptionError, ShapeError, StateError
from liquidtorch.readout import RLS, Factor, Ridge, build

Array = np.ndarray


def rows(n: int, F: int, outputs: int = 1, seed: int = 0, offset: float = 3.0) -> tuple[Array, Array]:
    """Return z of very different scales, far from 0, and y."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, F)) @ np.diag(10.0 ** rng.uniform(-2, 2, F)) + offset
    return z, z @ rng.normal(size=(F, outputs)) + rng.normal(size=(n, outputs)) + 5.0


def learned(readout: RLS, z: Array, y: Array) -> RLS:
    for a, b in zip(z, y, strict=True):
        readout.learn(a, b)
    return readout


def covariance(readout: RLS, c: int = 0) -> Array:
    S = readout.factor[c].numpy()
    return S @ S.T


def assert_close(got: RLS, weight: Any, bias: Any, tolerance: float = 1e-8) -> None:
    for mine, given in ((got.weight, weight), (got.bias, bias)):
        wanted = np.asarray(given)
        scale = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(mine.numpy(), wanted, rtol=0, atol=tolerance * scale)


def dense(z: Array, y: Array, heavy: Array, prior: Array) -> tuple[Array, Array]:
    """Return the weights (O, F+1), bias last, and the covariance of the regression weighted by `heavy`, all at once."""
    v = np.hstack([z, np.ones((len(z), 1))])
    information = v.T @ (heavy[:, None] * v) + np.diag(prior)
    return np.linalg.solve(information, v.T @ (heavy[:, None] * y)).T, np.linalg.inv(information)


@pytest.mark.parametrize("F", [1, 2, 7, 17, 64])
def test_it_is_ridge(F: int) -> None:
    z, y = rows(5 * F + 3, F, 2)
    got = learned(RLS(F, 2, penalty=0.7), z, y)
    found = Factor(F, 2).add(torch.from_numpy(z), torch.from_numpy(y))
    ridge = Ridge(F, 2)
    ridge.solve(torch.from_numpy(z), torch.from_numpy(y), select=0.7 / found.spectrum().unit)
    assert_close(got, ridge.weight, ridge.bias)
    other = learned(RLS(F, 2, penalty=0.8), z, y)
    assert not np.allclose(other.weight, ridge.weight, rtol=0, atol=1e-8), "the test would see another penalty"


def test_it_is_ridge_after_many_rows() -> None:
    z, y = rows(20_000, 5, seed=1)
    got, ridge = learned(RLS(5, 1, penalty=1e-3), z, y), Ridge(5, 1)
    found = Factor(5, 1).add(torch.from_numpy(z), torch.from_numpy(y))
    ridge.solve(torch.from_numpy(z), torch.from_numpy(y), select=1e-3 / found.spectrum().unit)
    assert_close(got, ridge.weight, ridge.bias)


def test_the_error_is_that_before_learning_and_rows_count_as_often_as_said() -> None:
    z, y = rows(30, 4, 2)
    once, twice = RLS(4, 2), RLS(4, 2)
    for a, b in zip(z, y, strict=True):
        wanted = b - once.predict(a)
        np.testing.assert_allclose(once.learn(a, b, weight=2.0), wanted, rtol=0, atol=1e-9)
        twice.learn(a, b)
        twice.learn(a, b)
    assert_close(once, twice.weight, twice.bias, 1e-10)


@pytest.mark.parametrize("forgetting", [0.999, 0.9])
def test_forgetting_is_what_it_says(forgetting: float) -> None:
    """The information form, dense: every P^-1 discounted, a row added, the prior refilled at one place."""
    z, y = rows(60, 3)
    got = RLS(3, 1, forgetting=forgetting, penalty=0.5)
    prior = np.array([0.5, 0.5, 0.5, 0])
    information, w = np.diag(prior), np.zeros(4)
    for t in range(60):
        v = np.append(z[t], 1.0)
        information = forgetting * information + np.outer(v, v)
        w = w + np.linalg.solve(information, v) * (y[t, 0] - w @ v)
        information[t % 3, t % 3] += (1 - forgetting**3) * 0.5
        got.learn(z[t], y[t])
        assert_close(got, w[None, :3], w[3:])
    np.testing.assert_allclose(np.linalg.inv(covariance(got)), information, rtol=1e-8, atol=1e-8)


def weak(steps: int, F: int, seed: int = 0) -> Array:
    """Return z that hardly moves, in one direction at a time, with long rests at 0."""
    rng = np.random.default_rng(seed)
    z = np.outer(np.sin(np.arange(steps) / 500), rng.normal(size=F)) * 1e-3
    z[:: steps // 20 or 1] += rng.normal(size=F)
    z[(np.arange(steps) // 2000) % 3 == 0] = 0
    return z


def test_the_unstable_recursion_diverges_where_ours_does_not() -> None:
    """The control: P <- (P - g z'P) / forgetting, as textbooks have it, on the same rows."""
    z = weak(12_000, 6)
    P, largest, got = np.eye(7), 0.0, RLS(6, 1, forgetting=0.99)
    bound = 1.001 / 0.99**6  # the penalty is 1
    for row in z:
        v = np.append(row, 1.0)
        g = P @ v / (0.99 + v @ P @ v)
        P = (P - np.outer(g, v @ P)) / 0.99 if largest < 1e12 else P
        largest = max(largest, P[0, 0])
        got.learn(row, np.zeros(1))
    assert largest > 1e12
    assert covariance(got)[:6, :6].max() < bound
    assert np.isfinite(covariance(got)).all()


@pytest.mark.slow
@pytest.mark.parametrize("forgetting", [0.9, 0.99, 0.999])
def test_a_million_rows_that_say_little(forgetting: float) -> None:
    z = weak(1_000_000, 8)
    rng = np.random.default_rng(1)
    y = z @ rng.normal(size=(8, 1)) + 1e-3 * rng.normal(size=(len(z), 1))
    got = learned(RLS(8, 1, forgetting=forgetting), z, y)
    P = covariance(got)
    assert np.diag(P)[:8].max() < 1.001 / forgetting**8
    assert np.linalg.eigvalsh(P).min() >= -1e-12
    assert np.abs(got.weight.numpy()).max() < 10
    z, y = rows(500, 8, seed=2)  # and it learns as before
    learned(got, z, y)
    assert np.abs(y[-1] - got.predict(z[-1])) < 5 * y.std() / 3


def test_an_unknown_output_stays_as_it_was() -> None:
    z, y = rows(40, 3, 2)
    got, one = RLS(3, 2), RLS(3, 1)
    for t in range(40):
        before = got.weight[1].clone(), got.bias[1].clone()
        told = np.array([y[t, 0], np.nan if t % 2 else y[t, 1]])
        error = got.learn(z[t], told)
        one.learn(z[t], y[t, :1])
        assert np.isnan(error[1]) == bool(t % 2)
        if t % 2:
            assert torch.equal(got.weight[1], before[0])
            assert torch.equal(got.bias[1], before[1])
    assert_close(one, got.weight[:1], got.bias[:1], 1e-12)
    before = copy.deepcopy(got.state_dict())
    got.learn(z[0], np.full(2, np.nan))
    assert all(torch.equal(before[k], v) for k, v in got.state_dict().items())


def test_covariances_of_their_own_know_what_each_output_was_told() -> None:
    z, y = rows(40, 3, 2)
    y[::3, 1] = np.nan
    got, known = learned(RLS(3, 2, shared=False), z, y), ~np.isnan(y[:, 1])
    for o, keep in enumerate((np.ones(40, bool), known)):
        w, P = dense(z[keep], y[keep, o : o + 1], np.ones(keep.sum()), np.append(np.ones(3), 0))
        np.testing.assert_allclose(got.weight[o], w[0, :3], atol=1e-8)
        np.testing.assert_allclose(covariance(got, o), P, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("j", [0, 2, 6])
def test_closing_is_least_squares_without_the_column(j: int) -> None:
    z, y = rows(50, 7, 2)
    got, without = RLS(7, 2, penalty=0.1), RLS(7, 2, penalty=0.1)
    learned(got, z, y).close(j)
    keep = [i for i in range(7) if i != j]
    w, P = dense(z[:, keep], y, np.ones(50), np.append(np.full(6, 0.1), 0))
    assert_close(got, np.insert(w[:, :6], j, 0, axis=1), w[:, 6])
    np.testing.assert_allclose(covariance(got)[np.ix_([*keep, 7], [*keep, 7])], P, rtol=1e-6, atol=1e-10)
    without.close(j)  # and so is all that is learned later
    learned(without, z, y)
    assert_close(without, got.weight, got.bias)
    more = rows(20, 7, 2, seed=5)
    assert_close(learned(got, *more), learned(without, *more).weight, without.bias)
    assert not got.weight[:, j].any()


def test_saliency_is_what_closing_costs() -> None:
    z, y = rows(50, 5, 2)
    got = learned(RLS(5, 2, penalty=0.1), z, y)

    def cost(one: RLS) -> float:
        error = y - z @ one.weight.numpy().T - one.bias.numpy()
        return (np.square(error).sum() + 0.1 * float(one.weight.square().sum())) / 2

    for j in range(5):
        less = copy.deepcopy(got)
        less.close(j)
        assert got.saliency()[j] == pytest.approx(cost(less) - cost(got), rel=1e-6)
        assert less.saliency()[j] == 0


def test_a_slot_that_opens_learns_at_once_and_changes_no_answer() -> None:
    z, y = rows(40, 4)
    got = RLS(4, 1)
    got.close(2)
    learned(got, z, y)
    before = got.predict(z[0])
    got.open(2)
    assert np.array_equal(got.predict(z[0]), before)
    prior = np.linalg.inv(covariance(got))
    assert prior[2, 2] == pytest.approx(1.0)
    w = np.append(got.weight.numpy()[0], got.bias.numpy())
    v = np.hstack([z, np.ones((40, 1))])
    wanted = w + np.linalg.solve(prior + v.T @ v, v.T @ (y[:, 0] - v @ w))
    learned(got, z, y)
    assert_close(got, wanted[None, :4], wanted[4:])


@pytest.mark.parametrize("share", [0.3, 0.5, 1.5])
def test_a_split_says_the_same_until_the_two_differ(share: float) -> None:
    z, y = rows(40, 4)
    got = RLS(4, 1)
    got.close(3)
    z[:, 3] = z[:, 1]
    learned(got, z, y)
    one = copy.deepcopy(got)
    got.split(1, 3, share)
    w = one.weight[0, 1]
    assert got.weight[0, [1, 3]].tolist() == pytest.approx([(1 - share) * w.item(), share * w.item()])
    for t in range(40):  # the sum of the two is known as the one was: they learn alike while they are alike
        np.testing.assert_allclose(got.predict(z[t]), one.predict(z[t]), rtol=1e-9)
        got.learn(z[t], y[t])
        one.learn(z[t], y[t])
    z[:, 3] = 5 * np.random.default_rng(9).normal(size=40)
    y = y + 3 * z[:, 3:]
    learned(got, z, y)
    rest = y - z @ got.weight.numpy().T - got.bias.numpy()
    assert rest.std() < y.std() / 3, "what tells the two apart is learned at once"


def test_room_for_more_features_and_outputs() -> None:
    z, y = rows(60, 5, 2)
    got, wanted = RLS(3, 1, penalty=0.3), RLS(5, 1, penalty=0.3)
    learned(got, z[:20, :3], y[:20, :1])
    for j in (3, 4):
        wanted.close(j)
    learned(wanted, z[:20], y[:20, :1])
    got.widen(5)
    assert got.live.tolist() == [True] * 3 + [False] * 2
    assert_close(got, wanted.weight, wanted.bias)
    for one in (got, wanted):
        one.open(3)
        learned(one, z[20:40], y[20:40, :1])
    assert_close(got, wanted.weight, wanted.bias)
    got.add_output()
    assert got.predict(z[0])[1] == 0
    learned(got, z[40:], y[40:])
    w, _ = dense(z[40:, :4], y[40:, 1:], np.ones(20), np.append(np.full(4, 0.3), 0))
    np.testing.assert_allclose(got.weight.numpy()[1, :4], w[0, :4], atol=1e-8)
    assert_close(learned(wanted, z[40:], y[40:, :1]), got.weight[:1], got.bias[:1])


def test_loosened_it_learns_as_if_new_from_the_weights_it_has() -> None:
    z, y = rows(60, 3)
    got = learned(RLS(3, 1, penalty=0.2), z[:40], y[:40])
    weight, bias, before = got.weight.clone(), got.bias.clone(), covariance(got)
    some = copy.deepcopy(got)
    some.loosen(0.25)
    S = some.factor[0].numpy()[:3]
    np.testing.assert_allclose(S @ S.T, (0.75 * before + 0.25 * np.eye(4) / 0.2)[:3, :3], atol=1e-12)
    got.loosen()
    assert torch.equal(got.weight, weight)
    fresh = learned(RLS(3, 1, penalty=0.2), z[40:], y[40:] - z[40:] @ weight.numpy().T - bias.numpy())
    assert_close(learned(got, z[40:], y[40:]), fresh.weight + weight, fresh.bias + bias)


def test_gradient_is_that_of_autograd() -> None:
    z, y = rows(20, 4, 3)
    got = learned(RLS(4, 3), z, y)
    leaf = torch.from_numpy(z[0].copy()).requires_grad_()
    told = np.array([1.0, np.nan, -2.0])
    loss = (got(leaf)[[0, 2]] - torch.tensor([1.0, -2.0])).square().sum() / 2
    loss.backward()
    q, value = got.gradient(z[0], told)
    assert value == pytest.approx(loss.item())
    np.testing.assert_allclose(q, leaf.grad, rtol=1e-12)  # pyright: ignore


def test_everything_is_in_the_state() -> None:
    z, y = rows(60, 4, 3)
    got = RLS(3, 2, forgetting=0.95, penalty=0.3)
    learned(got, z[:20, :3], y[:20, :2])
    got.widen(4)
    got.open(3)
    got.add_output()
    got.close(1)
    learned(got, z[20:40], y[20:40])
    file = io.BytesIO()
    torch.save(got.state_dict(), file)
    file.seek(0)
    again = build(got.config())
    again.load_state_dict(torch.load(file, weights_only=True))
    for one in (again, copy.deepcopy(got), got):
        learned(one, z[40:], y[40:])
        found = one.state_dict()
        assert all(torch.equal(again.state_dict()[k], v) for k, v in found.items())


def test_messages() -> None:
    got = RLS(3, 2)
    z, y = np.zeros(3), np.zeros(2)
    with pytest.raises(ShapeError, match=r"`z` must be an array of the shape \(3,\); got \(2,\)"):
        got.predict(z[:2])
    with pytest.raises(ShapeError, match=r"`z` must be an array of the shape \(3,\); got list"):
        got.predict([0.0, 0.0, 0.0])  # pyright: ignore
    with pytest.raises(ShapeError, match=r"`y` must have the shape \(outputs=2\); got \(1,\)"):
        got.learn(z, y[:1])
    with pytest.raises(DataError, match=r"`z` must be finite; got nan at feature 1\. Fill in"):
        got.learn(np.array([0.0, np.nan, 0.0]), y)
    with pytest.raises(DataError, match="`y` must be finite, or NaN where unknown; got inf at output 1"):
        got.learn(z, np.array([np.nan, np.inf]))
    with pytest.raises(OptionError, match="`weight` must be a number above 0; got 0"):
        got.learn(z, y, weight=0.0)
    with pytest.raises(OptionError, match=r"`forgetting` must be a number above 0 and at most 1; got 1\.5"):
        RLS(3, 2, forgetting=1.5)
    with pytest.raises(StateError, match="`j` must be a closed slot; got 0, which is not"):
        got.open(0)
    got.close(0)
    with pytest.raises(StateError, match="`j` must be an open slot; got 0, which is not"):
        got.close(0)
    with pytest.raises(OptionError, match="`features` must be at least 3, as many as there are; got 2"):
        got.widen(2)
    with pytest.raises(OptionError, match=r"`RLS` must stay in float64 on the CPU; got torch\.float32"):
        got.float()
    assert got.double().weight.dtype == torch.float64


def test_leverage_is_the_diagonal_of_the_hat_matrix() -> None:
    """Of rows that were learned, with the penalty on all but the bias; infinite before there is any."""
    z, y = rows(40, 5)
    readout = RLS(5, 1, penalty=0.3)
    assert np.isinf(readout.leverage(z[0]))
    learned(readout, z, y)
    Z = np.column_stack([z, np.ones(len(z))])
    A = Z.T @ Z + np.diag([0.3] * 5 + [0.0])
    wanted = np.einsum("ij,ji->i", Z, np.linalg.solve(A, Z.T))
    assert [readout.leverage(row) for row in z] == pytest.approx(wanted.tolist(), rel=1e-6)
    with pytest.raises(DataError, match="`z` must be finite"):
        readout.leverage(np.full(5, np.nan))
