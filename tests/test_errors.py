"""The checks at the door and the sentences they say."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from liquidtorch import errors
from liquidtorch.errors import (
    DataError,
    FormatError,
    LiquidError,
    MissingExtra,
    OptionError,
    ShapeError,
    StateError,
    check_choice,
    check_range,
    check_shape,
    nearest,
    need,
)


def test_every_error_is_a_liquid_error_and_a_builtin_one() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, LiquidError)]
    assert len(classes) == 8
    builtin = {ShapeError: ValueError, OptionError: ValueError, DataError: ValueError, FormatError: ValueError,
               StateError: RuntimeError, MissingExtra: ImportError}  # fmt: skip
    for ours, theirs in builtin.items():
        assert issubclass(ours, theirs)


def test_nearest_offers_only_what_is_near() -> None:
    assert nearest("temprature", ["humidity", "temperature"]) == " Did you mean 'temperature'?"
    assert nearest("zzz", ["humidity", "temperature"]) == ""


def test_check_choice() -> None:
    check_choice("body", "ltc", ["liquid", "ltc"])
    with pytest.raises(OptionError, match=r"^`body` must be one of 'liquid', 'ltc'; got 'lct'. Did you mean 'ltc'\?$"):
        check_choice("body", "lct", ["liquid", "ltc"])


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (0, {"low": 1}, r"`n` must be a number at least 1; got 0\."),
        (0.0, {"low": 0.0, "open_low": True}, r"`n` must be a number above 0; got 0\.0\."),
        (9, {"low": 1, "high": 8, "whole": True}, r"`n` must be a whole number at least 1 and at most 8; got 9\."),
        (1.5, {"whole": True}, r"`n` must be a whole number; got 1\.5 \(float\)\."),
        ("3", {}, r"`n` must be a number; got '3' \(str\)\."),
        (True, {"whole": True}, r"`n` must be a whole number; got True \(bool\)\."),
        (float("nan"), {}, r"`n` must be a number; got nan\."),
    ],
)
def test_check_range(value: object, options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{message}$"):
        check_range("n", value, **options)


def test_whole_numbers_of_any_library_become_plain() -> None:
    for value in (np.int64(3), np.uint8(3), np.int32(3), 3):
        assert type(check_range("n", value, 1, 8, whole=True)) is int
        assert type(check_range("n", value, 1, 8)) is int
    assert check_range("n", 0.5, 0, 1) == 0.5
    with pytest.raises(OptionError, match=r"must be a whole number at least 1; got np\.int64\(0\)\.$"):
        check_range("n", np.int64(0), 1, whole=True)
    for value, kind in ((np.True_, "bool"), (np.float64(3.0), "float64"), (np.array(3), "ndarray")):
        with pytest.raises(OptionError, match=rf"must be a whole number; got .* \({kind}_?\)\.$"):
            check_range("n", value, whole=True)  # type: ignore[call-overload]


def test_check_range_accepts_its_ends() -> None:
    check_range("n", 1, 1, 8)
    check_range("n", 8, 1, 8, whole=True)
    check_range("n", 1e-300, 0.0, open_low=True)
    with pytest.raises(OptionError):
        check_range("n", 8.0001, 1, 8)


def test_check_shape_binds_axes() -> None:
    sizes = check_shape("x", (2, 5, 3), ("batch", "time", "features"))
    assert sizes == {"batch": 2, "time": 5, "features": 3}
    assert check_shape("dt", (2, 5), ("batch", "time"), **sizes)["features"] == 3
    with pytest.raises(
        ShapeError, match=r"^`dt` must have the shape \(batch=2, time=5\); got \(2, 4\) \(time is 4\)\.$"
    ):
        check_shape("dt", (2, 4), ("batch", "time"), **sizes)
    with pytest.raises(ShapeError, match=r"got \(2,\) \(1 axes instead of 2\)\.$"):
        check_shape("dt", (2,), ("batch", "time"), **sizes)


def test_need_names_the_extra() -> None:
    assert need("json", "none") is __import__("json")
    with pytest.raises(MissingExtra, match=r"pip install 'liquidtorch\[onnx\]'"):
        need("no_such_module_here", "onnx")
