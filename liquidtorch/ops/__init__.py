"""Every numeric idea: what it means (`reference`), one step of it (`steps`), a sequence of it (`sequences`), fast."""

from __future__ import annotations

from .choice import SEQUENCES, backend, pick, use
from .cpu import cfc_gates, leaky_gates, liquid_gates
from .loop import over
from .reference import ACTIVATIONS, Spiking
from .sequences import cfc, echo, leaky, linear, liquid, ltc, ltc_synapses, mobius
from .spiking import spiking
from .stepper import Stepper, diagonal_stepper, echo_stepper, gated_stepper, ltc_stepper, spiking_stepper
from .steps import cfc_step, echo_step, leaky_step, linear_step, liquid_step, ltc_step, mobius_step
from .synapses import Synapses, synapses, synapses_at

__all__ = [
    "ACTIVATIONS",
    "SEQUENCES",
    "Spiking",
    "Stepper",
    "Synapses",
    "backend",
    "cfc",
    "cfc_gates",
    "cfc_step",
    "diagonal_stepper",
    "echo",
    "echo_step",
    "echo_stepper",
    "gated_stepper",
    "leaky",
    "leaky_gates",
    "leaky_step",
    "linear",
    "linear_step",
    "liquid",
    "liquid_gates",
    "liquid_step",
    "ltc",
    "ltc_step",
    "ltc_stepper",
    "ltc_synapses",
    "mobius",
    "mobius_step",
    "over",
    "pick",
    "spiking",
    "spiking_stepper",
    "synapses",
    "synapses_at",
    "use",
]  # fmt: skip
