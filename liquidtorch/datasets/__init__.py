"""Small real data sets that come with the library, whose they are, and exact generators of the usual benchmarks."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import check_choice

if TYPE_CHECKING:
    from .autoregression import narma
    from .channel import channel_equalisation
    from .delay import mackey_glass
    from .driven import Driven
    from .flows import lorenz63, lorenz96, roessler
    from .recall import delayed_recall, flip_flop, temporal_parity
    from .sines import mso

_GENERATORS = {  # public name -> the file it lives in, opened when first used: the command line needs no NumPy
    "Driven": "driven",
    "channel_equalisation": "channel",
    "delayed_recall": "recall",
    "flip_flop": "recall",
    "lorenz63": "flows",
    "lorenz96": "flows",
    "mackey_glass": "delay",
    "mso": "sines",
    "narma": "autoregression",
    "roessler": "flows",
    "temporal_parity": "recall",
}
LYAPUNOV = {  # largest exponent of the generators' defaults, per unit of time; where no source is named: measured
    "lorenz63": 0.9056,  # Sprott 2003, Chaos and Time-Series Analysis, appendix A
    "lorenz96": 1.69,  # 1.685 +- 0.004 by the tangent of 400 series
    "mackey_glass": 0.0051,  # 0.00508 +- 0.00004 by the tangent of 200 series; 0.0070 for tau = 30
    "roessler": 0.0714,  # Sprott 2003
}
__all__ = [
    "CHEETAH_READINGS", "LYAPUNOV", "Driven", "about", "channel_equalisation", "cheetah", "delayed_recall",
    "flip_flop", "lorenz63", "lorenz96", "mackey_glass", "mso", "names", "narma", "occupancy", "path", "roessler",
    "temporal_parity",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _GENERATORS:
        return getattr(importlib.import_module(f".{_GENERATORS[name]}", __name__), name)
    raise AttributeError(f"module 'liquidtorch.datasets' has no attribute {name!r}")


_JOINTS = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")  # back and front leg, from the hip down
CHEETAH_READINGS = (
    *("z", "pitch", *_JOINTS),
    *("x_velocity", "z_velocity", "pitch_velocity", *(f"{j}_velocity" for j in _JOINTS)),
)


@dataclass(frozen=True)
class _About:
    file: str
    title: str
    rows: int
    columns: str
    options: str  # what `liquid fit` wants to be told
    source: str
    licence: str
    citation: str
    note: str


_OCCUPANCY_SOURCE = "UCI Machine Learning Repository, data set 357 (Occupancy Detection)"
_OCCUPANCY_CITATION = (
    "L. M. Candanedo and V. Feldheim (2016). Accurate occupancy detection of an office room from light, temperature, "
    "humidity and CO2 measurements using statistical learning models. Energy and Buildings 112, 28-39."
)
_OCCUPANCY_COLUMNS = "date, Temperature, Humidity, Light, CO2, HumidityRatio, Occupancy"
_ALL = {
    "cheetah": _About(
        "cheetah.parquet",
        "Joint readings of a simulated running robot (HalfCheetah-v2), 25 traces",
        22500,
        "trace, t, " + ", ".join(CHEETAH_READINGS),
        "--series trace --time t --task forecast",
        "https://github.com/raminmh/liquid_time_constant_networks, experiments_with_ltcs/data/cheetah",
        "Apache-2.0",
        "R. Hasani, M. Lechner, A. Amini, D. Rus, R. Grosu (2021). Liquid time-constant networks. AAAI 35, 7657-7666.",
        "Every tenth row was dropped, so that time is irregular; readings are rounded to 4 decimals.",
    ),
    "occupancy": _About(
        "occupancy.csv",
        "Is an office room occupied? One row a minute, 4 to 10 February 2015",
        8143,
        _OCCUPANCY_COLUMNS,
        "--target Occupancy --time date --unit min",
        _OCCUPANCY_SOURCE,
        "CC BY 4.0",
        _OCCUPANCY_CITATION,
        "Light > 365 alone is right in 99 % of the test rows: a check of honesty, not a hard problem.",
    ),
    "occupancy_test": _About(
        "occupancy_test.csv",
        "The test rows of occupancy: 2 to 4 and 11 to 18 February 2015",
        12417,
        _OCCUPANCY_COLUMNS,
        "liquid fit @occupancy ... --test @occupancy_test",
        _OCCUPANCY_SOURCE,
        "CC BY 4.0",
        _OCCUPANCY_CITATION,
        "The two test files of the source, one after the other.",
    ),
}


def names() -> tuple[str, ...]:
    """Return the names of the bundled data sets.

    Examples
    --------
    >>> names()
    ('cheetah', 'occupancy', 'occupancy_test')
    """
    return tuple(_ALL)


def path(name: str) -> Path:
    """Return where the file of a bundled data set lies.

    Examples
    --------
    >>> path("occupancy").name
    'occupancy.csv'
    """
    check_choice("name", name, _ALL)
    return Path(__file__).parent / _ALL[name].file


def about(name: str) -> dict[str, Any]:
    """Return what a bundled data set is: title, rows, columns, options, source, licence, citation, note, path, bytes.

    Examples
    --------
    >>> about("cheetah")["licence"]
    'Apache-2.0'
    """
    file = path(name)
    return {"name": name, **vars(_ALL[name]), "path": str(file), "bytes": file.stat().st_size}


def cheetah() -> Path:
    """Return the Parquet file of the half-cheetah's readings: trace, t, 17 readings; 25 traces of 900 rows."""
    return path("cheetah")


def occupancy() -> tuple[Path, Path]:
    """Return the CSV files of the office room's occupancy: the training rows and the test rows."""
    return path("occupancy"), path("occupancy_test")
