/* A step down the gradient that traces give, as online/optimizers.py has Adam. */
#ifndef LEARNING_H
#define LEARNING_H

#include "traces.h"

typedef struct {
    int64_t size, names;                       /* numbers that are learned; parameters they are of */
    const int64_t *end;                        /* (names,) where those of each end */
    real *const *parameter;                    /* (names,) */
    const int32_t *place;                      /* (size,) in its parameter */
    real *mean, *square, *fade, *fade_square;  /* (size,) */
    const double *options;                     /* two betas, eps, the largest norm of a gradient */
    real *move;                                /* (size,) in: the gradient; out: how far each was moved */
} Adam;

static void adam_step(const Adam *d, double rate) {
    const real beta = (real)d->options[0], beta2 = (real)d->options[1], eps = (real)d->options[2];
    const real norm = square_root(dot(d->move, d->move, d->size)), most = (real)d->options[3];
    const real shrink = norm + (real)1e-6 > most ? most / (norm + (real)1e-6) : 1;
    real *restrict move = d->move, *restrict mean = d->mean, *restrict square = d->square;
    real *restrict fade = d->fade, *restrict fade_square = d->fade_square;
    for (int64_t i = 0; i < d->size; i++) {
        const real g = shrink * move[i];
        mean[i] += (1 - beta) * (g - mean[i]);
        square[i] = beta2 * square[i] + (1 - beta2) * g * g;
        fade[i] *= beta;
        fade_square[i] *= beta2;
        move[i] = (real)rate * mean[i] / ((square_root(square[i] / (1 - fade_square[i])) + eps) * (1 - fade[i]));
    }
    int64_t i = 0;
    for (int64_t n = 0; n < d->names; n++)
        for (; i < d->end[n]; i++) d->parameter[n][d->place[i]] -= move[i];
}

typedef struct {
    const Traces *traces;
    const Adam *adam;
    const int32_t *slot; /* (size,) where each number that is learned is in theta */
    real *theta;         /* that of the traces' cell */
} Learning;

/* Go one step down the gradient for the q that the traces have. */
static void learning_step(const Learning *d, double rate) {
    traces_gradient(d->traces);
    for (int64_t i = 0; i < d->adam->size; i++) d->adam->move[i] = d->traces->g[d->slot[i]];
    adam_step(d->adam, rate);
    for (int64_t i = 0; i < d->adam->size; i++) d->theta[d->slot[i]] -= d->adam->move[i];
}

#endif
