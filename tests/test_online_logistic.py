"""OnlineLogistic: steps of the likelihood; scale, probabilities, and features and classes that come later."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch

from liquidtorch import ops
from liquidtorch.errors import DataError, OptionError, ShapeError, StateError
from liquidtorch.ops.descent import SLOW
from liquidtorch.readout import OnlineLogistic, build

Array = np.ndarray


def rows(n: int, F: int, K: int, seed: int = 0) -> tuple[Array, Array]:
    """Return z and classes drawn from a softmax of it."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, F))
    said = 1.5 * z @ rng.normal(size=(F, K)) + rng.normal(size=K)
    return z, (said + rng.gumbel(size=(n, K))).argmax(1)


def learned(readout: OnlineLogistic, z: Array, y: Array) -> Array:
    """Learn all rows, and return the probabilities that were told before each."""
    told = []
    for a, b in zip(z, y, strict=True):
        told.append(readout.predict(a))
        readout.learn(a, int(b))
    return np.array(told)


def test_a_step_is_the_gradient_over_the_squares_of_z() -> None:
    z, y = rows(20, 4, 3)
    got = OnlineLogistic(4, 3, rate=0.8)
    learned(got, z[:10], y[:10])
    weight, bias = got.weight.clone().requires_grad_(), got.bias.clone().requires_grad_()
    sharpness = got.state[2].clone().requires_grad_()
    row = torch.from_numpy(z[10])
    logits = weight @ row + bias
    loss = -torch.log_softmax(logits, 0)[y[10]]
    loss.backward()
    sharp = -torch.log_softmax(sharpness * logits.detach(), 0)[y[10]]
    sharp.backward()
    step = 0.8 / (1 + float(z[10] @ z[10]))
    error = got.learn(z[10], int(y[10]))
    np.testing.assert_allclose(got.weight, weight.detach() - step * weight.grad, rtol=1e-12)  # pyright: ignore
    np.testing.assert_allclose(got.bias, bias.detach() - step * bias.grad, rtol=1e-12)  # pyright: ignore
    told = torch.softmax(sharpness * logits, 0).detach().numpy()
    np.testing.assert_allclose(error, np.eye(3)[y[10]] - told, rtol=1e-12)
    s, spread = sharpness.item(), (logits.max() - logits.min()).item()
    moved = s * (1 - SLOW * sharpness.grad.item() / (1 + s * spread))  # pyright: ignore
    assert got.state[2].item() == pytest.approx(moved, rel=1e-12)


def test_for_the_same_z_the_logits_move_by_the_rate() -> None:
    got, z = OnlineLogistic(5, 3, rate=0.7), np.arange(1.0, 6.0)
    got.learn(z, 1)
    logits = got.weight.numpy() @ z + got.bias.numpy()
    np.testing.assert_allclose(logits, 0.7 * (np.eye(3)[1] - 1 / 3), rtol=1e-12)


def test_the_unit_of_z_does_not_matter() -> None:
    """Without the 1 of the bias it would be exact; beside numbers this large it is nearly."""
    z, y = rows(300, 4, 3)
    one = learned(OnlineLogistic(4, 3), 1e5 * z, y)
    np.testing.assert_allclose(learned(OnlineLogistic(4, 3), 1e8 * z, y), one, atol=1e-6)
    assert np.abs(learned(OnlineLogistic(4, 3, rate=1.01), 1e8 * z, y) - one).max() > 1e-3


def test_it_learns_and_its_probabilities_mean_what_they_say() -> None:
    """At a rate far too high for rows that do not change, the logits are too sure; the sharpness makes up for it."""
    z, y = rows(12_000, 6, 3)
    got = OnlineLogistic(6, 3, rate=2.0)
    told = learned(got, z, y)[2000:]
    truth = y[2000:]
    right = told[np.arange(len(truth)), truth]
    with np.errstate(divide="ignore"):
        raw = np.log(told) / got.state[2].item()  # about what the logits themselves would say
    raw = np.exp(raw - raw.max(1, keepdims=True))
    raw /= raw.sum(1, keepdims=True)
    assert (told.argmax(1) == truth).mean() > 0.6
    assert -np.log(right).mean() < -np.log(raw[np.arange(len(truth)), truth]).mean() - 0.05

    def gap(p: Array) -> float:
        sure, hit = p.max(1), p.argmax(1) == truth
        bins = np.clip((sure * 10).astype(int), 0, 9)
        return sum(abs(float((sure - hit)[bins == b].sum())) for b in range(10)) / len(truth)

    assert gap(told) < 0.03
    assert gap(raw) > 0.06


def test_decay_shrinks_the_weights() -> None:
    z, _ = rows(1, 3, 2)
    with_decay, without = OnlineLogistic(3, 2, decay=0.1), OnlineLogistic(3, 2)
    with_decay.learn(z[0], 1)
    without.learn(z[0], 1)
    np.testing.assert_allclose(with_decay.weight, 0.9 * without.weight, rtol=1e-15)
    assert torch.equal(with_decay.bias, without.bias)


def test_gradient_is_that_of_autograd() -> None:
    z, y = rows(50, 4, 3)
    got = OnlineLogistic(4, 3)
    learned(got, z, y)
    leaf = torch.from_numpy(z[0].copy()).requires_grad_()
    loss = torch.nn.functional.cross_entropy(got(leaf), torch.tensor(2))
    loss.backward()
    q, value = got.gradient(z[0], 2)
    assert value == pytest.approx(loss.item())
    np.testing.assert_allclose(q, leaf.grad, rtol=1e-10)  # pyright: ignore
    np.testing.assert_allclose(torch.softmax(got(torch.from_numpy(z[0])), 0), got.predict(z[0]), rtol=1e-12)
    q, value = got.gradient(z[0], math.nan)
    assert not q.any()
    assert value == 0


