"""One step of a cell with its derivatives: what rules learn by, and what probes of missing synapses ask."""

from __future__ import annotations

from . import conductance, relaxing, scanned  # noqa: F401 - each registers its cells' derivatives
from .local import Local, Terms, local, parameter, readable
from .slots import Floats, Slots

__all__ = ["Floats", "Local", "Slots", "Terms", "local", "parameter", "readable"]
