"""What a synapse is worth: how much it moves its unit, or, where there is none, the gradient it would be born to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..cells import LTC, Cell
from ..errors import StateError
from .anatomy import softplus
from .draft import KINDS, Draft
from .population import Population
from .sources import Sources

Array = NDArray[np.float64]


class Scores(NamedTuple):
    """A number for each synapse that is or might be: from units (H, H), from features (H, F); (to, from)."""

    h: Array
    x: Array


def saliency(cell: Cell, sources: Sources | None = None) -> Scores:
    """Return how much each synapse moves its unit: |w| times the spread of its source.

    Parameters
    ----------
    cell : Leaky, Liquid, LTC or CfC, with a wiring
    sources : Sources, optional
        What the sources do; left out, each is taken to have a standard deviation of 1.

    Returns
    -------
    Scores
        0 where there is no synapse. Cells with several weights a synapse: the root of the sum of their squares. LTC:
        the conductance times half of what its gate opens from one deviation below mu to one above.

    Examples
    --------
    >>> from liquidtorch import Leaky
    >>> from liquidtorch.wiring import full
    >>> cell = Leaky(1, 2, wiring=full(2, 1)).double()
    >>> bool((saliency(cell).h == cell.W_h.detach().abs().numpy()).all())
    True
    """
    draft = Draft(cell, everyone(cell))
    std = {"h": None, "x": None} if sources is None else {"h": sources.std_h, "x": sources.std_x}
    return Scores(*(np.where(draft.live[k], draft.parts.strength(k, std[k]), 0.0) for k in KINDS))


def fill(cell: Cell) -> None:
    """Grow, in place, every synapse that is missing, so that no state changes: of a copy, to ask for its gradient.

    Examples
    --------
    >>> import copy, torch
    >>> from liquidtorch import Liquid, Recurrent
    >>> from liquidtorch.wiring import random
    >>> layer = Recurrent(Liquid(2, 6, wiring=random(6, 2)))
    >>> full, x = copy.deepcopy(layer), torch.randn(1, 9, 2)
    >>> fill(full.cell)
    >>> bool(torch.allclose(full(x)[0], layer(x)[0])), full.cell.wiring.density
    (True, 1.0)
    """
    draft = Draft(cell, everyone(cell))
    for k in KINDS:
        places = np.argwhere(~draft.live[k])
        draft.bear(k, places, draft.parts.born(k, places, np.zeros(len(places))))
    draft.commit()


def birth_gradient(cell: Cell) -> Scores:
    """Return the size of the gradient at each synapse of a cell that was filled (`fill`) and asked for it.

    Parameters
    ----------
    cell : Leaky, Liquid, LTC or CfC
        With the `grad` of its parameters.

    Returns
    -------
    Scores
        Cells with several weights a synapse: the root of the sum of the squares. LTC: of `sigma`, for a conductance
        of 1. Only for synapses that `fill` made: of an LTC's others it says something else.

    Raises
    ------
    StateError
        If there is no gradient yet.
    """
    names = (("sigma",), ("sigma_x",)) if isinstance(cell, LTC) else _matrices(cell)
    return Scores(*(np.sqrt(sum(_squares(cell, name) for name in of)) for of in names))


def _matrices(cell: Cell) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(name for name, axes in cell.axes.items() if axes.endswith(ends)) for ends in ("HH", "HF"))


def _squares(cell: Cell, name: str) -> Array:
    grad = getattr(cell, name).grad
    if grad is None:
        raise StateError(
            f"`{name}.grad` must be there; it is None. Call backward on a loss of the cell's states first."
        )
    found = np.square(grad.detach().double().cpu().numpy())
    if isinstance(cell, LTC):
        return found / np.square(softplus(getattr(cell, name.replace("sigma", "w")).detach().double().cpu().numpy()))
    return found if found.ndim == 2 else found.sum(0)


def everyone(cell: Cell) -> Population:
    """Return a population of all units, with room for every synapse: what there is without a budget."""
    every = cell.units * (cell.units + cell.features)
    return Population(np.ones(cell.units, bool), cell.features, most_units=cell.units, most_synapses=every)
