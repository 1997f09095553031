"""Linear and Mobius in Triton: associative scans over time.

A program takes a row and a block of units and goes through time in chunks; within a chunk all steps are composed at
once. Beyond a row's end a step is the identity; a reset makes it a step from 0, whatever the state was, but for a NaN:
it comes through a reset of its chunk.
"""
# pyright: reportArgumentType=false

from __future__ import annotations

import triton
import triton.language as tl

from .points import expm1, softplus, softplus_slope, tanh


@triton.jit
def affine(a_1, b_1, a_2, b_2):
    """h -> a*h + b, the first then the second."""
    return a_2 * a_1, a_2 * b_1 + b_2


@triton.jit
def fraction(p_1, q_1, r_1, s_1, p_2, q_2, r_2, s_2):
    """g -> (p*g + q)/(r*g + s), the first then the second, the largest number scaled to 1 so that none overflows."""
    p = p_2 * p_1 + q_2 * r_1
    q = p_2 * q_1 + q_2 * s_1
    r = r_2 * p_1 + s_2 * r_1
    s = r_2 * q_1 + s_2 * s_1
    scale = 1.0 / tl.maximum(tl.maximum(p, q), tl.maximum(r, s))
    return p * scale, q * scale, r * scale, s * scale


@triton.jit
def read(u, dt, lengths, reset, at, t, unit, H, there, PARTS: tl.constexpr, C: tl.constexpr):
    """Return dt, f, k, A and whether a step counts and starts from 0, all (steps, units); Linear has no k."""
    live = there
    if lengths is not None:
        live = there & (t < lengths)
    fresh = tl.zeros_like(live)
    if reset is not None:
        fresh = live & (tl.load(reset + at, mask=live, other=0) != 0)
    step = tl.load(dt + at, mask=live, other=0.0).to(C)[:, None]
    place = at[:, None] * (PARTS * H) + unit[None, :]
    mask = live[:, None] & (unit < H)[None, :]
    f = softplus(tl.load(u + place, mask=mask, other=0.0).to(C))
    A = tanh(tl.load(u + place + (PARTS - 1) * H, mask=mask, other=0.0).to(C))
    k = f
    if PARTS == 3:
        k = softplus(tl.load(u + place + H, mask=mask, other=0.0).to(C))
    return step, f, k, A, live, fresh


@triton.jit
def last(x, STEPS: tl.constexpr):
    """The last step's row of (steps, units)."""
    return tl.sum(tl.where((tl.arange(0, STEPS) == STEPS - 1)[:, None], x, 0.0), axis=0)


