"""Plasticity: how the structure of a body that learns may change, and within what budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..cells import LTC, Leaky, Liquid
from ..errors import OptionError, check_choice, check_range
from ..layers import Layer, Recurrent
from ..plasticity import populate

KINDS = "rewire", "grow", "grow and prune"


@dataclass(frozen=True, kw_only=True)
class Plasticity:
    """Say which changes of structure there may be, how large each is, and how much there may ever be.

    Parameters
    ----------
    kind : "rewire", "grow" or "grow and prune"
        "rewire": the synapses of least saliency move to where the gradient is largest; their number stays. "grow":
        synapses are born where the gradient is largest, units are split or added, until the budget is spent. "grow and
        prune": that, and what is of no use goes: dormant units start again, redundant ones go, and where the budget is
        spent something is pruned for what grows.
    units : int, optional
        How many units may be alive at once; as many as the wiring has slots, if left out.
    synapses : int, optional
        How many synapses, from units and features together, there may be at once. Left out: for "rewire" as many as
        there are, else twice as many. Names that come later bring their synapses even where it is spent.
    fraction : float, above 0, at most 1
        Of the synapses, and of the units, that a change makes or moves.
    rest : int, at least 1
        Samples between two changes; more where units are slow, up to ten times their longest time constant.
    candidates : int, at least 1
        Missing synapses of each unit whose gradient is asked for at a time, about a thousand labels long: see
        `plasticity.Probes`. Where there are more, they take turns.

    Raises
    ------
    OptionError
        If an option is out of range.

    Examples
    --------
    >>> Plasticity(kind="grow", units=48).fraction
    0.1
    """

    kind: str = "rewire"
    units: int | None = None
    synapses: int | None = None
    fraction: float = 0.1
    rest: int = 500
    candidates: int = 64

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        check_range("fraction", self.fraction, 0, 1, open_low=True)
        for name in ("units", "synapses", "rest", "candidates"):
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), 1, whole=True)

    def to_json(self) -> dict[str, Any]:
        """Return the options, to be given again."""
        return dict(vars(self))


def settled(given: Plasticity | str, layer: Layer, readout: Any, learning: bool) -> Plasticity:
    """Return what is given, or named by its kind, with the budget in numbers.

    The layer's free slots are put to rest, and the readout does not see them.

    Raises
    ------
    OptionError
        If the body does not learn, its structure cannot change, the readout cannot follow, or the budget is below what
        there is.
    """
    if not learning:
        raise OptionError(
            "`plasticity` must come with a rule by which what grows can learn; got a body that stays as it is. "
            "Use rule='auto' or 'exact', and a body that learns."
        )
    lacks = [name for name in ("open", "close", "split", "saliency", "live") if not hasattr(readout, name)]
    if lacks:
        raise OptionError(
            "`readout` must follow units that come and go, as those of readout.ONLINE; "
            f"{type(readout).__name__} has no {lacks[0]!r}."
        )
    given = Plasticity(kind=given) if isinstance(given, str) else given
    cell = layer.cell if type(layer) is Recurrent else None
    if not isinstance(cell, Leaky | Liquid | LTC) or cell.wiring is None:
        raise OptionError(
            f"`plasticity` must be left out for {type(layer).__name__}: the structure of a Recurrent of Leaky, Liquid "
            "or LTC with a wiring can change. Make it with wiring=with_room(random(units, features), slots), or fit it "
            "with --wiring random:0.2."
        )
    every = cell.units * (cell.units + cell.features)
    most = given.synapses or min(cell.wiring.all_synapses * (1 if given.kind == "rewire" else 2), every)
    population = populate(cell, most_units=given.units, most_synapses=most)
    for unit in population.free.tolist() if cell.outputs == cell.units else ():
        readout.close(unit)
    return replace(given, units=population.most_units, synapses=population.most_synapses)
