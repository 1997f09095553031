"""The compiled way of samples: what `Online` answers by it, bit by bit what it answers without, and where it ends."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import arrivals
import numpy as np
import pytest
from online_streams import BODIES, asked, classed, echo, fitted_network, of_cell, rows

from liquidtorch import LTC, CfC, Linear, LiquidState, Mobius, ops, wiring
from liquidtorch.errors import DataError, OptionError
from liquidtorch.layers import Layer
from liquidtorch.online import Online, body
from liquidtorch.online.arrival import PLANS, Arrival
from liquidtorch.online.targets import Numbers, Spread

CELLS: dict[str, Any] = {
    **{kind: BODIES[kind] for kind in ("echo", "leaky", "liquid", "wired")},
    "ltc": lambda: of_cell(LTC, 2, 7),
    "ltc, wired": lambda: of_cell(LTC, 2, 9, wiring=wiring.auto_ncp(9, 2, 2)),
    "cfc": lambda: of_cell(CfC, 2, 9),
    "linear": lambda: of_cell(Linear, 2, 9),
    "mobius": lambda: of_cell(Mobius, 2, 9),
}


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make an `Online` whose samples go step by step, through channels, body and view."""
    found = body.way

    def made(*given: Any, **options: Any) -> Online:
        monkeypatch.setattr(body, "way", lambda *_: lambda *_: None)
        return Online(*given, **options)

    yield made
    monkeypatch.setattr(body, "way", found)


