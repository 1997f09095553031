"""liquidtorch: small recurrent networks whose time constants, connections and size follow the data."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOMS = {  # public name -> the room it lives in; opened when the name is first used, so that importing costs nothing
    "Leaky": "cells",
    "Liquid": "cells",
    "LTC": "cells",
    "CfC": "cells",
    "Linear": "cells",
    "Mobius": "cells",
    "Recurrent": "layers",
    "Stack": "layers",
    "Bidirectional": "layers",
    "MixedMemory": "layers",
    "Wiring": "wiring",
    "Sequences": "data",
    "Task": "task",
    "LiquidNetwork": "model",
    "load": "model",
    "LiquidClassifier": "estimators",
    "LiquidRegressor": "estimators",
    "LiquidForecaster": "estimators",
    "ReservoirClassifier": "estimators",
    "ReservoirRegressor": "estimators",
    "ReservoirForecaster": "estimators",
    "EchoState": "reservoir",
    "LiquidState": "reservoir",
    "Online": "online",
    "OnlineClassifier": "online.river",
    "OnlineRegressor": "online.river",
    "RLS": "readout",
    "OnlineLogistic": "readout",
    "Bank": "readout",
}
__all__ = [*_ROOMS, "__version__"]

if TYPE_CHECKING:
    from .cells import LTC, CfC, Leaky, Linear, Liquid, Mobius
    from .data import Sequences
    from .estimators import (
        LiquidClassifier,
        LiquidForecaster,
        LiquidRegressor,
        ReservoirClassifier,
        ReservoirForecaster,
        ReservoirRegressor,
    )  # fmt: skip
    from .layers import Bidirectional, MixedMemory, Recurrent, Stack
    from .model import LiquidNetwork, load
    from .online import Online
    from .online.river import OnlineClassifier, OnlineRegressor
    from .readout import RLS, Bank, OnlineLogistic
    from .reservoir import EchoState, LiquidState
    from .task import Task
    from .wiring import Wiring


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(f".{_ROOMS[name]}", __name__), name)
    raise AttributeError(f"module 'liquidtorch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