@triton.jit
def forward(
    u, h0, dt, rate, lengths, reset, hs, T, H,
    PARTS: tl.constexpr, STEPS: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write every state."""
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    real = unit < H
    end = None
    if lengths is not None:
        end = tl.load(lengths + row)
    pace = tl.load(rate + unit, mask=real, other=0.0).to(C)[None, :]
    h = tl.load(h0 + row * H + unit, mask=real, other=0.0).to(C)
    for first in range(0, T, STEPS):
        t = first + tl.arange(0, STEPS)
        at = row * T + t
        step, f, k, A, _, fresh = read(u, dt, end, reset, at, t, unit, H, t < T, PARTS, C)
        if PARTS == 2:
            fall = expm1(-step * (1.0 + f) * pace)
            a = tl.where(fresh[:, None], 0.0, 1.0 + fall)
            a, b = tl.associative_scan((a, -fall * (f / (1.0 + f)) * A), 0, affine)
            now = a * h[None, :] + b
            h = last(now, STEPS)
        else:
            # In g = 1 + h, which is never negative, neither is any number of the matrix: nothing cancels.
            s = step * pace
            down = 1.0 / (1.0 + s * (1.0 + f) + s * k)
            p, r = (1.0 + s * k * (1.0 + A)) * down, s * k * down
            q, z = s * (1.0 + f * (1.0 + A)) * down, (1.0 + s * (1.0 + f)) * down
            q, z = tl.where(fresh[:, None], p + q, q), tl.where(fresh[:, None], r + z, z)
            p, r = tl.where(fresh[:, None], 0.0, p), tl.where(fresh[:, None], 0.0, r)
            p, q, r, z = tl.associative_scan((p, q, r, z), 0, fraction)
            g = 1.0 + h[None, :]
            now = (p * g + q) / (r * g + z) - 1.0
            h = last(now, STEPS)
        tl.store(hs + at[:, None] * H + unit[None, :], now, mask=(t < T)[:, None] & real[None, :])


@triton.jit
def state_before(h0, hs, at, t, row, unit, mask, H, C: tl.constexpr):
    """Load the states that steps started from, (steps, units); 0 where `mask` is not set."""
    hidden = tl.load(hs + (at - 1)[:, None] * H + unit[None, :], mask=mask & (t > 0)[:, None], other=0.0)
    start = tl.load(h0 + row * H + unit, mask=unit < H, other=0.0)[None, :]
    return tl.where((t == 0)[:, None] & mask, start, hidden).to(C)


@triton.jit
def slope(before, step, f, k, A, pace, PARTS: tl.constexpr):
    """Return dh'/dh of every step, and of Linear exp(-r) - 1, of Mobius c, the denominator's inverse and h'."""
    if PARTS == 2:
        c = expm1(-step * (1.0 + f) * pace)
        J, below, after = 1.0 + c, c, c
    else:
        c, s = f + k * (1.0 + before), step * pace
        below = 1.0 / (1.0 + s * (1.0 + c))
        after = (before + s * c * A) * below
        J = below * (1.0 + s * k * (A - after))
    return J, c, below, after


@triton.jit
def backward(
    grad, u, h0, dt, rate, lengths, reset, hs, grad_u, grad_h0, grad_dt, grad_rate, B, T, H,
    PARTS: tl.constexpr, STEPS: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write the gradients of u and h0, and those of dt and rate in parts: a block of units, a row."""
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    real = unit < H
    end = None
    if lengths is not None:
        end = tl.load(lengths + row)
    pace = tl.load(rate + unit, mask=real, other=0.0).to(C)[None, :]
    carried = tl.zeros((UNITS,), C)  # the gradient of the state just after this chunk
    of_rate = tl.zeros((UNITS,), C)
    for i in range(0, T + 1, STEPS):  # backwards in time, down to t = -1: the state before the first step
        t = T - 1 - i - tl.arange(0, STEPS)
        at = row * T + t
        inside = (t >= 0)[:, None] & real[None, :]
        step, f, k, A, live, fresh = read(u, dt, end, reset, at + 1, t + 1, unit, H, (t >= -1) & (t < T - 1), PARTS, C)
        was = (live ^ fresh)[:, None] & real[None, :]
        before = state_before(h0, hs, at + 1, t + 1, row, unit, was, H, C)
        J, c, below, after = slope(before, step, f, k, A, pace, PARTS)
        g = tl.load(grad + at[:, None] * H + unit[None, :], mask=inside, other=0.0).to(C)
        a, b = tl.associative_scan((tl.where(fresh[:, None], 0.0, J), g), 0, affine)
        g = a * carried[None, :] + b
        carried = last(g, STEPS)
        step, f, k, A, live, fresh = read(u, dt, end, reset, at, t, unit, H, t >= 0, PARTS, C)
        was = (live ^ fresh)[:, None] & real[None, :]
        before = state_before(h0, hs, at, t, row, unit, was, H, C)
        J, c, below, after = slope(before, step, f, k, A, pace, PARTS)
        place = at[:, None] * (PARTS * H) + unit[None, :]
        if PARTS == 2:
            low = 1.0 / (1.0 + f)
            dr = g * (f * low * A - before) * J  # r = dt*(1+f)*rate
            of_f = dr * step * pace - g * c * A * low * low
            tl.store(grad_u + place, of_f * softplus_slope(f), mask=inside)
            tl.store(grad_u + place + H, -g * c * f * low * (1.0 - A * A), mask=inside)
            ds = dr * (1.0 + f)
        else:
            s = step * pace
            up = g * below
            down = -up * after
            dc = s * (up * A + down)
            ds = up * c * A + down * (1.0 + c)
            tl.store(grad_u + place, dc * softplus_slope(f), mask=inside)
            tl.store(grad_u + place + H, dc * (1.0 + before) * softplus_slope(k), mask=inside)
            tl.store(grad_u + place + 2 * H, up * s * c * (1.0 - A * A), mask=inside)
        of_rate += tl.sum(ds * step, axis=0)
        if grad_dt is not None:
            tl.store(grad_dt + tl.program_id(1).to(tl.int64) * B * T + at, tl.sum(ds * pace, axis=1), mask=t >= 0)
    tl.store(grad_h0 + row * H + unit, carried, mask=real)
    tl.store(grad_rate + row * H + unit, of_rate, mask=real)
