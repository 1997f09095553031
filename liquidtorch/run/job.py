"""The main job: train, score beside baselines, and put down in the run's folder everything that was found."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from .. import __version__, record
from ..baselines import Answer, baselines, truth
from ..errors import LiquidError, StateError
from ..files import atomic_folder, write_atomic
from ..readout import solved
from ..record import SCHEMA, Record
from ..train import fit, predict
from . import answers, evaluate, folder
from .options import Options
from .prepare import Prepared, prepare

SHARE = 0.45  # of the time that is left, for the network; the GRU gets as many seconds


def start(options: Options, *, progress: bool) -> dict[str, Any]:
    """Begin a run and see it through."""
    begun = time.monotonic()
    out = folder.choose(options)
    tables = {"table": folder.find_table(options.table)}
    if options.test is not None:
        tables["test"] = folder.find_table(options.test, "test")
    prepared = prepare(options, tables, _say if progress else _silent)
    with atomic_folder(out) as beside:  # nothing was written before everything was checked
        write_atomic(beside / "config.json", json.dumps(folder.config_json(options, tables), indent=1) + "\n")
        _open_record(Record(beside / "record.jsonl"), options, prepared)
    try:
        with _one_thread():
            return _see_through(prepared, options, out, begun, progress)
    except LiquidError:
        if not (out / "checkpoints").exists():  # it never began: leave nothing behind
            shutil.rmtree(out)
        raise


def proceed(out: Path, given: Mapping[str, Any], *, progress: bool) -> dict[str, Any]:
    """Take up an interrupted run and see it through."""
    begun = time.monotonic()
    options, tables = folder.reopen(out, given)
    if any(line.get("kind") == "end" for line in record.read(out / "record.jsonl")):
        raise StateError(f"`out` must be an interrupted run; {out} is complete. Predict with it, or start a new run.")
    prepared = prepare(options, tables, _say if progress else _silent)
    with _one_thread():
        return _see_through(prepared, options, out, begun, progress)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread: a step's products are too small to share, and two threads on a busy machine wait
    for each other (seen: 80 times slower). It also makes a resumed run the same on any machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _silent(text: str) -> None:
    pass


def _open_record(log: Record, options: Options, prepared: Prepared) -> None:
    parts = {"train": prepared.train, "valid": prepared.valid, "test": prepared.test}
    sizes = {name: {"series": len(part), "rows": part.rows} for name, part in parts.items()}
    log.write(
        "run",
        schema=SCHEMA,
        version=__version__,
        options=options.to_json(),
        environment=folder.environment(),
        seed=options.seed,
    )
    log.write("data", card=prepared.seqs.card(), split={"how": prepared.how, **sizes})
    log.write("task", task=prepared.task.to_json(), metric=prepared.task.metric, reason=prepared.reason)
    log.write("model", **prepared.network.describe())


def _see_through(prepared: Prepared, options: Options, out: Path, begun: float, progress: bool) -> dict[str, Any]:
    log = Record(out / "record.jsonl")
    try:
        return _go_on(prepared, options, out, log, begun, progress)
    except KeyboardInterrupt:
        epoch = max((line["epoch"] for line in record.read(log.path) if line.get("kind") == "epoch"), default=0)
        raise KeyboardInterrupt(
            f"interrupted after epoch {epoch}; continue with: liquid fit --resume --out {shlex.quote(str(out))}"
        ) from None


def _go_on(
    prepared: Prepared, options: Options, out: Path, log: Record, begun: float, progress: bool
) -> dict[str, Any]:
    say = _say if progress else _silent
    network, task, test, config = prepared.network, prepared.task, prepared.test, prepared.config
    if options.time_limit is not None:
        left = options.time_limit - (time.monotonic() - begun)
        config = replace(config, time_limit=max(SHARE * left, 0.01))
    history = fit(
        network, prepared.train, prepared.valid, task, config,
        folder=out, record=log, resume=(out / "checkpoints").exists(), progress=progress,
    )  # fmt: skip
    say(f"trained: {history.message} {history.seconds:.1f} s")
    network.save(out / "model")
    log.write("model_end", **network.describe())
    wanted, of_series = truth(task, test), evaluate.groups(task, test)
    detail = history.message if solved(network.readout) else f"best epoch: {history.best_epoch}"
    ours = Answer("liquid", predict(network, test, task), network.learned, history.seconds, detail)
    answers.save(answers.answered(prepared.frame, test, task, ours.prediction), out / "predictions.csv")
    found, rivals = [evaluate.score_line(task, wanted, ours, of_series)], []
    log.write("score", **found[0])
    for rival in baselines(prepared.train, prepared.valid, test, task, network, config):
        rivals.append(rival)
        found.append(evaluate.score_line(task, wanted, rival, of_series))
        log.write("score", **found[-1])
        say(f"{rival.name}: {task.metric} {found[-1]['score']:.5g} ({rival.seconds:.1f} s)")
    verdict = evaluate.verdict(task, wanted, ours, rivals, of_series)
    log.write("verdict", **verdict)
    log.write("examples", **evaluate.examples(task, test, wanted, ours))
    log.write("end", score=found[0]["score"], seconds=time.monotonic() - begun, run=str(out))
    return {
        "task": task.kind,
        "metric": task.metric,
        "score": found[0]["score"],
        "baselines": {line["model"]: line["score"] for line in found[1:]},
        "run": str(out),
        "verdict": verdict,
        "scores": found,
    }
