"""Sequences and what makes them of arrays: shapes, views, windows, dt, labels, the card, and every refusal."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from liquidtorch.data import Feature, Sequences, from_arrays
from liquidtorch.errors import DataError, OptionError, ShapeError

ragged = st.lists(
    st.integers(1, 9).flatmap(
        lambda t: hnp.arrays(np.float64, (t, 2), elements=st.floats(-1e6, 1e6) | st.just(float("nan")))
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(ragged)
def test_series_give_back_the_arrays_they_were_made_of(blocks: list[np.ndarray]):
    seqs = from_arrays(blocks)
    assert len(seqs) == len(blocks)
    assert seqs.lengths.tolist() == [len(b) for b in blocks]
    for i, block in enumerate(blocks):
        np.testing.assert_array_equal(seqs.series(i).values, block)
    np.testing.assert_array_equal(seqs.series_of_row, np.concatenate([[i] * len(b) for i, b in enumerate(blocks)]))


def test_a_series_is_a_view_of_every_array():
    seqs = from_arrays(np.arange(24.0).reshape(2, 4, 3), np.zeros((2, 4, 1)), time=np.arange(4.0))
    one = seqs.series(1)
    for part, whole in ((one.values, seqs.values), (one.dt, seqs.dt), (one.time, seqs.time), (one.target, seqs.target)):
        assert np.shares_memory(part, whole)
    assert one.name == "1"
    assert seqs.series(-1).values.tolist() == one.values.tolist()
    with pytest.raises(OptionError, match="`i` must be a series from 0 to 1; got 2"):
        seqs.series(2)


def test_equal_arrays_nested_lists_and_lists_of_arrays_are_one_thing():
    x = np.arange(12.0).reshape(2, 3, 2)
    for same in (x, list(x), x.tolist(), x.astype(np.float32), x.astype(int)):
        np.testing.assert_array_equal(from_arrays(same).values, x.reshape(6, 2))
    np.testing.assert_array_equal(from_arrays(x[..., 0]).values, x[..., :1].reshape(6, 1))


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 12), st.integers(1, 12))
def test_windows_are_those_of_a_plain_loop(lengths: list[int], length: int, stride: int):
    seqs = from_arrays([np.zeros(t) for t in lengths])
    wanted = []
    for first, last in zip(seqs.offsets[:-1], seqs.offsets[1:], strict=True):
        start = first
        while start < last:
            wanted.append([start, min(start + length, last)])
            if start + length >= last:
                break
            start += stride
    found = seqs.windows(length, stride)
    assert found.tolist() == wanted
    if stride <= length:
        covered = np.concatenate([np.arange(a, b) for a, b in found])
        assert set(covered.tolist()) == set(range(seqs.rows))


def test_windows_refuse_what_is_no_length():
    seqs = from_arrays([[1.0, 2.0]])
    with pytest.raises(OptionError, match="`length` must be a whole number at least 1; got 0"):
        seqs.windows(0, 1)
    with pytest.raises(OptionError, match=r"`stride` must be a whole number at least 1; got 1\.5"):
        seqs.windows(1, 1.5)  # type: ignore[arg-type]


@settings(deadline=None)
@given(ragged, st.data())
def test_take_and_slice_time_choose_the_rows_a_loop_would(blocks: list[np.ndarray], data: st.DataObject):
    seqs = from_arrays(blocks, [np.arange(len(b)) * 0.5 for b in blocks], target_kind="numeric")
    chosen = data.draw(st.lists(st.integers(0, len(blocks) - 1), min_size=1, max_size=5, unique=True))
    taken = seqs.take(chosen)
    assert taken.names.tolist() == [str(i) for i in chosen]
    for k, i in enumerate(chosen):
        np.testing.assert_array_equal(taken.series(k).values, blocks[i])
        np.testing.assert_array_equal(taken.series(k).target[:, 0], np.arange(len(blocks[i])) * 0.5)
    starts = [data.draw(st.integers(0, len(b) - 1)) for b in blocks]
    stops = [data.draw(st.integers(a, len(b))) for a, b in zip(starts, blocks, strict=True)]
    if any(a < b for a, b in zip(starts, stops, strict=True)):
        piece = seqs.slice_time(starts, stops)
        kept = [i for i in range(len(blocks)) if stops[i] > starts[i]]
        assert piece.names.tolist() == [str(i) for i in kept]
        for k, i in enumerate(kept):
            np.testing.assert_array_equal(piece.series(k).values, blocks[i][starts[i] : stops[i]])
        np.testing.assert_array_equal(seqs.values[piece.source], piece.values)


def test_a_piece_forgets_the_time_before_it():
    seqs = from_arrays([[0.0] * 4, [0.0] * 4], time=[[0.0, 1.0, 11.0, 12.0], [0.0, 1.0, 2.0, 3.0]])
    assert seqs.median_dt == 1.0
    assert seqs.dt.tolist() == [1, 1, 10, 1, 1, 1, 1, 1]
    piece = seqs.slice_time([2, 0], [4, 0])
    assert len(piece) == 1
    assert piece.dt.tolist() == [1, 1]
    assert seqs.slice_time([1, 0], [4, 0]).dt.tolist() == [1, 10, 1]


def test_slices_outside_their_series_are_refused():
    seqs = from_arrays([[1.0, 2.0], [3.0]])
    with pytest.raises(OptionError, match="`starts` and `stops` must lie inside their series"):
        seqs.slice_time([0, 0], [3, 1])
    with pytest.raises(ShapeError, match=r"`starts`, `stops` must have the shape \(2,\); got \(1,\), \(2,\)"):
        seqs.slice_time([0], [1, 1])
    with pytest.raises(DataError, match="`stops` must be above `starts` somewhere; got no row at all"):
        seqs.slice_time([0, 0], [0, 0])
    with pytest.raises(DataError, match="`indices` must name at least one series; got none"):
        seqs.take([])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20), st.integers(1, 3))
def test_dt_is_what_numpy_says_of_the_time(gaps: list[float], n: int):
    time = np.cumsum([0.0, *gaps])
    seqs = from_arrays(np.zeros((n, len(time))), time=time)
    wanted = np.diff(time)
    assert seqs.median_dt == np.median(wanted)
    for i in range(n):
        assert seqs.series(i).dt.tolist() == [seqs.median_dt, *wanted]


def test_dt_may_be_given_in_every_shape():
    x = np.zeros((2, 3))
    assert from_arrays(x).dt.tolist() == [1] * 6
    assert from_arrays(x, dt=0.5).dt.tolist() == [0.5] * 6
    assert from_arrays(x, dt=np.array([1.0, 2.0, 3.0])).dt.tolist() == [1, 2, 3, 1, 2, 3]
    assert from_arrays(x, dt=np.arange(1, 7).reshape(2, 3)).dt.tolist() == [1, 2, 3, 4, 5, 6]
    assert from_arrays(x, dt=[1, 2, 3]).dt.tolist() == [1, 2, 3, 1, 2, 3]
    assert from_arrays([[0.0], [0.0, 0.0]], dt=[[4.0], [5.0, 6.0]]).dt.tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("x", "options", "error", "text"),
    [
        (np.zeros(3), {}, ShapeError, r"`x` must have the shape \(series, time\) .* got \(3,\). One series alone is x"),
        (np.zeros((0, 3)), {}, DataError, "at least one row in every series; got no series"),
        ([[1.0], []], {}, DataError, "at least one row in every series; got an empty series 1"),
        (5, {}, ShapeError, "`x` must be an array or a list of arrays; got int"),
        ([np.zeros((1, 1, 1))], {}, ShapeError, r"`x\[0\]` must have the shape .* got \(1, 1, 1\) \(3 axes\)"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], {}, ShapeError, r"as many features in every series; got \[2, 3\]"),
        (
            [["a", "b"]],
            {},
            DataError,
            "`x` must be numbers; got <U1 such as .*a.*\\. Text features can be read from a table",
        ),
        (np.zeros((1, 2), complex), {}, DataError, "`x` must be real numbers; got complex128"),
        ([[1.0, np.inf]], {}, DataError, r"`x` must be finite or NaN \(missing\); got inf in row 2, feature 0"),
        ([[1.0, 2.0]], {"dt": 0}, DataError, "`dt` must be above 0; got 0.0 in row 1"),
        ([[1.0, 2.0]], {"dt": float("nan")}, DataError, "`dt` must be above 0; got nan in row 1"),
        ([[1.0, 2.0]], {"dt": "fast"}, DataError, "`dt` must be numbers; got <U4"),
        ([[1.0, 2.0]], {"dt": 1, "time": [[0, 1]]}, OptionError, "`dt` must be None when `time` is given"),
        ([[1.0, 2.0]], {"time": [[0]]}, ShapeError, r"`time` must have as many entries as `x` has rows"),
        ([[1.0, 2.0]], {"time": [[0, np.nan]]}, DataError, "`time` must not be NaN; got NaN in row 2"),
        ([[1.0], [1.0, 2.0]], {"time": [[5], [3, 3]]}, DataError, r"got 3.0 after 3.0 \(series 1, step 1\)"),
        ([[1.0]], {"features": ["a", "b"]}, OptionError, r"`features` must be 1 different names; got \['a', 'b'\]"),
        ([[1.0], [2.0]], {"names": ["a", "a"]}, OptionError, "`names` must be 2 different names"),
        ([[1.0]], {"y": [1.0], "forecast": True}, OptionError, "`y` must be None when `forecast` is set"),
        ([[1.0, 2.0]], {"y": [1.0, 2.0]}, ShapeError, r"`y` must have the shape \(series=1, \[targets\]\); got \(2,\)"),
        ([[1.0, 2.0]], {"y": [[1.0]], "level": "step"}, ShapeError, "as many rows as `x` in every series"),
        ([[1.0], [1.0]], {"y": [1.0, np.nan]}, DataError, r"`y` must be finite to be a target; got nan in row 2"),
        ([[1.0], [1.0]], {"y": ["a", None]}, DataError, "`y` must have a class in every row; row 2 has none"),
        ([[1.0], [1.0]], {"y": ["a", "b"], "target_kind": "numeric"}, DataError, "`y` must be numbers .* got 'a'"),
        (
            [[1.0]],
            {"y": [1.0], "target_kind": "word"},
            OptionError,
            "`target_kind` must be one of 'numeric', 'category'",
        ),
    ],
)
def test_every_refusal_names_what_is_wrong(x, options, error, text):
    with pytest.raises(error, match=text):
        from_arrays(x, **options)


@pytest.mark.parametrize(
    ("y", "kind", "vocabulary", "codes"),
    [
        (["b", "a", "b"], None, ("a", "b"), [1, 0, 1]),
        ([True, False, True], None, (False, True), [1, 0, 1]),
        ([0, 1, 2], None, (0, 1, 2), [0, 1, 2]),
        ([0.0, 1.0, 1.0], None, (0, 1), [0, 1, 1]),
        ([1, 2, 3], "category", (1, 2, 3), [0, 1, 2]),
        ([-1.0, 1.0, 1.0], "category", (-1, 1), [0, 1, 1]),
        ([0.5, 1.5, 0.5], "category", (0.5, 1.5), [0, 1, 0]),
        ([1, 2, 3], None, (), [1, 2, 3]),
        ([0, 1, 3], None, (), [0, 1, 3]),
        ([0, 0, 0], None, (), [0, 0, 0]),
        ([0, 1, 2], "numeric", (), [0, 1, 2]),
    ],
)
def test_labels_become_classes_by_one_rule(y, kind, vocabulary, codes):
    seqs = from_arrays(np.zeros((3, 2)), y, target_kind=kind)
    assert seqs.level == "series"
    assert seqs.targets == (Feature("y", "category" if vocabulary else "numeric", vocabulary),)
    assert seqs.target[:, 0].tolist() == codes
    assert [type(v) for v in seqs.targets[0].vocabulary] == [type(v) for v in vocabulary]


def test_eleven_whole_numbers_are_numbers_and_ten_are_classes():
    for count, kind in ((10, "category"), (11, "numeric")):
        assert from_arrays(np.zeros((count, 1)), np.arange(count)).targets[0].kind == kind


def test_the_shape_of_y_says_what_it_belongs_to():
    x = np.zeros((4, 3))
    for y, level, shape in (
        (np.zeros(4), "series", (4, 1)),
        (np.zeros((4, 2)), "series", (4, 2)),
        (np.zeros((4, 3)), "step", (12, 1)),
        (np.zeros((4, 3, 2)), "step", (12, 2)),
        ([[0.0, 0.0, 0.0]] * 4, "step", (12, 1)),
        ([np.zeros((3, 2))] * 4, "step", (12, 2)),
    ):
        seqs = from_arrays(x, y)
        assert (seqs.level, seqs.target.shape) == (level, shape)
    assert from_arrays(x, np.zeros((4, 3)), level="series").target.shape == (4, 3)


def test_a_forecast_learns_its_own_features_gaps_and_all():
    seqs = from_arrays([[[1.0, 2.0], [np.nan, 3.0]]], forecast=True, features=["a", "b"])
    assert seqs.targets == seqs.features == (Feature("a"), Feature("b"))
    np.testing.assert_array_equal(seqs.target, [[1, 2], [np.nan, 3]])


def test_like_keeps_codes_names_and_the_usual_dt():
    train = from_arrays(np.zeros((3, 2, 2)), ["c", "a", "b"], dt=0.5, features=["p", "q"])
    schema = json.loads(json.dumps(train.schema()))
    test = from_arrays(np.zeros((1, 2, 2)), ["c"], time=np.array([0.0, 7.0]), like=schema)
    assert test.features == train.features
    assert test.targets == train.targets
    assert test.target.tolist() == [[2.0]]
    assert test.dt.tolist() == [0.5, 7.0]
    bare = from_arrays(np.zeros((1, 2, 2)), like=schema)
    assert bare.target is None
    assert bare.targets == train.targets
    with pytest.raises(DataError, match=r"`y` must hold classes the model has learned, \['a', 'b', 'c'\]; got 'd'"):
        from_arrays(np.zeros((1, 2, 2)), ["d"], like=schema)
    with pytest.raises(ShapeError, match="`x` must have 2 features, as in training; got 1"):
        from_arrays(np.zeros((1, 2)), like=schema)


def test_sequences_refuse_arrays_that_do_not_fit():
    seqs = from_arrays([[1.0, 2.0]])
    parts = {f: getattr(seqs, f) for f in seqs.__dataclass_fields__}
    with pytest.raises(ShapeError, match=r"`dt` must have the shape \(2,\); got \(3,\)"):
        Sequences(**parts | {"dt": np.ones(3)})
    with pytest.raises(ShapeError, match=r"`offsets` must rise from 0 to 2 \(the rows\); got \[0, 0, 2\]"):
        Sequences(**parts | {"offsets": np.array([0, 0, 2]), "names": np.array(["a", "b"])})


def test_the_card_counts_what_is_there():
    x = [[[1.0, np.nan], [3.0, 5.0]], [[5.0, np.nan]], [[7.0, np.nan]]]
    seqs = from_arrays(x, ["u", "v", "v"], time=[[0.0, 2.0], [0.0], [9.0]], features=["a", "b"])
    card = seqs.card()
    assert json.loads(json.dumps(card)) == card
    assert (card["series"], card["rows"], card["unit"], card["level"]) == (3, 4, "s", "series")
    assert card["lengths"] == {"min": 1, "median": 1.0, "max": 2}
    assert (card["dt"]["min"], card["dt"]["median"], card["dt"]["max"], sum(card["dt"]["counts"])) == (2, 2, 2, 1)
    a, b = card["features"]
    assert a == {
        "name": "a", "kind": "numeric", "missing": 0.0, "mean": 4.0, "std": np.std([1, 3, 5, 7]), "min": 1.0, "max": 7.0
    }  # fmt: skip
    assert (b["missing"], b["mean"], b["std"]) == (0.75, 5.0, 0.0)
    assert card["targets"] == [
        {"name": "y", "kind": "category", "missing": 0.0, "classes": ["u", "v"], "counts": [1, 2]}
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=50))
def test_the_card_counts_every_dt_once(gaps: list[float]):
    dt = from_arrays(np.zeros((1, len(gaps) + 1)), dt=np.array([[1.0, *gaps]])).card()["dt"]
    assert sum(dt["counts"]) == len(gaps)
    assert len(dt["edges"]) == len(dt["counts"]) + 1
    assert dt["edges"][0] <= min(gaps) <= max(gaps) <= dt["edges"][-1]
    assert (np.diff(dt["edges"]) > 0).all()


def test_gaps_of_many_sizes_are_counted_on_a_logarithmic_axis():
    even, wide = (from_arrays(np.zeros((1, 4)), dt=[[1.0, 1.0, 2.0, high]]).card()["dt"] for high in (3.0, 1000.0))
    np.testing.assert_allclose(np.diff(even["edges"]), 2 / 30)
    np.testing.assert_allclose(np.diff(np.log10(wide["edges"])), 3 / 30)
    assert sum(wide["counts"]) == 3


def test_a_column_without_a_value_has_a_card_without_numbers():
    card = from_arrays([[np.nan, np.nan]]).card()["features"][0]
    assert card == {
        "name": "x0",
        "kind": "numeric",
        "missing": 1.0,
        "mean": None,
        "std": None,
        "min": None,
        "max": None,
    }
