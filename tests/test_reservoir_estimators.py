"""The estimators with a reservoir: scikit-learn's own checks, that they learn, and what they refuse."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_estimators import EXPECTED

from liquidtorch.errors import OptionError
from liquidtorch.estimators import ReservoirClassifier, ReservoirForecaster, ReservoirRegressor


class NoTarget(ReservoirForecaster):
    """scikit-learn's checks give every estimator a y; the forecaster refuses one."""

    def fit(self, X: Any, y: Any = None) -> ReservoirForecaster:
        return super().fit(X)

    def score(self, X: Any, y: Any = None) -> float:
        return super().score(X)


@parametrize_with_checks(
    [ReservoirClassifier(units=20), ReservoirRegressor(units=100, tau=0.5), NoTarget(units=8)],
    expected_failed_checks=lambda estimator: EXPECTED if isinstance(estimator, NoTarget) else {},
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def waves(count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    X, y = [], []
    for i in range(count):
        t = np.arange(rng.integers(30, 50))
        wave = np.sin((0.3, 0.6, 1.2)[i % 3] * t + rng.uniform(0, 6))
        X.append((wave + 0.1 * rng.normal(size=len(t)))[:, None])
        y.append(("slow", "middle", "fast")[i % 3])
    return X, np.array(y)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"readout": "ridge"},
        {"body": "spiking", "units": 60},
        {"encoder": "step_forward"},
        {"layers": 2, "units": 40},
    ],
    ids=str,
)
def test_classifier_learns(options: dict[str, Any]) -> None:
    X, y = waves(60, 0)
    others, truth = waves(60, 1)
    model = ReservoirClassifier(**{"units": 100, "random_state": 0} | options).fit(X, y)
    assert model.score(others, truth) > 0.9
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(others), model.predict_proba(others))
    np.testing.assert_allclose(model.predict_proba(others).sum(1), 1)


def test_regressor_remembers_what_a_linear_model_of_the_last_step_cannot() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 12, 1))
    y = X[:, -1, 0] - 2 * X[:, -4, 0]
    model = ReservoirRegressor(units=60, random_state=0).fit(X[:100], y[:100])
    assert model.score(X[100:], y[100:]) > 0.9
    last = np.corrcoef(X[:, -1, 0], y)[0, 1] ** 2
    assert last < 0.4


def test_forecaster_runs_freely() -> None:
    t = np.arange(600)
    X = np.stack([np.sin(0.2 * t), np.cos(0.2 * t)], axis=1)
    model = ReservoirForecaster(horizon=50, units=80, random_state=0).fit(X[:500])
    np.testing.assert_allclose(model.predict(X[:500]), X[500:550], atol=0.05)
    assert model.predict(np.stack([X[:500], X[50:550]])).shape == (2, 50, 2)


def test_intervals_cover_what_they_say() -> None:
    """Of noise around a wave, a band from 10 % to 90 % holds about 80 %."""
    rng = np.random.default_rng(0)
    t = np.arange(3000)
    X = np.sin(0.3 * t) + 0.2 * rng.normal(size=3000)
    model = ReservoirForecaster(horizon=5, units=60, random_state=0).fit(X[:1500])
    inside = []
    for end in range(1600, 2900, 10):
        band = model.predict_quantiles(X[end - 200 : end])[:, 0]
        truth = X[end : end + 5]
        inside.append((truth > band[:, 0]) & (truth < band[:, 1]))
    assert 0.65 < np.mean(inside) < 0.92


def test_what_is_refused() -> None:
    X, y = waves(12, 0)
    assert not hasattr(ReservoirClassifier(), "partial_fit")
    with pytest.raises(OptionError, match="`readout` must be 'ridge', 'logistic' or None; got 'mlp', which is trained"):
        ReservoirClassifier(readout="mlp").fit(X, y)
    with pytest.raises(OptionError, match="`encoder` must be one of"):
        ReservoirClassifier(encoder="morse").fit(X, y)
    short = ReservoirForecaster(horizon=20, units=20).fit(np.arange(40.0))
    with pytest.raises(OptionError, match="a quarter of each series be longer than the horizon 20"):
        short.predict_quantiles(np.arange(40.0))
