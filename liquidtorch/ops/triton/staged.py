"""Leaky, Liquid and CfC in Triton where the weights do not fit on the chip, and CfC with a backbone.

A program runs all T steps of a tile of rows, as in held.py, but reads the weights block by block from the cache. The
state, and what a backbone makes of it, passes through global memory, which only this program touches: a barrier lies
between what some threads write and others read.
"""
# pyright: reportArgumentType=false

from __future__ import annotations

import triton
import triton.language as tl

from . import points
from .held import anew, ends, product
from .points import sigmoid, tanh


@triton.jit
def dense(
    x, place, there, W, to, N, K, by_to, by_k, group, g, H,
    GROUPS: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Return sum_k x[row, k]*W[to, k], (rows, to); of units that are swept, only those whose turn is g count as k."""
    total = tl.zeros((ROWS, UNITS), C)
    for first in range(0, K, UNITS):
        k = first + tl.arange(0, UNITS)
        mask = k < K
        if GROUPS > 1:
            mask = mask & (tl.load(group + k % H, mask=mask, other=-1) == g)
        a = tl.load(x + place[:, None] + k[None, :], mask=there[:, None] & mask[None, :], other=0.0).to(C)
        b = tl.load(W + to[None, :] * by_to + k[:, None] * by_k, mask=mask[:, None] & (to < N)[None, :], other=0.0)
        total += product(a, b.to(C))
    return total


@triton.jit
def activate(x, ACTIVATION: tl.constexpr):
    """Return what follows a backbone's layer, and its derivative."""
    if ACTIVATION == "relu":
        y = tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL)
        slope = tl.where(x > 0, 1.0, 0.0).to(x.dtype)
    elif ACTIVATION == "silu":
        s = sigmoid(x)
        y, slope = x * s, s * (1.0 + x * (1.0 - s))
    elif ACTIVATION == "gelu":
        share = 0.5 * (1.0 + tl.erf(x * 0.7071067811865476))
        y, slope = x * share, share + x * 0.3989422804014327 * tl.exp(-0.5 * x * x)
    elif ACTIVATION == "lecun_tanh":
        t = tanh(0.666 * x)
        y, slope = 1.7159 * t, 1.7159 * 0.666 * (1.0 - t * t)
    else:
        y = tanh(x)
        slope = 1.0 - y * y
    return y, slope


