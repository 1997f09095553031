"""Choose a rule by name or by what it may cost."""

from __future__ import annotations

from ...cells import Cell
from .local import local
from .rule import Fixed, Rule, Traced
from .traces import Own, Packed, reach


def make(spec: str, cell: Cell, *, budget: float = 1e6) -> Rule:
    """Make a rule."""
    own = local(cell)
    if spec == "readout":
        return Fixed(own)
    if spec == "exact":
        return Traced(spec, own, Packed(own.slots, reach(own.slots, None)))
    return Traced(spec, own, Own(own.slots, loops=spec == "snap1"))
