"""The README's table of how fast reservoirs run, beside packages that do the same."""

from __future__ import annotations

from typing import Any

RIVALS = {
    1: ("reservoirpy", 5.0),
    64: ("ResDAG", 4.0),
}  # rows at once -> the rival, and how many times its rate is asked


def reservoir_speed_table(
    echo: list[dict[str, Any]], spiking: list[dict[str, Any]], radius: list[dict[str, Any]]
) -> str:
    """Return a row a work: steps of a row a second, on one core."""
    rows = ["| 1000 units, 10 % of the synapses | steps/s | beside | times | asked |", "|---|--:|---|--:|--:|"]
    for line in echo:
        _, topology, batch, dtype = (*line["row"].split("-"), "")[:4]
        if not batch.startswith("B"):
            continue
        name, asked = RIVALS[int(batch[1:])]
        rate, other = line["rows_per_second"]["liquidtorch"], line["rows_per_second"].get(name)
        if other is None:
            continue
        said = f"echo state, {topology}, {dtype}, {'one row' if batch == 'B1' else 'a batch of ' + batch[1:]}"
        rows.append(f"| {said} | {rate:,.0f} | {name}: {other:,.0f} | {rate / other:.1f} | {asked:.0f} |")
    near = min(spiking, key=lambda line: abs(line["activity"] - 0.05), default=None)
    if near is not None:
        found = near["steps_per_second"]
        name = max((n for n in found if n != "liquidtorch"), key=found.__getitem__)
        said = f"spiking, {near['dtype']}, {100 * near['activity']:.0f} % of the units spike in a step"
        cells = f"{found['liquidtorch']:,.0f} | {name}: {found[name]:,.0f} | {found['liquidtorch'] / found[name]:.1f}"
        rows.append(f"| {said} | {cells} | {near['target']:,} steps/s |")
    if radius:
        ours, other = (max(line["seconds"][name] for line in radius) for name in ("liquidtorch", "ARPACK"))
        said = f"spectral radius of 5000 units, the slowest of {len(radius)} matrices"
        rows.append(f"| {said} | {ours:.2f} s | ARPACK: {other:.1f} s | {other / ours:.1f} | below 1 s |")
    cpu = echo[0]["cpu"]
    return "\n".join([*rows, "", f"On one core of {cpu}."])
