"""Leaky, Liquid and CfC in Triton where all weights fit on the chip.

A program runs all T steps of a tile of rows: the state stays in registers, the weights in registers and shared memory.
Units are padded to a power of two. Where units are swept, every group takes its turn within a step.
"""

from __future__ import annotations

import triton
import triton.language as tl

from . import points


@triton.jit
def matrix(W, head, to, source, H, C: tl.constexpr):
    """Load a head's weights (to, from), as the two index tensors lay them out."""
    return tl.load(W + (head * H + to) * H + source, mask=(to < H) & (source < H), other=0.0).to(C)


@triton.jit
def product(x, W):
    """x W in fp32 (fp64), never in tf32."""
    return tl.dot(x, W, input_precision="ieee", out_dtype=x.dtype)


@triton.jit
def ends(lengths, row, there, T):
    """Where each row ends."""
    return tl.where(there, T, 0) if lengths is None else tl.load(lengths + row, mask=there, other=0)


@triton.jit
def anew(reset, at, live):
    """Whether the state is 0 before this step."""
    return tl.zeros_like(live) if reset is None else (tl.load(reset + at, mask=live, other=0) != 0) & live


@triton.jit
def forward(
    u, h0, dt, W, pace, A, w, group, lengths, reset, hs, kept, B, T, H,
    KIND: tl.constexpr, CARRY: tl.constexpr, HEADS: tl.constexpr, GROUPS: tl.constexpr, ROWS: tl.constexpr,
    UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write every state, and what `backward` needs if `kept` is given."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    unit = tl.arange(0, UNITS)
    there, real = row < B, unit < H
    source, to = unit[:, None], unit[None, :]  # weights lie (from, to), so that the state multiplies them from the left
    W_0 = matrix(W, 0, to, source, H, C)
    if HEADS > 1:
        W_1 = matrix(W, 1, to, source, H, C)
    if HEADS > 2:
        W_2 = matrix(W, 2, to, source, H, C)
        W_3 = matrix(W, 3, to, source, H, C)
    if HEADS == 5:
        W_4 = matrix(W, 4, to, source, H, C)
    p = tl.load(pace + unit, mask=real, other=0.0).to(C)[None, :]
    A_own, w_own = p, p
    if KIND == "cfc_pure":
        A_own = tl.load(A + unit, mask=real, other=0.0).to(C)[None, :]
        w_own = tl.load(w + unit, mask=real, other=0.0).to(C)[None, :]
    if GROUPS > 1:
        turn = tl.load(group + unit, mask=real, other=-1)[None, :]
    h = tl.load(h0 + row[:, None] * H + to, mask=there[:, None] & real[None, :], other=0.0).to(C)
    end = ends(lengths, row, there, T)
    for t in range(T):
        at = row * T + t
        live = t < end
        step = tl.load(dt + at, mask=live, other=0.0).to(C)[:, None]
        new = tl.where(anew(reset, at, live)[:, None], 0.0, h)
        for g in range(GROUPS):
            mine = live[:, None] & real[None, :]
            if GROUPS > 1:
                mine = mine & (turn == g)
            place = at[:, None] * (HEADS * H) + to
            z0 = product(new, W_0) + tl.load(u + place, mask=mine, other=0.0).to(C)
            z1, z2, z3, z4 = z0, z0, z0, z0
            if HEADS > 1:
                z1 = product(new, W_1) + tl.load(u + place + H, mask=mine, other=0.0).to(C)
            if HEADS > 2:
                z2 = product(new, W_2) + tl.load(u + place + 2 * H, mask=mine, other=0.0).to(C)
                z3 = product(new, W_3) + tl.load(u + place + 3 * H, mask=mine, other=0.0).to(C)
            if HEADS == 5:
                z4 = product(new, W_4) + tl.load(u + place + 4 * H, mask=mine, other=0.0).to(C)
            elif CARRY:
                z4 = z1  # the gate is the last head
            after, z0, z1, z2, z3, z4 = points.forward(
                z0, z1, z2, z3, z4, new, step, p, A_own, w_own, KIND, CARRY
            )  # fmt: skip
            new = tl.where(mine, after.to(hs.dtype.element_ty).to(C), new)
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
        h = tl.where(live[:, None], new, h)
        tl.store(hs + at[:, None] * H + to, h, mask=there[:, None] & real[None, :])


@triton.jit
def backward(
    grad, h0, dt, W, pace, A, w, group, lengths, reset, hs, kept, grad_u, grad_h0, grad_dt, grad_own, B, T, H,
    KIND: tl.constexpr, CARRY: tl.constexpr, HEADS: tl.constexpr, GROUPS: tl.constexpr, ROWS: tl.constexpr,
    UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write the gradients of u, h0 and dt, and a program's part of those of pace, A and w."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    unit = tl.arange(0, UNITS)
    there, real = row < B, unit < H
    to, source = unit[:, None], unit[None, :]  # gradients multiply weights (to, from) from the left
    W_0 = matrix(W, 0, to, source, H, C)
    if HEADS > 1:
        W_1 = matrix(W, 1, to, source, H, C)
    if HEADS > 2:
        W_2 = matrix(W, 2, to, source, H, C)
        W_3 = matrix(W, 3, to, source, H, C)
    if HEADS == 5:
        W_4 = matrix(W, 4, to, source, H, C)
    p = tl.load(pace + unit, mask=real, other=0.0).to(C)[None, :]
    A_own, w_own = p, p
    if KIND == "cfc_pure":
        A_own = tl.load(A + unit, mask=real, other=0.0).to(C)[None, :]
        w_own = tl.load(w + unit, mask=real, other=0.0).to(C)[None, :]
    if GROUPS > 1:
        turn = tl.load(group + unit, mask=real, other=-1)[None, :]
    end = ends(lengths, row, there, T)
    inside = there[:, None] & real[None, :]
    g = tl.zeros((ROWS, UNITS), C)
    of_pace, of_A, of_w = g, g, g
    for i in range(T):
        t = T - 1 - i
        at = row * T + t
        live = t < end
        fresh = anew(reset, at, live)
        step = tl.load(dt + at, mask=live, other=0.0).to(C)[:, None]
        was = (live ^ fresh)[:, None] & real[None, :]
        before = tl.load(hs + (at[:, None] - 1) * H + source, mask=was & (at > row * T)[:, None], other=0.0).to(C)
        before += tl.load(h0 + row[:, None] * H + source, mask=was & (at == row * T)[:, None], other=0.0).to(C)
        now = g + tl.load(grad + at[:, None] * H + source, mask=inside, other=0.0).to(C)
        g = tl.where(live[:, None], now, 0.0)
        idle = now - g  # the gradient of a row that has ended waits for its last live step
        of_step = tl.zeros((ROWS,), C)
        for j in range(GROUPS):
            mine = live[:, None] & real[None, :]
            if GROUPS > 1:
                mine = mine & (turn == GROUPS - 1 - j)
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
                z0, z1, z2, z3, z4, tl.where(mine, g, 0.0), before, step, p, A_own, w_own, KIND, CARRY
            )
            of_pace += d_pace
            of_step += tl.sum(d_dt, axis=1)
            if KIND == "cfc_pure":
                of_A += d_A
                of_w += d_w
                if CARRY:
                    z1 = z4
            g = tl.where(mine, back, g) + product(z0, W_0)
            tl.store(grad_u + place, z0, mask=mine)
            if HEADS > 1:
                g += product(z1, W_1)
                tl.store(grad_u + place + H, z1, mask=mine)
            if HEADS > 2:
                g += product(z2, W_2) + product(z3, W_3)
                tl.store(grad_u + place + 2 * H, z2, mask=mine)
                tl.store(grad_u + place + 3 * H, z3, mask=mine)
            if HEADS == 5:
                g += product(z4, W_4)
                tl.store(grad_u + place + 4 * H, z4, mask=mine)
        g = tl.where(fresh[:, None], 0.0, g) + idle
        if grad_dt is not None:
            tl.store(grad_dt + at, of_step, mask=there)
    tl.store(grad_h0 + row[:, None] * H + source, g, mask=inside)
    own = grad_own + tl.program_id(0) * 3 * H + unit
    tl.store(own, tl.sum(of_pace, axis=0), mask=real)
    if KIND == "cfc_pure":
        tl.store(own + H, tl.sum(of_A, axis=0), mask=real)
        tl.store(own + 2 * H, tl.sum(of_w, axis=0), mask=real)
