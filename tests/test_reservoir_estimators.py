"""The estimators with a reservoir: scikit-learn's own checks, that they learn, and what they refuse."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
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
    [
        ReservoirClassifier(units=20),
        ReservoirRegressor(units=100, tau=0.5),
        NoTarget(units=8),
        ReservoirClassifier(units=20, readout=RandomForestClassifier(20)),
        ReservoirClassifier(units=20, readout=make_pipeline(StandardScaler(), RidgeClassifier())),
        ReservoirRegressor(units=100, tau=0.5, readout=LinearRegression()),
        ReservoirRegressor(units=20, readout=GradientBoostingRegressor(n_estimators=20)),
    ],
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


def states(model: Any, X: Any) -> np.ndarray:
    """Return what a readout sees, by the layers themselves."""
    network = model.network_
    found = []
    for one in X:
        seen = network.seen(
            torch.as_tensor(one)[None], network.initial(1), torch.ones(1, len(one)).double(), None, None
        )[0]
        found.append(seen[0].mean(0) if network.pool == "mean" else seen[0, -1])
    return torch.stack(found).numpy()


def test_a_classifier_of_scikit_learn_reads_the_states() -> None:
    X, y = waves(60, 0)
    others, truth = waves(60, 1)
    given = LogisticRegression(C=1e4, tol=1e-10, max_iter=5000)
    model: Any = ReservoirClassifier(units=40, readout=given, random_state=0).fit(X, y)
    alone = LogisticRegression(C=1e4, tol=1e-10, max_iter=5000).fit(states(model, X), y)
    np.testing.assert_allclose(model.predict_proba(others), alone.predict_proba(states(model, others)), atol=1e-4)
    np.testing.assert_array_equal(model.predict(others), alone.predict(states(model, others)))
    assert model.score(others, truth) > 0.9
    assert model.history_.message == "LogisticRegression on 60 series of 41 numbers."
    assert not hasattr(given, "coef_")  # the one that was given is left as it was
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(others), model.predict_proba(others))
    model.set_params(readout=None).fit(X, y)
    assert not hasattr(model, "readout_")
    assert model.score(others, truth) > 0.9


@pytest.mark.parametrize(
    "readout", [MLPClassifier(max_iter=2000), SVC(C=10.0), RidgeClassifier(1e-3)], ids=lambda r: type(r).__name__
)
def test_many_classifiers_learn(readout: Any) -> None:
    X, y = waves(60, 0)
    others, truth = waves(60, 1)
    model = ReservoirClassifier(units=100, readout=make_pipeline(StandardScaler(), readout), random_state=0)
    assert hasattr(model, "predict_proba") == hasattr(readout, "predict_proba")
    assert model.fit(X, y).score(others, truth) > 0.9


@pytest.mark.parametrize("axes", [1, 2])
def test_a_regressor_of_scikit_learn_reads_the_last_state(axes: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 12, 1))
    y = np.stack([np.abs(X[:, -1, 0] - X[:, -2, 0]), X[:, -2, 0]], 1)
    y = y if axes == 2 else y[:, 0]
    forest: Any = RandomForestRegressor(50, random_state=0)
    model: Any = ReservoirRegressor(units=20, readout=forest, random_state=0).fit(X[:150], y[:150])
    alone = RandomForestRegressor(50, random_state=0).fit(states(model, X[:150]), y[:150])
    assert model.predict(X[150:]).shape == y[150:].shape
    np.testing.assert_allclose(model.predict(X[150:]), alone.predict(states(model, X[150:])), atol=0.02)
    assert model.score(X[150:], y[150:]) > 0.6


def test_the_parameters_of_a_readout_are_searched() -> None:
    X, y = waves(24, 0)
    model = ReservoirClassifier(units=20, readout=RandomForestClassifier(), random_state=0)
    assert "readout__n_estimators" in model.get_params()
    search = GridSearchCV(model, {"readout__n_estimators": [3, 5], "units": [10, 20]}, cv=2).fit(X, y)
    assert len(search.best_estimator_.readout_.estimators_) == search.best_params_["readout__n_estimators"]
    whole = GridSearchCV(model, {"readout": [None, "ridge", SVC()]}, cv=2).fit(X, y)
    assert len(whole.cv_results_["params"]) == 3


def test_random_state_reaches_the_readout() -> None:
    X, y = waves(30, 0)
    forest = RandomForestClassifier(3)
    first, same, other = (
        ReservoirClassifier(units=20, readout=forest, random_state=s).fit(X, y).predict_proba(X) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    fixed: Any = ReservoirClassifier(units=20, readout=forest.set_params(random_state=5), random_state=0).fit(X, y)
    assert fixed.readout_.random_state == 5


def test_a_network_without_its_readout_is_neither_saved_nor_called(tmp_path: Any) -> None:
    X, y = waves(12, 0)
    network = ReservoirClassifier(units=20, readout=SVC()).fit(X, y).network_
    said = r"`readout` must be None or a name, such as 'ridge', for the network to be %s; got SVC, which is no part of"
    with pytest.raises(OptionError, match=said % "saved or exported" + ".* or keep the whole estimator by pickle"):
        network.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    with pytest.raises(OptionError, match=said % "called" + ".* or ask the estimator's own `predict`"):
        network(torch.zeros(1, 3, 1).double())
    assert network.describe()["parameters"] == 0


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
    for model, said in (
        (ReservoirClassifier(readout="mlp"), "`readout` must be one of 'logistic', 'ridge'; got 'mlp'"),
        (ReservoirRegressor(readout="logistic"), "`readout` must be one of 'ridge'; got 'logistic'"),
        (ReservoirClassifier(readout=SVC), r"a scikit-learn classifier; got the class SVC\. Write its \(\)"),
        (ReservoirClassifier(readout=SVR()), r"`readout` must be a name or a scikit-learn classifier; got SVR\(\)"),
        (ReservoirRegressor(readout=3), "`readout` must be a name or a scikit-learn regressor; got 3"),
    ):
        with pytest.raises(OptionError, match=said):
            model.fit(X, np.arange(12) if isinstance(model, ReservoirRegressor) else y)
    with pytest.raises(OptionError, match="`encoder` must be one of"):
        ReservoirClassifier(encoder="morse").fit(X, y)
    short = ReservoirForecaster(horizon=20, units=20).fit(np.arange(40.0))
    with pytest.raises(OptionError, match="a quarter of each series be longer than the horizon 20"):
        short.predict_quantiles(np.arange(40.0))
