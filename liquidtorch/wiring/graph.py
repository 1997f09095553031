"""Wirings to and from networkx graphs; networkx is imported by `to_graph` alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, OptionError, check_choice, check_range

_ORDER = ("sensory", "motor", "command", "inter")


def to_graph(recurrent: NDArray[np.int8], sensory: NDArray[np.int8], roles: Sequence[str], name: str) -> Any:
    """Return a directed graph with the features first, then the units, each in their order."""
    import networkx as nx

    found = nx.DiGraph(name=name)
    found.add_nodes_from((f"x{k}", {"role": "sensory"}) for k in range(sensory.shape[1]))
    found.add_nodes_from((f"h{i}", {"role": role}) for i, role in enumerate(roles))
    for matrix, source in ((sensory, "x"), (recurrent, "h")):
        for i, j in np.argwhere(matrix):
            found.add_edge(f"{source}{j}", f"h{i}", sign=int(matrix[i, j]))
    return found


def from_graph(
    found: Any, features: int | None, outputs: int | None
) -> tuple[NDArray[np.int8], NDArray[np.int8], int, list[str], str]:
    """Return the arguments of `Wiring`."""
    if found.is_multigraph():
        raise DataError(
            "`graph` must have at most one edge for a pair of nodes; got a multigraph. Use networkx.DiGraph(graph)."
        )
    role = {node: data.get("role", "inter") for node, data in found.nodes(data=True)}
    for word in role.values():
        check_choice("role", word, _ORDER)
    sensory_nodes = [node for node, word in role.items() if word == "sensory"]
    units = [node for node, word in role.items() if word == "motor"]
    outputs = _either("outputs", outputs, len(units), "motor")
    units += [node for node, word in role.items() if word not in ("sensory", "motor")]
    features = _either("features", features, len(sensory_nodes), "sensory")
    check_range("outputs", outputs, 1, len(units), whole=True)
    recurrent = np.zeros((len(units), len(units)), np.int8)
    sensory = np.zeros((len(units), features), np.int8) if sensory_nodes else np.ones((len(units), features), np.int8)
    place = {node: i for i, node in enumerate(units)} | {node: k for k, node in enumerate(sensory_nodes)}
    edges = found.edges(data=True)
    if not found.is_directed():
        edges = [edge for edge in found.to_directed().edges(data=True) if role[edge[1]] != "sensory"]
    for source, to, data in edges:
        if role[to] == "sensory":
            raise DataError(
                f"`graph` must have no edge into a sensory node; got {source!r} -> {to!r}. Remove it, or turn it round."
            )
        sign = int(np.sign(data.get("sign", data.get("weight", 1))))
        (sensory if role[source] == "sensory" else recurrent)[place[to], place[source]] = sign
    roles = ["motor"] * outputs + [role[node] for node in units[outputs:]]
    return recurrent, sensory, outputs, roles, str(found.name or "graph")


def _either(name: str, given: int | None, counted: int, kind: str) -> int:
    """Return what is given or what the graph has; both or neither is a mistake."""
    if counted and given is not None and given != counted:
        raise OptionError(f"`{name}` must be the graph's own {counted} {kind} nodes; got {given}. Leave it out.")
    if counted:
        return counted
    if given is None:
        raise OptionError(f"`{name}` must be given for a graph without {kind} nodes; got None. Pass {name}=...")
    return check_range(name, given, 1, whole=True)
