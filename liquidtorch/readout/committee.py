"""Classes by several readouts at once, with the body and without: who has been right lately answers."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import check_range
from ..ops.choice import compiled
from ..ops.committee import LEAST, Answers, CommitteeStep, mix, weigh
from ..ops.descent import softmax
from ..ops.library import entry
from .kept import Array
from .members import Members
from .online_logistic import OnlineLogistic
from .recursive_logistic import RecursiveLogistic


class Committee(Members):
    """Answer with the mean of several logistic regressions and of a mixture of them, each weighed by its errors lately.

    The members are an `OnlineLogistic` and a `RecursiveLogistic` on all of z, and another two on the inputs alone,
    without the body: linear where linear is enough. The mixture is `m = softmax(sum_r v_r log p_r)`, v learned by
    gradient steps; the answer `p = sum_r w_r p_r` over members and mixture, `w_r ~ exp(-L_r)`, L_r the sum of
    `keep^age` over the rows where r was wrong, `keep = 1 - 1/memory`.

    Parameters
    ----------
    features : int, at least 1
        Width of z.
    classes : int, at least 2
        K, the width of the answer.
    body : int, from 0 to `features`
        How many of the first columns of z are the body's; the rest are the inputs. With 0, or all, there are only the
        two members on z.
    rate : float, above 0
        Of the steps: see `OnlineLogistic`.
    forgetting : float, above 0, at most 1
        Of the Newton steps: see `RecursiveLogistic`.
    penalty : float, above 0
        Of the same.
    memory : float, at least 1
        Rows over which "lately" goes.

    Notes
    -----
    The cost is that of the members. Who is weighed by errors, not by likelihood, follows what is asked for: where
    labels are noisy, who is rightly sure loses likelihood to who is never sure.

    Source
    ------
    Weights by errors: Littlestone and Warmuth (1994), The weighted majority algorithm, discounted. Mixture of logits:
    Mattern (2012), Mixing strategies in data compression, eq. 11.

    Examples
    --------
    >>> committee = Committee(3, 2, body=2)
    >>> for t in range(100):
    ...     z = np.array([math.sin(t), math.cos(t), float(t % 2)])
    ...     error = committee.learn(z, t % 2)
    >>> int(committee.predict(z).argmax()), committee.shares.shape
    (1, (5,))
    """

    v: Tensor
    wrong: Tensor
    _v: Array
    _wrong: Array

    def __init__(
        self, features: int, classes: int, *, body: int = 0, rate: float = 1.0, forgetting: float = 0.998,
        penalty: float = 1.0, memory: float = 500.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.body = check_range("body", body, 0, features, whole=True)
        self.memory = float(check_range("memory", memory, 1))
        self.firsts = (0, 0, self.body, self.body) if 0 < self.body < features else (0, 0)
        self.members = nn.ModuleList()
        for r, first in enumerate(self.firsts):
            if r % 2:
                member = RecursiveLogistic(features - first, classes, forgetting=forgetting, penalty=penalty)
            else:
                member = OnlineLogistic(features - first, classes, rate=rate)
            self.members.append(member)
        self._keep("v", np.full(len(self.members), 1 / len(self.members)))
        self._keep("wrong", np.zeros(len(self.members) + 1))

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.outputs

    @property
    def shares(self) -> Array:
        """How much of the answer each member gives, and, last, their mixture, (R+1,)."""
        return softmax(-self._wrong)

    def forward(self, z: Tensor) -> Tensor:
        """Return the log of the probabilities, (..., K), for z (..., F)."""
        logs = torch.stack(
            [member(z[..., first:]).log_softmax(-1) for first, member in self.pairs()],
            -2,
        )
        mixed = (self.v[:, None] * logs.clamp(min=math.log(LEAST))).sum(-2).log_softmax(-1)
        each = torch.cat([logs, mixed.unsqueeze(-2)], -2)
        return (torch.from_numpy(self.shares).log()[:, None] + each).logsumexp(-2)

    def _answers(self, z: Array) -> Answers:
        return mix(np.array([member.predict(z[first:]) for first, member in self.pairs()]), self._v, self._wrong)

    def predict(self, z: Array) -> Array:
        """Return the probability of each class, (K,), for z (F,)."""
        if compiled():
            return self._ready()[1](z, -1)
        answers = self._answers(z)
        return answers.shares @ answers.told

    def learn(self, z: Array, y: int | float) -> Array:
        """Learn one row, and return the error, one-hot y minus the probabilities, before it.

        Parameters
        ----------
        z : array (F,), finite
        y : int from 0 to K-1, or NaN
            The true class. NaN: unknown, and nothing is learned.

        Returns
        -------
        array (K,)
            NaN where y is.

        Raises
        ------
        ShapeError, DataError
            When z or y is not as said; nothing was learned then.
        """
        if compiled():
            _, call, code_of = self._ready()
            code = code_of(y)
            error = call(z, code)
            if code < 0:
                error.fill(np.nan)
            return error
        code, answers = self.members[0].code(y), self._answers(self.members[0]._checked(z))
        if code < 0:
            return np.full(self.outputs, np.nan)
        error = -(answers.shares @ answers.told)
        error[code] += 1
        weigh(answers, self._v, self._wrong, code, memory=self.memory)
        for first, member in self.pairs():
            member.learn(z[first:], code)
        return error

    def _ready(self) -> tuple[Any, Callable[[Array, int], Array], Callable[[int | float], int]]:
        """Return what the compiled call is made for, the call, and what makes a code of y.

        The call tells of a row for y < 0, and learns it else. It is made anew where the numbers of a member have moved.
        """
        if self._call is not None:
            for member, weight in self._call[0]:
                if member._weight is not weight:
                    break
            else:
                return self._call
        made_for = [(member, member._weight) for member in self.members]
        self._call = made_for, self._compiled(), self.members[0].code
        return self._call

    def _compiled(self) -> Callable[[Array, int], Array]:
        F, K, R = self.features, self.outputs, len(self.members)
        numbers = R * K + R // 2 + R + R + 1  # what an answer follows from
        room = self._room(z=F, answer=K, told=(R + 1) * K, logs=R * K, shares=R + 1, total=R)
        room |= self._room(basis=numbers, before=numbers)
        told, logits, steps = room["told"].view(R + 1, K), room["basis"][: R * K].view(R, K), []
        for r, (first, member) in enumerate(self.pairs()):
            steps.append(member._struct(room["z"][first:], told[r], logits[r]))
        places, own = [ctypes.addressof(s) for s in steps], {"v": self.v, "wrong": self.wrong, "options": self._option}
        step = CommitteeStep(F=F, K=K, pairs=R // 2, descent=places[::2], newton=places[1::2], **own, **room)
        step.alive["steps"] = steps
        function, at, shape = entry("committee_row", torch.float64), ctypes.addressof(step), (F,)
        row, answer, first = room["z"].numpy(), room["answer"].numpy(), self.members[0]

        def call(z: Array, y: int, alive: CommitteeStep = step) -> Array:
            if type(z) is not np.ndarray or z.shape != shape:
                first._checked(z)
            row[:] = z
            if not function(at, y):
                raise first._infinite(z)
            return answer.copy()

        return call

    def gradient(self, z: Array, y: int | float) -> tuple[Array, float]:
        """Return how the loss -log p_y changes with z, (F,), and the loss; 0 for an unknown y."""
        code = self.members[0].code(y)
        if code < 0:
            return np.zeros(self.features), 0.0
        told, _, shares = self._answers(z)
        p = max(float(shares @ told[:, code]), 5e-324)
        q = np.zeros(self.features)
        mixed = -told[-1]
        mixed[code] += 1
        for r, (first, member) in enumerate(self.pairs()):
            own = -told[r]
            own[code] += 1
            heard = told[r] > LEAST
            up = shares[r] * told[r, code] * own
            through = np.where(heard, mixed, 0.0)  # of log p_r, as the mixture hears it
            up += shares[-1] * told[-1, code] * self._v[r] * (through - through.sum() * told[r])
            q[first:] -= member.sharpness / p * (up @ member._weight)
        return q, -math.log(p)

    def saliency(self) -> Array:
        """Return the mean of the saliency of the members that see all of z, each as it shares in the answers, (F,)."""
        shares = self.shares[:2] + 1e-12
        return shares / shares.sum() @ [member.saliency() for member in self.members[:2]]

    def add_class(self, p: float = 1e-3) -> None:
        """Add a class of probability p to every member; the ratios of the others stay as they are."""
        for member in self.members:
            member.add_class(p)

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal readout from, as plain JSON, without the numbers."""
        sizes = {"kind": "Committee", "features": self.features, "classes": self.outputs, "body": self.body}
        newton = self.members[1]
        options = {"rate": self.members[0].rate, "forgetting": newton.forgetting, "penalty": newton.penalty}
        return {**sizes, **options, "memory": self.memory}
