"""A network as a folder of two files, without pickle: weights, and everything else as JSON."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .. import __version__
from ..cells import first_parameter
from ..errors import FormatError, LiquidError
from ..files import atomic_folder, read_json, write_atomic
from .network import LiquidNetwork

SCHEMA = 1  # raised when an older reader would misread a newer folder
WHAT = "a saved network"


def save(network: LiquidNetwork, folder: str | os.PathLike[str]) -> None:
    """Write `model.safetensors` and `config.json`; the folder appears whole, or not at all."""
    config = {
        "schema": SCHEMA,
        "version": __version__,
        "dtype": str(first_parameter(network).dtype).removeprefix("torch."),
        "network": network.config(),
        "state": [{k: _plain(v) for k, v in spec._asdict().items()} for spec in network.state_spec()],
    }
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
    with atomic_folder(folder) as beside:
        write_atomic(beside / "model.safetensors", safetensors.torch.save(tensors))
        write_atomic(beside / "config.json", json.dumps(config, indent=1, sort_keys=True, allow_nan=False) + "\n")


def load(folder: str | os.PathLike[str]) -> LiquidNetwork:
    """Read a network that `LiquidNetwork.save` wrote.

    Parameters
    ----------
    folder : path
        The folder with `model.safetensors` and `config.json`.

    Returns
    -------
    LiquidNetwork
        On the CPU, with the same answers as the one that was saved.

    Raises
    ------
    FormatError
        When a file is missing, cut short, of another kind, or written by a newer version.

    Examples
    --------
    >>> import tempfile, torch
    >>> from liquidtorch import LiquidNetwork
    >>> from liquidtorch.data import from_arrays
    >>> from liquidtorch.task import infer
    >>> train = from_arrays([[1.0, 2.0, 4.0, 3.0]], forecast=True)
    >>> net = LiquidNetwork.for_data(train, infer(train, "forecast")[0], units=4)
    >>> folder = tempfile.mkdtemp()
    >>> net.save(folder)
    >>> x = torch.ones(1, 3, 1)
    >>> torch.equal(load(folder)(x)[0], net(x)[0])
    True
    """
    folder = Path(folder)
    config = read_json(folder / "config.json", WHAT)
    schema = config.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise FormatError(
            f"`{folder}` must be a network of schema {SCHEMA} or older; got {schema!r} "
            f"(written by liquidtorch {config.get('version')}). Install a newer liquidtorch."
        )
    network = _build(config, folder)
    tensors = _tensors(folder / "model.safetensors")
    wanted = network.state_dict()
    for name in sorted(wanted.keys() | tensors.keys()):
        here, there = wanted.get(name), tensors.get(name)
        if here is None or there is None or here.shape != there.shape:
            got = "none" if there is None else str(tuple(there.shape))
            want = "none" if here is None else str(tuple(here.shape))
            raise FormatError(
                f"`{folder}` must hold the tensors its config.json asks for; got {got} instead of {want} for {name}."
            )
    network.load_state_dict(tensors)
    return network


def _build(config: dict[str, Any], folder: Path) -> LiquidNetwork:
    """Make the network its config describes, with weights to be overwritten; no random number is used up."""
    try:
        with torch.random.fork_rng(devices=[]):
            network = LiquidNetwork.from_config(config["network"])
        return network.to(getattr(torch, config["dtype"]))
    except (KeyError, TypeError, AttributeError, LiquidError) as e:
        reason = f"{e.args[0]!r} is missing" if isinstance(e, KeyError) else str(e)
        raise FormatError(f"`{folder / 'config.json'}` must describe {WHAT}; it does not ({reason}).") from e


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise FormatError(f"`{path.parent}` must be {WHAT}; it has no {path.name}.") from None
    except (safetensors.SafetensorError, OSError) as e:
        raise FormatError(f"`{path}` must hold weights; it cannot be read, cut short perhaps ({e}).") from e


def _plain(value: Any) -> Any:
    """Write a bound that is not there as null: JSON knows no infinity."""
    return None if isinstance(value, float) and math.isinf(value) else value
