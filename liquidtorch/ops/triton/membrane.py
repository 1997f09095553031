"""LTC in Triton: conductance synapses, K semi-implicit unfolds a step (Hasani 2021, eq. 1 and 3).

A program takes one row after the other through all T steps. It holds the synapses' four parameters in registers where
they fit, and else reads them tile by tile. No (B, H, H) tensor exists; the backward pass runs each step again from the
stored state, so memory does not grow with K*T.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .points import sigmoid


@triton.jit
def parameters(w, mu, sigma, erev, to, source, H, C: tl.constexpr):
    """Load a tile (to, from) of the synapses' parameters; where there is none, w is 0."""
    place, mask = to[:, None] * H + source[None, :], (to < H)[:, None] & (source < H)[None, :]
    return (
        tl.load(w + place, mask=mask, other=0.0).to(C), tl.load(mu + place, mask=mask, other=0.0).to(C),
        tl.load(sigma + place, mask=mask, other=0.0).to(C), tl.load(erev + place, mask=mask, other=0.0).to(C),
    )  # fmt: skip


@triton.jit
def units(gleak, vleak, cm, unit, H, C: tl.constexpr):
    """Load what a block of units owns."""
    real = unit < H
    return (
        tl.load(gleak + unit, mask=real, other=0.0).to(C), tl.load(vleak + unit, mask=real, other=0.0).to(C),
        tl.load(cm + unit, mask=real, other=1.0).to(C),
    )  # fmt: skip


@triton.jit
def before(h0, hs, reset, at, row, unit, T, H, C: tl.constexpr):
    """Load the state that a step starts from."""
    previous, first = (at - 1) * H + unit, row * T * H
    v = tl.load(hs + previous, mask=(unit < H) & (previous >= first), other=0.0).to(C)
    v += tl.load(h0 + row * H + unit, mask=(unit < H) & (previous < first), other=0.0).to(C)
    if reset is not None:
        v = tl.where(tl.load(reset + at) != 0, 0.0, v)
    return v


