"""The wiring of a network: which unit feels which unit and which feature, and with what sign."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, FormatError, OptionError, ShapeError, check_choice, check_range, check_shape
from ..files import read_json
from . import graph
from .draw import svg

ROLES = ("motor", "command", "inter")
SCHEMA = 1


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Wiring:
    """Hold the connections of a network, complete and unchangeable.

    Parameters
    ----------
    recurrent : array (H, H) of -1, 0, 1
        `recurrent[i, j]` is the sign of the synapse to unit i from unit j; 0 where there is none.
    sensory : array (H, F) of -1, 0, 1
        `sensory[i, k]` is the sign of the synapse to unit i from feature k.
    outputs : int, 1 to H
        The units 0 to outputs-1 are motor units: theirs is the output.
    roles : sequence of H of "motor", "command", "inter", optional
        Motor units come first. Left out, the units after the motor units are "inter".
    name : str
        A label for people; two wirings are equal whatever their names.

    Raises
    ------
    ShapeError
        If the matrices do not fit together.
    DataError
        If a matrix holds anything but -1, 0 and 1.
    OptionError
        If `outputs` or `roles` do not fit the units.

    Notes
    -----
    Wirings compare by content and can be keys of a dict. The arrays are read-only; change a copy and build anew.

    Examples
    --------
    >>> wiring = Wiring([[0, 1], [-1, 0]], [[1], [1]], outputs=1)
    >>> wiring
    Wiring('matrix', units=2, features=1, outputs=1, synapses=2, sensory_synapses=2)
    >>> wiring.roles
    ('motor', 'inter')
    """

    recurrent: NDArray[np.int8]
    sensory: NDArray[np.int8]
    outputs: int
    roles: tuple[str, ...]
    name: str

    def __init__(
        self,
        recurrent: ArrayLike,
        sensory: ArrayLike,
        outputs: int,
        roles: Sequence[str] | None = None,
        name: str = "matrix",
    ) -> None:
        found = _signs("recurrent", recurrent)
        check_shape("recurrent", found.shape, ("units", "units"))
        units = len(found)
        felt = _signs("sensory", sensory)
        check_shape("sensory", felt.shape, ("units", "features"), units=units)
        if not units or not felt.shape[1]:
            raise ShapeError(f"`sensory` must have at least one unit and one feature; got {felt.shape}.")
        outputs = check_range("outputs", outputs, 1, units, whole=True)
        for field, value in (
            ("recurrent", found),
            ("sensory", felt),
            ("outputs", outputs),
            ("roles", _roles(roles, units, outputs)),
            ("name", str(name)),
        ):
            object.__setattr__(self, field, value)

    @property
    def units(self) -> int:
        """Count the units, H."""
        return len(self.recurrent)

    @property
    def features(self) -> int:
        """Count the features, F."""
        return self.sensory.shape[1]

    @property
    def synapses(self) -> int:
        """Count the synapses from unit to unit."""
        return int(np.count_nonzero(self.recurrent))

    @property
    def sensory_synapses(self) -> int:
        """Count the synapses from feature to unit."""
        return int(np.count_nonzero(self.sensory))

    @property
    def all_synapses(self) -> int:
        """Count the synapses from unit and from feature to unit."""
        return self.synapses + self.sensory_synapses

    @property
    def density(self) -> float:
        """Return the fraction of the H*H possible recurrent synapses that are there."""
        return self.synapses / self.recurrent.size

    def __repr__(self) -> str:
        counts = ("units", "features", "outputs", "synapses", "sensory_synapses")
        return f"Wiring({self.name!r}, {', '.join(f'{c}={getattr(self, c)}' for c in counts)})"

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if isinstance(other, Wiring) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple[object, ...]:
        return self.units, self.roles, self.recurrent.tobytes(), self.sensory.tobytes()

    def __reduce__(self) -> tuple[Any, ...]:  # through the constructor: a copied array would be writable
        return Wiring, (self.recurrent, self.sensory, self.outputs, self.roles, self.name)

    def to_json(self) -> dict[str, Any]:
        """Return the wiring as plain JSON values: for each unit, the sources of either sign."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "units": self.units,
            "features": self.features,
            "outputs": self.outputs,
            "roles": [[role, count] for role, count in _runs(self.roles)],
            "recurrent": _sources(self.recurrent),
            "sensory": _sources(self.sensory),
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Wiring:
        """Build a wiring from what `to_json` returned.

        Raises
        ------
        FormatError
            If `found` is no wiring, is of a newer schema, or contradicts itself.

        Examples
        --------
        >>> wiring = Wiring([[1]], [[-1]], outputs=1)
        >>> Wiring.from_json(wiring.to_json()) == wiring
        True
        """
        if not isinstance(found, dict) or "recurrent" not in found:
            raise FormatError("`wiring` must be a JSON object with a `recurrent` part; got something else.")
        if found.get("schema", SCHEMA) > SCHEMA:
            raise FormatError(
                f"`wiring` must be of schema {SCHEMA} or older; got {found['schema']}. Install a newer liquidtorch."
            )
        try:
            units, features = int(found["units"]), int(found["features"])
            return cls(
                _matrix(found["recurrent"], units, units),
                _matrix(found["sensory"], units, features),
                found["outputs"],
                [role for role, count in found["roles"] for _ in range(count)],
                found["name"],
            )
        except (KeyError, IndexError, TypeError, ValueError) as e:
            raise FormatError(f"`wiring` must agree with itself; it does not ({type(e).__name__}: {e}).") from e

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Wiring:
        """Read a wiring from a JSON file."""
        return cls.from_json(read_json(path, "a wiring"))

    def to_graph(self) -> Any:
        """Return a `networkx.DiGraph`: nodes carry `role`, edges carry `sign`; features are `x0`, units `h0`, ..."""
        return graph.to_graph(self.recurrent, self.sensory, self.roles, self.name)

    @classmethod
    def from_graph(cls, source: Any, *, features: int | None = None, outputs: int | None = None) -> Wiring:
        """Build a wiring from a `networkx` graph.

        Parameters
        ----------
        source : networkx graph
            Nodes may carry `role` ("sensory", "inter", "command", "motor"); then motor units are moved to the
            front, else the graph's own order is kept. Edges may carry `sign`, or a `weight` whose sign is taken;
            an edge without either excites. An edge of an undirected graph counts both ways.
        features : int, optional
            For a graph without sensory nodes: this many features, each exciting every unit.
        outputs : int, optional
            For a graph without motor nodes: this many of the first units are motor units.

        Raises
        ------
        DataError
            If a synapse ends in a sensory node, or the graph holds two edges for one pair.
        OptionError
            If `features` or `outputs` are missing, or given although the graph has them.

        Examples
        --------
        >>> import networkx as nx
        >>> Wiring.from_graph(nx.cycle_graph(5), features=2, outputs=1).synapses
        10
        """
        return cls(*graph.from_graph(source, features, outputs))

    def draw(self, weights: tuple[ArrayLike, ArrayLike] | None = None) -> str:
        """Draw the wiring as an SVG picture that stands alone.

        Parameters
        ----------
        weights : pair of arrays (H, H) and (H, F), optional
            Signed strengths of the recurrent and sensory synapses: sign gives the colour, size the width.
            Values where there is no synapse are passed over. Left out, every synapse has its sign and width one.

        Returns
        -------
        str
            The SVG text, for a file or to be put into a page as it is; text takes the page's colour.

        Raises
        ------
        ShapeError
            If `weights` do not fit the matrices.
        DataError
            If a weight is not finite where there is a synapse.

        Notes
        -----
        Columns from left to right: sensory, inter, command, motor; units that feel others of their column stand in a
        ring. At most 1200 synapses are drawn, the strongest; the picture says so where some are left out.
        """
        return svg(self, weights)

    def _repr_svg_(self) -> str:
        return self.draw()


