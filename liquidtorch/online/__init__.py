"""Online learning: a network that answers, learns and changes with every sample of a stream."""

from __future__ import annotations

from .channels import Channels
from .drift import Drift
from .online import Online
from .plasticity import Plasticity
from .prequential import Evaluation, evaluate

__all__ = ["Channels", "Drift", "Evaluation", "Online", "Plasticity", "evaluate"]
