"""The bundled sets are there, small, as they are described, and can be read without a word of help."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liquidtorch import datasets
from liquidtorch.data import from_table, read_table
from liquidtorch.errors import OptionError
from liquidtorch.task import infer


@pytest.mark.parametrize("name", datasets.names())
def test_each_set_is_as_described(name: str):
    about = datasets.about(name)
    frame = read_table(datasets.path(name))
    assert about["rows"] == frame.height
    assert about["columns"] == ", ".join(frame.columns)
    assert about["bytes"] == Path(about["path"]).stat().st_size < 1.2e6
    readme = (datasets.path(name).parent / "README.md").read_text()
    assert about["file"] in readme
    assert about["licence"] in readme
    for word in ("title", "source", "citation", "note", "options"):
        assert len(about[word]) > 10


def test_an_unknown_set_is_refused():
    with pytest.raises(OptionError, match=r"`name` must be one of 'cheetah', .*; got 'cheeta'\. Did you mean"):
        datasets.path("cheeta")


def test_the_cheetah_is_irregular_and_its_velocities_fit_its_positions():
    seqs = from_table(datasets.cheetah(), series="trace", time="t", forecast=True)
    assert (len(seqs), seqs.lengths.tolist(), len(seqs.features)) == (25, [900] * 25, 17)
    assert sorted(set(seqs.dt.round(6))) == [0.05, 0.1]
    assert (seqs.dt > 0.07).sum() == 25 * 99
    assert tuple(f.name for f in seqs.features) == datasets.CHEETAH_READINGS
    assert infer(seqs, horizon=1)[0].outputs == 17
    inner = np.diff(seqs.series_of_row, prepend=-1) == 0
    moved = np.diff(seqs.values, axis=0, prepend=np.nan)[inner]
    mean = ((seqs.values[1:] + seqs.values[:-1]) / 2)[inner[1:]]
    names = datasets.CHEETAH_READINGS
    for position in names[:8]:
        fits = [abs(np.corrcoef(moved[:, names.index(position)], mean[:, j])[0, 1]) for j in range(8, 17)]
        assert names[8 + int(np.argmax(fits))] == f"{position}_velocity"


def test_one_rule_gives_99_percent_of_occupancy():
    train_file, test_file = datasets.occupancy()
    train = from_table(train_file, target="Occupancy", time="date", unit="min")
    test = from_table(test_file, like=train.schema())
    assert infer(train)[0].kind == "classify_steps"
    assert (train.rows, test.rows, train.median_dt) == (8143, 12417, 1.0)
    light = [f.name for f in test.features].index("Light")
    right = (test.values[:, light] > 365) == test.target[:, 0]
    assert round(right.mean(), 4) == 0.99
