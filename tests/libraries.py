"""Libraries of the C text made for a test, with the flags of CMakeLists.txt, and how a test runs on one of them."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from liquidtorch.ops import library

ROOT = Path(__file__).parent.parent
TEXT = ROOT / "liquidtorch" / "ops" / "csrc"
CMAKE = (ROOT / "CMakeLists.txt").read_text()
FLAGS = re.search(r"set\(FLAGS ([^)]*)\)", CMAKE).group(1).split()  # pyright: ignore
LEVELS = {  # name -> (bytes in a vector, flags)
    name: (int(vector), flags.split())
    for name, vector, flags in re.findall(r"^ *kernels\((\w+) (\d+)([^)]*)\)", CMAKE, re.M)
}


def runs_here(level: str) -> bool:
    return level in library.LEVELS.get(torch.backends.cpu.get_cpu_capability(), ("baseline",))


def need_level(level: str) -> None:
    """Skip where the processor lacks the instructions: nothing can be run there."""
    if not runs_here(level):
        pytest.skip(f"this processor has no {level}")


def need_x86(level: str) -> None:
    """Skip where the compiler knows no such instructions."""
    if level != "baseline" and platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip(f"{level} is of x86-64")


def need_compiler(name: str) -> str:
    """Return the compiler; where there is none skip, but fail on CI."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"no {name} on CI")
    if found is None:
        pytest.skip(f"no {name}")
    return found


def compile_library(
    compiler: str, out: Path, level: str = "baseline", *, text: Path = TEXT, extra: tuple[str, ...] = ("-O1",),
    vector: int | None = None,
) -> Path:  # fmt: skip
    """Compile the text, or what it was changed to, for numbers of 32 and 64 bits; `vector` 0: one lane."""
    objects = [compile_object(compiler, out, real, level, text=text, extra=extra, vector=vector) for real in (32, 64)]
    return link(compiler, objects, out, extra)


def compile_object(
    compiler: str, out: Path, real: int, level: str = "baseline", *, text: Path = TEXT,
    extra: tuple[str, ...] = ("-O1",), vector: int | None = None,
) -> Path:  # fmt: skip
    """Compile one of the two parts of a library, beside where the library will be."""
    wide, flags = LEVELS[level]
    size = wide if vector is None else vector or real // 8
    made = out.with_suffix(f".{real}.o")
    what = [f"-DREAL={real}", f"-DVECTOR={size}", '-DTEXT="of a test"', "-fPIC", "-c", str(text / "liquid.c")]
    _run([compiler, *FLAGS, *flags, *extra, *what, "-o", str(made)])
    return made


def link(compiler: str, objects: list[Path], out: Path, extra: tuple[str, ...] = ("-O1",)) -> Path:
    """Make a library of its two parts."""
    _run([compiler, "-shared", *extra, *map(str, objects), "-lm", "-o", str(out)])
    return out


def compile_file(
    compiler: str, source: Path, out: Path, level: str, real: int, vector: int | None = None
) -> ctypes.CDLL:  # fmt: skip
    """Compile and load one file beside the text, as fast as the library itself is made."""
    wide, flags = LEVELS[level]
    size = wide if vector is None else vector or real // 8
    what = [f"-DREAL={real}", f"-DVECTOR={size}", f"-I{TEXT}", "-O3", "-fPIC", "-shared", str(source)]
    _run([compiler, *FLAGS, *flags, *what, "-lm", "-o", str(out)])
    return ctypes.CDLL(str(out))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, " ".join(command) + "\n" + done.stderr


@contextmanager
def loaded(path: Path | str) -> Iterator[None]:
    """Inside the block the kernels are those of the library at `path`, whatever text it is of."""
    found: Any = ctypes.CDLL(str(path))
    before = library.load
    library.load = lambda: (found, "a test")  # pyright: ignore
    _forget()
    yield
    library.load = before
    _forget()


def _forget() -> None:
    """Let go of everything that was looked up in the library before."""
    library.entry.cache_clear()
    library.lanes.cache_clear()
