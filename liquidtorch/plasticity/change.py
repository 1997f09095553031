"""Change: what an operation did to the structure of a cell, so that what goes along with the cell can follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import check_range, check_shape


def _none() -> NDArray[np.int64]:
    return np.zeros((0, 2), np.int64)


class Split(NamedTuple):
    """One unit become two: `child` gives `share` of what `parent` gave to others, and `parent` the rest."""

    parent: int
    child: int
    share: float


class Copies(NamedTuple):
    """Synapses born of a split, (K, 2) to and from, and those they are copies of."""

    born: NDArray[np.int64]
    of: NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Change:
    """Say which synapses and units an operation took away and which it made.

    A companion of the cell (a learning rule's traces, an optimiser's moments, a readout) follows in this order:

    1. `dead`, `dead_x`, `units_dead`: what it kept for them is 0, or forgotten;
    2. `splits`, one after the other: the child is in the parent's state, and so are its synapses (`copies`);
    3. `born`, `born_x`, `units_born` that no split made: what it keeps for them starts at 0.

    A place may be both dead and born: then something new stands there, of which nothing old holds.

    Parameters
    ----------
    born, dead : array (S, 2) of int
        Synapses between units, (to, from). Those of a split child are among `born`.
    born_x, dead_x : array (S, 2) of int
        Synapses from features, (to, from).
    units_born, units_dead : array (k,) of int
        Slots taken and slots left. The child of a split is among `units_born`.
    splits : tuple of Split
        `(parent, child, share)`, in the order they were made; share is the child's part of what both give.

    Raises
    ------
    ShapeError
        If synapses are no pairs.

    Examples
    --------
    >>> change = Change(born=[(2, 0), (1, 2)], units_born=[2], splits=((0, 2, 0.4),))
    >>> change.copies().of.tolist()
    [[0, 0], [1, 0]]
    >>> bool(change), bool(Change())
    (True, False)
    """

    born: NDArray[np.int64] = field(default_factory=_none)
    dead: NDArray[np.int64] = field(default_factory=_none)
    born_x: NDArray[np.int64] = field(default_factory=_none)
    dead_x: NDArray[np.int64] = field(default_factory=_none)
    units_born: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    units_dead: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    splits: tuple[Split, ...] = ()

    def __post_init__(self) -> None:
        for name in ("born", "dead", "born_x", "dead_x"):
            pairs = np.array(getattr(self, name), np.int64)
            pairs = pairs if pairs.size else _none()
            check_shape(name, pairs.shape, ("synapses", "ends"), ends=2)
            object.__setattr__(self, name, pairs)
        for name in ("units_born", "units_dead"):
            object.__setattr__(self, name, np.array(getattr(self, name), np.int64).reshape(-1))
        splits = tuple(Split(int(p), int(c), float(check_range("share", s))) for p, c, s in self.splits)
        object.__setattr__(self, "splits", splits)

    def __bool__(self) -> bool:
        parts = (self.born, self.dead, self.born_x, self.dead_x, self.units_born, self.units_dead)
        return any(len(part) for part in parts)

    def carry(self, h: NDArray[np.float64]) -> None:
        """Let a running state, (..., H), follow in place: 0 where a unit died or is new, in a child its parent's."""
        h[..., self.units_dead] = 0.0
        h[..., self.units_born] = 0.0
        for parent, child, _ in self.splits:
            h[..., child] = h[..., parent]

    def copies(self) -> Copies:
        """Return the synapses between units that splits made, and those they were made from, in the order of `born`."""
        return self._copies(self.born, both=True)

    def copies_x(self) -> Copies:
        """Return the synapses from features that splits made, and those they were made from."""
        return self._copies(self.born_x, both=False)

    def _copies(self, born: NDArray[np.int64], both: bool) -> Copies:
        of = born.copy()
        for parent, child, _ in reversed(self.splits):  # a child that was split in its turn leads back to the first
            ends = of if both else of[:, :1]
            ends[ends == child] = parent
        made = (of != born).any(axis=1)
        return Copies(born[made], of[made])
