/* Leaky, Liquid and CfC over a sequence where most synapses exist: units in the lanes, a few rows at a time.
 *
 * A step is a chain of dense maps from the state to the heads, `points.h`, and what is kept for the backward pass. The
 * chain has one map (u + W h) or, for CfC with a backbone, 1 + layers (an activation between them). */
#ifndef DENSE_H
#define DENSE_H

#include <math.h>

#include "points.h"
#include "product.h"
#include "rows.h"

enum { MAPS = 8, TILE = 8 }; /* the longest chain; rows that one call of dense_* advances together */
enum { TANH, LECUN_TANH, RELU, SILU, GELU };

typedef struct {
    Rows rows;
    int64_t kind, carry, Z, maps;    /* of points.h; width of the backbone; 1 + its layers */
    int64_t activation;              /* what follows every map but the last */
    const real *u;                   /* (B,T,first map's width) */
    const real *pace, *A, *w;        /* (H,); A and w only for CFC_PURE */
    const real *packed[MAPS];        /* every map's weights, from pack or, to go back, pack_back */
    const real *bias[MAPS];          /* of every map but the first, whose is in u */
    real *kept;                      /* (B,T,heads*H) out, or NULL: what point_backward needs */
    real *value, *slope;             /* (maps-1,B,T,Z): the activations and their derivatives; NULL as kept */
    real *grad_map[MAPS];            /* out: the gradient of every map's result; of the first it is that of u */
    real *grad_own;                  /* out: (tiles,3,H), the slopes of pace, A and w, a part a tile */
} Dense;

INLINE int64_t rows_of_tile(const Dense *d, int64_t tile) { return d->rows.B - tile * TILE < TILE ? d->rows.B - tile * TILE : TILE; }
INLINE int64_t heads_width(const Dense *d) { return heads_of((int)d->kind, (int)d->carry) * padded(d->rows.H); }

/* How many numbers dense_forward and dense_backward need to work in. */
static int64_t dense_scratch(const Dense *d) {
    return TILE * (2 * heads_width(d) + 3 * padded(d->rows.H) + 3 * padded(d->Z)) + 3 * padded(d->rows.H);
}

static void copy_part(real *to, const real *from, int64_t n) { memcpy(to, from, (size_t)n * sizeof(real)); }

/* value <- activation(value), and its derivative. */
static void activate(int64_t activation, real *value, real *slope, int64_t width) {
    for (int64_t i = 0; i < width; i += LANES) {
        lanes x = load(value + i), y = x, dy = all(1);
        if (activation == TANH) {
            y = tanh_of(x);
            dy = 1 - y * y;
        } else if (activation == LECUN_TANH) {
            lanes e = tanh_of((real)0.666 * x);
            y = (real)1.7159 * e;
            dy = (real)(1.7159 * 0.666) * (1 - e * e);
        } else if (activation == RELU) {
            y = only(~(x <= 0), x); /* a NaN stays one */
            dy = only(~(x <= 0), dy);
        } else if (activation == SILU) {
            lanes s = sigmoid_of(x);
            y = x * s;
            dy = s * (1 + x * (1 - s));
        } else {
            for (int l = 0; l < LANES; l++) {
                real half = (real)0.5 * (1 + (real)erf((double)x[l] * 0.70710678118654752440));
                y[l] = x[l] * half;
                dy[l] = half + x[l] * (real)(exp(-0.5 * (double)x[l] * (double)x[l]) * 0.39894228040143267794);
            }
        }
        store(value + i, y);
        store(slope + i, dy);
    }
}

INLINE Own own_of(const Dense *d, int64_t i) {
    int64_t n = d->rows.H - i;
    if (d->kind != CFC_PURE) return (Own){load_part(d->pace + i, n), {0}, {0}};
    return (Own){load_part(d->pace + i, n), load_part(d->A + i, n), load_part(d->w + i, n)};
}

/* One row's units through points.h: z (heads, padded H) in, h in and out. */
INLINE void row_forward(const int kind, const int carry, const Dense *d, real dt, const real *z, const real *leak, real *h, real *kept) {
    const int heads = heads_of(kind, carry);
    const int64_t H = d->rows.H, width = padded(H);
    for (int64_t i = 0; i < width; i += LANES) {
        lanes head[HEADS];
        for (int k = 0; k < heads; k++) head[k] = load(z + k * width + i);
        store(h + i, point_forward(kind, carry, head, load(h + i), all(dt), own_of(d, i), load(leak + i)));
        if (kept)
            for (int k = 0; k < heads; k++) store_part(kept + k * H + i, head[k], H - i);
    }
}

