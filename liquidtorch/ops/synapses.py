"""Which synapses exist, as the kernels read it: unit by unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Synapses(NamedTuple):
    """The synapses of H units, those of one unit after the other: unit i has numbers start[i] to start[i+1]."""

    start: Tensor  # (H+1,) int32
    source: Tensor  # (S,) int32: the unit or feature each reads
    place: Tensor  # (S,) int64: where it stands in a flat (to, from) matrix
    order: Tensor  # (H,) int32: the units in the order they are swept
    early: Tensor  # (S,) int32: 1 where the source has been swept before; empty without a sweep


def synapses_at(place: Tensor, units: int) -> Synapses:
    """List synapses between units by their places in a flat (to, from) matrix, which is never made.

    Parameters
    ----------
    place : tensor (S,) of int64, ascending
        `to*units + source` of each synapse.
    units : int
        How many there are.

    Returns
    -------
    Synapses

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> ops.synapses_at(torch.tensor([1, 2, 3]), 2).start
    tensor([0, 1, 3], dtype=torch.int32)
    """
    start = torch.zeros(units + 1, dtype=torch.int32, device=place.device)
    start[1:] = torch.bincount(place // units, minlength=units).cumsum(0)
    source = (place % units).int()
    return Synapses(start, source, place, torch.arange(units, device=place.device).int(), source[:0])


def synapses(live: Tensor, sweep: Sequence[Tensor] = ()) -> Synapses:
    """List the synapses of `live` (to, from), for units swept group by group.

    Parameters
    ----------
    live : tensor (H, J)
        Not zero where a synapse is.
    sweep : sequence of tensors of unit numbers
        Groups of units, each reading the new states of the groups before it; empty: all at once.

    Returns
    -------
    Synapses

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import ops
    >>> ops.synapses(torch.tensor([[0, 1], [1, 1]])).source
    tensor([1, 0, 1], dtype=torch.int32)
    """
    to, source = (live != 0).nonzero(as_tuple=True)
    start = torch.zeros(live.shape[0] + 1, dtype=torch.int32, device=live.device)
    start[1:] = (live != 0).sum(1).cumsum(0)
    order, early = torch.arange(live.shape[0], device=live.device), source[:0]
    if sweep:
        order = torch.cat(list(sweep))
        group = torch.empty_like(order)
        for i, units in enumerate(sweep):
            group[units] = i
        early = (group[source] < group[to]).int()
    place = to * live.shape[1] + source
    return Synapses(start, source.int(), place, order.int(), early.int())
