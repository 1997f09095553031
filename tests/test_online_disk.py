"""Online on disk: what is restored goes on bit by bit, and what is spoiled says so."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from online_streams import BODIES, Row, asked, classed, echo, fitted_network, of_cell, rows

from liquidtorch import LTC
from liquidtorch.errors import FormatError, OptionError
from liquidtorch.online import Online
from liquidtorch.readout import Bank


def cases() -> Iterator[tuple[str, Callable[[], Online], list[Row]]]:
    yield "numbers", lambda: Online(echo(), match="nearest", patience=7), rows(40, "abcde")
    yield "drawn", lambda: Online(echo(4), names=(), seed=3), rows(40, "abcde")
    yield "classes", lambda: Online(echo(), readout="logistic"), classed(40)
    yield "several", lambda: Online(echo(), targets=("u", "v")), [(x, [y, -y]) for x, y in rows(40)]
    yield "bank", lambda: Online(echo(), readout=Bank), rows(40, "abc")
    for kind in BODIES:
        yield kind, lambda kind=kind: Online(BODIES[kind]()), rows(40, "abc")
    yield "ltc", lambda: Online(of_cell(LTC, 2, 5)), rows(40, "abc")
    for readout in ("linear", "mlp", "ridge"):
        yield readout, lambda readout=readout: Online(fitted_network(readout=readout)), rows(40, "abc")


CASES = {name: (make, data) for name, make, data in cases()}


def drive(online: Online, data: list[Row], answers: list[Any]) -> None:
    """Two streams, a gap here and there, labels three samples late."""
    for i, (x, _) in enumerate(data):
        key = ("k", i % 2)
        answers.append(asked(online, {k: v for j, (k, v) in enumerate(x.items()) if (i + j) % 5}, 1 + i % 3, key))
        if i >= 3 and i % 4:
            old, label = data[i - 3]
            part = {k: v for j, (k, v) in enumerate(old.items()) if (i - 3 + j) % 5}
            online.learn_one(part, label, key=("k", (i - 3) % 2))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("how", ["disk", "pickle", "deepcopy"])
def test_what_is_restored_goes_on_bit_by_bit(name: str, how: str, tmp_path: Path) -> None:
    make, data = CASES[name]
    if name == "memory":
        torch.manual_seed(0)
    online = make()
    drive(online, data[:25], [])
    torch.manual_seed(1)
    if how == "disk":
        online.save(tmp_path / "model")
        twin = Online.load(tmp_path / "model")
    else:
        twin = pickle.loads(pickle.dumps(online)) if how == "pickle" else copy.deepcopy(online)
    assert torch.initial_seed() == 1
    ours: list[Any] = []
    theirs: list[Any] = []
    drive(online, data[25:], ours)
    drive(twin, data[25:], theirs)
    assert ours == theirs
    assert len(ours) == 15
    assert (online.seen, online.learned, online.forgotten) == (twin.seen, twin.learned, twin.forgotten)


def test_saving_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    online = Online(echo())
    for x, y in rows(5):
        online.learn_one(x, y)
        online.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"config.json", "state.safetensors"}


def test_a_label_for_a_sample_that_waited_on_disk(tmp_path: Path) -> None:
    online = Online(echo())
    online.predict_one([1.0, math.nan])
    online.save(tmp_path / "model")
    twin = Online.load(tmp_path / "model")
    twin.learn_one([1.0, math.nan], 3.0)
    assert twin.seen == twin.learned == 1


def spoiled(text: str, path: Path) -> None:
    config = path / "config.json"
    if text == "empty":
        config.write_text("{}")
    elif text == "newer":
        config.write_text(config.read_text().replace('"schema": 1', '"schema": 99'))
    elif text == "cut":
        (path / "state.safetensors").write_bytes((path / "state.safetensors").read_bytes()[:-9])
    elif text == "gone":
        (path / "state.safetensors").unlink()
    elif text == "part":
        config.write_text(config.read_text().replace('"channels"', '"chanels"'))
    elif text == "other":
        config.write_text(config.read_text().replace("EchoState", "EchoStatue"))
    else:
        config.write_text(config.read_text().replace('"array"', '"arrow"'))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("empty", "must be a saved online model of schema 1 or older; got None"),
        ("newer", "of schema 99.*Install a newer liquidtorch"),
        ("cut", "must hold arrays; it cannot be read, cut short perhaps"),
        ("gone", "it has no state.safetensors"),
        ("part", "must hold a saved online model; it does not .'channels' is missing"),
        ("other", "must hold a saved online model; it does not .*Did you mean 'EchoState'"),
        ("kind", "must describe a saved online model; it does not"),
    ],
)
def test_a_spoiled_folder_says_what_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    online = Online(echo())
    online.learn_one({"a": 1.0}, 2.0)
    online.save(tmp_path / "model")
    spoiled(text, tmp_path / "model")
    with pytest.raises(FormatError, match=says):
        Online.load(tmp_path / "model")


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    online = Online(echo(), readout="logistic")
    online.learn_one({"a": 1.0}, frozenset({1}))
    with pytest.raises(OptionError, match=r"`targets.0` must be a number, a string or a tuple.*frozenset"):
        online.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
