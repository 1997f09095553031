"""What an online model is made of at its start, from a fitted network or from a layer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import OptionError, check_choice, check_range
from ..layers import Layer
from ..model import LiquidNetwork
from ..readout import ONLINE, RLS
from . import columns
from .channels import Channels
from .inputs import OfLayer, OfNetwork, row_names
from .targets import Classes, Numbers
from .view import View, start

Make = Callable[[int, int], Any]
NUMBERS = "rls", "bank"  # of the readouts, those of numbers
WORTH = 100.0  # samples that what a network was fitted to is worth


class Parts(NamedTuple):
    """The parts, each in float64."""

    network: LiquidNetwork | None
    layer: Layer
    inputs: OfLayer | OfNetwork
    view: View
    targets: Classes | Numbers
    readout: Any
    pool: dict[str, Tensor] | None = None  # weights that those of new features are drawn from
    own: int = 0  # columns whose weights are the layer's own, whoever comes


def of_network(network: LiquidNetwork, kind: str | Make, prior: float | None) -> Parts:
    """Return the parts of a fitted network: its readout's weights are where learning starts."""
    classes = network.task.classifies
    if kind in ONLINE and (kind == "committee" or (kind not in NUMBERS) != classes):
        raise OptionError(f"`readout` must be 'auto' for a network whose task is {network.task.kind!r}; got {kind!r}.")
    view, W, b = start(network)
    task = network.task
    targets = Classes(task.classes[0]) if classes else Numbers(task.targets, task.horizon)
    prior = _prior(prior, WORTH)
    if kind == "auto" and classes:
        kind = "logistic"
    readout = _readout(kind, view.room(0), view.outputs, targets, prior)
    for part in getattr(readout, "members", [readout]):  # of a bank
        part.weight[:, : W.shape[1]] = torch.from_numpy(W)
        part.bias.copy_(torch.from_numpy(b))
        if isinstance(part, RLS):
            part.factor[:, -1, -1] = prior**-0.5  # the bias is known as well as the weights
    return Parts(network, network.body, OfNetwork(network, Channels(0)), view, targets, readout)


def of_layer(
    layer: Layer, kind: str | Make, prior: float | None, classes: bool | None, names: Iterable[Hashable] | None,
    targets: Sequence[str] | None,
) -> Parts:  # fmt: skip
    """Return the parts of a layer: channels of unit scale before it, and a readout that knows nothing."""
    if classes is not None and kind in ONLINE:
        raise OptionError("`classes` must be left out where `readout` says it; got both.")
    given = row_names(names)
    channels = Channels(layer.features, given or ())
    inputs, view = OfLayer(channels), View(layer.outputs, 0)
    inputs.names = given or None
    if classes is None:
        classes = kind in ONLINE and kind not in NUMBERS
    if classes and targets is not None:
        raise OptionError(f"`targets` must be left out where classes are learned; got {targets!r}.")
    wanted = Classes() if classes else Numbers(targets or ("y",))
    readout = _readout(kind, view.room(channels.capacity), view.outputs, wanted, _prior(prior, 1.0))
    pool, own = (columns.freed(layer), 0) if given == () else (None, layer.features)
    return Parts(None, layer, inputs, view, wanted, readout, pool, own)


def _prior(prior: float | None, usual: float) -> float:
    return usual if prior is None else check_range("prior", prior, 0, open_low=True)


def _readout(kind: str | Make, size: int, body: int, targets: Classes | Numbers, prior: float) -> Any:
    outputs = max(2, len(targets.labels)) if isinstance(targets, Classes) else targets.width
    if not isinstance(kind, str):
        return kind(size, outputs)
    check_choice("readout", kind, ("auto", *ONLINE))
    if kind == "auto":
        kind = "committee" if isinstance(targets, Classes) else "rls"
    given = {"logistic": {}, "committee": {"body": body}}.get(kind, {"penalty": prior})
    return ONLINE[kind](size, outputs, **given)
