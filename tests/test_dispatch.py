"""Which implementation runs, on how many threads and of which level; and what PyTorch asks of an operator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import libraries
import pytest
import torch
import twins
from torch import Tensor

from liquidtorch import cli, ops
from liquidtorch.cells import CfC, Leaky, Linear, Liquid
from liquidtorch.errors import BackendError, OptionError, ShapeError
from liquidtorch.layers import Recurrent
from liquidtorch.ops import cpu, library

KINDS = (
    "leaky",
    "liquid-sparse",
    "ltc",
    "ltc_synapses-half",
    "cfc-default-carry-swept-half",
    "cfc-no_gate-2-silu",
    "linear",
    "mobius",
)


@pytest.fixture(autouse=True)
def _kernels(kernels: None) -> None:
    """Every test here needs the compiled kernels."""


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """On how many threads each kernel has run, in order."""
    counted: list[int] = []

    def entry(name: str, dtype: torch.dtype) -> Any:
        function = library_entry(name, dtype)
        if not name.endswith(("forward", "backward")):
            return function

        def run(at: int, parts: int, threads: int, *rest: Any) -> None:
            counted.append(threads)
            function(at, parts, threads, *rest)

        return run

    library_entry = library.entry
    monkeypatch.setattr(library, "entry", entry)
    return counted


def test_a_runtime_is_found_in_a_folder_with_spaces() -> None:
    maps = "7f65-7f66 r-xp 000 fe:00 12    /home/my files/torch/lib/libgomp.so.1\n7f67-7f68 rw-p 000 00:00 0 \n"
    assert library.runtimes(maps) == [Path("/home/my files/torch/lib/libgomp.so.1")]


@pytest.mark.parametrize("name", KINDS)
def test_threads_change_no_bit(name: str, shares: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels themselves: PyTorch's own products, after them, keep to one thread here."""
    assert library.team(), "PyTorch's threads were not found"
    monkeypatch.setattr(library, "WORTH", 1000)
    problem = twins.problem(name, 17, 100, 9, ends="both")
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        shares.clear()
        found.append([problem.run("fast", dtype) for dtype in cpu.DTYPES])
        assert shares == [threads] * 4, "forward and backward, in two dtypes"
    for other in found[1:]:
        for alone, together in zip(found[0], other, strict=True):
            assert all(torch.equal(alone[key], together[key]) for key in alone)


