"""The streams of benchmarks/structure.py: a rule that comes to need other time constants, or other inputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

STEPS = 12_000
KINDS = ("abrupt", "gradual", "recurring")
RAMP = 3000  # samples that a gradual change takes
NOISE = 0.1  # deviation of what no model can know; labels have about 1
AWAY = 10_000_019  # so that no seed of a stream is one of a model

Array = np.ndarray


class Rule(NamedTuple):
    """What decides the label: two of the inputs, and the time constant, in samples, of the means that count."""

    inputs: tuple[int, int]
    tau: float
    of: int  # inputs


RULES = {
    "other times": (Rule((0, 1), 2.0, 8), Rule((0, 1), 30.0, 8)),
    "other inputs": (Rule((0, 1), 4.0, 8), Rule((4, 5), 4.0, 8)),
    "other inputs of many": (Rule((0, 1), 4.0, 24), Rule((4, 5), 4.0, 24)),
}
NEEDS = tuple(RULES)


class Changing(NamedTuple):
    """Samples with labels, and where the rule changes."""

    rows: list[tuple[dict[str, float], float]]
    drifts: list[int]


def changing(need: str, kind: str, seed: int) -> Changing:
    """Draw a stream of 12,000 samples of 8 or 24 inputs, uniform, each drawn anew; two of them make the label.

    `m(v) <- m(v) + (v - m(v))(1 - exp(-1/tau))`, brought to deviation 1; `y = (m(u_a) + m(u_a u_b))/sqrt(2)`, and
    noise: units that read both inputs, at that pace, can tell it, while no present sample can. The
    share of the later rule in the label is 0, then 1 from half way on ("abrupt"), rises from 0 to 1 over 3000 samples
    ("gradual": its place is where both weigh the same), or is 0, 1, 0, 1 in the quarters ("recurring").
    """
    rng = np.random.default_rng(AWAY + seed)
    u = rng.uniform(-1, 1, (STEPS, RULES[need][0].of))
    first, later = (_answers(u, rule) for rule in RULES[need])
    share, drifts = _share(kind)
    y = (1 - share) * first + share * later + NOISE * rng.standard_normal(STEPS)
    names = [f"u{i}" for i in range(u.shape[1])]
    rows = [(dict(zip(names, x, strict=True)), label) for x, label in zip(u.tolist(), y.tolist(), strict=True)]
    return Changing(rows, drifts)


def _answers(u: Array, rule: Rule) -> Array:
    one, other = u[:, rule.inputs[0]], u[:, rule.inputs[1]]
    seen = np.stack([one * np.sqrt(3), 3 * one * other], 1)  # of deviation 1
    a = 1 - np.exp(-1 / rule.tau)
    m, means = np.zeros(2), np.empty((len(u), 2))
    for t, v in enumerate(seen):
        m = m + a * (v - m)
        means[t] = m
    return means.sum(1) * np.sqrt((2 - a) / a / 2)  # the variance of a mean is a/(2 - a)


def _share(kind: str) -> tuple[Array, list[int]]:
    t = np.arange(STEPS)
    if kind == "abrupt":
        return (t >= STEPS // 2).astype(float), [STEPS // 2]
    if kind == "gradual":
        start = (STEPS - RAMP) // 2
        return np.clip((t - start) / RAMP, 0, 1), [STEPS // 2]
    quarter = STEPS // 4
    return (t // quarter % 2).astype(float), [quarter, 2 * quarter, 3 * quarter]
