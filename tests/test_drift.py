"""Drift and recurrent learning on trial: what is noticed, what is done, and that all of it is saved."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from river import drift as rivers

from liquidtorch import EchoState, Leaky, Liquid, Recurrent, ops
from liquidtorch.errors import FormatError, OptionError
from liquidtorch.online import Drift, Online, detectors, rules
from liquidtorch.online.body import Body
from liquidtorch.online.gate import Gate
from liquidtorch.online.trial import Trial


def cell(kind: type[Any] = Leaky, units: int = 8, features: int = 1) -> Recurrent:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Recurrent(kind(features, units, tau=(1.0, 8.0)))


def lagged(steps: int, seed: int = 0, lag: int = 2) -> list[tuple[dict[str, float], float]]:
    """A product of inputs some steps apart: no linear readout of a poor state tells it."""
    x = np.random.default_rng(seed).uniform(-1, 1, steps)
    y = np.roll(x, lag) * np.roll(x, 1)
    return [({"x": a}, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]


# --- the gate ----------------------------------------------------------------------------------------------------


def test_the_gate_turns_where_a_t_test_would_and_not_back_at_once() -> None:
    rng = np.random.default_rng(0)
    gate = Gate(200)
    for _ in range(400):
        gate.tell(1 + rng.normal(0, 0.1), 0.9 + rng.normal(0, 0.1))
    assert gate.open
    assert gate.turns == [(33, True)]  # 30 samples' worth, old ones counting less
    for _ in range(50):
        gate.tell(1 + rng.normal(0, 0.1), 1.0)
    assert gate.open  # neither is better: it stays as it is
    for _ in range(400):
        gate.tell(1.0, 1.1 + rng.normal(0, 0.1))
    assert not gate.open


def test_the_gate_counts_as_a_weighted_t_test() -> None:
    d = np.random.default_rng(1).normal(0.02, 1.0, 300)
    gate = Gate(100)
    for one in d:
        gate.tell(one, 0.0)
    w = (1 - 1 / 100) ** np.arange(300)[::-1]
    mean = (w * d).sum() / w.sum()
    variance = (w * (d - mean) ** 2).sum() / w.sum()
    assert gate.surely() == pytest.approx(mean / math.sqrt(variance / w.sum()))


def test_equal_losses_leave_it_shut() -> None:
    gate = Gate(50)
    assert not any(gate.tell(1.0, 1.0) for _ in range(200))
    assert gate.surely() == 0


# --- recurrent learning ------------------------------------------------------------------------------------------


def test_learning_the_body_pays_where_the_state_is_poor() -> None:
    """The copy that learns is let through, and the errors are less than without it."""
    losses = {}
    for rule in ("readout", "exact"):
        online = Online(cell(units=6), rule=rule, rate=5e-3, memory=300)
        errors = []
        for x, y in lagged(6000):
            errors.append((online.predict_one(x) - y) ** 2)
            online.learn_one(x, y)
        losses[rule] = np.mean(errors[-1000:])
    assert online.trial is not None
    assert online.trial.gate.open
    assert online.trial.gate.turns[0][1]
    assert losses["exact"] < 0.8 * losses["readout"]


def test_learning_that_harms_answers_nothing_and_rests() -> None:
    """A rate at which the body is torn apart: answers are those without learning, bit by bit; then it rests."""
    still = Online(cell(), rule="readout", seed=0)
    online = Online(cell(), rule="exact", rate=1.0, memory=30)
    rested = []
    u = np.random.default_rng(0).normal(size=6000)
    for x, y in [({"x": a}, a + b) for a, b in zip(u[1:].tolist(), u[:-1].tolist(), strict=True)]:
        assert online.predict_one(x) == still.predict_one(x)
        online.learn_one(x, y)
        still.learn_one(x, y)
        assert online.trial is not None
        rested.append(online.trial.body is None)
    assert not online.trial.gate.turns
    assert 0.4 < np.mean(rested) < 1
    assert online.trial.failures > 1


def test_what_the_copy_learns_is_the_rules_gradient() -> None:
    """By hand: the same rule on the same cell, q through the readout's weights, one step of Adam."""
    online = Online(cell(Liquid, 5), rule="exact", rate=1e-2)
    data = lagged(6)
    for x, y in data[:5]:
        online.learn_one(x, y)
    trial = online.trial
    assert trial is not None
    assert trial.body is not None
    body, x, y = trial.body, *data[5]
    online.predict_one(x)
    sample = online.tracks[None].pending[-1]
    assert sample.learning is not None
    error = y - trial.readout.predict(sample.learning)[0]
    online.spread.tell(np.array([y]))
    scale = online.spread.variance()[0]
    q = -error * trial.readout.weight.numpy()[0, :5] / scale
    wanted = {name: g.copy() for name, g in body.rule.gradient(q).items()}
    seen: dict[str, Any] = {}
    body.optimizer.step = lambda g: seen.update({k: v.copy() for k, v in g.items()})
    with ops.use("reference"):  # where the gradient is seen; compiled it is the same: test_updates
        trial.learn(online.tracks[None], sample, np.array([y]), online.view, scale)
    assert wanted.keys() == seen.keys()
    assert all(np.allclose(seen[k], wanted[k], atol=1e-14) for k in wanted)
    assert any(np.abs(g).max() > 1e-6 for g in wanted.values())


