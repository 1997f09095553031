"""Bank: several forgetting factors on one z, mixed by how well each did lately."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from liquidtorch.errors import DataError, OptionError
from liquidtorch.readout import RLS, Bank, build

FORGETTINGS = (1.0, 0.98, 0.8)


def stream(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return z and two outputs; the second changes its meaning half-way."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3))
    W = rng.normal(size=(3, 2))
    y = z @ W + 0.1 * rng.normal(size=(n, 2))
    y[n // 2 :, 1] = -y[n // 2 :, 1] + 2
    return z, y


def test_the_answer_is_the_mixture_of_rls_by_their_likelihood() -> None:
    z, y = stream(80)
    y[10:20, 0] = np.nan
    bank, alone = Bank(3, 2, forgettings=FORGETTINGS, memory=20), [RLS(3, 2, forgetting=f) for f in FORGETTINGS]
    losses, told = np.zeros((3, 2)), np.zeros(2)
    for a, b in zip(z, y, strict=True):
        v = losses.min(0) / np.maximum(told, 1)
        p = np.exp(-(losses - losses.min(0)) / np.where(v > 0, 2 * v, 1))
        p /= p.sum(0)
        wanted = sum(p[r] * one.predict(a) for r, one in enumerate(alone))
        np.testing.assert_allclose(bank.predict(a), wanted, rtol=1e-10)
        np.testing.assert_allclose(bank(torch.from_numpy(a)), wanted, rtol=1e-10)
        np.testing.assert_allclose(bank.learn(a, b), b - wanted, atol=1e-10)
        errors = np.array([one.learn(a, b) for one in alone])
        for o in range(2):
            if not np.isnan(b[o]):
                losses[:, o] = 0.95 * losses[:, o] + errors[:, o] ** 2
                told[o] = 0.95 * told[o] + 1
                most = losses[:, o].min() * (1 + 12 / max(told[o], 1))
                losses[:, o] = np.minimum(losses[:, o], most)


def test_it_is_about_as_good_as_the_best_before_and_after_a_change() -> None:
    z, y = stream(1200)
    bank, alone = Bank(3, 2, forgettings=FORGETTINGS), [RLS(3, 2, forgetting=f) for f in FORGETTINGS]
    own = np.array([bank.learn(a, b) for a, b in zip(z, y, strict=True)])
    others = np.array([[one.learn(a, b) for one in alone] for a, b in zip(z, y, strict=True)])
    for part in (slice(50, 600), slice(700, 1200)):
        each = np.square(others[part]).mean(0)
        assert (np.square(own[part]).mean(0) < 1.1 * each.min(0)).all()
    assert others[part][:, 0, 1].std() > 5 * own[part][:, 1].std(), "one that forgets nothing must be lost"
    assert bank.shares[:, 1].argmax() == 1


def test_slots_are_those_of_every_member() -> None:
    z, y = stream(100)
    bank, alone = Bank(3, 1, forgettings=FORGETTINGS), RLS(3, 1, forgetting=0.98)
    for one in (bank, alone):
        for a, b in zip(z, y[:, :1], strict=True):
            one.learn(a, b)
        one.close(1)
        one.split(0, 1, 0.4)
        one.widen(4)
        one.open(3)
        one.loosen(0.5)
        one.add_output()
    assert torch.equal(bank.members[1].weight, alone.weight)
    assert torch.equal(bank.live, alone.live)
    assert (bank.features, bank.outputs) == (4, 2)
    assert bank.learn(np.ones(4), np.ones(2))[1] == 1
    assert bank.saliency().shape == (4,)


def test_gradient_is_that_of_autograd() -> None:
    z, y = stream(100)
    bank = Bank(3, 2)
    for a, b in zip(z, y, strict=True):
        bank.learn(a, b)
    leaf = torch.from_numpy(z[0].copy()).requires_grad_()
    loss = (bank(leaf) - torch.tensor([1.0, 2.0])).square().sum() / 2
    loss.backward()
    q, value = bank.gradient(z[0], np.array([1.0, 2.0]))
    assert value == pytest.approx(loss.item())
    np.testing.assert_allclose(q, leaf.grad, rtol=1e-10)  # pyright: ignore


def test_everything_is_in_the_state() -> None:
    z, y = stream(100)
    bank = Bank(3, 1, forgettings=FORGETTINGS, memory=30, penalty=0.1)
    for a, b in zip(z[:50], y, strict=False):
        bank.learn(a, b[:1])
    bank.add_output()
    again = build(bank.config())
    again.load_state_dict(bank.state_dict())
    for one in (again, copy.deepcopy(bank), bank):
        for a, b in zip(z[50:], y[50:], strict=True):
            one.learn(a, b)
        found = one.state_dict()
        assert all(torch.equal(again.state_dict()[k], v) for k, v in found.items())


def test_messages() -> None:
    with pytest.raises(OptionError, match=r"`forgettings` must be one or more different numbers; got \(0\.9, 0\.9\)"):
        Bank(3, 1, forgettings=(0.9, 0.9))
    with pytest.raises(OptionError, match="`memory` must be a number at least 1; got 0"):
        Bank(3, 1, memory=0)
    with pytest.raises(DataError, match="`z` must be finite; got nan at feature 0"):
        Bank(3, 1).learn(np.array([np.nan, 0.0, 0.0]), np.zeros(1))