@pytest.mark.parametrize("p", [1e-3, 0.2])
def test_a_new_class_leaves_the_ratios_of_the_others(p: float) -> None:
    z, y = rows(3000, 4, 3)
    got = OnlineLogistic(4, 3, rate=0.3)
    learned(got, z, y)
    before = np.array([got.predict(row) for row in z])
    got.add_class(p)
    assert got.classes == got.outputs == 4
    after = np.array([got.predict(row) for row in z])
    np.testing.assert_allclose(after[:, :3] / after[:, :1], before / before[:, :1], rtol=1e-9)
    odds = np.log(after[:, 3] / (1 - after[:, 3])).mean()
    assert odds == pytest.approx(math.log(p / (1 - p)), abs=0.3)
    for row in z[:500]:
        got.learn(row, 3)
    assert got.predict(z[500])[3] > 0.9
    fresh = OnlineLogistic(2, 2)
    fresh.add_class(p)
    assert fresh.predict(np.zeros(2))[2] == pytest.approx(p)


def test_slots() -> None:
    z, y = rows(2000, 5, 2)
    z[:, 1] += 3
    got = OnlineLogistic(4, 2, rate=0.3)
    learned(got, z[:1000, :4], y[:1000])
    assert got.saliency() == pytest.approx(
        np.square(got.weight.numpy()).sum(0) * z[:1000, :4].var(0) / 2, rel=1e-6
    )  # fmt: skip
    logits = lambda: got.weight.numpy() @ z[:1000, :4].mean(0) + got.bias.numpy()  # noqa: E731
    before = logits()
    got.close(1)
    np.testing.assert_allclose(logits(), before, rtol=1e-9)  # of the mean row
    got.learn(z[0, :4], 1)
    assert not got.weight[:, 1].any(), "a closed slot is not seen"
    assert not got.saliency()[1]
    told = got.predict(z[0, :4])
    got.split(0, 1, 0.3)
    row = z[0, :4].copy()
    row[1] = row[0]
    np.testing.assert_allclose(got.predict(row), told, rtol=1e-12)
    got.widen(5)
    row = np.append(row, 7.0)
    np.testing.assert_allclose(got.predict(row), told, rtol=1e-12)
    got.open(4)
    np.testing.assert_allclose(got.predict(row), told, rtol=1e-12)
    got.learn(row, 1)
    assert got.weight[:, 4].all()
    assert got.means[0].tolist() == [1001 + 1, 1001 + 1, 1002, 1002, 1]


def test_everything_is_in_the_state() -> None:
    z, y = rows(300, 4, 3)
    got = OnlineLogistic(3, 2, rate=0.5, decay=1e-3)
    learned(got, z[:100, :3], y[:100] % 2)
    got.widen(4)
    got.open(3)
    got.close(0)
    got.add_class()
    learned(got, z[100:200], y[100:200])
    again = build(got.config())
    again.load_state_dict(got.state_dict())
    for one in (again, copy.deepcopy(got), got):
        learned(one, z[200:], y[200:])
        found = one.state_dict()
        assert all(torch.equal(again.state_dict()[k], v) for k, v in found.items())


def test_an_unknown_class_teaches_nothing() -> None:
    z, y = rows(50, 3, 2)
    got = OnlineLogistic(3, 2)
    learned(got, z, y)
    before = copy.deepcopy(got.state_dict())
    assert np.isnan(got.learn(z[0], math.nan)).all()
    assert all(torch.equal(before[k], v) for k, v in got.state_dict().items())


def test_messages() -> None:
    got: Any = OnlineLogistic(3, 2)
    z = np.zeros(3)
    with pytest.raises(DataError, match="`y` must be a whole number from 0 to 1, or NaN where unknown; got 2"):
        got.learn(z, 2)
    with pytest.raises(DataError, match=r"`y` must be a whole number .*; got 0\.5"):
        got.learn(z, 0.5)
    with pytest.raises(ShapeError, match=r"`z` must be an array of the shape \(3,\)"):
        got.learn(z[:1], 1)
    with pytest.raises(DataError, match=r"`z` must be finite; got inf at feature 2"):
        got.predict(np.array([0.0, 0.0, np.inf]))
    with pytest.raises(OptionError, match="`rate` must be a number above 0; got 0"):
        OnlineLogistic(3, 2, rate=0)
    with pytest.raises(OptionError, match="`classes` must be a whole number at least 2; got 1"):
        OnlineLogistic(3, 1)
    with pytest.raises(OptionError, match=r"`p` must be a number above 0 and at most 0\.5; got 1"):
        got.add_class(1.0)
    with pytest.raises(StateError, match="`k` must be a closed slot; got 1, which is not"):
        got.split(0, 1, 0.5)


def test_the_reference_can_be_asked_for() -> None:
    z, y = rows(30, 3, 2)
    one, other = OnlineLogistic(3, 2), OnlineLogistic(3, 2)
    learned(one, z, y)
    with ops.use("reference"):
        learned(other, z, y)
    np.testing.assert_allclose(one.weight, other.weight, rtol=1e-9)
