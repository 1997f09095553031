"""The fields of a record become what the network reads: the run's schema says which columns, and what they may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Feature
from ..data.clock import UNITS
from ..data.read import MISSING
from ..errors import OptionError
from .message import Rejected, short
from .when import When, when

LONGEST_NAME = 256  # of a series, in characters


@dataclass(slots=True, eq=False)
class Sample:
    """One record read: features by name, None where missing; targets (O,), numbers or codes, or None where it has none.

    x is empty where the record names none of them, as a late label may. `stamp` is its time as it came, for the
    prediction beside it.
    """

    series: str
    stamp: Any
    when: When | None
    x: dict[str, Any]
    y: np.ndarray | None


class Reader:
    """Read records of one run.

    Parameters
    ----------
    schema : dict
        `Sequences.schema()` of what the network learned from.
    foretold : bool
        Whether the targets are features of later rows (a forecast); then a record's own values teach.

    Examples
    --------
    >>> from liquidtorch.data import from_arrays
    >>> seqs = from_arrays([[[1.0], [2.0]]], [["up", "down"]], features=["x"], targets=["y"])
    >>> sample = Reader(seqs.schema()).read({"x": "2.5", "y": "up"})
    >>> sample.x, sample.y.tolist()
    ({'x': 2.5}, [1.0])
    """

    def __init__(self, schema: Mapping[str, Any], *, foretold: bool = False) -> None:
        self.series, self.time, self.unit = schema["series"], schema["time"], schema["unit"]
        self.median_dt: float = schema["median_dt"]
        self.features = tuple(Feature.from_json(f) for f in schema["features"])
        self.targets = () if foretold else tuple(Feature.from_json(f) for f in schema["targets"])
        self._codes = {f.name: _codes(f) for f in (*self.features, *self.targets) if f.kind == "category"}

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns a table must have."""
        keys = [k for k in (self.series, self.time) if k is not None]
        return (*keys, *(f.name for f in self.features))

    def read(self, fields: Mapping[str, Any]) -> Sample:
        """Return the sample, or raise `Rejected` with the reason."""
        moment, stamp = None, None
        if self.time is not None:
            stamp = fields.get(self.time)
            if _missing(stamp):
                raise Rejected(f"`{self.time}` must have a time in every record; this one has none")
            moment = when(self.time, stamp)
            if moment.dated and self.unit not in UNITS:
                raise Rejected(f"`{self.time}` must be a number in {self.unit!r}; got a date-time")
        series = self._series(fields)
        x = {}
        if any(f.name in fields for f in self.features):
            x = {f.name: self._feature(f, fields.get(f.name)) for f in self.features}
        y = [self._target(f, fields.get(f.name)) for f in self.targets]
        return Sample(series, stamp, moment, x, np.array(y) if any(v == v for v in y) else None)

    def _series(self, fields: Mapping[str, Any]) -> str:
        if self.series is None:
            return ""
        value = fields.get(self.series)
        if _missing(value) or not isinstance(value, str | int | float):
            raise Rejected(f"`{self.series}` must name a series in every record; got {short(value)}")
        name = _spelled(value)
        if len(name) > LONGEST_NAME:
            raise Rejected(f"`{self.series}` must be at most {LONGEST_NAME} characters long; got {len(name)}")
        return name

    def _feature(self, feature: Feature, value: Any) -> Any:
        if _missing(value):
            return None
        if feature.kind == "category":  # an unknown one is missing, as in a table
            code = self._codes[feature.name].get(_category(feature.name, value))
            return None if code is None else feature.vocabulary[int(code)]
        number = _number(feature.name, value)
        if math.isinf(number):
            raise Rejected(f"`{feature.name}` must be finite or missing; got {short(value)}")
        return None if math.isnan(number) else number

    def _target(self, feature: Feature, value: Any) -> float:
        if _missing(value):
            return math.nan
        if feature.kind == "category":
            known = self._codes[feature.name]
            code = known.get(_category(feature.name, value))
            if code is None:
                classes = ", ".join(repr(v) for v in feature.vocabulary[:9])
                raise Rejected(f"`{feature.name}` must be a class the network has learned ({classes}); got {value!r}")
            return code
        number = _number(feature.name, value)
        if not math.isfinite(number):
            raise Rejected(f"`{feature.name}` must be finite to be a target; got {short(value)}")
        return number


def check_schema(schema: Mapping[str, Any] | None, run: object) -> Mapping[str, Any]:
    """Return the schema of a run, or raise `OptionError` where it was not made from a table."""
    if schema is None:
        raise OptionError(f"`run` must be made from a table; {run} does not say which columns it reads.")
    return schema


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip() in MISSING)


def _spelled(value: Any) -> str:
    """Return a name or a category as text: what CSV and JSON spell differently is the same."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _category(name: str, value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise Rejected(f"`{name}` must be a text, a number or true or false; got {short(value)}")
    return _spelled(value)


def _codes(feature: Feature) -> dict[str, float]:
    codes = {_spelled(v): float(k) for k, v in enumerate(feature.vocabulary)}
    if all(isinstance(v, bool) for v in feature.vocabulary):
        codes |= {text.capitalize(): code for text, code in codes.items()} | {t.upper(): c for t, c in codes.items()}
    return codes


def _number(name: str, value: Any) -> float:
    if isinstance(value, str) and "_" not in value:
        try:
            return float(value)
        except ValueError:
            pass
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    raise Rejected(f"`{name}` must be a number; got {short(value)}")
