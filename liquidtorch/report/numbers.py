"""Numbers as a person reads them: sensible digits, thin thousands, a real minus."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

ABSENT = "–"
THIN = "\u202f"  # narrow no-break space
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def finite(value: Any) -> TypeGuard[float]:
    """Tell whether `value` is a number that can be drawn (null, NaN, infinity and text are not)."""
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e150
    )  # whose square is a number too


def fixed(value: Any, decimals: int) -> str:
    """Write `value` with exactly `decimals` decimals.

    Examples
    --------
    >>> fixed(-0.5, 2)
    '−0.50'
    """
    if not finite(value):
        return ABSENT
    text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace(",", THIN).replace("-", "−")


def number(value: Any, digits: int = 4) -> str:
    """Write `value` with `digits` significant digits and no idle zeros; whole numbers in full.

    Examples
    --------
    >>> number(0.0012345), number(3), number(None), number(2.5e-7)
    ('0.001234', '3', '–', '2.5×10⁻⁷')
    """
    if not finite(value):
        return ABSENT
    if value == 0:
        return "0"
    if isinstance(value, int) and abs(value) < 10**9:
        return fixed(value, 0)
    power = math.floor(math.log10(abs(value)))
    if not -4 <= power < 6:
        mantissa = f"{value / 10.0**power:.{digits - 1}f}".rstrip("0").rstrip(".").replace("-", "−")
        return f"{mantissa}×10{str(power).translate(_RAISED)}"
    text = fixed(value, max(0, digits - 1 - power))
    return text.rstrip("0").rstrip(".") if "." in text else text


def compact(count: float) -> str:
    """Write a count in at most four characters or so: 950, 12k, 3.4M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= 10 * size or (abs(count) >= size and letter != "k"):
            return f"{count / size:.3g}{letter}"
    return f"{count:.0f}"


def percent(share: Any) -> str:
    """Write a share of one as a percentage; a small share is never shown as 0."""
    if not finite(share):
        return ABSENT
    if 0 < share < 0.001:
        return "< 0.1" + THIN + "%"
    if 0.999 < share < 1:
        return "> 99.9" + THIN + "%"
    return fixed(100 * share, 0 if share in (0, 1) else 1) + THIN + "%"


def seconds(value: Any) -> str:
    """Write a duration: 0.31 s, 42 s, 3 min 20 s, 2 h 05 min."""
    if not finite(value):
        return ABSENT
    if value < 10:
        return number(float(value), 2) + THIN + "s"
    whole = round(value)
    if whole < 120:
        return f"{whole}{THIN}s"
    if whole < 7200:
        return f"{whole // 60}{THIN}min {whole % 60:02d}{THIN}s"
    return f"{whole // 3600}{THIN}h {whole % 3600 // 60:02d}{THIN}min"


def alike(values: list[Any], digits: int = 4) -> list[str]:
    """Write `values` with the same decimals: `digits` significant ones of the largest.

    Examples
    --------
    >>> alike([0.214, 0.09839, None])
    ['0.2140', '0.0984', '–']
    """
    sizes = [abs(v) for v in values if finite(v) and v]
    power = math.floor(math.log10(max(sizes))) if sizes else 0
    if not -4 <= power < 6:
        return [number(v, digits) for v in values]
    return [fixed(v, max(0, digits - 1 - power)) for v in values]


def decimals_for(intervals: list[tuple[Any, Any]], scores: list[Any]) -> int:
    """Return the decimals that show two digits of the narrowest interval's half width, or four of the scores."""
    halves = [(high - low) / 2 for low, high in intervals if finite(low) and finite(high) and high > low]
    if halves:
        return min(8, max(0, 1 - math.floor(math.log10(min(halves)))))
    sizes = [abs(s) for s in scores if finite(s) and s]
    return min(8, max(0, 3 - math.floor(math.log10(max(sizes))))) if sizes else 2
