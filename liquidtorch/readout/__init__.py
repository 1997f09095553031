"""From what the body says to the answer: trained with the body, solved from its states, or learned row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import check_choice
from . import features
from .bank import Bank
from .factor import Factor
from .logistic import Logistic
from .model_space import ModelSpace
from .online_logistic import OnlineLogistic
from .recursive import RLS
from .ridge import Solution, ridge
from .solved import Ridge
from .statistics import Statistics
from .targets import balanced, increments, one_hot
from .trained import MLP, Linear, Numbers

__all__ = [
    "KINDS", "MLP", "ONLINE", "RLS", "SOLVED", "Bank", "Factor", "Linear", "Logistic", "ModelSpace", "Numbers",
    "OnlineLogistic", "Ridge", "Solution", "Statistics", "balanced", "build", "features", "increments", "one_hot",
    "ridge", "solved",
]  # fmt: skip

KINDS: dict[str, type[Linear]] = {"linear": Linear, "mlp": MLP}  # those that are trained with the body
SOLVED: dict[str, type[Any]] = {"ridge": Ridge, "logistic": Logistic}  # those that are solved from its states
ONLINE: dict[str, type[Any]] = {"rls": RLS, "logistic": OnlineLogistic, "bank": Bank}  # learned one row at a time
_CLASSES: tuple[type[Any], ...] = (Linear, MLP, Ridge, Logistic, RLS, OnlineLogistic, Bank)


def solved(readout: Any) -> bool:
    """Whether a readout is solved in closed form, not trained."""
    return isinstance(readout, tuple(SOLVED.values()))


def build(config: Mapping[str, Any]) -> Any:
    """Make a readout from its `config()`."""
    classes = {kind.__name__: kind for kind in _CLASSES}
    check_choice("kind", config.get("kind"), classes)
    return classes[config["kind"]](**{k: v for k, v in config.items() if k != "kind"})
