"""Choose a rule by name, or by what it may cost."""

from __future__ import annotations

import re
from typing import NamedTuple

from ...cells import Cell
from ...derivatives import Local, Slots, local, readable
from ...errors import OptionError, check_range, nearest
from .rule import Fixed, Rule, Traced
from .traces import Own, Packed, Pattern, reach
from .truncated import Called, Replayed, Truncated

BUDGET = 2_000_000
WINDOWS = ("tbptt:20", "tbptt:5", "readout")  # for cells without derivatives here


def make(spec: str, cell: Cell, *, budget: float = BUDGET) -> Rule:
    """Make the rule by which a cell is advanced and learned, row by row.

    With h the state, theta the parameters and `D = dh'/dh`, the true gradient is `q J` for `q = dL/dh'`,
    `J' = D J + dh'/dtheta` (RTRL). The rules differ in how much of J they keep:
    "exact" all that can ever be other than 0, along the wiring; "snap2" and any "snapN" what N steps reach, "snap1" a
    unit's effect on itself; "eprop" that along the leak alone; "tbptt:K" nothing, but the derivatives of the last K
    steps, to go back over; "readout" nothing at all. "auto" is the most exact within the budget.

    Parameters
    ----------
    spec : "exact", "snap1", "snap2", "snapN", "eprop", "tbptt:K", "readout" or "auto"
        N and K are whole numbers, at least 1.
    cell : Cell
        Leaky, Liquid, LTC, Linear or Mobius in float64 on the CPU; "tbptt:K" and "readout" take any.
    budget : float, at least 0
        Multiply-adds a step (`rule.cost.multiply_adds`) that "auto" may spend. The default, two million, takes
        about 0.1 ms (full matrices) or 0.2 ms (sparse ones) on one core, and ten times as long where nothing is
        compiled: enough for "exact" with 32 fully connected units, or 128 units of a neural circuit policy.

    Returns
    -------
    Rule

    Raises
    ------
    OptionError
        If no rule has that name, or the cell has no derivatives for it, or is not float64 on the CPU.

    Notes
    -----
    For an LTC a step counts as `unfolds` steps in "snapN", and each costs as much. The derivative goes by the true
    readout, never by random feedback. Only gradients along one cell are meant: q of a cell below another is what the
    other's present input gives it.

    Source
    ------
    RTRL: Williams and Zipser 1989. SnAp-n: Menick et al. 2021 (arXiv 2006.07232). e-prop: Bellec et al. 2020 (Nature
    Communications 11, 3625), eq. 13, here for continuous units and with the leak they have at that very step. That a
    wiring confines RTRL to what its units reach is seen from the recursion.

    Examples
    --------
    >>> import numpy as np
    >>> from liquidtorch import Leaky
    >>> from liquidtorch.online import rules
    >>> rule = rules.make("exact", Leaky(2, 5).double())
    >>> h = rule.step(np.ones(2), np.zeros(5), 0.5)
    >>> rule.gradient(q=h)["W_x"].shape
    (5, 2)
    """
    check_range("budget", budget, 0)
    if spec == "auto":
        return _within(cell, budget)
    form = re.fullmatch(r"(exact|eprop|readout)|snap([1-9]\d*)|tbptt:([1-9]\d*)", str(spec))
    if form is None:
        near = nearest(spec, [*LAYOUTS, "readout", "auto"])
        raise OptionError(f"`rule` must be exact, snapN, eprop, tbptt:K, readout or auto; got {spec!r}.{near}")
    word, hops, steps = form.groups()
    if type(cell).__name__ not in Local.kinds and (steps or word == "readout"):
        readable(cell)
        return Replayed(Called(cell), int(steps)) if steps else Fixed(Called(cell))
    known = local(cell)
    if word == "readout":
        return Fixed(known)
    if steps:
        return Truncated(known, int(steps))
    return Traced(spec, known, LAYOUTS[spec] if spec in LAYOUTS else Layout(False, int(hops) - 1))


class Layout(NamedTuple):
    """Say which traces are kept: along the leak alone, or over so many synapses, None for all."""

    leak: bool
    hops: int | None

    def _pattern(self, slots: Slots) -> Pattern | None:
        """Return whom a unit's parameters reach, other units too; None where its own traces are all there is."""
        pattern = None if self.leak or self.hops == 0 else reach(slots, self.hops)
        return None if pattern is None or pattern.sum() == slots.units else pattern

    def __call__(self, slots: Slots) -> Own | Packed:
        """Lay traces out for a wiring."""
        pattern = self._pattern(slots)
        return Own(slots, loops=not self.leak) if pattern is None else Packed(slots, pattern)

    def multiply_adds(self, local: Local) -> int:
        """Count what a sample takes, before anything is laid out: for a large body that is more than it may hold."""
        slots, pattern = local.slots, self._pattern(local.slots)
        own = slots.units * slots.width
        if pattern is None:
            return (local.repeats + 1) * own
        return local.repeats * (Packed.moves_of(slots, pattern) + own) + int(pattern.sum()) * slots.width


LAYOUTS = {
    "exact": Layout(False, None),
    "snap2": Layout(False, 1),
    "snap1": Layout(False, 0),
    "eprop": Layout(True, None),
}


def _within(cell: Cell, budget: float) -> Rule:
    if type(cell).__name__ in Local.kinds:
        known = local(cell)
        affordable = (spec for spec, layout in LAYOUTS.items() if layout.multiply_adds(known) <= budget)
        return make(next(affordable, "readout"), cell)
    windows = (make(spec, cell) for spec in WINDOWS)
    return next(rule for rule in windows if rule.cost.multiply_adds <= budget)
