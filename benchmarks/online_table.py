"""The README's table of streams."""

from __future__ import annotations

import statistics
from typing import Any

SAID = {
    "elec2": "Elec2, accuracy, %",
    "sea": "SEA, abrupt drift, accuracy, %",
    "hyperplane": "hyperplane that turns, accuracy, %",
    "friedman-lea": "Friedman, local drift, MAE",
    "friedman-gra": "Friedman, gradual drift, MAE",
    "friedman-gsg": "Friedman, gradual, two at once, MAE",
    "narma": "NARMA-10, drift half way, NRMSE of the last 5000",
}


def online_table(lines: list[dict[str, Any]]) -> str:
    """Return a row a stream and model: the mean over seeds, the controls beside, and the time of a sample."""
    rows = ["| stream | model | score | no change | memoryless | us a sample |", "|---|---|---|---|---|---|"]
    for stream, said in SAID.items():
        found = [line for line in lines if line["stream"] == stream]
        for name in dict.fromkeys(line["model"] for line in found):
            own = [line for line in found if line["model"] == name]
            scores = [_score(line, "model") for line in own]
            low, high = min(scores), max(scores)
            spread = "" if low == high else f" ({low:.3g}-{high:.3g})"
            us = statistics.mean(sum(kind["p50"] for kind in line["latency"].values()) for line in own)
            controls = [
                f"{statistics.mean(_score(line, who) for line in own):.3g}" for who in ("no change", "memoryless")
            ]
            if stream == "narma":
                controls = ["", ""]  # their last 5000 are not kept apart
            score = f"{statistics.mean(scores):.3g}{spread}"
            rows.append(f"| {said} | {name} | {score} | {controls[0]} | {controls[1]} | {us:.0f} |")
            said = ""
    return "\n".join(rows)


def _score(line: dict[str, Any], who: str) -> float:
    if line["stream"] == "narma":
        return line["nrmse_last_5000"]
    scores = line["scores"][who]
    return 100 * scores["accuracy"] if "accuracy" in scores else scores["mae"]
