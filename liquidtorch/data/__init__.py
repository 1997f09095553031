"""Sequences of rows: ragged, irregular in time, with missing values; read from tables and arrays, and split."""

from __future__ import annotations

from .arrays import from_arrays
from .sequences import Feature, Sequences, Series
from .split import Split, split
from .table import from_table, read_table

__all__ = ["Feature", "Sequences", "Series", "Split", "from_arrays", "from_table", "read_table", "split"]
