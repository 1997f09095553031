"""Which implementation runs: the reference, or a kernel that is compared with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from types import ModuleType

import torch
from torch import Tensor

from ..errors import BackendError, check_choice
from . import cpu

SEQUENCES = ("leaky", "liquid", "ltc", "cfc", "linear", "mobius", "ltc_synapses", "echo", "spiking")
FORWARD_ONLY = ("echo", "spiking")  # whose kernels have no backward pass
TWINS: dict[str, ModuleType] = {"cpu": cpu}  # device type -> the module here that holds its kernels
if torch.cuda.is_available():  # elsewhere nothing imports Triton for us
    from . import triton

    TWINS["cuda"] = triton
_chosen = "auto"  # a plain global: a ContextVar breaks full-graph compilation (torch 2.13)


@contextlib.contextmanager
def use(which: str) -> Iterator[None]:
    """Inside the block run the reference, or the kernels only.

    Parameters
    ----------
    which : "auto", "fast" or "reference"
        "auto" takes a kernel wherever one fits; "fast" raises where none does.

    Raises
    ------
    OptionError
        If `which` is none of these.

    Examples
    --------
    >>> from liquidtorch import ops
    >>> with ops.use("reference"):
    ...     print(ops.backend("ltc", torch.zeros(1)))
    reference: plain PyTorch on cpu (asked for by ops.use)
    """
    global _chosen
    check_choice("which", which, ("auto", "fast", "reference"))
    before, _chosen = _chosen, which
    try:
        yield
    finally:
        _chosen = before


def backend(op: str, like: Tensor) -> str:
    """Say what would run `op` on states like `like`, and why.

    Parameters
    ----------
    op : str
        The name of a function over sequences, such as "ltc".
    like : tensor
        Its device and dtype count.

    Returns
    -------
    str

    Raises
    ------
    OptionError
        If there is no such function.

    Examples
    --------
    >>> from liquidtorch import ops
    >>> ops.backend("ltc", torch.zeros(1, dtype=torch.float16))
    'reference: plain PyTorch on cpu (no kernel computes in torch.float16)'
    """
    check_choice("op", op, SEQUENCES)
    found, why = _twin(like, op)
    if found and op in FORWARD_ONLY:
        return f"{why} (no backward pass: where a gradient is asked for, the reference runs)"
    return why if found else f"reference: plain PyTorch on {like.device.type} ({why})"


def compiled() -> bool:
    """Return whether one row at a time is learned compiled: a library is there, and the reference was not asked for."""
    if _chosen == "fast" and cpu.MISSING:
        raise BackendError(f"`ops.use` must be 'auto' or 'reference' here; got 'fast' ({cpu.MISSING}).")
    return _chosen != "reference" and not cpu.MISSING


def pick(
    op: str, like: Tensor, others: Sequence[Tensor] = (), layers: int = 0, moved: Sequence[Tensor] = ()
) -> ModuleType | None:
    """Return the module whose function `op` runs on states like `like`, or None for the reference.

    A kernel reads the `others` as numbers of the states' dtype, and goes through so many `layers` of a backbone.
    A kernel without a backward pass needs that none of `moved` asks for a gradient.
    """
    found, why = _twin(like, op)
    if found and any(t.dtype != like.dtype for t in others):
        found, why = None, f"states are of {like.dtype} and some parameter or time is not"
    elif found and layers > found.LAYERS:
        found, why = None, f"no kernel goes through more than {found.LAYERS} layers"
    elif found and torch.is_grad_enabled() and any(t.requires_grad for t in moved):
        found, why = None, "a gradient is asked for, and the kernel has no backward pass"
    if found is None and _chosen == "fast":
        raise BackendError(f"`ops.use` must be 'auto' or 'reference' here; got 'fast' ({op}: {why}).")
    return found


def _twin(like: Tensor, op: str) -> tuple[ModuleType | None, str]:
    if _chosen == "reference":
        return None, "asked for by ops.use"
    if torch.compiler.is_exporting():
        return None, "an exported program holds PyTorch's own operators only"
    if not torch.compiler.is_compiling() and torch._C._functorch.maybe_current_level() is not None:  # pyright: ignore
        return None, "torch.func transforms see through plain PyTorch only"
    twin = TWINS.get(like.device.type)
    if twin is None:
        return None, f"there are no kernels for {like.device.type}"
    if op in SEQUENCES and not hasattr(twin, op):
        return None, f"there is no kernel of {op} for {like.device.type}"
    if like.dtype not in twin.DTYPES:
        return None, f"no kernel computes in {like.dtype}"
    return (None, twin.MISSING) if twin.MISSING else (twin, twin.WHAT)
