"""Files and records: whole or absent, and readable after a kill."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from liquidtorch.errors import DataError, FormatError
from liquidtorch.files import atomic_folder, read_json, write_atomic
from liquidtorch.record import SCHEMA, Record, read


def test_write_atomic_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_atomic(path, "one")
    write_atomic(path, b"two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_write_atomic_leaves_the_old_file_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def broken(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_cannot_be_made_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="folder that can be written"):
        write_atomic(tmp_path / "file" / "a.txt", "x")
    with pytest.raises(DataError, match="folder that can be written"), atomic_folder(tmp_path / "file" / "run"):
        pass


def test_atomic_folder(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic_folder(target) as beside:
        (beside / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    with pytest.raises(FileNotFoundError), atomic_folder(target) as beside:
        (beside / "none" / "a").write_text("2")
    assert (target / "a").read_text() == "1"
    with atomic_folder(target) as beside:
        (beside / "b").write_text("3")
    assert [p.name for p in target.iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_read_json_says_what_was_wanted(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"must be a model folder; it has no config\.json"):
        read_json(tmp_path / "config.json", "a model folder")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(FormatError, match="cannot be read"):
        read_json(tmp_path / "config.json", "a model folder")
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(FormatError, match="holds a list"):
        read_json(tmp_path / "config.json", "a model folder")


def test_record_is_plain_json(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    record.write("run", schema=SCHEMA, path=tmp_path)
    record.write("epoch", loss=np.float32(0.5), taus=np.arange(3), bad=math.inf, nested=[(1, math.nan)])
    first, second = read(record.path)
    assert first["path"] == str(tmp_path)
    assert second["kind"] == "epoch"
    assert second["loss"] == 0.5
    assert second["taus"] == [0, 1, 2]
    assert second["bad"] is None
    assert second["nested"] == [[1, None]]


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    record.write("epoch", epoch=1)
    with record.path.open("a") as f:
        f.write('{"kind": "epo')
    record.write("epoch", epoch=2)
    assert [line["epoch"] for line in read(record.path)] == [1, 2]


def test_a_newer_record_is_refused(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    record.write("run", schema=SCHEMA + 1)
    with pytest.raises(FormatError, match="Install a newer liquidtorch"):
        read(record.path)
    with pytest.raises(FormatError, match="cannot be read"):
        read(tmp_path / "none.jsonl")


def test_a_kill_between_writes_loses_at_most_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    code = (
        "import os, sys; from liquidtorch.record import Record\n"
        "r = Record(sys.argv[1])\n"
        "for i in range(5): r.write('epoch', epoch=i)\n"
        "os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -9
    assert [line["epoch"] for line in read(path)] == list(range(5))