@triton.jit
def unfold(
    v, u, s, w, mu, sigma, erev, gleak, vleak, cm, sums, at, first, W, M, S, E, H,
    HELD: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Return the next state of a block of units, given in memory the present state v, and keep the sums N and D."""
    unit = first + tl.arange(0, UNITS)
    real = unit < H
    g, e, c = units(gleak, vleak, cm, unit, H, C)
    N = g * e + tl.load(u + at * 2 * H + unit, mask=real, other=0.0).to(C)
    D = g + tl.load(u + at * 2 * H + H + unit, mask=real, other=0.0).to(C)
    for other in range(0, H, UNITS):
        source = other + tl.arange(0, UNITS)
        if not HELD:
            W, M, S, E = parameters(w, mu, sigma, erev, unit, source, H, C)
        x = tl.load(v + source, mask=source < H, other=0.0)
        open = W * sigmoid(S * (x[None, :] - M))
        N += tl.sum(open * E, axis=1)
        D += tl.sum(open, axis=1)
    if sums is not None:
        tl.store(sums + unit, N, mask=real)
        tl.store(sums + H + unit, D, mask=real)
    return (c * tl.load(v + unit, mask=real, other=0.0) + s * N) / (c + s * D)


@triton.jit
def forward(
    u, h0, dt, w, mu, sigma, erev, gleak, vleak, cm, lengths, reset, hs, scratch, B, T, H, K, programs,
    HELD: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write every state."""
    held = tl.arange(0, UNITS)
    W, M, S, E = parameters(w, mu, sigma, erev, held, held, H, C)
    two = scratch + tl.program_id(0).to(tl.int64) * 2 * H  # the states before and after an unfold, in turn
    for n in range(tl.cdiv(B - tl.program_id(0), programs)):
        row = tl.program_id(0).to(tl.int64) + n * programs
        end = T
        if lengths is not None:
            end = tl.load(lengths + row).to(tl.int32)
        for t in range(end):
            at = row * T + t
            s = tl.load(dt + at).to(C) / K
            for first in range(0, H, UNITS):
                unit = first + tl.arange(0, UNITS)
                tl.store(two + unit, before(h0, hs, reset, at, row, unit, T, H, C), mask=unit < H)
            tl.debug_barrier()
            for k in range(K):
                v, after = two + (k % 2) * H, two + ((k + 1) % 2) * H
                for first in range(0, H, UNITS):
                    unit = first + tl.arange(0, UNITS)
                    new = unfold(
                        v, u, s, w, mu, sigma, erev, gleak, vleak, cm, None, at, first, W, M, S, E, H, HELD, UNITS, C
                    )  # fmt: skip
                    tl.store(after + unit, new, mask=unit < H)
                    if k == K - 1:
                        tl.store(hs + at * H + unit, new, mask=unit < H)
                tl.debug_barrier()
        for t in range(end, T):  # frozen
            at = row * T + t
            for first in range(0, H, UNITS):
                unit = first + tl.arange(0, UNITS)
                tl.store(hs + at * H + unit, before(h0, hs, None, at, row, unit, T, H, C), mask=unit < H)
            tl.debug_barrier()


@triton.jit
def add(x, mask, more):
    """Add to numbers in memory."""
    tl.store(x, tl.load(x, mask=mask, other=0.0) + more, mask=mask)


@triton.jit
def unfold_back(
    g, v, sums, of_sums, of_u, of_unit, s, gleak, vleak, cm, first, H, UNITS: tl.constexpr, C: tl.constexpr
):  # fmt: skip
    """Take a block's gradients from after an unfold to its sums N and D, and to its own state; return that of s."""
    unit = first + tl.arange(0, UNITS)
    real = unit < H
    leak, rest, c = units(gleak, vleak, cm, unit, H, C)
    N, D = tl.load(sums + unit, mask=real, other=0.0), tl.load(sums + H + unit, mask=real, other=0.0)
    above = tl.load(g + unit, mask=real, other=0.0) / (c + s * D)
    below = -above * tl.load(v + H + unit, mask=real, other=0.0)
    dN, dD = above * s, below * s
    tl.debug_barrier()  # threads that hold copies of a number have all read it
    tl.store(g + unit, above * c, mask=real)
    tl.store(of_sums + unit, dN, mask=real)
    tl.store(of_sums + H + unit, dD, mask=real)
    add(of_u + unit, real, dN)
    add(of_u + H + unit, real, dD)
    add(of_unit + unit, real, dN * rest + dD)
    add(of_unit + H + unit, real, dN * leak)
    add(of_unit + 2 * H + unit, real, above * tl.load(v + unit, mask=real, other=0.0) + below)
    return tl.sum(above * N + below * D, axis=0)


@triton.jit
def backward(
    grad, u, h0, dt, w, mu, sigma, erev, gleak, vleak, cm, lengths, reset, hs, scratch, grad_u, grad_h0, grad_dt,
    of_synapse, of_unit, B, T, H, K, programs, HELD: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write the gradients of u, h0 and dt, and a program's part of those of synapses and units."""
    held = tl.arange(0, UNITS)
    W, M, S, E = parameters(w, mu, sigma, erev, held, held, H, C)
    of_N, of_D, of_x, of_xv = tl.zeros_like(W), tl.zeros_like(W), tl.zeros_like(W), tl.zeros_like(W)
    program = tl.program_id(0).to(tl.int64)
    vs = scratch + program * (3 * K + 3) * H  # the states of a step's unfolds, (K+1, H)
    sums = vs + (K + 1) * H  # N and D of each, (K, 2, H)
    of_sums = sums + 2 * K * H  # the gradients of N and D, (2, H)
    of_unit = of_unit + program * 3 * H
    of_synapse = of_synapse + program * 4 * H * H
    for n in range(tl.cdiv(B - tl.program_id(0), programs)):
        row = program + n * programs
        g = grad_h0 + row * H  # the gradient of the state, as it goes back
        end = T
        if lengths is not None:
            end = tl.load(lengths + row).to(tl.int32)
        for t in range(end, T):  # a row that has ended hands its gradients to its last live step
            for first in range(0, H, UNITS):
                unit = first + tl.arange(0, UNITS)
                more = tl.load(grad + (row * T + t) * H + unit, mask=unit < H, other=0.0).to(C)
                add(g + unit, unit < H, more)
            tl.debug_barrier()
        for i in range(end):
            at = row * T + end - 1 - i
            s = tl.load(dt + at).to(C) / K
            for first in range(0, H, UNITS):
                unit = first + tl.arange(0, UNITS)
                tl.store(vs + unit, before(h0, hs, reset, at, row, unit, T, H, C), mask=unit < H)
                add(g + unit, unit < H, tl.load(grad + at * H + unit, mask=unit < H, other=0.0).to(C))
            tl.debug_barrier()
            for k in range(K):
                for first in range(0, H, UNITS):
                    unit = first + tl.arange(0, UNITS)
                    new = unfold(
                        vs + k * H, u, s, w, mu, sigma, erev, gleak, vleak, cm, sums + 2 * k * H, at, first,
                        W, M, S, E, H, HELD, UNITS, C,
                    )  # fmt: skip
                    tl.store(vs + (k + 1) * H + unit, new, mask=unit < H)
                tl.debug_barrier()
            of_s = tl.sum(tl.zeros((UNITS,), C), axis=0)
            for j in range(K):
                k = K - 1 - j
                v = vs + k * H
                for first in range(0, H, UNITS):
                    of_s += unfold_back(
                        g, v, sums + 2 * k * H, of_sums, grad_u + at * 2 * H, of_unit, s, gleak, vleak, cm, first, H,
                        UNITS, C,
                    )  # fmt: skip
                tl.debug_barrier()
                for other in range(0, H, UNITS):
                    source = other + tl.arange(0, UNITS)
                    x = tl.load(v + source, mask=source < H, other=0.0)[None, :]
                    back = tl.zeros((UNITS,), C)
                    for first in range(0, H, UNITS):
                        unit = first + tl.arange(0, UNITS)
                        if not HELD:
                            W, M, S, E = parameters(w, mu, sigma, erev, unit, source, H, C)
                        dN = tl.load(of_sums + unit, mask=unit < H, other=0.0)[:, None]
                        dD = tl.load(of_sums + H + unit, mask=unit < H, other=0.0)[:, None]
                        open = sigmoid(S * (x - M))
                        dx = (E * dN + dD) * open * (1.0 - open)
                        back += tl.sum(W * S * dx, axis=0)
                        if HELD:
                            of_N += dN * open
                            of_D += dD * open
                            of_x += dx
                            of_xv += dx * x
                        else:
                            place = of_synapse + unit[:, None] * H + source[None, :]
                            mask = (unit < H)[:, None] & (source < H)[None, :]
                            write(place, mask, dN * open, dD * open, dx, dx * x, W, M, S, E, H)
                    add(g + source, source < H, back)
                tl.debug_barrier()
            if reset is not None:
                fresh = tl.load(reset + at) != 0
                for first in range(0, H, UNITS):
                    unit = first + tl.arange(0, UNITS)
                    now = tl.load(g + unit, mask=unit < H, other=0.0)
                    tl.store(g + unit, tl.where(fresh, 0.0, now), mask=unit < H)
                tl.debug_barrier()
            if grad_dt is not None:
                tl.store(grad_dt + at, of_s / K)
    if HELD:
        mask = (held < H)[:, None] & (held < H)[None, :]
        write(of_synapse + held[:, None] * H + held[None, :], mask, of_N, of_D, of_x, of_xv, W, M, S, E, H)


@triton.jit
def write(place, mask, of_N, of_D, of_x, of_xv, W, M, S, E, H):
    """Add to the gradients of w, mu, sigma and erev what follows from sums of dN*s, dD*s, dx and dx*v."""
    add(place, mask, E * of_N + of_D)
    add(place + H * H, mask, -S * W * of_x)
    add(place + 2 * H * H, mask, W * of_xv - M * W * of_x)
    add(place + 3 * H * H, mask, W * of_N)
