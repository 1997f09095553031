"""The command line as people and programs meet it: what goes to which stream, exit codes, speed, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.torch
import torch

from liquidtorch import cli, ops, record
from liquidtorch.run import Options

FAST = ["--units", "4", "--epochs", "2", "--batch", "8"]


@pytest.fixture
def waves(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(20) * 0.5 + rng.uniform(0, 6, (12, 1)))
    frame = pl.DataFrame(
        {
            "id": np.repeat([f"s{i}" for i in range(12)], 20),
            "t": np.tile(np.arange(20), 12),
            "x": wave.ravel(),
            "y": np.where(wave.ravel() > 0.2, "high", "low"),
        }
    )
    frame.write_csv(tmp_path / "waves.csv")
    return tmp_path / "waves.csv"


def test_fit_ends_with_the_scores_and_says_where_everything_is(
    waves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    given = ["fit", str(waves), "--target", "y", "--series", "id", "--time", "t", "--out", str(out), *FAST]
    assert cli.main(given) == 0
    said = capsys.readouterr()
    rows = said.out.splitlines()
    assert rows[0].split() == ["model", "accuracy", "95", "%", "interval", "parameters", "seconds"]
    names = ["liquid", "majority", "one rule", "linear", "linear on lags", "GRU"]
    assert [r[3:].split("  ")[0] for r in rows[1:7]] == names
    scores = [line for line in record.read(out / "record.jsonl") if line["kind"] == "score"]
    best = max(s["score"] for s in scores)
    assert [r.startswith("*") for r in rows[1:7]] == [s["score"] == best for s in scores]
    (verdict,) = [line for line in record.read(out / "record.jsonl") if line["kind"] == "verdict"]
    assert verdict["text"] in said.out
    for name in ("report.html", "model", "predictions.csv"):
        assert rows[-3 + ("report.html", "model", "predictions.csv").index(name)].endswith(str(out / name))
        assert (out / name).exists()
    for decision in ("task: classify_steps (`y` is text", "split by series", "network: liquid, 4 units", "trained:"):
        assert decision in said.err


def test_fit_says_when_no_kernel_runs(waves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["fit", str(waves), "--target", "y", "--series", "id", "--time", "t", "--out", str(tmp_path / "run"), *FAST]
    with ops.use("reference"):
        assert cli.main(given) == 0
    assert "\nslow: reference: plain PyTorch on cpu (asked for by ops.use)\n" in capsys.readouterr().err


def test_json_is_one_object_and_nothing_else(waves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    config = tmp_path / "fit.toml"
    config.write_text(f'table = "{waves}"\nseries = "id"\ntime = "t"\ntask = "forecast"\ntarget = "x"\nunits = 99\n')
    assert cli.main(["fit", "--config", str(config), "--out", str(out), "--json", *FAST]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= {"task", "metric", "score", "baselines", "run"}
    assert found["task"] == "forecast"
    assert found["metric"] == "rmse"
    assert found["baselines"].keys() == {"last value", "linear", "linear on lags", "GRU"}
    assert found["run"] == str(out)
    saved = json.loads((out / "config.json").read_text())["options"]
    assert saved["units"] == 4
    assert saved["horizon"] is None
    assert saved["target"] == ["x"]
    assert cli.main(["predict", str(out), str(waves), "--out", str(tmp_path / "p.csv")]) == 0
    assert capsys.readouterr().out == ""
    written = (tmp_path / "p.csv").read_text()
    assert cli.main(["predict", str(out), str(waves)]) == 0
    assert capsys.readouterr().out == written
    assert written.splitlines()[0] == "id,t,prediction"
    assert len(written.splitlines()) == 241
    (out / "report.html").unlink()
    assert cli.main(["report", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "report.html")
    assert (out / "report.html").exists()


def test_every_option_is_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fit", "--help"]) == 0
    said = capsys.readouterr().out
    for name, field in Options.__dataclass_fields__.items():
        assert ("TABLE" if name == "table" else f"--{name.replace('_', '-')} ") in said
        assert field.metadata["help"].split()[0] in said
    for flag in ("--config", "--resume", "--json", "--debug"):
        assert flag in said
    assert "[default: (64)]" in said or "[default: 64]" in said


def test_datasets_are_listed_described_and_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["datasets"]) == 0
    said = capsys.readouterr().out
    assert "@cheetah" in said
    assert "Apache-2.0" in said
    assert cli.main(["datasets", "--json"]) == 0
    every = json.loads(capsys.readouterr().out)["datasets"]
    assert {"cheetah", "occupancy"} <= {d["name"] for d in every}
    assert cli.main(["datasets", "@occupancy", "--out", str(tmp_path / "o.csv")]) == 0
    assert "CC BY 4.0" in capsys.readouterr().out
    about = next(d for d in every if d["name"] == "occupancy")
    assert (tmp_path / "o.csv").read_bytes() == Path(about["path"]).read_bytes()
    assert cli.main(["datasets", "occupancy", "--out", str(tmp_path / "o.csv")]) == 2
    assert "`out` must be a new file" in capsys.readouterr().err
    assert cli.main(["datasets", "ocupancy"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_info_says_what_runs_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    said = capsys.readouterr().out
    assert torch.__version__ in said
    assert "ltc_synapses" in said
    assert cli.main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kernels"]["ltc"].startswith(("kernel: compiled for ", "reference: "))
    assert found["optional"].keys() == {"pandas", "pyarrow", "ncps"}


def test_debug_shows_where_an_error_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fit", "absent.csv", "--target", "y"]) == 2
    assert capsys.readouterr().err == "error: `absent.csv` must be a table; there is no such file.\n"
    assert cli.main(["fit", "absent.csv", "--target", "y", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["fit"], "`table` must be a file or the name of a bundled data set; got None. Name a table."),
        (["fit", "--resume"], "`out` must name the run to resume; got None. Add --out FOLDER."),
        (["fit", "--resume", "--out", "x", "--config", "y.toml"], "`config` must be left out with --resume"),
        (["fit", "a.csv", "--units", "many"], "`units` must be a whole number; got 'many'."),
        (["fit", "a.csv", "--targt", "y"], "--target"),
        (["fitt"], "fit"),
        (["datasets", "--out", "x.csv"], "`out` must come with the name of a data set"),
    ],
)
def test_a_wrong_command_ends_with_2(given: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(given) == 2
    said = capsys.readouterr()
    assert text in said.err
    assert said.out == ""


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    heavy = "[m for m in ('torch', 'numpy', 'polars', 'sklearn', 'rich') if m in sys.modules]"
    code = (
        f"import sys; from liquidtorch.cli import main; main(['--help']); main(['fit', '-h']); sys.exit(str({heavy}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"
    times = []
    for _ in range(5):
        usage = os.times()
        subprocess.run([sys.executable, "-m", "liquidtorch", "--help"], capture_output=True, check=True)
        now = os.times()
        times.append(now.children_user + now.children_system - usage.children_user - usage.children_system)
    assert min(times) < 0.3, "seconds of processor time: what it takes on an idle machine"


def fit_command(waves: Path, out: Path) -> list[str]:
    options = ["--target", "x", "--series", "id", "--time", "t", "--features", "y", "--units", "8", "--batch", "2"]
    options += ["--epochs", "6", "--patience", "99", "--seed", "3"]
    return ["fit", str(waves), *options, "--out", str(out)]


def test_ctrl_c_leaves_a_run_that_goes_on_to_the_same_weights(
    waves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cut run"
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    started: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen([sys.executable, "-m", "liquidtorch", *fit_command(waves, out)], **started) as running:
        for _ in range(1200):
            log = out / "record.jsonl"
            if log.exists() and '"kind": "epoch"' in log.read_text():
                break
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        said, error = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said == ""
    epochs = [line for line in record.read(out / "record.jsonl") if line["kind"] == "epoch"]
    assert 1 <= len(epochs) < 6
    last = error.strip().splitlines()[-1]
    assert last == f"interrupted after epoch {len(epochs)}; continue with: liquid fit --resume --out '{out}'"
    assert "Traceback" not in error
    assert not (out / "model").exists()
    assert cli.main(["fit", "--resume", "--out", str(out), "--json"]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert cli.main([*fit_command(waves, tmp_path / "whole"), "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert resumed["score"] == whole["score"]
    weights = [safetensors.torch.load_file(f / "model" / "model.safetensors") for f in (out, tmp_path / "whole")]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[1])
