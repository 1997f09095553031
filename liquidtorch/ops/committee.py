"""Several classifiers that answer together, each weighed by its errors lately: what it means, in NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .descent import softmax
from .library import Arguments, integers, pointers

Array = NDArray[np.float64]

MIXING = 0.005  # the rate of the mixture's weights
TIE = 1e-9  # probabilities this near are equal: rounding must not say who was wrong
LEAST = 1e-4  # the least probability that the mixture hears: who is sure of everything would else drown the others
PAIRS = 2  # the most pairs of members that the compiled committee has


class CommitteeStep(Arguments):
    """The struct of csrc/committee.h: all of a committee's row in one call, its members' rows with it."""

    _fields_ = [  # noqa: RUF012
        *integers("F K pairs"),
        *pointers(f"options descent[{PAIRS}] newton[{PAIRS}] z v wrong answer told logs shares total basis before"),
    ]


class Answers(NamedTuple):
    """What is told of a row: by each member and, last, by their mixture, (R+1, K), how much each gives, (R+1,)."""

    told: Array
    logs: Array  # (R, K), what the mixture is made of
    shares: Array


def mix(each: Array, v: Array, wrong: Array) -> Answers:
    """Return what members and mixture tell, and how much each gives: the answer is `shares @ told`.

    The mixture is `m = softmax(sum_r v_r log max(p_r, LEAST))`; `shares_r ~ exp(-wrong_r)`.

    Parameters
    ----------
    each : (R, K)
        The probabilities of each member.
    v : (R,)
        The weights of the mixture.
    wrong : (R+1,)
        The errors lately of members and mixture.

    Source
    ------
    Mixture of logits: Mattern (2012), Mixing strategies in data compression, eq. 11.

    Examples
    --------
    >>> mix(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0.5, 0.5]), np.zeros(3)).told.round(3).tolist()
    [[0.9, 0.1], [0.5, 0.5], [0.75, 0.25]]
    """
    logs = np.log(np.maximum(each, LEAST))
    return Answers(np.vstack([each, softmax(v @ logs)]), logs, softmax(-wrong))


def weigh(answers: Answers, v: Array, wrong: Array, y: int, *, memory: float) -> None:
    """Weigh members and mixture anew, in place, by what they told of a row of class y.

    `v_r += MIXING log p_r . (onehot(y) - m)`; `wrong_r <- (1 - 1/memory) wrong_r + 1` for who found another class
    likelier, `(1 - 1/memory) wrong_r` for the others.

    Parameters
    ----------
    answers : Answers
        As `mix` gave them before.
    v : (R,)
    wrong : (R+1,)
    y : int
        The true class.
    memory : float, at least 1
        The rows over which errors count.

    Source
    ------
    Weights by errors: Littlestone and Warmuth (1994), The weighted majority algorithm, discounted.
    """
    missed = -answers.told[-1]
    missed[y] += 1
    v += MIXING * (answers.logs @ missed)
    wrong *= 1 - 1 / memory
    wrong += answers.told[:, y] < answers.told.max(1) - TIE
