"""`liquid stream` as people meet it: a run goes on learning, is stopped, killed, started again, and told wrong."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from brokers import free_port, until

from liquidtorch import cli
from liquidtorch.online import Online
from liquidtorch.online.plasticity import KINDS
from liquidtorch.stream.checkpoint import Checkpoints
from liquidtorch.stream.options import PLASTICITY

ROWS = 160


def wave(seed: int = 0) -> pl.DataFrame:
    """Two series in turn; `state` says whether x is high, `load` lags behind x."""
    rng = np.random.default_rng(seed)
    x = np.sin(np.arange(ROWS) * 0.4)[:, None] + np.array([0.0, 0.5]) + 0.1 * rng.normal(size=(ROWS, 2))
    load = np.zeros_like(x)
    for t in range(1, ROWS):
        load[t] = 0.7 * load[t - 1] + 0.3 * x[t]
    frame = {
        "pump": np.tile(["a", "b"], ROWS),
        "at": np.repeat(np.datetime64("2026-01-01T00:00:00", "ms") + 1000 * np.arange(ROWS), 2),
        "x": x.ravel().round(3),
        "load": load.ravel().round(3),
        "state": np.where(x.ravel() > 0.2, "high", "low"),
    }
    return pl.DataFrame(frame)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs: numbers, also wired, classes, and a forecast of two steps; and the tables past.csv and now.csv."""
    home = tmp_path_factory.mktemp("runs")
    wave(1).write_csv(home / "past.csv", datetime_format="%F %T")
    wave(2).write_csv(home / "now.csv", datetime_format="%F %T")
    usual = ["--series", "pump", "--time", "at", "--units", "4", "--epochs", "1"]
    for name, more in {
        "numbers": ["--target", "load", "--features", "x"],
        "wired": ["--target", "load", "--features", "x", "--wiring", "random:0.5"],
        "classes": ["--target", "state", "--features", "x"],
        "forecast": ["--target", "x", "--features", "x", "--horizon", "2"],
    }.items():
        assert cli.main(["fit", str(home / "past.csv"), *usual, *more, "--out", str(home / name)]) == 0
    return home


def fitted(runs: Path, name: str, tmp_path: Path) -> Path:
    """Return a run of one's own."""
    run = tmp_path / name
    (run / "model").mkdir(parents=True)
    for file in (runs / name / "model").iterdir():
        (run / "model" / file.name).write_bytes(file.read_bytes())
    return run


def learned(run: Path) -> dict[str, bytes]:
    """Return all of the newest checkpoint's model, byte by byte."""
    found = Checkpoints(run / "stream").newest()
    assert found is not None
    model = found[0] / "model"
    return {str(p.relative_to(model)): p.read_bytes() for p in sorted(model.rglob("*")) if p.is_file()}


def status(run: Path) -> dict[str, Any]:
    return json.loads((run / "stream" / "status.json").read_text())


