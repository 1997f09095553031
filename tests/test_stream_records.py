"""What a record of a stream may be, what is remembered of it, and how it is scored; addresses of topics."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stream_subject as subject

from liquidtorch.errors import OptionError
from liquidtorch.stream.address import parse
from liquidtorch.stream.ahead import Ahead
from liquidtorch.stream.dead import DeadLetters
from liquidtorch.stream.fields import from_json, from_row
from liquidtorch.stream.memory import Memory, Waiting
from liquidtorch.stream.message import Message, Rejected
from liquidtorch.stream.sample import Reader, Sample
from liquidtorch.stream.score import Score
from liquidtorch.stream.when import When, elapsed, when
from liquidtorch.task import Task

HEADER = ["id", "t", "a", "b", "y"]


# --- records ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{x", "not JSON: Expecting property name enclosed in double quotes at character 2"),
        (b"[1]", "a record must be a JSON object; got an array"),
        (b"null", "a record must be a JSON object; got null"),
        (b"3", "a record must be a JSON object; got a number"),
        (b'{"a": "\xff"}', "not UTF-8: byte 8 is 0xff"),
        (b'{"a": ' + b"[" * 100_000, "not JSON: nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON that can be used: a number is too long"),
    ],
)
def test_text_that_is_no_record(text: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=re.escape(reason)):
        from_json(text)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"u,1,2", "a row must have the 5 fields of the header; got 3 fields"),
        (b"u,1,2,3,4,5", "a row must have the 5 fields of the header; got 6 fields"),
        (b'u,"1"2,3,4,5', "not a row of the table: ',' expected after '\"'"),
        (b"\xfe,1,2,3,4", "not UTF-8: byte 1 is 0xfe"),
    ],
)
def test_a_row_that_is_none(row: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=re.escape(reason)):
        from_row(row, HEADER, ",")


GOOD = {"id": "u", "t": 3, "a": 1.5, "b": 2, "y": 4}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"t": None}, "`t` must have a time in every record; this one has none"),
        ({"t": "noon"}, "`t` must be a number or a date-time such as 2026-01-31 23:59:59; got 'noon'"),
        ({"t": True}, "`t` must be a time; got True"),
        ({"t": float("inf")}, "`t` must be finite to be a time; got inf"),
        ({"t": 10**300}, "`t` must be finite to be a time; got 1000"),
        ({"id": None}, "`id` must name a series in every record; got None"),
        ({"id": ["u"]}, "`id` must name a series in every record; got ['u']"),
        ({"id": "u" * 257}, "`id` must be at most 256 characters long; got 257"),
        ({"a": "broken"}, "`a` must be a number; got 'broken'"),
        ({"a": "1_0"}, "`a` must be a number; got '1_0'"),
        ({"a": True}, "`a` must be a number; got True"),
        ({"a": [1]}, "`a` must be a number; got [1]"),
        ({"a": float("-inf")}, "`a` must be finite or missing; got -inf"),
        ({"a": 10**400}, "`a` must be finite or missing"),
        ({"y": float("nan")}, "`y` must be finite to be a target; got nan"),
        ({"y": "inf"}, "`y` must be finite to be a target; got 'inf'"),
        ({"y": {"y": 1}}, "`y` must be a number; got {'y': 1}"),
    ],
)
def test_a_record_that_cannot_be_used(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected, match=re.escape(reason)):
        Reader(subject.SCHEMA).read({**GOOD, **change})


def test_text_and_numbers_say_the_same() -> None:
    reader = Reader(subject.SCHEMA)
    said = reader.read({k: f" {v} " for k, v in GOOD.items()})
    meant = reader.read(GOOD)
    assert (said.series, said.when, said.x) == (meant.series, meant.when, meant.x) == ("u", When(3, False), said.x)
    assert meant.x == {"a": 1.5, "b": 2.0}
    assert said.y is not None
    assert said.y.tolist() == [4.0]
    assert reader.read({**GOOD, "y": "NA"}).y is None
    assert reader.read({**GOOD, "a": float("nan"), "b": ""}).x == {"a": None, "b": None}
    assert reader.read({"id": 7.0, "t": "3", "y": 4}).x == {}
    assert reader.read({"id": 7.0, "t": "3", "y": 4}).series == "7"


def test_categories_are_spelled_as_they_come() -> None:
    features = [
        {"name": "room", "kind": "category", "vocabulary": ["den", "hall"]},
        {"name": "lit", "kind": "category", "vocabulary": [False, True]},
    ]
    targets = [{"name": "y", "kind": "category", "vocabulary": [0, 1, 2]}]
    reader = Reader({**subject.SCHEMA, "features": features, "targets": targets})
    for lit in ("true", "True", "TRUE", True):
        assert reader.read({"id": 1, "t": 0, "room": " hall", "lit": lit}).x == {"room": "hall", "lit": True}
    assert reader.read({"id": 1, "t": 0, "room": "attic", "lit": None}).x == {"room": None, "lit": None}
    for y in (2, "2", 2.0):
        found = reader.read({"id": 1, "t": 0, "room": "den", "y": y}).y
        assert found is not None
        assert found.tolist() == [2.0]
    with pytest.raises(Rejected, match=re.escape("`y` must be a class the network has learned ('0', '1', '2'); got 3")):
        Reader({**subject.SCHEMA, "targets": [{**targets[0], "vocabulary": ["0", "1", "2"]}]}).read({**GOOD, "y": 3})


def test_times() -> None:
    day = 86_400_000_000
    for text in (
        "1970-01-02",
        "1970/01/02 00:00:00",
        "02.01.1970 00:00",
        "1970-01-02T00:00:00Z",
        "1970-01-02 00:00 UTC",
    ):
        assert when("t", text) == When(day, True), text
    assert when("t", "1970-01-02T02:30:00+02:30") == When(day, True)
    assert when("t", 19700102) == when("t", "19700102") == When(day, True)
    assert when("t", 19701302) == When(19701302, False)
    assert elapsed(when("t", "2026-01-31 23:59:59.5"), when("t", "2026-02-01"), "s") == 0.5
    assert elapsed(when("t", "2026-01-31"), when("t", "2026-02-02"), "d") == 2.0
    assert elapsed(when("t", 1_700_000_000_000_000_001), when("t", "1700000000000000003"), "ns") == 2.0


# --- what is remembered ----------------------------------------------------------------------------------------------


def sample(series: str, t: float, y: float | None = None) -> Sample:
    return Sample(series, t, When(t, False), {"a": t}, None if y is None else np.array([y]))


def test_memory_tells_new_late_and_repeated_and_is_bounded() -> None:
    memory = Memory(7.0, "s", waiting=2, records=4, series=3)
    waiting = Waiting({"a": 0.0}, np.zeros(1), None)
    assert memory.arrive(sample("u", 1)) == 7.0
    for t in (1, 2, 4):
        gone = memory.keep(sample("u", t), waiting)
    assert [series for series, _ in gone.samples] == ["u"]  # the third of two
    assert memory.arrive(sample("u", 6.5)) == 2.5
    assert memory.arrive(sample("u", 1, 3.0)) is None
    assert memory.claim(sample("u", 1, 3.0)) is None, "it waited too long"
    assert memory.claim(sample("u", 2)) is None, "a repeat without a label"
    assert memory.claim(sample("u", 2, 3.0)) is not None
    assert memory.claim(sample("u", 2, 3.0)) is None, "a label counts once"
    with pytest.raises(Rejected, match=r"time must go on within a series; got 3, 1 s before the last"):
        memory.arrive(sample("u", 3))
    for series in ("v", "w"):
        memory.keep(sample(series, 0), None)
    gone = memory.keep(sample("x", 0), waiting)
    assert gone.series == ["u"]
    assert memory.claim(sample("u", 4, 1.0)) is None, "its state is gone"
    assert memory.arrive(sample("u", 5)) == 7.0, "it begins anew"
    found = memory.to_json()
    again = Memory(7.0, "s", waiting=2, records=4, series=3)
    again.restore(json.loads(json.dumps(found)))
    assert again.to_json() == found
    with pytest.raises(Rejected, match="times of a series must be all numbers or all date-times"):
        again.arrive(Sample("x", "2026-01-01", when("t", "2026-01-01"), {}, None))


def test_a_forecast_learns_from_what_follows() -> None:
    ahead = Ahead(Task("forecast", ("a", "b"), horizon=2))
    found = []
    for t in range(5):
        x = {"a": float(t), "b": None if t == 3 else 10.0 * t}
        found.append(ahead.heard("u", x))
        ahead.put("u", Waiting(x, np.zeros(4), None))
        again = Ahead(Task("forecast", ("a", "b"), horizon=2))
        again.restore(json.loads(json.dumps(ahead.to_json())))
        ahead = again
    assert found[:2] == [None, None]
    truths = [truth.tolist() for _, truth in found[2:]]
    assert truths[0] == [1.0, 10.0, 2.0, 20.0]
    np.testing.assert_equal(truths[1], [2.0, 20.0, 3.0, np.nan])
    assert [kept.x["a"] for kept, _ in found[2:]] == [0.0, 1.0, 2.0]


def test_scores_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    truth, answer = rng.normal(size=(2, 300, 2))
    truth[rng.random((300, 2)) < 0.2] = np.nan
    score = Score(Task("regress_steps", ("y", "z")))
    for k in range(300):
        score.add(truth[k], answer[k], score.last("u"))
        score.heard("u", truth[k])
    assert score.value == pytest.approx(np.sqrt(np.nanmean((truth - answer) ** 2)), rel=1e-12)
    kept = np.vstack([truth[:1], truth])[:-1]
    for k in range(1, 300):
        kept[k] = np.where(np.isnan(truth[k - 1]), kept[k - 1], truth[k - 1])
    expected = np.sqrt(np.nanmean((truth[1:] - kept[1:]) ** 2))
    assert score.unchanged == pytest.approx(expected, rel=1e-12)
    weight = np.exp(-np.arange(300)[::-1] / 1000)[:, None] * ~np.isnan(truth)
    recent = np.sqrt((weight * np.nan_to_num(truth - answer) ** 2).sum() / weight.sum())
    assert score.recent == pytest.approx(recent, rel=1e-12)


def test_dead_letters_are_bounded(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "dead.jsonl", largest=1000)
    kept = [letters.put(Message(b"\xff" * 100, f"row {k}"), "why") for k in range(20)]
    assert 0 < sum(kept) < 20
    assert kept == sorted(kept, reverse=True)
    assert letters.path.stat().st_size <= 1000
    size = letters.settle()
    letters.path.rename(tmp_path / "moved")
    assert letters.put(Message(b"x", "row 21"), "why")
    letters.shorten(size)
    assert [json.loads(line)["place"] for line in letters.path.read_text().splitlines()] == ["row 21"]


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://x/y", "`source` must begin with mqtt:// or mqtts://, or be a file; got 'http://'."),
        ("mqttt://x/y", "Did you mean 'mqtt'?"),
        ("mqtt://ann:sesame@x/y", "`source` must hold no user and no password: others can see it."),
        ("mqtt:///y", "which names no host."),
        ("mqtt://x:port/y", "must be mqtt://HOST:PORT/TOPIC"),
        ("mqtt://x", "it names no topic"),
        ("mqtt://x/a/#", "+ and # stand for many topics"),
        ("mqtt://x/$SYS/load", "are the broker's own"),
        ("mqtt://x/a\nb", "a character cannot be printed"),
        ("mqtt://x/" + "a" * 1025, "it is longer than 1024 bytes"),
    ],
)
def test_an_address_that_is_none(text: str, reason: str) -> None:
    with pytest.raises(OptionError, match=re.escape(reason)) as raised:
        parse("source", text)
    assert "sesame" not in str(raised.value)


def test_addresses() -> None:
    found = parse("source", "mqtts://broker.example/a/b")
    assert (found.host, found.port, found.topic, found.secure) == ("broker.example", 8883, "a/b", True)
    assert parse("source", "mqtt://[::1]:77/a").host == "::1"
