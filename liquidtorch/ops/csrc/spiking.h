/* A liquid of spiking units, a row after the other: the membranes with units in the lanes, and of the synapses only those
 * of units that have spiked.
 *
 * Currents wait in a window of slots of 2H numbers, those that excite beside those that inhibit: the first slot is the
 * current now, slot k what arrives in k substeps. The window moves along a strip twice as long and is brought back to
 * its start when it reaches the end, so that a synapse adds to its place in the window with no modulo. */
#ifndef SPIKING_H
#define SPIKING_H

#include "lanes.h"

#define TICK ((real)1e-3) /* of a refractory period or a substep: what is shorter is rounding */

typedef struct {
    int64_t B, T, H, L, K, W, U; /* L traces, K substeps of delay, W numbers of a row's state, U = H: u are currents, 2H: charges */
    const real *u, *h0, *dt;     /* (B,T,U), (B,W), (B,T) */
    const int64_t *lengths;      /* (B,) or NULL */
    const uint8_t *reset;        /* (B,T) or NULL */
    const real *fresh;           /* (W,): the state after a reset */
    const real *tau, *tau_syn, *tau_trace, *refractory; /* (H,), (2,), (L,), (H,) */
    const real *membrane;        /* threshold, potential after a spike, bias */
    const int32_t *first, *place; /* (2H+1,), (S,) */
    const real *weight;          /* (S,) */
    const real *substep;         /* (1,) or NULL */
    const real *adaptation;      /* (2,) or NULL: what a spike adds to the threshold, and its time constant */
    const real *plasticity;      /* (3,2H) or NULL: U, D, F */
    real *out;                   /* (B, T*L*H + W) */
} Spiking;

/* A row's state, as the tensors of it lie side by side, then what follows from dt alone. */
typedef struct {
    real *v, *rest, *trace, *adapted, *use, *left, *phase, *window, *strip;
    real *lost, *reach[2], *pace, *use_kept, *left_kept; /* (H,), (H,), (H,), (2H,), (2H,) */
    real *trace_kept, *spike;                            /* (L,), and (H,) of this step */
    int32_t *spiked;                                     /* the units whose is not 0 */
    real kept[2], adapted_kept, dt;                      /* of the currents, and of what is added to the threshold */
} Liquid;

INLINE int64_t strip_of(const Spiking *d) { return (d->K ? 2 * (d->K + 1) : 1) * 2 * d->H; }
INLINE int64_t before_window(const Spiking *d) { return d->W - (d->K + 1) * 2 * d->H; }

static int64_t spiking_scratch(const Spiking *d) { return before_window(d) + strip_of(d) + 10 * d->H + d->L; }

static Liquid liquid_of(const Spiking *d, real *scratch) {
    const int64_t H = d->H;
    Liquid a = {.v = scratch, .rest = scratch + H, .trace = scratch + 2 * H, .dt = -1};
    real *next = a.trace + d->L * H;
    a.adapted = next, next += d->adaptation ? H : 0;
    a.use = next, next += d->plasticity ? 2 * H : 0;
    a.left = next, next += d->plasticity ? 2 * H : 0;
    a.phase = next, next += d->K ? 1 : 0;
    a.strip = a.window = next, next += strip_of(d);
    a.lost = next, a.reach[0] = next + H, a.reach[1] = next + 2 * H, a.pace = next + 3 * H;
    a.use_kept = next + 4 * H, a.left_kept = next + 6 * H;
    a.spike = next + 8 * H, a.trace_kept = next + 9 * H, a.spiked = (int32_t *)(a.trace_kept + d->L);
    return a;
}

static void set_state(const Spiking *d, Liquid *a, const real *h) {
    memcpy(a->v, h, (size_t)before_window(d) * sizeof(real));
    memset(a->strip, 0, (size_t)strip_of(d) * sizeof(real));
    a->window = a->strip;
    memcpy(a->window, h + before_window(d), (size_t)((d->K + 1) * 2 * d->H) * sizeof(real));
}

static real kept(real dt, real tau) { return exp_of(all(-dt / tau))[0]; }

