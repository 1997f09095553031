"""The compiled kernels: found, checked, loaded, and spread over threads."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

LEVELS = {  # what torch says of the processor -> the libraries it can run, the fastest first
    "AVX512": ("avx512", "avx2", "baseline"),
    "AVX2": ("avx2", "baseline"),
}
WORTH = 60_000  # operations: some 20 us, for which it pays to wake a second thread


def _candidates(name: str) -> list[Path]:
    """Where an installed library may be: beneath this file, or, installed as editable, among the packages."""
    found = [Path(__file__).parent / "lib" / name]
    try:
        files = importlib.metadata.distribution("liquidtorch")
        found.append(Path(str(files.locate_file(f"liquidtorch/ops/lib/{name}"))))
    except importlib.metadata.PackageNotFoundError:
        pass
    return found


def text_hash() -> str:
    """Return the hash of the C text, as CMakeLists.txt takes it."""
    texts = sorted((Path(__file__).parent / "csrc").glob("*.[ch]"))
    hashes = "".join(hashlib.sha256(text.read_bytes()).hexdigest() for text in texts)
    return hashlib.sha256(hashes.encode()).hexdigest()


@functools.cache
def load() -> tuple[ctypes.CDLL | None, str]:
    """Return the fastest library this processor runs, and its name; or None, and why there is none."""
    levels = LEVELS.get(torch.backends.cpu.get_cpu_capability(), ("baseline",))
    why = "no compiled kernels are installed; with a C compiler, reinstall liquidtorch"
    for level in levels:
        for path in _candidates(f"liquid-{level}.so"):
            if not path.is_file():
                continue
            try:
                library = ctypes.CDLL(str(path))
            except OSError as e:
                why = f"{path.name} cannot be loaded: {e}"
                continue
            library.text_f32.restype = ctypes.c_char_p
            if library.text_f32().decode() == text_hash():
                return library, level
            why = "the compiled kernels belong to another version; reinstall liquidtorch"
    return None, why


@functools.cache
def entry(name: str, dtype: torch.dtype) -> Any:
    """Return a function of the library for numbers of `dtype`."""
    function = getattr(load()[0], f"{name}_f{32 if dtype == torch.float32 else 64}")
    whole, pointer = ctypes.c_int64, ctypes.c_void_p
    function.restype = whole if name.endswith(("lanes", "scratch", "row", "arrival")) else None
    if name.startswith("pack"):
        function.argtypes = [pointer, whole, whole, whole, pointer]
    elif name.endswith("scratch"):
        function.argtypes = [pointer]
    elif name.endswith(("step", "row", "arrival")):
        function.argtypes = [pointer, ctypes.c_double]
    elif name.endswith(("forward", "backward")):
        function.argtypes = [pointer, whole, whole, pointer, pointer, whole]
    return function


def take_step(name: str, struct: Arguments, number: float) -> None:
    """Take a step in numbers of 64 bits: `struct` tells of what, `number` is its time or its rate."""
    entry(name, torch.float64)(ctypes.addressof(struct), number)


@functools.cache
def lanes(dtype: torch.dtype) -> int:
    """Return how many numbers a vector holds."""
    return int(entry("lanes", dtype)())


def padded(n: int, dtype: torch.dtype) -> int:
    """Return n, rounded up to whole vectors."""
    return -(-n // lanes(dtype)) * lanes(dtype)


def pack(W: Tensor, groups: int = 1, *, back: bool = False) -> Tensor:
    """Pack W, (groups*targets, sources) in any shape that ends in sources, for csrc/product.h: ahead, or `back`."""
    W, sources = W.contiguous(), W.shape[-1]
    targets = W.numel() // sources // groups
    packed = W.new_empty(groups * padded(targets, W.dtype) * (padded(sources, W.dtype) if back else sources))
    entry("pack_back" if back else "pack", W.dtype)(W.data_ptr(), groups, targets, sources, packed.data_ptr())
    return packed


class Arguments(ctypes.Structure):
    """The parent of every struct of csrc: fields are set by name, tensors as their address and kept alive."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self.alive = given
        for name, value in given.items():
            if isinstance(value, list):
                getattr(self, name)[: len(value)] = [_plain(v) for v in value]
            else:
                setattr(self, name, _plain(value))


def _plain(value: Any) -> Any:
    return value.data_ptr() or None if isinstance(value, Tensor) else value


def pointers(names: str) -> list[tuple[str, Any]]:
    """Return the fields of a struct for names of pointers; `name[8]` is an array of 8."""
    fields = []
    for name in names.split():
        name, _, count = name.rstrip("]").partition("[")
        fields.append((name, ctypes.c_void_p * int(count) if count else ctypes.c_void_p))
    return fields


def integers(names: str) -> list[tuple[str, Any]]:
    """Return the fields of a struct for names of integers."""
    return [(name, ctypes.c_int64) for name in names.split()]


ROWS = [*integers("B T H"), *pointers("h0 dt lengths reset h grad_h grad_h0 grad_dt")]  # the struct of csrc/rows.h


def sequence(
    h: Tensor | None, dt: Tensor | None, lengths: Tensor | None, reset: Tensor | None, hs: Tensor
) -> dict[str, Any]:
    """Return what the fields `ROWS` are filled with; hs (B, T, H) holds every state."""
    B, T, H = hs.shape
    return {
        "B": B, "T": T, "H": H, "h0": h.contiguous(), "dt": dt.contiguous(), "h": hs,  # pyright: ignore
        "lengths": None if lengths is None else lengths.to(torch.int64).clamp(max=T).contiguous(),
        "reset": None if reset is None else reset.contiguous(),
    }  # fmt: skip


def runtimes(maps: str) -> list[Path]:
    """Return the OpenMP runtimes among what is loaded; the sixth field of a line is a path, which may hold spaces."""
    paths = {Path(line.split(None, 5)[-1]) for line in maps.splitlines()}
    return sorted(p for p in paths if p.name.startswith(("libgomp", "libiomp5", "libomp")))


@functools.cache
def team() -> int | None:
    """Return the address of the function that runs on the threads of PyTorch's OpenMP; None where it has none such."""
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        return None
    home = Path(torch.__file__).parent
    for path in sorted(runtimes(maps.read_text()), key=lambda p: home not in p.parents):  # its own first, if any
        found = getattr(ctypes.CDLL(str(path)), "GOMP_parallel", None)
        if found is not None:
            return ctypes.cast(found, ctypes.c_void_p).value
    return None


def run(name: str, dtype: torch.dtype, arguments: Arguments, parts: int, operations: float) -> None:
    """Run `name` over its parts, on as many threads as the work is worth; the result is the same for any number."""
    at = ctypes.addressof(arguments)
    size = (-(-entry(name.rpartition("_")[0] + "_scratch", dtype)(at) // 16) + 1) * 16
    threads = max(1, min(torch.get_num_threads(), parts, int(operations / WORTH))) if team() else 1
    scratch = torch.empty(size * threads + 16, dtype=dtype)
    start = scratch.data_ptr() + -scratch.data_ptr() % 64
    entry(name, dtype)(at, parts, threads, team(), start, size * dtype.itemsize)
