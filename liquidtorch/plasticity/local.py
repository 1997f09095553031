"""What one step keeps of a unit's state, and how it takes in what one more synapse would bring: the terms of e-prop."""

from __future__ import annotations

from .. import derivatives
from ..cells import LTC, Cell, Leaky, Liquid
from ..derivatives import Floats, Terms
from ..errors import OptionError


def local(cell: Cell, x: Floats, h: Floats, dt: float = 1.0) -> Terms:
    """Return the local terms of a step from h with x.

    Parameters
    ----------
    cell : Leaky, Liquid or LTC, with a wiring
        On the CPU, its parameters in float64.
    x : array (F,)
    h : array (H,)
        The state before the step.
    dt : float, at least 0

    Returns
    -------
    Terms
        Leaky: K = 1, `a*(1-u**2)`. Liquid: K = 2, `a*(1-u**2)` for W and `(1-a)*log(1-a)*(u-h)` for G. LTC: K = 1,
        for `sigma` = 0 of a conductance of 1, per volt of the source above mu: `sum s/4*(erev-h')/(cm+s*(gleak+D))`
        over the unfolds, each times the leaks after it.

    Raises
    ------
    OptionError
        For another cell.

    Notes
    -----
    The parameters are packed anew each time. For a stream keep `derivatives.local(cell)` and ask its `terms`; tell it
    by `changed` when weights were written, by `rewired` when the wiring was.

    Source
    ------
    Bellec et al. 2020 (Nature Communications 11, 3625), e-prop, eq. 13: the eligibility of a synapse follows its
    unit's own dynamics alone.

    Examples
    --------
    >>> import numpy as np
    >>> from liquidtorch import Leaky
    >>> from liquidtorch.wiring import random
    >>> cell = Leaky(2, 4, tau=1.0, wiring=random(4, 2, density=0.5)).double()
    >>> local(cell, np.zeros(2), np.zeros(4), 0.0)[0].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    if not isinstance(cell, Leaky | Liquid | LTC) or cell.wiring is None:
        raise OptionError(f"`cell` must be Leaky, Liquid or LTC, with a wiring; got {_told(cell)}.")
    return derivatives.local(cell).terms(x, h, dt)


def _told(cell: Cell) -> str:
    return type(cell).__name__ + ("" if cell.wiring is not None else " without one")
