"""A structure that changes: pure functions that grow, prune, rewire, split and merge a cell within its capacity."""

from __future__ import annotations

from .change import Change, Copies, Split

__all__ = ["Change", "Copies", "Split"]
