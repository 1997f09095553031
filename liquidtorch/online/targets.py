"""Labels as what a readout learns, and its answers as labels: classes that come one by one, and numbers."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError

MEMORY = 10_000.0  # samples that the spread of targets is taken over


class Classes:
    """Give each class a number when it first comes.

    Parameters
    ----------
    labels : sequence of hashables
        Classes known from the start, in the order of their numbers.
    """

    def __init__(self, labels: Sequence[Hashable] = ()) -> None:
        self.labels = list(labels)
        self._codes = {label: code for code, label in enumerate(self.labels)}

    def encode(self, y: Any) -> int | None:
        """Return the number of a class, a new one for a new class; None where the label is missing."""
        if isinstance(y, np.generic):
            y = y.item()
        code = self._codes.get(y)
        if code is None and y is not None and y == y:
            self._codes[y] = code = len(self.labels)
            self.labels.append(y)
        return code

    def decode(self, p: np.ndarray) -> Any:
        """Return the most probable class."""
        return self.labels[int(p.argmax())]


class Numbers:
    """Read and answer one number or several, of one step or several.

    Parameters
    ----------
    names : sequence of str
        The targets, O of them.
    horizon : int
        How many steps are asked for: H*O numbers, step by step.

    Notes
    -----
    A single number is answered as a float, several targets as a dict, several steps as an array (H,) or (H, O); labels
    are read in the same form.
    """

    def __init__(self, names: Sequence[str], horizon: int = 1) -> None:
        self.names, self.horizon = tuple(names), horizon
        self.width = horizon * len(self.names)

    def encode(self, y: Any, base: np.ndarray | None) -> np.ndarray | None:
        """Return the numbers (H*O,), from `base` on where there is one, NaN where unknown; None where all are."""
        if base is None and self.width == 1 and isinstance(y, float) and y - y == 0.0:  # the usual case, at once
            return np.array((y,))
        if isinstance(y, Mapping):
            y = [y.get(name) for name in self.names]
        try:
            found = np.array(y, dtype=np.float64).reshape(-1)  # None becomes NaN
        except (TypeError, ValueError):
            raise DataError(f"`y` must be {self._wanted()}; got {y!r}. For classes, use readout='logistic'.") from None
        if len(found) == 1 and found[0] != found[0]:
            return None
        if len(found) != self.width:
            raise DataError(f"`y` must be {self._wanted()}; got {len(found)} numbers.")
        if np.isinf(found).any():
            raise DataError(f"`y` must be finite; got {y!r}. Give None for what is not known.")
        if base is not None:
            found -= base
        return None if np.isnan(found).all() else found

    def _wanted(self) -> str:
        return "a number" if self.width == 1 else f"{self.width} numbers ({', '.join(self.names)})"

    def decode(self, out: np.ndarray, base: np.ndarray | None) -> Any:
        """Return an answer in the unit of the targets."""
        found = out if base is None else out + base
        if self.width == 1:
            return float(found[0])
        if self.horizon == 1:
            return dict(zip(self.names, found.tolist(), strict=True))
        return found if len(self.names) == 1 else found.reshape(self.horizon, -1)


class Spread:
    """Tell how far targets are from their mean, lately: the unit that errors are measured in.

    Parameters
    ----------
    outputs : int
    """

    def __init__(self, outputs: int) -> None:
        self.count, self.mean, self.square = np.zeros(outputs), np.zeros(outputs), np.zeros(outputs)

    def tell(self, y: np.ndarray) -> None:
        """Take the targets (O,) of one sample, NaN where unknown."""
        if len(y) == 1:
            self._tell_one(y.item())
            return
        seen = y == y
        self.count[seen] = np.minimum(self.count[seen] + 1, MEMORY)
        off = np.where(seen, y - self.mean, 0.0)
        share = 1 / np.maximum(self.count, 1)
        self.mean += share * off
        self.square += np.where(seen, share * (off * (off - share * off) - self.square), 0.0)

    def _tell_one(self, y: float) -> None:
        """Take a single target: the same, without the cost of arrays for one number."""
        if y == y:
            count, mean, square = min(self.count.item() + 1, MEMORY), self.mean.item(), self.square.item()
            off, share = y - mean, 1 / count
            self.count[0], self.mean[0] = count, mean + share * off
            self.square[0] = square + share * (off * (off - share * off) - square)

    def variance(self) -> np.ndarray:
        """Return the variances (O,); 1 where there is none yet."""
        return np.where(self.square > 0, self.square, 1.0)

    def level(self) -> float:
        """Return the mean of the variances."""
        return self.square.item() or 1.0 if len(self.square) == 1 else float(self.variance().mean())

    def mean_square(self, error: np.ndarray) -> float:
        """Return the mean square of known errors (O,), each in deviations of its target; NaN where none is known."""
        if len(error) == 1:
            one = error.item()
            return one * one / self.level()
        squares = error * error / self.variance()
        known = squares[squares == squares]
        return float(known.mean()) if len(known) else math.nan
