"""River's drift detectors: by name, and as trees of plain values, for they cannot write themselves."""

from __future__ import annotations

import importlib
import random
from collections import deque
from types import MethodType
from typing import Any

import numpy as np

from ..errors import FormatError, OptionError, check_choice, need

DETECTORS = {"adwin": "ADWIN", "page_hinkley": "PageHinkley", "kswin": "KSWIN"}
WIDER = {("state", "page_hinkley"): {"delta": 0.01, "threshold": 100.0}}  # twice river's: what it sums swings by more


def detector(option: str, name: str) -> Any:
    """Return a new detector of river by its name.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    check_choice(option, name, DETECTORS)
    need("river", "stream")
    return getattr(importlib.import_module("river.drift"), DETECTORS[name])(**WIDER.get((option, name), {}))


def frozen(found: Any) -> Any:
    """Return an object of river as a tree of plain values: its class, and what it holds.

    Raises
    ------
    OptionError
        If it, or what it holds, is not river's.
    """
    if found is None or isinstance(found, bool | int | float | str | bytes | np.generic | np.ndarray):
        return found
    if isinstance(found, list | tuple):
        return {"kind": type(found).__name__, "parts": [frozen(part) for part in found]}
    if isinstance(found, deque):
        return {"kind": "deque", "parts": [frozen(part) for part in found], "maxlen": found.maxlen}
    if isinstance(found, random.Random):
        return {"kind": "random", "state": frozen(found.getstate())}
    if isinstance(found, MethodType):
        return {"kind": "method", "name": found.__name__}
    kind = type(found)
    if not kind.__module__.startswith("river.") and kind.__module__ != "builtins":
        raise OptionError(f"`detector` must be one of river to be saved; it holds {found!r} of {kind.__module__}.")
    head = {"kind": "river", "module": kind.__module__, "class": kind.__qualname__}
    if hasattr(found, "__dict__"):
        return {**head, "fields": {name: frozen(value) for name, value in vars(found).items()}}
    return {**head, "made": frozen(found.__getnewargs__()), "raw": found.__getstate__()}


def thawed(tree: Any, owner: Any = None) -> Any:
    """Return what `frozen` was given.

    Raises
    ------
    FormatError
        If it names a class outside river.
    """
    if not isinstance(tree, dict):
        return tree
    kind = tree["kind"]
    if kind == "method":
        return getattr(owner, tree["name"])
    if kind == "random":
        found = random.Random()
        found.setstate(thawed(tree["state"]))
        return found
    if kind == "deque":
        return deque((thawed(part) for part in tree["parts"]), tree["maxlen"])
    if kind in ("list", "tuple"):
        parts = [thawed(part) for part in tree["parts"]]
        return tuple(parts) if kind == "tuple" else parts
    if not str(tree["module"]).startswith("river."):
        raise FormatError(f"`detector` must be of a class of river; got {tree['module']!r}.")
    made = getattr(importlib.import_module(tree["module"]), tree["class"])
    if "raw" in tree:
        found = made(*thawed(tree["made"]))
        found.__setstate__(tree["raw"])
        return found
    found = made.__new__(made)
    for name, value in tree["fields"].items():
        setattr(found, name, thawed(value, found))
    return found
