"""What is built where there is a C compiler, and where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "runs", "*.so", "__pycache__", ".*_cache", ".hypothesis")

pytestmark = pytest.mark.slow


def wheel(tmp_path: Path, compiler: str) -> Path:
    """Build a wheel from a copy of the sources, as pip does for a user."""
    shutil.copytree(ROOT, tmp_path / "source", ignore=LEFT_OUT)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        tmp_path,
        tmp_path / "source",
    ]
    subprocess.run(command, check=True, env={**os.environ, "CC": compiler}, capture_output=True)
    (found,) = tmp_path.glob("*.whl")
    return found


def test_with_a_compiler_the_kernels_are_inside(tmp_path: Path, kernels: None) -> None:
    built = wheel(tmp_path, "cc")
    assert "-py3-none-linux_" in built.name
    inside = zipfile.ZipFile(built).namelist()
    assert "liquidtorch/ops/lib/liquid-baseline.so" in inside
    assert "liquidtorch/ops/csrc/liquid.c" in inside, "the text is what the libraries are checked against"


def test_without_a_compiler_all_the_rest_is(tmp_path: Path) -> None:
    built = wheel(tmp_path, "/nowhere/cc")
    assert built.name.endswith("-py3-none-any.whl")
    inside = zipfile.ZipFile(built).namelist()
    assert "liquidtorch/ops/reference.py" in inside
    assert not [name for name in inside if name.endswith(".so")]
