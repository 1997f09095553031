/* One row, one step, as a running device calls it: nothing to set up, the lanes over units or over synapses. */
#ifndef STEP_H
#define STEP_H

#include "dense.h"
#include "echo.h"
#include "scan.h"
#include "synapses.h"
#include "wired.h"

/* x (F) -> u (padded(width)): W packed as one group, b (width) or NULL. */
static void project(const real *x, int64_t F, const real *packed, const real *b, int64_t width, real *u) {
    for (int64_t i = 0; i < padded(width); i += LANES) store(u + i, b ? load_part(b + i, width - i) : (lanes){0});
    product(1, x, F, packed, F, u, 0, padded(width));
}

/* `dense`, or `wired` where units are swept, has B = T = 1, and h0 and h at the same place: the state. */
typedef struct {
    int64_t F, width;
    const real *x, *packed, *b; /* (F,); W_x packed; (width,) or NULL */
    real *u, *dt, *scratch;     /* padded(width) and 1 numbers, which `dense` or `wired` reads; theirs to work in */
    const Dense *dense;
    const Wired *wired;
} GatedStep;

static void gated_step(const GatedStep *d, double dt) {
    project(d->x, d->F, d->packed, d->b, d->width, d->u);
    *d->dt = (real)dt;
    if (d->dense) dense_forward(d->dense, 0, d->scratch);
    else wired_forward(d->wired, 0, (lanes *)d->scratch);
}

typedef struct {
    int64_t F, H, kind;
    const real *x, *packed, *b, *rate; /* (F,); the maps of f, (k,) A packed; their biases; (H,) 1/tau */
    real *u, *h;                       /* padded(parts*H); (H,): the state */
} ScanStep;

static void scan_step_one(const ScanStep *d, double dt) {
    const int64_t H = d->H, parts = d->kind == LINEAR ? 2 : 3;
    project(d->x, d->F, d->packed, d->b, parts * H, d->u);
    for (int64_t i = 0; i < H; i += LANES) {
        lanes h = load_part(d->h + i, H - i), rate = load_part(d->rate + i, H - i);
        h = d->kind == LINEAR ? scan_step(LINEAR, d->u, H, i, h, all((real)dt), rate) : scan_step(MOBIUS, d->u, H, i, h, all((real)dt), rate);
        store_part(d->h + i, h, H - i);
    }
}

/* The synapses of all units in one row of numbers, padded to whole vectors with w = 0. */
typedef struct {
    int64_t S;
    const int32_t *start, *source;
    const real *a, *b, *w, *we;
    real *D, *N; /* (padded(S),) scratch: each synapse's share */
} List;

typedef struct {
    int64_t F, H, unfolds;
    List features, units;
    const real *x;                 /* (F,) */
    const real *gleak, *gv, *cm;   /* (H,): gv = gleak*vleak */
    real *h, *above, *below;       /* (H,): the state; and scratch: what the features and the leak add */
} LTCStep;

INLINE void open_synapses(const List *d, const real *v) {
    for (int64_t s = 0; s < d->S; s += LANES) {
        lanes open = sigmoid_of_power(load(d->a + s) * load_at(v, d->source + s) + load(d->b + s));
        store(d->D + s, load(d->w + s) * open);
        store(d->N + s, load(d->we + s) * open);
    }
}

INLINE void sum_synapses(const List *d, int64_t i, real *N, real *D) {
    for (int32_t s = d->start[i]; s < d->start[i + 1]; s++) {
        *N += d->N[s];
        *D += d->D[s];
    }
}

static void ltc_step_one(const LTCStep *d, double dt) {
    const real s_dt = (real)(dt / (double)d->unfolds);
    open_synapses(&d->features, d->x);
    for (int64_t i = 0; i < d->H; i++) {
        d->above[i] = d->gv[i];
        d->below[i] = d->gleak[i];
        sum_synapses(&d->features, i, d->above + i, d->below + i);
    }
    for (int64_t k = 0; k < d->unfolds; k++) {
        open_synapses(&d->units, d->h);
        for (int64_t i = 0; i < d->H; i++) {
            real N = d->above[i], D = d->below[i];
            sum_synapses(&d->units, i, &N, &D);
            d->h[i] = (d->cm[i] * d->h[i] + s_dt * N) / (d->cm[i] + s_dt * D);
        }
    }
}

/* `echo` has B = T = 1, and h0 and h at the same place: the state. */
typedef struct {
    int64_t F;
    const real *x, *packed, *b; /* (F,); W_x packed; (H,) */
    real *u, *dt, *scratch;     /* padded(H) and 1 numbers, which `echo` reads; its own to work in */
    const Echo *echo;
} EchoStep;

static void echo_step_one(const EchoStep *d, double dt) {
    project(d->x, d->F, d->packed, d->b, d->echo->rows.H, d->u);
    *d->dt = (real)dt;
    echo_row_forward(d->echo, 0, d->scratch);
}

#endif
