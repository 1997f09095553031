"""The Triton kernels: interpreted against the reference, compiled for GPUs, and wrong as soon as one token is.

Triton decides when it is imported whether it interprets, so both happen in processes of their own: triton_cases.py and
triton_compiles.py hold the tests.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import liquidtorch
from liquidtorch import ops
from liquidtorch.ops import choice

HERE = Path(__file__).parent
ROOM = Path("ops") / "triton"
# An editable install would find the package before PYTHONPATH does.
START = """
import sys
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in type(f).__module__]
import liquidtorch, pytest
assert liquidtorch.__path__ == [sys.argv[1]], liquidtorch.__path__
sys.exit(pytest.main(sys.argv[2:]))
"""
CHOSEN = {  # the tests of triton_cases.py, in parts, each of which has a process
    "cfc, swept": "cfc and sweep",
    "cfc": "cfc and not sweep",
    "gated": "(leaky or gated) and not cfc",
    "others": "not (cfc or leaky or gated)",
}
MUTANTS = [  # file, what stands there, what one token makes of it, the tests that must see it
    (
        "points.py",
        "z1 = tl.where(z1 < GATE_END, -(dr * dt) * z1",
        "z1 = tl.where(z1 < GATE_END, (dr * dt) * z1",
        "liquid",
    ),
    ("points.py", "dsum = g * (z1 - z0) * z3", "dsum = g * (z1 + z0) * z3", "cfc"),
    ("held.py", "mine = mine & (turn == GROUPS - 1 - j)", "mine = mine & (turn == GROUPS - j)", "sweep"),
    ("held.py", "g = tl.where(fresh[:, None], 0.0, g) + idle", "g = tl.where(fresh[:, None], 0.0, g) - idle", "leaky"),
    ("staged.py", "1.7159 * 0.666 * (1.0 - t * t)", "1.7159 * 0.666 * (1.0 + t * t)", "lecun_tanh"),
    ("staged.py", "if g == 0:", "if g == 1:", "beyond_the_chip"),
    ("scan.py", "return a_2 * a_1, a_2 * b_1 + b_2", "return a_2 * a_1, a_1 * b_1 + b_2", "linear"),
    ("scan.py", "r = r_2 * p_1 + s_2 * r_1", "r = r_2 * p_1 + s_1 * r_1", "mobius or compose"),
    ("scan.py", "down = -up * after", "down = up * after", "mobius"),
    ("scan.py", "(1.0 + before) * softplus_slope(k)", "(1.0 - before) * softplus_slope(k)", "mobius"),
    ("points.py", "2.0 * y * p", "1.0 * y * p", "linear"),
    ("membrane.py", "open * (1.0 - open)", "open * (1.0 + open)", "ltc"),
    ("membrane.py", "add(of_unit + H + unit, real, dN * leak)", "add(of_unit + H + unit, real, dN * rest)", "ltc"),
    ("synapses.py", "W * of_xv - m * W * of_x", "W * of_xv + m * W * of_x", "ltc_synapses"),
]


@pytest.fixture(autouse=True)
def installed() -> None:
    if importlib.util.find_spec("triton") is None:
        assert os.environ.get("CI") != "true", "continuous integration must have Triton"
        pytest.skip("Triton is not installed")


def run(cases: str, *asked: str, package: Path, interpret: bool, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run tests of a file here in a process of their own, on the given copy of the package."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    mine |= {"TRITON_INTERPRET": str(int(interpret)), "TRITON_CACHE_DIR": str(cache), "PYTHONPATH": str(package.parent)}
    command = [sys.executable, "-c", START, str(package), "-q", "-p", "no:cacheprovider", str(HERE / cases), *asked]
    return subprocess.run(command, cwd=HERE, env=mine, capture_output=True, text=True, check=False)


def passes(result: subprocess.CompletedProcess[str]) -> bool:
    """Return whether tests ran and all passed; an error that is no test's result raises."""
    assert result.returncode in (0, 1), result.stdout + result.stderr
    assert re.search(r"\d+ (passed|failed)", result.stdout), result.stdout + result.stderr
    return result.returncode == 0


@pytest.mark.parametrize("part", CHOSEN)
def test_kernels_equal_the_reference(part: str, tmp_path: Path) -> None:
    package = Path(liquidtorch.__file__).parent
    asked = ("-m", "not slow", "-k", CHOSEN[part])
    result = run("triton_cases.py", *asked, package=package, interpret=True, cache=tmp_path)
    assert passes(result), result.stdout


def test_kernels_compile(tmp_path: Path) -> None:
    package = Path(liquidtorch.__file__).parent
    result = run("triton_compiles.py", "-m", "not slow", package=package, interpret=False, cache=tmp_path)
    assert passes(result), result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("part", CHOSEN)
def test_kernels_equal_the_reference_in_every_case(part: str, tmp_path: Path) -> None:
    package = Path(liquidtorch.__file__).parent
    result = run("triton_cases.py", "-m", "slow", "-k", CHOSEN[part], package=package, interpret=True, cache=tmp_path)
    assert passes(result), result.stdout


@pytest.mark.slow
def test_kernels_compile_in_every_case(tmp_path: Path) -> None:
    package = Path(liquidtorch.__file__).parent
    result = run("triton_compiles.py", "-m", "slow", package=package, interpret=False, cache=tmp_path)
    assert passes(result), result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("file", "before", "after", "which"), MUTANTS, ids=[f"{m[0]}: {m[2]}" for m in MUTANTS])
def test_mutants_die(file: str, before: str, after: str, which: str, tmp_path: Path) -> None:
    package = tmp_path / "liquidtorch"
    shutil.copytree(Path(liquidtorch.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    text = (package / ROOM / file).read_text()
    assert before in text
    (package / ROOM / file).write_text(text.replace(before, after))
    asked = ("-x", "-m", "not slow or slow", "-k", f"({which}) and not every_size")
    assert not passes(run("triton_cases.py", *asked, package=package, interpret=True, cache=tmp_path))


def test_without_cuda_the_kernels_stay_out() -> None:
    code = "import sys, torch, liquidtorch.ops as ops; from liquidtorch.ops import choice; "
    code += "loaded = 'liquidtorch.ops.triton' in sys.modules; cuda = torch.cuda.is_available(); "
    code += "sys.exit(not loaded == cuda == ('cuda' in choice.TWINS))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_kernels_say_why_they_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from liquidtorch.ops import triton as kernels

    monkeypatch.setitem(choice.TWINS, "cpu", kernels)
    if not torch.cuda.is_available():
        assert ops.backend("ltc", torch.zeros(1)) == "reference: plain PyTorch on cpu (Triton needs a CUDA device)"
