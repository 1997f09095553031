"""Whatever is wrong with the input: exit code 2, one line that says what and where, nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liquidtorch import cli

HEADER = "id,t,x,y"
GOOD = [
    f"s{i},{t},{(i * 7 + t * 3) % 5 / 2 + 0.25},{'up' if (i + t) % 3 else 'down'}" for i in range(12) for t in range(8)
]
USUAL = ["--target", "y", "--series", "id", "--time", "t", "--units", "4", "--epochs", "1"]


def edited(row: int, line: str) -> str:
    """Return the good table with one row (from 1) put differently."""
    rows = [*GOOD]
    rows[row - 1] = line
    return "\n".join([HEADER, *rows]) + "\n"


def refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command; return its one line of complaint."""
    assert cli.main(given) == 2
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if not line.startswith(("task: ", "split ", "network: "))]
    assert len(lines) == 1
    assert said.out == ""
    assert lines[0].startswith("error: ")
    return lines[0]


TABLES = {
    "empty file": ("", USUAL, "must be a table; it is empty (0 bytes)."),
    "header only": (HEADER + "\n", USUAL, "must have at least one row; it has only a header."),
    "not a table": ("\0\1\2binary\0", USUAL, "must be a table; it is binary, not text"),
    "unknown target": (
        edited(1, GOOD[0]),
        ["--target", "why"],
        "`why` must be a column of the table; it has 'id', 't'",
    ),
    "nearest name": (
        edited(1, GOOD[0]),
        ["--target", "y", "--series", "idd"],
        "`idd` must be a column of the table; it has 'id', 't', 'x', 'y'. Did you mean 'id'?",
    ),
    "unknown time": (edited(1, GOOD[0]), ["--target", "y", "--time", "tt"], "`tt` must be a column of the table"),
    "unknown feature": (edited(1, GOOD[0]), [*USUAL, "--features", "z"], "`z` must be a column of the table"),
    "time not increasing": (
        edited(4, "s0,1.5,1,up"),
        USUAL,
        "`t` must increase within a series; got 1.5 after 2.0 (row 4, series s0). Sort the table by id and t.",
    ),
    "duplicate times": (
        edited(11, "s1,1,1,up"),
        USUAL,
        "`t` must increase within a series; got 1 twice (row 11, series s1). Drop the repeated rows",
    ),
    "series forgotten": (
        edited(1, GOOD[0]),
        ["--target", "y", "--time", "t"],
        "`t` must increase within a series; got 0 after 7 (row 9). Sort the table by time, or name the column that",
    ),
    "time is text": (edited(2, "s0,noon,1,up"), USUAL, "`t` must hold numbers or date-times to be a time; got '"),
    "NaN target": (
        edited(5, "s0,4,nan,up"),
        ["--target", "x", "--series", "id", "--time", "t", "--features", "y"],
        "`x` must be finite to be a target; got nan in row 5",
    ),
    "infinite target": (
        edited(6, "s0,5,inf,up"),
        ["--target", "x", "--series", "id", "--time", "t", "--features", "y"],
        "`x` must be finite to be a target; got inf in row 6",
    ),
    "target without a class": (edited(7, "s0,6,1,"), USUAL, "`y` must have a class in every row; row 7 has none."),
    "one class only": (
        edited(1, GOOD[0]).replace("down", "up"),
        USUAL,
        "`y` must have at least two classes to learn; got only 'up'.",
    ),
    "shorter than the horizon": (
        edited(1, GOOD[0]),
        ["--target", "x", "--series", "id", "--time", "t", "--horizon", "8"],
        "`horizon` must be below the length of every series; got 8 and series s0 of 8 rows",
    ),
    "text in a numeric column": (
        edited(9, "s1,0,broken,up"),
        USUAL,
        "`x` must be numbers; got 'broken' in row 9 (1 such row).",
    ),
    "infinite feature": (edited(9, "s1,0,inf,up"), USUAL, "`x` must be finite or missing; got inf in row 9."),
    "task against the target": (
        edited(1, GOOD[0]),
        [*USUAL, "--task", "regress_steps"],
        "`y` must be numbers to be predicted as a number; got '",
    ),
    "no target": (edited(1, GOOD[0]), ["--series", "id"], "`target` must name a column to predict; got none."),
    "no features": (edited(1, GOOD[0]), [*USUAL, "--features", "y"], "`y` must be a feature or a target, not both"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_bad_table_is_refused_in_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, given, text = TABLES[case]
    path = tmp_path / "data.csv"
    path.write_text(content)
    said = refused(["fit", str(path), *given, "--out", str(tmp_path / "run")], capsys)
    assert text in said
    assert [p.name for p in tmp_path.iterdir()] == ["data.csv"]


def test_the_good_table_is_good(tmp_path: Path) -> None:
    """Otherwise every refusal above could have another reason."""
    path = tmp_path / "data.csv"
    path.write_text(edited(1, GOOD[0]))
    assert cli.main(["fit", str(path), *USUAL, "--out", str(tmp_path / "run")]) == 0


def test_a_missing_file_and_a_wrong_suffix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text(edited(1, GOOD[0]))
    Path("data.xlsx").write_text("PK")
    assert "`dat.csv` must be a table; there is no such file. Did you mean 'data.csv'?" in refused(
        ["fit", "dat.csv", *USUAL], capsys
    )
    assert "must end in one of .csv" in refused(["fit", "data.xlsx", *USUAL], capsys)
    assert "must be a table; it is a folder" in refused(["fit", ".", *USUAL], capsys)
    assert "`table` must be one of '@cheetah'" in refused(["fit", "@cheeta", *USUAL], capsys)
    assert "`test` must be one of '@cheetah'" in refused(["fit", "data.csv", *USUAL, "--test", "@x"], capsys)
    assert "`none.csv` must be a table" in refused(["fit", "data.csv", *USUAL, "--test", "none.csv"], capsys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.csv", "data.xlsx"]


def test_a_folder_that_cannot_be_made_or_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data.csv"
    path.write_text(edited(1, GOOD[0]))
    under_a_file = path / "run"  # refused for everybody, even for an administrator
    assert "must be in a folder that can be written" in refused(
        ["fit", str(path), *USUAL, "--out", str(under_a_file)], capsys
    )
    there = tmp_path / "run"
    there.mkdir()
    (there / "mine.txt").write_text("keep")
    said = refused(["fit", str(path), *USUAL, "--out", str(there)], capsys)
    assert "`out` must be a new folder; got" in said
    assert said.endswith("which exists. Choose another name.")
    assert (there / "mine.txt").read_text() == "keep"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.csv", "run"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("fitted")
    (home / "data.csv").write_text(edited(1, GOOD[0]))
    assert cli.main(["fit", str(home / "data.csv"), *USUAL, "--out", str(home / "run")]) == 0
    return home / "run"


def newer(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "schema": 99}))


def cut_weights(model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def cut_config(model: Path) -> None:
    config = model / "config.json"
    config.write_text(config.read_text()[:-40])


def no_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (newer, "must be a network of schema 1 or older; got 99"),
        (cut_weights, "must hold weights; it cannot be read"),
        (cut_config, "must be a saved network; it cannot be read"),
        (no_weights, "must be a saved network; it has no model.safetensors."),
    ],
)
def test_a_spoiled_model_is_refused(
    fitted: Path, spoil: Callable[[Path], None], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "run" / "model"
    model.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (model / name).write_bytes((fitted / "model" / name).read_bytes())
    spoil(model)
    out = tmp_path / "p.csv"
    assert text in refused(["predict", str(model.parent), str(fitted.parent / "data.csv"), "--out", str(out)], capsys)
    assert not out.exists()


def test_predict_refuses_tables_that_do_not_fit(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "data.csv", tmp_path / "p.csv"
    out.write_text("old")
    cases = {
        edited(1, GOOD[0]).replace(HEADER, "id,t,z,y"): "`x` must be a column of the table",
        edited(9, "s1,0,broken,up"): "`x` must be numbers; got 'broken' in row 9",
        edited(11, "s1,1,1,up"): "`t` must increase within a series; got 1 twice",
    }
    for content, text in cases.items():
        path.write_text(content)
        assert text in refused(["predict", str(fitted), str(path), "--out", str(out)], capsys)
    path.write_text(edited(1, GOOD[0]))
    assert "`out` must end in" in refused(["predict", str(fitted), str(path), "--out", "p.xls"], capsys)
    assert "must be in a folder that can be written" in refused(
        ["predict", str(fitted), str(path), "--out", str(path / "p.csv")], capsys
    )
    assert "must be a saved network; it has no config.json" in refused(["predict", str(tmp_path), str(path)], capsys)
    assert "must be a run's record" in refused(["report", str(tmp_path)], capsys)
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.csv", "p.csv"]


def test_a_record_of_a_newer_version_is_refused(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "record.jsonl").write_text('{"kind": "run", "schema": 99}\n')
    assert "must be of schema 1 or older; got 99" in refused(["report", str(tmp_path)], capsys)
    config = json.loads((fitted / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "schema": 99}))
    assert "must be a run of schema 1 or older; got 99" in refused(["fit", "--resume", "--out", str(tmp_path)], capsys)
