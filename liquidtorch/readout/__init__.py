"""From what the body says to the answer: trained with the body, or solved in closed form from its states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import check_choice
from . import features
from .factor import Factor
from .logistic import Logistic
from .model_space import ModelSpace
from .ridge import Solution, ridge
from .solved import Ridge
from .statistics import Statistics
from .targets import balanced, increments, one_hot
from .trained import MLP, Linear, Numbers

__all__ = [
    "KINDS", "MLP", "SOLVED", "Factor", "Linear", "Logistic", "ModelSpace", "Numbers", "Ridge", "Solution",
    "Statistics", "balanced", "build", "features", "increments", "one_hot", "ridge", "solved",
]  # fmt: skip

KINDS: dict[str, type[Linear]] = {"linear": Linear, "mlp": MLP}  # those that are trained with the body
SOLVED: dict[str, type[Any]] = {"ridge": Ridge, "logistic": Logistic}  # those that are solved from its states
_CLASSES: tuple[type[Any], ...] = (Linear, MLP, Ridge, Logistic)


def solved(readout: Any) -> bool:
    """Whether a readout is solved in closed form, not trained."""
    return isinstance(readout, tuple(SOLVED.values()))


def build(config: Mapping[str, Any]) -> Any:
    """Make a readout from its `config()`."""
    classes = {kind.__name__: kind for kind in _CLASSES}
    check_choice("kind", config.get("kind"), classes)
    return classes[config["kind"]](**{k: v for k, v in config.items() if k != "kind"})