def test_a_late_label_is_learned_with_the_traces_of_its_sample() -> None:
    """Whatever arrived since, on this stream and on others."""
    grads: list[dict[str, np.ndarray]] = []
    for late in (False, True):
        online = Online(cell(), rule="exact")
        trial = online.trial
        assert trial is not None
        assert trial.body is not None
        data = lagged(10)
        for x, _ in data[:4]:
            online.predict_one(x, key="a")
            online.predict_one({"x": 0.3}, key="b")
        for readout in (online.readout, trial.readout):
            readout.weight[:] = 0.1
        if late:
            for x, _ in data[4:]:
                online.predict_one(x, key="a")
                online.predict_one(x, key="b")
        seen: dict[str, np.ndarray] = {}
        trial.body.optimizer.step = lambda g, seen=seen: seen.update({k: v.copy() for k, v in g.items()})
        with ops.use("reference"):
            online.learn_one(data[3][0], 2.0, key="a")
        grads.append(seen)
    assert grads[0].keys() == grads[1].keys() != set()
    assert all(np.allclose(grads[0][k], grads[1][k], atol=1e-12) for k in grads[0])
    assert np.abs(grads[0]["W_h"]).max() > 1e-6


def test_after_a_late_label_the_traces_are_where_they_were() -> None:
    online = Online(cell(), rule="exact")
    trial = online.trial
    assert trial is not None
    assert trial.body is not None
    for x, _ in lagged(5):
        online.predict_one(x)
    before = trial.body.kept()
    trial.body.optimizer.step = lambda g: None
    online.learn_one(lagged(5)[1][0], 1.0)
    assert all(np.array_equal(before[k], v) for k, v in trial.body.kept().items())


def test_only_cells_that_rules_know_are_learned_by_themselves() -> None:
    assert Online(EchoState(1, 8)).trial is None
    assert Online(cell(), rule="readout").trial is None
    assert isinstance(Online(cell()).trial, Trial)
    with pytest.raises(OptionError, match="`rule` must be 'readout' for EchoState; got 'exact'"):
        Online(EchoState(1, 8), rule="exact")
    with pytest.raises(OptionError, match="`rule` must be exact, snapN"):
        Online(cell(), rule="exactly")


# --- drift -------------------------------------------------------------------------------------------------------


def turned(steps: int, change: int) -> list[tuple[dict[str, float], float]]:
    """The sign of the cause changes."""
    x = np.random.default_rng(0).normal(size=steps)
    noise = 0.1 * np.random.default_rng(1).normal(size=steps)
    return [
        ({"x": a}, a * (1 if i < change else -1) + n)
        for i, (a, n) in enumerate(zip(x.tolist(), noise.tolist(), strict=True))
    ]


