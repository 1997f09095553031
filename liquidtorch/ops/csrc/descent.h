/* One row of a classifier: a normalised step down the likelihood, as ops/descent.py has it. */
#ifndef DESCENT_H
#define DESCENT_H

#include "recursive.h"

typedef struct {
    int64_t F, K;           /* features, classes */
    const double *options;  /* rate, decay */
    const real *z;          /* (F,) */
    const uint8_t *live;    /* (F,) 0: the slot is closed */
    real *weight, *bias;    /* (K,F); (K,) */
    real *means, *state;    /* (3,F) rows, mean of z and of z^2; (3,) rows, mean of log sum exp, sharpness */
    real *told;             /* (K,) out: the probabilities; after a step one-hot y minus them */
    real *seen, *p, *logit; /* (F,), (K,), (K,) to work in */
} Descent;

enum { DESCENT_MEMORY = 1000 };
#define DESCENT_SLOW ((real)0.01)

/* p = softmax(sharpness * logit); return the log of the sum of exp. */
static real softmax(const real *logit, int64_t K, real sharpness, real *p) {
    real high = logit[0], sum = 0;
    for (int64_t k = 1; k < K; k++) high = logit[k] > high ? logit[k] : high;
    for (int64_t k = 0; k < K; k += LANES) {
        const lanes e = exp_of(sharpness * (load_part(logit + k, K - k) - high));
        store_part(p + k, e, K - k);
    }
    for (int64_t k = 0; k < K; k++) sum += p[k];
    for (int64_t k = 0; k < K; k++) p[k] /= sum;
    return sharpness * high + (real)__builtin_log((double)sum);
}

/* One row more, and the mean of what was told over the last of them. */
INLINE void remember(real *state, real total) {
    state[0] += 1;
    state[1] += (total - state[1]) / (state[0] < DESCENT_MEMORY ? state[0] : DESCENT_MEMORY);
}

static void descent_logits(const Descent *d) {
    for (int64_t i = 0; i < d->F; i++) d->seen[i] = d->live[i] ? d->z[i] : 0;
    for (int64_t k = 0; k < d->K; k++) d->logit[k] = dot(d->weight + k * d->F, d->seen, d->F) + d->bias[k];
}

/* Tell the probabilities, and return the log of the sum of exp. */
static real descent_tell(const Descent *d) { return softmax(d->logit, d->K, d->state[2], d->told); }

/* Learn that what was told of is of class `truth`. */
static void descent_learn(const Descent *d, int64_t truth, real total) {
    const int64_t F = d->F, K = d->K;
    real *count = d->means, *mean = count + F, *square = mean + F, slope = 0, high = d->logit[0], low = high;
    softmax(d->logit, K, 1, d->p);
    const real step = (real)d->options[0] / (1 + dot(d->seen, d->seen, F)), keep = 1 - (real)d->options[1];
    for (int64_t k = 0; k < K; k++) {
        const real error = (k == truth) - d->p[k];
        d->told[k] = (k == truth) - d->told[k];
        slope += d->told[k] * d->logit[k];
        high = d->logit[k] > high ? d->logit[k] : high;
        low = d->logit[k] < low ? d->logit[k] : low;
        add_times(d->weight + k * F, step * error, d->seen, F);
        if (keep < 1)
            for (int64_t i = 0; i < F; i++) d->weight[k * F + i] *= keep;
        d->bias[k] += step * error;
    }
    d->state[2] *= 1 + DESCENT_SLOW * slope / (1 + d->state[2] * (high - low));
    remember(d->state, total);
    for (int64_t i = 0; i < F; i++) {
        if (!d->live[i]) continue;
        count[i] += 1;
        const real new = 1 / (count[i] < DESCENT_MEMORY ? count[i] : DESCENT_MEMORY), z = d->seen[i];
        mean[i] += new * (z - mean[i]);
        square[i] += new * (z * z - square[i]);
    }
}

/* Learn that z is of class y, or, for y < 0, only tell the probabilities. */
static void descent_row(const Descent *d, double y) {
    descent_logits(d);
    const real total = descent_tell(d);
    if (y >= 0) descent_learn(d, (int64_t)y, total);
}

#endif