/* Return the row's gradient of dt; g becomes that of the state before, z the heads' gradients. */
INLINE real row_backward(const int kind, const int carry, const Dense *d, real dt, const real *kept, const real *h, const real *leak, real *g, real *z, real *own) {
    const int heads = heads_of(kind, carry);
    const int64_t H = d->rows.H, width = padded(H);
    lanes ddt = {0};
    for (int64_t i = 0; i < width; i += LANES) {
        lanes head[HEADS];
        for (int k = 0; k < heads; k++) head[k] = load_part(kept + k * H + i, H - i);
        Slope s = {load(own + i), load(own + width + i), load(own + 2 * width + i), ddt};
        lanes before = h ? load_part(h + i, H - i) : (lanes){0};
        store(g + i, point_backward(kind, carry, head, load(g + i), before, all(dt), own_of(d, i), load(leak + i), &s));
        ddt = s.dt;
        store(own + i, s.pace);
        store(own + width + i, s.A);
        store(own + 2 * width + i, s.w);
        for (int k = 0; k < heads; k++) store(z + k * width + i, head[k]);
    }
    return sum_lanes(ddt);
}

/* Keep `leak` true for this dt, which seldom changes from step to step. */
static void follow_dt(const Dense *d, real dt, real *last, real *leak) {
    if (d->kind > LEAKY_EULER || dt == *last) return;
    *last = dt;
    for (int64_t i = 0; i < padded(d->rows.H); i += LANES)
        store(leak + i, leak_of((int)d->kind, all(dt), load_part(d->pace + i, d->rows.H - i)));
}

/* The heads of every row in z, from its state: the chain of maps. Activations of live rows are kept where asked. */
static void run_chain(const Dense *d, int64_t tile, int64_t t, int64_t rows, const real *h, real *hidden, real *z) {
    const int64_t first = tile * TILE, T = d->rows.T, Z = d->Z, wide = padded(Z);
    const int heads = heads_of((int)d->kind, (int)d->carry);
    const real *x = h;
    int64_t x_row = padded(d->rows.H), depth = d->rows.H;
    real *spare = hidden + TILE * wide;
    for (int m = 0; m < d->maps; m++) {
        const int last = m == d->maps - 1;
        const int64_t groups = last ? heads : 1, n = last ? d->rows.H : Z, pad = padded(n), row = groups * pad;
        real *to = last ? z : m % 2 ? spare : hidden;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t g = 0; g < groups; g++) {
                const real *from = m ? d->bias[m] : d->u + ((first + r) * T + t) * groups * n;
                copy_part(to + r * row + g * pad, from + g * n, n);
                memset(to + r * row + g * pad + n, 0, (size_t)(pad - n) * sizeof(real));
            }
        product(rows, x, x_row, d->packed[m], depth, to, row, row);
        if (last) return;
        for (int64_t r = 0; r < rows; r++) {
            real *slope = z; /* free until the last map */
            activate(d->activation, to + r * row, slope, row);
            if (d->value) {
                int64_t at = ((m * d->rows.B + first + r) * T + t) * Z;
                copy_part(d->value + at, to + r * row, Z);
                copy_part(d->slope + at, slope, Z);
            }
        }
        x = to;
        x_row = row;
        depth = Z;
    }
}

static void dense_forward(const Dense *d, int64_t tile, real *scratch) {
    const int64_t rows = rows_of_tile(d, tile), first = tile * TILE, T = d->rows.T, H = d->rows.H, pad = padded(H);
    const int64_t width = heads_width(d), all_heads = heads_of((int)d->kind, (int)d->carry) * H;
    real *h = scratch, *leak = h + TILE * pad, *z = leak + TILE * pad, *hidden = z + TILE * (width > padded(d->Z) ? width : padded(d->Z));
    real last[TILE];
    int64_t longest = 0;
    memset(scratch, 0, (size_t)(2 * TILE * pad) * sizeof(real));
    for (int64_t r = 0; r < rows; r++) {
        copy_part(h + r * pad, d->rows.h0 + (first + r) * H, H);
        last[r] = -1;
        if (ends(&d->rows, first + r) > longest) longest = ends(&d->rows, first + r);
    }
    for (int64_t t = 0; t < longest; t++) {
        for (int64_t r = 0; r < rows; r++)
            if (t < ends(&d->rows, first + r) && starts_anew(&d->rows, first + r, t)) memset(h + r * pad, 0, (size_t)pad * sizeof(real));
        run_chain(d, tile, t, rows, h, hidden, z);
        for (int64_t r = 0; r < rows; r++) {
            const int64_t at = (first + r) * T + t;
            if (t < ends(&d->rows, first + r)) {
                real dt = d->rows.dt[at], *kept = d->kept ? d->kept + at * all_heads : 0;
                follow_dt(d, dt, last + r, leak + r * pad);
#define CALL(kind, carry) row_forward(kind, carry, d, dt, z + r * width, leak + r * pad, h + r * pad, kept)
                EACH_KIND(CALL)
#undef CALL
            }
            copy_part(d->rows.h + at * H, h + r * pad, H);
        }
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t t = longest; t < T; t++) copy_part(d->rows.h + ((first + r) * T + t) * H, h + r * pad, H);
}

