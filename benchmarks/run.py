"""How fast are the layers beside their rivals, and beside what the machine can do?

    python benchmarks/run.py [--rows NAME ...] [--repeat 20] [--threads 1 2] [--quick]

Each row checks first that the rival's outputs and gradients are ours, then times all sides turn by turn in this one
process (`timing`). Adds a JSON object for each row and number of threads to benchmarks/results/speed.jsonl;
`python benchmarks/readme.py` makes the README's table of them. `--quick` takes few turns and adds nothing.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import memory
import torch
from machine import about, peak, peaks, rate
from one_step import STEPS
from sequences import SEQUENCES
from timing import Times, alternate, differences
from work import GRADIENT, OUTPUT, MissingError, Row, Share, equal

ROWS = SEQUENCES | STEPS
RESULTS = Path(__file__).parent / "results" / "speed.jsonl"


class NotEqualError(Exception):
    """A rival that we are aimed at computes something else."""


def checked(row: Row) -> dict[str, dict[str, float]]:
    """Return how far each rival is from us; leave out of the row one that is farther than rounding explains.

    Of another model there is nothing to check. Raise if we have set ourselves a target against one that is left out.
    """
    ours, *rivals = row.sides
    expected = ours.answer() if ours.answer else {}
    found = {rival.name: differences(expected, rival.answer()) for rival in rivals if rival.answer}
    for rival in rivals:
        if rival.name in found and not equal(found[rival.name]):
            if rival.name in row.targets:
                raise NotEqualError(f"{rival.name} differs by {found[rival.name]}")
            row.sides.remove(rival)
            print(f"{row.work}: {rival.name} is left out, it differs by {found[rival.name]}", flush=True)
    return found


def lines(
    name: str, row: Row, off: dict[str, dict[str, float]], times: dict[tuple[str, int], Times],
    threads: list[int], machine: dict[str, dict[str, float]],
) -> list[dict[str, Any]]:  # fmt: skip
    """Return what is written of a row, one object for each number of threads."""
    found = []
    for n in threads:
        ours, *rivals = ({"name": side.name, **times[side.name, n].summary()} for side in row.sides)
        for rival in rivals:
            rival["times"] = float(f"{rival['ms'] / ours['ms']:.4g}")
            rival["target"] = row.targets.get(rival["name"])
            rival["off"] = off.get(rival["name"])
        line = {"row": name, "work": row.work, "threads": n, "ours": ours, "rivals": rivals}
        line["tolerance"] = {"output": OUTPUT, "gradient": GRADIENT}
        timed = {side.name for side in row.sides}
        line["left_out"] = {name: far for name, far in off.items() if name not in timed}
        if row.tried:
            line["tried"] = row.tried
        if row.below_us:
            line["below_us"] = row.below_us
        if row.share:
            of = row.share.of
            best = max(machine[str(n)][of], rate(of, times[of, n]))
            line["share"] = shared(row.share, ours["ms"], best)
        found.append(line)
    return found


def shared(share: Share, ms: float, peak: float) -> dict[str, Any]:
    """Return how much of the machine's peak a work reaches."""
    reached = share.amount / (ms / 1e3) / peak
    return {"of": share.of, "peak": peak, "reached": float(f"{reached:.3g}"), "target": share.target}


def show(line: dict[str, Any]) -> None:
    """Print a row for people."""
    unit = "mb" if "below_mb" in line else "ms"
    ours = line["ours"]
    threads = f", {line['threads']} threads" if "threads" in line else ""
    print(f"{line['work']}{threads}: {ours[unit]:.4g} {unit} of {ours['count']}")
    for rival in line["rivals"]:
        said = f"    {rival['name']}: {rival[unit]:.4g} {unit} of {rival['count']}, {rival['times']:.3g} times"
        said += f" (target {rival['target']:g})" if rival.get("target") else ""
        print(said + (f", off by {rival['off']}" if rival.get("off") else ""))
    if "share" in line:
        print("    {reached:.0%} of the machine's {of} (target {target:.0%})".format(**line["share"]), flush=True)


def write(line: dict[str, Any], facts: dict[str, Any]) -> None:
    """Add a line to the results."""
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as results:
        results.write(json.dumps({**line, **facts}) + "\n")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, memory.ROW], default=[*ROWS, memory.ROW])
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--quick", action="store_true", help="3 turns, and no line is added to the results")
    asked = parser.parse_args()
    repeats = 3 if asked.quick else asked.repeat
    machine = peaks(asked.threads, repeats)
    facts = {**about(), "machine": machine}
    print(json.dumps(facts), flush=True)
    for name in asked.rows:
        torch.manual_seed(0)
        try:
            if name == memory.ROW:
                found = [memory.line(1 if asked.quick else 3)]
            else:
                row = ROWS[name]()
                off = checked(row)
                beside = [peak(row.share.of)] if row.share else []  # the peak in the same turns: machines change
                times = alternate([*row.sides, *beside], asked.threads, repeats)
                found = lines(name, row, off, times, asked.threads, machine)
        except (MissingError, NotEqualError) as e:
            print(f"{name}: not measured, {e}", flush=True)
            continue
        for line in found:
            show(line)
            if not asked.quick:
                write(line, facts)


if __name__ == "__main__":
    main()
