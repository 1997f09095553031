"""What a row is: a work, the sides that do it, and what is aimed at."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field

from timing import Side

FEATURES = 8
# The largest differences allowed, as a share of the largest number: what float32 loses in hundreds of steps.
OUTPUT, GRADIENT = 1e-5, 5e-5


@dataclass
class Share:
    """How much of what the machine can do a row should reach: `amount` in units of 1e9 (flops or bytes)."""

    of: str  # "gemm" or "copy"
    amount: float
    target: float = 0.5


@dataclass
class Row:
    """One work. The first side is ours; `targets`: how many times faster than a side it should be."""

    work: str
    sides: list[Side]
    targets: dict[str, float] = field(default_factory=dict)
    _: KW_ONLY
    share: Share | None = None
    below_us: float | None = None
    tried: dict[str, float] = field(default_factory=dict)  # seconds of what the rival was chosen from, if right


class MissingError(Exception):
    """What a row measures does not exist yet."""


def equal(off: dict[str, float]) -> bool:
    """Say whether differences are within what rounding explains."""
    return off["output"] <= OUTPUT and off.get("gradient", 0.0) <= GRADIENT
