"""From raw numbers to what a body reads: numbers scaled, with gaps marked, or spikes."""

from __future__ import annotations

from .bsa import BSA
from .burst import Burst
from .choose import choose_encoder
from .cochlea import bandwidth, centres, decibels, filter_bank
from .delta import Delta
from .encoder import Encoder
from .identity import Identity
from .kinds import KINDS, build
from .latency import Latency
from .missing import Memory, MissingAware
from .moving_window import MovingWindow
from .population import Population
from .rate import Rate
from .sigma_delta import SigmaDelta
from .spikes import SpikeEncoder
from .step_forward import StepForward
from .threshold import ThresholdBased
from .weighted_phase import WeightedPhase

__all__ = [
    "BSA", "KINDS", "Burst", "Delta", "Encoder", "Identity", "Latency", "Memory", "MissingAware", "MovingWindow",
    "Population", "Rate", "SigmaDelta", "SpikeEncoder", "StepForward", "ThresholdBased", "WeightedPhase", "bandwidth",
    "build", "centres", "choose_encoder", "decibels", "filter_bank",
]  # fmt: skip
