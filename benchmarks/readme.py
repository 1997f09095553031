"""Write the README's tables from the result files: no number in the README is typed by hand.

python benchmarks/readme.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from learning_table import learning_table
from online_table import online_table
from reservoir_speed_table import reservoir_speed_table
from reservoir_table import reservoir_table
from speed_table import speed_table
from structure_table import structure_table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def newest(name: str, *keys: str) -> list[dict]:
    """Return the last line of a result file for each combination of `keys`."""
    lines = [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines()]
    return list({tuple(line.get(k) for k in keys): line for line in lines}.values())


def demo() -> str:
    """Return the table of the demo: a row a model, a column a split."""
    lines = sorted(newest("demo", "seed"), key=lambda line: line["seed"])
    metric = lines[0]["metric"].upper()
    heads = [f"split {line['seed']}" for line in lines]
    rows = [f"| next reading of a robot's joints, {metric} (less is better) | {' | '.join(heads)} | parameters |"]
    rows.append("|---" * (len(lines) + 2) + "|")
    for models in zip(*(line["scores"] for line in lines), strict=True):
        scores = " | ".join(f"{m['score']:.2f}" for m in models)
        rows.append(f"| {models[0]['model']} | {scores} | {models[0]['parameters']:,} |")
    return "\n".join(rows)


def resilience() -> str:
    """Return the table of noise and few labels: a row a set and condition, a column a rival; percent right."""
    lines = {(line["set"], line["row"]): line["accuracy"] for line in newest("resilience", "set", "row")}
    names = {"digits": "spoken digits, a speaker left out"}
    shown = (
        ("noise", "clean 0", "clean"),
        ("noise", "gaussian 10", "noise, 10 dB"),
        ("noise", "dropped 0.5", "half the samples lost"),
        ("labels", "5", "5 labels a class"),
    )
    rivals = list(next(iter(lines.values())))
    rows = ["| right, % | | " + " | ".join(rivals) + " |", "|---" * (len(rivals) + 2) + "|"]
    for name in dict.fromkeys(name for name, _ in lines):
        for row, level, said in shown:
            found = lines.get((name, row), {})
            if all(level in found.get(kind, {}) for kind in rivals):
                cells = " | ".join(_percent(found[kind][level], middle=row == "labels") for kind in rivals)
                rows.append(f"| {names.get(name, name)} | {said} | {cells} |")
    return "\n".join(rows)


def _percent(values: list[float], *, middle: bool) -> str:
    """Return the mean over folds, or the median over draws and their range."""
    if not middle:
        return f"{100 * sum(values) / len(values):.1f}"
    low, *_, high = ordered = sorted(100 * v for v in values)
    return f"{ordered[len(ordered) // 2]:.1f} ({low:.0f}-{high:.0f})"


def main() -> None:
    """Replace what stands between the markers."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    tables = {
        "demo": demo(),
        "speed": speed_table(newest("speed", "row", "threads")),
        "reservoir": reservoir_table(newest("reservoir", "row")),
        "reservoir speed": reservoir_speed_table(
            newest("echo", "row"), newest("spiking", "activity"), newest("radius", "seed")
        ),
        "resilience": resilience(),
        "structure": structure_table(newest("structure", "need", "kind", "arm", "seed")),
        "learning": learning_table(newest("learning", "cell", "rule")),
        "online": online_table(newest("online", "stream", "model", "seed")),
    }
    for name, table in tables.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = mark.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)
    readme.write_text(text)


if __name__ == "__main__":
    main()
