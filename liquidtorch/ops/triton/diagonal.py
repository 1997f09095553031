"""Linear and Mobius over sequences in Triton as PyTorch operators."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from . import scan
from .grid import chunk, compute, launch, plain, words


def _call(hs: Tensor, kind: str) -> tuple[tuple[int, int], dict[str, Any]]:
    """Return the grid and the kernels' constants."""
    (B, _, H), (steps, units) = hs.shape, chunk(hs)
    constants = {"PARTS": {"linear": 2, "mobius": 3}[kind], "STEPS": steps, "UNITS": units, "C": compute(hs.dtype)}
    return (B, triton.cdiv(H, units)), constants | {"num_warps": 8}


@torch.library.custom_op(
    "liquidtorch::diagonal_triton", mutates_args=(),
    schema="(Tensor u, Tensor h, Tensor dt, Tensor rate, Tensor? lengths, Tensor? reset, str kind) -> Tensor",
)  # fmt: skip
def diagonal(u, h, dt, rate, lengths, reset, kind):
    """Return every state (B, T, H)."""
    hs = u.new_empty(u.shape[0], u.shape[1], h.shape[1])
    if hs.numel():
        grid, constants = _call(hs, kind)
        given = plain(u, h, dt, rate, lengths, reset)
        launch(scan.forward, grid, h, *given, hs, *hs.shape[1:], **constants)
    return hs


@diagonal.register_fake
def _(u, h, dt, rate, lengths, reset, kind):
    return u.new_empty(u.shape[0], u.shape[1], h.shape[1])


@torch.library.custom_op(
    "liquidtorch::diagonal_triton_backward", mutates_args=(),
    schema="(Tensor grad, Tensor u, Tensor h, Tensor dt, Tensor rate, Tensor? lengths, Tensor? reset, Tensor hs, "
    "str kind, bool of_dt) -> Tensor[]",
)  # fmt: skip
def diagonal_backward(grad, u, h, dt, rate, lengths, reset, hs, kind, of_dt):
    """Return the gradients of u, h, dt (empty unless `of_dt`) and rate."""
    B, T, H = hs.shape
    grid, constants = _call(hs, kind)
    grad_u, grad_h = torch.empty_like(u, memory_format=torch.contiguous_format), h.new_zeros(B, H)
    total = words(h.dtype)
    grad_dt, grad_rate = h.new_zeros((grid[1], B, T) if of_dt else 0, dtype=total), h.new_zeros(B, H, dtype=total)
    if hs.numel():
        given = plain(u, h, dt, rate, lengths, reset)
        results = grad_u, grad_h, grad_dt if of_dt else None, grad_rate
        launch(scan.backward, grid, h, grad.contiguous(), *given, hs, *results, B, T, H, **constants)
    return [grad_u, grad_h, (grad_dt.sum(0) if of_dt else grad_dt).to(dt.dtype), grad_rate.sum(0).to(rate.dtype)]


@diagonal_backward.register_fake
def _(grad, u, h, dt, rate, lengths, reset, hs, kind, of_dt):
    B, T, H = hs.shape
    like = torch.empty_like(u, memory_format=torch.contiguous_format)
    return [like, h.new_empty(B, H), dt.new_empty((B, T) if of_dt else 0), torch.empty_like(rate)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    u, h, dt, rate, lengths, reset, ctx.kind = inputs
    ctx.save_for_backward(u, h, dt, rate, lengths, reset, output)


def _back(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    of_dt = bool(ctx.needs_input_grad[2])
    of_u, of_h, of, of_rate = diagonal_backward(grad, *ctx.saved_tensors, ctx.kind, of_dt)
    return of_u, of_h, of if of_dt else None, of_rate, None, None, None


diagonal.register_autograd(_back, setup_context=_save)
