"""What the machine is and the most it can do, measured: products, tanh, copies."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timing import Side, Times, alternate

import liquidtorch
from liquidtorch import ops

SIDE = 1024  # of the square float32 matrices
TANH = 1 << 18  # numbers: they stay in the cache
COPY = 256 * 2**20  # bytes
AMOUNTS = {"gemm": 2.0 * SIDE**3, "tanh": float(TANH), "copy": 2.0 * COPY}  # flops; numbers; bytes read and written


def peak(name: str) -> Side:
    """Return what shows the machine's peak rate of products, tanh or copies, as a side."""
    if name == "gemm":
        a, b, c = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE), torch.empty(SIDE, SIDE)
        run = partial(torch.mm, a, b, out=c)
    elif name == "tanh":
        x, y = torch.randn(TANH), torch.empty(TANH)
        run = partial(torch.tanh, x, out=y)
    else:
        old, new = torch.ones(COPY // 4), torch.ones(COPY // 4)
        run = partial(new.copy_, old)
    return Side(name, run, lambda: None, None)


def rate(name: str, times: Times) -> float:
    """Return the best rate seen, in units of 1e9 a second: a peak is what the machine can, not what it mostly does."""
    return float(f"{AMOUNTS[name] / min(times.seconds) / 1e9:.4g}")


def peaks(threads: Sequence[int], repeats: int) -> dict[str, dict[str, float]]:
    """Return, for each number of threads, Gflop/s of a product, G tanh/s, and GB/s read and written by a copy."""
    times = alternate([peak(name) for name in AMOUNTS], threads, repeats)
    return {str(n): {name: rate(name, times[name, n]) for name in AMOUNTS} for n in threads}


def about() -> dict[str, Any]:
    """Return what a result must be read with: versions, commit, processor, kernels, date."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu(),
        "kernels": ops.backend("ltc", torch.zeros(1)),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ncps": importlib.metadata.version("ncps"),
        "liquidtorch": liquidtorch.__version__,
    }


def _commit() -> str:
    """Return the commit of the code that is measured, which need not be the checkout that this file lies in."""
    commit = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    return f"{commit}-dirty" if _git("status", "--porcelain", "--untracked-files=no", ".") else commit


def _git(*words: str) -> str:
    room = Path(liquidtorch.__file__).parent
    return subprocess.run(["git", *words], cwd=room, capture_output=True, text=True, check=False).stdout.strip()


def _cpu() -> str:
    """Return the processor's model, and its family where the name hides it."""
    listed = Path("/proc/cpuinfo")
    if not listed.is_file():
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in listed.read_text().split("\n\n")[0].splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    level = torch.backends.cpu.get_cpu_capability()
    return f"{facts.get('model name', platform.machine())}, model {facts.get('model', '?')}, {level}"