@pytest.mark.parametrize("detector", ["page_hinkley", "adwin", rivers.KSWIN(seed=1, alpha=1e-4)])
def test_a_change_is_noticed_and_what_was_sure_is_loosened(detector: Any) -> None:
    errors = {}
    for given in (None, Drift(detector)):
        online = Online(EchoState(1, 10, seed=0), drift=given)
        found = []
        for x, y in turned(3000, 1500):
            found.append((online.predict_one(x) - y) ** 2)
            online.learn_one(x, y)
        errors[given is not None] = np.mean(found[2000:])
    assert any(1500 < at < 1700 for at in online.drifts)
    assert not [at for at in online.drifts if 200 < at <= 1500]
    assert errors[True] < 0.2 * errors[False]


def test_without_a_change_nothing_is_noticed() -> None:
    online = Online(EchoState(1, 10, seed=0), drift=Drift("page_hinkley"))
    for x, y in turned(3000, 9999):
        online.learn_one(x, y)
    assert not online.drifts


def test_a_strange_state_is_noticed_without_any_label() -> None:
    online = Online(EchoState(1, 10, seed=0), drift=Drift(None, "page_hinkley"))
    rng = np.random.default_rng(0)
    for i in range(2500):
        online.predict_one({"x": rng.normal() if i < 2000 else 4 + 0.1 * rng.normal()})
    assert 2000 < online.drifts[0] < 2400


def far(seed: int, drift: Drift, *, change: int) -> list[int]:
    """Return when states of a reservoir are strange: its two inputs go together until a change, and then do not."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6000, 2))
    x[:change, 1] = 0.95 * x[:change, 0] + math.sqrt(1 - 0.95**2) * x[:change, 1]
    body = Body(EchoState(2, 32, seed=seed).double())
    h, found = body.initial(), []
    for t, row in enumerate(x):
        y, h = body.step(row, h, 1.0)
        if drift.strange(y):
            found.append(t)
    return found


@pytest.mark.parametrize("seed", [200, 201, 202])
def test_inputs_that_no_longer_go_together_are_noticed(seed: int) -> None:
    """Each has the mean and the variance that it had: by variances alone little is to be seen."""
    found = far(seed, Drift(None, "adwin"), change=3000)
    assert found
    assert 3000 < found[0] < 3500


@pytest.mark.parametrize("name", ["adwin", "page_hinkley"])
@pytest.mark.parametrize("seed", [200, 201, 202])
def test_noise_is_not_strange(seed: int, name: str) -> None:
    assert not far(seed, Drift(None, name), change=0)


def test_how_far_a_state_is_does_not_depend_on_its_unit() -> None:
    """About 1 while nothing changes, whatever units are scaled by; and as the inverse of the covariance has it."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5)) + 3 * np.eye(5)
    found = []
    for scale in (1.0, 1e3):
        drift = Drift(None, "adwin")
        y = rng.normal(size=(3000, 5)) @ root.T * scale
        for row in y[:1000]:
            drift.strange(row)
        apart, known = [], []
        for row in y[1000:]:
            assert drift.moments is not None
            apart.append(drift._apart((row - drift.moments[0]) / np.sqrt(drift.moments[1])))
            known.append(np.square(np.linalg.solve(root, row / scale)).mean())
            drift.strange(row)
        found.append(np.mean(apart))
        assert np.corrcoef(apart, known)[0, 1] > 0.95
    assert found == pytest.approx([1.0, 1.0], rel=0.05)


