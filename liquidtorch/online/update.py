"""From the gradient of a loss by the state to new parameters, in one compiled call."""

from __future__ import annotations

import ctypes

import numpy as np
import torch

from ..ops.library import take_step
from ..ops.traces import LearningStep
from .optimizers import Adam
from .rules.rule import Traced


class Update:
    """Sum the gradient that traces give, go a step of Adam down it, and let the rule know.

    It does what `adam.step(rule.gradient(q))` and `rule.changed()` do, up to rounding. After either follows a change of
    the structure another has to be made.

    Parameters
    ----------
    rule : Traced
    adam : Adam
        Of the same cell.

    Examples
    --------
    >>> from liquidtorch import Leaky
    >>> from liquidtorch.online import rules
    >>> cell = Leaky(2, 3).double()
    >>> rule, adam = rules.make("exact", cell), Adam(cell, rate=0.01)
    >>> update, before = Update(rule, adam), cell.b.tolist()
    >>> h = rule.step(np.ones(2), np.zeros(3), 1.0)
    >>> update(q=h)
    >>> cell.b.tolist() == before
    False
    """

    def __init__(self, rule: Traced, adam: Adam) -> None:
        self._rule, self._adam = rule, adam
        local, slots = rule.local, []
        for name, (_, place) in adam.places.items():
            where = local.slots.where[name]
            slot = np.full(np.prod(where.shape, dtype=int), -1, np.int32)
            slot[where.place] = where.slot
            slots.append(slot[place])
        self._step = LearningStep(
            traces=ctypes.addressof(rule.struct), adam=ctypes.addressof(adam.struct),
            slot=torch.from_numpy(np.concatenate(slots)), theta=torch.from_numpy(local.theta),
        )  # fmt: skip
        self._step.alive |= {"steps": (rule.struct, adam.struct)}

    def __call__(self, q: np.ndarray) -> None:
        """Go down the gradient of a loss, for q = dL/dh (H,)."""
        self._rule.q[:] = q
        take_step("learning_step", self._step, self._adam.rate)
        self._rule.local.stale = True
