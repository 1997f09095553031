"""LTC over sequences and its features' synapses in Triton as PyTorch operators."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from . import membrane, synapses
from .grid import compute, launch, padded, plain, processors, words

HELD = {torch.float32: 64, torch.float64: 32}  # units whose synapses and their gradients 8 warps' registers hold


def _call(h: Tensor) -> tuple[int, dict[str, Any]]:
    """Return how many programs run, and the kernels' constants."""
    B, H = h.shape
    widest = HELD[words(h.dtype)]
    constants = {"HELD": padded(H) <= widest, "UNITS": min(widest, padded(H)), "C": compute(h.dtype)}
    return min(B, 2 * processors(h)), constants | {"num_warps": 8 if constants["UNITS"] > 16 else 4}


@torch.library.custom_op(
    "liquidtorch::ltc_triton", mutates_args=(),
    schema="(Tensor u, Tensor h, Tensor dt, Tensor[] params, Tensor? lengths, Tensor? reset, int unfolds) -> Tensor",
)  # fmt: skip
def ltc(u, h, dt, params, lengths, reset, unfolds):
    """Return every state (B, T, H)."""
    (B, T, _), H = u.shape, h.shape[1]
    hs = u.new_empty(B, T, H)
    if hs.numel():
        programs, constants = _call(h)
        scratch = h.new_empty(programs, 2, H, dtype=words(h.dtype))
        given = plain(u, h, dt, *params, lengths, reset)
        launch(membrane.forward, (programs,), h, *given, hs, scratch, B, T, H, unfolds, programs, **constants)
    return hs


@ltc.register_fake
def _(u, h, dt, params, lengths, reset, unfolds):
    return u.new_empty(u.shape[0], u.shape[1], h.shape[1])


@torch.library.custom_op(
    "liquidtorch::ltc_triton_backward", mutates_args=(),
    schema="(Tensor grad, Tensor u, Tensor h, Tensor dt, Tensor[] params, Tensor? lengths, Tensor? reset, Tensor hs, "
    "int unfolds, bool of_dt) -> Tensor[]",
)  # fmt: skip
def ltc_backward(grad, u, h, dt, params, lengths, reset, hs, unfolds, of_dt):
    """Return the gradients of u, h, dt (empty unless `of_dt`) and params."""
    B, T, H = hs.shape
    programs, constants = _call(h)
    total = h.new_empty(0, dtype=words(h.dtype))
    shapes = (B, T, 2 * H), (B, H), (B, T) if of_dt else (0,), (programs, 4, H, H), (programs, 3, H)
    of_u, of_h, of, of_synapse, of_unit = (total.new_zeros(shape) for shape in shapes)
    if hs.numel():
        scratch = total.new_empty(programs, 3 * unfolds + 3, H)
        results = of_u, of_h, of if of_dt else None, of_synapse, of_unit
        given = plain(grad, u, h, dt, *params, lengths, reset)
        launch(
            membrane.backward, (programs,), h, *given, hs, scratch, *results, B, T, H, unfolds, programs, **constants
        )
    found = [of_u, of_h, of, *of_synapse.sum(0), *of_unit.sum(0)]
    return [a.to(h.dtype, copy=True) for a in found]  # an operator's results may not share memory


@ltc_backward.register_fake
def _(grad, u, h, dt, params, lengths, reset, hs, unfolds, of_dt):
    B, T, H = hs.shape
    shapes = [(B, T, 2 * H), (B, H), (B, T) if of_dt else (0,), *(p.shape for p in params)]
    return [h.new_empty(shape) for shape in shapes]


def _save_ltc(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    u, h, dt, params, lengths, reset, ctx.unfolds = inputs
    ctx.save_for_backward(u, h, dt, lengths, reset, output, *params)


def _back_ltc(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    u, h, dt, lengths, reset, hs, *params = ctx.saved_tensors
    of_dt = bool(ctx.needs_input_grad[2])
    of_u, of_h, of, *rest = ltc_backward(grad, u, h, dt, params, lengths, reset, hs, ctx.unfolds, of_dt)
    return of_u, of_h, of.to(dt.dtype) if of_dt else None, rest, None, None, None


ltc.register_autograd(_back_ltc, setup_context=_save_ltc)


def _tiles(rows: int, columns: int) -> tuple[int, int]:
    """Return the widths of a tile of rows and of columns (units or features)."""
    return min(32, triton.next_power_of_2(rows)), min(32, triton.next_power_of_2(columns))


@torch.library.custom_op(
    "liquidtorch::ltc_synapses_triton", mutates_args=(), schema="(Tensor x, Tensor[] params) -> Tensor"
)
def ltc_synapses(x, params):
    """Return N beside D, (M, 2H), of features x (M, F)."""
    (M, F), H = x.shape, params[0].shape[0]
    u = x.new_zeros(M, 2 * H)
    if u.numel() and F:
        rows, units = _tiles(M, H)
        grid = triton.cdiv(M, rows), triton.cdiv(H, units)
        given = plain(x, *(p.t() for p in params))
        launch(synapses.forward, grid, x, *given, u, M, F, H, ROWS=rows, UNITS=units, C=compute(x.dtype))
    return u


@ltc_synapses.register_fake
def _(x, params):
    return x.new_empty(x.shape[0], 2 * params[0].shape[0])


@torch.library.custom_op(
    "liquidtorch::ltc_synapses_triton_backward", mutates_args=(),
    schema="(Tensor grad, Tensor x, Tensor[] params, bool of_x) -> Tensor[]",
)  # fmt: skip
def ltc_synapses_backward(grad, x, params, of_x):
    """Return the gradients of x (empty unless `of_x`) and params."""
    (M, F), H = x.shape, params[0].shape[0]
    of_features = x.new_zeros((M, F) if of_x else 0)
    share = max(64, triton.cdiv(M, 2 * processors(x)))  # the rows whose gradients one program adds up
    parts = triton.cdiv(M, share)
    of_synapse = x.new_zeros(parts, 4, H, F, dtype=words(x.dtype))
    if M and H and F:
        given = plain(grad, x, *params)
        if of_x:
            rows, features = _tiles(M, F)
            grid = triton.cdiv(M, rows), triton.cdiv(F, features)
            constants = {"ROWS": rows, "UNITS": features, "C": compute(x.dtype)}
            launch(synapses.backward_features, grid, x, *given, of_features, M, F, H, **constants)
        units, features = _tiles(H, F)
        grid = triton.cdiv(H, units), triton.cdiv(F, features), parts
        constants = {"UNITS": units, "FEATURES": features, "C": compute(x.dtype)}
        launch(synapses.backward_parameters, grid, x, *given, of_synapse, M, F, H, share, **constants)
    return [of_features, *(a.to(x.dtype, copy=True) for a in of_synapse.sum(0))]


@ltc_synapses_backward.register_fake
def _(grad, x, params, of_x):
    return [torch.empty_like(x) if of_x else x.new_empty(0), *(x.new_empty(p.shape) for p in params)]


def _save_synapses(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, params = inputs
    ctx.save_for_backward(x, *params)


def _back_synapses(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    x, *params = ctx.saved_tensors
    of_x = bool(ctx.needs_input_grad[0])
    found = ltc_synapses_backward(grad, x, params, of_x)
    return found[0] if of_x else None, found[1:]


ltc_synapses.register_autograd(_back_synapses, setup_context=_save_synapses)
