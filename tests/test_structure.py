"""A body whose structure follows the stream: budgets hold, answers do not jump, and all of it is restored."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from online_streams import Row, asked, classed, echo, of_cell, rows

from liquidtorch import LTC, CfC, Leaky, Liquid, Recurrent, wiring
from liquidtorch.errors import OptionError
from liquidtorch.online import Drift, Online, Plasticity, rules
from liquidtorch.online.plasticity import KINDS
from liquidtorch.plasticity import with_room

UNITS, SLOTS = 8, 14
CELLS = {"leaky": Leaky, "liquid": Liquid, "ltc": LTC}


def body(kind: str, outputs: int | None = None) -> Recurrent:
    wired = wiring.random(UNITS, 2, density=0.3, outputs=outputs or UNITS, seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Recurrent(CELLS[kind](2, SLOTS if outputs is None else UNITS, tau=(1.0, 5.0), wiring=(
            with_room(wired, SLOTS) if outputs is None else wired
        )))  # fmt: skip


def model(kind: str, change: str, *, rest: int = 60, **options: Any) -> Online:
    given = {"rule": "exact", "rate": 0.01, "memory": 200.0, "names": ("a", "b"), **options}
    return Online(body(kind), plasticity=Plasticity(kind=change, rest=rest, fraction=0.2), **given)


def hastened(online: Online) -> Online:
    """Take any loss for a plateau, so that something changes after every rest."""
    structure = structure_of(online)
    structure.plateau.memories[:] = 10, 30
    structure.plateau.tolerance, structure.plateau.patience = 1.0, 10
    return online


def structure_of(online: Online) -> Any:
    assert online.trial is not None
    assert online.trial.body is not None
    assert online.trial.body.structure is not None
    return online.trial.body.structure


def learn(online: Online, data: list[Row]) -> None:
    for x, y in data:
        online.learn_one(x, y)


def check(online: Online) -> None:
    """What the structure says of itself holds for the cell, the readout and the state."""
    structure = structure_of(online)
    cell, alive = structure.cell, structure.population.alive
    assert structure.population.room(cell).units >= 0
    assert structure.population.room(cell).synapses >= 0
    assert (online.trial.readout.live.numpy()[: len(alive)] == alive).all()  # pyright: ignore
    touched = (cell.wiring.recurrent != 0).any(0) | (cell.wiring.recurrent != 0).any(1) | cell.wiring.sensory.any(1)
    assert not touched[~alive].any()
    for track in online.tracks.values():
        assert track.learning is not None
        assert not track.learning[~alive].any()


@pytest.mark.parametrize("change", KINDS)
@pytest.mark.parametrize("kind", CELLS)
def test_the_structure_follows_the_stream_within_its_budget(kind: str, change: str) -> None:
    online = hastened(model(kind, change))
    before = structure_of(online).cell.wiring
    for x, y in rows(900):
        online.learn_one(x, y)
        check(online)
    done = {operation for _, _, operation, _, _ in online.changes}
    after = structure_of(online).cell.wiring
    if change == "rewire":
        assert done == {"rewire"}
        assert (after.synapses, after.sensory_synapses) == (before.synapses, before.sensory_synapses)
        assert (after.recurrent != before.recurrent).any()
    else:
        assert {"grow", "split"} <= done | ({"split"} if kind == "ltc" else set())
        assert after.synapses + after.sensory_synapses > before.synapses + before.sensory_synapses
    if change == "grow":
        assert not done & {"remove", "recycle", "rewire", "prune"}
    times = sorted({at for at, *_ in online.changes})
    assert min(np.diff(times), default=60) >= 60


@pytest.mark.parametrize("why", ["plateau", "saturation"])
@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("kind", CELLS)
def test_no_answer_jumps_when_something_grows(kind: str, turn: int, why: str) -> None:
    """The copy that grew and the one that did not say the same for fifty samples, to 1e-6 of the spread of labels."""
    data = rows(450)
    online = model(kind, "grow", rest=10_000)
    learn(online, data[:400])
    structure = structure_of(online)
    structure.firings = turn
    same, trial = copy.deepcopy(online), online.trial
    assert trial is not None
    trial.gate.open = same.trial.gate.open = True  # pyright: ignore[reportOptionalMemberAccess]
    structure.due = lambda *_: why
    sample = pending(online, data[400][0])
    pending(same, data[400][0])
    made = trial.restructure(sample, 1.0, 0.0, online.tracks.values())
    assert made
    track = online.tracks[None]
    before, after = (trial_of(o).readout.predict(o.tracks[None].pending[-1].learning) for o in (same, online))
    spread = np.std([y for _, y in data])
    assert np.abs(after - before).max() <= 1e-9 * spread
    assert sample is track.pending[-1]
    with np.errstate(all="ignore"):
        answers = np.array([[o.predict_one(x) for x, _ in data[401:]] for o in (same, online)])
    assert np.isfinite(answers).all()
    assert np.abs(answers[1] - answers[0]).max() <= 1e-6 * spread


def trial_of(online: Online) -> Any:
    return online.trial


def pending(online: Online, x: dict[str, float]) -> Any:
    online.predict_one(x)
    return online.tracks[None].pending[-1]


def test_a_split_that_does_not_follow_would_be_seen() -> None:
    """The test above must be able to fail: a state that does not follow moves the answer."""
    data = rows(450)
    online = model("leaky", "grow", rest=10_000)
    learn(online, data[:400])
    structure = structure_of(online)
    structure.firings = 1
    same = copy.deepcopy(online)
    trial_of(online).gate.open = trial_of(same).gate.open = True
    for name, change in structure.changes("plateau", lambda: np.ones(SLOTS)):
        assert name == "split"
        trial_of(online).body.follow(change)
        trial_of(online)._show(change)  # but not the state
    answers = np.array([[o.predict_one(x) for x, _ in data[400:]] for o in (same, online)])
    assert np.abs(answers[1] - answers[0]).max() > 1e-4


@pytest.mark.parametrize("change", KINDS)
def test_a_drift_opens_the_structure(change: str) -> None:
    class Told:
        drift_detected = False

        def update(self, x: float) -> None:
            pass

    told = Told()
    online = model("leaky", change, rest=100, drift=Drift(told))
    structure_of(online).plateau.patience = 10**9  # never by itself
    structure_of(online).lag.memory = 1e9
    data = rows(700)
    learn(online, data[:400])
    assert not [why for _, why, *_ in online.changes if why == "drift"]
    online.drift.lately, told.drift_detected = 10.0, True  # pyright: ignore[reportOptionalMemberAccess]
    learn(online, data[400:401])
    told.drift_detected = False
    learn(online, data[401:])
    at = [at for at, why, *_ in online.changes if why == "drift"]
    assert at
    assert 490 <= at[0] <= 510


@pytest.mark.parametrize("how", ["disk", "deepcopy"])
@pytest.mark.parametrize("change", KINDS)
@pytest.mark.parametrize("kind", CELLS)
def test_a_structure_is_restored_bit_by_bit(kind: str, change: str, how: str, tmp_path: Path) -> None:
    data = rows(450)
    online = hastened(model(kind, change))
    learn(online, data[:150])
    assert online.changes
    if how == "disk":
        online.save(tmp_path / "model")
        twin = Online.load(tmp_path / "model")
    else:
        twin = copy.deepcopy(online)
    hastened(twin)
    found: list[list[Any]] = [[], []]
    for answers, one in zip(found, (online, twin), strict=True):
        for x, y in data[150:]:
            answers.append(asked(one, x))
            one.learn_one(x, y)
    assert found[0] == found[1]
    assert online.changes == twin.changes
    assert len(online.changes) > len([at for at, *_ in online.changes if at <= 150])


def test_streams_and_late_labels_follow() -> None:
    """Two streams, each with samples that wait; the states of both, and what waits, are of the new structure."""
    online = hastened(model("liquid", "grow and prune"))
    data = rows(900)
    for i, (x, _) in enumerate(data):
        online.predict_one(x, key=i % 2)
        if i >= 4:
            online.learn_one(*data[i - 4], key=i % 2)
    check(online)
    assert online.changes
    assert all(len(track.pending) == 2 for track in online.tracks.values())
    still = [sample.z for track in online.tracks.values() for sample in track.pending]
    assert all(np.isfinite(z).all() for z in still)


def test_what_waits_for_a_label_is_not_shared_with_the_still_body() -> None:
    """After the copy was taken over both see the same array; only the copy's may follow a change."""
    online = model("leaky", "grow", rest=10_000)
    learn(online, rows(300))
    sample = pending(online, {"a": 1.0, "b": 0.5})
    sample.z = sample.learning
    kept = sample.z.copy()
    structure = structure_of(online)
    structure.due, structure.firings = lambda *_: "plateau", 1
    made = trial_of(online).restructure(sample, 1.0, 0.0, online.tracks.values())
    assert made[0][1] == "split"
    assert (sample.z == kept).all()
    assert not np.array_equal(sample.learning, kept)


