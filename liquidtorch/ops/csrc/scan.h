/* Linear and Mobius over a sequence: units feel only themselves, so a step is a line of arithmetic on (H,), bound by
 * memory; units in the lanes, one row after the other. */
#ifndef SCAN_H
#define SCAN_H

#include "rows.h"

enum { LINEAR, MOBIUS };

typedef struct {
    Rows rows;
    int64_t kind;
    const real *u, *rate;     /* (B,T,2H): the maps of f, A; or (B,T,3H): of f, k, A. rate (H,) is 1/tau */
    real *grad_u, *grad_rate; /* out: as u; (B,H), a part a row */
} Scan;

static int64_t scan_scratch(const Scan *d) { return 2 * (d->rows.H + LANES); }

INLINE int64_t parts_of(const Scan *d) { return d->kind == LINEAR ? 2 : 3; }

INLINE lanes scan_step(const int kind, const real *u, int64_t H, int64_t i, lanes h, lanes dt, lanes rate) {
    const int64_t n = H - i;
    lanes f = softplus_of(load_part(u + i, n)).value;
    if (kind == LINEAR) {
        lanes fall = exp_minus_one(-dt * (1 + f) * rate);
        return (1 + fall) * h - fall * (f * inverse(1 + f)) * tanh_of(load_part(u + H + i, n));
    }
    lanes c = f + softplus_of(load_part(u + H + i, n)).value * (1 + h), s = dt * rate;
    return (h + s * c * tanh_of(load_part(u + 2 * H + i, n))) / (1 + s * (1 + c));
}

INLINE lanes scan_step_back(
    const int kind, const real *u, int64_t H, int64_t i, lanes h, lanes dt, lanes rate, lanes g, real *du, lanes *drate, lanes *ddt
) {
    const int64_t n = H - i;
    Softplus soft = softplus_of(load_part(u + i, n));
    lanes f = soft.value;
    if (kind == LINEAR) {
        lanes A = tanh_of(load_part(u + H + i, n)), below = inverse(1 + f), share = f * below;
        lanes fall = exp_minus_one(-dt * (1 + f) * rate), keep = 1 + fall;
        lanes dr = g * (share * A - h) * keep; /* r = dt*(1+f)*rate */
        store_part(du + i, (dr * dt * rate - g * fall * A * below * below) * soft.slope, n);
        store_part(du + H + i, -g * fall * share * (1 - A * A), n);
        *drate += dr * dt * (1 + f);
        *ddt += dr * (1 + f) * rate;
        return g * keep;
    }
    Softplus soft_k = softplus_of(load_part(u + H + i, n));
    lanes k = soft_k.value, A = tanh_of(load_part(u + 2 * H + i, n));
    lanes c = f + k * (1 + h), s = dt * rate, below = 1 / (1 + s * (1 + c));
    lanes up = g * below, down = -up * ((h + s * c * A) * below);
    lanes dc = s * (up * A + down), ds = up * c * A + down * (1 + c);
    store_part(du + i, dc * soft.slope, n);
    store_part(du + H + i, dc * (1 + h) * soft_k.slope, n);
    store_part(du + 2 * H + i, up * s * c * (1 - A * A), n);
    *drate += ds * dt;
    *ddt += ds * rate;
    return up + dc * k;
}

INLINE void scan_row(const int kind, const Scan *d, int64_t b, real *h) {
    const Rows *rows = &d->rows;
    const int64_t T = rows->T, H = rows->H, U = parts_of(d) * H, end = ends(rows, b);
    memcpy(h, rows->h0 + b * H, (size_t)H * sizeof(real));
    for (int64_t t = 0; t < T; t++) {
        real *out = rows->h + (b * T + t) * H;
        if (t < end) {
            const real *u = d->u + (b * T + t) * U;
            lanes dt = all(rows->dt[b * T + t]);
            if (starts_anew(rows, b, t)) memset(h, 0, (size_t)H * sizeof(real));
            for (int64_t i = 0; i < H; i += LANES) {
                lanes after = scan_step(kind, u, H, i, load_part(h + i, H - i), dt, load_part(d->rate + i, H - i));
                store_part(h + i, after, H - i);
                store_part(out + i, after, H - i);
            }
        } else {
            memcpy(out, h, (size_t)H * sizeof(real));
        }
    }
}

INLINE void scan_row_back(const int kind, const Scan *d, int64_t b, real *g, real *drate) {
    const Rows *rows = &d->rows;
    const int64_t T = rows->T, H = rows->H, U = parts_of(d) * H, end = ends(rows, b);
    memset(g, 0, (size_t)H * sizeof(real));
    memset(drate, 0, (size_t)H * sizeof(real));
    for (int64_t t = T - 1; t >= 0; t--) {
        const int64_t at = b * T + t;
        const int fresh = starts_anew(rows, b, t), live = t < end;
        const real *before = fresh ? 0 : t ? rows->h + (at - 1) * H : rows->h0 + b * H;
        lanes dt = all(rows->dt[at]), ddt = {0};
        for (int64_t i = 0; i < H; i += LANES) {
            const int64_t n = H - i;
            lanes now = load_part(g + i, n) + load_part(rows->grad_h + at * H + i, n);
            if (live) {
                lanes slope = load_part(drate + i, n), h = before ? load_part(before + i, n) : (lanes){0};
                now = scan_step_back(kind, d->u + at * U, H, i, h, dt, load_part(d->rate + i, n), now, d->grad_u + at * U, &slope, &ddt);
                store_part(drate + i, slope, n);
                if (fresh) now = (lanes){0};
            }
            store_part(g + i, now, n);
        }
        if (!live) memset(d->grad_u + at * U, 0, (size_t)U * sizeof(real));
        if (rows->grad_dt) rows->grad_dt[at] = sum_lanes(ddt);
    }
    memcpy(rows->grad_h0 + b * H, g, (size_t)H * sizeof(real));
    memcpy(d->grad_rate + b * H, drate, (size_t)H * sizeof(real));
}

static void scan_forward(const Scan *d, int64_t row, real *scratch) {
    if (d->kind == LINEAR) scan_row(LINEAR, d, row, scratch);
    else scan_row(MOBIUS, d, row, scratch);
}

static void scan_backward(const Scan *d, int64_t row, real *scratch) {
    if (d->kind == LINEAR) scan_row_back(LINEAR, d, row, scratch, scratch + d->rows.H + LANES);
    else scan_row_back(MOBIUS, d, row, scratch, scratch + d->rows.H + LANES);
}

#endif
