"""Every numeric idea: what it means (`reference`), one step of it (`steps`), a sequence of it (`sequences`), fast."""

from __future__ import annotations

from .choice import SEQUENCES, backend, use
from .loop import over
from .reference import ACTIVATIONS
from .sequences import cfc, leaky, linear, liquid, ltc, ltc_synapses, mobius
from .steps import cfc_step, leaky_step, linear_step, liquid_step, ltc_step, mobius_step
from .synapses import Synapses, synapses

__all__ = [
    "ACTIVATIONS", "SEQUENCES", "Synapses", "backend", "cfc", "cfc_step", "leaky", "leaky_step", "linear",
    "linear_step", "liquid", "liquid_step", "ltc", "ltc_step", "ltc_synapses", "mobius", "mobius_step", "over",
    "synapses", "use",
]  # fmt: skip
