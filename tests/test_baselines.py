"""Baselines against scikit-learn, PyTorch's own GRU and answers known by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import accuracy_score
from torch import nn

from liquidtorch import datasets
from liquidtorch.baselines import GRU, baselines, matching_units, truth
from liquidtorch.baselines.linear import PENALTIES, Logistic, Ridge
from liquidtorch.baselines.simple import OneRule, last_value, majority, mean, roundest
from liquidtorch.baselines.steps import LAGS, POINTS, Steps, encode, past, present
from liquidtorch.data import Sequences, from_arrays, from_table, split
from liquidtorch.model import LiquidNetwork
from liquidtorch.task import Task, infer, score
from liquidtorch.train import Config

RNG = np.random.default_rng(7)


def steps_of(channels: np.ndarray, offsets: list[int]) -> Steps:
    return Steps(channels, channels, np.array(offsets))


def test_ridge_is_scikit_learns_with_the_best_penalty() -> None:
    x, valid_x = RNG.normal(size=(60, 5)) + 3, RNG.normal(size=(30, 5)) + 3
    weight = RNG.normal(size=(5, 2))
    y, valid_y = (a @ weight + 2 + RNG.normal(size=(len(a), 2)) for a in (x, valid_x))
    found = Ridge(x, y, valid_x, valid_y).predict(valid_x)
    unit = np.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0))).mean()
    for j in range(2):
        rivals = [SklearnRidge(alpha=p * unit).fit(x, y[:, j]).predict(valid_x) for p in PENALTIES]
        best = min(rivals, key=lambda r: ((r - valid_y[:, j]) ** 2).mean())
        np.testing.assert_allclose(found[:, j], best, rtol=1e-8)


def test_ridge_leaves_out_only_the_rows_whose_target_is_missing() -> None:
    x = RNG.normal(size=(50, 2))
    y = np.column_stack([x @ [1.0, 2.0], x @ [3.0, -1.0]])
    y[:20, 1] = np.nan
    found = Ridge(x, y, x, y).predict(x)
    np.testing.assert_allclose(found, np.column_stack([x @ [1.0, 2.0], x @ [3.0, -1.0]]), atol=2e-3)
    assert not np.isnan(found).any()


def test_ridge_takes_a_strong_penalty_where_the_columns_are_noise() -> None:
    x, y = RNG.normal(size=(20, 15)), RNG.normal(size=(20, 1))
    model = Ridge(x, y, RNG.normal(size=(400, 15)), RNG.normal(size=(400, 1)))
    assert np.abs(model.weight).max() < 0.05


def test_logistic_is_scikit_learns_with_the_best_penalty() -> None:
    task = Task("classify_steps", ("y",), (("a", "b", "c"),))
    x, valid_x = RNG.normal(size=(120, 3)), RNG.normal(size=(60, 3))
    y, valid_y = ((a @ RNG.normal(size=(3, 3))).argmax(1)[:, None].astype(float) for a in (x, valid_x))
    codes, chances = Logistic(task, x, y, valid_x, valid_y).predict(valid_x)
    scale = [(a - x.mean(0)) / x.std(0) for a in (x, valid_x)]
    rivals = [LogisticRegression(C=c, max_iter=200).fit(scale[0], y[:, 0]) for c in (0.01, 1.0, 100.0)]
    best = max(rivals, key=lambda r: accuracy_score(valid_y[:, 0], r.predict(scale[1])))
    np.testing.assert_array_equal(codes[:, 0], best.predict(scale[1]))
    np.testing.assert_allclose(chances, best.predict_proba(scale[1]), rtol=1e-12)


def test_a_class_absent_from_the_training_part_has_probability_zero() -> None:
    task = Task("classify_steps", ("y",), (("a", "b", "c"),))
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    y = np.array([[0.0], [0.0], [2.0], [2.0]])
    codes, chances = Logistic(task, x, y, x, y).predict(x)
    assert codes.ravel().tolist() == [0, 0, 2, 2]
    assert chances.shape == (4, 3)
    assert (chances[:, 1] == 0).all()


def test_majority_mean_and_last_value() -> None:
    task = Task("classify", ("u", "v"), (("a", "b"), ("x", "y", "z")))
    codes, chances = majority(task, np.array([[0, 2], [1, 2], [1, 0], [1, 2]], float), 2)
    assert codes.tolist() == [[1, 2], [1, 2]]
    assert chances[0].tolist() == [0.25, 0.75, 0.25, 0.0, 0.75]
    assert mean(np.array([[1.0], [np.nan], [3.0]]), 2).tolist() == [[2.0], [2.0]]
    told = last_value(Task("forecast", ("a", "b"), horizon=3), np.array([[1.0, 2.0]]))
    assert told.tolist() == [[[1.0, 2.0]] * 3]


def test_one_rule_names_the_feature_and_a_round_number() -> None:
    light = np.array([0.0, 100.0, 365.0, 380.0, 400.0, 500.0])
    seqs = from_arrays([np.column_stack([RNG.normal(size=6), light])], features=["CO2", "Light"])
    task = Task("classify_steps", ("y",), ((0, 1),))
    steps = steps_of(seqs.values, [0, 6])
    rule = OneRule(task, [(seqs, steps)], (light > 365)[:, None].astype(float))
    assert rule.detail == "Light > 370"
    codes, chances = rule.predict(seqs, steps)
    assert codes.ravel().tolist() == [0, 0, 0, 1, 1, 1]
    assert chances.tolist() == [[1, 0]] * 3 + [[0, 1]] * 3


def test_the_rule_of_occupancy_is_the_known_one_and_learned_from_all_that_is_given() -> None:
    train_file, test_file = datasets.occupancy()
    seqs = from_table(train_file, target="Occupancy", time="date", unit="min")
    test = from_table(test_file, like=seqs.schema())
    train, valid, _, _ = split(seqs, test=0)
    assert valid is not None
    task, _ = infer(seqs)
    answers = baselines(train, valid, test, task, network_for(train, task), Config())
    most, rule = next(answers), next(answers)
    shares = np.bincount(seqs.target[:, 0].astype(int)) / seqs.rows  # type: ignore[index]
    np.testing.assert_allclose(most.prediction.probabilities[0], shares, rtol=1e-12)  # type: ignore[index]
    assert (rule.name, rule.detail) == ("one rule", "Light > 365")
    assert round(score(task, truth(task, test), rule.prediction)["accuracy"], 4) == 0.99


@pytest.mark.parametrize(
    ("low", "high", "wanted"), [(0.0, 1.0, 0.5), (-3.3, 0.1, -2.0), (1234.0, 1235.0, 1234.5), (1e-9, 3e-9, 2e-9)]
)
def test_the_roundest_number_lies_in_the_middle_half(low: float, high: float, wanted: float) -> None:
    assert roundest(low, high) == pytest.approx(wanted, rel=1e-12)


def test_one_rule_reads_a_category_by_its_name_and_a_series_by_its_mean() -> None:
    task = Task("classify", ("y",), (("down", "up"),))
    series = [[[float(k), v], [float(k), v]] for k, v in [(0, 5.0), (1, 5.1), (0, 5.2), (1, 4.9)]]
    seqs = from_arrays(series, ["down", "up", "down", "up"], features=["room", "x"])
    object.__setattr__(
        seqs, "features", (type(seqs.features[0])("room", "category", ("hall", "cellar")), seqs.features[1])
    )
    rule = OneRule(task, [(seqs, steps_of(seqs.values, [0, 2, 4, 6, 8]))], np.array([[0.0], [1], [0], [1]]))
    assert rule.detail.endswith(("room = hall > 0.5", "room = cellar > 0.5"))
    assert rule.predict(seqs, steps_of(seqs.values, [0, 2, 4, 6, 8]))[0].ravel().tolist() == [0, 1, 0, 1]


def test_one_rule_of_constant_features_is_the_majority() -> None:
    seqs = from_arrays([[1.0, 1.0, 1.0]])
    task = Task("classify_steps", ("y",), ((0, 1),))
    steps = steps_of(seqs.values, [0, 3])
    rule = OneRule(task, [(seqs, steps)], np.array([[1.0], [1.0], [0.0]]))
    assert rule.detail == "no rule helps"
    assert rule.predict(seqs, steps)[0].ravel().tolist() == [1, 1, 1]


def test_lags_do_not_reach_into_another_series() -> None:
    steps = steps_of(np.arange(9.0)[:, None], [0, 3, 9])
    found = past(steps, "step")
    assert found.shape == (9, LAGS + 1)
    assert found[3].tolist() == [3, 3, 3, 3, 3]
    assert found[8].tolist() == [8, 7, 6, 5, 4]
    assert found[1].tolist() == [1, 0, 0, 0, 0]
    whole = past(steps, "series")
    assert whole.shape == (2, POINTS)
    assert whole[1, 0] == 3
    assert whole[1, -1] == 8
    assert present(steps, "series").tolist() == [[1, 2], [5.5, 8]]


def network_for(seqs: Sequences, task: Task, units: int = 8) -> LiquidNetwork:
    return LiquidNetwork.for_data(seqs, task, units=units)


def test_encode_equals_one_series_at_a_time() -> None:
    x = [RNG.normal(size=(n, 2)) for n in (4, 6)]
    x[0][0, 0] = x[1][0, 1] = x[1][3, 0] = np.nan
    seqs = from_arrays(x, dt=[RNG.uniform(0.5, 2, 4), RNG.uniform(0.5, 2, 6)], forecast=True)
    task, _ = infer(seqs, "forecast")
    network = network_for(seqs, task)
    together = encode(network, seqs, timed=True)
    apart = [encode(network, seqs.take([i]), timed=True) for i in range(2)]
    np.testing.assert_allclose(together.channels, np.vstack([a.channels for a in apart]), rtol=1e-6)
    np.testing.assert_allclose(together.filled, np.vstack([a.filled for a in apart]), rtol=1e-6)
    np.testing.assert_allclose(together.channels[:, -1], np.log(seqs.dt / seqs.median_dt))
    assert not np.isnan(together.filled).any()


def test_gru_is_pytorchs_with_dt_beside() -> None:
    torch.manual_seed(0)
    layer = GRU(3, 5, median_dt=2.0)
    x, dt = torch.randn(2, 7, 3), torch.rand(2, 7) + 0.1
    y, h = layer(x, dt=dt)
    plain, last = layer.gru(torch.cat([x, torch.log1p(dt / 2)[..., None]], -1).transpose(0, 1))
    torch.testing.assert_close(y, plain.transpose(0, 1))
    torch.testing.assert_close(h, last[0])


def test_gru_obeys_the_laws_of_a_layer() -> None:
    torch.manual_seed(0)
    layer = GRU(3, 5)
    x, dt = torch.randn(2, 7, 3), torch.rand(2, 7) + 0.1
    y, h = layer(x, dt=dt)
    first, state = layer(x[:, :3], dt=dt[:, :3])
    rest, state = layer(x[:, 3:], state, dt=dt[:, 3:])
    torch.testing.assert_close(torch.cat([first, rest], 1), y)
    torch.testing.assert_close(state, h)
    x[1, 4:] = float("nan")
    short, ends = layer(x, dt=dt, lengths=torch.tensor([7, 4]))
    torch.testing.assert_close(short[1, :4], y[1, :4])
    torch.testing.assert_close(ends, torch.stack([h[0], y[1, 3]]))
    assert (short[1, 4:] == 0).all()
    reset = torch.zeros(2, 7, dtype=torch.bool)
    reset[0, 3] = True
    again, _ = layer(x[:1], dt=dt[:1], reset=reset[:1])
    torch.testing.assert_close(again[:, 3:], layer(x[:1, 3:], dt=dt[:1, 3:])[0])
    torch.testing.assert_close(again[:, :3], y[:1, :3])
    faster = GRU.from_config(layer.config())
    faster.load_state_dict(layer.state_dict())
    faster.scale_time(3.0)
    torch.testing.assert_close(faster(x[:1], dt=3 * dt[:1])[0], y[:1])


def test_gru_gradients_are_finite_behind_padding() -> None:
    layer = GRU(2, 3)
    x = torch.randn(2, 4, 2)
    x[0, 2:] = float("nan")
    layer(x, lengths=torch.tensor([2, 4]))[0].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize(
    ("features", "outputs", "wanted", "skip"), [(3, 2, 9000, False), (40, 17, 12_000, True), (1, 1, 50, True)]
)
def test_matching_units_come_nearest(features: int, outputs: int, wanted: int, skip: bool) -> None:
    def count(units: int) -> int:
        return sum(
            p.numel()
            for part in (nn.GRU(features + 1, units), nn.Linear(units + features * skip, outputs))
            for p in part.parameters()
        )

    found = matching_units(features, outputs, wanted, skip=skip)
    assert abs(count(found) - wanted) <= min(abs(count(found + d) - wanted) for d in (-1, 1) if found + d > 0)


def parts_of(x: list[np.ndarray], y: list[object] | None, **options: object) -> tuple[Sequences, Sequences, Sequences]:
    seqs = from_arrays(x, y, **options)
    n = len(seqs)
    cut = (0, n // 2, 3 * n // 4, n)
    return tuple(seqs.take(range(a, b)) for a, b in itertools.pairwise(cut))  # type: ignore[return-value]


def scores(parts: tuple[Sequences, Sequences, Sequences], task: Task) -> dict[str, float]:
    train, valid, test = parts
    config = Config(epochs=2, batch=8)
    found = list(baselines(train, valid, test, task, network_for(train, task), config))
    assert found[-1].name == "GRU"
    assert found[-1].parameters == pytest.approx(sum(p.numel() for p in network_for(train, task).parameters()), rel=0.3)
    return {a.name: score(task, truth(task, test), a.prediction)[task.metric] for a in found}


def test_a_forecast_that_is_linear_is_found_by_the_linear_ones() -> None:
    """x' = 0.5 x from one step to the next; and a rotation seen in one coordinate only needs the lags."""
    start = RNG.normal(size=16) * 8
    decay = [a * 0.5 ** np.arange(8)[:, None] for a in start]
    parts = parts_of(decay, None, forecast=True)
    found = scores(parts, infer(parts[0], "forecast")[0])
    assert list(found) == ["last value", "linear", "linear on lags", "GRU"]
    last = np.concatenate([0.5 * p[:-1] for p in decay[12:]])
    assert found["last value"] == pytest.approx(np.sqrt((last**2).mean()), rel=1e-5)
    assert found["linear"] < 0.01 * found["last value"]
    turn = [np.sin(0.7 * np.arange(30) + a)[:, None] for a in start]
    parts = parts_of(turn, None, forecast=True)
    found = scores(parts, infer(parts[0], "forecast")[0])
    assert found["linear on lags"] < 0.3 * found["linear"]


def test_the_baselines_of_each_other_task() -> None:
    x = [RNG.normal(size=(12, 2)) for _ in range(24)]
    step = parts_of(x, [(a[:, :1] > 0).astype(int).astype(str) for a in x])
    found = scores(step, infer(step[0])[0])
    assert list(found) == ["majority", "one rule", "linear", "linear on lags", "GRU"]
    assert found["one rule"] > 0.95
    assert found["majority"] < 0.7
    for a in x:
        a[-1, 1] += np.sign(a[-1, 1])  # a gap between the classes
    whole = parts_of(x, ["up" if a[-1, 1] > 0 else "down" for a in x])
    found = scores(whole, infer(whole[0])[0])
    assert found["one rule"] == 1
    numbers = parts_of(x, [float(a.mean() + a[-1, 0]) for a in x])
    task = infer(numbers[0])[0]
    assert task.kind == "regress"
    found = scores(numbers, task)
    assert list(found) == ["mean", "linear", "linear on lags", "GRU"]
    assert found["linear"] < 0.1 * found["mean"]
    rows = parts_of(x, [a @ [[1.0], [-2.0]] for a in x])
    found = scores(rows, infer(rows[0])[0])
    assert found["linear"] < 0.01 * found["mean"]
