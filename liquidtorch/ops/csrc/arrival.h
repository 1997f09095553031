/* A sample that arrives: named values scaled by what has come of each, one step of a body, and what a readout sees. */
#ifndef ARRIVAL_H
#define ARRIVAL_H

#include "lanes.h"

typedef struct {
    int64_t n, C, O;                             /* values that came; channels; outputs of the body */
    const real *value;                           /* (n,) NaN: unknown */
    const int64_t *slot;                         /* (n,) the channel of each, no two alike */
    int64_t *count;                              /* (C,) of each channel, how many values there were, */
    real *mean, *square;                         /* (C,) their mean, and the sum of squared deviations from it */
    void (*advance)(const void *body, double dt); /* a step of csrc/step.h */
    const void *body;
    real *u;                                     /* (C,) what the body reads */
    const real *y;                               /* (O,) what it answers */
    real *z;                                     /* (O + C,) */
} Arrival;

#define ARRIVAL_CLIP ((real)5)

/* Take one more value of a channel, and return how many standard deviations it is from the mean. */
static real arrival_scaled(const Arrival *d, int64_t j, real value) {
    const real before = value - d->mean[j], count = (real)++d->count[j];
    d->mean[j] += before / count;
    const real off = value - d->mean[j];
    volatile real share = before * off; /* rounded before it is added, on every processor: online/channels.py does so */
    d->square[j] += share;
    if (!(d->square[j] > 0)) return 0;
    const real scaled = off / square_root(d->square[j] / count);
    return scaled > ARRIVAL_CLIP ? ARRIVAL_CLIP : scaled < -ARRIVAL_CLIP ? -ARRIVAL_CLIP : scaled;
}

/* Return how many values are known; or -1 where one is infinite, and nothing has changed. */
static int64_t arrival(const Arrival *d, double dt) {
    int64_t known = 0;
    for (int64_t i = 0; i < d->n; i++)
        if (__builtin_isinf(d->value[i])) return -1;
    for (int64_t j = 0; j < d->C; j++) d->u[j] = 0;
    for (int64_t i = 0; i < d->n; i++) {
        if (d->value[i] != d->value[i]) continue;
        d->u[d->slot[i]] = arrival_scaled(d, d->slot[i], d->value[i]);
        known++;
    }
    d->advance(d->body, dt);
    for (int64_t i = 0; i < d->O; i++) d->z[i] = d->y[i];
    for (int64_t j = 0; j < d->C; j++) d->z[d->O + j] = d->u[j];
    return known;
}

#endif
