"""The weights that a layer gives to its features, column by column: free columns, and columns for features to come."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import layers
from ..errors import OptionError
from ..layers import Layer
from ..wiring import Wiring

LIVE = "live_x"  # which units feel which feature, where that is not all
DEAD = -40.0  # of `w_x`: an LTC's conductance softplus(w) is 4e-18, which changes no sum it is added to


def widened(layer: Layer, features: int) -> Layer:
    """Return the layer with more features: its own columns, then free ones, which carry nothing to any unit.

    Raises
    ------
    OptionError
        If the layer's kind has no columns that could be added to.
    """
    return _with(layer, _config(layer.config(), features, None))


def pool(layer: Layer) -> dict[str, Tensor]:
    """Return a copy of all weights that have a column for each feature, (..., units, F) each, by their names."""
    wide = widened(layer, layer.features + 1).state_dict()
    held = {k: v.clone() for k, v in layer.state_dict().items() if v.shape != wide[k].shape}
    wiring = _wiring(layer)
    return held if wiring is None else {**held, LIVE: torch.from_numpy(wiring.sensory.copy())}


def drawn(
    layer: Layer, slot: int, weights: dict[str, Tensor], seed: int, name: Hashable, alive: np.ndarray | None
) -> Layer:
    """Return the layer with a new column: each unit's weights are one of those that it gives the features of a pool.

    Which one is drawn from the seed and the feature's name, so that features get the same weights in whatever order
    they come. Of a layer whose structure changes only the units that are alive, (H,), get a synapse.
    """
    digest = hashlib.blake2b(repr(name).encode(), digest_size=8).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest, "little")])
    picks: dict[int, np.ndarray] = {}
    columns = {}
    for key, weight in sorted(weights.items()):
        rows, features = weight.shape[-2:]
        picks.setdefault(rows, rng.integers(features, size=rows))
        columns[key] = weight[..., torch.arange(rows), torch.as_tensor(picks[rows])]
    live = columns.pop(LIVE, None)
    wiring = _wiring(layer)
    if wiring is not None and live is not None:
        sensory = wiring.sensory.copy()
        sensory[:, slot] = live if alive is None else np.where(alive, live, 0)
        layer = _with(layer, _config(layer.config(), layer.features, sensory))
    state = layer.state_dict()
    for key, column in columns.items():
        state[key][..., slot] = column
    return layer


def freed(layer: Layer) -> dict[str, Tensor]:
    """Make every column of the layer a free one, in place, and return what they held."""
    held = pool(layer)
    state = layer.state_dict()
    for key in held.keys() - {LIVE}:
        state[key].fill_(_free(key))
    return held


def _wiring(layer: Layer) -> Wiring | None:
    return getattr(getattr(layer, "cell", None), "wiring", None)


def _free(key: str) -> float:
    return DEAD if key.split(".")[-1] == "w_x" else 0.0


def _config(config: dict[str, Any], features: int, sensory: np.ndarray | None) -> dict[str, Any]:
    """Return a layer's config with another number of features, and other sensory synapses where it is wired."""
    if "layers" in config:
        below, *above = config["layers"]
        return {**config, "layers": [_config(below, features, sensory), *above]}
    cell = config.get("cell")
    if cell is None or cell.get("feedback"):
        raise OptionError(
            f"`model` must be made of layers that can be given new features; got {config['kind']!r}"
            f"{' with feedback' if cell else ''}. Use Recurrent, MixedMemory, EchoState or a Stack of them."
        )
    cell = {**cell, "features": features}
    if isinstance(cell.get("scale"), list):
        cell["scale"] = [*cell["scale"], *[1.0] * (features - len(cell["scale"]))]
    if cell.get("wiring") is not None:
        wiring = Wiring.from_json(cell["wiring"])
        if sensory is None:
            sensory = np.zeros((wiring.units, features), dtype=np.int8)
            sensory[:, : wiring.features] = wiring.sensory
        changed = Wiring(
            wiring.recurrent, sensory, outputs=wiring.outputs, roles=wiring.roles, name=wiring.name
        )  # fmt: skip
        cell["wiring"] = changed.to_json()
    return {**config, "cell": cell}


@torch.no_grad()
def _with(layer: Layer, config: dict[str, Any]) -> Layer:
    """Return a layer made from a config, with the weights of the old one where it had any, and else free columns."""
    with torch.random.fork_rng(devices=[]):
        made = layers.build(config).double()
    new = made.state_dict()
    for key, old in layer.state_dict().items():
        if new[key].shape == old.shape:
            new[key].copy_(old)
        else:
            new[key].fill_(_free(key))
            new[key][..., : old.shape[-1]] = old
    return made
