"""Tables: every format read alike, time in every spelling, categories, `like`, and one line for each bad table."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquidtorch.data import Feature, from_table, read_table
from liquidtorch.errors import DataError, OptionError

FRAME = pl.DataFrame(
    {
        "id": ["a", "a", "b", "b", "b"],
        "t": [0.0, 1.5, 0.0, 1.0, 4.0],
        "x": [1.0, None, 3.0, 4.5, -2.0],
        "k": ["u", "v", None, "u", "u"],
        "y": [0.1, 0.2, 0.3, 0.4, 0.5],
    }
)
WRITERS = {
    "t.csv": lambda f, p: f.write_csv(p),
    "t.txt": lambda f, p: f.write_csv(p, separator="|"),
    "t.tsv": lambda f, p: f.write_csv(p, separator="\t"),
    "semicolon.csv": lambda f, p: f.write_csv(p, separator=";"),
    "t.csv.gz": lambda f, p: p.write_bytes(gzip.compress(f.write_csv().encode())),
    "t.jsonl": lambda f, p: f.write_ndjson(p),
    "t.ndjson": lambda f, p: f.write_ndjson(p),
    "t.json": lambda f, p: f.write_json(p),
    "t.parquet": lambda f, p: f.write_parquet(p),
    "t.arrow": lambda f, p: f.write_ipc(p),
    "t.feather": lambda f, p: f.write_ipc(p, compression="zstd"),
    "t.ipc": lambda f, p: f.write_ipc(p),
}


def assert_same(a, b) -> None:
    assert a.features == b.features
    assert a.targets == b.targets
    assert a.names.tolist() == b.names.tolist()
    for name in ("values", "offsets", "dt", "target", "source"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_sequences(tmp_path: Path, name: str):
    WRITERS[name](FRAME, tmp_path / name)
    read = from_table(tmp_path / name, target="y", series="id", time="t")
    assert_same(read, from_table(FRAME, target="y", series="id", time="t"))
    assert read.features == (Feature("x"), Feature("k", "category", ("u", "v")))
    np.testing.assert_array_equal(read.values, [[1, 0], [np.nan, 1], [3, np.nan], [4.5, 0], [-2, 0]])
    assert read.dt.tolist() == [1.5, 1.5, 1.5, 1.0, 3.0]


@pytest.mark.parametrize("convert", [FRAME.to_pandas, FRAME.to_arrow, FRAME.lazy, FRAME.clone])
def test_every_dataframe_gives_the_same_sequences(convert):
    assert_same(
        from_table(convert(), target="y", series="id", time="t"), from_table(FRAME, target="y", series="id", time="t")
    )


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_what_a_csv_may_look_like(tmp_path: Path):
    for text in (b"\xef\xbb\xbfa,b\n1,x\n", b"a, b\r\n1,x\r\n", b'"a","b"\n1,"x"\n'):
        assert read_table(write(tmp_path / "t.csv", text)).to_dicts() == [{"a": 1, "b": "x"}]
    odd = read_table(write(tmp_path / "t.csv", '"a,1",b\n"two\nlines",2\n'))
    assert odd.to_dicts() == [{"a,1": "two\nlines", "b": 2}]


def test_types_are_those_of_all_rows_and_names_stay_names(tmp_path: Path):
    text = "whole,real,flag,word,name\n1,1.5,true,x,07\n2,0.5,FALSE,1,10\n"
    found = read_table(write(tmp_path / "t.csv", text))
    assert found.dtypes == [pl.Int64, pl.Float64, pl.Boolean, pl.String, pl.String]
    late = "a\n" + "1\n" * 5000 + "2.5\n"  # a reader that looks at the first rows only would say whole numbers
    assert read_table(write(tmp_path / "t.csv", late))["a"].sum() == 5002.5


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "nan", "null", "NULL", "?"])
def test_the_spellings_of_a_missing_value(tmp_path: Path, missing: str):
    seqs = from_table(write(tmp_path / "t.csv", f"x,k,y\n1,u,0.5\n{missing},{missing},1.5\n2,v,2.5\n"), target="y")
    np.testing.assert_array_equal(seqs.values, [[1, 0], [np.nan, np.nan], [2, 1]])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(-1e9, 1e9) | st.none(), st.sampled_from(["u", "v", "w"])),
        min_size=2,
        max_size=30,
    )
)
def test_rows_find_their_series_and_keep_their_order(rows: list[tuple[str, float | None, str]]):
    frame = pl.DataFrame(rows, schema={"id": pl.String, "x": pl.Float64, "k": pl.String}, orient="row")
    frame = frame.with_columns(t=pl.int_range(len(rows)), y=pl.int_range(len(rows)) * 0.5)
    frame = frame.with_columns(x=pl.when(pl.col("x").is_null().all()).then(0.0).otherwise("x"))
    seqs = from_table(frame, target="y", series="id", time="t", level="step")
    assert seqs.names.tolist() == list(dict.fromkeys(r[0] for r in rows))
    assert sorted(seqs.source.tolist()) == list(range(len(rows)))
    for i, name in enumerate(seqs.names):
        one, mine = seqs.series(i), frame.filter(pl.col("id") == name)
        np.testing.assert_array_equal(one.values[:, 0], mine["x"].cast(pl.Float64).to_numpy())
        assert [seqs.features[1].vocabulary[int(c)] for c in one.values[:, 1]] == mine["k"].to_list()
        assert one.target[:, 0].tolist() == mine["y"].to_list()
        assert one.stamps.tolist() == mine["t"].to_list()


def timed(times: object, unit: str = "s"):
    return from_table(pl.DataFrame({"t": times, "x": [1, 2], "y": [0.5, 1]}), target="y", time="t", unit=unit)


@pytest.mark.parametrize(
    ("times", "hours"),
    [
        (["2020-01-01", "2020-01-02"], 24),
        (["2020/02/28", "2020/03/01"], 48),
        (["2020-01-01 00:00:00", "2020-01-01 00:00:09"], 9 / 3600),
        (["2020-01-01 00:00:00.25", "2020-01-01 00:00:01"], 0.75 / 3600),
        (["2020-01-01T10:00", "2020-01-01T10:30"], 0.5),
        (["2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z"], 1),
        (["2020-01-01 00:00:00+02:00", "2020-01-01 00:00:00 +0100"], 1),
        (["31.01.2020 10:00", "01.02.2020 10:00"], 24),
        (["13/02/2020", "14/02/2020"], 24),
        (["02/13/2020", "03/01/2020"], 17 * 24),
        (["20200131", "20200201"], 24),
        ([20200131, 20200201], 24),
    ],
)
def test_date_times_in_every_spelling(times: list[str], hours: float):
    seqs = timed(times, "h")
    np.testing.assert_allclose(seqs.time, [0, hours], rtol=1e-12)
    np.testing.assert_allclose(seqs.dt, [hours, hours], rtol=1e-12)
    assert seqs.stamps.tolist() == times


@pytest.mark.parametrize(
    ("unit", "length"), [("ns", 1e9), ("us", 1e6), ("ms", 1e3), ("s", 1), ("min", 1 / 60), ("h", 1 / 3600)]
)
@pytest.mark.parametrize(
    "kind", [pl.Datetime("ns"), pl.Datetime("us"), pl.Datetime("ms"), pl.Datetime("us", "Asia/Tokyo")]
)
def test_date_times_in_every_unit(unit: str, length: float, kind: pl.DataType):
    times = (pl.Series([1_600_000_000, 1_600_000_007]) * 1000).cast(pl.Datetime("ms")).cast(pl.Datetime(kind.time_unit))
    if kind.time_zone:
        times = times.dt.replace_time_zone(kind.time_zone)
    np.testing.assert_allclose(timed(times, unit).dt, 7 * length, rtol=1e-12)


def test_a_nanosecond_after_fifty_years_is_still_a_nanosecond():
    assert timed([1_700_000_000_000_000_000, 1_700_000_000_000_000_001]).dt.tolist() == [1, 1]
    assert timed(["2023-01-01 00:00:00.123456789", "2023-01-01 00:00:00.123456790"], "ns").dt.tolist() == [1, 1]


def test_stamps_with_a_zone_are_text_and_others_numpys():
    naive = pl.Series(["2020-01-01 10:00:00", "2020-01-01 11:00:00"]).str.to_datetime()
    assert timed(naive).stamps.dtype.kind == "M"
    zoned = timed(naive.dt.replace_time_zone("Europe/Vienna"))
    assert zoned.stamps.tolist() == ["2020-01-01T10:00:00+01:00", "2020-01-01T11:00:00+01:00"]
    assert timed(pl.Series([1, 2], dtype=pl.Int32).cast(pl.Duration("ms"))).dt.tolist() == [0.001, 0.001]


def test_the_level_is_the_series_where_the_target_is_constant_there():
    frame = FRAME.with_columns(y=pl.Series([1.5, 1.5, 2.5, 2.5, 2.5]))
    seqs = from_table(frame, target="y", series="id", time="t")
    assert (seqs.level, seqs.target.tolist()) == ("series", [[1.5], [2.5]])
    assert from_table(frame, target="y", series="id", level="step").target.shape == (5, 1)
    assert from_table(FRAME, target="y", series="id").level == "step"
    assert from_table(frame.head(2), target="y").level == "step"
    with pytest.raises(DataError, match="`y` must be constant within a series to belong to it; it varies in series a"):
        from_table(FRAME, target="y", series="id", level="series")
    with pytest.raises(OptionError, match="`level` must be one of 'step', 'series'; got 'row'"):
        from_table(FRAME, target="y", level="row")


def test_a_forecast_keeps_its_targets_as_features_and_their_gaps():
    seqs = from_table(FRAME.drop("k"), series="id", time="t", forecast=True)
    assert [f.name for f in seqs.targets] == [f.name for f in seqs.features] == ["x", "y"]
    np.testing.assert_array_equal(seqs.target, seqs.values)
    assert np.isnan(seqs.target[1, 0])
    with_words = from_table(FRAME, series="id", time="t", forecast=True)
    assert [f.name for f in with_words.features] == ["x", "k", "y"]
    assert [f.name for f in with_words.targets] == ["x", "y"]
    one = from_table(FRAME, target="x", features=["y"], series="id", forecast=True)
    assert ([f.name for f in one.features], [f.name for f in one.targets]) == (["y", "x"], ["x"])
    again = from_table(FRAME, like=seqs.schema())
    np.testing.assert_array_equal(again.target, seqs.target)
    with pytest.raises(DataError, match="`k` must be numbers to be predicted as a number; got 'u'"):
        from_table(FRAME, target="k", forecast=True)
    with pytest.raises(OptionError, match="`level` must be 'step' to forecast; got 'series'"):
        from_table(FRAME.drop("k"), forecast=True, level="series")


def test_like_reads_another_table_the_same_way():
    train = from_table(FRAME.with_columns(y=pl.Series(list("pqpqp"))), target="y", series="id", time="t", unit="s")
    schema = json.loads(json.dumps(train.schema()))
    new = pl.DataFrame({"k": ["v", "new", "u"], "id": [7, 7, 7], "t": [0, 9, 10], "x": [1, 2, 3], "more": [0, 0, 0]})
    seqs = from_table(new, like=schema)
    assert seqs.features == train.features
    assert seqs.targets == train.targets
    assert seqs.target is None
    np.testing.assert_array_equal(seqs.values, [[1, 1], [2, np.nan], [3, 0]])
    assert seqs.dt.tolist() == [train.median_dt, 9, 1]
    assert from_table(new.with_columns(y=pl.Series(["q", "p", "q"])), like=schema).target.T.tolist() == [[1, 0, 1]]
    assert from_table(new.with_columns(y=pl.lit("z")), like=schema, target=()).target is None
    with pytest.raises(DataError, match=r"`y` must hold classes the model has learned, \['p', 'q'\]; got 'z' in row 1"):
        from_table(new.with_columns(y=pl.lit("z")), like=schema)
    with pytest.raises(DataError, match=r"`x` must be numbers; got 'low' in row 1 \(3 such rows\)"):
        from_table(new.with_columns(x=pl.lit("low")), like=schema)
    with pytest.raises(DataError, match="`x` must be a column of the table; it has 'k', 'id', 't', 'more'"):
        from_table(new.drop("x"), like=schema)
    with pytest.raises(OptionError, match="`series` must be 'id', as in the training data; got 'k'"):
        from_table(new, like=schema, series="k")
    for other in ({"forecast": True}, {"target_kind": "numeric"}):
        with pytest.raises(OptionError, match="`forecast` and `target_kind` must be those of the training data"):
            from_table(new, like=schema, **other)
    with pytest.raises(OptionError, match="`features` must be None when `like` is given"):
        from_table(new, like=schema, features=["x"])
    with pytest.raises(OptionError, match=r"`target` must be \['y'\], what the model has learned; got \['x'\]"):
        from_table(new, like=schema, target="x")
    with pytest.raises(OptionError, match=r"`like` must be the schema\(\) of the training data; it has no 'median_dt'"):
        from_table(new, like={k: v for k, v in schema.items() if k != "median_dt"})


def test_like_keeps_every_kind_of_class():
    for values in ([True, False, True], [0, 1, 1], [2, 5, 2], ["a", "b", "a"], [0.5, 1.5, 1.5]):
        frame = pl.DataFrame({"x": [1, 2, 3], "y": values})
        train = from_table(frame, target="y", target_kind="category")
        assert train.targets[0].vocabulary == tuple(sorted(set(values)))
        back = from_table(frame, like=json.loads(json.dumps(train.schema())))
        np.testing.assert_array_equal(back.target, train.target)


def test_booleans_enums_and_categoricals_are_categories():
    frame = pl.DataFrame({"b": [True, None, False], "e": ["lo", "hi", "lo"], "c": ["u", None, "w"], "y": [0.5, 1, 2]})
    frame = frame.with_columns(pl.col("e").cast(pl.Enum(["lo", "hi"])), pl.col("c").cast(pl.Categorical))
    seqs = from_table(frame, target="y")
    assert [f.vocabulary for f in seqs.features] == [(False, True), ("hi", "lo"), ("u", "w")]
    np.testing.assert_array_equal(seqs.values, [[1, 1, 0], [np.nan, 0, np.nan], [0, 1, 1]])
    again = from_table(frame.with_columns(pl.col("b").cast(pl.String)), like=seqs.schema())
    np.testing.assert_array_equal(again.values, seqs.values)


BAD_FILES = [
    ("nope.csv", None, "must be a table; there is no such file"),
    ("e.csv", "", r"must be a table; it is empty \(0 bytes\)"),
    ("e.parquet", "", r"must be a table; it is empty \(0 bytes\)"),
    ("n.csv", "\n\n", "must be a table; it cannot be read as .csv"),
    ("h.csv", "a,b\n", "must have at least one row; it has only a header"),
    ("b.csv", bytes(range(256)), "must be a table; it is binary, not text"),
    ("b.csv", bytes(range(128, 256)), r"cannot be read as .csv \(invalid utf-8 sequence\). Save it as UTF-8"),
    ("b.parquet", bytes(range(1, 256)), "cannot be read as .parquet"),
    ("b.arrow", bytes(range(1, 256)), "cannot be read as .arrow"),
    ("b.jsonl", bytes(range(1, 256)), "cannot be read as .jsonl"),
    ("b.json", b"[1, 2", "cannot be read as .json"),
    ("b.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-20], "cannot be read as .csv"),
    ("b.xls", "a,b\n", r"must end in one of \.csv .*; got \.xls"),
    ("b", "a,b\n", "must end in one of .*; got no suffix"),
    ("r.csv", "a,b\n1,2\n1,2,3\n", r"\(row 2 has 3 fields, the header 2\)"),
    ("d.csv", "a,b,a\n1,2,3\n", "must have a name of its own for every column; 'a' is there twice. Rename"),
]


@pytest.mark.parametrize(("name", "content", "text"), BAD_FILES)
def test_a_bad_file_gets_one_line(tmp_path: Path, name: str, content: str | bytes | None, text: str):
    path = tmp_path / name
    if content is not None:
        write(path, content)
    with pytest.raises(DataError, match=text) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_folder_is_no_table_and_a_near_name_is_offered(tmp_path: Path):
    with pytest.raises(DataError, match="must be a table; it is a folder"):
        read_table(tmp_path)
    write(tmp_path / "sensors.csv", "a\n1\n")
    with pytest.raises(DataError, match=r"there is no such file. Did you mean 'sensors\.csv'\?"):
        read_table(tmp_path / "sensor.csv")


BAD_TABLES = [
    ({"x": [1, 2], "Occupancy": [0, 1]}, {"target": "ocupancy"}, "`ocupancy` must be a column .* mean 'Occupancy'?"),
    ({"x": [1, 2], "y": [0, 1]}, {"target": "y", "time": "t"}, "`t` must be a column of the table; it has 'x', 'y'"),
    ({"x": [1, 2], "y": [0, 1]}, {"target": "y", "series": "s"}, "`s` must be a column of the table"),
    ({"x": [1, 2], "y": [0, 1]}, {"target": "y", "features": ["z"]}, "`z` must be a column of the table"),
    ({"x": ["1", "2", "abc", "n/a", "5"], "y": [0.5] * 5}, {"target": "y"}, r"`x` must be numbers; got 'abc' in row 3"),
    ({"x": [1, 2], "y": [0.5, float("nan")]}, {"target": "y"}, r"`y` must be finite to be a target; got nan in row 2"),
    ({"x": [1, 2], "y": [0.5, None]}, {"target": "y"}, r"`y` must be finite to be a target; got nan in row 2"),
    ({"x": [1, 2], "y": [float("inf"), 0]}, {"target": "y"}, r"`y` must be finite .* got inf in row 1 \(1 such row\)"),
    ({"x": [1, 2], "y": [float("inf"), 0]}, {"forecast": True}, r"got inf in row 1"),
    ({"x": [1, 2], "y": ["a", None]}, {"target": "y"}, "`y` must have a class in every row; row 2 has none"),
    ({"x": [1.0, float("-inf")], "y": [1.5, 2]}, {"target": "y"}, "`x` must be finite or missing; got -inf in row 2"),
    ({"x": [1, 2], "y": ["a", "b"]}, {"target": "y", "target_kind": "numeric"}, "to be predicted as a number; got 'a'"),
    ({"x": ["1", "2", "x"], "y": ["1", "2", "x"]}, {"target": "y"}, r"must be numbers; got 'x' in row 3"),
    ({"x": [None, None], "y": [1.5, 2]}, {"target": "y"}, "`x` must hold a value somewhere; every row is missing"),
    ({"x": [1, 2], "y": [None, None]}, {"target": "y"}, "`y` must hold a value somewhere; every row is missing"),
    ({"x": [f"n{i}" for i in range(60)], "y": [1.5] * 60}, {"target": "y"}, "60 different values.*Leave it out"),
    ({"x": [f"{i},5" for i in range(60)], "y": [1.5] * 60}, {"target": "y"}, r"such as '0,5'\. Write .* a point"),
    ({"x": [[1], [2]], "y": [1.5, 2]}, {"target": "y"}, r"`x` must be numbers or text; got List\(Int64\)"),
    ({"y": [1.5, 2]}, {"target": "y"}, "`features` must have at least one column.* --task forecast"),
    ({"t": [0, 2, 1], "x": [1] * 3, "y": [1.5] * 3}, {"target": "y", "time": "t"}, r"got 1 after 2 \(row 3\). Sort"),
    ({"t": [0, 2, 2], "x": [1] * 3, "y": [1.5] * 3}, {"target": "y", "time": "t"}, r"got 2 twice \(row 3\)"),
    ({"t": [0, None], "x": [1, 2], "y": [1.5, 2]}, {"target": "y", "time": "t"}, "`t` must have a time .* row 2 has"),
    ({"t": ["now", "then"], "x": [1, 2], "y": [1.5, 2]}, {"target": "y", "time": "t"}, "got 'now' in row 1"),
    ({"t": [0.0, float("inf")], "x": [1, 2], "y": [1.5, 2]}, {"target": "y", "time": "t"}, "got inf in row 2"),
    ({"t": [True, False], "x": [1, 2], "y": [1.5, 2]}, {"target": "y", "time": "t"}, "date-times .* got Boolean"),
    ({"s": ["a", None], "x": [1, 2], "y": [1.5, 2]}, {"target": "y", "series": "s"}, "`s` must name a series .* row 2"),
    ({"s": [[1], [2]], "x": [1, 2], "y": [1.5, 2]}, {"target": "y", "series": "s"}, "`s` must be text or numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "options", "text"), BAD_TABLES)
def test_a_bad_table_gets_one_line(columns: dict, options: dict, text: str):
    with pytest.raises(DataError, match=text) as caught:
        from_table(pl.DataFrame(columns), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "`target` must name a column; got None"),
        ({"target": "y", "features": ["x", "y"]}, "`y` must be a feature or a target, not both"),
        ({"target": "y", "time": "x", "features": ["x"]}, "`x` must be one thing; got the same column"),
        ({"target": "y", "time": "d", "unit": "week"}, "`unit` must be one of 'ns', .*; got 'week'"),
    ],
)
def test_arguments_that_contradict_each_other(options: dict, text: str):
    frame = pl.DataFrame({"x": [1, 2], "y": [1.5, 2], "d": ["2020-01-01", "2020-01-02"]})
    with pytest.raises(OptionError, match=text):
        from_table(frame, **options)


def test_time_that_goes_back_names_the_series_and_the_tables_row():
    frame = pl.DataFrame({"s": ["a", "b", "a", "b"], "t": [5, 0, 4, 1], "x": [1] * 4, "y": [1.5, 2, 2.5, 3]})
    with pytest.raises(DataError, match=r"got 4 after 5 \(row 3, series a\). Sort the table by s and t"):
        from_table(frame, target="y", time="t", series="s")
    with pytest.raises(DataError, match=r"got 5 twice \(row 3, series a\). Drop the repeated rows"):
        from_table(frame.with_columns(t=pl.Series([5, 0, 5, 1])), target="y", time="t", series="s")
    dates = frame.with_columns(t=pl.Series(["2020-01-02", "2020-01-01", "2020-01-01", "2020-01-02"]))
    with pytest.raises(DataError, match="`t` must increase within a series; got 2020-01-01 after 2020-01-02"):
        from_table(dates, target="y", time="t", series="s")


def test_days_and_months_that_cannot_be_told_apart_are_refused():
    with pytest.raises(DataError, match="got '01/02/2020', where day and month cannot be told apart"):
        timed(["01/02/2020", "02/03/2020"])
    with pytest.raises(DataError, match="got '20:20' in row 2"):
        timed(["2020-01-01", "20:20"])


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (np.zeros((2, 2)), "`table` must be a path or a dataframe; got ndarray. Arrays are read with `from_arrays`"),
        (None, "`table` must be a path or a dataframe; got NoneType"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "`table` must be a table .* unique column names"),
        (pd.DataFrame({"a": [1, "x", 2.5]}), "`table` must be a table with columns of one type each"),
        (pa.table({"a": pa.array([], pa.float64())}), "`table` must have at least one row; it has none"),
    ],
)
def test_what_is_no_table_is_refused(table: object, text: str):
    with pytest.raises(DataError, match=text):
        from_table(table, target="a")


def test_a_hundred_thousand_rows_take_no_loop(tmp_path: Path):
    n = 100_000
    frame = pl.DataFrame({"s": np.arange(n) % 1000, "t": np.arange(n), "x": np.arange(n) * 0.5, "y": np.arange(n) % 3})
    frame.write_csv(tmp_path / "t.csv")
    seqs = from_table(tmp_path / "t.csv", target="y", series="s", time="t")
    assert (len(seqs), seqs.rows) == (1000, n)
    assert seqs.series(7).values[:, 0].tolist() == (np.arange(7, n, 1000) * 0.5).tolist()
