"""All that an online model is, as a tree of plain values and arrays, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .. import layers, readout
from ..errors import FormatError, LiquidError
from ..model import LiquidNetwork
from .channels import Channels
from .drift import Drift
from .gate import Gate
from .inputs import OfLayer, OfNetwork
from .pending import Sample, Track
from .plasticity import Plasticity
from .targets import Classes, Numbers, Spread
from .tree import filled, of_module
from .trial import Trial
from .view import View, start

if TYPE_CHECKING:
    from .online import Online

PLAIN = (
    "match", "patience", "seed", "own", "opened", "usual", "forgotten", "seen", "learned", "_unheard", "drifts",
    "changes",
)  # fmt: skip
TRIAL = ("rule", "rate", "memory", "budget", "rest", "failures", "worse", "seed")
SAMPLE = ("kept", "z", "base", "place", "learning", "traces")


def state(online: Online) -> dict[str, Any]:
    """Return an online model as a tree."""
    targets = online.targets
    return {
        "plain": {name: getattr(online, name) for name in PLAIN},
        "network": None if online.network is None else of_module(online.network),
        "layer": of_module(online.layer),
        "pool": None if online.pool is None else {k: v.numpy().copy() for k, v in online.pool.items()},
        "names": online.inputs.names,
        "channels": online.inputs.channels.state(),
        "targets": list(targets.labels)
        if isinstance(targets, Classes)
        else {"names": targets.names, "horizon": targets.horizon},
        "readout": of_module(online.readout),
        "spread": {k: v.copy() for k, v in vars(online.spread).items()},
        "drift": None if online.drift is None else online.drift.tree(),
        "trial": None if online.trial is None else _trial(online.trial),
        "tracks": {key: _track(track, online.trial) for key, track in online.tracks.items()},
    }


def _trial(trial: Trial) -> dict[str, Any]:
    body = None
    if trial.body is not None:
        body = {"layer": of_module(trial.body.layer), "readout": of_module(trial.readout), "state": trial.body.state()}
    plasticity = None if trial.plasticity is None else trial.plasticity.to_json()
    plain = {name: getattr(trial, name) for name in TRIAL}
    return {"plain": plain, "plasticity": plasticity, "gate": trial.gate.state(), "body": body}


def _track(track: Track, trial: Trial | None) -> dict[str, Any]:
    current = trial is not None and trial.body is not None and trial.track is track
    return {
        "h": track.h,
        "memory": track.memory,
        "learning": track.learning,
        "traces": trial.body.kept() if current else track.traces,  # pyright: ignore[reportOptionalMemberAccess]
        "pending": [{name: getattr(sample, name) for name in SAMPLE} for sample in track.pending],
    }


def restore(online: Online, found: Mapping[str, Any]) -> None:
    """Make an online model, in place, what `state` said."""
    network = found["network"]
    online.network = None if network is None else filled(LiquidNetwork.from_config(network["config"]), network)
    online.layer = filled(layers.build(found["layer"]["config"]), found["layer"])
    online.pool = None if found["pool"] is None else {k: torch.from_numpy(v) for k, v in found["pool"].items()}
    channels = Channels.of(found["channels"])
    if online.network is None:
        online.inputs, online.view = OfLayer(channels), View(online.layer.outputs, 0)
        online.inputs.names = found["names"]
    else:
        online.inputs, online.view = OfNetwork(online.network, channels), start(online.network)[0]
    targets = found["targets"]
    online.targets = Classes(targets) if isinstance(targets, list) else Numbers(**targets)
    online.readout = filled(readout.build(found["readout"]["config"]), found["readout"])
    online.view.room(channels.capacity)
    online.spread = Spread(0)
    vars(online.spread).update(found["spread"])
    online.drift = None if found["drift"] is None else Drift.of(found["drift"])
    online.trial = None if found["trial"] is None else _tried(found["trial"])
    online._begin()
    for name in PLAIN:
        setattr(online, name, found["plain"][name])
    for key, kept in found["tracks"].items():
        online.tracks[key] = track = Track(kept["h"], kept["memory"])
        track.learning, track.traces = kept["learning"], kept["traces"]
        for one in kept["pending"]:
            sample = Sample(None, one["kept"], one["z"], one["base"], one["place"])
            sample.learning, sample.traces = one["learning"], one["traces"]
            track.pending.append(sample)


def _tried(found: Mapping[str, Any]) -> Trial:
    plain, given = found["plain"], found["plasticity"]
    trial = Trial(
        plain["rule"], plain["rate"], plain["memory"], plain["budget"],
        None if given is None else Plasticity(**given), plain["seed"],
    )  # fmt: skip
    trial.rest, trial.failures, trial.worse = plain["rest"], plain["failures"], plain["worse"]
    trial.gate = Gate.of(found["gate"])
    body = found["body"]
    if body is not None:
        layer = filled(layers.build(body["layer"]["config"]), body["layer"])
        trial.readout = filled(readout.build(body["readout"]["config"]), body["readout"])
        trial.make(layer, trial.rate).restore(body["state"])
    return trial


def restored(kind: type[Online], found: Mapping[str, Any], folder: str | os.PathLike[str]) -> Online:
    """Return the online model that a tree from a folder describes.

    Raises
    ------
    FormatError
        If it describes none.
    """
    online = kind.__new__(kind)
    try:
        with torch.random.fork_rng(devices=[]):
            restore(online, found)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, LiquidError) as e:
        reason = f"{e.args[0]!r} is missing" if isinstance(e, KeyError) else str(e)
        raise FormatError(f"`{Path(folder)}` must hold a saved online model; it does not ({reason}).") from e
    return online