/* Back through the chain: z, the gradient of the heads of every row, is added to g through the weights. */
static void run_chain_back(const Dense *d, int64_t tile, int64_t t, int64_t rows, const real *z, real *hidden, real *g) {
    const int64_t first = tile * TILE, T = d->rows.T, Z = d->Z, wide = padded(Z);
    const real *dz = z;
    int64_t dz_row = heads_width(d);
    for (int m = (int)d->maps - 1; m > 0; m--) {
        real *to = hidden + (m % 2) * TILE * wide;
        memset(to, 0, (size_t)(rows * wide) * sizeof(real));
        product(rows, dz, dz_row, d->packed[m], dz_row, to, wide, wide);
        for (int64_t r = 0; r < rows; r++) {
            const int64_t at = (first + r) * T + t;
            const int live = t < ends(&d->rows, first + r);
            const real *slope = d->slope + ((m - 1) * d->rows.B * T + at) * Z;
            for (int64_t i = 0; i < Z; i += LANES) {
                lanes x = live ? load(to + r * wide + i) * load_part(slope + i, Z - i) : (lanes){0};
                store(to + r * wide + i, x);
                store_part(d->grad_map[m - 1] + at * Z + i, x, Z - i);
            }
        }
        dz = to;
        dz_row = wide;
    }
    product(rows, dz, dz_row, d->packed[0], dz_row, g, padded(d->rows.H), padded(d->rows.H));
}

static void dense_backward(const Dense *d, int64_t tile, real *scratch) {
    const int64_t rows = rows_of_tile(d, tile), first = tile * TILE, T = d->rows.T, H = d->rows.H, pad = padded(H);
    const int heads = heads_of((int)d->kind, (int)d->carry);
    const int64_t width = heads * pad;
    real *g = scratch, *own = g + TILE * pad, *leak = own + 3 * pad, *z = leak + TILE * pad, *hidden = z + TILE * width;
    real last[TILE];
    memset(scratch, 0, (size_t)(2 * TILE * pad + 3 * pad) * sizeof(real));
    for (int64_t r = 0; r < rows; r++) last[r] = -1;
    for (int64_t t = T - 1; t >= 0; t--) {
        for (int64_t r = 0; r < rows; r++) {
            const int64_t b = first + r, at = b * T + t;
            for (int64_t i = 0; i < pad; i += LANES)
                store(g + r * pad + i, load(g + r * pad + i) + load_part(d->rows.grad_h + at * H + i, H - i));
            real *heads_out = d->grad_map[d->maps - 1] + at * heads * H;
            if (t >= ends(&d->rows, b)) {
                memset(z + r * width, 0, (size_t)width * sizeof(real));
                memset(heads_out, 0, (size_t)(heads * H) * sizeof(real));
                if (d->rows.grad_dt) d->rows.grad_dt[at] = 0;
                continue;
            }
            const real *before = starts_anew(&d->rows, b, t) ? 0 : t ? d->rows.h + (at - 1) * H : d->rows.h0 + b * H;
            const real *kept = d->kept + at * heads * H;
            real dt = d->rows.dt[at], ddt = 0;
            follow_dt(d, dt, last + r, leak + r * pad);
#define CALL(kind, carry) ddt = row_backward(kind, carry, d, dt, kept, before, leak + r * pad, g + r * pad, z + r * width, own)
            EACH_KIND(CALL)
#undef CALL
            if (d->rows.grad_dt) d->rows.grad_dt[at] = ddt;
            for (int k = 0; k < heads; k++) copy_part(heads_out + k * H, z + r * width + k * pad, H);
        }
        run_chain_back(d, tile, t, rows, z, hidden, g);
        for (int64_t r = 0; r < rows; r++)
            if (t < ends(&d->rows, first + r) && starts_anew(&d->rows, first + r, t)) memset(g + r * pad, 0, (size_t)pad * sizeof(real));
    }
    for (int64_t r = 0; r < rows; r++) copy_part(d->rows.grad_h0 + (first + r) * H, g + r * pad, H);
    for (int k = 0; k < 3; k++) copy_part(d->grad_own + (tile * 3 + k) * H, own + k * pad, H);
}

#endif
