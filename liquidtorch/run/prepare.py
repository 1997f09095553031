"""From a table to everything a fit needs, checked, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .. import ops
from ..cells import first_parameter
from ..data import Sequences, Split, from_table, split
from ..errors import OptionError
from ..model import LiquidNetwork
from ..task import Task, infer
from ..train import Config
from .folder import Table
from .options import Options

READ_AS = {  # task -> how the target is to be read
    "classify": {"target_kind": "category", "level": "series"},
    "classify_steps": {"target_kind": "category", "level": "step"},
    "regress": {"target_kind": "numeric", "level": "series"},
    "regress_steps": {"target_kind": "numeric", "level": "step"},
    "forecast": {"forecast": True},
}


@dataclass(frozen=True)
class Prepared:
    """The data in three parts, the task, the network to be trained, and how."""

    frame: Any  # polars.DataFrame of the table the test part came from
    seqs: Sequences  # the whole table
    train: Sequences
    valid: Sequences
    test: Sequences
    how: str
    task: Task
    reason: str
    network: LiquidNetwork
    config: Config


def prepare(options: Options, tables: Mapping[str, Table], say: Callable[[str], None]) -> Prepared:
    """Read, infer, split and build; every decision is said aloud."""
    config = Config(
        epochs=options.epochs, patience=options.patience, batch=options.batch, window=options.window,
        tbptt=options.tbptt, lr=options.lr, seed=options.seed, device=options.device,
        plasticity=options.plasticity,
    )  # fmt: skip
    config.where()
    kind = options.task
    if kind is None and (options.horizon is not None or options.quantiles):
        kind = "forecast"
    forecast = kind == "forecast"
    if not options.target and not forecast:
        raise OptionError("`target` must name a column to predict; got none. Only a forecast can do without.")
    frame = tables["table"].read()
    seqs = from_table(
        frame,
        target=options.target or None,
        series=options.series,
        time=options.time,
        features=options.features or None,
        unit=options.unit,
        **(READ_AS[kind] if kind else {}),
    )
    task, reason = infer(seqs, kind, options.horizon, options.quantiles)
    task.check(seqs)
    say(f"task: {task.kind} ({reason})")
    if "test" in tables:
        frame = tables["test"].read()
        test = from_table(frame, target=list(task.targets), like=seqs.schema(), forecast=forecast)
        parts = split(seqs, valid=options.valid_part, test=0, by=options.split, seed=options.seed)
        parts = Split(parts.train, parts.valid, test, f"{parts.how}; test: {tables['test'].name}")
    else:
        parts = split(seqs, valid=options.valid_part, test=options.test_part, by=options.split, seed=options.seed)
    train, valid, test = parts.train, parts.valid, parts.test
    if valid is None or test is None:
        raise AssertionError("their fractions are above 0")
    task.check(train)
    task.check(valid, learn=False)
    config.rows(task, int(train.lengths.max()))
    say(f"split {parts.how}")
    network = LiquidNetwork.for_data(
        train, task, body=options.body, units=options.units, layers=options.layers, wiring=options.wiring,
        encoder=options.encoder, readout=options.readout, seed=options.seed,
    )  # fmt: skip
    say(f"network: {options.body}, {options.units} units, {network.learned} parameters")
    computes = ops.backend(options.body, first_parameter(network))
    if computes.startswith("reference"):
        say(f"slow: {computes}")
    return Prepared(frame, seqs, train, valid, test, parts.how, task, reason, network, config)
