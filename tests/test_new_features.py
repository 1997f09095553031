"""A body that learns is given more features: what it has learned, its traces and moments go on."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
from online_streams import of_cell
from streams import CELLS, Stream, apart, cell, stream

from liquidtorch import CfC, Leaky, Liquid, wiring
from liquidtorch.layers import Layer, Recurrent
from liquidtorch.online import Online, columns
from liquidtorch.online.learning import Learning
from liquidtorch.online.plasticity import Plasticity

RULES = ["exact", "snap2", "snap1", "eprop", "tbptt:4"]
CLOSE = {"rtol": 1e-9, "atol": 1e-12}


def wide(layer: Layer) -> Layer:
    """Return the layer with two more features, the second of which no unit feels yet; of an LTC neither is felt."""
    made = columns.widened(layer, layer.features + 2)
    if layer.cell.__class__.__name__ == "LTC":  # pyright: ignore - its synapses conduct even where they are fed 0
        return made
    return columns.drawn(made, layer.features, columns.pool(layer), 0, "new", None)


def run(learning: Learning, s: Stream, h: np.ndarray, *, more: int = 0) -> np.ndarray:
    """Go along with a stream whose last features, so many more, are 0, and learn."""
    for x, dt, q in zip(*s, strict=True):
        _, h = learning.step(np.concatenate([x, np.zeros(more)]), h, float(dt))
        learning.learn(q[: learning.outputs])
    return h


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", CELLS)
def test_traces_are_those_of_a_cell_that_always_had_them(name: str, rule: str) -> None:
    """While nothing is learned, for the features were 0: to rounding."""
    layer = Recurrent(cell(name))
    made = wide(layer)
    older, known = Learning(layer, rule, 0.01, 1e9), Learning(copy.deepcopy(made), rule, 0.01, 1e9)
    s, h, g = stream(layer.cell, 20), np.zeros(layer.cell.units), np.zeros(layer.cell.units)
    for x, dt, _ in zip(*s, strict=True):
        _, h = older.step(x, h, float(dt))
        _, g = known.step(np.concatenate([x, [0.0, 0.0]]), g, float(dt))
    np.testing.assert_allclose(h, g, **CLOSE)
    newer = Learning(made, rule, 0.01, 1e9)
    carried = newer.widen(older)
    assert carried is not None
    newer.put(carried(older.kept()))
    found, true = ({n: x.copy() for n, x in learning.rule.gradient(s.q[0]).items()} for learning in (newer, known))
    assert apart(found, true) < 1e-12
    assert any(x.any() for x in found.values())


@pytest.mark.parametrize("rule", ["exact", "tbptt:4"])
@pytest.mark.parametrize("name", ["leaky ncp", "liquid dense", "ltc ring", "mobius"])
def test_moments_go_on_and_those_of_new_features_start(name: str, rule: str) -> None:
    layer = Recurrent(cell(name))
    older = Learning(layer, rule, 0.01, 1e9)
    s = stream(layer.cell, 20)
    h = run(older, s, np.zeros(layer.cell.units))
    newer = Learning(wide(layer), rule, 0.01, 1e9)
    carried = newer.widen(older)
    assert carried is not None
    newer.put(carried(older.kept()))
    old, new = (learning.optimizer._unpacked("mean") for learning in (older, newer))
    fades = newer.optimizer._unpacked("fade")
    for parameter, moments in old.items():
        here = tuple(map(slice, moments.shape))
        np.testing.assert_array_equal(new[parameter][here], moments)
        beyond = np.ones(fades[parameter].shape, bool)
        beyond[here] = False
        assert (fades[parameter][beyond] == 1).all()
        assert not new[parameter][beyond].any()
    ours, theirs = run(older, s, h), run(newer, s, h, more=2)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


def body(kind: str) -> Any:
    if kind == "wired":
        return of_cell(Leaky, 2, 9, wiring=wiring.random(9, 2, density=0.5, outputs=9, seed=1))
    return of_cell({"liquid": Liquid, "leaky": Leaky, "cfc": CfC}[kind], 2, 7)


def sample(t: int) -> tuple[dict[str, float], float]:
    x = {"a": math.sin(t / 3), "b": math.cos(t / 7)}
    return x, x["a"] * 0.5 + x["b"] ** 2


@pytest.mark.parametrize("late", [0, 3])
@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize(
    ("kind", "rule"),
    [("leaky", "exact"), ("wired", "exact"), ("liquid", "eprop"), ("leaky", "tbptt:3"), ("cfc", "tbptt:3")],
)
def test_a_new_name_does_not_disturb_the_copy_that_learns(kind: str, rule: str, streams: int, late: int) -> None:
    """A channel is 0 when its first value comes: all goes on as for who never hears of it."""
    deaf, hears = (Online(body(kind), rule=rule, memory=50.0, rate=0.01) for _ in range(2))
    for online in (deaf, hears):
        waiting: list[tuple[dict[str, float], float, int]] = []
        for t in range(120):
            x, y = sample(t)
            if t == 61 and online is hears:
                x = {**x, "c": 5.0}
            online.predict_one(x, key=t % streams)
            waiting.append((x, y, t % streams))
            if len(waiting) > late:
                known, label, key = waiting.pop(0)
                online.learn_one(known, label, key=key)
    assert hears.layer.features > deaf.layer.features
    one, other = deaf.trial, hears.trial
    assert one is not None
    assert other is not None
    assert one.gate.seen == other.gate.seen == 120 - late
    assert one.body is not None
    assert other.body is not None
    for name, parameter in one.body.layer.cell.named_parameters():
        found = dict(other.body.layer.cell.named_parameters())[name]
        known = found[tuple(map(slice, parameter.shape))]
        np.testing.assert_allclose(known.detach(), parameter.detach(), rtol=1e-7, atol=1e-10, err_msg=name)
    np.testing.assert_allclose(one.gate.mean, other.gate.mean, rtol=1e-6)


def test_the_structure_goes_on_and_what_is_born_is_young() -> None:
    """Ages, candidates, averages: as they were; the synapses from the new name are born now."""
    plastic = Plasticity(kind="rewire", rest=100)
    online = Online(body("wired"), rule="exact", plasticity=plastic, memory=50.0)
    for t in range(150):
        x, y = sample(t)
        online.learn_one(x, y)
    assert online.trial is not None
    assert online.trial.body is not None
    before = online.trial.body.structure
    assert before is not None
    state, F = before.state(), before.cell.features
    x, y = sample(150)
    online.predict_one({**x, "c": 5.0})
    after = online.trial.body.structure
    assert after is not None
    assert after is not before
    assert after.population.time == state["parts"]["population"]["time"] + 1
    np.testing.assert_array_equal(after.population.since_h, state["parts"]["population"]["since_h"])
    born = after.cell.wiring.sensory[:, 2] != 0  # pyright: ignore[reportOptionalMemberAccess]
    assert born.any()
    assert (after.population.since_x[born, 2] == state["parts"]["population"]["time"]).all()
    assert after.labels == state["plain"]["labels"] == 150
    assert (after.worth[:, : 9 + F] == state["parts"]["own"]["worth"]).all()
    assert after.running.rows == state["parts"]["running"]["rows"] + 1
    assert not (after.probes.source[born] == 9 + 2).any(), "what is there is no candidate"
