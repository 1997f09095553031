/* One row of a committee: descents and Newton steps by turns, and their mixture, as ops/committee.py has it. */
#ifndef COMMITTEE_H
#define COMMITTEE_H

#include "newton.h"

enum { COMMITTEE_PAIRS = 2 };
typedef struct {
    int64_t F, K, pairs;                    /* features, classes; of members */
    const double *options;                  /* the rows over which errors count */
    const Descent *descent[COMMITTEE_PAIRS]; /* their z lie in this one's, their `told` one after the other in `told` */
    const Newton *newton[COMMITTEE_PAIRS];
    const real *z;                          /* (F,) */
    real *v, *wrong;                        /* (R,) of the mixture, R = 2 pairs; (R+1,) the errors lately */
    real *answer;                           /* (K,) out: the probabilities; after a row was learned one-hot y minus them */
    real *told, *logs, *shares, *total;     /* (R+1,K) of all, and of the mixture; (R,K); (R+1,); (R,): to work in */
    real *basis, *before;                   /* what all that is told follows from, now, and of what is told: of RK logits,
                                             * where members leave them, then P sharpnesses, v, wrong */
} Committee;

#define COMMITTEE_MIXING ((real)0.005)
#define COMMITTEE_TIE ((real)1e-9)
#define COMMITTEE_LEAST ((real)1e-4)

static void committee_mix(const Committee *d) {
    const int64_t R = 2 * d->pairs, K = d->K;
    real *mixed = d->told + R * K;
    for (int64_t k = 0; k < K; k++) mixed[k] = d->answer[k] = 0;
    for (int64_t r = 0; r < R; r++)
        for (int64_t k = 0; k < K; k++) {
            const real p = d->told[r * K + k];
            d->logs[r * K + k] = (real)__builtin_log((double)(p > COMMITTEE_LEAST ? p : COMMITTEE_LEAST));
            mixed[k] += d->v[r] * d->logs[r * K + k];
        }
    softmax(mixed, K, 1, mixed);
    for (int64_t r = 0; r <= R; r++) d->shares[r] = -d->wrong[r];
    softmax(d->shares, R + 1, 1, d->shares);
    for (int64_t r = 0; r <= R; r++)
        for (int64_t k = 0; k < K; k++) d->answer[k] += d->shares[r] * d->told[r * K + k];
}

/* Weigh members and mixture anew, by what they told of a row of class `truth`. */
static void committee_weigh(const Committee *d, int64_t truth) {
    const int64_t R = 2 * d->pairs, K = d->K;
    const real keep = (real)(1 - 1 / d->options[0]);
    for (int64_t r = 0; r <= R; r++) {
        const real *told = d->told + r * K;
        real best = told[0], slope = 0;
        for (int64_t k = 0; k < K; k++) {
            best = told[k] > best ? told[k] : best;
            if (r < R) slope += d->logs[r * K + k] * ((k == truth) - d->told[R * K + k]);
        }
        if (r < R) d->v[r] += COMMITTEE_MIXING * slope;
        d->wrong[r] = keep * d->wrong[r] + (told[truth] < best - COMMITTEE_TIE);
    }
    for (int64_t k = 0; k < K; k++) d->answer[k] = (k == truth) - d->answer[k];
}

/* Find what the answer follows from: logits and how sharp they are, and what members and mixture are weighed by; return how many. */
static int64_t committee_basis(const Committee *d) {
    const int64_t R = 2 * d->pairs, RK = R * d->K;
    real *after = d->basis + RK;
    for (int64_t i = 0; i < d->pairs; i++) {
        descent_logits(d->descent[i]);
        newton_logits(d->newton[i]);
        after[i] = d->descent[i]->state[2];
    }
    memcpy(after + d->pairs, d->v, (size_t)R * sizeof(real));
    memcpy(after + d->pairs + R, d->wrong, (size_t)(R + 1) * sizeof(real));
    return RK + d->pairs + 2 * R + 1;
}

/* Learn that z is of class y, or, for y < 0, only tell the probabilities. Return 0, and change nothing, where z is not
 * finite. What was told just before, of the same to the bit, is not found again. */
static int64_t committee_row(const Committee *d, double y) {
    if (!__builtin_isfinite(dot(d->z, d->z, d->F))) return 0;
    const size_t size = (size_t)committee_basis(d) * sizeof(real);
    if (memcmp(d->basis, d->before, size)) {
        for (int64_t i = 0; i < d->pairs; i++) {
            d->total[2 * i] = descent_tell(d->descent[i]);
            d->total[2 * i + 1] = newton_tell(d->newton[i]);
        }
        committee_mix(d);
        memcpy(d->before, d->basis, size);
    }
    if (y < 0) return 1;
    committee_weigh(d, (int64_t)y);
    for (int64_t i = 0; i < d->pairs; i++) {
        descent_learn(d->descent[i], (int64_t)y, d->total[2 * i]);
        newton_learn(d->newton[i], (int64_t)y, d->total[2 * i + 1]);
    }
    memset(d->before, 0xFF, size);
    return 1;
}

#endif