def _signs(name: str, value: ArrayLike) -> NDArray[np.int8]:
    """Copy `value` into a read-only int8 matrix of -1, 0 and 1."""
    raw = np.asarray(value)
    if raw.ndim != 2:
        check_shape(name, raw.shape, ("units", "units" if name == "recurrent" else "features"))
    wrong = ~np.isin(raw, (-1, 0, 1))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"`{name}` must hold -1, 0 and 1 only; got {raw[row, column]} (row {row}, column {column}). "
            "Use numpy.sign of it; strengths are learned elsewhere."
        )
    signs = raw.astype(np.int8)
    signs.setflags(write=False)
    return signs


def _roles(roles: Sequence[str] | None, units: int, outputs: int) -> tuple[str, ...]:
    if roles is None:
        return ("motor",) * outputs + ("inter",) * (units - outputs)
    roles = tuple(roles)
    if len(roles) != units:
        raise OptionError(f"`roles` must name a role for each of {units} units; got {len(roles)}.")
    for role in roles:
        check_choice("roles", role, ROLES)
    motor = [i for i, role in enumerate(roles) if role == "motor"]
    if motor != list(range(outputs)):
        raise OptionError(
            f"`roles` must have the {outputs} motor units first and no others; got motor units at {motor}. "
            "Renumber the units."
        )
    return roles


def _runs(roles: Sequence[str]) -> list[tuple[str, int]]:
    """Count equal neighbours: motor, motor, inter -> (motor, 2), (inter, 1)."""
    runs: list[tuple[str, int]] = []
    for role in roles:
        if runs and runs[-1][0] == role:
            runs[-1] = (role, runs[-1][1] + 1)
        else:
            runs.append((role, 1))
    return runs


def _sources(matrix: NDArray[np.int8]) -> dict[str, list[list[int]]]:
    return {
        "excitatory": [np.flatnonzero(row > 0).tolist() for row in matrix],
        "inhibitory": [np.flatnonzero(row < 0).tolist() for row in matrix],
    }


def _matrix(sources: dict[str, list[list[int]]], units: int, width: int) -> NDArray[np.int8]:
    matrix = np.zeros((units, width), np.int8)
    for word, sign in (("excitatory", 1), ("inhibitory", -1)):
        if len(sources[word]) != units:
            raise ValueError(f"{word} lists {len(sources[word])} of {units} units")
        for to, listed in enumerate(sources[word]):
            if any(not 0 <= source < width for source in listed):
                raise ValueError(f"unit {to} has a source outside 0 to {width - 1}")
            if matrix[to, listed].any():
                raise ValueError(f"unit {to} has a source of both signs")
            matrix[to, listed] = sign
    return matrix
