/* Leaky, Liquid and CfC over a sequence where few synapses exist: rows in the lanes, synapses in the loop. A synapse
 * that is not there costs nothing. Units may be swept, each reading what those before it have just become. */
#ifndef WIRED_H
#define WIRED_H

#include "points.h"
#include "rows.h"

typedef struct {
    Rows rows;
    int64_t kind, carry, S;
    const real *u;                /* (B,T,heads*H) */
    const real *pace, *A, *w;     /* (H,); A and w only for CFC_PURE */
    const int32_t *order;         /* (H,) the units as they are swept */
    const int32_t *start;         /* (H+1,) a unit's synapses are start[i] to start[i+1] */
    const int32_t *source;        /* (S,) the unit j it reads as it was, or H+j: as it has just become */
    const real *weight;           /* (S,heads) */
    lanes *kept;                  /* (tiles,T,H,heads) out, or NULL */
    real *grad_u;                 /* (B,T,heads*H) out */
    real *grad_own, *grad_weight; /* (tiles,3,H), (tiles,S,heads) out */
} Wired;

INLINE Own own_of_unit(const Wired *d, int64_t i) {
    if (d->kind != CFC_PURE) return (Own){all(d->pace[i]), {0}, {0}};
    return (Own){all(d->pace[i]), all(d->A[i]), all(d->w[i])};
}

static int64_t wired_scratch(const Wired *d) {
    const int64_t heads = heads_of((int)d->kind, (int)d->carry), H = d->rows.H;
    return LANES * ((4 + heads) * H + 3 * H + d->S * heads);
}

/* state (2H): the units as they were, then as they become. z (heads*H) in, kept (H,heads) out. */
INLINE void wired_step(const int kind, const int carry, const Wired *d, lanes dt, lanes *state, const lanes *z, lanes *kept) {
    const int heads = heads_of(kind, carry);
    const int64_t H = d->rows.H;
    for (int64_t n = 0; n < H; n++) {
        const int64_t i = d->order[n];
        lanes head[HEADS];
        for (int k = 0; k < heads; k++) head[k] = z[k * H + i];
        for (int32_t s = d->start[i]; s < d->start[i + 1]; s++) {
            lanes x = state[d->source[s]];
            for (int k = 0; k < heads; k++) head[k] += d->weight[s * heads + k] * x;
        }
        Own own = own_of_unit(d, i);
        lanes leak = kind <= LEAKY_EULER ? leak_of(kind, dt, own.pace) : (lanes){0};
        state[H + i] = point_forward(kind, carry, head, state[i], dt, own, leak);
        for (int k = 0; kept && k < heads; k++) kept[i * heads + k] = head[k];
    }
}

/* grad (2H): of the units as they were, then as they become; the second half is used up. z out: the heads' gradients. */
INLINE lanes wired_step_back(
    const int kind, const int carry, const Wired *d, lanes dt, const lanes *state, const lanes *kept, lanes *grad,
    lanes *z, lanes *own_grad, lanes *weight_grad
) {
    const int heads = heads_of(kind, carry);
    const int64_t H = d->rows.H;
    lanes ddt = {0};
    for (int64_t n = H - 1; n >= 0; n--) {
        const int64_t i = d->order[n];
        lanes head[HEADS];
        for (int k = 0; k < heads; k++) head[k] = kept[i * heads + k];
        Own own = own_of_unit(d, i);
        lanes leak = kind <= LEAKY_EULER ? leak_of(kind, dt, own.pace) : (lanes){0};
        Slope slope = {own_grad[i], own_grad[H + i], own_grad[2 * H + i], ddt};
        grad[i] += point_backward(kind, carry, head, grad[H + i], state[i], dt, own, leak, &slope);
        ddt = slope.dt;
        own_grad[i] = slope.pace;
        own_grad[H + i] = slope.A;
        own_grad[2 * H + i] = slope.w;
        for (int k = 0; k < heads; k++) z[k * H + i] = head[k];
        for (int32_t s = d->start[i]; s < d->start[i + 1]; s++) {
            lanes x = state[d->source[s]], back = grad[d->source[s]];
            for (int k = 0; k < heads; k++) {
                back += d->weight[s * heads + k] * head[k];
                weight_grad[s * heads + k] += head[k] * x;
            }
            grad[d->source[s]] = back;
        }
    }
    return ddt;
}

static void wired_forward(const Wired *d, int64_t tile, lanes *scratch) {
    const Rows *rows = &d->rows;
    const Tile at = tile_of(rows, tile);
    const int64_t T = rows->T, H = rows->H, heads = heads_of((int)d->kind, (int)d->carry);
    lanes *state = scratch, *z = state + 2 * H;
    read_state(rows, at, 0, state);
    for (int64_t t = 0; t < T; t++) {
        if (t < at.longest) {
            mask live = live_rows(rows, at, t);
            lanes dt = dt_of(rows, at, t), *kept = d->kept ? d->kept + (tile * T + t) * heads * H : 0;
            clear_rows(fresh_rows(rows, at, t), state, H);
            read_rows(d->u + (at.first * T + t) * heads * H, T * heads * H, at.count, heads * H, z);
#define CALL(kind, carry) wired_step(kind, carry, d, dt, state, z, kept)
            EACH_KIND(CALL)
#undef CALL
            for (int64_t i = 0; i < H; i++) state[i] = choose(live, state[H + i], state[i]);
        }
        write_state(rows, at, t, state);
    }
}

static void wired_backward(const Wired *d, int64_t tile, lanes *scratch) {
    const Rows *rows = &d->rows;
    const Tile at = tile_of(rows, tile);
    const int64_t T = rows->T, H = rows->H, S = d->S, heads = heads_of((int)d->kind, (int)d->carry);
    lanes *state = scratch, *grad = state + 2 * H, *z = grad + 2 * H, *own = z + heads * H, *weight = own + 3 * H;
    memset(scratch, 0, (size_t)wired_scratch(d) * sizeof(real));
    for (int64_t t = T - 1; t >= 0; t--) {
        mask live = live_rows(rows, at, t), fresh = fresh_rows(rows, at, t);
        lanes ddt = {0};
        read_rows(rows->grad_h + (at.first * T + t) * H, T * H, at.count, H, z);
        for (int64_t i = 0; i < H; i++) {
            lanes g = grad[i] + z[i];
            grad[i] = only(~live, g);
            grad[H + i] = only(live, g);
        }
        if (t < at.longest) {
            read_state(rows, at, t, state);
            clear_rows(fresh, state, H);
            read_rows(rows->h + (at.first * T + t) * H, T * H, at.count, H, state + H);
#define CALL(kind, carry) \
    ddt = wired_step_back(kind, carry, d, dt_of(rows, at, t), state, d->kept + (tile * T + t) * heads * H, grad, z, own, weight)
            EACH_KIND(CALL)
#undef CALL
            clear_rows(fresh, grad, H);
        } else {
            memset(z, 0, (size_t)(heads * H) * sizeof(lanes));
        }
        write_rows(d->grad_u + (at.first * T + t) * heads * H, T * heads * H, at.count, heads * H, z);
        write_dt(rows, at, t, ddt);
    }
    write_rows(rows->grad_h0 + at.first * H, H, at.count, H, grad);
    for (int64_t i = 0; i < 3 * H; i++) d->grad_own[tile * 3 * H + i] = sum_lanes(own[i]);
    for (int64_t i = 0; i < S * heads; i++) d->grad_weight[tile * S * heads + i] = sum_lanes(weight[i]);
}

#endif
