"""Makes the README's table of speed from the lines of `run.py`: what was aimed at, and whether it was met."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Line = dict[str, Any]
NOISE = 1.05  # two threads count as slower than one from here on
HEAD = "| forward and backward | rival | its ms | our ms | times | aim |\n|---|---|--:|--:|--:|---|"


def speed_table(lines: list[Line]) -> str:
    """Return the table and what must be read with it; `lines`: the newest of each row and number of threads."""
    rows = [row for works in _by_row(lines) for row in _rows(works)]
    return "\n".join([HEAD, *rows, "", *_notes(lines)])


def _by_row(lines: list[Line]) -> list[list[Line]]:
    """Return, for each row, its lines at each number of threads."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line["row"], []).append(line)
    return list(found.values())


def _rows(works: list[Line]) -> Iterator[str]:
    """Return a row of the table for each rival and each share of a peak, every side at its best number of threads."""
    work = works[0]["work"]
    if "below_mb" in works[0]:
        ours, rival, below = works[0]["ours"]["mb"], works[0]["rivals"][0], works[0]["below_mb"]
        aim = _aim(f"below {below:g} MB", ours < below)
        yield _row(work, rival["name"], f"{rival['mb']:,.0f} MB", f"{ours:.0f} MB", rival["mb"] / ours, aim)
        return
    best = min(works, key=lambda line: line["ours"]["ms"])
    ours = best["ours"]["ms"]
    for name in dict.fromkeys(rival["name"] for line in works for rival in line["rivals"]):
        same = [rival for line in works for rival in line["rivals"] if rival["name"] == name]
        theirs, target = min(rival["ms"] for rival in same), same[0]["target"]
        if target is None and "share" in best:
            continue  # the row is about the machine's peak; the rival only checks the answer
        aims = []
        if target is not None:
            aims.append(_aim("ahead" if target == 1 else f"{target:g} times", theirs / ours >= target))
        if "below_us" in best:
            aims.append(_aim(f"below {best['below_us']:g} us", ours * 1e3 < best["below_us"]))
        yield _row(work, name, _ms(theirs), _ms(ours), theirs / ours, ", ".join(aims))
    if "share" in best:
        top = max(works, key=lambda line: line["share"]["reached"])
        share = top["share"]
        name, unit = {"gemm": ("product", "Gflop/s"), "copy": ("copy", "GB/s")}[share["of"]]
        aim = _aim(f"{share['target']:.0%} of it", share["reached"] >= share["target"])
        what = f"the machine's {name}, {share['peak']:.0f} {unit}"
        yield f"| {work} | {what} | | {_ms(top['ours']['ms'])} | {share['reached']:.0%} of it | {aim} |"


def _row(work: str, rival: str, theirs: str, ours: str, times: float, aim: str) -> str:
    shown = f"{times:.0f}" if times >= 20 else f"{times:.2g}"
    return f"| {work} | {rival} | {theirs} | {ours} | {shown} | {aim} |"


def _ms(ms: float) -> str:
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.3g}"


def _aim(what: str, met: bool) -> str:
    return f"{what}: {'met' if met else '**not met**'}"


def _notes(lines: list[Line]) -> Iterator[str]:
    """Say on what and how it was measured, which rivals are wrong, and where a second thread does not help."""
    newest = max(lines, key=lambda line: line["date"])
    threads = sorted({line["threads"] for line in lines if "threads" in line})
    counts = {side["count"] for line in lines if "threads" in line for side in (line["ours"], *line["rivals"])}
    best = f"each side at its best number of threads ({' or '.join(map(str, threads))})"
    fewer = f" ({min(counts)} of a rival that takes seconds)" if min(counts) < max(counts) else ""
    yield (
        f"{newest['cpu']}; {newest['kernels'].removeprefix('kernel: ')}; torch {newest['torch']}, ncps "
        f"{newest['ncps']}; {newest['date'][:10]}, commit {newest['commit']}. Medians of {max(counts)} calls"
        f"{fewer}, turn by turn in one process, {best}; float32, 8 features, dt 1."
    )
    wrong = {f"{n} of {line['work'].split(',')[0]}" for line in lines for n in line.get("left_out", {})}
    if wrong:
        yield f"Left out, since its gradients are wrong: {', '.join(sorted(wrong))}."
    slower = []
    for works in _by_row(lines):
        one, *more = sorted((line for line in works if "threads" in line), key=lambda line: line["threads"]) or [None]
        slower += [line["work"] for line in more if line["ours"]["ms"] > NOISE * one["ours"]["ms"]]
    if len(threads) > 1:
        yield f"More threads are slower than one in: {'; '.join(slower) or 'none'}."
