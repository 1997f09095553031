"""The compiled kernels as PyTorch operators: one pair, forward and backward, for every family of cells.

A family is a class with three functions of its tensors and options (whole numbers): `outputs` makes what the forward
pass fills, `forward` fills it, `backward` returns a gradient for every tensor. Eager calls go through an
`autograd.Function`, which costs a tenth of a registered operator; while compiling, the registered one is traced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Tensors = Sequence[Tensor | None]
FAMILIES: dict[str, type[Family]] = {}


class Family:
    """The parent of every family of kernels; registers it under its `name`."""

    name: str

    def __init_subclass__(cls) -> None:
        FAMILIES[cls.name] = cls

    outputs: Callable[[Tensors, Sequence[int]], list[Tensor]]
    forward: Callable[[Tensors, Sequence[int], list[Tensor]], None]
    backward: Callable[[Tensor, Tensors, list[Tensor], Sequence[int], Sequence[bool]], list[Tensor | None]]


def call(family: type[Family], tensors: Tensors, options: Sequence[int]) -> Tensor:
    """Return the first output of the family's forward pass, differentiable in all tensors."""
    if torch.compiler.is_compiling():
        given = [t for t in tensors if t is not None]
        return _forward(family.name, given, [t is not None for t in tensors], list(options))[0]
    return _Eager.apply(family, tuple(options), *tensors)  # pyright: ignore[reportReturnType]


class _Eager(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, family: type[Family], options: tuple[int, ...], *tensors: Tensor | None) -> Tensor:
        found = family.outputs(tensors, options)
        family.forward(tensors, options, found)
        ctx.family, ctx.options, ctx.count = family, options, len(tensors)
        ctx.save_for_backward(*tensors, *found)
        return found[0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        saved, needed = ctx.saved_tensors, ctx.needs_input_grad[2:]
        tensors, found = saved[: ctx.count], list(saved[ctx.count :])
        grads = ctx.family.backward(grad.contiguous(), tensors, found, ctx.options, needed)
        return None, None, *grads


def _whole(given: Sequence[Any], present: Sequence[bool]) -> list[Any]:
    """Put the tensors that were left out, which a registered operator's list cannot hold, back in their places."""
    rest = iter(given)
    return [next(rest) if there else None for there in present]


@torch.library.custom_op(
    "liquidtorch::sequence",
    mutates_args=(),
    schema="(str family, Tensor[] given, bool[] present, int[] options) -> Tensor[]",
)
def _forward(family: str, given: list[Tensor], present: list[bool], options: list[int]) -> list[Tensor]:
    tensors = _whole(given, present)
    found = FAMILIES[family].outputs(tensors, options)
    FAMILIES[family].forward(tensors, options, found)
    return found


@_forward.register_fake
def _(family: str, given: list[Tensor], present: list[bool], options: list[int]) -> list[Tensor]:
    return FAMILIES[family].outputs(_whole(given, present), options)


@torch.library.custom_op(
    "liquidtorch::sequence_backward",
    mutates_args=(),
    schema="(str family, Tensor grad, Tensor[] given, bool[] present, Tensor[] found, int[] options, bool[] needed) "
    "-> Tensor[]",
)
def _backward(
    family: str, grad: Tensor, given: list[Tensor], present: list[bool], found: list[Tensor], options: list[int],
    needed: list[bool],
) -> list[Tensor]:  # fmt: skip
    wanted = _whole(needed, present)
    tensors = _whole(given, present)
    grads = FAMILIES[family].backward(grad.contiguous(), tensors, found, options, wanted)
    grads = [g for g, there in zip(grads, present, strict=True) if there]
    return [grad.new_empty(0) if g is None else _alone(g) for g in grads]


def _alone(t: Tensor) -> Tensor:
    """A registered operator's results may share no memory: copy what is part of a larger tensor."""
    return t if t.untyped_storage().nbytes() == t.nbytes else t.clone()


@_backward.register_fake
def _(
    family: str, grad: Tensor, given: list[Tensor], present: list[bool], found: list[Tensor], options: list[int],
    needed: list[bool],
) -> list[Tensor]:  # fmt: skip
    return [grad.new_empty(t.shape if need else 0) for t, need in zip(given, needed, strict=True)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.family, given, ctx.present, ctx.options = inputs
    ctx.set_materialize_grads(False)
    ctx.count = len(given)
    ctx.needed = [t.requires_grad for t in given]
    ctx.save_for_backward(*given, *output)


def _back(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    if grads[0] is None:
        return None, [None] * ctx.count, None, None
    saved = ctx.saved_tensors
    given, found = list(saved[: ctx.count]), list(saved[ctx.count :])
    of = _backward(ctx.family, grads[0], given, ctx.present, found, ctx.options, ctx.needed)
    return None, [g if need else None for g, need in zip(of, ctx.needed, strict=True)], None, None


_forward.register_autograd(_back, setup_context=_save)
