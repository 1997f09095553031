"""Break every kernel by one token at a time: the twins' tests must find each."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import libraries
import pytest
from mutants import MUTANTS, mutated

HERE = Path(__file__).parent
QUICK = ("-Og",)  # to compile, in a half of the time that -O1 takes


def alike(paths: list[Path]) -> set[str]:
    """Return those of the libraries that do what the reference does."""
    command = [sys.executable, str(HERE / "differs.py"), *map(str, paths)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {Path(line).name for line in done.stdout.splitlines()}


def test_every_mutant_can_be_made() -> None:
    """Ten a file, and of every file that computes; how work is spread over threads has tests of its own."""
    for file, changes in MUTANTS.items():
        text = (libraries.TEXT / file).read_text()
        assert len(changes) >= 10, file
        assert all(mutated(text, old, new) != text for old, new in changes)
    assert {path.name for path in libraries.TEXT.glob("*.h")} == {*MUTANTS, "spread.h"}


@pytest.mark.slow
@pytest.mark.parametrize("file", MUTANTS)
def test_every_mutant_is_found(file: str, tmp_path: Path, kernels: None) -> None:
    """In numbers of 64 bits, or else of 32: the other part of a library is of the text as it is."""
    compiler, left = libraries.need_compiler("cc"), dict(enumerate(MUTANTS[file]))
    whole = {real: libraries.compile_object(compiler, tmp_path / "whole.so", real, extra=QUICK) for real in (32, 64)}
    right = libraries.link(compiler, list(whole.values()), tmp_path / "whole.so")
    for i, (old, new) in left.items():
        text = tmp_path / f"text{i}"
        shutil.copytree(libraries.TEXT, text)
        (text / file).write_text(mutated((text / file).read_text(), old, new))
    for real, other in ((64, 32), (32, 64)):
        made = {}
        for i in left:
            out = tmp_path / f"mutant{i}of{real}.so"
            part = libraries.compile_object(compiler, out, real, text=tmp_path / f"text{i}", extra=QUICK)
            made[libraries.link(compiler, [part, whole[other]], out).name] = i
        found = alike([right, *(tmp_path / name for name in made)])
        assert right.name in found, "the text as it is must agree"
        left = {i: left[i] for name, i in made.items() if name in found}
    survivors = [f"{old}  ->  {new}" for old, new in left.values()]
    assert not survivors, f"{file}: nothing finds\n" + "\n".join(survivors)
