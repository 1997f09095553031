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
    compiler = libraries.need_compiler("cc")
    made, whole = {}, libraries.compile_library(compiler, tmp_path / "whole.so", extra=QUICK)
    for i, (old, new) in enumerate(MUTANTS[file]):
        text = tmp_path / f"text{i}"
        shutil.copytree(libraries.TEXT, text)
        (text / file).write_text(mutated((text / file).read_text(), old, new))
        made[f"mutant{i}.so"] = f"{old}  ->  {new}"
        libraries.compile_library(compiler, tmp_path / f"mutant{i}.so", text=text, extra=QUICK)
    found = alike([whole, *(tmp_path / name for name in made)])
    assert "whole.so" in found, "the text as it is must agree"
    survivors = [made[name] for name in made if name in found]
    assert not survivors, f"{file}: nothing finds\n" + "\n".join(survivors)
