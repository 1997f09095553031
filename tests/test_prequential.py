"""Prequential evaluation against counts by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from liquidtorch import EchoState
from liquidtorch.errors import DataError, OptionError
from liquidtorch.online import Online, evaluate


class Scripted:
    """Answers what it was told to, and remembers in which order it was called."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers, self.calls = list(answers), []

    def predict_one(self, x: Any, dt: float = 1.0) -> Any:
        self.calls.append(("predict", x["i"], dt))
        return self.answers[x["i"]]

    def learn_one(self, x: Any, y: Any, dt: float = 1.0) -> None:
        self.calls.append(("learn", x["i"], y))


def test_classes_are_scored_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(["a", "b", "c"], p=[0.6, 0.3, 0.1], size=400).tolist()
    said = [t if r < 0.7 else "a" for t, r in zip(truth, rng.random(400), strict=True)]
    found = evaluate(Scripted(said), [({"i": i}, t) for i, t in enumerate(truth)], window=100)
    scores = found.scores["model"]
    right = np.mean(np.array(truth) == said)
    unchanged = np.mean(np.array(truth[1:]) == truth[:-1]) * 399 / 400
    assert scores["accuracy"] == pytest.approx(right)
    assert scores["kappa"] == pytest.approx(cohen_kappa_score(truth, said))
    assert found.scores["no change"]["accuracy"] == pytest.approx(unchanged)
    assert scores["kappa_temporal"] == pytest.approx((right - unchanged) / (1 - unchanged))
    assert found.scores["no change"]["kappa_temporal"] == 0
    assert found.windows["model"] == pytest.approx((np.array(truth) == said).reshape(4, 100).mean(1).tolist())
    assert found.samples == 400


def test_numbers_are_scored() -> None:
    rng = np.random.default_rng(0)
    truth, error = rng.normal(5, 2, size=300), rng.normal(0, 0.5, size=300)
    found = evaluate(Scripted((truth - error).tolist()), [({"i": i}, t) for i, t in enumerate(truth)], window=150)
    scores, still = found.scores["model"], np.diff(truth, prepend=0.0)
    assert scores["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert scores["mae"] == pytest.approx(np.abs(error).mean())
    assert scores["nrmse"] == pytest.approx(scores["rmse"] / truth.std())
    assert scores["skill"] == pytest.approx(1 - np.mean(error**2) / np.mean(still**2))
    assert len(found.windows["model"]) == 2


def test_every_sample_asks_before_it_teaches_and_labels_are_late() -> None:
    model = Scripted([0.0] * 6)
    evaluate(model, [({"i": i}, float(i), 0.5) for i in range(6)], delay=2)
    assert model.calls == [
        ("predict", 0, 0.5), ("predict", 1, 0.5), ("predict", 2, 0.5), ("learn", 0, 0.0),
        ("predict", 3, 0.5), ("learn", 1, 1.0), ("predict", 4, 0.5), ("learn", 2, 2.0),
        ("predict", 5, 0.5), ("learn", 3, 3.0), ("learn", 4, 4.0), ("learn", 5, 5.0),
    ]  # fmt: skip


def test_late_labels_make_no_change_late_too() -> None:
    stream = [({"i": i}, i // 10 % 2 == 0) for i in range(100)]
    prompt = evaluate(Scripted([True] * 100), stream)
    late = evaluate(Scripted([True] * 100), stream, delay=5)
    assert prompt.scores["no change"]["accuracy"] == pytest.approx(0.9)
    assert late.scores["no change"]["accuracy"] == pytest.approx(0.41, abs=0.06)


def test_missing_labels_are_neither_scored_nor_learned_by_controls() -> None:
    stream = [({"i": i}, None if i % 2 else math.nan if i % 4 else 1.0) for i in range(40)]
    found = evaluate(Scripted([1.0] * 40), stream)
    assert found.samples == 10
    assert found.scores["model"]["rmse"] == 0
    assert found.scores["memoryless"]["rmse"] < 0.4


def test_the_memoryless_control_is_as_good_as_no_state_can_be() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 2))
    numbers = [({"a": a, "b": b, "name": "text"}, 3 * a - b + 2) for a, b in x.tolist()]
    found = evaluate(
        Online(EchoState(2, 10, seed=0)),
        [({k: v for k, v in x.items() if k != "name"}, y) for x, y in numbers],
        window=200,
    )
    assert found.windows["memoryless"][-1] < 0.2
    labels = [({"i": i, "a": a, "b": b}, "up" if 3 * a > b else "down") for i, (a, b) in enumerate(x.tolist())]
    assert evaluate(Scripted(["up"] * 800), labels, window=200).windows["memoryless"][-1] > 0.85


def test_recovery_is_counted_from_the_change() -> None:
    """Wrong for 30 samples after the change: the last 20 (a fifth of a window) are right again 50 samples after it."""
    said = ["a"] * 200 + ["b"] * 30 + ["a"] * 170
    found = evaluate(Scripted(said), [({"i": i}, "a") for i in range(400)], window=100, drifts=[200, 380])
    assert found.recovery == [{"at": 200, "steps": 49}, {"at": 380, "steps": 20}]
    never = evaluate(
        Scripted(["a"] * 200 + ["b"] * 200), [({"i": i}, "a") for i in range(400)], window=100, drifts=[200]
    )
    assert never.recovery == [{"at": 200, "steps": None}]
    assert "change at 200: not recovered" in str(never)


def test_what_is_found_can_be_read_and_written() -> None:
    stream = [({"a": math.sin(i / 3)}, i % 7 > 3) for i in range(150)]
    model = Online(EchoState(1, 10, seed=0), readout="logistic")
    found = evaluate(model, stream, window=50)
    text = json.dumps(found.to_json(), allow_nan=False)
    assert json.loads(text)["metric"] == "accuracy"
    assert set(found.latency) == {"predict", "learn"}
    assert 0 < found.latency["predict"]["p50"] <= found.latency["predict"]["p99"]
    assert found.bytes == model.bytes > 1000
    table = str(found)
    assert "kappa_temporal" in table
    assert f"{found.scores['model']['accuracy']:.4f}" in table
    assert found.scores["model"]["accuracy"] > 0.5


def test_mistakes() -> None:
    with pytest.raises(DataError, match="`stream` must hold a label; got none"):
        evaluate(Scripted([1.0]), [({"i": 0}, None)])
    with pytest.raises(OptionError, match="`window` must be a whole number at least 5"):
        evaluate(Scripted([1.0]), [], window=1)
    with pytest.raises(OptionError, match="`delay` must be a whole number at least 0"):
        evaluate(Scripted([1.0]), [], delay=-1)
