"""How good a reservoir is, or any layer: its memory, rank, stability, spikes and what they cost."""

from __future__ import annotations

from .capacity import Capacity, information_processing_capacity
from .dimension import condition_number, effective_dimension
from .drive import drive
from .echo import Echo, echo_index
from .exponent import lyapunov
from .memory import Memory, memory_capacity
from .overview import inspect, table
from .rank import generalisation_rank, jittered, kernel_rank, rank
from .separation import Separation, separation
from .spikes import Operations, Rates, operations, rates

__all__ = [
    "Capacity", "Echo", "Memory", "Operations", "Rates", "Separation", "condition_number", "drive", "echo_index",
    "effective_dimension", "generalisation_rank", "information_processing_capacity", "inspect", "jittered",
    "kernel_rank", "lyapunov", "memory_capacity", "operations", "rank", "rates", "separation", "table",
]  # fmt: skip