def test_the_still_body_takes_over_what_has_grown() -> None:
    online = hastened(model("leaky", "grow", memory=50.0))
    turned = None
    for x, y in rows(3000):
        online.learn_one(x, y)
        if online.changes and (online.layer.cell.wiring.recurrent != body("leaky").cell.wiring.recurrent).any():  # pyright: ignore
            turned = online.seen
            break
    assert turned, online.trial.gate.turns  # pyright: ignore[reportOptionalMemberAccess]
    alive = online.readout.live.numpy()[:SLOTS]
    assert not online.tracks[None].h[~alive].any()
    learn(online, rows(50, seed=1))


@pytest.mark.parametrize("change", KINDS)
def test_new_names_and_classes_come_while_it_grows(change: str) -> None:
    online = hastened(model("leaky", change, readout="logistic"))
    data = classed(300)
    learn(online, data)
    for x, y in data[:200]:
        online.learn_one({**x, "c": 1.0, "d": 0.5}, y if x["a"] > 0 else "another")
        if online.trial.body is not None:  # pyright: ignore[reportOptionalMemberAccess]
            check(online)
    assert "another" in (online.classes or ())
    hastened(online)
    learn(online, data)


@pytest.mark.parametrize("readout", ["logistic", "recursive_logistic", "committee", "rls", "bank"])
def test_every_readout_follows(readout: str) -> None:
    numbers = readout in ("rls", "bank")
    online = hastened(model("leaky", "grow and prune", readout=readout))
    for x, y in rows(500) if numbers else classed(500):
        online.learn_one(x, y)
        check(online)
    assert {operation for _, _, operation, _, _ in online.changes} >= {"grow", "split"}


