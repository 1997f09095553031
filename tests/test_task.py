"""Tasks: inference said aloud, scores against scikit-learn, the future of a row, intervals that cover."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from liquidtorch.data import from_arrays
from liquidtorch.errors import DataError, OptionError, ShapeError
from liquidtorch.task import KINDS, Task, ahead, bootstrap, infer, score

X = np.zeros((4, 3))
WORDS = ["a", "b", "a", "b"]
TASKS = [
    Task("classify", ("y",), (("a", "b"),)),
    Task("classify_steps", ("p", "q"), ((0, 1, 2), (False, True))),
    Task("regress", ("y",)),
    Task("regress_steps", ("p", "q")),
    Task("forecast", ("p", "q"), horizon=4, quantiles=(0.1, 0.5, 0.9)),
]


@pytest.mark.parametrize(
    ("y", "options", "kind", "reason"),
    [
        (WORDS, {}, "classify", "`y` is text, one value a series: a class of 2 for each series"),
        ([True, False] * 2, {}, "classify", "`y` is true or false, one value a series: a class of 2 for each series"),
        (np.tile([0, 1, 2], (4, 1)), {}, "classify_steps",
         "`y` is whole numbers 0..2, changing from row to row: a class of 3 for each step"),
        ([0.5, 1, 2, 3], {}, "regress", "`y` is numeric, one value a series: a number for each series"),
        ([1, 2, 3, 3], {}, "regress", "`y` is numeric, one value a series: a number for each series "
         "(kind='classify' would take its 3 values as classes)"),
        (np.random.default_rng(0).normal(size=(4, 3, 2)), {}, "regress_steps",
         "`y0`, `y1` are numeric, changing from row to row: a number for each step"),
        (np.ones((4, 3)) * 0.5, {"horizon": 2}, "forecast", "a horizon is given: the coming values are foretold"),
        (np.ones((4, 3)) * 0.5, {"quantiles": [0.1, 0.9]}, "forecast",
         "a horizon is given: the coming values are foretold"),
        (np.ones((4, 3)) * 0.5, {"kind": "forecast"}, "forecast", "forecast was asked for"),
        (np.tile([0, 1, 2], (4, 1)), {"kind": "regress_steps"}, "regress_steps", "regress_steps was asked for"),
    ],
)  # fmt: skip
def test_the_task_is_inferred_and_said_aloud(y, options, kind, reason):
    task, said = infer(from_arrays(X, y), **options)
    assert (task.kind, said) == (kind, reason)
    assert task.horizon == options.get("horizon", 1)


@pytest.mark.parametrize(
    ("y", "options", "error", "text"),
    [
        (None, {}, DataError, "`targets` must name what is to be learned; the sequences have none"),
        (WORDS, {"kind": "sort"}, OptionError, "`kind` must be one of 'classify', .*; got 'sort'"),
        (WORDS, {"kind": "regress"}, OptionError, "got 'regress' and `y`, a class such as 'a'. Use a classification"),
        (WORDS, {"kind": "classify_steps"}, OptionError, "got 'classify_steps', .* Use 'classify'"),
        (WORDS, {"kind": "forecast"}, OptionError, "got 'forecast', .* Use 'classify or regress'"),
        ([1.5, 2, 3, 4], {"kind": "classify"}, OptionError, "got 'classify' and `y`, read as numbers. .*target_kind"),
        ([1.5, 2, 3, 4], {"kind": "regress", "horizon": 3}, OptionError, "`horizon` must be left out for 'regress'"),
        ([1.5, 2, 3, 4], {"kind": "regress", "quantiles": [0.5]}, OptionError, "`quantiles` must be left out"),
        (X, {"horizon": 0}, OptionError, "`horizon` must be a whole number at least 1; got 0"),
        (X, {"quantiles": [0.5, 0.1]}, OptionError, r"`quantiles` must increase; got \[0.5, 0.1\]"),
        (X, {"quantiles": [0.5, 1]}, OptionError, r"`quantiles` must lie between 0 and 1; got 1.0"),
    ],
)  # fmt: skip
def test_a_task_that_does_not_fit_is_refused(y, options, error, text):
    with pytest.raises(error, match=text):
        infer(from_arrays(X, y), **options)


def test_classes_and_numbers_together_are_refused():
    y = np.array([["a", 1.5], ["b", 2.5]] * 2, dtype=object)
    with pytest.raises(OptionError, match="`targets` must be all classes or all numbers"):
        infer(from_arrays(X, y))


def test_a_task_knows_its_width_level_and_metric():
    assert [t.outputs for t in TASKS] == [2, 5, 1, 2, 32]
    assert [t.level for t in TASKS] == ["series", "step", "series", "step", "step"]
    assert [t.metric for t in TASKS] == ["accuracy", "accuracy", "rmse", "rmse", "rmse"]
    assert tuple(t.kind for t in TASKS) == KINDS
    for task in TASKS:
        assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
        high_wins = task.metric == "accuracy"
        assert task.better(0.9, 0.8) is high_wins
        assert task.better(0.8, 0.9) is not high_wins
        assert not task.better(0.5, 0.5)
        assert task.better(0.5, float("nan"))
        assert not task.better(float("nan"), 0.5)
    with pytest.raises(OptionError, match="`targets` must name at least one target"):
        Task("regress", ())
    with pytest.raises(OptionError, match="`classes` must be given for each of the 1 targets; got 0"):
        Task("classify", ("y",))
    with pytest.raises(OptionError, match="`classes` must be empty for 'regress'"):
        Task("regress", ("y",), (("a", "b"),))


def test_check_refuses_what_cannot_be_learned():
    same = from_arrays(X, ["a"] * 4)
    with pytest.raises(DataError, match="`y` must have at least two classes to learn; got only 'a'"):
        infer(same)[0].check(same)
    infer(same)[0].check(same, learn=False)
    short = from_arrays([[1.0, 2.0, 3.0], [1.0, 2.0]], forecast=True)
    with pytest.raises(DataError, match=r"got 2 and series 1 of 2 rows \(1 such series\). Use a smaller horizon"):
        infer(short, horizon=2)[0].check(short)
    infer(short, horizon=1)[0].check(short)
    with pytest.raises(DataError, match="`target` must belong to the series for 'classify'; got the step"):
        TASKS[0].check(short)
    bare = from_arrays(X)
    with pytest.raises(DataError, match="`target` must be in the data; the column 'y' is missing"):
        TASKS[2].check(bare)
    gone = from_arrays(np.full((2, 3), np.nan), forecast=True)
    with pytest.raises(DataError, match="`x0` must hold a value somewhere"):
        infer(gone, horizon=1)[0].check(gone)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(1, 60))
def test_class_scores_are_those_of_scikit_learn(seed: int, count: int, rows: int):
    rng = np.random.default_rng(seed)
    task = Task("classify", ("y",), (tuple(range(count)),))
    truth = rng.integers(0, count, (rows, 1)).astype(float)
    chances = rng.dirichlet(np.ones(count), rows)
    answer = SimpleNamespace(values=chances.argmax(axis=1)[:, None], probabilities=chances, quantiles=None)
    found = score(task, truth, answer)
    t, p = truth[:, 0], answer.values[:, 0]
    recalls = [(p[t == c] == c).mean() for c in np.unique(t)]  # balanced_accuracy_score warns where a class is absent
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(t, p),
            "balanced_accuracy": np.mean(recalls),
            "f1_macro": metrics.f1_score(t, p, average="macro"),
            "log_loss": metrics.log_loss(t, chances, labels=range(count)),
        },
        rel=1e-12,
    )
    if set(p) <= set(t) and len(set(t)) > 1:
        assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(t, p), rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 60))
def test_number_scores_are_those_of_scikit_learn(seed: int, outputs: int, rows: int):
    rng = np.random.default_rng(seed)
    task = Task("regress", tuple(f"y{j}" for j in range(outputs)))
    truth, answer = rng.normal(3, 2, (2, rows, outputs))
    found = score(task, truth, answer)
    assert found["rmse"] == pytest.approx(np.sqrt(metrics.mean_squared_error(truth, answer)), rel=1e-12)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, answer), rel=1e-12)
    assert found["r2"] == pytest.approx(metrics.r2_score(truth, answer), rel=1e-9)
    for j in range(outputs if outputs > 1 else 0):
        part = truth[:, j], answer[:, j]
        assert found[f"rmse/y{j}"] == pytest.approx(metrics.root_mean_squared_error(*part), rel=1e-12)
        assert found[f"r2/y{j}"] == pytest.approx(metrics.r2_score(*part), rel=1e-9)


def test_r2_of_a_constant_is_one_or_nothing():
    ones = np.ones((5, 1))
    for answer in (ones, ones * 2):
        assert score(TASKS[2], ones, answer)["r2"] == metrics.r2_score(ones, answer)


def test_quantile_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    task = TASKS[4]
    truth, point = rng.normal(size=(2, 50, 4, 2))
    bands = np.sort(rng.normal(size=(50, 4, 2, 3)), axis=-1)
    truth[45:, 3] = np.nan
    found = score(task, truth, SimpleNamespace(values=point, probabilities=None, quantiles=bands))
    pinball, inside = [], []
    for j in range(2):
        kept = ~np.isnan(truth[..., j])
        t, b = truth[..., j][kept], bands[..., j, :][kept]
        pinball += [metrics.mean_pinball_loss(t, b[:, k], alpha=q) for k, q in enumerate(task.quantiles)]
        inside.append(np.mean((b[:, 0] <= t) & (t <= b[:, 2])))
        assert found[f"coverage/{task.targets[j]}"] == inside[-1]
    assert found["pinball"] == pytest.approx(np.mean(pinball), rel=1e-12)
    assert found["coverage"] == pytest.approx(np.mean(inside))
    kept = ~np.isnan(truth)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth[kept], point[kept]), rel=1e-12)


def test_targets_of_unequal_gaps_are_weighed_by_their_entries():
    task = Task("forecast", ("p", "q"))
    truth = np.zeros((4, 1, 2))
    truth[1:, 0, 1] = np.nan
    answer = np.stack([np.full((4, 1), 1.0), np.full((4, 1), 3.0)], axis=-1)
    found = score(task, truth, answer)
    assert found["rmse"] == pytest.approx(np.sqrt((4 * 1 + 9) / 5))
    assert found["mae"] == pytest.approx((4 * 1 + 3) / 5)


def test_several_class_targets_take_their_own_probabilities():
    task = TASKS[1]
    truth = np.array([[2.0, 1.0], [0.0, 0.0]])
    chances = np.array([[0.1, 0.2, 0.7, 0.4, 0.6], [0.5, 0.3, 0.2, 0.9, 0.1]])
    found = score(task, truth, SimpleNamespace(values=truth, probabilities=chances, quantiles=None))
    assert found["log_loss/p"] == pytest.approx(-np.log([0.7, 0.5]).mean())
    assert found["log_loss/q"] == pytest.approx(-np.log([0.6, 0.9]).mean())
    assert found["log_loss"] == pytest.approx((found["log_loss/p"] + found["log_loss/q"]) / 2)
    assert found["accuracy"] == found["accuracy/q"] == 1


@pytest.mark.parametrize(
    ("task", "truth", "answer", "text"),
    [
        (TASKS[2], (5,), (5,), r"`truth` must have the shape \(rows, targets=1\); got \(5,\)"),
        (TASKS[3], (5, 1), (5, 1), r"`truth` must have the shape \(rows, targets=2\); got \(5, 1\)"),
        (TASKS[3], (5, 2), (4, 2), r"`prediction` must have the shape \(rows=5, targets=2\); got \(4, 2\)"),
        (TASKS[4], (5, 3, 2), (5, 3, 2), r"`truth` must have the shape \(rows, horizon=4, targets=2\)"),
    ],
)
def test_scores_of_the_wrong_shape_are_refused(task, truth, answer, text):
    with pytest.raises(ShapeError, match=text):
        score(task, np.zeros(truth), np.zeros(answer))


def test_a_truth_without_a_value_cannot_be_scored():
    with pytest.raises(DataError, match="`truth` must hold a value of `y`; every entry is missing"):
        score(TASKS[2], np.full((3, 1), np.nan), np.zeros((3, 1)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=5), st.integers(1, 10), st.integers(0, 99))
def test_the_future_is_that_of_a_plain_loop(lengths: list[int], horizon: int, seed: int):
    rng = np.random.default_rng(seed)
    blocks = [rng.normal(size=(t, 2)) for t in lengths]
    times = [np.cumsum(rng.uniform(0.1, 2, t)) for t in lengths]
    values, gaps = ahead(from_arrays(blocks, time=times, forecast=True), horizon)
    row = 0
    for block, time in zip(blocks, times, strict=True):
        for k in range(len(block)):
            for h in range(1, horizon + 1):
                there = k + h < len(block)
                np.testing.assert_array_equal(values[row, h - 1], block[k + h] if there else [np.nan] * 2)
                np.testing.assert_allclose(gaps[row, h - 1], time[k + h] - time[k] if there else np.nan)
            row += 1


def test_the_future_of_a_series_target_is_refused():
    with pytest.raises(DataError, match="`target` must belong to the steps to be foretold"):
        ahead(from_arrays(X, WORDS), 1)
    with pytest.raises(OptionError, match="`horizon` must be a whole number at least 1; got 0"):
        ahead(from_arrays(X, forecast=True), 0)


def test_the_interval_covers_the_true_score_as_often_as_it_says():
    rng = np.random.default_rng(0)
    task = Task("classify", ("y",), ((0, 1),))
    hits = 0
    for k in range(200):
        right = rng.random((80, 1)) < 0.8
        low, high = bootstrap(task, np.ones((80, 1)), right.astype(float), np.arange(80), seed=k)
        hits += low <= 0.8 <= high
    assert 180 <= hits <= 200


def test_rows_of_one_series_lean_on_each_other():
    rng = np.random.default_rng(0)
    series = np.repeat(np.arange(40), 50)
    error = (rng.normal(size=40)[series] + 0.1 * rng.normal(size=2000))[:, None]
    truth = np.zeros((2000, 1))
    by_series = bootstrap(TASKS[2], truth, error, series)
    by_row = bootstrap(TASKS[2], truth, error, np.arange(2000))  # two rows are drawn together here
    assert by_series[1] - by_series[0] > 3 * (by_row[1] - by_row[0])


def test_the_interval_of_a_difference_is_that_of_the_same_draws():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(1000, 1))
    good, bad = truth + 0.5 * rng.normal(size=(1000, 1)), truth + rng.normal(size=(1000, 1))
    series = np.repeat(np.arange(50), 20)
    low, high = bootstrap(TASKS[2], truth, good, series, bad)
    assert low < high < 0
    assert bootstrap(TASKS[2], truth, bad, series, good) == pytest.approx((-high, -low))
    assert bootstrap(TASKS[2], truth, good, series, good) == (0, 0)
    assert bootstrap(TASKS[2], truth, good, series) == bootstrap(TASKS[2], truth, good, series)


def test_one_long_series_is_cut_into_blocks():
    rng = np.random.default_rng(0)
    truth = np.zeros((4000, 1))
    answer = rng.normal(size=(4000, 1))
    low, high = bootstrap(Task("regress_steps", ("y",)), truth, answer, np.zeros(4000, int))
    assert 0.95 < low < 1 < high < 1.05
    wide = np.repeat(rng.normal(size=(40, 1)), 100, axis=0)  # errors that last for 100 rows: 40 facts, not 4000
    low, high = bootstrap(Task("regress_steps", ("y",)), truth, wide, np.zeros(4000, int))
    assert high - low > 0.2


def test_the_interval_of_a_forecast_leaves_out_what_is_not_there():
    task = Task("forecast", ("p",), horizon=2)
    truth = np.zeros((60, 2, 1))
    truth[:, 1] = np.nan
    low, high = bootstrap(task, truth, np.full((60, 2, 1), 3.0), np.repeat(np.arange(30), 2))
    assert (low, high) == (3, 3)
    with pytest.raises(DataError, match="`truth` must hold a value somewhere; every entry is missing"):
        bootstrap(task, truth * np.nan, truth, np.arange(60))
    with pytest.raises(ShapeError, match=r"`groups` must have the shape \(rows=60\); got \(3,\)"):
        bootstrap(task, truth, truth, np.arange(3))