def test_rates_are_raised_and_fall_back() -> None:
    online = Online(cell(), readout="logistic", drift=Drift("adwin", boost=8.0, decay=0.9), rule="exact", rate=1e-3)
    rates, learning = [], []
    for i, (x, _) in enumerate(turned(1500, 9999)):
        online.learn_one(x, (x["x"] > 0) == (i < 1000))
        rates.append(online.readout.rate)
        assert online.trial is not None
        if online.trial.body is not None:
            learning.append(online.trial.body.optimizer.rate)
    assert rates[900] == 1.0
    assert max(rates[1000:]) == 8.0
    assert rates[-1] == pytest.approx(1.0, abs=1e-3)
    assert max(learning) == pytest.approx(8e-3)


def test_a_hook_and_the_trial_are_told() -> None:
    online = Online(cell(), drift=Drift("page_hinkley"), rule="exact")
    told: list[int] = []
    online.on_drift = lambda model: told.append(model.seen)
    assert online.trial is not None
    online.trial.rest, online.trial.failures, online.trial.body = 10**6, 5, None
    for x, y in turned(2500, 1500):
        online.learn_one(x, y)
    assert told == online.drifts != []
    assert online.trial.body is not None  # it was woken


# --- saved -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["adwin", "page_hinkley", "kswin"])
def test_detectors_are_saved_with_the_model(name: str, tmp_path: Path) -> None:
    made = rivers.KSWIN(seed=3) if name == "kswin" else name
    online = Online(EchoState(1, 10, seed=0), drift=Drift(made, "page_hinkley", boost=3.0))
    data = turned(2200, 1100)
    for x, y in data[:1105]:
        online.learn_one(x, y)
    online.save(tmp_path / "model")
    twin = Online.load(tmp_path / "model")
    for x, y in data[1105:]:
        assert online.predict_one(x) == twin.predict_one(x)
        online.learn_one(x, y)
        twin.learn_one(x, y)
    assert online.drifts == twin.drifts != []


@pytest.mark.parametrize("rule", ["exact", "snap2", "eprop", "tbptt:4"])
def test_learning_is_saved_in_the_midst(rule: str, tmp_path: Path) -> None:
    online = Online(cell(Liquid, 5), rule=rule, rate=1e-2, memory=60)
    data = lagged(500)
    cut = 250

    def go(model: Online, rows: list[Any]) -> list[float]:
        told = []
        for i, (x, y) in enumerate(rows):
            told.append(model.predict_one(x, key=i % 2))
            if i % 5:
                model.learn_one(x, y, key=i % 2)
        return told

    go(online, data[:cut])
    online.save(tmp_path / "model")
    twin = Online.load(tmp_path / "model")
    assert go(online, data[cut:]) == go(twin, data[cut:])
    assert online.trial is not None
    assert twin.trial is not None
    assert online.trial.gate.state() == twin.trial.gate.state()
    a, b = online.trial.body, twin.trial.body
    assert (a is None) == (b is None)
    if a is not None and b is not None:
        assert all(torch.equal(p, q) for p, q in zip(a.layer.parameters(), b.layer.parameters(), strict=True))
        assert a.rule.name == b.rule.name == rules.make(rule, a.layer.cell).name


def test_a_foreign_detector_is_not_saved() -> None:
    class Mine:
        drift_detected = False

        def update(self, x: float) -> None:
            self.last = x

    online = Online(EchoState(1, 4), drift=Drift(Mine()))
    online.learn_one({"x": 1.0}, 1.0)
    with pytest.raises(OptionError, match="`detector` must be one of river to be saved; it holds"):
        online.__getstate__()


def test_only_rivers_classes_are_made_from_a_folder() -> None:
    with pytest.raises(FormatError, match="`detector` must be of a class of river; got 'os'"):
        detectors.thawed({"kind": "river", "module": "os", "class": "system", "fields": {}})


def test_mistakes() -> None:
    with pytest.raises(OptionError, match=r"`error` must be one of.*Did you mean 'adwin'"):
        Drift("adwn")
    with pytest.raises(OptionError, match="`error` must be a detector with `update`"):
        Drift(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="`error` or `state` must be a detector; both are None"):
        Drift(None)
    with pytest.raises(OptionError, match="`boost` must be a number at least 1"):
        Drift(boost=0.5)
