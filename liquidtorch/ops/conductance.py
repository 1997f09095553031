"""LTC over sequences and its features' synapses on the CPU: csrc/ltc.h and csrc/synapses.h as PyTorch operators.

The operators take one number a synapse, (S,); `cpu.py` picks them out of the dense (to, from) parameters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .gated import sizes
from .library import Arguments, integers, lanes, pointers, run

CHUNK = 16  # of csrc/synapses.h
OPERATIONS = 20  # a sigmoid, roughly


class LTC(Arguments):
    """The struct of csrc/ltc.h; the first fields are those of csrc/rows.h."""

    _fields_ = [  # noqa: RUF012
        *integers("B T H"),
        *pointers("h0 dt lengths reset h grad_h grad_h0 grad_dt"),
        *integers("S unfolds"),
        *pointers("u start source w mu sigma erev gleak vleak cm grad_u grad_synapse grad_unit"),
    ]


class Synapses(Arguments):
    """The struct of csrc/synapses.h."""

    _fields_ = [  # noqa: RUF012
        *integers("M F H S"),
        *pointers("x start source w mu sigma erev u grad_u grad_x grad_synapse"),
    ]


def _named(params: list[Tensor], start: Tensor, source: Tensor) -> dict[str, Any]:
    names = ("w", "mu", "sigma", "erev", "gleak", "vleak", "cm")
    named = {name: p.contiguous() for name, p in zip(names, params, strict=False)}
    return named | {"start": start, "source": source, "S": source.shape[0]}


@torch.library.custom_op(
    "liquidtorch::ltc", mutates_args=(), device_types="cpu",
    schema="(Tensor u, Tensor h, Tensor dt, Tensor[] params, Tensor start, Tensor source, Tensor? lengths, "
    "Tensor? reset, int unfolds) -> Tensor",
)  # fmt: skip
def ltc(u, h, dt, params, start, source, lengths, reset, unfolds):
    """Return every state (B, T, H)."""
    hs = u.new_empty(u.shape[0], u.shape[1], h.shape[1])
    given = sizes(u, h, lengths, reset, dt) | _named(params, start, source)
    tiles = -(-u.shape[0] // lanes(u.dtype))
    work = OPERATIONS * tiles * u.shape[1] * unfolds * (source.shape[0] + h.shape[1])
    run("ltc_forward", u.dtype, LTC(**given, u=u.contiguous(), h=hs, unfolds=unfolds), tiles, work)
    return hs


@ltc.register_fake
def _(u, h, dt, params, start, source, lengths, reset, unfolds):
    return u.new_empty(u.shape[0], u.shape[1], h.shape[1])


@torch.library.custom_op(
    "liquidtorch::ltc_backward", mutates_args=(), device_types="cpu",
    schema="(Tensor grad, Tensor u, Tensor h, Tensor dt, Tensor[] params, Tensor start, Tensor source, "
    "Tensor? lengths, Tensor? reset, Tensor hs, int unfolds, bool of_dt) -> Tensor[]",
)  # fmt: skip
def ltc_backward(grad, u, h, dt, params, start, source, lengths, reset, hs, unfolds, of_dt):
    """Return the gradients of u, h, dt (empty unless `of_dt`) and params."""
    B, T, H = hs.shape
    tiles, S = -(-B // lanes(hs.dtype)), source.shape[0]
    grads = [hs.new_empty(B, T, 2 * H), hs.new_empty(B, H), hs.new_empty((B, T) if of_dt else 0)]
    of_synapse, of_unit = hs.new_empty(tiles, 4, S), hs.new_empty(tiles, 3, H)
    given = sizes(u, h, lengths, reset, dt) | _named(params, start, source)
    given |= {"u": u.contiguous(), "h": hs, "grad_h": grad.contiguous(), "unfolds": unfolds}
    given |= {"grad_u": grads[0], "grad_h0": grads[1], "grad_dt": grads[2] if of_dt else None}
    work = 3 * OPERATIONS * tiles * T * unfolds * (S + H)
    run("ltc_backward", hs.dtype, LTC(**given, grad_synapse=of_synapse, grad_unit=of_unit), tiles, work)
    return [*grads, *(of_synapse[:, i].sum(0) for i in range(4)), *(of_unit[:, i].sum(0) for i in range(3))]


@ltc_backward.register_fake
def _(grad, u, h, dt, params, start, source, lengths, reset, hs, unfolds, of_dt):
    B, T, H = hs.shape
    first = [hs.new_empty(B, T, 2 * H), hs.new_empty(B, H), hs.new_empty((B, T) if of_dt else 0)]
    return [*first, *(torch.empty_like(p) for p in params)]


def _save_ltc(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    u, h, dt, params, start, source, lengths, reset, ctx.unfolds = inputs
    ctx.save_for_backward(u, h, dt, start, source, lengths, reset, output, *params)


def _back_ltc(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    u, h, dt, start, source, lengths, reset, hs, *params = ctx.saved_tensors
    of_dt = bool(ctx.needs_input_grad[2])
    of_u, of_h, of, *rest = ltc_backward(
        grad, u, h, dt, params, start, source, lengths, reset, hs, ctx.unfolds, of_dt
    )  # fmt: skip
    return of_u, of_h, of if of_dt else None, rest, None, None, None, None, None


ltc.register_autograd(_back_ltc, setup_context=_save_ltc)


@torch.library.custom_op(
    "liquidtorch::ltc_synapses", mutates_args=(), device_types="cpu",
    schema="(Tensor x, Tensor[] params, Tensor start, Tensor source) -> Tensor",
)  # fmt: skip
def ltc_synapses(x, params, start, source):
    """Return N beside D, (M, 2H), of features x (M, F)."""
    M, F = x.shape
    H, S = start.shape[0] - 1, source.shape[0]
    u = x.new_empty(M, 2 * H)
    chunks = -(-M // (CHUNK * lanes(x.dtype)))
    arguments = Synapses(**_named(params, start, source), M=M, F=F, H=H, x=x.contiguous(), u=u)
    run("synapses_forward", x.dtype, arguments, chunks, OPERATIONS * CHUNK * chunks * (S + H))
    return u


@ltc_synapses.register_fake
def _(x, params, start, source):
    return x.new_empty(x.shape[0], 2 * (start.shape[0] - 1))


@torch.library.custom_op(
    "liquidtorch::ltc_synapses_backward", mutates_args=(), device_types="cpu",
    schema="(Tensor grad, Tensor x, Tensor[] params, Tensor start, Tensor source, bool of_x) -> Tensor[]",
)  # fmt: skip
def ltc_synapses_backward(grad, x, params, start, source, of_x):
    """Return the gradients of x (empty unless `of_x`) and params."""
    M, F = x.shape
    H, S = start.shape[0] - 1, source.shape[0]
    chunks = -(-M // (CHUNK * lanes(x.dtype)))
    grad_x, of_synapse = x.new_empty((M, F) if of_x else 0), x.new_empty(chunks, 4, S)
    given = _named(params, start, source) | {"M": M, "F": F, "H": H, "x": x.contiguous(), "grad_u": grad.contiguous()}
    given |= {"grad_x": grad_x if of_x else None, "grad_synapse": of_synapse}
    run("synapses_backward", x.dtype, Synapses(**given), chunks, 2 * OPERATIONS * CHUNK * chunks * (S + H))
    return [grad_x, *(of_synapse[:, i].sum(0) for i in range(4))]


@ltc_synapses_backward.register_fake
def _(grad, x, params, start, source, of_x):
    return [torch.empty_like(x) if of_x else x.new_empty(0), *(torch.empty_like(p) for p in params)]


def _save_synapses(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, params, start, source = inputs
    ctx.save_for_backward(x, start, source, *params)


def _back_synapses(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    x, start, source, *params = ctx.saved_tensors
    of_x = bool(ctx.needs_input_grad[0])
    found = ltc_synapses_backward(grad, x, params, start, source, of_x)
    return found[0] if of_x else None, found[1:], None, None


ltc_synapses.register_autograd(_back_synapses, setup_context=_save_synapses)
