/* Traces of dh/dtheta move along with a step and are summed to a gradient, as online/rules/traces.py has it. */
#ifndef TRACES_H
#define TRACES_H

#include "local.h"

typedef struct {
    const Local *local;
    const int64_t *first;          /* (H+1,) the rows of each owner; NULL: a unit has its own alone */
    const int32_t *unit, *own;     /* (rows,) whose trace each is; (H,) the row of each unit for itself */
    const int32_t *start;          /* (rows+1,) by what each row is moved beside its unit's leak: */
    const int32_t *column, *place; /* a row of its owner's, times a number of the jacobian */
    const uint8_t *alike;          /* (rows,) whether the TRACES_ROWS from this one on are moved by the same rows */
    const int32_t *itself;         /* (H,) the slot by which a unit feels itself, -1: it doesn't; NULL: none counts */
    real *x, *apart;               /* (rows,width) of 64 bits; (H,width) along the leak alone, or NULL */
    real *block;                   /* (rows of the owner with the most, width) to work in */
    const real *q;                 /* (H,) dL/dh */
    real *g;                       /* (H,width) out: sum of q dh/dtheta */
} Traces;

/* Rows (.,width) that become the sum over k of by[place[k]] times row row[k] of x, or row k; and, where `leak` is,
 * leak[unit] times what is `mine`. The places of one row come after those of the other. */
typedef struct {
    int64_t count, width;
    const real *by, *x, *leak, *mine;
    const int32_t *place, *row, *unit;
    real *to;
} Sum;

/* Registers are 32 or 16: so many vectors of one row, or of rows that are sums of the same, are summed at once. */
enum { TRACES_ROWS = 4, TRACES_LONG = 8, TRACES_WIDE = VECTOR > 32 ? 6 : 3 };

/* n vectors, from the number c on, of so many rows. */
INLINE void sum_vectors(const Sum *d, int64_t c, int rows, int n) {
    lanes sum[TRACES_ROWS][TRACES_LONG], by[TRACES_ROWS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < n; v++)
            sum[r][v] = d->leak ? d->leak[d->unit[r]] * load(d->mine + r * d->width + c + v * LANES) : all(0);
    for (int64_t k = 0; k < d->count; k++) {
        const real *from = d->x + (d->row ? d->row[k] : k) * d->width + c;
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) by[r] = all(d->by[d->place[r * d->count + k]]);
#pragma GCC unroll 8
        for (int v = 0; v < n; v++) {
            const lanes one = load(from + v * LANES);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) sum[r][v] += by[r] * one;
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < n; v++) store(d->to + r * d->width + c + v * LANES, sum[r][v]);
}

static void sum_row(const Sum *d) {
    for (int64_t c = 0; c < d->width; c += TRACES_LONG * LANES) {
        switch ((d->width - c) / LANES) {
            case 1: sum_vectors(d, c, 1, 1); break;
            case 2: sum_vectors(d, c, 1, 2); break;
            case 3: sum_vectors(d, c, 1, 3); break;
            case 4: sum_vectors(d, c, 1, 4); break;
            case 5: sum_vectors(d, c, 1, 5); break;
            case 6: sum_vectors(d, c, 1, 6); break;
            case 7: sum_vectors(d, c, 1, 7); break;
            default: sum_vectors(d, c, 1, TRACES_LONG);
        }
    }
}

static void sum_rows(const Sum *d) {
    for (int64_t c = 0; c < d->width; c += TRACES_WIDE * LANES) {
        switch ((d->width - c) / LANES) {
            case 1: sum_vectors(d, c, TRACES_ROWS, 1); break;
            case 2: sum_vectors(d, c, TRACES_ROWS, 2); break;
#if VECTOR > 32
            case 3: sum_vectors(d, c, TRACES_ROWS, 3); break;
            case 4: sum_vectors(d, c, TRACES_ROWS, 4); break;
            case 5: sum_vectors(d, c, TRACES_ROWS, 5); break;
#endif
            default: sum_vectors(d, c, TRACES_ROWS, TRACES_WIDE);
        }
    }
}

/* x = factor*x + i, along a unit's leak, and by the slot through which it feels itself. */
static void move_own(const Local *d, real *x, const int32_t *itself) {
    for (int64_t i = 0; i < d->H; i++) {
        const real loop = itself && itself[i] >= 0 ? d->jacobian[i * d->fan_h + itself[i]] : 0, by = d->leak[i] + loop;
        for (int64_t c = i * d->width; c < (i + 1) * d->width; c += LANES)
            store(x + c, by * load(x + c) + load(d->immediate + c));
    }
}

static void move_packed(const Traces *t) {
    const Local *d = t->local;
    const int64_t width = d->width;
    for (int64_t i = 0; i < d->H; i++) {
        const int64_t first = t->first[i], end = t->first[i + 1];
        memcpy(t->block, t->x + first * width, (size_t)((end - first) * width) * sizeof(real));
        for (int64_t r = first; r < end; r += t->alike[r] ? TRACES_ROWS : 1) {
            const int64_t s = t->start[r];
            (t->alike[r] ? sum_rows : sum_row)(&(Sum){
                .count = t->start[r + 1] - s, .width = width, .to = t->x + r * width,
                .by = d->jacobian, .place = t->place + s, .x = t->block, .row = t->column + s,
                .leak = d->leak, .unit = t->unit + r, .mine = t->block + (r - first) * width,
            });
        }
        add_times(t->x + t->own[i] * width, 1, d->immediate + i * width, width);
    }
}

/* A step of the time dt, from the state and the input in `read`; the state after it is in `after`. */
static void traces_step(const Traces *t, double dt) {
    const Local *d = t->local;
    local_begin(d);
    for (int64_t r = 0; r < d->repeats; r++) {
        local_part(d, (real)(dt / (double)d->repeats));
        memcpy(d->read, d->after, (size_t)d->H * sizeof(real));
        if (t->first)
            move_packed(t);
        else
            move_own(d, t->x, t->itself);
        if (t->apart) move_own(d, t->apart, 0);
    }
}

/* Sum the gradient for q. */
static void traces_gradient(const Traces *t) {
    const Local *d = t->local;
    const int64_t width = d->width;
    for (int64_t i = 0; i < d->H; i++) {
        if (t->first) {
            const int64_t r = t->first[i];
            sum_row(&(Sum){
                .count = t->first[i + 1] - r, .width = width, .to = t->g + i * width,
                .by = t->q, .place = t->unit + r, .x = t->x + r * width,
            });
        } else
            for (int64_t c = i * width; c < (i + 1) * width; c += LANES) store(t->g + c, t->q[i] * load(t->x + c));
    }
    local_chain(d, t->g);
}

#endif
