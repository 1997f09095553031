"""What is asked of the sequences, and how an answer is scored."""

from __future__ import annotations

from .ahead import ahead
from .interval import bootstrap
from .kind import KINDS, Task, infer
from .score import score

__all__ = ["KINDS", "Task", "ahead", "bootstrap", "infer", "score"]
