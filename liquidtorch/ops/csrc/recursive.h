/* One row of recursive least squares by a square root of the covariance, as ops/recursive.py has it. */
#ifndef RECURSIVE_H
#define RECURSIVE_H

#include "product.h"

typedef struct {
    int64_t F, O, C;                      /* features, outputs, covariances */
    double forgetting, refill;            /* a row's weight one row later; what the prior gets back at one place */
    const real *z, *y;                    /* (F,); (O,), NaN: unknown */
    const int64_t *group;                 /* (O,) the covariance of each output */
    int64_t *rows;                        /* (C,) how many rows each has taken */
    real *error, *weight, *bias, *factor; /* (O,); (O,F); (O,); (C,M,M), M = F+1 */
    real *along, *gain;                   /* (M,) each, to work in */
} Recursive;

INLINE real square_root(real x) { return (real)__builtin_sqrt((double)x); }

static real dot(const real *x, const real *y, int64_t n) {
    lanes sum = {0}, other = {0};
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        sum += load(x + i) * load(y + i);
        other += load(x + i + LANES) * load(y + i + LANES);
    }
    for (; i < n; i += LANES) sum += load_part(x + i, n - i) * load_part(y + i, n - i);
    return sum_lanes(sum + other);
}

/* y += a x */
static void add_times(real *y, real a, const real *x, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) store_part(y + i, load_part(y + i, n - i) + a * load_part(x + i, n - i), n - i);
}

/* P <- P - P z z' P / (noise + z'Pz), with along = S' z; gain = P z / (noise + z'Pz). Potter's update. */
static void observe(real *S, int64_t M, const real *along, real noise, real *gain) {
    const real spread = noise + dot(along, along, M), step = 1 / (spread + square_root(noise * spread));
    for (int64_t i = 0; i < M; i++) {
        const real g = dot(S + i * M, along, M);
        add_times(S + i * M, -g * step, along, M);
        gain[i] = g / spread;
    }
}

static int known_in(const Recursive *d, int64_t c) {
    for (int64_t o = 0; o < d->O; o++)
        if (d->group[o] == c && d->error[o] == d->error[o]) return 1;
    return 0;
}

static void recursive_row(const Recursive *d, double importance) {
    const int64_t F = d->F, M = F + 1;
    for (int64_t o = 0; o < d->O; o++) d->error[o] = d->y[o] - (dot(d->weight + o * F, d->z, F) + d->bias[o]);
    for (int64_t c = 0; c < d->C; c++) {
        real *S = d->factor + c * M * M, *last = S + F * M;
        const real noise = (real)(d->forgetting / importance);
        if (!known_in(d, c)) continue;
        const int fresh = __builtin_isinf(last[F]);
        for (int64_t j = 0; j < M; j++) d->along[j] = last[j]; /* the infinite one of a fresh bias is not read */
        for (int64_t i = 0; i < F; i++) add_times(d->along, d->z[i], S + i * M, M);
        if (fresh) { /* nothing is known of the bias: it takes all of the error */
            for (int64_t j = 0; j < M; j++) last[j] = j < F ? -d->along[j] : square_root(noise), d->gain[j] = j == F;
        } else observe(S, M, d->along, noise, d->gain);
        for (int64_t o = 0; o < d->O; o++)
            if (d->group[o] == c && d->error[o] == d->error[o]) {
                add_times(d->weight + o * F, d->error[o], d->gain, F);
                d->bias[o] += d->error[o] * d->gain[F];
            }
        if (d->forgetting < 1) {
            const real up = 1 / square_root((real)d->forgetting);
            for (int64_t i = 0; i < M * M; i += LANES) store_part(S + i, up * load_part(S + i, M * M - i), M * M - i);
            memcpy(d->along, S + d->rows[c] % F * M, (size_t)M * sizeof(real));
            observe(S, M, d->along, (real)(1 / d->refill), d->gain);
        }
        d->rows[c]++;
    }
}

#endif