def test_hidden_units_stay_while_synapses_grow() -> None:
    """Where not every unit is shown none can come or go."""
    online = Online(body("leaky", 3), names="ab", rule="exact", rate=0.01, plasticity=Plasticity(kind="grow", rest=50))
    learn(hastened(online), rows(500))
    assert {operation for _, _, operation, _, _ in online.changes} == {"grow"}


def test_a_rule_chosen_by_its_cost_stays_within_it() -> None:
    online = hastened(model("leaky", "grow", rule="auto", budget=3000.0))
    learn(online, rows(700))
    trial = online.trial
    assert trial is not None
    assert trial.body is not None
    assert online.changes
    assert trial.body.rule.cost.multiply_adds <= 3000


def test_a_rule_is_restored_that_would_not_be_chosen_now(tmp_path: Path) -> None:
    """By its cost another rule would be taken for the wiring that the body has by now; its traces are not of that."""
    online = model("leaky", "grow", rule="auto", budget=1e9)
    learn(online, rows(50))
    trial = online.trial
    assert trial is not None
    assert trial.body is not None
    assert trial.body.rule.name == "exact"
    trial.body.choose(rules.make("snap1", trial.body.layer.cell))
    learn(online, rows(50, seed=1))
    online.save(tmp_path / "model")
    twin = Online.load(tmp_path / "model")
    assert twin.trial.body.rule.name == "snap1"  # pyright: ignore[reportOptionalMemberAccess]
    data = rows(50, seed=2)
    learn(online, data)
    learn(twin, data)
    assert asked(online, data[0][0]) == asked(twin, data[0][0])
    ours, theirs = (o.trial.body.layer.cell.W_h for o in (online, twin))  # pyright: ignore[reportOptionalMemberAccess]
    assert torch.equal(ours, theirs)


