"""What a network has to beat: trained on the same split, scored on the same rows, within the same budget."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..data import Sequences
from ..model import LiquidNetwork
from ..model.measure import answer_scaling, irregular, with_slope
from ..readout import Linear
from ..task import Task
from ..train import Config, Prediction, fit, predict
from .gru import GRU, matching_units
from .linear import Logistic, Ridge
from .simple import OneRule, last_value, majority, mean
from .steps import LAGS, POINTS, Steps, by_gap, encode, past, present, truth

__all__ = ["GRU", "Answer", "baselines", "matching_units", "truth"]


@dataclass(frozen=True)
class Answer:
    """What one baseline answers on the test part.

    Parameters
    ----------
    name : str
        `majority`, `mean`, `last value`, `one rule`, `linear`, `linear on lags` or `GRU`.
    prediction : Prediction
        As `train.predict` returns it.
    parameters : int or None
        Fitted numbers.
    seconds : float
        Time to fit and to answer.
    detail : str
        What it found or looked at, such as `Light > 365`.
    """

    name: str
    prediction: Prediction
    parameters: int | None
    seconds: float
    detail: str = ""


def baselines(
    train: Sequences, valid: Sequences, test: Sequences, task: Task, network: LiquidNetwork, config: Config
) -> Iterator[Answer]:
    """Fit every baseline of the task, one after the other, the GRU last.

    Parameters
    ----------
    train, valid, test : Sequences
        The parts the network was trained, stopped and is scored on.
    task : Task
        What is asked.
    network : LiquidNetwork
        Its encoder is what the linear baselines and the GRU see; its number of parameters is what the GRU gets.
    config : Config
        How the GRU is trained: as the network was, with the same limit of time.

    Yields
    ------
    Answer
        Classes: majority, one rule, linear (logistic regression), linear on lags, GRU. Numbers: the mean, or for a
        forecast the last value; linear (ridge), linear on lags, GRU.

    Notes
    -----
    Linear on lags sees the 4 steps before the present one as well; about a whole series, linear sees the mean and the
    last step, and linear on lags 16 steps spread evenly over it. Penalties are chosen on `valid`; the majority, the
    mean and the rule have nothing to choose and learn from `valid` as well. Forecasts are of the change since the last
    seen value, as the network's are; all are told how far ahead the asked rows lie, and the linear ones have, as the
    network's readout, a slope over that gap for every coefficient.
    """
    begun = time.monotonic()
    timed = irregular(train)
    steps = [encode(network, part, timed=timed) for part in (train, valid, test)]
    truths = [truth(task, part) for part in (train, valid)]
    if task.classifies:
        found = _of_classes(task, (train, valid, test), steps, truths)
    else:
        found = _of_numbers(task, (train, valid, test), steps, truths, network.columns)
    for name, prediction, parameters, detail in found:
        yield Answer(name, prediction, parameters, time.monotonic() - begun, detail)
        begun = time.monotonic()
    yield _gru(train, valid, test, task, network, config)


Found = tuple[str, Prediction, int | None, str]


def _looks(task: Task) -> tuple[tuple[str, Any, str], ...]:
    if task.level == "step":
        return ("linear", present, "current step"), ("linear on lags", past, f"current step and {LAGS} before")
    return ("linear", present, "mean and last step"), ("linear on lags", past, f"{POINTS} steps spread over the series")


def _of_classes(
    task: Task, parts: tuple[Sequences, ...], steps: list[Steps], truths: list[np.ndarray]
) -> Iterator[Found]:
    train, valid, test = steps
    rows = parts[2].rows if task.level == "step" else len(parts[2])
    both = np.concatenate(truths)
    yield "majority", Prediction(*majority(task, both, rows)), sum(len(c) - 1 for c in task.classes), ""
    rule = OneRule(task, ((parts[0], train), (parts[1], valid)), both)
    yield "one rule", Prediction(*rule.predict(parts[2], test)), 3 * len(task.targets), rule.detail
    for name, look, detail in _looks(task):
        x, valid_x, test_x = (look(part, task.level) for part in (train, valid, test))
        model = Logistic(task, x, truths[0], valid_x, truths[1])
        yield name, Prediction(*model.predict(test_x)), model.parameters, detail


def _of_numbers(
    task: Task,
    parts: tuple[Sequences, ...],
    steps: list[Steps],
    truths: list[np.ndarray],
    columns: tuple[int, ...],
) -> Iterator[Found]:
    asked = len(parts[2]) if task.level == "series" else parts[2].rows
    shape = (asked, len(task.targets)) if task.kind != "forecast" else (asked, task.horizon, len(task.targets))
    known, base = [np.zeros_like(t) for t in truths], np.zeros(shape)
    if task.kind == "forecast":
        *known, base = (last_value(task, part.filled[:, columns]) for part in steps)
        yield "last value", Prediction(base), 0, ""
    else:
        yield "mean", Prediction(mean(np.concatenate(truths), asked)), len(task.targets), ""
    changes = [(t - k).reshape(len(t), -1) for t, k in zip(truths, known, strict=True)]
    for name, look, detail in _looks(task):
        seen = [look(part, task.level) for part in steps]
        apart = 1 if steps[0].longer is None else task.horizon  # each horizon has gaps of its own
        found, count = [], 0
        for h in range(apart):
            x, valid_x, test_x = (by_gap(s, part, h) for s, part in zip(seen, steps, strict=True))
            y, valid_y = (np.split(c, apart, axis=1)[h] for c in changes)
            model = Ridge(x, y, valid_x, valid_y)
            found.append(model.predict(test_x))
            count += model.parameters
        yield name, Prediction(base + np.hstack(found).reshape(shape)), count, detail


def _gru(
    train: Sequences, valid: Sequences, test: Sequences, task: Task, network: LiquidNetwork, config: Config
) -> Answer:
    begun = time.monotonic()
    answer = answer_scaling(train, task)
    if network.ahead:
        answer = with_slope(answer)
    encoder, outputs = copy.deepcopy(network.encoder).to(torch.get_default_dtype()), len(answer.mean)
    units = matching_units(encoder.outputs, outputs, network.learned, skip=network.skip)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        body = GRU(encoder.outputs, units, median_dt=train.median_dt)
        readout = Linear(units + encoder.outputs * network.skip, outputs, mean=answer.mean, scale=answer.scale)
    rival = LiquidNetwork(
        encoder, body, readout, task=task, columns=network.columns, ahead=network.ahead, skip=network.skip,
        pool=network.pool, schema=network.schema,
    )  # fmt: skip
    history = fit(rival, train, valid, task, replace(config, plasticity=None))
    count = sum(p.numel() for p in rival.parameters())
    detail = f"{units} units, best of {len(history.epochs)} epochs"
    return Answer("GRU", predict(rival, test, task), count, time.monotonic() - begun, detail)
