"""A sample that is learned forward in time: what csrc/local.h, traces.h and learning.h are told."""

from __future__ import annotations

from .library import Arguments, integers, pointers

KINDS = ("Leaky", "Liquid", "Linear", "Mobius", "LTC")  # in the order of csrc/local.h
AT_ONCE = 4  # rows of traces that are moved at once, if they are moved by the same


class LocalStep(Arguments):
    """The struct of csrc/local.h: a part of a step. What it means is in derivatives/."""

    _fields_ = [  # noqa: RUF012
        *integers("kind H F S fan_h maps width repeats euler"),
        *pointers("source read theta leak jacobian drive immediate after work"),
    ]


class TracesStep(Arguments):
    """The struct of csrc/traces.h: a step with its traces. What it means is in online/rules/traces.py."""

    _fields_ = pointers("local first unit own start column place alike itself x apart block q g")


class AdamStep(Arguments):
    """The struct of csrc/learning.h for a step of Adam. What it means is in online/optimizers.py."""

    _fields_ = [  # noqa: RUF012
        *integers("size names"),
        *pointers("end parameter place mean square fade fade_square options move"),
    ]


class LearningStep(Arguments):
    """The struct of csrc/learning.h: a gradient from traces, and a step of Adam down it."""

    _fields_ = pointers("traces adam slot theta")