def test_where_there_is_no_room_the_least_missed_unit_starts_again() -> None:
    online = model("leaky", "grow and prune", rest=10_000, readout="rls")
    learn(online, rows(400))
    structure = structure_of(online)
    structure.given = Plasticity(kind="grow and prune", units=UNITS, synapses=60, rest=100)
    structure.population.most_units = UNITS
    before = structure.cell.wiring
    worth = np.arange(SLOTS)[::-1].astype(float)
    found = [
        (n, c.units_dead.tolist(), c.units_born.tolist()) for n, c in structure.changes("saturation", lambda: worth)
    ]
    assert found == [("recycle", [UNITS - 1], [UNITS - 1])]
    assert ((structure.cell.wiring.recurrent != 0) == (before.recurrent != 0)).all()


def test_where_there_is_no_room_for_units_synapses_are_born() -> None:
    """The error goes with what was long ago, and every slot is taken: what there is room for grows."""
    layer = of_cell(Leaky, 2, 16, wiring=wiring.random(16, 2, density=0.3, outputs=16))
    online = Online(layer, rule="exact", plasticity="grow")
    for t in range(1600):
        x = {"a": math.sin(t / 5), "b": math.cos(t / 9)}
        online.learn_one(x, x["a"] * x["b"])
    assert {operation for _, _, operation, _, _ in online.changes} == {"grow"}
    units, synapses = zip(*(one[3:] for one in online.changes), strict=True)
    assert set(units) == {16}
    assert list(synapses) == sorted(set(synapses))


def test_a_long_lag_grows_units_that_remember_it() -> None:
    """The label is a slow mean of what came; the error goes with inputs that no unit remembers."""
    rng = np.random.default_rng(0)
    x, slow, data = rng.normal(size=3000), 0.0, []
    for value in x.tolist():
        data.append(({"a": value, "b": 0.0}, slow))
        slow += (value - slow) / 40
    online = model("leaky", "grow", rest=100, rule="exact")
    structure_of(online).plateau.patience = 10**9
    learn(online, data)
    lags = [one for one in online.changes if one[1] == "lag"]
    assert lags
    operations = [operation for _, _, operation, _, _ in lags]
    assert operations[0] == "add"
    assert operations == sorted(operations), "synapses are born where no unit has room any more"
    structure = structure_of(online)
    new = structure.population.alive.copy()
    new[:UNITS] = False
    assert structure.cell.taus().numpy()[new].max() > 10


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "kind": (lambda: Plasticity(kind="shrink"), "`kind` must be"),
    "fraction": (lambda: Plasticity(fraction=0.0), "`fraction` must be"),
    "rest": (lambda: Plasticity(rest=0), "`rest` must be"),
    "reservoir": (lambda: Online(echo(), plasticity="grow", rule="readout"), "`plasticity` must come with a rule"),
    "dense": (lambda: Online(Recurrent(Leaky(2, 4)), rule="exact", plasticity="grow"), "`plasticity` must be left out"),
    "cell": (
        lambda: Online(Recurrent(CfC(2, 4, wiring=wiring.full(4, 2))), rule="tbptt:5", plasticity="grow"),
        "`plasticity` must be left out",
    ),
    "budget": (
        lambda: Online(body("leaky"), rule="exact", plasticity=Plasticity(synapses=3)),
        "`most_synapses` must be at least",
    ),
    "readout": (
        lambda: Online(body("leaky"), rule="exact", plasticity="grow", readout=lambda f, o: object.__new__(Plain)),
        "`readout` must follow units",
    ),
}


class Plain:
    features, outputs, classes = 4, 1, 1


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_says_so(name: str) -> None:
    make, said = BAD[name]
    with pytest.raises(OptionError, match=said):
        make()


def test_no_structure_costs_nothing() -> None:
    online = Online(body("leaky"), rule="exact")
    learn(online, rows(50))
    assert online.trial.body.structure is None  # pyright: ignore
    assert online.changes == []
    assert math.isfinite(online.predict_one({"a": 1.0, "b": 1.0}))
