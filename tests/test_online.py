"""Online: samples, labels and streams; names and classes that come."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from online_streams import BODIES, classed, echo, fitted_network, of_cell, rows, series

from liquidtorch import LTC, Leaky, LiquidNetwork, wiring
from liquidtorch.data import from_arrays
from liquidtorch.errors import DataError, OptionError, ShapeError, StateError
from liquidtorch.online import Channels, Online
from liquidtorch.readout import Ridge
from liquidtorch.task import infer
from liquidtorch.train import Config, fit

# --- what it answers ---------------------------------------------------------------------------------------------


def test_numbers_are_those_of_ridge_on_the_layers_states() -> None:
    """The outside oracle: the layer over the whole sequence, z by hand, the normal equations."""
    data = rows(120)
    online = Online(echo(), prior=0.3)
    for x, y in data:
        online.learn_one(x, y)
    told = online.predict_one({"a": 0.4, "b": -0.2})
    raw = np.array([list(x.values()) for x, _ in data] + [[0.4, -0.2]])
    count = np.arange(1, len(raw) + 1)[:, None]
    mean = raw.cumsum(0) / count
    std = np.sqrt(np.maximum((raw**2).cumsum(0) / count - mean**2, 0))
    u = np.where(std > 1e-9, (raw - mean) / np.where(std > 1e-9, std, 1), 0).clip(-5, 5)
    states = echo().double()(torch.from_numpy(u)[None])[0][0].numpy()
    z = np.concatenate([states, u], 1)
    Z, y = np.c_[z[:-1], np.ones(len(data))], np.array([y for _, y in data])
    W = np.linalg.solve(Z.T @ Z + np.diag([0.3] * z.shape[1] + [1e-10]), Z.T @ y)
    assert told == pytest.approx(np.r_[z[-1], 1] @ W, abs=1e-8)


def test_the_first_answers_are_nothing_and_zero() -> None:
    assert Online(echo()).predict_one({"a": 1.0}) == 0.0
    online = Online(echo(), readout="logistic")
    assert online.predict_one({"a": 1.0}) is None
    assert online.predict_proba_one({"a": 2.0}) == {}
    online.learn_one({"a": 1.0}, "yes")
    assert online.predict_proba_one({"a": 2.0}) == {"yes": 1.0}


def test_classes_are_learned() -> None:
    online, hits = Online(echo(), readout="logistic"), []
    for x, y in classed(1500):
        hits.append(online.predict_one(x) == y)
        online.learn_one(x, y)
    assert np.mean(hits[1000:]) > 0.7
    p = online.predict_proba_one({"a": 0.0, "b": 3.0})
    assert set(p) == {"low", "mid", "high"}
    assert sum(p.values()) == pytest.approx(1)


def test_several_numbers_some_of_them_unknown() -> None:
    online, other = (Online(echo(), targets=("up", "down")) for _ in range(2))
    for x, y in rows(60):
        online.learn_one(x, {"up": y, "down": -2 * y})
        other.learn_one(x, {"up": y})
    x = {"a": 0.1, "b": 0.1}
    told, half = online.predict_one(x), other.predict_one(x)
    assert told["down"] == pytest.approx(-2 * told["up"], abs=1e-9)
    assert half == {"up": told["up"], "down": 0.0}


@pytest.mark.parametrize("x", [[0.5, 1.0], np.array([0.5, 1.0]), {0: 0.5, 1: 1.0}])
def test_a_row_is_a_dict_by_place(x: Any) -> None:
    one, other = Online(echo()), Online(echo())
    for row in ([0.1, 0.2], [0.3, -0.2]):
        one.learn_one(row, 1.0)
        other.learn_one(dict(enumerate(row)), 1.0)
    assert one.predict_one(x) == other.predict_one([0.5, 1.0])
    named = Online(echo(), names=("b", "a"))
    assert named.predict_one([0.5, 1.0]) == Online(echo(), names=("b", "a")).predict_one({"a": 1.0, "b": 0.5})


def test_missing_none_and_nan_are_one() -> None:
    answers = []
    for gap in ({}, {"b": None}, {"b": math.nan}):
        online = Online(echo())
        for i, (x, y) in enumerate(rows(30)):
            online.learn_one({"a": x["a"], **gap} if i % 3 == 2 else x, y)
        answers.append(online.predict_one({"a": 0.3, **gap}))
    assert answers[0] == answers[1] == answers[2]


def test_dt_moves_the_state_by_as_much_time() -> None:
    one, two = Online(echo()), Online(echo())
    one.predict_one({"a": 1.0}, 0.0)
    assert not one.tracks[None].h.any()
    one.predict_one({"a": 2.0}, 2.5)
    two.predict_one({"a": 1.0})
    two.predict_one({"a": 2.0})
    assert abs(one.tracks[None].h - two.tracks[None].h).max() > 1e-3


# --- arrivals and labels -----------------------------------------------------------------------------------------


def test_a_sample_arrives_once() -> None:
    x = {"a": 1.0, "b": 2.0}
    online = Online(echo())
    first = online.predict_one(x)
    h = online.tracks[None].h
    assert online.predict_one(x) == first
    assert online.tracks[None].h is h
    online.learn_one(dict(x), 1.0)
    assert online.tracks[None].h is h
    assert online.seen == online.learned == 1
    online.predict_one(dict(x))
    online.predict_one(dict(x))  # equal, but another sample: nothing says that it is the same
    assert online.seen == 3


def test_learning_alone_is_predicting_and_learning() -> None:
    one, two = Online(echo()), Online(echo())
    for x, y in rows(40):
        one.learn_one(x, y)
        two.predict_one(x)
        two.learn_one(x, y)
    assert one.predict_one({"a": 1.0}) == two.predict_one({"a": 1.0})


def test_late_labels_in_any_order_find_their_samples() -> None:
    """Least squares that forgets nothing does not care for the order: late labels teach what prompt ones do."""
    data = rows(60)
    prompt, late = Online(echo()), Online(echo())
    for x, y in data:
        prompt.predict_one(x)
        prompt.learn_one(x, y)
        late.predict_one(x)
    for i in np.random.default_rng(0).permutation(len(data)):
        late.learn_one(dict(data[i][0]), data[i][1])
    assert late.seen == 60
    assert not late.tracks[None].pending
    x = {"a": 0.3, "b": -1.0}
    assert late.predict_one(x) == pytest.approx(prompt.predict_one(x), abs=1e-9)


def test_equal_samples_are_answered_in_their_order() -> None:
    online = Online(echo())
    for _ in range(3):
        online.predict_one({"a": 1.0})
    z = [sample.z for sample in online.tracks[None].pending]
    online.learn_one({"a": 1.0}, 5.0)
    assert [sample.z for sample in online.tracks[None].pending] == z[1:]


def test_labels_that_never_come_are_forgotten_and_counted() -> None:
    online = Online(echo(), patience=5)
    data = rows(12)
    for x, _ in data:
        online.predict_one(x)
    assert len(online.tracks[None].pending) == 5
    assert online.forgotten == 7
    online.learn_one(data[-1][0], None)
    assert len(online.tracks[None].pending) == 4
    assert online.learned == 0
    online.learn_one(data[-2][0], math.nan)
    assert online.learned == 0


def test_a_warning_where_labels_answer_nothing() -> None:
    online = Online(echo())
    for i, (x, y) in enumerate(rows(21)):
        online.predict_one(x)
        other = {name: v * 1.01 for name, v in x.items()}
        if i < 19:
            online.learn_one(other, y)
    with pytest.warns(UserWarning, match="last 20 labels answered no sample.*match='nearest'"):
        online.learn_one(other, 1.0)
    online.learn_one({"a": 5.0}, 1.0)  # said once


def test_nearest_knows_samples_that_were_scaled_anew() -> None:
    online = Online(echo(), match="nearest")
    data = rows(200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i, (x, _) in enumerate(data):
            online.predict_one(x)
            if i >= 5:  # five samples late
                old, y = data[i - 5]
                online.learn_one({name: v * 1.001 + 0.001 for name, v in old.items()}, y)
    assert online.seen == 200
    assert online.learned == 195
    assert [sample.kept for sample in online.tracks[None].pending] == [x for x, _ in data[195:]]


def test_streams_are_told_apart_by_their_keys() -> None:
    """Interleaved, each stream has the state it has alone."""
    streams = {key: rows(30, seed=i) for i, key in enumerate(("x", 7, ("a", 1)))}
    online = Online(echo(), names=("a", "b"))
    for t in range(30):
        for key, data in streams.items():
            online.predict_one(data[t][0], key=key)
    for key, data in streams.items():
        alone = Online(echo(), names=("a", "b"))
        for t in range(30):
            alone.predict_one(data[t][0])
        assert online.tracks[key].h.shape == alone.tracks[None].h.shape
        assert len(online.tracks[key].pending) == 30


def test_the_state_of_a_stream_is_its_own() -> None:
    network = fitted_network()
    both, alone = Online(network), Online(network)
    for i, (x, _) in enumerate(rows(20)):
        both.predict_one(x, key="one")
        both.predict_one({"a": -float(i)}, key="other")
        alone.predict_one(x)
    assert np.array_equal(both.tracks["one"].h, alone.tracks[None].h)
    assert all(map(np.array_equal, both.tracks["one"].memory, alone.tracks[None].memory))


def test_reset_puts_a_stream_back() -> None:
    online = Online(echo(), names=("a", "b"))
    online.predict_one({"a": 1.0}, key="k")
    online.predict_one({"a": 2.0}, key="l")
    online.reset("k")
    online.reset("nobody")
    assert set(online.tracks) == {"l"}
    assert online.forgotten == 1


@pytest.mark.parametrize("dt", [0.5, [0.5] * 40])
def test_learn_many_is_the_loop(dt: Any) -> None:
    one, many = Online(echo()), Online(echo())
    data = rows(40)
    for x, y in data:
        one.learn_one(x, y, 0.5)
    many.learn_many([x for x, _ in data], [y for _, y in data], dt)
    assert one.predict_one({"a": 1.0}) == many.predict_one({"a": 1.0})


# --- what is new -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*BODIES, "network"])
def test_a_new_name_changes_no_answer_without_it(kind: str) -> None:
    """By not one bit, though the columns are doubled on the way."""
    online = Online(fitted_network() if kind == "network" else BODIES[kind]())
    data = rows(30)
    for x, y in data:
        online.learn_one(x, y)
    online.predict_one({"a": 0.1, "b": 0.2})
    twin = copy.deepcopy(online)
    h, memory = twin.tracks[None].h, twin.tracks[None].memory
    for name in "cdefg":  # the scale of a new name is 0 until it changes: no channel moves yet
        online.predict_one({name: 1.0}, 0.0)
    online.tracks[None].h, online.tracks[None].memory = h.copy(), memory
    for x, _ in data[:10]:
        assert online.predict_one(x) == twin.predict_one(x)
    assert online.layer.features > twin.layer.features
    assert list(online.inputs.channels.slots)[-5:] == list("cdefg")


@pytest.mark.parametrize("kind", [*BODIES, "network"])
def test_a_new_name_is_learned(kind: str) -> None:
    online, errors = Online(fitted_network() if kind == "network" else BODIES[kind]()), []
    for i, (x, y) in enumerate(rows(600)):
        more = x if i < 200 else {**x, "new": math.sin(i)}
        label = y + 2 * math.sin(i) * (i >= 200)
        errors.append(abs(online.predict_one(more) - label))
        online.learn_one(more, label)
    assert np.mean(errors[500:]) < 0.6  # 2 sin has a mean size of 1.27


def test_the_weights_of_a_name_do_not_depend_on_when_it_comes() -> None:
    one, two = (Online(echo(8), names=()) for _ in range(2))
    one.predict_one(dict.fromkeys("abcdefghijk", 1.0))
    two.predict_one({"k": 1.0})
    two.predict_one(dict.fromkeys("jihgfedcba", 1.0))
    for name in "abcdefghijk":
        ours, theirs = (o.layer.state_dict()["cell.W_x"][:, o.inputs.channels.slots[name]] for o in (one, two))
        assert torch.equal(ours, theirs)
        assert len(ours.unique()) > 6
    other = Online(echo(8), names=(), seed=5)
    other.predict_one({"a": 1.0})
    assert not torch.equal(other.layer.state_dict()["cell.W_x"][:, 0], one.layer.state_dict()["cell.W_x"][:, 0])


def test_a_wired_cell_keeps_its_density() -> None:
    online = Online(of_cell(Leaky, 4, 60, wiring=wiring.random(60, 4, density=0.3, outputs=60, seed=0)))
    for name in "abcdefgh":
        online.predict_one({name: 1.0})
    live = online.layer.cell.wiring.sensory != 0  # pyright: ignore[reportAttributeAccessIssue]
    assert 0.15 < live[:, 4:].mean() < 0.45


def test_a_new_name_comes_in_one_stream_while_a_body_learns_in_two() -> None:
    online = Online(of_cell(Leaky, 2, 6))
    for i, (x, y) in enumerate(rows(12, "abc")):
        online.learn_one(x if i >= 8 else {"a": x["a"]}, y, key=i % 2)
    assert online.learned == 12
    assert online.layer.features == 4


def test_an_ltc_takes_new_names() -> None:
    online = Online(of_cell(LTC, 2, 6, tau=(1.0, 5.0)))
    for x, y in rows(20, "abcde"):
        online.learn_one(x, y)
    assert online.layer.features == 8
    assert math.isfinite(online.predict_one({"a": 1.0}))


def test_a_layer_without_columns_refuses_new_names() -> None:
    from liquidtorch import LiquidState

    online = Online(LiquidState(2, 20, seed=0))
    online.predict_one({"a": 1.0, "b": 1.0})
    with pytest.raises(
        OptionError, match=r"`model` must be made of layers that can be given new features.*LiquidState"
    ):
        online.predict_one({"c": 1.0})


def test_a_new_class_leaves_the_ratios_of_the_old() -> None:
    online = Online(echo(), readout="logistic")
    for x, y in classed(300):
        online.learn_one(x, y)
    x = {"a": 0.2, "b": 0.1}
    before = online.predict_proba_one(x)
    online.targets.encode("new")  # pyright: ignore[reportArgumentType, reportCallIssue]
    online.readout.add_class()
    after = online.predict_proba_one(x)
    assert after["low"] / after["high"] == pytest.approx(before["low"] / before["high"])
    assert 0 < after["new"] < 0.01


# --- fitted networks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("readout", ["linear", "mlp", "ridge"])
def test_a_network_starts_with_the_answers_it_was_fitted_to_give(readout: str) -> None:
    x, y = series()
    train = from_arrays([x, x], [y, y], names=["s", "t"], features=["a", "b"], targets=["y"])
    task, _ = infer(train)
    network = LiquidNetwork.for_data(train, task, units=8, readout=readout)
    fit(network, train, train, task, Config(epochs=2))
    online = Online(network)
    network = network.double()
    told = [online.predict_one(dict(zip("ab", row, strict=True)), 1.0) for row in x[:30]]
    with torch.no_grad():
        wanted = network(torch.from_numpy(x[None, :30]), dt=1.0)[0][0, :, 0]
    assert told == pytest.approx(wanted.tolist(), abs=1e-9)
    for row, label in zip(x, y, strict=True):
        online.learn_one(row, label)
    assert online.learned == len(x)


def test_a_network_forgets_what_it_was_fitted_to_slowly() -> None:
    """A prior worth 100 samples: one strange label moves the answer by about a hundredth."""
    online = Online(fitted_network(readout="ridge"))
    x = {"a": 0.0, "b": 0.0}
    before = online.predict_one(x)
    online.learn_one(x, before + 100)
    assert 0 < online.predict_one(dict(x), 0.0) - before < 10


def test_a_network_of_classes_starts_with_its_probabilities() -> None:
    x, y = series(gaps=False)
    labels = np.where(y > 3, "up", "down")
    train = from_arrays([x, x], [labels, labels], names=["s", "t"], features=["a", "b"], targets=["y"], level="step")
    task, _ = infer(train)
    network = LiquidNetwork.for_data(train, task, units=8, body="echo", readout="logistic")
    fit(network, train, train, task, Config())
    online = Online(network)
    told = [list(online.predict_proba_one(row).values()) for row in x[:20]]
    with torch.no_grad():
        wanted = network(torch.from_numpy(x[None, :20]))[0][0].softmax(-1)
    assert np.allclose(told, wanted.numpy(), atol=1e-9)
    assert set(online.predict_proba_one(x[20])) == {"up", "down"}


def test_a_forecast_is_learned_from_what_came() -> None:
    t = np.arange(300)
    wave = np.sin(t / 5)
    train = from_arrays([wave[:150]], forecast=True, features=["w"])
    task, _ = infer(train, "forecast", 3, [0.1])
    network = LiquidNetwork.for_data(train, task, units=8)
    online = Online(network, prior=0.01)
    errors = []
    for i in range(290):
        told = online.predict_one({"w": wave[i]})
        errors.append(abs(told - wave[i + 1 : i + 4]).max())
        if i >= 3:
            online.learn_one({"w": wave[i - 3]}, wave[i - 2 : i + 1])
    with torch.no_grad():
        wanted = network.double()(torch.tensor([[[wave[0]]]], dtype=torch.float64))[0][0, 0, ::2]
    again = Online(network).predict_one({"w": wave[0]})
    assert again == pytest.approx(wanted.numpy(), abs=1e-9)
    assert max(errors[250:]) < 0.05
    assert online.seen == 290


def test_categories_are_read_by_the_schemas_vocabulary() -> None:
    import polars

    frame = polars.DataFrame({"c": ["u", "v"] * 40, "n": np.arange(80) % 7, "y": [1.0, 2.0] * 40})
    from liquidtorch.data import from_table

    train = from_table(frame, target="y")
    online = Online(LiquidNetwork.for_data(train, infer(train)[0], units=4), prior=0.1)
    for i in range(80):
        online.learn_one({"c": "uv"[i % 2], "n": i % 7}, 10.0 * (i % 2))
    assert online.predict_one({"c": "v", "n": 3}) == pytest.approx(10, abs=1.5)
    assert math.isfinite(online.predict_one({"c": "never seen", "n": 3}))


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"readout": "rsl"}, "`readout` must be one of.*Did you mean 'rls'"),
        ({"match": "value"}, "`match` must be one of.*Did you mean 'values'"),
        ({"patience": 0}, "`patience` must be a whole number at least 1; got 0"),
        ({"prior": 0.0}, "`prior` must be a number above 0"),
        ({"readout": "rls", "classes": True}, "`classes` must be left out where `readout` says it; got both"),
    ],
)
def test_options(options: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Online(echo(), **options)


def test_models() -> None:
    wrong: Any = Ridge(1, 1)
    with pytest.raises(OptionError, match="`model` must be a LiquidNetwork or a layer; got Ridge"):
        Online(wrong)
    with pytest.raises(OptionError, match="must be left out for a network"):
        Online(fitted_network(), names=("a",))
    with pytest.raises(OptionError, match="`readout` must be 'auto' for a network whose task is 'regress_steps'"):
        Online(fitted_network(), readout="logistic")


@pytest.mark.parametrize(
    ("x", "y", "kind", "says"),
    [
        ({"a": "high"}, 1.0, DataError, "`x` must hold numbers; got 'high' for 'a' .str.. Spread categories"),
        ({"a": math.inf}, 1.0, DataError, "`x` must hold finite numbers; got inf for 'a'"),
        (3, 1.0, DataError, "`x` must be a dict or a row of numbers; got 3"),
        ({"a": 1.0}, "cat", DataError, "`y` must be a number; got 'cat'. For classes, use readout='logistic'"),
        ({"a": 1.0}, [1.0, 2.0], DataError, "`y` must be a number; got 2 numbers"),
        ({"a": 1.0}, math.inf, DataError, "`y` must be finite; got inf"),
    ],
)
def test_samples(x: Any, y: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        Online(echo()).learn_one(x, y)


def test_calls() -> None:
    online = Online(echo(), names=("a", "b"))
    with pytest.raises(OptionError, match="`dt` must be finite and at least 0; got -1"):
        online.predict_one({"a": 1.0}, -1.0)
    with pytest.raises(ShapeError, match="`x` must be a row of 2 values, or a dict; got 3 values"):
        online.predict_one([1.0, 2.0, 3.0])
    with pytest.raises(StateError, match="`predict_proba_one` must be asked where classes are learned"):
        online.predict_proba_one({"a": 1.0})
    with pytest.raises(DataError, match="`names` must be different from each other; got 'a' twice"):
        Online(echo(), names=("a", "a"))


def test_channels_are_running_scores() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=50)
    channels = Channels(1)
    for i, v in enumerate(values):
        z = channels.read({"v": v})[0]
        seen = values[: i + 1]
        assert z == pytest.approx((v - seen.mean()) / seen.std() if i else 0.0, abs=1e-9)
    assert channels.read({"v": 1e6}, learn=False)[0] == 5.0
    before = channels.state()
    assert channels.read({"v": -1e6, "new": 2.0}, learn=False)[0] == -5.0
    assert channels.state() == before
