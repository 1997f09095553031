"""The scikit-learn estimators: scikit-learn's own checks, what they add to them, and that they learn."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import liquidtorch
from liquidtorch.errors import DataError, OptionError, ShapeError
from liquidtorch.estimators import LiquidClassifier, LiquidForecaster, LiquidRegressor


class NoTarget(LiquidForecaster):
    """scikit-learn's checks give every estimator a y; the forecaster refuses one."""

    def fit(self, X: Any, y: Any = None) -> LiquidForecaster:
        return super().fit(X)

    def partial_fit(self, X: Any, y: Any = None) -> LiquidForecaster:
        return super().partial_fit(X)

    def score(self, X: Any, y: Any = None) -> float:
        return super().score(X)


ROWS_ARE_TIME = "a table is one series: its rows are steps in time, and the answer is about what comes after the last"
EXPECTED = {
    "check_methods_sample_order_invariance": ROWS_ARE_TIME,
    "check_methods_subset_invariance": ROWS_ARE_TIME,
    "check_fit2d_1sample": "one step has no future to learn from; the error speaks of the horizon",
    "check_fit1d": "one axis is one series of one feature",
    "check_fit2d_predict1d": "one axis is one series of one feature; the error speaks of the features",
}


def expected_failures(estimator: BaseEstimator) -> dict[str, str]:
    return EXPECTED if isinstance(estimator, NoTarget) else {}


