"""Linear and Mobius over sequences on the CPU: csrc/scan.h as a PyTorch operator."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .gated import sizes
from .library import Arguments, integers, lanes, pointers, run

KINDS = ("linear", "mobius")  # csrc/scan.h


class Scan(Arguments):
    """The struct of csrc/scan.h."""

    _fields_ = [  # noqa: RUF012
        *integers("B T H kind"),
        *pointers("u h0 dt lengths reset rate h grad_h grad_u grad_h0 grad_dt grad_rate"),
    ]


def _given(u: Tensor, h: Tensor, dt: Tensor, rate: Tensor, lengths: Any, reset: Any, kind: str) -> dict[str, Any]:
    given = sizes(u, h, lengths, reset, dt)
    return given | {"kind": KINDS.index(kind), "u": u.contiguous(), "rate": rate.contiguous()}


@torch.library.custom_op(
    "liquidtorch::diagonal", mutates_args=(), device_types="cpu",
    schema="(Tensor u, Tensor h, Tensor dt, Tensor rate, Tensor? lengths, Tensor? reset, str kind) -> Tensor",
)  # fmt: skip
def diagonal(u, h, dt, rate, lengths, reset, kind):
    """Return every state (B, T, H)."""
    hs = u.new_empty(u.shape[0], u.shape[1], h.shape[1])
    work = 30 * hs.numel() / lanes(u.dtype)
    run("scan_forward", u.dtype, Scan(**_given(u, h, dt, rate, lengths, reset, kind), h=hs), hs.shape[0], work)
    return hs


@diagonal.register_fake
def _(u, h, dt, rate, lengths, reset, kind):
    return u.new_empty(u.shape[0], u.shape[1], h.shape[1])


@torch.library.custom_op(
    "liquidtorch::diagonal_backward", mutates_args=(), device_types="cpu",
    schema="(Tensor grad, Tensor u, Tensor h, Tensor dt, Tensor rate, Tensor? lengths, Tensor? reset, Tensor hs, "
    "str kind, bool of_dt) -> Tensor[]",
)  # fmt: skip
def diagonal_backward(grad, u, h, dt, rate, lengths, reset, hs, kind, of_dt):
    """Return the gradients of u, h, dt (empty unless `of_dt`) and rate."""
    B, T, H = hs.shape
    grad_u, grad_h0, grad_rate = (
        torch.empty_like(u, memory_format=torch.contiguous_format),
        h.new_empty(B, H),
        h.new_empty(B, H),
    )
    grad_dt = hs.new_empty((B, T) if of_dt else 0)
    given = _given(u, h, dt, rate, lengths, reset, kind) | {"h": hs, "grad_h": grad.contiguous(), "grad_u": grad_u}
    given |= {"grad_h0": grad_h0, "grad_dt": grad_dt if of_dt else None, "grad_rate": grad_rate}
    run("scan_backward", hs.dtype, Scan(**given), B, 60 * hs.numel() / lanes(hs.dtype))
    return [grad_u, grad_h0, grad_dt, grad_rate.sum(0)]


@diagonal_backward.register_fake
def _(grad, u, h, dt, rate, lengths, reset, hs, kind, of_dt):
    B, T, H = hs.shape
    like = torch.empty_like(u, memory_format=torch.contiguous_format)
    return [like, h.new_empty(B, H), hs.new_empty((B, T) if of_dt else 0), torch.empty_like(rate)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    u, h, dt, rate, lengths, reset, ctx.kind = inputs
    ctx.save_for_backward(u, h, dt, rate, lengths, reset, output)


def _back(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    of_dt = bool(ctx.needs_input_grad[2])
    of_u, of_h, of, of_rate = diagonal_backward(grad, *ctx.saved_tensors, ctx.kind, of_dt)
    return of_u, of_h, of if of_dt else None, of_rate, None, None, None


diagonal.register_autograd(_back, setup_context=_save)
