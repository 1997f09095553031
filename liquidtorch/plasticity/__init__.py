"""A structure that changes: pure functions that grow, prune, rewire, split and merge a cell within its capacity."""

from __future__ import annotations

from .change import Change, Copies, Split
from .homeostasis import Homeostasis, intrinsic, scaling
from .lag import Found, Lag
from .local import local
from .population import Population, Room, populate, with_room
from .probes import Probes
from .removal import merge, missed, recycle, regression, remove
from .scores import Scores, birth_gradient, everyone, fill, saliency
from .sources import Running, Sources
from .synapses import cosine, grow, prune, rewire
from .triggers import Dormancy, Plateau, Rest, Saturation, redundant
from .units import add, split

__all__ = [
    "Change", "Copies", "Dormancy", "Found", "Homeostasis", "Lag", "Plateau", "Population", "Probes", "Rest",
    "Room", "Running", "Saturation", "Scores", "Sources", "Split", "add", "birth_gradient", "cosine", "everyone",
    "fill", "grow", "intrinsic", "local", "merge", "missed", "populate", "prune", "recycle", "redundant",
    "regression", "remove", "rewire", "saliency", "scaling", "split", "with_room",
]  # fmt: skip