@parametrize_with_checks(
    [
        LiquidClassifier(units=8, epochs=8, batch=64, lr=0.03),
        LiquidRegressor(units=16, epochs=15, batch=16, lr=0.03, valid=0),
        NoTarget(units=4, epochs=2, batch=16),
    ],
    expected_failed_checks=expected_failures,
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def waves(count: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Return noisy sine waves of three frequencies, sampled 15 to 24 times at irregular intervals: X, dt, y."""
    rng = np.random.default_rng(seed)
    X, dt, y = [], [], []
    for i in range(count):
        gaps = rng.uniform(0.1, 0.6, rng.integers(15, 25))
        wave = np.sin((0.7, 1.6, 3.0)[i % 3] * gaps.cumsum() + rng.uniform(0, 2 * np.pi))
        X.append((wave + 0.1 * rng.normal(size=len(gaps)))[:, None])
        dt.append(gaps)
        y.append(("slow", "middle", "fast")[i % 3])
    return X, dt, np.array(y)


def steps(count: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a table (count, 6) and two classes told apart by its mean."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    return rng.normal(size=(count, 6)) + 2.0 * y[:, None], np.array(["low", "high"])[y]


def quick(**options: Any) -> LiquidClassifier:
    return LiquidClassifier(**{"units": 4, "epochs": 8, "batch": 16, "lr": 0.03, "random_state": 0, **options})


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_classifier_learns_irregular_waves(seed: int) -> None:
    X, dt, y = waves(90, seed)
    A, gaps, b = waves(60, seed + 100)
    model = LiquidClassifier(units=12, epochs=30, batch=16, lr=0.03, random_state=seed).fit(X, y, dt=dt)
    guess = DummyClassifier().fit(np.zeros((len(y), 1)), y).score(np.zeros((len(b), 1)), b)
    assert guess < 0.4
    assert model.score(A, b, dt=gaps) >= 0.9
    assert model.classes_.tolist() == ["fast", "middle", "slow"]


def test_dt_alone_can_tell_the_classes() -> None:
    X = np.tile(np.sin(0.5 * np.arange(8)), (30, 1))
    dt = np.ones((30, 8))
    dt[15:] = 0.1
    y = np.repeat([0, 1], 15)
    model = quick(epochs=20).fit(X, y, dt=dt)
    assert model.score(X, y, dt=dt) == 1.0
    assert model.score(X, y, dt=dt[::-1]) == 0.0
    assert len(set(model.predict(X))) == 1  # without dt they are one and the same


def test_regressor_learns_ragged_sums() -> None:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(rng.integers(4, 9), 2)) for _ in range(100)]
    y = np.array([[one[:, 0].sum(), 1e4 * one[-1, 1] - 7e6] for one in X])
    model = LiquidRegressor(units=16, epochs=40, batch=16, lr=0.03, random_state=0).fit(X[:70], y[:70])
    answer = model.predict(X[70:])
    assert answer.shape == (30, 2)
    assert r2_score(y[70:], answer, multioutput="raw_values").min() > 0.8
    assert model.score(X[70:], y[70:]) == pytest.approx(r2_score(y[70:], answer))


def test_forecaster_beats_the_last_value() -> None:
    t = np.arange(260)
    X = np.stack([np.sin(0.3 * t), np.cos(0.3 * t) + 100], axis=1)
    model = LiquidForecaster(horizon=2, units=8, epochs=40, lr=0.02, random_state=0).fit(X[:200])
    assert model.score(X[200:]) > 0.9
    bands = model.predict_quantiles(X[:200])
    assert bands.shape == (2, 2, 2)
    assert (bands[..., 0] <= bands[..., 1]).all()


def test_forecast_score_is_the_skill_over_the_last_value() -> None:
    """The oracle forecasts from every prefix alone, so it also holds the network to causality."""
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(9, 2)).cumsum(axis=0), rng.normal(size=(7, 2)).cumsum(axis=0)]
    model = LiquidForecaster(horizon=2, targets=1, quantiles=(), units=4, epochs=3, random_state=0).fit(series)
    wrong = still = 0.0
    for one in series:
        for end in range(1, len(one)):
            future = one[end : end + 2, 1]
            wrong += ((future - model.predict(one[:end])[: len(future), 0]) ** 2).sum()
            still += ((future - one[end - 1, 1]) ** 2).sum()
    assert model.score(series) == pytest.approx(1 - wrong / still, rel=1e-9)
    with pytest.raises(OptionError, match=r"`quantiles` must name at least one quantile before fit; got none\."):
        model.predict_quantiles(series)


def test_forecast_shapes_follow_the_input() -> None:
    model = LiquidForecaster(horizon=3, targets=[1, 0], units=4, epochs=1, random_state=0)
    X = np.random.default_rng(0).normal(size=(4, 12, 3))
    model.fit(X)
    whole = model.predict(X)
    assert whole.shape == (4, 3, 2)
    assert model.predict_quantiles(X).shape == (4, 3, 2, 2)
    np.testing.assert_allclose(model.predict(list(X)), whole, atol=1e-12)
    np.testing.assert_allclose(model.predict(X[1]), whole[1], atol=1e-12)
    assert clone(model).set_params(targets=None).fit(X[0, :, 0]).predict(X[1, :, 0]).shape == (3, 1)
    swapped = clone(model).set_params(targets=[0]).fit(X)
    assert abs(swapped.predict(X)[..., 0] - X[:, -1:, 0]).max() < 5  # a change is added to the column asked for


def test_forecaster_is_searched_over_time() -> None:
    X = np.sin(0.4 * np.arange(60))[:, None]
    model = LiquidForecaster(units=4, epochs=20, random_state=0)
    search = GridSearchCV(model, {"lr": [1e-5, 0.03]}, cv=TimeSeriesSplit(2)).fit(X)
    assert search.best_params_ == {"lr": 0.03}


def test_answers_are_those_of_the_network() -> None:
    X, y = steps()
    model = quick().fit(X, y)
    network = copy.deepcopy(model.network_).double().eval()
    with torch.no_grad():
        logits = network(torch.tensor(X)[..., None])[0]
    pooled = logits.mean(1) if network.pool == "mean" else logits[:, -1]
    np.testing.assert_allclose(model.predict_proba(X), pooled.softmax(1).numpy(), atol=1e-12)
    assert model.score(X, y) == accuracy_score(y, model.classes_[pooled.argmax(1).numpy()])


def test_pipeline_grid_search_and_clone() -> None:
    X, y = steps(30)
    search = GridSearchCV(make_pipeline(StandardScaler(), quick()), {"liquidclassifier__units": [2, 6]}, cv=2)
    assert search.fit(X, y).score(X, y) > 0.8
    assert search.best_params_["liquidclassifier__units"] in (2, 6)
    fresh = clone(search.best_estimator_[-1])
    assert not hasattr(fresh, "network_")
    assert fresh.get_params() == search.best_estimator_[-1].get_params()


def test_grid_search_on_lists_with_dt_routed() -> None:
    X, dt, y = waves(24, 0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = quick(epochs=2).set_fit_request(dt=True).set_score_request(dt=True)
        search = GridSearchCV(model, {"units": [2, 4]}, cv=2).fit(X, y, dt=dt)
    assert search.best_estimator_.n_features_in_ == 1
    assert len(search.predict(X)) == 24


def test_three_kinds_of_input_are_one() -> None:
    """A table, an array and a list of the same series teach the same network; ragged rows stand alone."""
    X, y = steps()
    answers = [quick().fit(kind, y).predict_proba(kind) for kind in (X, X[..., None], list(X[..., None]))]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])
    ragged = np.empty(len(X), object)
    ragged[:] = [row[: 2 + i % 5, None] for i, row in enumerate(X)]
    model = quick().fit(list(ragged), y)
    together = model.predict_proba(ragged)
    alone = np.concatenate([model.predict_proba([one]) for one in ragged])
    np.testing.assert_allclose(together, alone, atol=1e-12)
    assert np.ptp(together[:, 0]) > 0.1


def test_features_are_counted() -> None:
    X, y = steps()
    assert quick().fit(X, y).n_features_in_ == 6
    model = quick().fit(X.reshape(24, 3, 2), y)
    assert (model.n_features_in_, model.axes_in_) == (2, 3)
    with pytest.raises(ValueError, match="X has 3 features, but LiquidClassifier is expecting 2 features"):
        model.predict(X.reshape(24, 2, 3))
    with pytest.raises(
        ShapeError, match=r"`X` must be an array \(series, time, features\) or a list .* as in fit; got"
    ):
        model.predict(X)


def test_missing_values_are_taken_and_infinity_is_not() -> None:
    X, y = steps()
    X[::3, 2] = np.nan
    model = quick().fit(X, y)
    assert model.score(X, y) > 0.8
    X[1, 1] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        model.predict(X)


def test_random_state_fixes_everything() -> None:
    X, y = steps()
    first, again, other = (quick(random_state=s).fit(X, y).predict_proba(X) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert abs(first - other).max() > 1e-3
    born = [quick(random_state=s, lr=1e-9).fit(X, y).network_.state_dict() for s in (3, 4)]
    assert max(abs(born[0][name] - born[1][name]).max() for name in born[0]) > 0.1
    stream = np.random.RandomState(3)
    drawn = [quick(random_state=stream).fit(X, y).predict_proba(X) for _ in range(2)]
    np.testing.assert_array_equal(drawn[0], first)
    assert abs(drawn[1] - first).max() > 1e-3


def test_partial_fit_learns_a_stream() -> None:
    X, y = steps(160, seed=1)
    model = quick(lr=0.01)
    scores, scale = [], None
    for i in range(0, 120, 20):
        model.partial_fit(X[i : i + 20], y[i : i + 20], classes=["low", "high", "never"])
        scores.append(model.score(X[120:], y[120:]))
        scale = model.network_.encoder.mean.clone() if scale is None else scale
    assert scores[-1] > max(0.9, scores[0] - 0.05)
    assert model.predict_proba(X)[:, 2].max() < 0.2
    assert model.classes_.tolist() == ["high", "low", "never"]
    assert torch.equal(model.network_.encoder.mean, scale)


def test_partial_fit_goes_on_from_where_fit_ended() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    model = LiquidRegressor(units=8, epochs=1, lr=1e-3, random_state=0).fit(X, X.sum(axis=1))
    scores = [model.score(X, X.sum(axis=1))]
    for _ in range(6):
        scores.append(model.partial_fit(X, X.sum(axis=1)).score(X, X.sum(axis=1)))
    assert scores[-1] > scores[0] + 0.2
    with pytest.raises(ShapeError, match=r"`y` must have the shape \(series,\), as in the first call; got \(60, 2\)\."):
        model.partial_fit(X, np.ones((60, 2)))


def test_early_stopping_is_only_where_series_can_be_spared() -> None:
    X, y = steps(40)
    watched = quick(patience=1, epochs=60, lr=0.1).fit(X, y).history_
    assert watched.stopped == "early_stop"
    assert len(watched.epochs) - watched.best_epoch == 1
    assert np.isfinite(watched.best_loss)
    for model, count in ((quick(valid=0), 40), (quick(), 19)):
        history = model.fit(X[:count], y[:count]).history_
        assert history.stopped == "epochs"
        assert np.isnan(history.best_loss)


def test_a_forecaster_spares_series_or_ends() -> None:
    X = np.random.default_rng(0).normal(size=(20, 12, 1)).cumsum(axis=1)
    model = LiquidForecaster(units=2, epochs=1, random_state=0)
    assert np.isfinite(model.fit(X).history_.best_loss)  # whole series
    assert np.isfinite(model.fit(X[:3]).history_.best_loss)  # the last 2 of 12 steps of each
    assert np.isnan(model.set_params(horizon=2).fit(X[:3]).history_.best_loss)  # too short for that


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_answer_the_same(copied: Any) -> None:
    X, y = steps()
    model = quick().fit(X, y)
    other = copied(model)
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert b"liquidtorch.model" not in pickle.dumps(model)  # the weights travel as a model folder, not as objects
    other.partial_fit(X, y)
    assert not np.array_equal(other.predict_proba(X), model.predict_proba(X))


def test_the_network_is_saved_as_a_model_folder(tmp_path: Any) -> None:
    X, y = steps()
    model = quick().fit(X, y)
    model.network_.save(tmp_path / "model")
    x = torch.tensor(X[..., None], dtype=torch.float32)
    assert torch.equal(liquidtorch.load(tmp_path / "model")(x)[0], model.network_(x)[0])


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    X, y = steps()
    quick().fit(X, y).score(X, y)
    LiquidForecaster(units=2, epochs=1).fit(X).predict(X)
    assert capfd.readouterr() == ("", "")


def test_options_reach_the_network() -> None:
    X, y = steps()
    model = quick(body="cfc", units=6, layers=2, tau=(2.0, 3.0), epochs=1).fit(X, y)
    about = model.network_.describe()
    assert (about["body"], about["units"], about["layers"]) == ("CfC", 6, 2)
    wired = quick(units=9, wiring="random:0.3", epochs=1).fit(X, y).network_.describe()
    assert wired["wiring"] is not None
    leaky = quick(body="leaky", tau=(2.0, 3.0), lr=1e-9, epochs=1).fit(X, y).network_.describe()
    assert 2 <= min(leaky["tau"]) <= max(leaky["tau"]) <= 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"body": "lyquid"}, r"`body` must be one of .*; got 'lyquid'\. Did you mean 'liquid'\?"),
        ({"units": 0}, r"`units` must be a whole number at least 1; got 0\."),
        ({"valid": 0.7}, r"`valid` must be a number at least 0 and at most 0\.5; got 0\.7\."),
        ({"epochs": 1.5}, r"`epochs` must be a whole number at least 1; got 1\.5 \(float\)\."),
        ({"tau": "long"}, r"`tau` must be one of 'auto'; got 'long'\."),
    ],
)
def test_options_are_checked_by_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        quick(**options).fit(*steps())


def test_bad_series_are_named() -> None:
    X, y = steps()
    with pytest.raises(
        ShapeError, match=r"`X\[1\]` must have the shape \(time, features=2\), as `X\[0\]`; got \(4, 3\)"
    ):
        quick().fit([np.zeros((3, 2)), np.zeros((4, 3))], [0, 1])
    with pytest.raises(
        DataError, match=r"`X` must hold at least one series, step and feature; got the shape \(2, 0, 3\)"
    ):
        quick().fit(np.zeros((2, 0, 3)), [0, 1])
    with pytest.raises(ShapeError, match=r"`dt` must have as many entries as `x` has rows in every series"):
        quick().fit(X, y, dt=np.ones((24, 5)))


def test_bad_targets_are_named() -> None:
    X, y = steps()
    with pytest.raises(DataError, match=r"`y` must hold at least two classes; got 1 class, \['low'\]\."):
        quick().fit(X, ["low"] * 24)
    with pytest.raises(DataError, match="requires y to be passed, but the target y is None"):
        quick().fit(X, None)
    with pytest.raises(
        ShapeError, match=r"`y` must have the shape \(series,\) or \(series, targets\); got \(24, 1, 1\)\."
    ):
        LiquidRegressor().fit(X, np.zeros((24, 1, 1)))
    with pytest.raises(OptionError, match=r"`classes` must be all the classes, at least two, in the first call"):
        quick().partial_fit(X, y)
    model = quick().fit(X, y)
    with pytest.raises(DataError, match=r"`y` must hold classes of \['high', 'low'\]; got 'odd'\."):
        model.partial_fit(X[:2], ["odd", "low"])
    with pytest.raises(DataError, match=r"`y` must have at least two classes to learn; got only 'low'\."):
        model.partial_fit(X[:2], ["low", "low"])
    with pytest.raises(
        OptionError, match=r"`classes` must be those of the first call, \['high', 'low'\]; got \['a'\]\."
    ):
        model.partial_fit(X, y, classes=["a"])


def test_bad_forecasts_are_named() -> None:
    X = np.random.default_rng(0).normal(size=(12, 2))
    with pytest.raises(OptionError, match=r"`y` must be None: the coming values of `X` are the target; got an array\."):
        LiquidForecaster().fit(X, X)
    with pytest.raises(OptionError, match=r"`targets` must be a whole number at least 0 and at most 1; got 2\."):
        LiquidForecaster(targets=[2]).fit(X)
    with pytest.raises(OptionError, match=r"`targets` must be different columns, at least one; got \[1, 1\]\."):
        LiquidForecaster(targets=[1, 1]).fit(X)
    with pytest.raises(OptionError, match=r"`window` must be a whole number at least 2; got 1\."):
        LiquidForecaster(window=1).fit(X)
    with pytest.raises(DataError, match=r"`horizon` must be below the length of every series; got 12"):
        LiquidForecaster(horizon=12).fit(X)
    model = LiquidForecaster(units=2, epochs=1).fit(X)
    with pytest.raises(DataError, match=r"`X` must change in every target, to score a forecast of it"):
        model.score(np.ones((12, 2)))
    for ask in (LiquidForecaster().predict, LiquidForecaster().predict_quantiles, LiquidForecaster().score):
        with pytest.raises(NotFittedError):
            ask(X)