/* What a current of 1 with its own time constant leaves of potential after dt (reference.reach). */
INLINE lanes reach(lanes s, lanes s_syn) {
    lanes slow = choose(s_syn < s, s_syn, s), apart = absolute(s_syn - s);
    lanes share = choose(apart > 0, -exp_minus_one(-apart) / choose(apart > 0, apart, all(1)), all(1));
    return s * exp_of(-slow) * share;
}

static void set_dt(const Spiking *d, Liquid *a, real dt) {
    const int64_t H = d->H;
    a->dt = dt;
    for (int k = 0; k < 2; k++) a->kept[k] = kept(dt, d->tau_syn[k]);
    for (int64_t l = 0; l < d->L; l++) a->trace_kept[l] = kept(dt, d->tau_trace[l]);
    if (d->adaptation) a->adapted_kept = kept(dt, d->adaptation[1]);
    for (int64_t i = 0; i < H; i += LANES) {
        int64_t n = H - i;
        lanes s = all(dt) / (load_part(d->tau + i, n)), period = load_part(d->refractory + i, n);
        store_part(a->lost + i, -exp_minus_one(-s), n);
        for (int k = 0; k < 2; k++) store_part(a->reach[k] + i, reach(s, all(dt / d->tau_syn[k])), n);
        store_part(a->pace + i, all(dt) / at_least(period, (real)1e-30), n);
    }
    for (int64_t i = 0; d->plasticity && i < 2 * H; i += LANES) {
        int64_t n = 2 * H - i;
        store_part(a->left_kept + i, exp_of(-dt / load_part(d->plasticity + 2 * H + i, n)), n);
        store_part(a->use_kept + i, exp_of(-dt / load_part(d->plasticity + 4 * H + i, n)), n);
    }
}

/* n units from i on: integrate, spike, decay. A NaN counts as a spike of NaN, so that it is seen, and spreads. */
INLINE void membranes(const Spiking *d, const Liquid *a, const real *u, int64_t i, int64_t n) {
    const int64_t H = d->H;
    const lanes after = all(d->membrane[1]);
    lanes excite = load_part(a->window + i, n), inhibit = load_part(a->window + H + i, n), drive = all(d->membrane[2]);
    if (d->U == H) drive += load_part(u + i, n);
    else excite += load_part(u + i, n), inhibit += load_part(u + H + i, n);
    lanes v = load_part(a->v + i, n), rest = load_part(a->rest + i, n), threshold = all(d->membrane[0]);
    v += load_part(a->lost + i, n) * (drive - v);
    v += load_part(a->reach[0] + i, n) * excite;
    v += load_part(a->reach[1] + i, n) * inhibit;
    store_part(a->window + i, excite * a->kept[0], n);
    store_part(a->window + H + i, inhibit * a->kept[1], n);
    const mask held = rest > 0;
    v = choose(held, after, v);
    lanes adapted = {0};
    if (d->adaptation) {
        adapted = load_part(a->adapted + i, n) * a->adapted_kept;
        threshold += adapted;
    }
    const lanes x = v - threshold;
    const mask fired = ~held & (x >= 0);
    const lanes s = only(~held, only(fired, all(1)) + (x - x));
    if (d->adaptation) store_part(a->adapted + i, adapted + d->adaptation[0] * s, n);
    rest -= load_part(a->pace + i, n);
    rest = choose(fired, all(1), only(~(rest < TICK), rest));
    store_part(a->rest + i, rest, n);
    store_part(a->v + i, choose(fired, after, v), n);
    store_part(a->spike + i, s, n);
    for (int64_t l = 0; l < d->L; l++)
        store_part(a->trace + l * H + i, load_part(a->trace + l * H + i, n) * a->trace_kept[l] + s, n);
}

INLINE void recover(const Liquid *a, int64_t i, int64_t n) {
    store_part(a->use + i, load_part(a->use + i, n) * load_part(a->use_kept + i, n), n);
    store_part(a->left + i, 1 - (1 - load_part(a->left + i, n)) * load_part(a->left_kept + i, n), n);
}

