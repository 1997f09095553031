"""One unit's step and its backward pass in Triton, and the functions they need. The meaning is ops/reference.py's."""
# pyright: reportAssignmentType=false, reportGeneralTypeIssues=false

from __future__ import annotations

import triton
import triton.language as tl

GATE_END = tl.constexpr(5.5e34)  # exp(80), where reference.rate holds its argument and passes no gradient on


@triton.jit
def expm1(x):
    """exp(x) - 1: its series where a difference would cancel; Triton's own lives outside the interpreter."""
    TERMS: tl.constexpr = 16 if x.dtype == tl.float64 else 9
    small = tl.abs(x) < 0.5
    y = tl.where(small, x, 0.0)
    p = tl.full(x.shape, 1.0, x.dtype)
    for i in tl.static_range(TERMS):
        p = 1.0 + y * p * (1.0 / (TERMS + 1 - i))
    return tl.where(small, y * p, tl.exp(x) - 1.0)


@triton.jit
def tanh(x):
    """As accurate near 0 as far from it."""
    e = expm1(-2.0 * tl.abs(x))
    t = -e / (2.0 + e)
    return tl.where(x < 0, -t, t)


@triton.jit
def sigmoid(x):
    """1 / (1 + exp(-x)), in the dtype of x."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def softplus(x):
    """log(1 + exp(x)), and x itself above 20 as PyTorch has it; log(1 + e) by the series of 2*atanh(e/(2 + e))."""
    TERMS: tl.constexpr = 17 if x.dtype == tl.float64 else 8
    e = tl.exp(-tl.abs(x))
    y = e / (2.0 + e)
    p = tl.zeros_like(x)
    for i in tl.static_range(TERMS):
        p = 1.0 / (2 * (TERMS - i) - 1) + y * y * p
    return tl.where(x > 20.0, x, tl.maximum(x, 0.0) + 2.0 * y * p)


@triton.jit
def softplus_slope(f):
    """The derivative of f = softplus(x), 1/(1 + exp(-x)) = 1 - exp(-f)."""
    return tl.where(f > 20.0, 1.0, -expm1(-f))


@triton.jit
def rate(log_tau):
    """1/tau, finite whatever the gate says."""
    return tl.exp(tl.minimum(-log_tau, 80.0, propagate_nan=tl.PropagateNan.ALL))


@triton.jit
def sign(x):
    """-1, 0 or 1."""
    return tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, 0.0))


@triton.jit
def leak(dt, pace, KIND: tl.constexpr):
    """The share of the old state that a Leaky unit gives up in dt."""
    return dt * pace if KIND == "leaky_euler" else -expm1(-dt * pace)


@triton.jit
def target(z0, z1, z3, s, A, w, KIND: tl.constexpr):
    """What CfC's heads aim at, from the values that `forward` keeps."""
    if KIND == "cfc_pure":
        u = A - A * tl.exp(-s * (tl.abs(w) + tl.abs(z0))) * z0
    elif KIND == "cfc":
        u = (1.0 - z3) * z0 + z3 * z1
    else:
        u = z0 + z3 * z1
    return u


@triton.jit
def forward(z0, z1, z2, z3, z4, h, dt, pace, A, w, KIND: tl.constexpr, CARRY: tl.constexpr):
    """Return the new state, and in place of the heads' maps what `backward` needs; with CARRY z4 is the gate's map."""
    if KIND == "leaky" or KIND == "leaky_euler":
        z0 = tanh(z0)
        a = leak(dt, pace, KIND)
        new = (1.0 - a) * h + a * z0
    elif KIND == "liquid":
        z0 = tanh(z0)
        z1 = rate(pace + z1)
        a = -expm1(-dt * z1)
        new = (1.0 - a) * h + a * z0
    else:
        s = dt * pace
        if KIND != "cfc_pure":
            z0 = tanh(z0)
            z1 = tanh(z1)
            z3 = sigmoid(z2 * s + z3)
        new = target(z0, z1, z3, s, A, w, KIND)
        if CARRY:
            z4 = rate(z4)
            a = -expm1(-s * z4)
            new = (1.0 - a) * h + a * new
    return new, z0, z1, z2, z3, z4


@triton.jit
def backward(z0, z1, z2, z3, z4, g, h, dt, pace, A, w, KIND: tl.constexpr, CARRY: tl.constexpr):
    """Return the gradients of the five maps, of h, of pace, A and w, and of dt, given that of the new state."""
    of_A = tl.zeros_like(g)
    of_w = tl.zeros_like(g)
    if KIND == "leaky" or KIND == "leaky_euler":
        a = leak(dt, pace, KIND)
        da = g * (z0 - h)
        if KIND == "leaky":
            da *= 1.0 - a
        of_pace = da * dt
        of_dt = da * pace
        back = (1.0 - a) * g
        z0 = g * a * (1.0 - z0 * z0)
    elif KIND == "liquid":
        a = -expm1(-dt * z1)
        dr = g * (z0 - h) * (1.0 - a)  # r = dt*rate; 0 where the step is complete, however large dt is
        of_dt = dr * z1
        back = (1.0 - a) * g
        z0 = g * a * (1.0 - z0 * z0)
        z1 = tl.where(z1 < GATE_END, -(dr * dt) * z1, 0.0)
        of_pace = z1
    else:
        s = dt * pace
        ds = tl.zeros_like(g)
        back = tl.zeros_like(g)
        if CARRY:
            a = -expm1(-s * z4)
            dr = g * (target(z0, z1, z3, s, A, w, KIND) - h) * (1.0 - a)
            back = g * (1.0 - a)
            g = g * a
            ds = dr * z4
            z4 = tl.where(z4 < GATE_END, -(dr * s) * z4, 0.0)
        if KIND == "cfc_pure":
            k = tl.abs(w) + tl.abs(z0)
            E = tl.exp(-s * k)
            dk = A * g * z0 * E  # minus the gradient of s*k
            of_A = g * (1.0 - E * z0)
            of_w = dk * s * sign(w)
            ds += dk * k
            z0 = dk * s * sign(z0) - g * A * E
        else:
            if KIND == "cfc":
                dsum = g * (z1 - z0) * z3 * (1.0 - z3)
                z0 = g * (1.0 - z3) * (1.0 - z0 * z0)
            else:
                dsum = g * z1 * z3 * (1.0 - z3)
                z0 = g * (1.0 - z0 * z0)
            z1 = g * z3 * (1.0 - z1 * z1)
            ds += dsum * z2
            z2 = dsum * s
            z3 = dsum
        of_pace = ds * dt
        of_dt = ds * pace
    return z0, z1, z2, z3, z4, back, of_pace, of_A, of_w, of_dt
