"""The README's table of streams."""

from __future__ import annotations

import math
import statistics
from typing import Any

SAID = {
    "elec2": "Elec2, accuracy, %",
    "elec2-start": "Elec2, its first 2000 rows, accuracy, %",
    "sea": "SEA, abrupt drift, accuracy, %",
    "hyperplane": "hyperplane that turns, accuracy, %",
    "friedman-lea": "Friedman, local drift, MAE",
    "friedman-gra": "Friedman, abrupt, comes back, MAE",
    "friedman-gsg": "Friedman, gradual, MAE",
    "narma": "NARMA-10, drift half way, NRMSE of the last 5000",
}
RIVALS = 3  # of other libraries' models on a stream, how many are shown


def online_table(lines: list[dict[str, Any]]) -> str:
    """Return a row a stream and model, the best first: the mean over seeds, the controls, and the time of a sample."""
    rows = ["| stream | model | score | no change | memoryless | us a sample |", "|---|---|---|---|---|---|"]
    for stream, said in SAID.items():
        found = [line for line in lines if line["stream"] == stream]
        groups = [[line for line in found if line["model"] == name] for name in {line["model"] for line in found}]
        groups.sort(key=lambda own: (statistics.mean(_score(line, "model") for line in own), own[0]["model"]))
        if stream in ("elec2", "elec2-start", "sea", "hyperplane"):
            groups.reverse()
        rivals = [own[0]["model"] for own in groups if "river" in own[0]["model"]]
        for own in groups:
            name = own[0]["model"]
            if name in rivals[RIVALS:]:
                continue
            scores = [_score(line, "model") for line in own]
            low, high = min(scores), max(scores)
            spread = "" if low == high else f" ({low:.3g}-{high:.3g})"
            us = statistics.mean(sum(kind["p50"] for kind in line["latency"].values()) for line in own)
            still, plain = (statistics.mean(_score(line, who) for line in own) for who in ("no change", "memoryless"))
            score = f"{statistics.mean(scores):.3g}{spread}"
            rows.append(f"| {said} | {name} | {score} | {still:.3g} | {plain:.3g} | {us:.0f} |")
            said = ""
    return "\n".join(rows)


def _score(line: dict[str, Any], who: str) -> float:
    if line["stream"] == "narma":
        last = {name: math.hypot(*line["windows"][name][-5:]) for name in (who, "model")}
        return line["nrmse_last_5000"] * last[who] / last["model"]
    scores = line["scores"][who]
    return 100 * scores["accuracy"] if "accuracy" in scores else scores["mae"]
