/* One row of a classifier: a Newton step on the likelihood, as ops/newton.py has it. */
#ifndef NEWTON_H
#define NEWTON_H

#include "descent.h"

typedef struct {
    Recursive root;             /* of its logits; one covariance; `error` is to work in, `y` is not read */
    real *state, *told, *logit; /* (2,) rows, mean of log sum exp; (K,) out, as Descent's; (K,) to work in */
    double importance;          /* how often the row counts */
} Newton;

#define NEWTON_FLAT ((real)0.02)

static void newton_logits(const Newton *d) {
    const Recursive *r = &d->root;
    for (int64_t k = 0; k < r->O; k++) d->logit[k] = dot(r->weight + k * r->F, r->z, r->F) + r->bias[k];
}

/* Tell the probabilities, and return the log of the sum of exp. */
static real newton_tell(const Newton *d) { return softmax(d->logit, d->root.O, 1, d->told); }

/* Learn that what was told of is of class `truth`. */
static void newton_learn(const Newton *d, int64_t truth, real total) {
    const int64_t K = d->root.O;
    real curvature = 0;
    for (int64_t k = 0; k < K; k++) {
        curvature += d->told[k] * (1 - d->told[k]) / 2;
        d->told[k] = (k == truth) - d->told[k];
    }
    curvature = curvature > NEWTON_FLAT ? curvature : NEWTON_FLAT;
    for (int64_t k = 0; k < K; k++) d->root.error[k] = d->told[k] / (2 * curvature);
    remember(d->state, total);
    recursive_learn(&d->root, 0, d->importance * (double)curvature);
}

/* Learn that z is of class y, or, for y < 0, only tell the probabilities. */
static void newton_row(const Newton *d, double y) {
    newton_logits(d);
    const real total = newton_tell(d);
    if (y >= 0) newton_learn(d, (int64_t)y, total);
}

#endif
