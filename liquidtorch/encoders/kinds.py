"""Every encoder by its name, to make one from its `config()`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import check_choice
from .bsa import BSA
from .burst import Burst
from .delta import Delta
from .identity import Identity
from .latency import Latency
from .missing import MissingAware
from .moving_window import MovingWindow
from .population import Population
from .rate import Rate
from .sigma_delta import SigmaDelta
from .spikes import SpikeEncoder
from .step_forward import StepForward
from .threshold import ThresholdBased
from .weighted_phase import WeightedPhase

SPIKES: tuple[type[SpikeEncoder], ...] = (
    Rate, SigmaDelta, Latency, Population, WeightedPhase, Burst, Delta, ThresholdBased, MovingWindow, StepForward, BSA,
)  # fmt: skip
KINDS: dict[str, type] = {kind.__name__: kind for kind in (Identity, MissingAware, *SPIKES)}


def build(config: Mapping[str, Any]) -> Any:
    """Make an encoder from its `config()`."""
    check_choice("kind", config.get("kind"), KINDS)
    return KINDS[config["kind"]](**{k: v for k, v in config.items() if k != "kind"})
