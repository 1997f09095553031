"""State as a tree of plain values and arrays, written as JSON and safetensors: nothing is lost, nothing is pickled."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import torch

from ..errors import FormatError, OptionError
from ..files import atomic_folder, read_json, write_atomic

PLAIN = (bool, int, float, str)
ODD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}  # JSON has no word for them


def packed(tree: Any, arrays: dict[str, np.ndarray], place: str = "") -> Any:
    """Return a tree as JSON values, with its arrays put into `arrays` under the places where they stood.

    Raises
    ------
    OptionError
        If a leaf is no number, string, bytes, array or None.
    """
    if isinstance(tree, np.generic):
        tree = tree.item()
    if isinstance(tree, float) and not math.isfinite(tree):
        return {"odd": str(tree)}
    if tree is None or isinstance(tree, PLAIN):
        return tree
    if isinstance(tree, np.ndarray):
        arrays[place or "."] = np.ascontiguousarray(tree)
        return {"array": place or "."}
    if isinstance(tree, bytes):
        return {"bytes": tree.hex()}
    if isinstance(tree, list | tuple):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [packed(part, arrays, f"{place}.{i}") for i, part in enumerate(tree)]}
    if isinstance(tree, dict):
        pairs = enumerate(tree.items())
        return {"dict": [[packed(k, arrays), packed(v, arrays, f"{place}.{_word(k, i)}")] for i, (k, v) in pairs]}
    raise OptionError(
        f"`{place.strip('.')}` must be a number, a string or a tuple of them to be saved; "
        f"got {tree!r} ({type(tree).__name__})."
    )


def _word(key: Any, i: int) -> str:
    return key if isinstance(key, str) and key.isidentifier() else f"#{i}"


def unpacked(found: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return the tree that `packed` was given."""
    if not isinstance(found, dict):
        return found
    ((kind, value),) = found.items()
    if kind == "odd":
        return ODD[value]
    if kind == "array":
        return arrays[value]
    if kind == "bytes":
        return bytes.fromhex(value)
    if kind == "dict":
        return {unpacked(k, arrays): unpacked(v, arrays) for k, v in value}
    parts = [unpacked(part, arrays) for part in value]
    return {"list": list, "tuple": tuple}[kind](parts)


def write(folder: str | os.PathLike[str], head: dict[str, Any], tree: Any) -> None:
    """Write a tree as a folder, whole or not at all: `state.safetensors`, and `config.json` with `head` beside."""
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps({**head, "state": packed(tree, arrays)}, indent=1, allow_nan=False)
    with atomic_folder(folder) as beside:
        write_atomic(beside / "state.safetensors", safetensors.numpy.save(arrays))
        write_atomic(beside / "config.json", text + "\n")


def read(folder: str | os.PathLike[str], head: dict[str, Any], what: str) -> Any:
    """Read the tree of a folder that `write` wrote.

    Raises
    ------
    FormatError
        If a file is missing, cut short, of another kind, or written by a newer version.
    """
    folder = Path(folder)
    found = read_json(folder / "config.json", what)
    schema = found.get("schema")
    if found.get("kind") != head["kind"] or not isinstance(schema, int) or schema > head["schema"]:
        raise FormatError(
            f"`{folder}` must be {what} of schema {head['schema']} or older; got {found.get('kind')!r} of schema "
            f"{schema!r} (written by liquidtorch {found.get('version')}). Install a newer liquidtorch."
        )
    path = folder / "state.safetensors"
    try:
        arrays = safetensors.numpy.load_file(path)
    except FileNotFoundError:
        raise FormatError(f"`{folder}` must be {what}; it has no {path.name}.") from None
    except (safetensors.SafetensorError, OSError) as e:
        raise FormatError(f"`{path}` must hold arrays; it cannot be read, cut short perhaps ({e}).") from e
    try:
        return unpacked(found["state"], arrays)
    except (KeyError, ValueError, TypeError, AttributeError) as e:
        raise FormatError(f"`{folder / 'config.json'}` must describe {what}; it does not ({e!r}).") from e


def of_module(module: Any) -> dict[str, Any]:
    """Return a layer or readout as a tree: what it is made of, and its numbers."""
    return {"config": module.config(), "weights": {k: v.numpy().copy() for k, v in module.state_dict().items()}}


@torch.no_grad()
def filled(module: Any, found: Mapping[str, Any]) -> Any:
    """Return a module made from the config in a tree of `of_module`, with its numbers, in float64."""
    module = module.double()
    module.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in found["weights"].items()})
    return module
