"""Leaky, Liquid and CfC over sequences in Triton as PyTorch operators."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from . import held
from .grid import compute, on_chip, padded, plain, processors, words

HEADS = {"leaky": 1, "leaky_euler": 1, "liquid": 2, "cfc": 4, "cfc_no_gate": 4, "cfc_pure": 1}


def _call(h: Tensor, W: Tensor, kind: str, carry: bool, groups: int) -> tuple[int, dict[str, Any]]:
    """Return how many programs run, and the kernels' constants."""
    B, H = h.shape
    heads = HEADS[kind] + carry
    rows = min(16, triton.next_power_of_2(triton.cdiv(max(B, 1), processors(h))))
    constants = {
        "KIND": kind, "CARRY": carry, "HEADS": heads, "GROUPS": groups, "ROWS": rows, "UNITS": padded(H),
        "C": compute(h.dtype), "num_stages": 1, "num_warps": 4 if padded(H) < 128 else 8,
    }  # fmt: skip
    return triton.cdiv(B, rows), constants


def _own(own: list[Tensor]) -> list[Tensor | None]:
    return [*own, None, None][:3]


SCHEMA = """(
    Tensor u, Tensor h, Tensor dt, Tensor W, Tensor[] own, Tensor? group, Tensor? lengths, Tensor? reset, int groups,
    str kind, bool carry, bool keep
) -> (Tensor, Tensor)"""


@torch.library.custom_op("liquidtorch::gated_triton", mutates_args=(), schema=SCHEMA)
def gated(u, h, dt, W, own, group, lengths, reset, groups, kind, carry, keep):
    """Return every state (B, T, H), and what the backward pass needs if `keep`."""
    B, T, U = u.shape
    H = h.shape[1]
    hs, kept = u.new_empty(B, T, H), u.new_empty((B, T, U) if keep else 0, dtype=words(h.dtype))
    if hs.numel():
        programs, constants = _call(h, W, kind, carry, groups)
        held.forward[programs,](
            *plain(u, h, dt, W, *_own(own)), group, *plain(lengths, reset), hs, kept if keep else None, B, T, H, **constants,
        )  # fmt: skip
    return hs, kept


@gated.register_fake
def _(u, h, dt, W, own, group, lengths, reset, groups, kind, carry, keep):
    B, T, U = u.shape
    return u.new_empty(B, T, h.shape[1]), u.new_empty((B, T, U) if keep else 0, dtype=words(h.dtype))


SCHEMA_BACK = """(
    Tensor grad, Tensor h, Tensor dt, Tensor W, Tensor[] own, Tensor? group, Tensor? lengths, Tensor? reset, Tensor hs,
    Tensor kept, int groups, str kind, bool carry, bool of_dt
) -> Tensor[]"""


@torch.library.custom_op("liquidtorch::gated_triton_backward", mutates_args=(), schema=SCHEMA_BACK)
def gated_backward(grad, h, dt, W, own, group, lengths, reset, hs, kept, groups, kind, carry, of_dt):
    """Return the gradients of u, h, dt (empty unless `of_dt`), W and own."""
    B, T, H = hs.shape
    grad_u = (hs.new_empty if lengths is None else hs.new_zeros)(kept.shape)  # beyond a row's end nothing is written
    grad_h, grad_dt = torch.zeros_like(h), hs.new_zeros((B, T) if of_dt else 0)
    programs, constants = _call(h, W, kind, carry, groups)
    grad_own = kept.new_zeros(programs, 3, H)
    if hs.numel():
        held.backward[programs,](
            *plain(grad, h, dt, W, *_own(own)), group, *plain(lengths, reset), hs, kept, grad_u, grad_h, grad_dt if of_dt else None, grad_own, B, T, H, **constants,
        )  # fmt: skip
    before = torch.cat([h.unsqueeze(1), hs[:, :-1]], dim=1)[:, :T]
    if reset is not None:
        before = before.masked_fill(reset.unsqueeze(-1), 0)
    of_map = grad_u.flatten(0, 1).t()
    of_W = (of_map @ before.flatten(0, 1)).view_as(W)
    if group is not None:  # a source swept before its target has been read as it became
        early = group < group.unsqueeze(1)
        of_W = torch.where(early, (of_map @ hs.flatten(0, 1)).view_as(W), of_W)
    return [grad_u, grad_h, grad_dt, of_W, *(grad_own[:, i].sum(0).to(p.dtype) for i, p in enumerate(own))]


@gated_backward.register_fake
def _(grad, h, dt, W, own, group, lengths, reset, hs, kept, groups, kind, carry, of_dt):
    B, T, _ = hs.shape
    first = [hs.new_empty(kept.shape), torch.empty_like(h), hs.new_empty((B, T) if of_dt else 0)]
    return [*first, *(torch.empty_like(p, memory_format=torch.contiguous_format) for p in (W, *own))]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, h, dt, W, own, group, lengths, reset, ctx.groups, ctx.kind, ctx.carry, _ = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(h, dt, W, group, lengths, reset, *output, *own)


def _back(ctx: Any, grad: Tensor | None, _: Any) -> tuple[Any, ...]:
    h, dt, W, group, lengths, reset, hs, kept, *own = ctx.saved_tensors
    none = [None] * 7
    if grad is None:
        return None, None, None, None, [None] * len(own), *none
    of_dt = bool(ctx.needs_input_grad[2])
    of_u, of_h, of, of_W, *of_own = gated_backward(
        grad, h, dt, W, own, group, lengths, reset, hs, kept, ctx.groups, ctx.kind, ctx.carry, of_dt
    )
    return of_u, of_h, of if of_dt else None, of_W, of_own, *none


gated.register_autograd(_back, setup_context=_save)