@triton.jit
def forward(
    u, h0, dt, W, pace, A, w, group, lengths, reset, hs, kept, state, first_map, hidden, bias, last_bias, value, slope,
    B, T, H, Z,
    KIND: tl.constexpr, CARRY: tl.constexpr, HEADS: tl.constexpr, GROUPS: tl.constexpr, LAYERS: tl.constexpr,
    ACTIVATION: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write every state, what `backward` needs if `kept` is given, and a backbone's values and slopes."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    there = row < B
    end = ends(lengths, row, there, T)
    for first in range(0, H, UNITS):
        unit = first + tl.arange(0, UNITS)
        mask = there[:, None] & (unit < H)[None, :]
        place = row[:, None] * H + unit[None, :]
        tl.store(state + place, tl.load(h0 + place, mask=mask, other=0.0).to(C), mask=mask)
    tl.debug_barrier()
    layer = tl.full((), B, tl.int64) * T * Z
    for t in range(T):
        at = row * T + t
        live = t < end
        step = tl.load(dt + at, mask=live, other=0.0).to(C)[:, None]
        if reset is not None:
            fresh = anew(reset, at, live)
            for first in range(0, H, UNITS):
                unit = first + tl.arange(0, UNITS)
                mask = fresh[:, None] & (unit < H)[None, :]
                tl.store(state + row[:, None] * H + unit[None, :], tl.zeros((ROWS, UNITS), C), mask=mask)
            tl.debug_barrier()
        if LAYERS > 0:
            for first in range(0, Z, UNITS):
                unit = first + tl.arange(0, UNITS)
                mask = live[:, None] & (unit < Z)[None, :]
                place = at[:, None] * Z + unit[None, :]
                z = dense(state, row * H, live, first_map, unit, Z, H, H, 1, group, 0, H, 1, ROWS, UNITS, C)
                y, s = activate(z + tl.load(u + place, mask=mask, other=0.0).to(C), ACTIVATION)
                tl.store(value + place, y, mask=mask)
                tl.store(slope + place, s, mask=mask)
            tl.debug_barrier()
            for n in range(1, LAYERS):
                for first in range(0, Z, UNITS):
                    unit = first + tl.arange(0, UNITS)
                    mask = live[:, None] & (unit < Z)[None, :]
                    place = n * layer + at[:, None] * Z + unit[None, :]
                    z = dense(
                        value + (n - 1) * layer, at * Z, live, hidden + (n - 1) * Z * Z, unit, Z, Z, Z, 1, group, 0, H,
                        1, ROWS, UNITS, C,
                    )  # fmt: skip
                    z += tl.load(bias + (n - 1) * Z + unit, mask=unit < Z, other=0.0).to(C)[None, :]
                    y, s = activate(z, ACTIVATION)
                    tl.store(value + place, y, mask=mask)
                    tl.store(slope + place, s, mask=mask)
                tl.debug_barrier()
        for g in range(GROUPS):
            for first in range(0, H, UNITS):
                unit = first + tl.arange(0, UNITS)
                real = unit < H
                mine = live[:, None] & real[None, :]
                if GROUPS > 1:
                    mine = mine & (tl.load(group + unit, mask=real, other=-1) == g)[None, :]
                p = tl.load(pace + unit, mask=real, other=0.0).to(C)[None, :]
                A_own, w_own = p, p
                if KIND == "cfc_pure":
                    A_own = tl.load(A + unit, mask=real, other=0.0).to(C)[None, :]
                    w_own = tl.load(w + unit, mask=real, other=0.0).to(C)[None, :]
                old = tl.load(state + row[:, None] * H + unit[None, :], mask=mine, other=0.0)
                place = at[:, None] * (HEADS * H) + unit[None, :]
                z0 = head(
                    u, state, value, W, last_bias, 0, place, row, at, live, mine, unit, layer, H, Z, LAYERS, ROWS,
                    UNITS, C,
                )  # fmt: skip
                z1, z2, z3, z4 = z0, z0, z0, z0
                if HEADS > 1:
                    z1 = head(
                        u, state, value, W, last_bias, 1, place, row, at, live, mine, unit, layer, H, Z, LAYERS, ROWS,
                        UNITS, C,
                    )  # fmt: skip
                if HEADS > 2:
                    z2 = head(
                        u, state, value, W, last_bias, 2, place, row, at, live, mine, unit, layer, H, Z, LAYERS, ROWS,
                        UNITS, C,
                    )  # fmt: skip
                    z3 = head(
                        u, state, value, W, last_bias, 3, place, row, at, live, mine, unit, layer, H, Z, LAYERS, ROWS,
                        UNITS, C,
                    )  # fmt: skip
                if HEADS == 5:
                    z4 = head(
                        u, state, value, W, last_bias, 4, place, row, at, live, mine, unit, layer, H, Z, LAYERS, ROWS,
                        UNITS, C,
                    )  # fmt: skip
                elif CARRY:
                    z4 = z1
                new, z0, z1, z2, z3, z4 = points.forward(z0, z1, z2, z3, z4, old, step, p, A_own, w_own, KIND, CARRY)
                tl.store(hs + at[:, None] * H + unit[None, :], new, mask=mine)
                if kept is not None:
                    tl.store(kept + place, z0, mask=mine)
                    if HEADS == 2:
                        tl.store(kept + place + H, z4 if CARRY else z1, mask=mine)
                    if HEADS > 2:
                        tl.store(kept + place + H, z1, mask=mine)
                        tl.store(kept + place + 2 * H, z2, mask=mine)
                        tl.store(kept + place + 3 * H, z3, mask=mine)
                    if HEADS == 5:
                        tl.store(kept + place + 4 * H, z4, mask=mine)
            tl.debug_barrier()
            for first in range(0, H, UNITS):
                unit = first + tl.arange(0, UNITS)
                real = unit < H
                mine = live[:, None] & real[None, :]
                if GROUPS > 1:
                    mine = mine & (tl.load(group + unit, mask=real, other=-1) == g)[None, :]
                place, mask = row[:, None] * H + unit[None, :], there[:, None] & real[None, :]
                old = tl.load(state + place, mask=mask, other=0.0)
                new = tl.load(hs + at[:, None] * H + unit[None, :], mask=mine, other=0.0).to(C)
                new = tl.where(mine, new, old)
                tl.store(state + place, new, mask=mask)
                if g == GROUPS - 1:
                    tl.store(hs + at[:, None] * H + unit[None, :], new, mask=mask)
            tl.debug_barrier()


@triton.jit
def head(
    u, state, value, W, last_bias, n: tl.constexpr, place, row, at, live, mine, unit, layer, H, Z,
    LAYERS: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Return a head's map of the state, or of the backbone's last layer, with what u or the bias adds."""
    if LAYERS > 0:
        z = dense(
            value + (LAYERS - 1) * layer, at * Z, live, W + n * H * Z, unit, H, Z, Z, 1, W, 0, H, 1, ROWS, UNITS, C
        )  # fmt: skip
        z += tl.load(last_bias + n * H + unit, mask=unit < H, other=0.0).to(C)[None, :]
    else:
        z = dense(state, row * H, live, W + n * H * H, unit, H, H, H, 1, W, 0, H, 1, ROWS, UNITS, C)
        z += tl.load(u + place + n * H, mask=mine, other=0.0).to(C)
    return z


@triton.jit
def backward(
    grad, h0, dt, W, pace, A, w, group, lengths, reset, hs, kept, grad_z, grad_state, grad_dt, grad_own,
    first_map, hidden, slope, grad_map, B, T, H, Z,
    KIND: tl.constexpr, CARRY: tl.constexpr, HEADS: tl.constexpr, GROUPS: tl.constexpr, LAYERS: tl.constexpr,
    ROWS: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write the gradients of all maps' results, of h0 and dt, and a program's part of those of pace, A and w."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    there = row < B
    end = ends(lengths, row, there, T)
    layer = tl.full((), B, tl.int64) * T * Z
    own = grad_own + tl.program_id(0) * 3 * H
    for i in range(T):
        t = T - 1 - i
        at = row * T + t
        live = t < end
        fresh = anew(reset, at, live)
        step = tl.load(dt + at, mask=live, other=0.0).to(C)[:, None]
        of_step = tl.zeros((ROWS,), C)
        for j in range(GROUPS):
            g = GROUPS - 1 - j
            for first in range(0, H, UNITS):
                unit = first + tl.arange(0, UNITS)
                real = unit < H
                turn = real
                if GROUPS > 1:
                    turn = real & (tl.load(group + unit, mask=real, other=-1) == g)
                mask, mine = there[:, None] & turn[None, :], live[:, None] & turn[None, :]
                source = unit[None, :]
                p = tl.load(pace + unit, mask=real, other=0.0).to(C)[None, :]
                A_own, w_own = p, p
                if KIND == "cfc_pure":
                    A_own = tl.load(A + unit, mask=real, other=0.0).to(C)[None, :]
                    w_own = tl.load(w + unit, mask=real, other=0.0).to(C)[None, :]
                was = (live ^ fresh)[:, None] & turn[None, :]
                old = tl.load(hs + (at[:, None] - 1) * H + source, mask=was & (at > row * T)[:, None], other=0.0).to(C)
                old += tl.load(h0 + row[:, None] * H + source, mask=was & (at == row * T)[:, None], other=0.0).to(C)
                now = tl.load(grad_state + row[:, None] * H + source, mask=mask, other=0.0)
                now += tl.load(grad + at[:, None] * H + source, mask=mask, other=0.0).to(C)
                place = at[:, None] * (HEADS * H) + source
                z0 = tl.load(kept + place, mask=mine, other=0.0)
                z1, z2, z3, z4 = z0, z0, z0, z0
                if HEADS > 1:
                    z1 = tl.load(kept + place + H, mask=mine, other=0.0)
                if HEADS > 2:
                    z2 = tl.load(kept + place + 2 * H, mask=mine, other=0.0)
                    z3 = tl.load(kept + place + 3 * H, mask=mine, other=0.0)
                if HEADS == 5:
                    z4 = tl.load(kept + place + 4 * H, mask=mine, other=0.0)
                elif CARRY:
                    z4 = z1
                z0, z1, z2, z3, z4, back, d_pace, d_A, d_w, d_dt = points.backward(
                    z0, z1, z2, z3, z4, tl.where(mine, now, 0.0), old, step, p, A_own, w_own, KIND, CARRY
                )
                tl.debug_barrier()  # threads that hold copies of a number have all read it
                tl.store(grad_state + row[:, None] * H + source, tl.where(mine, back, now), mask=mask)
                of_step += tl.sum(d_dt, axis=1)
                tl.store(own + unit, tl.load(own + unit, mask=turn, other=0.0) + tl.sum(d_pace, axis=0), mask=turn)
                if KIND == "cfc_pure":
                    of_A = tl.load(own + H + unit, mask=turn, other=0.0) + tl.sum(d_A, axis=0)
                    tl.store(own + H + unit, of_A, mask=turn)
                    of_w = tl.load(own + 2 * H + unit, mask=turn, other=0.0) + tl.sum(d_w, axis=0)
                    tl.store(own + 2 * H + unit, of_w, mask=turn)
                    if CARRY:
                        z1 = z4
                tl.store(grad_z + place, z0, mask=mine)
                if HEADS > 1:
                    tl.store(grad_z + place + H, z1, mask=mine)
                if HEADS > 2:
                    tl.store(grad_z + place + 2 * H, z2, mask=mine)
                    tl.store(grad_z + place + 3 * H, z3, mask=mine)
                if HEADS == 5:
                    tl.store(grad_z + place + 4 * H, z4, mask=mine)
            tl.debug_barrier()
            if LAYERS > 0:
                last = (LAYERS - 1) * layer
                for first in range(0, Z, UNITS):
                    unit = first + tl.arange(0, UNITS)
                    mask = live[:, None] & (unit < Z)[None, :]
                    place = last + at[:, None] * Z + unit[None, :]
                    d = dense(
                        grad_z, at * (HEADS * H), live, W, unit, Z, HEADS * H, 1, Z, group, 0, H, 1, ROWS, UNITS, C
                    )  # fmt: skip
                    tl.store(grad_map + place, d * tl.load(slope + place, mask=mask, other=0.0), mask=mask)
                tl.debug_barrier()
                for m in range(1, LAYERS):
                    n = LAYERS - m
                    for first in range(0, Z, UNITS):
                        unit = first + tl.arange(0, UNITS)
                        mask = live[:, None] & (unit < Z)[None, :]
                        place = (n - 1) * layer + at[:, None] * Z + unit[None, :]
                        d = dense(
                            grad_map + n * layer, at * Z, live, hidden + (n - 1) * Z * Z, unit, Z, Z, 1, Z, group, 0,
                            H, 1, ROWS, UNITS, C,
                        )  # fmt: skip
                        tl.store(grad_map + place, d * tl.load(slope + place, mask=mask, other=0.0), mask=mask)
                    tl.debug_barrier()
            for first in range(0, H, UNITS):
                unit = first + tl.arange(0, UNITS)
                mask = there[:, None] & (unit < H)[None, :]
                place = row[:, None] * H + unit[None, :]
                if LAYERS > 0:
                    d = dense(grad_map, at * Z, live, first_map, unit, H, Z, 1, H, group, 0, H, 1, ROWS, UNITS, C)
                else:
                    d = dense(
                        grad_z, at * (HEADS * H), live, W, unit, H, HEADS * H, 1, H, group, g, H, GROUPS, ROWS, UNITS, C
                    )  # fmt: skip
                d += tl.load(grad_state + place, mask=mask, other=0.0)
                if g == 0:
                    d = tl.where(fresh[:, None], 0.0, d)
                tl.store(grad_state + place, d, mask=mask)
            tl.debug_barrier()
        if grad_dt is not None:
            tl.store(grad_dt + at, of_step, mask=there)
