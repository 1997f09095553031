"""The README's table of how long a sample takes that is learned forward in time."""

from __future__ import annotations

from typing import Any

SAID = {"exact": "exact RTRL", "eprop": "e-prop"}


def learning_table(lines: list[dict[str, Any]]) -> str:
    """Return a row a cell and rule: microseconds of step, traces, gradient and Adam, and how often the others'."""
    others = [name for name in lines[0]["us"] if name != "liquidtorch"]
    heads = " | ".join(f"{name}, us" for name in others)
    rows = [
        f"| cell, 8 features | rule | us | {heads} | of the machine's peak |",
        "|---|---" + "|--:" * (len(others) + 2) + "|",
    ]
    for line in lines:
        us = line["us"]
        beside = " | ".join(f"{us[name]:,.0f} ({us[name] / us['liquidtorch']:.0f} x)" for name in others)
        share = f"{100 * line['of_peak']:.0f} %"
        rows.append(f"| {line['cell']} | {SAID[line['rule']]} | {us['liquidtorch']:.3g} | {beside} | {share} |")
    peak = max(line["peak_gflops"] for line in lines)
    return "\n".join(
        [*rows, "", f"On one core of {lines[0]['cpu']}; its peak, of a float64 product: {peak:.0f} Gflop/s."]
    )
