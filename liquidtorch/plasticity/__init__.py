"""A structure that changes: pure functions that grow, prune, rewire, split and merge a cell within its capacity."""

from __future__ import annotations

from .change import Change, Copies, Split
from .population import Population, Room, populate, with_room
from .removal import merge, missed, recycle, regression, remove
from .scores import Scores, birth_gradient, everyone, fill, saliency
from .sources import Running, Sources
from .synapses import cosine, grow, prune, rewire
from .units import add, split

__all__ = [
    "Change", "Copies", "Population", "Room", "Running", "Scores", "Sources", "Split", "add", "birth_gradient",
    "cosine", "everyone", "fill", "grow", "merge", "missed", "populate", "prune", "recycle", "regression", "remove",
    "rewire", "saliency", "split", "with_room",
]  # fmt: skip