def test_two_threads_are_woken_for_large_work_only(shares: list[int]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    small, large = twins.problem("ltc", 3, 2, 2), twins.problem("ltc", 33, 64, 64)
    for problem, threads in ((small, 1), (large, 2)):
        shares.clear()
        problem.run("fast", torch.float32)
        assert shares == [threads] * 2
    two = large.run("fast", torch.float32)
    torch.set_num_threads(before)
    one = large.run("fast", torch.float32)
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_levels_agree(level: str) -> None:
    """Every library that was installed and that this processor runs, on every variant."""
    libraries.need_level(level)
    path = next(path for path in library._candidates(f"liquid-{level}.so") if path.is_file())
    with libraries.loaded(path):
        for i, name in enumerate(twins.NAMES):
            assert not twins.faults(twins.problem(name, 17, 9, 4, **twins.conditions(i))), name


@pytest.mark.parametrize(("capability", "level"), [("default", "baseline"), ("avx2", "avx2")])
def test_the_level_follows_the_processor(capability: str, level: str) -> None:
    libraries.need_level(level)
    text = (
        "import torch, twins; from liquidtorch import ops; print(ops.backend('ltc', torch.zeros(1)))\n"
        "print([n for n in twins.NAMES[::5] if twins.faults(twins.problem(n, 7, 9, 4, ends='both'))])"
    )
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    where = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", text], env=environment, cwd=where, capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"kernel: compiled for {level}", "[]"], done.stderr


def test_backward_may_be_taken_twice() -> None:
    for name in KINDS:
        problem = twins.problem(name, 7, 9, 4, ends="both")
        given = problem.inputs(torch.float64)
        with ops.use("fast"):
            states = problem.call(given)
        first = torch.autograd.grad(states.square().sum(), list(given.values()), retain_graph=True)
        again = torch.autograd.grad(states.square().sum(), list(given.values()), retain_graph=True)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_second_derivative_is_refused() -> None:
    """The reference has one; a kernel says that it has none, instead of a wrong one."""
    for name in KINDS:
        problem = twins.problem(name, 3, 2, 3)
        given = problem.inputs(torch.float64)
        with ops.use("fast"):
            states = problem.call(given)
        (slope,) = torch.autograd.grad(states.square().sum(), given["u"], create_graph=True)
        with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
            slope.sum().backward()
        with ops.use("reference"):
            states = problem.call(given)
        (slope,) = torch.autograd.grad(states.square().sum(), given["u"], create_graph=True)
        slope.sum().backward()


def what_is_called(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[Tensor], list[bool], list[int]]:
    """Return the arguments of the registered operator for a problem."""
    calls: list[Any] = []
    problem, inner = twins.problem(name, 3, 2, 3, ends="both"), cpu.call
    with monkeypatch.context() as patch, ops.use("fast"), torch.enable_grad():
        patch.setattr(cpu, "call", lambda *given: calls.append(given) or inner(*given))
        problem.call(problem.inputs(torch.float64))
    ((family, tensors, options),) = calls
    given = [t.detach().requires_grad_(t.is_floating_point()) for t in tensors if t is not None]
    return family.name, given, [t is not None for t in tensors], [int(o) for o in options]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("name", KINDS)
def test_operators_keep_their_contract(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schema, fake tensors, registration and tracing, as PyTorch itself checks them; results share no memory."""
    family, given, present, options = what_is_called(name, monkeypatch)
    torch.library.opcheck(torch.ops.liquidtorch.sequence.default, (family, given, present, options))
    found = [t.detach() for t in torch.ops.liquidtorch.sequence(family, given, present, options)]
    needed, alone = [t.requires_grad for t in given], [t.detach() for t in given]
    back = (family, torch.ones_like(found[0]), alone, present, found, options, needed)
    torch.library.opcheck(torch.ops.liquidtorch.sequence_backward.default, back)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with the names of the kernels' calls."""
    calls: list[str] = []
    inner = cpu.call
    monkeypatch.setattr(cpu, "call", lambda family, *given: calls.append(family.name) or inner(family, *given))
    return calls


def test_autocast_runs_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    x = torch.randn(3, 5, 2)
    for cell in (Leaky(2, 7), Liquid(2, 7), CfC(2, 7), CfC(2, 7, backbone=(5, 2)), Linear(2, 7)):
        layer = Recurrent(cell)
        with ops.use("fast"):
            wanted, _ = layer(x)
            with torch.autocast("cpu", torch.bfloat16):
                y, h = layer(x)
        assert (y.dtype, h.dtype) == (torch.float32, torch.float32)
        assert (y - wanted).abs().max() < 0.05
        assert not torch.equal(y, wanted)
        y.sum().backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in layer.parameters())
    assert len(calls) == 10


def test_half_precision_runs_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    layer, x = Recurrent(Liquid(2, 7)).bfloat16(), torch.randn(3, 5, 2).bfloat16()
    y, _ = layer(x)
    assert y.dtype == torch.bfloat16
    assert ops.backend("liquid", y) == "reference: plain PyTorch on cpu (no kernel computes in torch.bfloat16)"
    text = "`ops.use` must be 'auto' or 'reference' here; got 'fast' (liquid: no kernel computes in torch.bfloat16)."
    with ops.use("fast"), pytest.raises(BackendError, match=f"^{re.escape(text)}$"):
        layer(x)
    assert not calls


def test_a_deep_backbone_runs_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    x = torch.randn(3, 5, 2)
    for layers in (cpu.LAYERS, cpu.LAYERS + 1):
        layer = Recurrent(CfC(2, 3, backbone=(4, layers)))
        y, _ = layer(x)
        with ops.use("reference"):
            assert torch.allclose(y, layer(x)[0], atol=1e-5)
    assert len(calls) == 1
    text = f"got 'fast' (cfc: no kernel goes through more than {cpu.LAYERS} layers)."
    with ops.use("fast"), pytest.raises(BackendError, match=re.escape(text)):
        layer(x)


def test_several_dtypes_run_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel would read float64 as float32."""
    calls = counted(monkeypatch)
    u, h, dt, tau = torch.rand(2, 3, 8), torch.rand(2, 4), torch.rand(2, 3).double(), torch.ones(4)
    assert ops.linear(u, h, dt, tau).dtype == torch.float64
    text = "got 'fast' (linear: states are of torch.float32 and some parameter or time is not)."
    with ops.use("fast"), pytest.raises(BackendError, match=re.escape(text)):
        ops.linear(u, h, dt, tau)
    assert not calls


def test_what_does_not_fit_is_refused() -> None:
    """A kernel reads what it is told is there; so the door looks."""
    u, h, dt, W, tau = torch.rand(2, 3, 4), torch.rand(2, 4), torch.rand(2, 3), torch.rand(4, 4), torch.ones(4)
    two, wide, four, pure = torch.rand(2, 3, 8), torch.rand(2, 3, 16), torch.rand(4, 4, 4), {"mode": "pure"}
    start, flat = (two, h, dt), (tau, tau, tau)
    refused = (
        ("`W_h` must have the shape (4, 4); got (3, 4).", lambda: ops.leaky(u, h, dt, W[:3], tau)),
        ("`tau` must have the shape (4,); got (1,).", lambda: ops.leaky(u, h, dt, W, tau[:1])),
        ("`G_h` must have the shape (4, 4); got (4, 3).", lambda: ops.liquid(*start, W, W[:, :3], tau)),
        ("`erev` must have the shape (4, 4); got ().", lambda: ops.ltc(*start, W, W, W, tau[0], *flat)),
        ("`cm` must have the shape (4,); got (3,).", lambda: ops.ltc(*start, W, W, W, W, tau, tau, tau[:3])),
        ("`x` must have the shape (2, 3, 3); got (2, 3, 4).", lambda: ops.ltc_synapses(u, *[W[:, :3]] * 4)),
        ("`mu` must have the shape (4, 4); got (4,).", lambda: ops.ltc_synapses(u, W, tau, W, W)),
        ("`own` must hold 2 tensors in this mode; got 0.", lambda: ops.cfc(u, h, dt, four[:1], tau, **pure)),
        ("`own[1]` must have the shape (4,); got (1,).",
         lambda: ops.cfc(u, h, dt, four[:1], tau, (tau, tau[:1]), **pure)),
        ("`W_h` must have the shape (4, 4, 4); got (3, 4, 4).", lambda: ops.cfc(wide, h, dt, four[:3], tau)),
        ("`backbone[0][0]` must have the shape (16, 4); got (15, 4).",
         lambda: ops.cfc(u, h, dt, W, tau, (), (), [(torch.rand(15, 4), torch.rand(15))])),
        ("`sweep` must name 4 units, each once; got [(2,), (1,)].",
         lambda: ops.cfc(wide, h, dt, four, tau, (), [torch.arange(2), torch.arange(1)])),
        ("`lengths` must be whole numbers of the shape (2,); got (1,) of torch.int64.",
         lambda: ops.leaky(u, h, dt, W, tau, lengths=torch.tensor([2]))),
        ("`lengths` must be whole numbers of the shape (2,); got (2,) of torch.float32.",
         lambda: ops.leaky(u, h, dt, W, tau, lengths=torch.ones(2))),
        ("`reset` must be of torch.bool and the shape (2, 3); got (1, 3) of torch.bool.",
         lambda: ops.mobius(u[..., :3].repeat(1, 1, 4), h, dt, tau, reset=torch.ones(1, 3).bool())),
        ("`reset` must be of torch.bool and the shape (2, 3); got (2, 3) of torch.int64.",
         lambda: ops.linear(two, h, dt, tau, reset=torch.ones(2, 3).long())),
        ("`synapses` must be those of 4 units; got those of 3.",
         lambda: ops.leaky(u, h, dt, W, tau, synapses=ops.synapses(W[:3]))),
    )  # fmt: skip
    for which in ("reference", "fast"):
        for text, call in refused:
            with ops.use(which), pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
                call()
        for call in (
            lambda: ops.leaky(u, h, dt, W, tau, method="exakt"),
            lambda: ops.cfc(wide, h, dt, four, tau, mode="defualt"),
            lambda: ops.cfc(wide, h, dt, four, tau, activation="tan"),
            lambda: ops.ltc(two, h, dt, W, W, W, W, tau, tau, tau, unfolds=0),
        ):
            with ops.use(which), pytest.raises(OptionError, match=r"^`(method|mode|activation|unfolds)` must be "):
                call()


def test_lengths_beyond_the_end_are_the_end() -> None:
    problem = twins.problem("linear", 7, 3, 4)
    given = problem.inputs(torch.float64)
    args = given["u"], given["h"], given["dt"], given["tau"]
    for which in ("reference", "fast"):
        with ops.use(which):
            assert torch.equal(ops.linear(*args, lengths=torch.tensor([9, 4, 1000])), ops.linear(*args))


def missing(monkeypatch: pytest.MonkeyPatch) -> str:
    """Look for the library again, and go on without it where none is found."""
    found, why = library.load.__wrapped__()
    assert found is None
    monkeypatch.setattr(cpu, "MISSING", why)
    return why


def test_a_library_of_another_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "text_hash", lambda: "0" * 64)
    why = missing(monkeypatch)
    assert why == "the compiled kernels belong to another version; reinstall liquidtorch"
    assert ops.backend("ltc", torch.zeros(1)) == f"reference: plain PyTorch on cpu ({why})"
    text = f"`ops.use` must be 'auto' or 'reference' here; got 'fast' (mobius: {why})."
    problem = twins.problem("mobius", 3, 2, 3)
    with pytest.raises(BackendError, match=f"^{re.escape(text)}$"):
        problem.run("fast", torch.float64)


def test_a_file_that_is_no_library_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "liquid-broken.so").write_text("no library")
    monkeypatch.setattr(library, "_candidates", lambda name: [tmp_path / "liquid-broken.so"])
    assert missing(monkeypatch).startswith("liquid-broken.so cannot be loaded: ")


def test_without_a_library_all_runs_and_info_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(library, "_candidates", lambda name: [])
    why = missing(monkeypatch)
    assert why == "no compiled kernels are installed; with a C compiler, reinstall liquidtorch"
    for name in KINDS:
        problem = twins.problem(name, 3, 2, 3)
        auto, reference = problem.run("auto", torch.float64), problem.run("reference", torch.float64)
        assert all(torch.equal(auto[key], reference[key]) for key in auto)
    assert cli.main(["info"]) == 0
    assert capsys.readouterr().out.count(f"reference: plain PyTorch on cpu ({why})") == len(ops.SEQUENCES)
