"""What is installed here, and what would run where."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import torch

from .. import __version__, ops

PARTS = ("numpy", "scipy", "scikit-learn", "polars", "narwhals", "safetensors", "typer", "jinja2", "networkx")
OPTIONAL = ("pandas", "pyarrow", "ncps")


def everything() -> dict[str, Any]:
    """Return versions, devices, threads, and for each operation what would run it and why."""
    devices = ["cpu"] + [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    like = torch.zeros(1, device="cuda" if torch.cuda.is_available() else "cpu")
    return {
        "liquidtorch": __version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "torch": torch.__version__,
        "devices": ", ".join(devices),
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} processors",
        "kernels": {op: ops.backend(op, like) for op in ops.SEQUENCES},
        "packages": {name: _version(name) for name in PARTS},
        "optional": {name: _version(name) for name in OPTIONAL},
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
