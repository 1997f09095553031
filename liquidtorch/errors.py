"""Every exception of the library and the checks that raise them.

An error's text has one form: `` `name` must be WHAT; got VALUE (WHY it differs). FIX. ``
"""

from __future__ import annotations

import difflib
import importlib
import math
import numbers
import operator
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Literal, overload


class LiquidError(Exception):
    """The root of every error liquidtorch raises on purpose."""


class ShapeError(LiquidError, ValueError):
    """An array has the wrong number of axes or a wrong length along one."""


class OptionError(LiquidError, ValueError):
    """An option is unknown, out of range, or contradicts another."""


class DataError(LiquidError, ValueError):
    """The data cannot be what it is said to be."""


class FormatError(LiquidError, ValueError):
    """A file is truncated, of another kind, or written by a newer version."""


class StateError(LiquidError, RuntimeError):
    """Something is asked for before what it needs has happened."""


class BackendError(LiquidError, RuntimeError):
    """A fast path was demanded where none fits."""


class MissingExtra(LiquidError, ImportError):
    """An optional dependency is not installed."""


def nearest(word: object, choices: Iterable[object]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest of `choices`, or an empty string."""
    found = difflib.get_close_matches(str(word), [str(c) for c in choices], n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise `OptionError` unless `value` is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        listed = ", ".join(repr(c) for c in choices)
        raise OptionError(f"`{name}` must be one of {listed}; got {value!r}.{nearest(value, choices)}")


@overload
def check_range(
    name: str, value: int, low: float = ..., high: float = ..., *, open_low: bool = ..., whole: Literal[True]
) -> int: ...
@overload
def check_range(
    name: str, value: float, low: float = ..., high: float = ..., *, open_low: bool = ..., whole: Literal[False] = ...
) -> float: ...
def check_range(
    name: str,
    value: float,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    whole: bool = False,
) -> float:
    """Raise `OptionError` unless `value` is a number in [low, high] ((low, high] if `open_low`).

    Returns the number, a whole one of any library as a plain int, so that what is kept of it can be written as JSON.
    """
    kind = "a whole number" if whole else "a number"
    bounds = []
    if low > -math.inf:
        bounds.append(f"{'above' if open_low else 'at least'} {low:g}")
    if high < math.inf:
        bounds.append(f"at most {high:g}")
    wanted = f"`{name}` must be {kind}{' ' if bounds else ''}{' and '.join(bounds)}; got {value!r}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral if whole else (numbers.Integral, float)):
        raise OptionError(f"{wanted} ({type(value).__name__}).")
    if not math.isfinite(value) or value < low or value > high or (open_low and value == low):
        raise OptionError(f"{wanted}.")
    return operator.index(value) if isinstance(value, numbers.Integral) else value


def check_shape(name: str, shape: Sequence[int], axes: Sequence[str], **sizes: int) -> dict[str, int]:
    """Bind the axes of `name` to lengths, or raise `ShapeError` where they contradict `sizes`.

    Returns `sizes` together with the axes bound here, to be handed to the next check.
    """
    wanted = "(" + ", ".join(f"{a}={sizes[a]}" if a in sizes else a for a in axes) + ")"
    got = tuple(shape)
    if len(got) != len(axes):
        raise ShapeError(f"`{name}` must have the shape {wanted}; got {got} ({len(got)} axes instead of {len(axes)}).")
    for axis, length in zip(axes, got, strict=True):
        if sizes.setdefault(axis, length) != length:
            raise ShapeError(f"`{name}` must have the shape {wanted}; got {got} ({axis} is {length}).")
    return sizes


def need(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say which extra installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as e:
        raise MissingExtra(
            f"`{module}` must be installed for this; it is not. Run: pip install 'liquidtorch[{extra}]'."
        ) from e
