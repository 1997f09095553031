"""How work is laid out on a device: sizes, dtypes and what fits."""

from __future__ import annotations

import functools
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import points


def interpreted() -> bool:
    """Return whether Triton was imported to interpret its kernels, on the CPU, instead of compiling them."""
    return not isinstance(points.sign, triton.JITFunction)


def padded(units: int) -> int:
    """Return the width that a vector of units has in a kernel: a power of two, and enough for a matrix product."""
    return max(16, triton.next_power_of_2(units))


def words(dtype: torch.dtype) -> torch.dtype:
    """Return in what the kernels compute and add up numbers of `dtype`."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def compute(dtype: torch.dtype) -> Any:
    """Return `words` as Triton calls it."""
    return tl.float64 if dtype == torch.float64 else tl.float32


@functools.cache
def _of_device(index: int) -> tuple[int, int]:
    found = torch.cuda.get_device_properties(index)
    return found.multi_processor_count, found.shared_memory_per_block_optin


def processors(like: Tensor) -> int:
    """Return how many programs it takes to keep the device of `like` busy; in the interpreter, a few."""
    return _of_device(like.device.index)[0] if like.is_cuda else 2


def on_chip(like: Tensor) -> int:
    """Return how many bytes of weights a program may hold."""
    return _of_device(like.device.index)[1] * 3 // 4 if like.is_cuda else 1 << 16


def chunk(hs: Tensor) -> tuple[int, int]:
    """Return how many steps and units of states `hs` (B, T, H) a scan composes at once."""
    if not hs.is_cuda:
        return 4, 4  # the interpreter takes them one by one
    return min(64, triton.next_power_of_2(hs.shape[1] + 1)), min(32, triton.next_power_of_2(hs.shape[2]))


def plain(*given: Tensor | None) -> list[Tensor | None]:
    """Return tensors as the kernels read them: contiguous, whole numbers as int64 and truth as bytes."""
    found = []
    for a in given:
        if a is not None:
            a = a.view(torch.uint8) if a.dtype == torch.bool else a if a.is_floating_point() else a.long()
            a = a.contiguous()
        found.append(a)
    return found


def launch(kernel: Any, grid: tuple[int, ...], like: Tensor, *given: Any, **constants: Any) -> None:
    """Run `kernel` on the device of `like`."""
    # Loops are not pipelined: a load must not overtake the store, a barrier before it, of what it reads.
    options = {"num_stages": 1, "enable_fp_fusion": True}
    with torch.cuda.device_of(like):
        kernel[grid](*given, **constants, **options)