/* Let dt pass for what is on its way: the current and all that has arrived become the current. */
static void pass(const Spiking *d, Liquid *a, real dt) {
    const int64_t slot = 2 * d->H, whole = (d->K + 1) * slot;
    const real total = *a->phase + dt / *d->substep;
    const int64_t passed = total + TICK < (real)d->K ? (int64_t)(total + TICK) : d->K;
    *a->phase = passed == d->K || total - (real)passed < TICK ? 0 : total - (real)passed;
    if (a->window + passed * slot + whole > a->strip + 2 * whole) {
        memmove(a->strip, a->window, (size_t)whole * sizeof(real));
        memset(a->strip + whole, 0, (size_t)whole * sizeof(real));
        a->window = a->strip;
    }
    for (int64_t k = 0; k < passed; k++, a->window += slot)
        for (int64_t i = 0; i < slot; i += LANES) {
            int64_t n = slot - i;
            store_part(a->window + slot + i, load_part(a->window + slot + i, n) + load_part(a->window + i, n), n);
        }
}

/* Ask for the synapses of unit j: they lie in larger, slower memory than all else here. */
INLINE void fetch(const Spiking *d, int64_t j) {
    for (int32_t s = d->first[2 * j]; s < d->first[2 * j + 2]; s += 64 / (int32_t)sizeof(real)) __builtin_prefetch(d->weight + s);
    for (int32_t s = d->first[2 * j]; s < d->first[2 * j + 2]; s += 16) __builtin_prefetch(d->place + s);
}

static void send(const Spiking *d, Liquid *a) {
    const int64_t H = d->H;
    int64_t count = 0;
    for (int64_t j = 0; j < H; j++) {
        a->spiked[count] = (int32_t)j;
        count += a->spike[j] != 0;
    }
    for (int64_t k = 0; k < count; k++) {
        const int64_t j = a->spiked[k];
        if (k + 1 < count) fetch(d, a->spiked[k + 1]);
        for (int64_t pool = 2 * j; pool < 2 * j + 2; pool++) {
            real size = a->spike[j];
            if (d->plasticity) { /* Maass 2002, eq. A.1 to A.3 */
                const real raised = a->use[pool] + d->plasticity[pool] * (1 - a->use[pool]);
                a->use[pool] += size * (raised - a->use[pool]);
                const real sent = size * raised * a->left[pool];
                a->left[pool] -= sent;
                size = sent;
            }
            for (int32_t s = d->first[pool]; s < d->first[pool + 1]; s++) a->window[d->place[s]] += size * d->weight[s];
        }
    }
}

static void spiking_forward(const Spiking *d, int64_t b, real *scratch) {
    const int64_t H = d->H, L = d->L, end = d->lengths ? d->lengths[b] : d->T;
    Liquid a = liquid_of(d, scratch);
    real *out = d->out + b * (d->T * L * H + d->W);
    set_state(d, &a, d->h0 + b * d->W);
    for (int64_t t = 0; t < d->T; t++) {
        if (t < end) {
            const real dt = d->dt[b * d->T + t], *u = d->u + (b * d->T + t) * d->U;
            if (d->reset && d->reset[b * d->T + t]) set_state(d, &a, d->fresh);
            if (dt != a.dt) set_dt(d, &a, dt);
            int64_t i = 0;
            for (; i + LANES <= H; i += LANES) membranes(d, &a, u, i, LANES);
            if (i < H) membranes(d, &a, u, i, H - i);
            for (i = 0; d->plasticity && i < 2 * H; i += LANES) recover(&a, i, 2 * H - i);
            if (d->K) pass(d, &a, dt);
            send(d, &a);
        }
        memcpy(out + t * L * H, a.trace, (size_t)(L * H) * sizeof(real));
    }
    out += d->T * L * H;
    memcpy(out, a.v, (size_t)before_window(d) * sizeof(real));
    memcpy(out + before_window(d), a.window, (size_t)((d->K + 1) * 2 * H) * sizeof(real));
}

#endif
