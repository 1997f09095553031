"""Splits share no row, use every row, keep blocks whole and classes present."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquidtorch.data import Split, from_arrays, split
from liquidtorch.errors import DataError, OptionError


def parts(found: Split) -> list:
    return [p for p in found[:3] if p is not None]


def assert_no_leak(seqs, found: Split) -> None:
    rows = [p.source for p in parts(found)]
    together = np.concatenate(rows)
    assert len(together) == len(set(together.tolist())), "a row is in two parts"
    assert set(together.tolist()) == set(range(seqs.rows)), "a row is in no part"
    for part in parts(found):
        np.testing.assert_array_equal(part.values, seqs.values[part.source])


fractions = st.tuples(st.sampled_from([0, 0.1, 0.25]), st.sampled_from([0, 0.2, 0.4]))


@settings(deadline=None)
@given(st.lists(st.integers(3, 40), min_size=1, max_size=15), fractions, st.integers(0, 99))
def test_every_row_is_in_exactly_one_part(lengths: list[int], share: tuple[float, float], seed: int):
    lengths[0] = 40
    seqs = from_arrays([np.arange(t) + 100.0 * i for i, t in enumerate(lengths)])
    assert_no_leak(seqs, split(seqs, valid=share[0], test=share[1], by="time"))
    if len(lengths) >= 3:
        found = split(seqs, valid=share[0], test=share[1], by="series", seed=seed)
        assert_no_leak(seqs, found)
        owners = [set(p.names.tolist()) for p in parts(found)]
        assert len(set.union(*owners)) == sum(map(len, owners)) == len(lengths)


@settings(deadline=None)
@given(st.lists(st.integers(10, 60), min_size=1, max_size=6))
def test_blocks_of_time_are_whole_and_in_order(lengths: list[int]):
    seqs = from_arrays([np.zeros(t) for t in lengths])
    found = split(seqs, by="time")
    for name in seqs.names:
        blocks = []
        for part in parts(found):
            one = part.take(np.flatnonzero(part.names == name))
            assert (np.diff(one.source) == 1).all(), "a block has a hole"
            blocks.append((one.source[0], one.source[-1]))
        assert blocks[0][1] + 1 == blocks[1][0]
        assert blocks[1][1] + 1 == blocks[2][0]
    assert found.how == ("by time: the first 65 % of each series for training, the next 15 % valid, the last 20 % test")


def test_windows_are_cut_after_the_split():
    seqs = from_arrays([np.arange(100.0)])
    found = split(seqs)
    seen = [{float(v) for a, b in p.windows(16, 4) for v in p.values[a:b, 0]} for p in parts(found)]
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]
    assert max(seen[0]) < min(seen[1]) < max(seen[1]) < min(seen[2])


@settings(deadline=None)
@given(st.integers(10, 60), st.integers(0, 50))
def test_the_sizes_are_those_asked_for(n: int, seed: int):
    found = split(from_arrays(np.zeros((n, 2))), valid=0.15, test=0.2, seed=seed)
    assert found.how.startswith("by series")
    assert len(found.test) == round(0.2 * n)
    assert len(found.valid) == max(round(0.15 * n), 1)


@settings(deadline=None)
@given(st.lists(st.integers(4, 40), min_size=2, max_size=5), st.integers(0, 50))
def test_classes_keep_their_proportion(sizes: list[int], seed: int):
    labels = np.repeat([f"c{k}" for k in range(len(sizes))], sizes)
    seqs = from_arrays(np.zeros((len(labels), 2)), labels)
    found = split(seqs, seed=seed)
    assert_no_leak(seqs, found)
    for part, fraction in ((found.valid, 0.15), (found.test, 0.2)):
        counts = np.bincount(part.target[:, 0].astype(int), minlength=len(sizes))
        assert (np.abs(counts - fraction * np.array(sizes)) <= 1).all()
    assert set(found.train.target[:, 0]) == set(range(len(sizes)))
    assert found.how.endswith("each class in proportion")


def test_a_class_of_one_series_is_trained_on():
    seqs = from_arrays(np.zeros((21, 2)), ["a"] * 10 + ["b"] * 10 + ["rare"])
    for seed in range(30):
        assert 2.0 in split(seqs, seed=seed).train.target


def test_one_seed_one_split():
    seqs = from_arrays(np.zeros((40, 2)))
    one, same, other = (split(seqs, seed=s) for s in (3, 3, 4))
    assert one.test.names.tolist() == same.test.names.tolist() != other.test.names.tolist()


def test_auto_is_by_series_from_ten_on_or_where_the_target_is_of_the_series():
    assert split(from_arrays(np.zeros((10, 20)))).how.startswith("by series")
    assert split(from_arrays(np.zeros((9, 20)))).how.startswith("by time")
    assert split(from_arrays(np.zeros((6, 20)), np.arange(6) * 0.5)).how.startswith("by series")


def test_a_part_of_nothing_is_none():
    found = split(from_arrays(np.zeros((1, 20))), test=0)
    assert found.test is None
    assert (found.train.rows, found.valid.rows) == (17, 3)
    found = split(from_arrays(np.zeros((20, 2))), valid=0)
    assert found.valid is None
    assert len(found.train) == 16


def test_a_class_in_few_series_is_looked_for_in_the_train_part():
    labels = np.zeros((12, 6), int)
    labels[:6, 3:] = 1
    labels[:3, 5:] = 2  # class 2 is in 3 of 12 series only
    seqs = from_arrays(np.zeros((12, 6)), labels)
    for seed in range(20):
        assert set(np.unique(split(seqs, valid=0.3, test=0.4, seed=seed).train.target)) == {0, 1, 2}


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "text"),
    [
        ((3, 5), None, {"valid": -0.1}, OptionError, "`valid` must be a number at least 0; got -0.1"),
        ((3, 5), None, {"valid": 0.5, "test": 0.5}, OptionError, r"`valid` \+ `test` must be below 1; got 0.5 \+ 0.5"),
        ((3, 5), None, {"by": "row"}, OptionError, "`by` must be one of 'auto', 'series', 'time'; got 'row'"),
        ((3, 5), None, {"seed": -1}, OptionError, "`seed` must be a whole number at least 0; got -1"),
        ((3, 5), [0.5, 1, 2], {"by": "time"}, OptionError, "`by` must be 'series' for a target of the whole series"),
        ((2, 5), None, {"by": "series"}, DataError, "must have at least 3 series .* got 2. Split by time instead"),
        ((2, 5), [0.5, 1], {}, DataError, "`by` 'series' must have at least 3 series to share out; got 2"),
        ((4, 5), list("abcd"), {}, DataError, r"enough series of each class to share out; got \[1, 1, 1, 1\]"),
        ((1, 2), None, {}, DataError, r"`valid` must get at least one row; .* \(the longest has 2 rows\)"),
        ((1, 10), [[0] * 9 + [1]], {}, DataError, "`y` must have every class in the train part; 1 is only in the rows"),
    ],
)
def test_every_refusal_names_the_way_out(x, y, options, error, text):
    with pytest.raises(error, match=text):
        split(from_arrays(np.zeros(x), y), **options)


def test_a_class_of_one_set_aside_series_is_refused_when_no_draw_can_keep_it():
    labels = [np.array([k, k, k]) for k in range(3)] + [np.array([0, 1, 2])]
    labels[3][:] = 3  # four series, a class of its own each: two set aside are always lost
    with pytest.raises(DataError, match=r"`y` must have every class in the train part; .* Try another seed"):
        split(from_arrays([np.zeros(3)] * 4, labels, level="step"), by="series")
