/* LTC: conductance synapses, K semi-implicit unfolds a step; rows in the lanes, synapses in the loop (Hasani 2021, eq. 1
 * and 3). The backward pass runs each step again from the stored state, so that memory does not grow with K*T. */
#ifndef LTC_H
#define LTC_H

#include "rows.h"

typedef struct {
    Rows rows;
    int64_t S, unfolds;
    const real *u;                      /* (B,T,2H): N beside D of the features */
    const int32_t *start, *source;      /* (H+1,), (S,): a unit's synapses are start[i] to start[i+1] */
    const int64_t *place;               /* (S,) where a synapse stands in the next four */
    const real *w, *mu, *sigma, *erev;  /* (H,H) */
    const real *gleak, *vleak, *cm;     /* (H,) */
    real *grad_u;                       /* (B,T,2H) out */
    real *grad_synapse;                 /* (tiles,4,S) out: of w, mu, sigma, erev */
    real *grad_unit;                    /* (tiles,3,H) out: of gleak, vleak, cm */
} LTC;

/* A synapse as the loop reads it: 2^(a*v + b) is exp(-sigma*(v - mu)). */
typedef struct {
    real a, b, w, we, mu, sigma, erev, spare;
} Synapse;

static void prepare(
    int64_t S, const int64_t *place, const real *w, const real *mu, const real *sigma, const real *erev, Synapse *synapse
) {
    for (int64_t s = 0; s < S; s++) {
        const int64_t at = place[s];
        real a = -sigma[at] * LOG2E;
        synapse[s] = (Synapse){a, -a * mu[at], w[at], w[at] * erev[at], mu[at], sigma[at], erev[at], 0};
    }
}

/* The sums of the synapses' gradients over time, from which those of w, mu, sigma and erev follow at the end. */
typedef struct {
    lanes N, D, x, xv; /* of dN*s, dD*s, dx, dx*v, where s = sigmoid(x) and dx lacks the factor w */
} Sums;

static void write_synapse_grads(int64_t S, const Sums *sums, const Synapse *synapse, real *out) {
    for (int64_t s = 0; s < S; s++) {
        const Synapse p = synapse[s];
        real N = sum_lanes(sums[s].N), D = sum_lanes(sums[s].D), x = sum_lanes(sums[s].x), xv = sum_lanes(sums[s].xv);
        out[s] = p.erev * N + D;
        out[S + s] = -p.sigma * p.w * x;
        out[2 * S + s] = p.w * (xv - p.mu * x);
        out[3 * S + s] = p.w * N;
    }
}

static int64_t ltc_scratch(const LTC *d) {
    const int64_t H = d->rows.H, K = d->unfolds, S = d->S;
    return LANES * (8 * H + 4 * S + (K + 1) * H + 4 * K * H + K * S) + 8 * S;
}

/* One unfold: v (H) -> after (H), with what leaves the sums N and D of every unit (H,2), and every sigmoid (S), if asked. */
INLINE void unfold(const LTC *d, const Synapse *synapse, const lanes *u, lanes s_dt, const lanes *v, lanes *after, lanes *ND, lanes *sigmoid) {
    const int64_t H = d->rows.H;
    for (int64_t i = 0; i < H; i++) {
        lanes N = d->gleak[i] * d->vleak[i] + u[i], D = d->gleak[i] + u[H + i];
        for (int32_t s = d->start[i]; s < d->start[i + 1]; s++) {
            lanes open = sigmoid_of_power(synapse[s].a * v[d->source[s]] + synapse[s].b);
            N += synapse[s].we * open;
            D += synapse[s].w * open;
            if (sigmoid) sigmoid[s] = open;
        }
        after[i] = (d->cm[i] * v[i] + s_dt * N) / (d->cm[i] + s_dt * D);
        if (ND) {
            ND[2 * i] = N;
            ND[2 * i + 1] = D;
        }
    }
}

static void ltc_forward(const LTC *d, int64_t tile, lanes *scratch) {
    const Rows *rows = &d->rows;
    const Tile at = tile_of(rows, tile);
    const int64_t T = rows->T, H = rows->H;
    lanes *v = scratch, *ping = v + H, *pong = ping + H, *u = pong + H;
    Synapse *synapse = (Synapse *)(u + 2 * H);
    prepare(d->S, d->place, d->w, d->mu, d->sigma, d->erev, synapse);
    read_state(rows, at, 0, v);
    for (int64_t t = 0; t < T; t++) {
        if (t < at.longest) {
            mask live = live_rows(rows, at, t);
            lanes s_dt = dt_of(rows, at, t) / (real)d->unfolds;
            clear_rows(fresh_rows(rows, at, t), v, H);
            read_rows(d->u + (at.first * T + t) * 2 * H, T * 2 * H, at.count, 2 * H, u);
            lanes *from = v, *to = ping;
            for (int64_t k = 0; k < d->unfolds; k++) {
                unfold(d, synapse, u, s_dt, from, to, 0, 0);
                from = to;
                to = from == ping ? pong : ping;
            }
            for (int64_t i = 0; i < H; i++) v[i] = choose(live, from[i], v[i]);
        }
        write_state(rows, at, t, v);
    }
}

/* Where the backward pass keeps one step: v (K+1,H), sums ND (K,H,2), sigmoids (K,S), and gradients of N, D (K,H,2). */
typedef struct {
    lanes *v, *ND, *sigmoid, *grad_ND;
} Step;

