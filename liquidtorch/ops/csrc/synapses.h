/* The conductances that features open in LTC units: no recurrence, so every row of (B*T) stands alone. */
#ifndef SYNAPSES_H
#define SYNAPSES_H

#include "ltc.h"

enum { CHUNK = 16 }; /* tiles whose synapses' gradients are summed before they are written */

typedef struct {
    int64_t M, F, H, S;                /* rows (B*T), features, units, synapses */
    const real *x;                     /* (M,F) */
    const int32_t *start, *source;     /* (H+1,), (S,) */
    const int64_t *place;              /* (S,) where a synapse stands in the next four */
    const real *w, *mu, *sigma, *erev; /* (H,F) */
    real *u;                           /* (M,2H) out: N beside D */
    const real *grad_u;                /* (M,2H) */
    real *grad_x;                      /* (M,F) out, or NULL */
    real *grad_synapse;                /* (chunks,4,S) out: of w, mu, sigma, erev */
} Synapses;

static int64_t synapses_scratch(const Synapses *d) { return LANES * (2 * d->F + 2 * d->H + 4 * d->S) + 8 * d->S; }

static void synapses_forward(const Synapses *d, int64_t chunk, lanes *scratch) {
    lanes *x = scratch, *u = x + d->F;
    Synapse *synapse = (Synapse *)(u + 2 * d->H);
    prepare(d->S, d->place, d->w, d->mu, d->sigma, d->erev, synapse);
    for (int64_t tile = chunk * CHUNK; tile < (chunk + 1) * CHUNK && tile * LANES < d->M; tile++) {
        const int64_t first = tile * LANES, count = d->M - first < LANES ? d->M - first : LANES;
        read_rows(d->x + first * d->F, d->F, count, d->F, x);
        for (int64_t i = 0; i < d->H; i++) {
            lanes N = {0}, D = {0};
            for (int32_t s = d->start[i]; s < d->start[i + 1]; s++) {
                lanes open = sigmoid_of_power(synapse[s].a * x[d->source[s]] + synapse[s].b);
                N += synapse[s].we * open;
                D += synapse[s].w * open;
            }
            u[i] = N;
            u[d->H + i] = D;
        }
        write_rows(d->u + first * 2 * d->H, 2 * d->H, count, 2 * d->H, u);
    }
}

static void synapses_backward(const Synapses *d, int64_t chunk, lanes *scratch) {
    lanes *x = scratch, *grad_x = x + d->F, *g = grad_x + d->F;
    Sums *sums = (Sums *)(g + 2 * d->H);
    Synapse *synapse = (Synapse *)(sums + d->S);
    prepare(d->S, d->place, d->w, d->mu, d->sigma, d->erev, synapse);
    memset(sums, 0, (size_t)d->S * sizeof(Sums));
    for (int64_t tile = chunk * CHUNK; tile < (chunk + 1) * CHUNK && tile * LANES < d->M; tile++) {
        const int64_t first = tile * LANES, count = d->M - first < LANES ? d->M - first : LANES;
        read_rows(d->x + first * d->F, d->F, count, d->F, x);
        read_rows(d->grad_u + first * 2 * d->H, 2 * d->H, count, 2 * d->H, g);
        memset(grad_x, 0, (size_t)d->F * sizeof(lanes));
        for (int64_t i = 0; i < d->H; i++) {
            lanes dN = g[i], dD = g[d->H + i];
            for (int32_t s = d->start[i]; s < d->start[i + 1]; s++) {
                lanes v = x[d->source[s]], open = sigmoid_of_power(synapse[s].a * v + synapse[s].b);
                lanes dx = (synapse[s].erev * dN + dD) * (open - open * open);
                sums[s].N += dN * open;
                sums[s].D += dD * open;
                sums[s].x += dx;
                sums[s].xv += dx * v;
                grad_x[d->source[s]] += (synapse[s].sigma * synapse[s].w) * dx;
            }
        }
        if (d->grad_x) write_rows(d->grad_x + first * d->F, d->F, count, d->F, grad_x);
    }
    write_synapse_grads(d->S, sums, synapse, d->grad_synapse + chunk * 4 * d->S);
}

#endif
