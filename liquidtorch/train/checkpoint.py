"""One file that holds a training between two epochs: tensors, and in its header the facts as JSON."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..data.sequences import Sequences
from ..errors import FormatError, StateError
from ..files import write_atomic
from ..task import Task
from .config import Config

SCHEMA = 1  # raised when an older reader would misread a newer file
FREE = ("time_limit", "device")  # options that may change when a training is resumed


def place(folder: Path) -> Path:
    """Return where the checkpoint of a run lies."""
    return folder / "checkpoints" / "last.safetensors"


def identity(
    network: nn.Module, train: Sequences, valid: Sequences | None, task: Task, config: Config
) -> dict[str, Any]:
    """Return what must be the same for a training to go on as if it had never stopped."""
    options = {k: v for k, v in config.to_json().items() if k not in FREE}
    shapes = {k: list(v.shape) for k, v in network.state_dict().items()}
    data = {name: None if seqs is None else _sum(seqs) for name, seqs in (("train", train), ("valid", valid))}
    return {"network": shapes, "task": task.to_json(), **data, **options}


def _sum(seqs: Sequences) -> int:
    found = 0
    for part in (seqs.values, seqs.offsets, seqs.dt, seqs.target):
        found = zlib.crc32(b"" if part is None else part.tobytes(), found)
    return found


def save(
    path: Path,
    facts: dict[str, Any],
    weights: dict[str, Tensor],
    best: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write the weights, the best weights, the optimiser's moments and `facts`; a kill leaves the old file."""
    tensors = {f"weights/{k}": v for k, v in weights.items()}
    tensors |= {f"best/{k}": v for k, v in best.items()}
    for i, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"moments/{i}/{k}": v for k, v in moments.items()}
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    write_atomic(path, safetensors.torch.save(plain, {"liquidtorch": json.dumps({"schema": SCHEMA, **facts})}))


def load(path: Path, same: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Read (facts, {"weights", "best", "moments"}), refusing a checkpoint of another training than `same`."""
    if not path.exists():
        raise StateError(f"`resume` must follow a training that was stopped; there is no {path}. Train without it.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["liquidtorch"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except (safetensors.SafetensorError, OSError, KeyError, json.JSONDecodeError) as e:
        raise FormatError(f"`{path}` must be a checkpoint; it cannot be read ({e}). Train anew.") from e
    if facts["schema"] > SCHEMA:
        raise FormatError(
            f"`{path}` must be of schema {SCHEMA} or older; got {facts['schema']}. Install a newer liquidtorch."
        )
    was = facts["identity"]
    for key in same:
        if same[key] != was.get(key):
            raise StateError(
                f"`{key}` must be what it was when the training stopped; "
                f"got {_short(same[key])} instead of {_short(was.get(key))}. Train into a new folder, or set it back."
            )
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "best": {}, "moments": {}}
    for name, tensor in tensors.items():
        part, rest = name.split("/", 1)
        parts[part][rest] = tensor
    return facts, parts


def restore(optimiser: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    """Give the optimiser back its moments."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in moments.items():
        number, key = name.split("/", 1)
        state.setdefault(int(number), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
