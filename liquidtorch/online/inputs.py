"""What a sample holds, by name or as a row, as the channels that the body reads."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import DataError, ShapeError
from ..model import LiquidNetwork
from ..model.stepper import Encoding
from .channels import Channels

Memory = tuple[np.ndarray, ...]  # of an encoder: the value last seen of each column, and its age


def known(x: Any, names: tuple[Hashable, ...] | None) -> Mapping[Hashable, Any]:
    """Return a sample as a mapping: a row's names are those of the columns, or their numbers.

    Raises
    ------
    ShapeError, DataError
        If it is neither a mapping nor a row of as many numbers as there are names.
    """
    if type(x) is dict or isinstance(x, Mapping):  # nearly all are dicts, which is told four times as fast
        return x
    try:
        row = x.tolist() if hasattr(x, "tolist") else list(x)
    except TypeError:
        raise DataError(f"`x` must be a dict or a row of numbers; got {x!r} ({type(x).__name__}).") from None
    if names is None:
        return dict(enumerate(row))
    if len(row) != len(names):
        raise ShapeError(f"`x` must be a row of {len(names)} values, or a dict; got {len(row)} values.")
    return dict(zip(names, row, strict=True))


class OfLayer:
    """Channels of unit scale alone: for a layer, which says nothing of what its features are called.

    Parameters
    ----------
    channels : Channels
    """

    coded = 0  # channels before those of `channels`
    names: tuple[Hashable, ...] | None = None

    def __init__(self, channels: Channels) -> None:
        self.channels = channels

    def initial(self) -> Memory:
        """Return what is remembered before the first sample: nothing."""
        return ()

    def read(self, x: Mapping[Hashable, Any], memory: Memory, dt: float, learn: bool) -> tuple[np.ndarray, Any, Memory]:
        """Return the channels, the encoder's filled values (None) and what is remembered."""
        return self.channels.read(x, learn), None, memory

    def place(self, x: Mapping[Hashable, Any], u: np.ndarray | None = None) -> np.ndarray:
        """Return what a sample holds in units of scale, 0 where it holds nothing; its channels, if they are known."""
        return self.channels.read(x, learn=False) if u is None else u


class OfNetwork:
    """The channels of a network's encoder, then channels of unit scale for names that it does not know.

    Parameters
    ----------
    network : LiquidNetwork
    channels : Channels
    """

    def __init__(self, network: LiquidNetwork, channels: Channels) -> None:
        self.channels, self.coded = channels, network.encoder.outputs
        self._encoding = Encoding(network.encoder)
        self._initial: Memory = (self._encoding.value, self._encoding.age)
        described = (network.schema or {}).get("features")
        if described is None:
            described = getattr(network.encoder, "columns", [{"name": i} for i in range(network.features)])
        self.names = tuple(feature["name"] for feature in described)
        self._places = {name: i for i, name in enumerate(self.names)}
        self._codes = [
            {value: float(code) for code, value in enumerate(feature["vocabulary"])}
            if feature.get("kind") == "category"
            else None
            for feature in described
        ]

    def initial(self) -> Memory:
        """Return what is remembered before the first sample: the means, of age 0."""
        return self._initial

    def read(self, x: Mapping[Hashable, Any], memory: Memory, dt: float, learn: bool) -> tuple[np.ndarray, Any, Memory]:
        """Return the channels, the encoder's filled values (F,) and what it remembers.

        Raises
        ------
        DataError
            If a value is no number where one is wanted, or infinite.
        """
        row, more = self._row(x)
        self._encoding.value, self._encoding.age = memory
        z, filled = self._encoding(row, dt)
        after = (self._encoding.value, self._encoding.age)
        more_z = self.channels.read(more, learn)
        return (np.concatenate((z, more_z)) if len(more_z) else z), filled, after

    def _row(self, x: Mapping[Hashable, Any]) -> tuple[np.ndarray, dict[Hashable, Any]]:
        row = np.full(len(self.names), np.nan)
        more: dict[Hashable, Any] = {}
        for name, value in x.items():
            i = self._places.get(name)
            if i is None:
                more[name] = value
            elif (codes := self._codes[i]) is not None:
                row[i] = codes.get(value, math.nan)
            elif value is not None:
                row[i] = _number(value, name)
        return row, more

    def place(self, x: Mapping[Hashable, Any], u: np.ndarray | None = None) -> np.ndarray:
        """Return what a sample holds in units of scale, 0 where it holds nothing."""
        row, more = self._row(x)
        known = np.nan_to_num((row - self._encoding.mean) / self._encoding.scale)
        return np.concatenate((known, self.channels.read(more, learn=False)))


def _number(value: Any, name: Hashable) -> float:
    try:
        v = float(value)
    except (TypeError, ValueError):
        raise DataError(f"`x` must hold numbers; got {value!r} for {name!r} ({type(value).__name__}).") from None
    if math.isinf(v):
        raise DataError(f"`x` must hold finite numbers; got {v} for {name!r}. Leave out what is not known.")
    return v


def plain(x: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
    """Return what is known of a sample, without gaps: what later samples are compared with."""
    return {k: v for k, v in x.items() if v is not None and v == v}


def row_names(names: Iterable[Hashable] | None) -> tuple[Hashable, ...] | None:
    """Return names as a tuple, each once.

    Raises
    ------
    DataError
        If a name comes twice.
    """
    if names is None:
        return None
    found = tuple(names)
    if len(set(found)) != len(found):
        twice = next(n for i, n in enumerate(found) if n in found[:i])
        raise DataError(f"`names` must be different from each other; got {twice!r} twice.")
    return found
