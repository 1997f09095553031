"""Streams from files and pipes: what is put aside, what a kill or a signal leaves, what a checkpoint holds."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stream_subject as subject
from brokers import until
from hypothesis import given
from hypothesis import strategies as st

from liquidtorch.errors import DataError, OptionError, StateError
from liquidtorch.stream import Options
from liquidtorch.stream.checkpoint import Checkpoints, alone
from liquidtorch.stream.pipe import Pipe
from liquidtorch.stream.signals import Stop
from liquidtorch.stream.sinks import Written
from liquidtorch.stream.tables import Table

HEADER = ["id", "t", "a", "b", "y"]


def rows(count: int, seed: int = 0) -> list[list[Any]]:
    rng = random.Random(seed)
    found = []
    for k in range(count):
        a, b = round(rng.gauss(0, 1), 3), round(rng.gauss(0, 1), 3)
        found.append(["uv"[k % 2], k // 2, a, b, round(a - 2 * b, 3)])
    return found


def table(path: Path, lines: list[list[Any]]) -> Path:
    with path.open("w", newline="") as f:
        csv.writer(f).writerows([HEADER, *lines])
    return path


def streamed(folder: Path, source: Path | str, **options: Any) -> subject.Leaky:
    """Stream to the end; return the learner."""
    model = subject.Leaky()
    made = subject.service(folder, str(source), model, Options(**options), lambda text: None)
    with Stop() as stop:
        assert made.run(stop)
    return model


def counts(folder: Path) -> dict[str, int]:
    return subject.learned(folder)[1]["counts"]


def dead(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "dead.jsonl").read_text().splitlines()]


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_table_is_predicted_first_and_learned_then(tmp_path: Path) -> None:
    lines = rows(50)
    path = table(tmp_path / "d.csv", lines)
    model = streamed(tmp_path / "s", path, out=str(tmp_path / "p.csv"))
    by_hand, said = subject.Leaky(), []
    for series, _, a, b, y in lines:
        said.append(by_hand.predict_one({"a": a, "b": b}, 1.0, key=series))
        by_hand.learn_one({"a": a, "b": b}, y, key=series)
    assert model.state() == by_hand.state()
    with (tmp_path / "p.csv").open() as f:
        written = list(csv.DictReader(f))
    assert [float(row["prediction"]) for row in written] == said
    assert [(row["id"], int(row["t"])) for row in written] == [(row[0], row[1]) for row in lines]
    status = json.loads((tmp_path / "s" / "status.json").read_text())
    errors = np.array(said) - [row[4] for row in lines]
    assert status["score"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-12)


def test_what_cannot_be_used_is_put_aside_and_the_stream_goes_on(tmp_path: Path) -> None:
    good = [f"{s},{t},{a},{b},{y}" for s, t, a, b, y in rows(12)]
    bad = {
        2: ("u,0.5,x,1,1", "`a` must be a number; got 'x'"),
        4: ('u,1.5,1,"2,3', "a quoted field must end; this one does not"),
        5: ("u,1.6,1", "a row must have the 5 fields of the header; got 3 fields"),
        7: ("u,0,1,2,3,", "got 6 fields"),
        8: ("u," + "9" * 300 + ",1,1,1", "a record must be at most 200 bytes long; this one is longer"),
        9: ("u,-1,1,1,1", "time must go on within a series"),
    }
    lines = [*good]
    for k, (line, _) in bad.items():
        lines.insert(k, line)
    lines.insert(3, '"u",0.25,"1",\r\n')
    lines[3:4] = ['"u",0.25,"1', '",1.5,""\r', ""]  # a field over two lines, and an empty line
    path = tmp_path / "d.csv"
    path.write_text("\n".join([",".join(HEADER), *lines]))
    streamed(tmp_path / "s", path, out=str(tmp_path / "p.csv"), largest=200)
    assert counts(tmp_path / "s")["records"] == 13
    letters = dead(tmp_path / "s")
    assert len(letters) == len(bad)
    for letter, (line, reason) in zip(letters, bad.values(), strict=True):
        assert reason in letter["reason"]
        assert letter["text"].rstrip("\n") == line[:201]
        assert re.fullmatch(r"d\.csv, row \d+", letter["place"])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_killed_and_started_again_it_is_as_if_nothing_had_been(suffix: str, tmp_path: Path) -> None:
    lines = rows(400)
    lines[100][2] = "broken"
    del lines[250][3:]
    path = table(tmp_path / "d.csv", lines)
    if suffix == ".jsonl":
        path = tmp_path / "d.jsonl"
        path.write_text("".join(json.dumps(dict(zip(HEADER, row, strict=False))) + "\n" for row in lines))
    out = tmp_path / f"p{suffix}"
    streamed(tmp_path / "whole", path, out=str(tmp_path / f"whole{suffix}"))
    script = [sys.executable, subject.__file__, str(tmp_path / "s"), str(path), f"out={out}", "every=0.05"]
    status = tmp_path / "s" / "status.json"
    for part in (50, 150, 300):
        with subprocess.Popen([*script, "delay=0.002"], stderr=subprocess.DEVNULL) as running:
            until(lambda part=part: status.exists() and json.loads(status.read_text())["records"] >= part)
            running.kill()
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert "kept True" in done.stderr
    assert subject.learned(tmp_path / "s") == subject.learned(tmp_path / "whole")
    assert out.read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
    assert [d["place"] for d in dead(tmp_path / "s")] == [d["place"] for d in dead(tmp_path / "whole")]
    assert not list((tmp_path / "s").glob(".*"))


def test_what_was_written_after_the_checkpoint_is_taken_back(tmp_path: Path) -> None:
    lines = rows(60)
    lines[3][2] = lines[50][2] = "broken"
    path = table(tmp_path / "d.csv", lines[:40])
    out = tmp_path / "p.csv"
    streamed(tmp_path / "s", path, out=str(out))
    for written in (out, tmp_path / "s" / "dead.jsonl"):
        with written.open("a") as f:
            f.write("from after the checkpo")
    table(path, lines)
    streamed(tmp_path / "s", path, out=str(out))
    streamed(tmp_path / "whole", path, out=str(tmp_path / "whole.csv"))
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert [d["place"] for d in dead(tmp_path / "s")] == ["d.csv, row 4", "d.csv, row 51"]


def test_another_file_goes_on_and_an_old_one_is_not_learned_again(tmp_path: Path) -> None:
    lines = rows(60)
    monday, tuesday = table(tmp_path / "mon.csv", lines[:40]), table(tmp_path / "tue.csv", lines[40:])
    both = table(tmp_path / "both.csv", lines)
    out = str(tmp_path / "p.csv")
    for path in (monday, tuesday, monday):
        streamed(tmp_path / "s", path, out=out)
    streamed(tmp_path / "whole", both, out=str(tmp_path / "whole.csv"))
    assert subject.learned(tmp_path / "s") == subject.learned(tmp_path / "whole")
    assert Path(out).read_bytes() == (tmp_path / "whole.csv").read_bytes()
    with monday.open("a") as f:
        f.write("u,1000,1,1,1\n")
    streamed(tmp_path / "s", monday, out=out)
    assert counts(tmp_path / "s")["records"] == 61
    streamed(tmp_path / "s", both, out=out)
    assert counts(tmp_path / "s")["repeats"] == 60, "the same records under another name"
    table(monday, rows(90, seed=1))
    with pytest.raises(DataError, match=r"must be the file it was when 41 rows of it had been read; it has changed"):
        streamed(tmp_path / "s", monday, out=out)


def test_output_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    path = table(tmp_path / "d.csv", rows(5))
    for name in ("d.csv", "other.jsonl"):
        (tmp_path / "other.jsonl").write_text("mine")
        before = (tmp_path / name).read_bytes()
        with pytest.raises(OptionError, match="`out` must be a new file, or the one this stream was writing; got"):
            streamed(tmp_path / "s", path, out=str(tmp_path / name))
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(OptionError, match=r"`out` must end in .csv, .jsonl or .ndjson, or be -; got"):
        streamed(tmp_path / "s", path, out="p.xls")


@pytest.mark.parametrize(
    ("content", "name", "text"),
    [
        ("", "d.csv", "it is empty (0 bytes)."),
        ("id,t,a,b,y\n", "d.csv", "must have at least one row; it has only a header."),
        ("id,t,a,y\nu,1,2,3\n", "d.csv", "`b` must be a column of the table; "),
        ("id,t,a,b,b\nu,1,2,3\n", "d.csv", "'b' is there twice"),
        ("id,t,\0,b,b\nu,1,2,3\n", "d.csv", "it is binary, not text"),
        ("id,t\n", "d.parquet", "must end in one of .csv .tsv .txt .jsonl .ndjson to be streamed; got .parquet."),
        ("id,t\n", "d.csv.gz", "to be streamed; got .gz."),
    ],
)
def test_a_file_that_is_no_source(content: str, name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=re.escape(text)):
        streamed(tmp_path / "s", tmp_path / name, out=str(tmp_path / "p.csv"))
    assert not (tmp_path / "p.csv").exists()


def test_separators_are_those_of_tables(tmp_path: Path) -> None:
    for name, separator in (("d.csv", ";"), ("d.tsv", "\t"), ("d.txt", "|")):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + separator.join(HEADER).encode() + b"\r\n" + separator.join("u1234").encode())
        source = Table(str(path), HEADER, 1000)
        source.open(None)
        message = source.read(0)
        assert message is not None
        assert message.fields == dict(zip(HEADER, "u1234", strict=True))
        assert source.read(0) is None
        assert source.ended
        source.close()


# --- pipes -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_do_not_depend_on_how_they_come(lines: list[bytes], data: st.DataObject) -> None:
    text = b"\n".join([b"{}", *lines])
    expected = [(line[:21], len(line) <= 20) for line in [b"{}", *lines] if line.strip()]
    reading, writing = os.pipe()
    pipe = Pipe(20, reading)
    pipe.open(None)
    found = []
    while text:
        size = data.draw(st.integers(1, len(text)))
        os.write(writing, text[:size])
        text = text[size:]
        while (message := pipe.read(0)) is not None:
            found.append(message)
    os.close(writing)
    while not pipe.ended or len(found) < len(expected):
        message = pipe.read(0)
        found += [message] if message else []
    os.close(reading)
    assert [(m.raw, "longer" not in m.fault) for m in found] == expected


def piped(folder: Path, *given: str, **more: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, subject.__file__, str(folder), "-", *given]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, **more
    )


def lines_of(records: list[list[Any]]) -> bytes:
    return b"".join(json.dumps(dict(zip(HEADER, row, strict=True))).encode() + b"\n" for row in records)


def test_a_signal_ends_a_quiet_pipe_with_a_checkpoint(tmp_path: Path) -> None:
    running = piped(tmp_path / "s", "every=1000")
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(lines_of(rows(9)))
    said = [json.loads(running.stdout.readline()) for _ in range(9)]
    assert [row["t"] for row in said] == [row[1] for row in rows(9)]
    running.send_signal(signal.SIGTERM)
    _, error = running.communicate(timeout=240)
    assert running.returncode == 0
    assert b"kept True SIGTERM" in error
    assert counts(tmp_path / "s")["learned"] == 9


def test_a_checkpoint_does_not_wait_for_a_quiet_pipe(tmp_path: Path) -> None:
    running = piped(tmp_path / "s", "every=0.3")
    assert running.stdin is not None
    running.stdin.write(lines_of(rows(3)))
    status = tmp_path / "s" / "status.json"
    until(lambda: status.exists() and json.loads(status.read_text())["records"] == 3)
    running.kill()
    running.communicate()
    assert counts(tmp_path / "s")["learned"] == 3


def test_the_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    running = piped(tmp_path / "s", "delay=30")
    assert running.stdin is not None
    running.stdin.write(lines_of(rows(1)))
    until(lambda: (tmp_path / "s" / "status.json").exists())
    time.sleep(0.5)
    begun = time.monotonic()
    running.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)
    assert running.returncode == -signal.SIGINT
    assert time.monotonic() - begun < 20
    assert counts(tmp_path / "s")["records"] == 0


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    path = table(tmp_path / "d.csv", rows(3000))
    command = f"{sys.executable} {subject.__file__} {tmp_path / 's'} {path} every=1000 | head -n 3"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "kept True \n"
    assert counts(tmp_path / "s")["records"] == counts(tmp_path / "s")["learned"] < 3000


def test_nothing_on_standard_input_is_an_error() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"\n \n")
    os.close(writing)
    pipe = Pipe(100, reading)
    pipe.open(None)
    with pytest.raises(DataError, match=re.escape("`-` must bring at least one record; standard input ended")):
        pipe.read(1)
    os.close(reading)


# --- checkpoints ---------------------------------------------------------------------------------------------------


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path / "stream"):
        held = f"import sys; from stream_subject import *\nwith alone(Path({str(tmp_path / 'stream')!r})): pass"
        done = subprocess.run(
            [sys.executable, "-c", held], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
        )
        assert "StateError: `run` must be streamed by one process at a time" in done.stderr
    with alone(tmp_path / "stream"):
        assert issubclass(StateError, RuntimeError)


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for number in range(4):
        checkpoints.write({"number": number}, lambda folder: folder.mkdir())

    def killed(folder: Path) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoints.write({"number": 9}, killed)
    (tmp_path / ".checkpoint-00000005.torn").mkdir()
    found = checkpoints.newest()
    assert found is not None
    assert found[1]["number"] == 3
    assert [p.name for p in sorted(tmp_path.glob("checkpoint-*"))] == ["checkpoint-00000003", "checkpoint-00000004"]
    checkpoints.sweep()
    assert not list(tmp_path.glob(".*"))


def test_predictions_are_out_before_the_checkpoint_and_acknowledged_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other order loses something when a kill comes in between."""
    path = table(tmp_path / "d.csv", rows(3))
    order = []
    for kind, verb in ((Written, "settle"), (Checkpoints, "write"), (Table, "settled")):
        before = getattr(kind, verb)

        def noted(self: Any, *given: Any, before: Any = before, verb: str = verb) -> Any:
            order.append(verb)
            return before(self, *given)

        monkeypatch.setattr(kind, verb, noted)
    streamed(tmp_path / "s", path, out=str(tmp_path / "p.csv"), records=2)
    assert order == ["settle", "write", "settled"] * 3  # at the beginning, after two records, at the end
