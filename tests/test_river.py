"""River's conventions: its own checks, pipelines, unions, metrics, late labels."""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import pytest
from river import checks, compose, datasets, evaluate, metrics, preprocessing

from liquidtorch import OnlineClassifier, OnlineRegressor
from liquidtorch.errors import OptionError

MODELS = {
    "classifier": OnlineClassifier(units=16),
    "regressor": OnlineRegressor(units=16),
    "liquid": OnlineRegressor(units=6, body="liquid"),
    "leaky": OnlineClassifier(units=6, body="leaky"),
    "logistic": OnlineClassifier(units=6, readout="logistic"),
}
CHECKS = [
    pytest.param(name, check, id=f"{name}-{i}-{check.__name__}")
    for name, model in MODELS.items()
    for i, check in enumerate(checks.yield_checks(model))
    if name in ("classifier", "regressor") or "memory" not in check.__name__
]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_rivers_own_checks(name: str, check: Any) -> None:
    random.seed(0)
    check(MODELS[name].clone())


def test_none_of_rivers_checks_is_skipped() -> None:
    assert not OnlineClassifier()._unit_test_skips()
    assert not OnlineRegressor()._unit_test_skips()
    checks.check_estimator(OnlineRegressor(units=4))


@pytest.mark.parametrize("delay", [None, 1, 10, "random"])
def test_a_scaler_before_it_changes_samples_between_question_and_answer(delay: Any) -> None:
    """Every label finds a sample that has arrived: as many arrive as there are, and none is left waiting."""
    wait = random.Random(0)
    late = (lambda x, y: wait.randint(1, 20)) if delay == "random" else delay
    model = preprocessing.StandardScaler() | OnlineClassifier(units=32)
    score = evaluate.progressive_val_score(datasets.Phishing(), model, metrics.Accuracy(), delay=late)
    inner = model["OnlineClassifier"].online
    assert score.get() > 0.8
    assert inner.seen == inner.learned == 1250
    assert not inner.tracks[None].pending


def test_late_labels_mostly_find_their_own_samples() -> None:
    model = preprocessing.StandardScaler() | OnlineRegressor(units=8)
    inner, right = model["OnlineRegressor"].online, []
    waiting: list[Any] = []
    for x, y in datasets.TrumpApproval():
        model.predict_one(x)
        waiting.append((x, y, inner.tracks[None].pending[-1]))
        if len(waiting) > 10:
            old, label, sample = waiting.pop(0)
            model.learn_one(old, label)
            right.append(sample not in inner.tracks[None].pending)
    assert sum(right[50:]) / len(right[50:]) > 0.95


def test_unions_and_what_follows_a_transformer() -> None:
    model = (compose.Select("ordinal_date") + compose.SelectType(float)) | OnlineRegressor(units=16)
    score = evaluate.progressive_val_score(datasets.TrumpApproval(), model, metrics.MAE() + metrics.RMSE())
    assert score.get()[0] < 1.0


def test_several_classes() -> None:
    model = preprocessing.StandardScaler() | OnlineClassifier(units=32)
    score = evaluate.progressive_val_score(datasets.ImageSegments().take(1500), model, metrics.Accuracy())
    assert score.get() > 0.7
    assert len(model["OnlineClassifier"].online.classes) == 7


def test_streams_by_key_and_dt_through_a_pipeline() -> None:
    model = preprocessing.StandardScaler() | OnlineRegressor(units=8)
    for i in range(20):
        model.predict_one({"a": float(i)}, key=i % 2, dt=0.5)
        model.learn_one({"a": float(i)}, float(i), key=i % 2)
    assert set(model["OnlineRegressor"].online.tracks) == {0, 1}


def test_copies_go_on_alike() -> None:
    model = OnlineClassifier(units=16)
    data = list(datasets.Phishing().take(60))
    for x, y in data[:40]:
        model.predict_proba_one(x)
        model.learn_one(x, y)
    twins = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for x, _ in data[40:]:
        told = model.predict_proba_one(x)
        assert all(twin.predict_proba_one(x) == told for twin in twins)
    fresh = model.clone()
    assert fresh.online.seen == 0
    assert fresh.predict_one(data[0][0]) is None


def test_without_a_seed_every_model_is_another() -> None:
    one, two = (OnlineRegressor(units=4, seed=None) for _ in range(2))
    assert one.online.seed != two.online.seed
    assert one.online.seed == one.online.seed


def test_dataframes() -> None:
    import pandas

    frame = pandas.DataFrame({"a": [0.1, 0.2, 0.3], "b": [1.0, 0.0, 1.0]})
    one, many = OnlineRegressor(units=4), OnlineRegressor(units=4)
    many.learn_many(frame, pandas.Series([1.0, 2.0, 3.0]))
    for x, y in zip(frame.to_dict("records"), [1.0, 2.0, 3.0], strict=True):
        one.learn_one(x, y)
    x = {"a": 0.5, "b": 0.5}
    assert one.predict_one(x) == many.predict_one(x)


def test_options() -> None:
    with pytest.raises(OptionError, match="`body` must be one of 'echo', 'leaky', 'liquid', 'ltc'; got 'lqiuid'"):
        OnlineClassifier(body="lqiuid")
    with pytest.raises(OptionError, match="`rate` must be a number above 0"):
        OnlineClassifier(rate=-1.0)
