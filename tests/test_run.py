"""Options and the main job: what is asked for is what is done, recorded, resumed and written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.torch
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, root_mean_squared_error

from liquidtorch import load, record, report, run, train
from liquidtorch.errors import DataError, FormatError, OptionError, StateError
from liquidtorch.run.evaluate import verdict
from liquidtorch.run.options import field_kinds

FAST: dict[str, Any] = {"units": 4, "epochs": 2, "batch": 8}


def table(path: Path, series: int = 12, rows: int = 15) -> Path:
    """Write waves with irregular times, a gap, a category, and a target of every kind."""
    rng = np.random.default_rng(3)
    time = np.cumsum(rng.uniform(0.5, 1.5, (series, rows)), axis=1)
    wave = np.sin(time + rng.uniform(0, 6, (series, 1)))
    frame = pl.DataFrame(
        {
            "id": np.repeat(np.arange(100, 100 + series), rows),
            "t": time.ravel(),
            "x": wave.ravel(),
            "room": np.tile(["hall", "cellar", "hall"], series * rows)[: series * rows],
            "step_class": np.where(wave.ravel() > 0, "high", "low"),
            "step_value": 3 * wave.ravel() + 20,
            "class": np.repeat(np.where(np.arange(series) % 2, "odd", "even"), rows),
            "value": np.repeat(rng.normal(size=series), rows),
        }
    ).with_columns(x=pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise(pl.col("x")))
    frame.write_csv(path)
    return path


def options(path: Path, out: Path, target: str, **given: Any) -> run.Options:
    usual = {"table": str(path), "series": "id", "time": "t", "features": "x,room", "out": str(out), **FAST}
    return run.resolve({**usual, "target": target, **given})


def lines(out: Path, kind: str) -> list[dict[str, Any]]:
    return [line for line in record.read(out / "record.jsonl") if line["kind"] == kind]


def test_defaults_then_file_then_command_line(tmp_path: Path) -> None:
    config = tmp_path / "a.yaml"
    config.write_text("table: a.csv\ntarget: [u, v]\nunits: 8\ntime-limit: 60\nlr: 1e-2\n")
    found = run.resolve({"units": "16", "body": None}, config)
    assert (found.units, found.target, found.time_limit, found.lr) == (16, ("u", "v"), 60.0, 0.01)
    assert found.body == "liquid"
    toml = tmp_path / "a.toml"
    toml.write_text('table = "a.csv"\nquantiles = [0.1, 0.9]\n')
    assert run.resolve({}, toml).quantiles == (0.1, 0.9)
    assert run.resolve({}, toml) == run.resolve({"table": "a.csv", "quantiles": "0.1, 0.9"})


def test_the_resolved_options_make_the_same_options_again() -> None:
    found = run.resolve({"table": "a.csv", "target": "u,v", "quantiles": "0.5", "lr": "0.1", "window": "9"})
    assert run.resolve(json.loads(json.dumps(found.to_json()))) == found
    numpys = run.Options(table="a.csv", units=np.int64(8), seed=np.uint32(3))  # type: ignore[arg-type]
    assert run.resolve(json.loads(json.dumps(numpys.to_json()))) == numpys
    assert set(field_kinds()) == {f.name for f in dataclasses.fields(run.Options)}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"tabel": "x"}, r"must hold known options; got 'tabel'. Did you mean 'table'\?"),
        ({"units": "many"}, "`units` must be a whole number; got 'many'."),
        ({"units": 3.5}, "`units` must be a whole number; got 3.5."),
        ({"units": True}, "`units` must be a whole number; got True."),
        ({"units": 0}, "`units` must be a whole number at least 1; got 0."),
        ({"lr": "fast"}, "`lr` must be a number; got 'fast'."),
        ({"lr": -1}, "`lr` must be a number above 0; got -1.0."),
        ({"body": "liqid"}, r"`body` must be one of .*; got 'liqid'. Did you mean 'liquid'\?"),
        ({"task": "clasify"}, r"`task` must be one of .*Did you mean 'classify'\?"),
        ({"split": "rows"}, "`split` must be one of 'auto', 'series', 'time'; got 'rows'."),
        ({"quantiles": "0.5,2"}, "`quantiles` must be numbers between 0 and 1; got 2. The median is 0.5."),
        ({"target": "u,u"}, "`target` must name different columns; got u, u."),
        ({"target": "u", "time": "u"}, "`target` and `features` must be other columns than `time`; got 'u' for both."),
        ({"series": "u", "time": "u"}, "`series` and `time` must be different columns; got 'u' for both."),
        ({"table": ""}, "`table` must be a file or the name of a bundled data set; got ''. Name a table."),
        ({"series": 3}, "`series` must be a text; got 3."),
        ({"test_part": 0.7}, "`test_part` must be a number above 0 and at most 0.5; got 0.7."),
        ({"time_limit": 0}, "`time_limit` must be a number above 0; got 0.0."),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        run.resolve({"table": "a.csv", **given})


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.yaml", "- 1\n- 2\n", "`config` must hold `option: value` pairs; got a list"),
        ("a.yaml", "a: [1,\n", "`config` must be YAML; got"),
        ("a.yaml", "a: !!python/object/apply:os.getcwd []\n", "`config` must be YAML; got"),
        ("a.toml", "a = = 1", "`config` must be TOML; got"),
        ("a.ini", "a=1", "`config` must be one of '.yaml', '.yml', '.toml'; got '.ini'."),
        ("a.yaml", "unit: s\nunitz: 3\n", r"got 'unitz'. Did you mean 'unit'\?"),
        (None, "", "`config` must be a readable file; got"),
    ],
)
def test_a_wrong_config_file_is_refused(tmp_path: Path, name: str | None, content: str, text: str) -> None:
    path = tmp_path / (name or "absent.yaml")
    if name:
        path.write_text(content)
    with pytest.raises(OptionError, match=text):
        run.resolve({"table": "a.csv"}, path)


CASES = {
    "classify": ("class", {}),
    "classify_steps": ("step_class", {}),
    "regress": ("value", {}),
    "regress_steps": ("step_value", {}),
    "forecast": ("x,step_value", {"horizon": "2", "quantiles": "0.1,0.9"}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], Path]]:
    """Fit every task once; the tests below look at what came of it."""
    home = tmp_path_factory.mktemp("runs")
    path = table(home / "waves.csv")
    found = {}
    for kind, (target, given) in CASES.items():
        out = home / kind
        found[kind] = (run.fit(options(path, out, target, **given)), out)
    return found


@pytest.mark.parametrize("kind", CASES)
def test_a_fit_is_recorded_whole(runs: dict[str, tuple[dict[str, Any], Path]], kind: str) -> None:
    found, out = runs[kind]
    assert found["task"] == kind
    assert found["metric"] == ("accuracy" if kind.startswith("classify") else "rmse")
    kinds = [line["kind"] for line in record.read(out / "record.jsonl")]
    assert kinds[:4] == ["run", "data", "task", "model"]
    assert kinds[-3:] == ["verdict", "examples", "end"]
    assert kinds.count("epoch") == 2
    assert kinds.count("score") == 1 + len(found["baselines"])
    (first,) = lines(out, "run")
    assert first["options"] == json.loads((out / "config.json").read_text())["options"]
    assert first["environment"].keys() == {"python", "torch", "platform", "cpu", "threads"}
    (data,) = lines(out, "data")
    parts = data["split"]
    assert sum(parts[p]["rows"] for p in ("train", "valid", "test")) == data["card"]["rows"] == 180
    scores = lines(out, "score")
    assert scores[0]["model"] == "liquid"
    assert scores[0]["score"] == found["score"]
    assert {s["model"]: s["score"] for s in scores[1:]} == found["baselines"]
    for s in scores:
        assert s["low"] <= s["score"] <= s["high"] or s["low"] == pytest.approx(s["high"])
        assert s["metrics"][found["metric"]] == s["score"]
    assert len(lines(out, "model_end")[0]["tau"]) == 4
    assert report.write(out).stat().st_size < 300_000
    assert {p.name for p in out.iterdir()} >= {"config.json", "model", "predictions.csv", "record.jsonl"}


def truth_of(found: pl.DataFrame, path: Path, column: str) -> np.ndarray:
    keys = [k for k in ("id", "t") if k in found.columns]
    joined = found.join(pl.read_csv(path).unique(keys, maintain_order=True), on=keys, how="left", maintain_order="left")
    return joined[column].to_numpy()


@pytest.mark.parametrize("kind", ["classify", "classify_steps", "regress", "regress_steps"])
def test_the_score_is_that_of_the_predictions(runs: dict[str, tuple[dict[str, Any], Path]], kind: str) -> None:
    found, out = runs[kind]
    frame = pl.read_csv(out / "predictions.csv")
    truth = truth_of(frame, out.parent / "waves.csv", CASES[kind][0])
    said = frame["prediction"].to_numpy()
    oracle = accuracy_score if kind.startswith("classify") else root_mean_squared_error
    assert found["score"] == pytest.approx(oracle(truth, said), rel=1e-6)
    (seen,) = lines(out, "examples")
    if kind.startswith("classify"):
        (matrix,) = seen["confusion"]
        assert matrix["matrix"] == confusion_matrix(truth, said, labels=matrix["classes"]).tolist()
    else:
        assert len(seen["residuals"][0]["truth"]) == len(truth)


def test_a_forecast_stands_beside_its_row(runs: dict[str, tuple[dict[str, Any], Path]]) -> None:
    found, out = runs["forecast"]
    frame = pl.read_csv(out / "predictions.csv")
    own = [f"{c}_{t}_h{h}" for h in (1, 2) for t in ("x", "step_value") for c in ("prediction", "q10", "q90")]
    assert frame.columns == ["id", "t", *own]
    truth = pl.read_csv(out.parent / "waves.csv")
    errors = []
    for (name,), part in frame.group_by("id", maintain_order=True):
        rows = truth.filter(pl.col("id") == name)
        assert rows["t"].to_list() == part["t"].to_list()
        for column in ("x", "step_value"):
            for h in (1, 2):
                gap = rows[column].to_numpy()[h:] - part[f"prediction_{column}_h{h}"].to_numpy()[:-h]
                errors += gap[~np.isnan(gap)].tolist()
    assert found["score"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-6)
    assert (frame["q10_x_h1"] <= frame["q90_x_h1"]).all()
    (seen,) = lines(out, "examples")
    panel = seen["series"][0]
    assert panel["low"] is not None
    mine = truth.filter(pl.col("id") == int(panel["name"].split(",")[0]))
    assert panel["target"] == "x"
    np.testing.assert_allclose(panel["time"], mine["t"].to_numpy()[2:], rtol=1e-5)
    known = mine["x"].to_list()[2:]
    assert panel["truth"] == [None if v is None else pytest.approx(v, rel=1e-5) for v in known]
    assert len(panel["truth"]) == len(panel["time"]) == len(panel["high"]) == 13


@pytest.mark.parametrize("kind", CASES)
def test_predict_repeats_what_the_fit_said(
    runs: dict[str, tuple[dict[str, Any], Path]], kind: str, tmp_path: Path
) -> None:
    _, out = runs[kind]
    path = out.parent / "waves.csv"
    whole = 12 if kind in ("classify", "regress") else 180
    frames = []
    for name, read in (("p.csv", pl.read_csv), ("p.parquet", pl.read_parquet), ("p.jsonl", pl.read_ndjson)):
        assert run.predict(out, str(path), tmp_path / name) == whole
        frames.append(read(tmp_path / name))
    assert frames[0].columns == frames[1].columns == frames[2].columns
    assert frames[1]["id"].dtype == pl.Int64
    assert frames[0]["id"].to_list() == frames[2]["id"].to_list() == frames[1]["id"].to_list()
    test = pl.read_csv(out / "predictions.csv")
    keys = [k for k in ("id", "t") if k in test.columns]
    again = test.select(keys).join(frames[0], on=keys, how="left", maintain_order="left")
    for name in test.columns:
        if test[name].dtype == pl.Float64:
            np.testing.assert_allclose(again[name].to_numpy(), test[name].to_numpy(), rtol=1e-5, atol=1e-6)
        else:
            assert again[name].to_list() == test[name].to_list()
    if kind.startswith("classify"):
        chances = frames[1].select(c for c in frames[1].columns if c.startswith("p_")).to_numpy()
        np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)


def test_predict_needs_no_target_and_keeps_the_order_of_rows(
    runs: dict[str, tuple[dict[str, Any], Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = runs["regress_steps"]
    frame = pl.read_csv(out.parent / "waves.csv").sort("t", "id").drop("step_value")
    frame.write_parquet(tmp_path / "mixed.parquet")
    assert run.predict(out, str(tmp_path / "mixed.parquet"), "-") == 180
    found = pl.read_csv(capsys.readouterr().out.encode())
    assert found["t"].to_list() == frame["t"].to_list()
    assert found["id"].to_list() == frame["id"].to_list()
    with pytest.raises(OptionError, match=r"`out` must end in .csv, .parquet or .jsonl; got 'a.xlsx'."):
        run.predict(out, str(tmp_path / "mixed.parquet"), "a.xlsx")


def test_one_seed_fixes_everything(runs: dict[str, tuple[dict[str, Any], Path]], tmp_path: Path) -> None:
    found, out = runs["regress"]
    again = run.fit(options(out.parent / "waves.csv", tmp_path / "again", "value"))
    assert again["score"] == found["score"]
    assert again["baselines"] == found["baselines"]
    other = run.fit(options(out.parent / "waves.csv", tmp_path / "other", "value", seed=1))
    assert other["score"] != found["score"]


def test_a_test_table_of_its_own(tmp_path: Path) -> None:
    learn, ask = table(tmp_path / "a.csv"), table(tmp_path / "b.csv", series=5)
    found = run.fit(options(learn, tmp_path / "run", "class", test=str(ask)))
    (data,) = lines(tmp_path / "run", "data")
    assert data["split"]["test"] == {"series": 5, "rows": 75}
    assert data["split"]["train"]["series"] + data["split"]["valid"]["series"] == 12
    assert pl.read_csv(tmp_path / "run" / "predictions.csv").height == 5
    assert found["scores"][0]["score"] * 5 == pytest.approx(round(found["scores"][0]["score"] * 5))


def test_the_first_free_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = table(tmp_path / "my waves.v2.csv")
    given = {**FAST, "epochs": 1, "table": path.name, "series": "id", "target": "class", "features": "x"}
    assert [run.fit(run.resolve(given))["run"] for _ in range(2)] == ["runs/my-waves-1", "runs/my-waves-2"]


def stop_after(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the record raise KeyboardInterrupt when the line of this epoch has been written."""
    write = record.Record.write

    def interrupted(self: record.Record, kind: str, **fields: Any) -> None:
        write(self, kind, **fields)
        if kind == "epoch" and fields["epoch"] == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(record.Record, "write", interrupted)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "waves.csv")
    whole = run.fit(options(path, tmp_path / "whole", "step_value", epochs=4))
    out = tmp_path / "cut"
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(
            KeyboardInterrupt, match=r"interrupted after epoch 2; continue with: liquid fit --resume --out"
        ):
            run.fit(options(path, out, "step_value", epochs=4))
    assert not (out / "model").exists()
    assert report.write(out).exists()
    with pytest.raises(OptionError, match=r"`units` must be 4, as when the run began; got 5. Leave it out"):
        run.resume(out, {"units": "5"})
    with pytest.raises(OptionError, match=r"`out` must be a new folder; got .*Continue it with --resume"):
        run.fit(options(path, out, "step_value"))
    found = run.resume(out, {"units": "4"})
    assert found["score"] == whole["score"]
    weights = [safetensors.torch.load_file(tmp_path / n / "model" / "model.safetensors") for n in ("whole", "cut")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    with pytest.raises(StateError, match=r"`out` must be an interrupted run; .* is complete"):
        run.resume(out)
    with pytest.raises(FormatError, match=r"must be a run; it has no config.json"):
        run.resume(tmp_path)


def test_a_run_is_not_resumed_on_another_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "waves.csv")
    stop_after(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run.fit(options(path, tmp_path / "cut", "class"))
    path.write_text(path.read_text().replace("hall", "yard"))
    with pytest.raises(DataError, match=r"must be the table the run began with; it has changed. Start a new run."):
        run.resume(tmp_path / "cut")
    path.unlink()
    with pytest.raises(DataError, match="there is no such file"):
        run.resume(tmp_path / "cut")


def test_the_time_limit_bounds_network_and_gru_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []
    fit = train.fit

    def watched(*args: Any, **kwargs: Any) -> Any:
        limits.append(args[4].time_limit)
        return fit(*args, **kwargs)

    monkeypatch.setattr("liquidtorch.run.job.fit", watched)
    monkeypatch.setattr("liquidtorch.baselines.fit", watched)
    path = table(tmp_path / "waves.csv")
    given = {"epochs": 10_000, "patience": 10_000, "time_limit": 4}
    run.fit(options(path, tmp_path / "run", "step_value", **given))
    assert limits[0] == limits[1]
    assert 1 < limits[0] < 1.8
    (end,) = lines(tmp_path / "run", "end")
    assert end["seconds"] < 8
    assert [line["name"] for line in lines(tmp_path / "run", "event")] == ["time_limit"]


def test_nothing_is_left_of_a_run_that_could_not_begin(tmp_path: Path) -> None:
    path = table(tmp_path / "waves.csv")
    for given in ({"window": "1"}, {"device": "cuda:99"}, {"wiring": "fulll"}, {"target": "class", "window": "5"}):
        with pytest.raises(OptionError):
            run.fit(options(path, tmp_path / "run", **{"target": "step_value", **given}))
        assert [p.name for p in tmp_path.iterdir()] == ["waves.csv"]


def test_the_verdict_is_the_interval_of_the_difference() -> None:
    from liquidtorch.baselines import Answer
    from liquidtorch.task import Task
    from liquidtorch.train import Prediction

    rng = np.random.default_rng(0)
    truth = rng.normal(size=(400, 1))
    noise = rng.normal(size=(400, 1))

    def answer(name: str, size: float) -> Answer:
        return Answer(name, Prediction(truth + size * noise), None, 0.0)

    task, groups = Task("regress", ("y",)), np.arange(400)
    rivals = [answer("far", 3.0), answer("near", 1.0)]
    better = verdict(task, truth, answer("liquid", 0.5), rivals, groups)
    assert (better["best_baseline"], better["better"]) == ("near", True)
    assert better["low"] < better["difference"] < better["high"] < 0
    assert better["text"].startswith("The network (rmse 0.")
    assert verdict(task, truth, answer("liquid", 2.0), rivals, groups)["better"] is False
    assert verdict(task, truth, answer("liquid", 1.0), rivals, groups)["better"] is None
    codes = (truth > 0).astype(float)
    classes = Task("classify", ("y",), ((0, 1),))
    wrong = np.where(np.arange(400)[:, None] % 4 == 0, 1 - codes, codes)
    right, half = Answer("liquid", Prediction(codes), None, 0.0), Answer("half", Prediction(wrong), None, 0.0)
    assert verdict(classes, codes, right, [half], groups)["better"] is True
    assert verdict(classes, codes, half, [right], groups)["better"] is False


def test_the_model_of_a_run_is_the_network(runs: dict[str, tuple[dict[str, Any], Path]]) -> None:
    _, out = runs["forecast"]
    network = load(out / "model")
    assert network.task.horizon == 2
    assert network.describe()["units"] == 4