def test_a_run_goes_on_learning(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fitted(runs, "numbers", tmp_path)
    model = {p.name: p.read_bytes() for p in (run / "model").iterdir()}
    assert cli.main(["stream", str(run), str(runs / "now.csv")]) == 0
    said = capsys.readouterr()
    rows = list(csv.DictReader(said.out.splitlines()))
    now = wave(2)
    assert list(rows[0]) == ["pump", "at", "prediction"]
    assert [r["at"] for r in rows] == now["at"].dt.to_string("%F %T").to_list()
    errors = np.array([float(r["prediction"]) for r in rows]) - now["load"].to_numpy()
    assert status(run)["score"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-9)
    halves = np.abs(errors).reshape(2, -1).mean(1)
    assert halves[1] < 0.5 * halves[0], "it learns"
    lines = said.err.splitlines()
    assert lines[0].endswith("now.csv: from the fitted model")
    assert lines[1].startswith(f"{runs / 'now.csv'} has ended: 320 records, 320 learned, rmse 0.")
    assert len(lines) == 2
    assert {p.name: p.read_bytes() for p in (run / "model").iterdir()} == model
    assert cli.main(["stream", str(run), str(runs / "now.csv")]) == 0
    again = capsys.readouterr()
    assert again.out == "pump,at,prediction\n"
    assert cli.main(["stream", str(run), str(runs / "now.csv"), "--rule", "exact"]) == 2
    assert "`rule` must be left out where a stream goes on: it is as it began; got 'exact'." in capsys.readouterr().err
    assert "so far 320 records" in again.err
    assert cli.main(["stream", str(run), str(runs / "now.csv"), "--fresh"]) == 0
    assert capsys.readouterr().out == said.out


def test_the_kinds_of_plasticity_are_those_of_online() -> None:
    """They stand twice, so that the options can be read without torch."""
    assert PLASTICITY == KINDS


def test_the_wiring_of_a_run_may_change(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, usual = fitted(runs, "wired", tmp_path), [str(runs / "now.csv"), "--rule", "exact"]
    assert cli.main(["stream", str(run), *usual, "--plasticity", "grow"]) == 0
    assert capsys.readouterr().out.count("\n") == 2 * ROWS + 1
    found = Checkpoints(run / "stream").newest()
    assert found is not None
    trial = Online.load(found[0] / "model").trial
    assert trial is not None
    assert trial.plasticity is not None
    assert trial.plasticity.kind == "grow"
    assert cli.main(["stream", str(run), str(runs / "now.csv"), "--plasticity", "rewire"]) == 2
    assert "`plasticity` must be left out where a stream goes on" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["numbers", "classes", "forecast"])
def test_stopped_anywhere_and_started_again_it_is_bit_by_bit_the_same(name: str, runs: Path, tmp_path: Path) -> None:
    """Labels that come late, some never, and equal samples among those that wait."""
    target = {"numbers": "load", "classes": "state", "forecast": "x"}[name]
    lines, late = [], []
    frame = wave(2).with_columns(at=pl.col("at").dt.to_string("%FT%T"), x=pl.col("x").round(0))
    for k, row in enumerate(frame.to_dicts()):
        record = {key: row[key] for key in ("pump", "at", "x")}
        if name != "forecast" and k % 3:
            late.append({"pump": row["pump"], "at": row["at"], target: row[target]})
        elif name != "forecast":
            record[target] = row[target]
        lines.append(record)
        if len(late) > 9:
            lines.append(late.pop(0))
            late.pop(k % 5)
    whole, parts = fitted(runs, name, tmp_path / "whole"), fitted(runs, name, tmp_path / "parts")
    for at, (begin, end) in enumerate([(0, 60), (60, 61), (61, 200), (200, len(lines))]):
        path = tmp_path / f"part-{at}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines[begin:end]))
        assert cli.main(["stream", str(parts), str(path), "--out", str(tmp_path / "parts.csv")]) == 0
    path = tmp_path / "whole.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert cli.main(["stream", str(whole), str(path), "--out", str(tmp_path / "whole.csv")]) == 0
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert learned(parts) == learned(whole)
    found = status(whole)
    assert {k: v for k, v in status(parts).items() if k not in ("time", "source")} == {
        k: v for k, v in found.items() if k not in ("time", "source")
    }
    assert found["rejected"] == found["repeats"] == 0
    assert found["late"] > 0 or name == "forecast"
    assert found["learned"] == (316 if name == "forecast" else found["late"] + 107)


def test_classes_come_with_their_probability(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fitted(runs, "classes", tmp_path)
    assert cli.main(["stream", str(run), str(runs / "now.csv")]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert list(rows[0]) == ["pump", "at", "prediction", "probability"]
    right = [r["prediction"] == state for r, state in zip(rows, wave(2)["state"], strict=True)]
    assert status(run)["score"] == pytest.approx(np.mean(right))
    assert np.mean(right[100:]) > 0.9
    assert all(0.5 <= float(r["probability"]) <= 1 for r in rows)


def test_a_forecast_is_taught_by_what_follows(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fitted(runs, "forecast", tmp_path)
    assert cli.main(["stream", str(run), str(runs / "now.csv")]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert list(rows[0]) == ["pump", "at", "prediction_x_h1", "prediction_x_h2"]
    x = wave(2)["x"].to_numpy().reshape(ROWS, 2)
    said = np.array([[float(r[f"prediction_x_h{h}"]) for h in (1, 2)] for r in rows]).reshape(ROWS, 2, 2)
    truth = np.stack([x[1:-1], x[2:]], axis=-1)
    assert status(run)["score"] == pytest.approx(np.sqrt(((said[:-2] - truth) ** 2).mean()), rel=1e-9)
    assert status(run)["no_change"] == pytest.approx(np.sqrt(((x[:-2, :, None] - truth) ** 2).mean()), rel=1e-9)


def command(*given: Any, **more: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "liquidtorch", "stream", *map(str, given)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **more
    )  # fmt: skip


def test_a_sensor_a_kill_and_ctrl_c(runs: Path, tmp_path: Path) -> None:
    """Standard input: what was printed is in order, a kill forgets what no checkpoint held, Ctrl-C forgets nothing."""
    run = fitted(runs, "numbers", tmp_path)
    sent = [{**row, "at": str(row["at"])} for row in wave(2).to_dicts()]
    for begin, way in ((0, signal.SIGKILL), (0, signal.SIGINT)):
        running = command(run, "-", "--every", "0.2")
        assert running.stdin is not None
        assert running.stdout is not None
        for row in sent[begin : begin + 30]:
            running.stdin.write(json.dumps(row) + "\n")
        running.stdin.flush()
        if way == signal.SIGINT:
            until(lambda: status(run)["repeats"] == 30)
        else:
            heard = [json.loads(running.stdout.readline()) for _ in range(30)]
            assert [h["at"] for h in heard] == [row["at"] for row in sent[:30]]
            until(lambda: status(run)["records"] == 30)
        running.send_signal(way)
        said, error = running.communicate(timeout=240)
    assert running.returncode == 0
    assert said == "", "all thirty are repeats"
    assert "stopped by SIGINT: 30 records, 30 learned" in error
    assert error.splitlines()[-1] == f"checkpoint made; go on with: liquid stream {run} -"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["RUN"], "Missing argument"),
        (["RUN", "absent.csv"], "`absent.csv` must be a table; there is no such file."),
        (["RUN", "now.csw"], "there is no such file. Did you mean 'now.csv'?"),
        (["absent", "now.csv"], "`run` must be the folder of a finished run; absent has no model."),
        (["RUN", "ftp://x/y"], "`source` must begin with mqtt:// or mqtts://, or be a file; got 'ftp://'."),
        (["RUN", "mqtt://x"], "`source` must end in one topic, /TOPIC; got '' (it names no topic)."),
        (["RUN", "mqtt://127.0.0.1:PORT/x"], "must be a broker that answers; Connection refused."),
        (["RUN", "now.csv", "--every", "0"], "`every` must be a number above 0; got 0.0."),
        (["RUN", "now.csv", "--every", "soon"], "`every` must be a number; got 'soon'."),
        (["RUN", "now.csv", "--records", "20000"], "`records` must be a whole number at least 1 and at most 10000"),
        (["RUN", "now.csv", "--drift", "adwn"], "`drift` must be one of 'adwin', 'page_hinkley', 'none'; got 'adwn'."),
        (["RUN", "now.csv", "--rule", "exat"], "`rule` must be"),
        (["RUN", "now.csv", "--plasticity", "shrink"], "`plasticity` must be one of 'rewire', 'grow'"),
        (["RUN", "now.csv", "--plasticity", "rewire"], "`plasticity` must be left out for Recurrent: the structure of"),
        (["RUN", "now.csv", "--out", "p.xls"], "`out` must end in .csv, .jsonl or .ndjson, or be -; got 'p.xls'."),
        (["RUN", "now.csv", "--out", "now.csv"], "`out` must be a new file, or the one this stream was writing"),
        (["RUN", "mqtt://x/a", "--out", "mqtt://x:1883/a"], "`out` must be another topic than the source"),
        (["RUN", "now.csv", "--password", "sesame"], "No such option"),
        (["RUN", "now.csv", "--config", "bad.toml"], "`bad.toml` must hold known options; got 'evry'. Did you mean"),
        (["RUN", "now.csv", "--config", "alone.toml"], "`user` must come with a password"),
    ],
)
def test_a_wrong_command_ends_with_2_in_one_line(
    given: list[str],
    text: str,
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = fitted(runs, "numbers", tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("now.csv").write_bytes((runs / "now.csv").read_bytes())
    Path("bad.toml").write_text("evry = 3\n")
    Path("alone.toml").write_text('password = "sesame"\n')
    names = {"RUN": str(run)}
    assert cli.main(["stream", *[names.get(g, g).replace("PORT", str(free_port())) for g in given]]) == 2
    said = capsys.readouterr()
    assert text in said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert "sesame" not in said.err.replace("--password", "")
    if "Usage" not in said.err:
        assert [line for line in said.err.splitlines() if not line.startswith("streaming ")][-1].startswith("error: ")


def test_a_run_about_whole_series_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = wave(1).with_columns(pl.col("pump").replace_strict({"a": "on", "b": "off"}).alias("kind"))
    frame = pl.concat([frame.with_columns(pump=pl.col("pump") + str(k)) for k in range(8)])
    frame.write_csv(tmp_path / "d.csv", datetime_format="%F %T")
    usual = ["--series", "pump", "--time", "at", "--units", "4", "--epochs", "1", "--features", "x"]
    assert cli.main(["fit", str(tmp_path / "d.csv"), *usual, "--target", "kind", "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert cli.main(["stream", str(tmp_path / "run"), str(tmp_path / "d.csv")]) == 2
    assert "`run` must answer at each step to be streamed; its task is 'classify'." in capsys.readouterr().err
