"""Leaky, Liquid and CfC over sequences in Triton as PyTorch operators."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from . import held, staged
from .grid import compute, launch, on_chip, padded, plain, processors, words

HEADS = {"leaky": 1, "leaky_euler": 1, "liquid": 2, "cfc": 4, "cfc_no_gate": 4, "cfc_pure": 1}
BLOCK = 64  # the widest tile of units where weights are read block by block
TILE = 512  # numbers of a product's result: more do not fit in the registers (the compiler's own count)


class Call(NamedTuple):
    """What one call is about: whether all weights are held on the chip, the programs and the kernels' constants."""

    held: bool
    programs: int
    constants: dict[str, Any]


def _call(h: Tensor, maps: list[Tensor], kind: str, carry: bool, groups: int) -> Call:
    B, H = h.shape
    heads, width = HEADS[kind] + carry, padded(H)
    chip = len(maps) == 1 and heads * width * width * words(h.dtype).itemsize <= on_chip(h)
    units = width if chip else min(BLOCK, width)
    rows = min(16, TILE // units, triton.next_power_of_2(triton.cdiv(B, processors(h)))) if B else 1
    constants = {
        "KIND": kind, "CARRY": carry, "HEADS": heads, "GROUPS": groups, "ROWS": rows, "UNITS": units,
        "C": compute(h.dtype), "num_warps": 8 if rows * units > 256 else 4,
    }  # fmt: skip
    return Call(chip, triton.cdiv(B, rows), constants if chip else constants | {"LAYERS": len(maps) - 1})


def _own(own: list[Tensor]) -> list[Tensor | None]:
    return [*own, None, None][:3]


def _stack(parts: list[Tensor]) -> Tensor | None:
    """Return the layers between a backbone's first and last as one tensor."""
    return torch.stack(parts) if parts else None


SCHEMA = """(
    Tensor u, Tensor h, Tensor dt, Tensor[] maps, Tensor[] biases, Tensor[] own, Tensor? group, Tensor? lengths,
    Tensor? reset, int groups, str kind, bool carry, str activation, bool keep
) -> (Tensor, Tensor, Tensor, Tensor)"""


def _outputs(u: Tensor, h: Tensor, maps: list[Tensor], kind: str, carry: bool, keep: bool) -> tuple[Tensor, ...]:
    (B, T, _), H = u.shape, h.shape[1]
    total = words(h.dtype)
    kept = u.new_empty((B, T, (HEADS[kind] + carry) * H) if keep else 0, dtype=total)
    value, slope = (u.new_zeros(len(maps) - 1, B, T, maps[0].shape[0], dtype=total) for _ in range(2))
    return u.new_empty(B, T, H), kept, value, slope


@torch.library.custom_op("liquidtorch::gated_triton", mutates_args=(), schema=SCHEMA)
def gated(u, h, dt, maps, biases, own, group, lengths, reset, groups, kind, carry, activation, keep):
    """Return every state (B, T, H), and what the backward pass needs if `keep`."""
    hs, kept, value, slope = _outputs(u, h, maps, kind, carry, keep)
    B, T, H = hs.shape
    if hs.numel():
        call = _call(h, maps, kind, carry, groups)
        given = [*plain(u, h, dt, maps[-1], *_own(own), group, lengths, reset), hs, kept if keep else None]
        if call.held:
            launch(held.forward, (call.programs,), h, *given, B, T, H, **call.constants)
        else:
            state = h.new_empty(B, H, dtype=words(h.dtype))
            chain = plain(maps[0], _stack(maps[1:-1]), _stack(biases[:-1]), biases[-1] if biases else None)
            sizes = B, T, H, maps[0].shape[0]
            more = state, *chain, value, slope, *sizes
            launch(staged.forward, (call.programs,), h, *given, *more, ACTIVATION=activation, **call.constants)
    return hs, kept, value, slope


@gated.register_fake
def _(u, h, dt, maps, biases, own, group, lengths, reset, groups, kind, carry, activation, keep):
    return _outputs(u, h, maps, kind, carry, keep)


SCHEMA_BACK = """(
    Tensor grad, Tensor h, Tensor dt, Tensor[] maps, Tensor[] own, Tensor? group, Tensor? lengths, Tensor? reset,
    Tensor hs, Tensor kept, Tensor value, Tensor slope, int groups, str kind, bool carry, bool of_dt
) -> Tensor[]"""


@torch.library.custom_op("liquidtorch::gated_triton_backward", mutates_args=(), schema=SCHEMA_BACK)
def gated_backward(
    grad, h, dt, maps, own, group, lengths, reset, hs, kept, value, slope, groups, kind, carry, of_dt
):  # fmt: skip
    """Return the gradients of u, h, dt (empty unless `of_dt`), maps, biases and own."""
    B, T, H = hs.shape
    call = _call(h, maps, kind, carry, groups)
    make = torch.empty_like if lengths is None else torch.zeros_like  # beyond a row's end nothing is written
    grad_z, grad_map = make(kept), torch.zeros_like(value)
    grad_h, grad_dt = kept.new_zeros(B, H), kept.new_zeros((B, T) if of_dt else 0)
    grad_own = kept.new_zeros(call.programs, 3, H)
    if hs.numel():
        given = [*plain(grad, h, dt, maps[-1], *_own(own), group, lengths, reset), hs, kept]
        given += [grad_z, grad_h, grad_dt if of_dt else None, grad_own]
        if call.held:
            launch(held.backward, (call.programs,), h, *given, B, T, H, **call.constants)
        else:
            sizes = B, T, H, maps[0].shape[0]
            chain = plain(maps[0], _stack(maps[1:-1]))
            more = *chain, slope, grad_map, *sizes
            launch(staged.backward, (call.programs,), h, *given, *more, **call.constants)
    before = torch.cat([h.unsqueeze(1), hs[:, :-1]], dim=1)[:, :T]
    if reset is not None:
        before = before.masked_fill(reset.unsqueeze(-1), 0)
    grads, sources = [*grad_map, grad_z], [before.to(kept.dtype), *value]
    of_maps = [(g.flatten(0, 1).t() @ x.flatten(0, 1)).view_as(W) for g, x, W in zip(grads, sources, maps, strict=True)]
    if group is not None:  # a source swept before its target has been read as it became
        after = (grad_z.flatten(0, 1).t() @ hs.to(kept.dtype).flatten(0, 1)).view_as(maps[0])
        of_maps = [torch.where(group < group.unsqueeze(1), after, of_maps[0])]
    of_biases = [g.sum((0, 1)) for g in grads[1:]]
    found = [grads[0], grad_h, grad_dt, *of_maps, *of_biases, *(grad_own[:, i].sum(0) for i in range(len(own)))]
    return [a.to(h.dtype) for a in found]


@gated_backward.register_fake
def _(grad, h, dt, maps, own, group, lengths, reset, hs, kept, value, slope, groups, kind, carry, of_dt):
    B, T, _ = hs.shape
    wide = maps[0].shape[0] if len(maps) > 1 else kept.shape[2]
    shapes = [(B, T, wide), h.shape, (B, T) if of_dt else (0,), *(W.shape for W in maps)]
    shapes += [(W.shape[0],) for W in maps[1:]] + [p.shape for p in own]
    return [h.new_empty(shape) for shape in shapes]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, h, dt, maps, biases, own, group, lengths, reset, ctx.groups, ctx.kind, ctx.carry, _, _ = inputs
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(h, dt, group, lengths, reset, *output, *maps, *own)
    ctx.counts = len(maps), len(biases), len(own)


def _back(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
    h, dt, group, lengths, reset, hs, kept, value, slope, *rest = ctx.saved_tensors
    maps, biases, own = ctx.counts
    none = [None] * 8
    if grad is None:
        return None, None, None, [None] * maps, [None] * biases, [None] * own, *none
    of_dt = bool(ctx.needs_input_grad[2])
    more = group, lengths, reset, hs, kept, value, slope, ctx.groups, ctx.kind, ctx.carry, of_dt
    u, h0, of, *rest = gated_backward(grad, h, dt, rest[:maps], rest[maps:], *more)
    parts = [rest[:maps], rest[maps : maps + biases], rest[maps + biases :]]
    return u, h0, of.to(dt.dtype) if of_dt else None, *parts, *none


gated.register_autograd(_back, setup_context=_save)