class Count:
    """How many samples went all of the way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fast = self.slow = 0
        inner = Arrival.__call__

        def counted(arrival: Arrival, *given: Any) -> Any:
            found = inner(arrival, *given)
            self.fast, self.slow = self.fast + (found is not None), self.slow + (found is None)
            return found

        monkeypatch.setattr(Arrival, "__call__", counted)


def driven(online: Online, labels: Any, folder: Path) -> list[Any]:
    """Two streams, names that come late, gaps, steps of no time, late labels, and a save in the middle."""
    answers, waiting = [], []
    for i, (x, y) in enumerate(rows(90, "abcdef")):
        came = {name: v for j, (name, v) in enumerate(x.items()) if i >= 12 * j and (i + j) % 4}
        if i % 7 == 3:
            came["a"] = (math.nan, None)[i % 2]
        answers.append(asked(online, came, (1.0, 0.0, 2.5)[i % 3], key=i % 2))
        waiting.append((came if i % 2 else dict(came), labels(y), i % 2))
        if i % 5 and len(waiting) > 2:
            old, label, key = waiting.pop(0)
            online.learn_one(old, label, key=key)
        if i == 50:
            online.save(folder)
            online = Online.load(folder)
    answers.append(str(online.inputs.channels.state()))
    return answers


# --- equal ------------------------------------------------------------------------------------------------------------


def test_one_call_is_one_step_after_the_other(kernels: None) -> None:
    assert not list(arrivals.faults())


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("match", ["values", "nearest"])
def test_answers_are_the_same_bit_by_bit(
    kind: str, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, composed: Any, kernels: None
) -> None:
    classes = kind in ("echo", "mobius")
    options: dict[str, Any] = {"match": match, "readout": "logistic" if classes else "rls", "seed": 3}
    labels = (lambda y: ("low", "mid", "high")[int(y > 2.5) + int(y > 3.5)]) if classes else float
    count = Count(monkeypatch)
    fast = driven(Online(CELLS[kind](), **options), labels, tmp_path / "fast")
    assert count.fast > 60
    assert count.slow > 0, "new names go step by step"
    count.fast = 0
    assert driven(composed(CELLS[kind](), **options), labels, tmp_path / "slow") == fast
    assert not count.fast


@pytest.mark.parametrize("kind", ["echo", "linear"])
def test_within_the_reference_answers_are_nearly_the_same(
    kind: str, monkeypatch: pytest.MonkeyPatch, kernels: None
) -> None:
    one, other = Online(CELLS[kind](), readout="logistic"), Online(CELLS[kind](), readout="logistic")
    count = Count(monkeypatch)
    for i, (x, y) in enumerate(classed(60)):
        told = one.predict_proba_one(x)
        one.learn_one(x, y)
        with ops.use("auto" if i % 20 < 10 else "reference"):
            also = other.predict_proba_one(x)
            other.learn_one(x, y)
        assert also == pytest.approx(told, abs=1e-12)
    assert count.fast > count.slow > 20


# --- where it ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [BODIES["stack"], BODIES["memory"], fitted_network, lambda: LiquidState(2, 20, seed=0)],
    ids=["stack", "memory", "network", "spikes"],
)
def test_what_has_no_kernel_for_all_of_the_way_goes_step_by_step(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    count, online = Count(monkeypatch), Online(make())
    for x, y in rows(5):
        online.learn_one(x, y)
    assert online.learned == 5
    assert not isinstance(online.body.way, Arrival)
    assert count.fast == 0


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("high", "`x` must hold numbers; got 'high' for 'b'"),
        (math.inf, "`x` must hold finite numbers; got inf for 'b'"),
        (10**400, "too large"),
    ],
)
def test_a_wrong_value_is_said_as_without_kernels(value: Any, says: str, composed: Any, kernels: None) -> None:
    fast = Online(echo())
    slow = composed(echo())
    for online in (fast, slow):
        for x, y in rows(5):
            online.learn_one(x, y)
        with pytest.raises((DataError, OverflowError), match=says):
            online.predict_one({"a": 1.0, "b": value})
    assert asked(fast, {"a": 1.0, "b": 2.0}) == asked(slow, {"a": 1.0, "b": 2.0})


def test_numbers_of_any_kind_are_read(composed: Any, kernels: None) -> None:
    fast = Online(echo())
    slow = composed(echo())
    for values in ((1, True), (np.float32(0.1), "2.5"), (np.int64(7), np.array(3.0)), (0.3, np.float64("nan"))):
        x = dict(zip("ab", values, strict=True))
        assert asked(fast, x) == asked(slow, x)
        fast.learn_one(x, 1.0)
        slow.learn_one(x, 1.0)
        assert not fast.tracks[None].pending


def test_channels_that_found_more_room_are_not_written_where_they_were(kernels: None) -> None:
    """A layer that can be given no new features refuses, every time, and goes on with those it has."""
    from liquidtorch import EchoState

    layer: Layer = EchoState(2, 8, feedback=1, seed=0)
    online = Online(layer, names=("a", "b", "c"))
    online.predict_one({"a": 1.0, "b": 2.0, "c": 0.5})
    way = online.body.way
    for _ in range(3):
        with pytest.raises(OptionError, match="given new features"):
            online.predict_one({"a": 1.0, "new": 2.0})
        with pytest.raises(OptionError, match="given new features"):
            online.predict_one({"a": 1.0})
    assert isinstance(way, Arrival)
    assert way({"a": 1.0}, online.tracks[None].h, 1.0) is None


def test_sets_of_names_are_remembered_but_not_for_ever(kernels: None) -> None:
    online, rng = Online(echo(8), names=tuple("abcdefgh")), np.random.default_rng(0)
    for _ in range(3 * PLANS):
        online.predict_one(dict.fromkeys(rng.permutation(list("abcdefgh"))[:5].tolist(), 1.0))
    assert isinstance(online.body.way, Arrival)
    assert 0 < len(online.body.way._plans) <= PLANS


def test_a_sample_changed_in_place_is_another(kernels: None) -> None:
    online, x = Online(echo()), {"a": 1.0, "b": 2.0}
    first = online.tracks
    online.predict_one(x)
    x["a"] = 3.0
    online.predict_one(x)
    assert [sample.kept["a"] for sample in first[None].pending] == [1.0, 3.0]
    x["a"] = 1.0
    online.learn_one(x, 1.0)
    assert [sample.kept["a"] for sample in first[None].pending] == [3.0]
    assert online.seen == 2


def test_a_state_is_not_written_by_the_next_sample(kernels: None) -> None:
    for kind in ("echo", "wired"):
        online = Online(CELLS[kind]())
        online.predict_one({"a": 1.0})
        h, z = online.tracks[None].h, online.tracks[None].pending[-1].z
        before = h.copy(), z.copy()
        online.predict_one({"a": -2.0})
        assert np.array_equal(h, before[0])
        assert np.array_equal(z, before[1])
        assert not np.array_equal(online.tracks[None].h, h)


# --- numbers one at a time --------------------------------------------------------------------------------------------


def test_one_target_is_measured_as_one_of_several() -> None:
    one, two = Spread(1), Spread(2)
    for i, y in enumerate(np.random.default_rng(0).normal(2, 5, 300)):
        label = math.nan if i % 5 == 2 else float(y)
        one.tell(np.array([label]))
        two.tell(np.array([label, -1.0]))
    for name in ("count", "mean", "square"):
        assert getattr(one, name)[0] == getattr(two, name)[0]
    assert one.count[0] == 240


def test_a_float_is_read_as_any_number() -> None:
    numbers = Numbers(("y",))
    found = [numbers.encode(y, None) for y in (2.5, np.float64(2.5), [2.5], np.array(2.5), {"y": 2.5})]
    assert all(np.array_equal(each, np.array([2.5])) for each in found)  # pyright: ignore[reportArgumentType]
    assert numbers.encode(2.5, np.array([1.0])) == np.array([1.5])
    assert numbers.encode(math.nan, None) is None
    twin = copy.deepcopy(numbers).encode(2, None)
    assert twin is not None
    assert twin.dtype == np.float64