/* One unfold back: g (H) holds the gradient of v[k+1] and is left with that of v[k]. Returns that of s_dt. */
INLINE lanes unfold_back(const LTC *d, const Synapse *synapse, Step step, int64_t k, lanes s_dt, lanes *g, lanes *before, lanes *grad_u, lanes *grad_unit) {
    const int64_t H = d->rows.H;
    const lanes *v = step.v + k * H, *after = v + H, *ND = step.ND + k * 2 * H, *sigmoid = step.sigmoid + k * d->S;
    lanes *grad_ND = step.grad_ND + k * 2 * H, d_s_dt = {0};
    for (int64_t i = 0; i < H; i++) before[i] = (lanes){0};
    for (int64_t i = 0; i < H; i++) {
        lanes above = g[i] / (d->cm[i] + s_dt * ND[2 * i + 1]), below = -above * after[i];
        lanes dN = above * s_dt, dD = below * s_dt;
        d_s_dt += above * ND[2 * i] + below * ND[2 * i + 1];
        before[i] += above * d->cm[i];
        grad_ND[2 * i] = dN;
        grad_ND[2 * i + 1] = dD;
        grad_u[i] += dN;
        grad_u[H + i] += dD;
        grad_unit[i] += dN * d->vleak[i] + dD;
        grad_unit[H + i] += dN * d->gleak[i];
        grad_unit[2 * H + i] += above * v[i] + below;
        for (int32_t s = d->start[i]; s < d->start[i + 1]; s++) {
            lanes open = sigmoid[s], back = synapse[s].we * dN + synapse[s].w * dD;
            before[d->source[s]] += synapse[s].sigma * (back * (open - open * open));
        }
    }
    for (int64_t i = 0; i < H; i++) g[i] = before[i];
    return d_s_dt;
}

/* The synapses' sums over all unfolds of one step, each synapse read and written once. */
INLINE void gather(const LTC *d, const Synapse *synapse, Step step, Sums *sums) {
    const int64_t H = d->rows.H, K = d->unfolds;
    for (int64_t i = 0; i < H; i++)
        for (int32_t s = d->start[i]; s < d->start[i + 1]; s++) {
            Sums sum = sums[s];
            for (int64_t k = 0; k < K; k++) {
                lanes open = step.sigmoid[k * d->S + s];
                lanes dN = step.grad_ND[(k * H + i) * 2], dD = step.grad_ND[(k * H + i) * 2 + 1];
                lanes dx = (synapse[s].erev * dN + dD) * (open - open * open);
                sum.N += dN * open;
                sum.D += dD * open;
                sum.x += dx;
                sum.xv += dx * step.v[k * H + d->source[s]];
            }
            sums[s] = sum;
        }
}

static void ltc_backward(const LTC *d, int64_t tile, lanes *scratch) {
    const Rows *rows = &d->rows;
    const Tile at = tile_of(rows, tile);
    const int64_t T = rows->T, H = rows->H, K = d->unfolds, S = d->S;
    lanes *g = scratch, *idle = g + H, *before = idle + H, *u = before + H, *grad_unit = u + 2 * H;
    Sums *sums = (Sums *)(grad_unit + 3 * H);
    Step step = {.v = (lanes *)(sums + S)};
    step.ND = step.v + (K + 1) * H;
    step.grad_ND = step.ND + K * 2 * H;
    step.sigmoid = step.grad_ND + K * 2 * H;
    Synapse *synapse = (Synapse *)(step.sigmoid + K * S);
    prepare(S, d->place, d->w, d->mu, d->sigma, d->erev, synapse);
    memset(scratch, 0, (size_t)(8 * H + 4 * S) * sizeof(lanes));
    for (int64_t t = T - 1; t >= 0; t--) {
        mask live = live_rows(rows, at, t), fresh = fresh_rows(rows, at, t);
        lanes d_s_dt = {0};
        read_rows(rows->grad_h + (at.first * T + t) * H, T * H, at.count, H, before);
        for (int64_t i = 0; i < H; i++) { /* the gradient of a row that has ended waits for its last live step */
            idle[i] = only(~live, g[i] + before[i]);
            g[i] = only(live, g[i] + before[i]);
        }
        if (t < at.longest) {
            lanes s_dt = dt_of(rows, at, t) / (real)K;
            read_state(rows, at, t, step.v);
            clear_rows(fresh, step.v, H);
            read_rows(d->u + (at.first * T + t) * 2 * H, T * 2 * H, at.count, 2 * H, u);
            for (int64_t k = 0; k < K; k++)
                unfold(d, synapse, u, s_dt, step.v + k * H, step.v + (k + 1) * H, step.ND + k * 2 * H, step.sigmoid + k * S);
            memset(u, 0, (size_t)(2 * H) * sizeof(lanes)); /* from here on its gradient */
            for (int64_t k = K - 1; k >= 0; k--) d_s_dt += unfold_back(d, synapse, step, k, s_dt, g, before, u, grad_unit);
            gather(d, synapse, step, sums);
            clear_rows(fresh, g, H);
        } else {
            memset(u, 0, (size_t)(2 * H) * sizeof(lanes));
        }
        for (int64_t i = 0; i < H; i++) g[i] += idle[i];
        write_rows(d->grad_u + (at.first * T + t) * 2 * H, T * 2 * H, at.count, 2 * H, u);
        write_dt(rows, at, t, d_s_dt / (real)K);
    }
    write_rows(rows->grad_h0 + at.first * H, H, at.count, H, g);
    write_synapse_grads(S, sums, synapse, d->grad_synapse + tile * 4 * S);
    for (int64_t i = 0; i < 3 * H; i++) d->grad_unit[tile * 3 * H + i] = sum_lanes(grad_unit[i]);
}

#endif
