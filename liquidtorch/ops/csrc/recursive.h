/* One row of recursive least squares by a square root of the covariance, as ops/recursive.py has it. */
#ifndef RECURSIVE_H
#define RECURSIVE_H

#include "product.h"

typedef struct {
    int64_t F, O, C;                      /* features, outputs, covariances */
    const double *options;                /* what a row counts one row later; the penalty of the prior */
    const real *z, *y;                    /* (F,); (O,), NaN: unknown */
    const int64_t *group;                 /* (O,) the covariance of each output */
    int64_t *rows;                        /* (C,) how many rows each has taken */
    real *error, *weight, *bias, *factor; /* (O,); (O,F); (O,); (C,M,M), M = F+1 */
    real *along, *back, *gain;            /* (M,) each, to work in */
} Recursive;

/* Two equations for one root of a covariance, P = S S', taken in while S is read once: Potter's update by `first`; S
 * times `up`; and, where `both`, Potter's update by `second`. Each is S' times what its equation weighs the numbers with,
 * for `second` of the S that the first update leaves. */
typedef struct {
    const real *first, *second;  /* (M,) */
    real spread, step, up, next; /* noise + first'first; 1 / (spread + root(noise * spread)), of the second: next */
    real across;                 /* first'second */
} Equations;

INLINE real step_of(real spread, real noise) { return 1 / (spread + square_root(noise * spread)); }

/* `rows` rows of S, and their gains: P z / spread of the first equation. */
INLINE void observe_rows(real *S, int64_t M, int64_t rows, const Equations *e, int both, real *gain) {
    lanes one[LANES] = {{0}}, two[LANES] = {{0}};
    real a[LANES], b[LANES];
    for (int64_t j = 0; j < M; j += LANES) {
        const lanes first = load_part(e->first + j, M - j), second = both ? load_part(e->second + j, M - j) : first;
#pragma GCC unroll 16
        for (int64_t r = 0; r < rows; r++) {
            const lanes s = load_part(S + r * M + j, M - j);
            one[r] += s * first;
            if (both) two[r] += s * second;
        }
    }
    const lanes along = sums_of(one), down = along * e->step;
    store_part(gain, along / e->spread, rows);
    store(a, down * e->up);
    if (both) store(b, (sums_of(two) - down * e->across) * (e->up * e->next));
    for (int64_t j = 0; j < M; j += LANES) {
        const lanes first = load_part(e->first + j, M - j), second = both ? load_part(e->second + j, M - j) : first;
#pragma GCC unroll 16
        for (int64_t r = 0; r < rows; r++) {
            lanes s = e->up * load_part(S + r * M + j, M - j) - a[r] * first;
            if (both) s -= b[r] * second;
            store_part(S + r * M + j, s, M - j);
        }
    }
}

INLINE void observe_all(real *S, int64_t M, const Equations *e, int both, real *gain) {
    int64_t i = 0;
    for (; i + LANES <= M; i += LANES) observe_rows(S + i * M, M, LANES, e, both, gain + i);
    if (i < M) observe_rows(S + i * M, M, M - i, e, both, gain + i);
}

/* along = S' [z, 1]: LANES rows at a time, so that it is not stored for each. */
static void weigh(const real *S, const real *z, int64_t F, real *along) {
    const int64_t M = F + 1;
    int64_t i = 0;
    memcpy(along, S + F * M, (size_t)M * sizeof(real));
    for (; i + LANES <= F; i += LANES)
        for (int64_t j = 0; j < M; j += LANES) {
            lanes sum = load_part(along + j, M - j);
#pragma GCC unroll 16
            for (int64_t r = i; r < i + LANES; r++) sum += z[r] * load_part(S + r * M + j, M - j);
            store_part(along + j, sum, M - j);
        }
    for (; i < F; i++) add_times(along, z[i], S + i * M, M);
}

static int known_in(const Recursive *d, int64_t c) {
    for (int64_t o = 0; o < d->O; o++)
        if (d->group[o] == c && d->error[o] == d->error[o]) return 1;
    return 0;
}

/* Learn the error of each output of the covariance c, from a row that counts `importance` times. */
static void recursive_learn(const Recursive *d, int64_t c, double importance) {
    const int64_t F = d->F, M = F + 1;
    real *S = d->factor + c * M * M, *last = S + F * M;
    const double forgetting = d->options[0];
    const real noise = (real)(forgetting / importance);
    const int fresh = __builtin_isinf(last[F]), both = forgetting < 1;
    Equations e = {d->along, d->back, 1, 0, 1, 0, 0};
    weigh(S, d->z, F, d->along);
    if (fresh) { /* nothing is known of the bias: it takes all of the error, and with a step of 0 the first changes nothing */
        d->along[F] = 0;
        for (int64_t j = 0; j < M; j++) last[j] = j < F ? -d->along[j] : square_root(noise);
    } else {
        e.spread = noise + dot(d->along, d->along, M);
        e.step = step_of(e.spread, noise);
    }
    if (both) { /* the prior comes back at one place: a weight is told to be what it is */
        const real *row = S + d->rows[c] % F * M, told = (real)(1 / ((1 - __builtin_pow(forgetting, (double)F)) * d->options[1]));
        e.up = 1 / square_root((real)forgetting);
        const real left = -dot(row, d->along, M) * e.step * e.up;
        for (int64_t j = 0; j < M; j++) d->back[j] = e.up * row[j] + left * d->along[j];
        e.across = dot(d->along, d->back, M);
        e.next = step_of(told + dot(d->back, d->back, M), told);
        observe_all(S, M, &e, 1, d->gain);
    } else observe_all(S, M, &e, 0, d->gain);
    if (fresh)
        for (int64_t j = 0; j < M; j++) d->gain[j] = j == F;
    for (int64_t o = 0; o < d->O; o++)
        if (d->group[o] == c && d->error[o] == d->error[o]) {
            add_times(d->weight + o * F, d->error[o], d->gain, F);
            d->bias[o] += d->error[o] * d->gain[F];
        }
    d->rows[c]++;
}

static void recursive_row(const Recursive *d, double importance) {
    const int64_t F = d->F;
    for (int64_t o = 0; o < d->O; o++) d->error[o] = d->y[o] - (dot(d->weight + o * F, d->z, F) + d->bias[o]);
    for (int64_t c = 0; c < d->C; c++)
        if (known_in(d, c)) recursive_learn(d, c, importance);
}

#endif
