"""The Triton kernels, compiled for GPUs that need not be there; test_triton.py runs this file.

Every launch compiles its kernel instead of running it: what the interpreter allows and the compiler does not, and what
does not fit on a chip, shows here.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton_cases import NAMES, given, run

import liquidtorch.ops.triton as kernels
from liquidtorch.ops import choice
from liquidtorch.ops.triton import conductance, diagonal, gated

TYPES = {
    torch.float32: "*fp32", torch.float64: "*fp64", torch.float16: "*fp16", torch.bfloat16: "*bf16",
    torch.int64: "*i64", torch.uint8: "*u8",
}  # fmt: skip
OPTIONS = ("num_warps", "num_stages", "enable_fp_fusion")
SHARED = {80: 163 * 1024, 90: 227 * 1024}  # bytes a program may take on a GPU of each compute capability
FEW = ["leaky exact", "cfc default carry sweep", "cfc default carry backbone gelu", "linear", "mobius", "ltc"]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[Any]:
    """Collect what is compiled, laid out as for a GPU of 132 processors."""
    found: list[Any] = []

    def launch(kernel: triton.JITFunction, grid: Any) -> Any:
        def compile_it(*given: Any, **constants: Any) -> None:
            options = {
                key: constants.pop(key) for key in ("num_warps", "num_stages", "enable_fp_fusion") if key in constants
            }
            arguments = dict(zip(kernel.arg_names, given, strict=False))
            fixed = constants | {key: a for key, a in arguments.items() if a is None or (isinstance(a, int) and a == 1)}
            types = {
                key: TYPES[a.dtype] if isinstance(a, Tensor) else "i32"
                for key, a in arguments.items()
                if key not in fixed
            }
            signature = {key: types.get(key, "constexpr") for key in kernel.arg_names}
            source = ASTSource(kernel, signature, fixed)
            found.append(triton.compile(source, target=GPUTarget("cuda", request.param, 32), options=options))

        return compile_it

    monkeypatch.setattr(triton.JITFunction, "__getitem__", launch)
    monkeypatch.setattr(kernels, "MISSING", "")
    monkeypatch.setitem(choice.TWINS, "cpu", kernels)
    monkeypatch.setattr(gated, "processors", lambda like: 132)
    monkeypatch.setattr(gated, "on_chip", lambda like: 227 * 768)
    monkeypatch.setattr(conductance, "processors", lambda like: 132)
    monkeypatch.setattr(diagonal, "chunk", lambda hs: (64, 32))
    return found


def check(name: str, H: int, dtype: torch.dtype, capability: int, compiled: list[Any], B: int = 3) -> None:
    run(name, given(name, H, dtype, B=B), "fast")
    assert len(compiled) >= 2
    for kernel in compiled:
        assert kernel.metadata.shared <= SHARED[capability], kernel.name
        assert b"ELF" in kernel.asm["cubin"][:8]


@pytest.mark.parametrize("compiled", [90], indirect=True)
@pytest.mark.parametrize("name", FEW)
def test_compiles(name: str, compiled: list[Any]) -> None:
    check(name, 7, torch.float32, 90, compiled)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [80], indirect=True)
@pytest.mark.parametrize("name", NAMES)
def test_compiles_every_case(name: str, compiled: list[Any]) -> None:
    for H in (1, 100):
        check(name, H, torch.float32, 80, compiled)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [90], indirect=True)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", [*FEW, "ltc_synapses"])
def test_compiles_every_dtype(name: str, dtype: torch.dtype, compiled: list[Any]) -> None:
    check(name, 33, dtype, 90, compiled)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [90], indirect=True)
@pytest.mark.parametrize("name", ["liquid", "cfc default carry", "ltc"])
def test_compiles_for_many_rows(name: str, compiled: list[Any]) -> None:
    for H in (16, 64, 128, 256):
        check(name, H, torch.float32, 90, compiled, B=4096)
