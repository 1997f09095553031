"""The synapses of LTC's features in Triton: a tile of rows or synapses a program, no (M, H, F) tensor."""

from __future__ import annotations

import triton
import triton.language as tl

from .points import sigmoid


@triton.jit
def forward(
    x, w, mu, sigma, erev, u, M, F, H, ROWS: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr
):  # fmt: skip
    """N beside D of a tile of rows and units; parameters lie (from, to)."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    unit = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    there, real = row < M, unit < H
    N, D = tl.zeros((ROWS, UNITS), C), tl.zeros((ROWS, UNITS), C)
    for j in range(F):
        v = tl.load(x + row * F + j, mask=there, other=0.0).to(C)[:, None]
        m = tl.load(mu + j * H + unit, mask=real, other=0.0).to(C)[None, :]
        s = tl.load(sigma + j * H + unit, mask=real, other=0.0).to(C)[None, :]
        g = tl.load(w + j * H + unit, mask=real, other=0.0).to(C)[None, :] * sigmoid(s * (v - m))
        N += g * tl.load(erev + j * H + unit, mask=real, other=0.0).to(C)[None, :]
        D += g
    place, mask = row[:, None] * 2 * H + unit[None, :], there[:, None] & real[None, :]
    tl.store(u + place, N, mask=mask)
    tl.store(u + place + H, D, mask=mask)


@triton.jit
def backward_features(
    grad, x, w, mu, sigma, erev, grad_x, M, F, H, ROWS: tl.constexpr, UNITS: tl.constexpr, C: tl.constexpr
):  # fmt: skip
    """The gradient of a tile of rows and features; parameters lie (to, from)."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    source = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    there, real = row < M, source < F
    place, mask = row[:, None] * F + source[None, :], there[:, None] & real[None, :]
    v, back = tl.load(x + place, mask=mask, other=0.0).to(C), tl.zeros((ROWS, UNITS), C)
    for i in range(H):
        dN = tl.load(grad + row * 2 * H + i, mask=there, other=0.0).to(C)[:, None]
        dD = tl.load(grad + row * 2 * H + H + i, mask=there, other=0.0).to(C)[:, None]
        m = tl.load(mu + i * F + source, mask=real, other=0.0).to(C)[None, :]
        s = tl.load(sigma + i * F + source, mask=real, other=0.0).to(C)[None, :]
        e = tl.load(erev + i * F + source, mask=real, other=0.0).to(C)[None, :]
        open = sigmoid(s * (v - m))
        g = tl.load(w + i * F + source, mask=real, other=0.0).to(C)[None, :]
        back += (e * dN + dD) * g * s * open * (1.0 - open)
    tl.store(grad_x + place, back, mask=mask)


@triton.jit
def backward_parameters(
    grad, x, w, mu, sigma, erev, of_synapse, M, F, H, share,
    UNITS: tl.constexpr, FEATURES: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """The gradients of a tile of synapses (to, from), summed over `share` rows."""
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    source = tl.program_id(1) * FEATURES + tl.arange(0, FEATURES)
    real, given = unit < H, source < F
    place, mask = unit[:, None] * F + source[None, :], real[:, None] & given[None, :]
    W, m = tl.load(w + place, mask=mask, other=0.0).to(C), tl.load(mu + place, mask=mask, other=0.0).to(C)
    s, e = tl.load(sigma + place, mask=mask, other=0.0).to(C), tl.load(erev + place, mask=mask, other=0.0).to(C)
    of_N, of_D, of_x, of_xv = tl.zeros_like(W), tl.zeros_like(W), tl.zeros_like(W), tl.zeros_like(W)
    for n in range(tl.minimum(share, M - tl.program_id(2) * share)):
        row = tl.program_id(2).to(tl.int64) * share + n
        dN = tl.load(grad + row * 2 * H + unit, mask=real, other=0.0).to(C)[:, None]
        dD = tl.load(grad + row * 2 * H + H + unit, mask=real, other=0.0).to(C)[:, None]
        v = tl.load(x + row * F + source, mask=given, other=0.0).to(C)[None, :]
        open = sigmoid(s * (v - m))
        dx = (e * dN + dD) * open * (1.0 - open)
        of_N += dN * open
        of_D += dD * open
        of_x += dx
        of_xv += dx * v
    out = of_synapse + tl.program_id(2).to(tl.int64) * 4 * H * F + place
    tl.store(out, e * of_N + of_D, mask=mask)
    tl.store(out + H * F, -s * W * of_x, mask=mask)
    tl.store(out + 2 * H * F, W * of_xv - m * W * of_x, mask=mask)
    tl.store(out + 3 * H * F, W * of_N, mask=mask)
