"""The elementary functions of csrc/lanes.h against NumPy in float64 and beyond, in units of the last place."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import libraries
import numpy as np
import pytest

HERE = Path(__file__).parent
WIDTHS = [("baseline", None), ("avx2", None), ("avx512", None), ("baseline", 0)]  # the last: one lane
NAMES = [f"{level}{'-one-lane' if vector == 0 else ''}" for level, vector in WIDTHS]
KINDS = {32: np.float32, 64: np.float64}
Function = Callable[[np.ndarray], np.ndarray]


def softplus(x: np.ndarray) -> np.ndarray:
    """As PyTorch has it: x itself above 20."""
    return np.where(x > 20, x, np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def slope(x: np.ndarray) -> np.ndarray:
    return np.where(x > 20, 1, 1 / (1 + np.exp(-x)))


EXACT: dict[str, tuple[float, float, Function]] = {  # where float32 is compared, and what is right there
    "exp": (-87, 87, np.exp),
    "expm1": (-87, 87, np.expm1),
    "tanh": (-30, 30, np.tanh),
    "sigmoid": (-80, 80, lambda x: 1 / (1 + np.exp(-x))),
    "sigmoid_of_power": (-100, 100, lambda y: 1 / (1 + np.exp2(y))),
    "softplus": (-80, 300, softplus),
    "softplus_slope": (-80, 300, slope),
    "inverse": (1e-30, 1e30, lambda x: 1 / x),
}  # fmt: skip
# The largest error in units of the last place of what is right, in float32 and in float64.
ULPS = {
    "exp": (1.2, 1.1), "expm1": (1.7, 2.0), "tanh": (3.3, 3.3), "sigmoid": (2.6, 2.4), "softplus": (3.5, 3.5),
    "softplus_slope": (2.7, 2.4), "inverse": (0.55, 0.55),
    "sigmoid_of_power": (3.5, 90.0),  # float64 goes through exp of y*log(2), whose own rounding grows with y
}  # fmt: skip


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int, str, int | None], Function]:
    """Return a maker of functions over arrays: compiled as the library is, once for each width."""
    where, made = tmp_path_factory.mktemp("lanes"), {}

    def function(name: str, real: int, level: str, vector: int | None) -> Function:
        libraries.need_level(level)
        key = level, vector, real
        if key not in made:
            made[key] = libraries.compile_file(
                libraries.need_compiler("cc"), HERE / "csrc" / "lanes.c", where / f"{len(made)}.so", level, real, vector
            )
        entry = getattr(made[key], f"{name}_f{real}")

        def over(x: np.ndarray) -> np.ndarray:
            y = np.empty_like(x)
            assert x.dtype == KINDS[real]
            assert len(x) % 16 == 0
            entry(x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(x)))
            return y

        return over

    return function


def grid(low: float, high: float, real: int) -> np.ndarray:
    """Return evenly spaced numbers, and of every size down to 1e-30."""
    small = np.logspace(-30, np.log10(max(-low, high)), 2**16)
    x = np.concatenate([np.linspace(low, high, 2**17), small, -small]).astype(KINDS[real])
    x = x[(x >= low) & (x <= high)]
    return x[: len(x) // 16 * 16]


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference in units of the last place."""
    unit = np.spacing(np.abs(wanted).astype(found.dtype)).astype(np.longdouble)
    return float((np.abs(found.astype(np.longdouble) - wanted) / unit).max())


@pytest.mark.parametrize("real", [32, 64])
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(("level", "vector"), WIDTHS, ids=NAMES)
def test_error(functions: Callable[..., Function], name: str, real: int, level: str, vector: int | None) -> None:
    low, high, exact = EXACT[name]
    x = grid(low, high, real)
    found, wanted = functions(name, real, level, vector)(x), exact(x.astype(np.longdouble))
    limit = ULPS[name][real // 64]
    assert error(found, wanted) <= limit
    assert error(found * KINDS[real](1 + 20 * limit * np.finfo(found.dtype).eps), wanted) > limit, "20 times is seen"


@pytest.mark.parametrize("real", [32, 64])
@pytest.mark.parametrize(("level", "vector"), WIDTHS, ids=NAMES)
def test_ends(functions: Callable[..., Function], real: int, level: str, vector: int | None) -> None:
    """Infinite and huge arguments give the limit, and nan gives nan."""
    x = np.array([-np.inf, -1e30, -2e3, 0, 2e3, 1e30, np.inf, np.nan] * 2, dtype=KINDS[real])
    limits = {
        "exp": [0, 0, 0, 1], "expm1": [-1, -1, -1, 0], "tanh": [-1, -1, -1, 0, 1, 1, 1],
        "sigmoid": [0, 0, 0, 0.5, 1, 1, 1],
        "sigmoid_of_power": [1, 1, 1, 0.5, 0, 0, 0], "softplus": [0, 0, 0, np.log(2), 2e3, 1e30, np.inf],
        "softplus_slope": [0, 0, 0, 0.5, 1, 1, 1],
    }  # fmt: skip
    for name, wanted in limits.items():
        found = functions(name, real, level, vector)(x)
        assert np.allclose(found[: len(wanted)], np.array(wanted, KINDS[real]), rtol=1e-6, atol=1e-30 + 2e-38), name
        assert np.isnan(found[7]), name
    for name in ("exp", "expm1"):  # beyond its end as at its end, so that 0 times it is 0
        found = functions(name, real, level, vector)(x)
        assert np.isfinite(found[4:7]).all()
        assert (found[4:7] > (1e37 if real == 32 else 1e307)).all()
