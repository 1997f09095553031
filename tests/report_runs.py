"""Records as runs write them, made up but of the true size: for the tests of the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from liquidtorch import wiring
from liquidtorch.record import Record

CHEETAH = tuple(f"{part}_{what}" for part in ("torso", "hip", "knee", "ankle") for what in ("x", "z", "angle", "rate"))
SPOKEN = ("sitting", "standing", "walking", "upstairs", "downstairs", "lying down", "running")


def numeric(name: str, draw: np.random.Generator, missing: float = 0.0) -> dict[str, Any]:
    """A column of the data card."""
    mean, std = draw.normal(0, 2), draw.uniform(0.1, 3)
    return {
        "name": name,
        "kind": "numeric",
        "missing": missing,
        "mean": mean,
        "std": std,
        "min": mean - 3 * std,
        "max": mean + 4 * std,
    }


def forecast(
    folder: Path,
    *,
    targets: int = 1,
    series: int = 3,
    rows: int = 900,
    horizon: int = 1,
    better: bool | None = True,
    stop_after: str = "end",
    units: int = 64,
    spec: str = "auto_ncp",
) -> Path:
    """Write the record of a forecast run; `stop_after` names the last kind of line that was reached."""
    draw = np.random.default_rng(3)
    names = [*CHEETAH, "reward"][:targets] if targets > 1 else ["temperature"]
    log = _Stopping(folder, stop_after)
    options = {
        "table": "cheetah.parquet",
        "target": names,
        "series": "trace",
        "time": "t",
        "task": "forecast",
        "units": units,
        "body": "liquid",
        "wiring": spec,
        "epochs": 60,
        "seed": 7,
    }
    _run(log, options)
    edges = np.geomspace(0.01, 2.0, 31)
    card = {
        "series": 25,
        "rows": 22_000,
        "unit": "s",
        "time": "t",
        "level": "step",
        "lengths": {"min": 850, "median": 900.0, "max": 901},
        "dt": {
            "min": 0.01,
            "median": 0.012,
            "max": 2.0,
            "counts": np.sort(draw.integers(1, 4000, 30))[::-1],
            "edges": edges,
        },
        "features": [numeric(n, draw, 0.03) for n in names],
        "targets": [numeric(n, draw) for n in names],
    }
    log.write("data", card=card, split=_split("by series: whole series are held out, drawn with seed 7", 25, 22_000))
    log.write(
        "task",
        task={
            "kind": "forecast",
            "targets": names,
            "classes": [None] * len(names),
            "horizon": horizon,
            "quantiles": [0.05, 0.95],
        },
        metric="rmse",
        reason="the targets are also features",
    )
    tau = np.exp(draw.uniform(np.log(0.01), np.log(10), units))
    plan = wiring.make(spec, units, len(names), len(names), 7)
    log.write("model", parameters=11_345, body="liquid", units=units, wiring=plan.to_json(), tau=tau)
    _epochs(log, 42, lower=True)
    log.write("event", name="early_stop", message="no better validation score in 10 epochs; weights of epoch 31 kept")
    log.write("model_end", tau=tau * np.exp(draw.normal(0.2, 0.5, units)))
    shift = {True: 0.0, None: 0.0125, False: 0.03}[better]
    for name, score, parameters, seconds in (
        ("liquid", 0.2140 + shift, 11_345, 88.0),
        ("last value", 0.412, 0, 0.01),
        ("linear", 0.2312, 306, 0.4),
        ("lags", 0.2268, 5219, 1.9),
        ("GRU", 0.2279, 11_410, 61.0),
    ):
        each = {f"rmse/{n}": score * (1 + 0.05 * j) for j, n in enumerate(names)} if targets > 1 else {}
        log.write(
            "score",
            model=name,
            metric="rmse",
            score=score,
            low=score - 0.0043,
            high=score + 0.0047,
            metrics={"rmse": score, "mae": 0.7 * score, "r2": 1 - score**2, **each},
            parameters=parameters,
            seconds=seconds,
            detail="ridge on the last 8 rows" if name == "lags" else "",
        )
    gap = 0.2140 + shift - 0.2268
    log.write(
        "verdict",
        best_baseline="lags",
        difference=gap,
        low=gap - 0.003,
        high=gap + 0.0035,
        better=better,
        text="Compared on 5 test series never seen in training, resampled 1000 times.",
    )
    shown, left = [], []
    for k in range(series):
        for j, name in enumerate(names):
            time = np.cumsum(draw.choice([0.01, 0.012, 0.02], rows)) + (1.42e9 if k == 0 and j == 1 else 0)
            truth = np.sin(0.03 * (j + 1) * np.arange(rows) + k) + 0.1 * draw.normal(size=rows).cumsum() / 8
            truth[rows // 2] += 2.5  # a spike that thinning must not lose
            answer = truth + 0.12 * draw.normal(size=rows)
            answer[: rows // 20] = np.nan
            shown.append(
                {
                    "name": f"trace_{k}",
                    "time": time,
                    "target": name,
                    "truth": truth,
                    "prediction": answer,
                    "low": answer - 0.25,
                    "high": answer + 0.25,
                }
            )
            if k == 0:
                left.append({"target": name, "truth": truth[rows // 20 :], "prediction": answer[rows // 20 :]})
    log.write("examples", series=shown, confusion=[], residuals=left)
    log.write("end", score=0.2140 + shift, seconds=153.0, run=str(folder))
    return folder


def classes(
    folder: Path,
    *,
    kind: str = "classify_steps",
    names: tuple[str, ...] = ("empty", "occupied"),
    targets: int = 1,
    rows: int = 2600,
    better: bool | None = None,
    stop_after: str = "end",
) -> Path:
    """Write the record of a classification run."""
    draw = np.random.default_rng(5)
    log = _Stopping(folder, stop_after)
    asked = [f"state_{j}" for j in range(targets)] if targets > 1 else ["Occupancy"]
    _run(log, {"table": "occupancy.csv", "target": asked, "time": "date", "body": "cfc", "units": 32, "seed": 0})
    counts = (rows * np.arange(len(names), 0, -1) / len(names)).astype(int)
    card = {
        "series": 1,
        "rows": 20_560,
        "unit": "min",
        "time": "date",
        "level": "step",
        "lengths": {"min": 20_560, "median": 20_560.0, "max": 20_560},
        "dt": {"min": 1.0, "median": 1.0, "max": 1.0, "counts": [20_559], "edges": [1.0, 1.000001]},
        "features": [
            *(numeric(n, draw, m) for n, m in (("Temperature", 0), ("Light", 0.0004), ("CO2", 0.21))),
            {
                "name": "weekday",
                "kind": "category",
                "missing": 0.0,
                "classes": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
                "counts": [2880] * 7,
            },
        ],
        "targets": [{"name": t, "kind": "category", "missing": 0.0, "classes": names, "counts": counts} for t in asked],
    }
    log.write("data", card=card, split=_split("by time: contiguous blocks, the last is the test part", 1, 20_560))
    log.write(
        "task",
        task={"kind": kind, "targets": asked, "classes": [list(names)] * targets, "horizon": 1, "quantiles": []},
        metric="accuracy",
        reason="the target is a category at every step",
    )
    log.write("model", parameters=5_130, body="cfc", units=32, wiring=None, tau=np.geomspace(1, 500, 32))
    _epochs(log, 18, lower=False)
    log.write("model_end", tau=np.geomspace(1.5, 900, 32))
    for name, score, detail in (
        ("liquid", 0.9893, ""),
        ("majority", 0.787, "always empty"),
        ("one rule", 0.9901, "Light > 365"),
        ("linear", 0.9874, ""),
        ("GRU", 0.9881, ""),
    ):
        log.write(
            "score",
            model=name,
            metric="accuracy",
            score=score,
            low=score - 0.0061,
            high=score + 0.0052,
            metrics={"accuracy": score, "balanced_accuracy": score - 0.004, "log_loss": 0.04},
            parameters=5130,
            seconds=31.0,
            detail=detail,
        )
    log.write("verdict", best_baseline="one rule", difference=-0.0008, low=-0.0042, high=0.0027, better=better, text="")
    shown, tables = [], []
    for target in asked:
        truth = (np.arange(rows) // 170 + np.arange(rows) // 610) % len(names)
        answer = np.where(draw.random(rows) < 0.03, (truth + 1) % len(names), truth)
        if kind == "classify_steps":
            shown.append(
                {"name": "test block", "time": np.arange(rows), "target": target, "truth": truth, "prediction": answer}
            )
        matrix = np.zeros((len(names), len(names)), int)
        np.add.at(matrix, (truth, answer), 1)
        tables.append({"target": target, "classes": names, "matrix": matrix})
    log.write("examples", series=shown, confusion=tables, residuals=[])
    log.write("end", score=0.9893, seconds=64.0, run=str(folder))
    return folder


def regress(folder: Path, *, kind: str = "regress") -> Path:
    """Write the record of a regression of whole series (or of each step)."""
    forecast(folder, targets=2, series=1, rows=400)
    path = folder / "record.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["kind"] == "task":
            line["task"] |= {"kind": kind, "quantiles": []}
        if line["kind"] == "examples" and kind == "regress":
            line["series"] = []
        if line["kind"] == "examples":
            line["series"] = [{k: v for k, v in s.items() if k not in ("low", "high")} for s in line["series"]]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


class _Stopping:
    """A record that falls silent after the first line of a kind, as a killed run's does."""

    def __init__(self, folder: Path, stop_after: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log, self.stop_after, self.silent = Record(folder / "record.jsonl"), stop_after, False

    def write(self, kind: str, **fields: Any) -> None:
        if not self.silent:
            self.log.write(kind, **fields)
        self.silent = self.silent or kind == self.stop_after


def _run(log: _Stopping, options: dict[str, Any]) -> None:
    log.write(
        "run",
        schema=1,
        version="0.1.0",
        options=options | {"learning_rate": 0.003, "quantiles": [0.05, 0.95]},
        environment={
            "python": "3.12.4",
            "torch": "2.13.0",
            "platform": "Linux x86_64",
            "cpu": "AMD EPYC 9B14",
            "threads": 2,
        },
        seed=options["seed"],
    )
    (log.log.path.parent / "config.json").write_text(json.dumps({"schema": 1, "options": options}))


def _split(how: str, series: int, rows: int) -> dict[str, Any]:
    shares = {"train": 0.7, "valid": 0.15, "test": 0.15}
    parts = {p: {"series": max(1, int(series * s)), "rows": int(rows * s)} for p, s in shares.items()}
    return {"how": how, **parts}


def _epochs(log: _Stopping, count: int, *, lower: bool) -> None:
    draw = np.random.default_rng(1)
    for i in range(1, count + 1):
        train = 1.4 * np.exp(-i / 6) + 0.05 + 0.01 * draw.random()
        valid = 1.4 * np.exp(-i / 7) + 0.09 + 0.02 * draw.random() + 0.002 * max(0, i - 25)
        log.write(
            "epoch",
            epoch=i,
            train_loss=train,
            valid_loss=valid,
            valid_score=valid if lower else 1 - valid / 2,
            lr=0.003 * 0.5 * (1 + np.cos(np.pi * i / 60)),
            grad_norm=3 * np.exp(-i / 9) + 0.1 + 0.1 * draw.random(),
            seconds=2.0,
        )
