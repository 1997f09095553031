"""The C text under the address and undefined-behaviour sanitizers, at every width, with warnings as errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import libraries
import pytest
from mutants import mutated

HERE = Path(__file__).parent
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover", "-fno-omit-frame-pointer")
STRICT = ("-O2", "-Wall", "-Wextra", "-Werror")
WIDTHS = [("baseline", None), ("avx2", None), ("avx512", None), ("baseline", 0)]  # the last: one lane
NAMES = [f"{level}{'-one-lane' if vector == 0 else ''}" for level, vector in WIDTHS]


def sanitized(compiler: str, library: Path) -> subprocess.CompletedProcess[str]:
    """Run the library over fuzzed sizes; the sanitizers must be loaded before anything else."""
    runtimes = [_runtime(compiler, name) for name in ("libasan.so", "libubsan.so")]
    environment = {
        **os.environ, "LD_PRELOAD": " ".join(runtimes), "UBSAN_OPTIONS": "print_stacktrace=1",
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",  # Python itself keeps memory to its end
        "PYTHONMALLOC": "malloc",  # so that what Python gives is watched as well
    }  # fmt: skip
    command = [sys.executable, str(HERE / "sanitized.py"), str(library)]
    return subprocess.run(command, env=environment, cwd=HERE, capture_output=True, text=True)


def _runtime(compiler: str, name: str) -> str:
    return subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize(("level", "vector"), WIDTHS, ids=NAMES)
def test_nothing_is_read_or_written_too_far(level: str, vector: int | None, tmp_path: Path, kernels: None) -> None:
    compiler = libraries.need_compiler("gcc")
    libraries.need_level(level)
    library = libraries.compile_library(compiler, tmp_path / "whole.so", level, extra=SANITIZED, vector=vector)
    done = sanitized(compiler, library)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout == "done\n"


TOO_FAR = [  # file, what stands there, what reads or writes too far, or is not defined
    ("rows.h", "load_part(base + r * stride, left)", "load_part(base + r * stride, left + 1)"),
    ("rows.h", "int64_t end = d->lengths[at.first + r]", "int64_t end = d->lengths[at.first + r + 1]"),
    ("product.h", "store(z + r * z_row", "store(z + 8 + r * z_row"),
    ("arrival.h", "i < d->n; i++) { if (d->value", "i <= d->n; i++) { if (d->value"),
    ("arrival.h", "j < d->C; j++) d->u[j] = 0", "j <= d->C; j++) d->u[j] = 0"),
    ("local.h", "if (n >= LANES) return load_at(d->read, source)", "if (n > 0) return load_at(d->read, source)"),
    ("traces.h", ".count = t->start[r + 1] - s", ".count = t->start[r + 1] - s + 1"),
    ("ltc.h", "for (int64_t s = 0; s < S; s++) {", "for (int64_t s = 0; s <= S; s++) {"),
    ("spiking.h", "return before_window(d) + strip_of(d)", "return before_window(d) + strip_of(d) - d->H"),
    ("lanes.h", "real s = 0;", "real s = 0; if ((whole)x[0] + ((whole)1 << (sizeof(whole) * 8 + LANES)) == 7) s = 1;"),
]


def test_every_step_too_far_can_be_made() -> None:
    for file, old, new in TOO_FAR:
        text = (libraries.TEXT / file).read_text()
        assert mutated(text, old, new) != text


@pytest.mark.slow
@pytest.mark.parametrize("i", range(len(TOO_FAR)))
def test_a_step_too_far_is_seen(i: int, tmp_path: Path, kernels: None) -> None:
    compiler = libraries.need_compiler("gcc")
    file, old, new = TOO_FAR[i]
    shutil.copytree(libraries.TEXT, tmp_path / "text")
    (tmp_path / "text" / file).write_text(mutated((tmp_path / "text" / file).read_text(), old, new))
    out, text = tmp_path / "broken.so", tmp_path / "text"
    watched = libraries.compile_object(compiler, out, 64, text=text, extra=SANITIZED)
    library = libraries.link(
        compiler, [libraries.compile_object(compiler, out, 32, text=text), watched], out, SANITIZED
    )
    done = sanitized(compiler, library)
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr or "runtime error" in done.stderr


@pytest.mark.parametrize(("level", "vector"), WIDTHS, ids=NAMES)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compilers_have_nothing_to_warn_of(compiler: str, level: str, vector: int | None, tmp_path: Path) -> None:
    """Flags of any processor compile on any x86-64; whether the result can run does not matter here."""
    found = libraries.need_compiler(compiler)
    libraries.need_x86(level)
    assert libraries.compile_library(found, tmp_path / "strict.so", level, extra=STRICT, vector=vector).is_file()


def test_the_text_compiles_for_aarch64(tmp_path: Path) -> None:
    found = libraries.need_compiler("aarch64-linux-gnu-gcc")
    built = libraries.compile_library(found, tmp_path / "arm.so", extra=STRICT)
    assert built.read_bytes()[18:20] == b"\xb7\x00", "the machine an ELF file is for: EM_AARCH64 is 183"


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("vector", [0, 16, 32, 64])
def test_any_width_computes_the_same(compiler: str, vector: int, tmp_path: Path, kernels: None) -> None:
    """One lane is how a microcontroller runs it; wider vectors than the processor's are taken apart by the compiler."""
    found = libraries.need_compiler(compiler)
    library = libraries.compile_library(found, tmp_path / "width.so", extra=("-O2",), vector=vector)
    command = [sys.executable, str(HERE / "sanitized.py"), str(library)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-4000:]
