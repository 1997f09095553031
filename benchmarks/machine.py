"""What the machine is and the most it can do, measured: products, tanh, copies."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

import liquidtorch
from liquidtorch import ops

GEMM = 1024  # rows of the square float32 matrices
TANH = 1 << 18  # numbers: they stay in the cache
COPY = 256 * 2**20  # bytes


def peaks(threads: Sequence[int], repeats: int) -> dict[str, dict[str, float]]:
    """Return, for each number of threads, Gflop/s of a product, G tanh/s, and GB/s read and written by a copy."""
    a, b, c = torch.randn(GEMM, GEMM), torch.randn(GEMM, GEMM), torch.empty(GEMM, GEMM)
    x, y = torch.randn(TANH), torch.empty(TANH)
    big, copy = torch.ones(COPY // 4), torch.ones(COPY // 4)
    works: dict[str, tuple[float, Callable[[], object]]] = {
        "gemm": (2.0 * GEMM**3, lambda: torch.mm(a, b, out=c)),
        "tanh": (TANH, lambda: torch.tanh(x, out=y)),
        "copy": (2.0 * COPY, lambda: copy.copy_(big)),
    }
    before, found = torch.get_num_threads(), {}
    for n in threads:
        torch.set_num_threads(n)
        found[str(n)] = {name: _rate(amount, run, repeats) for name, (amount, run) in works.items()}
    torch.set_num_threads(before)
    return found


def _rate(amount: float, run: Callable[[], object], repeats: int) -> float:
    """Return the median rate in units of 10**9 a second."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return float(f"{amount / statistics.median(seconds) / 1e9:.4g}")


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
