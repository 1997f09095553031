/* A reservoir over a sequence: h' = (1-a)*h + a*f(u + W h), a = 1-exp(-dt/tau), W sparse and fixed, by its synapses.
 *
 * Two layouts. Rows in the lanes, WIDE vectors at a time, so that a synapse's weight and source are read once for all of
 * them. Or one row, a unit's synapses in the lanes. In both, where groups of `share` neighbouring units read the same
 * sources in the same order, the sources' states are gathered once for the group. */
#ifndef ECHO_H
#define ECHO_H

#include "points.h"
#include "rows.h"

enum { WIDE = LANES >= 8 ? 2 : 4, SUMS = 8 / WIDE }; /* vectors of rows; sums of them that registers hold */
enum { ABREAST = LANES > 8 ? LANES : 8 };            /* units of one row whose sums registers hold */

typedef struct {
    Rows rows;
    int64_t linear, share; /* f is the identity, else tanh; units of a group, 1: each has sources of its own */
    const real *u, *pace;  /* (B,T,H); (H,) 1/tau */
    const int32_t *start;  /* (H+1,) a unit's synapses are start[i] to start[i+1] */
    const int32_t *source; /* (S,) the unit each reads */
    const real *weight;    /* (S,) */
} Echo;

/* The synapses of the units from i on, of which `units` have sources in common. */
typedef struct {
    const int32_t *source;
    const real *weight;
    int64_t fan, units; /* synapses of a unit */
} Group;

static Group group_of(const Echo *d, int64_t i) {
    const int64_t at = d->start[i], left = d->rows.H - i;
    return (Group){d->source + at, d->weight + at, d->start[i + 1] - at, d->share < left ? d->share : left};
}

static int64_t widest_fan(const Echo *d) {
    int64_t fan = 0;
    for (int64_t i = 0; i < d->rows.H; i++)
        if (d->start[i + 1] - d->start[i] > fan) fan = d->start[i + 1] - d->start[i];
    return fan;
}

INLINE lanes echo_point(int linear, lanes z, lanes h, lanes a) { return (1 - a) * h + a * (linear ? z : tanh_of(z)); }

/* --- rows in the lanes: state, z, leak and what is gathered are (.,WIDE) --- */

static int64_t echo_scratch(const Echo *d) { return LANES * ((3 * WIDE + 1) * d->rows.H + WIDE * widest_fan(d)); }

/* z += the sum of weight[s] * state[source[s]], of one unit. */
INLINE void echo_unit(Group g, const lanes *state, lanes *z) {
    lanes sum[SUMS][WIDE] = {{{0}}};
    int64_t s = 0;
    for (; s + SUMS <= g.fan; s += SUMS)
#pragma GCC unroll 4
        for (int k = 0; k < SUMS; k++)
#pragma GCC unroll 4
            for (int r = 0; r < WIDE; r++) sum[k][r] += g.weight[s + k] * state[g.source[s + k] * WIDE + r];
    for (; s < g.fan; s++)
#pragma GCC unroll 4
        for (int r = 0; r < WIDE; r++) sum[0][r] += g.weight[s] * state[g.source[s] * WIDE + r];
    for (int k = 0; k < SUMS; k++)
        for (int r = 0; r < WIDE; r++) z[r] += sum[k][r];
}

/* z[k] += the sum of weight[k*fan + s] * x[s], of `units` units. */
INLINE void echo_units(const int units, const real *weight, int64_t fan, const lanes *x, lanes *z) {
    lanes sum[SUMS][WIDE];
#pragma GCC unroll 4
    for (int k = 0; k < units; k++)
#pragma GCC unroll 4
        for (int r = 0; r < WIDE; r++) sum[k][r] = z[k * WIDE + r];
    for (int64_t s = 0; s < fan; s++)
#pragma GCC unroll 4
        for (int k = 0; k < units; k++)
#pragma GCC unroll 4
            for (int r = 0; r < WIDE; r++) sum[k][r] += weight[k * fan + s] * x[s * WIDE + r];
#pragma GCC unroll 4
    for (int k = 0; k < units; k++)
#pragma GCC unroll 4
        for (int r = 0; r < WIDE; r++) z[k * WIDE + r] = sum[k][r];
}

/* z += W state */
static void echo_product(const Echo *d, const lanes *state, lanes *z, lanes *gathered) {
    for (int64_t i = 0; i < d->rows.H;) {
        const Group g = group_of(d, i);
        int64_t k = 0;
        if (g.units == 1) echo_unit(g, state, z + i * WIDE);
        else {
            for (int64_t s = 0; s < g.fan; s++)
                for (int r = 0; r < WIDE; r++) gathered[s * WIDE + r] = state[g.source[s] * WIDE + r];
            for (; k + SUMS <= g.units; k += SUMS) echo_units(SUMS, g.weight + k * g.fan, g.fan, gathered, z + (i + k) * WIDE);
            for (; k < g.units; k++) echo_units(1, g.weight + k * g.fan, g.fan, gathered, z + (i + k) * WIDE);
        }
        i += g.units;
    }
}

/* A part is WIDE tiles of LANES rows, of which there may be fewer. */
static void echo_forward(const Echo *d, int64_t part, lanes *scratch) {
    const Rows *rows = &d->rows;
    const int64_t T = rows->T, H = rows->H;
    lanes *state = scratch, *z = state + WIDE * H, *leak = z + WIDE * H, *one = leak + WIDE * H, last[WIDE];
    Tile at[WIDE];
    int64_t longest = 0;
    for (int r = 0; r < WIDE; r++) {
        at[r] = tile_of(rows, part * WIDE + r);
        if (at[r].longest > longest) longest = at[r].longest;
        last[r] = all(-1);
        read_state(rows, at[r], 0, one);
        for (int64_t i = 0; i < H; i++) state[i * WIDE + r] = one[i];
    }
    for (int64_t t = 0; t < T; t++) {
        for (int r = 0; r < WIDE && t < longest; r++) {
            const mask fresh = fresh_rows(rows, at[r], t);
            const lanes dt = dt_of(rows, at[r], t);
            const int again = memcmp(&dt, last + r, sizeof dt) != 0; /* dt seldom changes from step to step */
            read_rows(d->u + (at[r].first * T + t) * H, T * H, at[r].count, H, one);
            for (int64_t i = 0; i < H; i++) {
                z[i * WIDE + r] = one[i];
                state[i * WIDE + r] = only(~fresh, state[i * WIDE + r]);
                if (again) leak[i * WIDE + r] = leak_of(LEAKY, dt, all(d->pace[i]));
            }
            last[r] = dt;
        }
        if (t < longest) echo_product(d, state, z, one + H);
        for (int r = 0; r < WIDE; r++) {
            const mask live = live_rows(rows, at[r], t);
            for (int64_t i = 0; i < H; i++) {
                lanes h = state[i * WIDE + r];
                if (t < longest) h = choose(live, echo_point((int)d->linear, z[i * WIDE + r], h, leak[i * WIDE + r]), h);
                state[i * WIDE + r] = one[i] = h;
            }
            write_state(rows, at[r], t, one);
        }
    }
}

/* --- one row: state, z, leak and what is gathered are numbers, the first three padded to whole vectors --- */

static int64_t echo_row_scratch(const Echo *d) { return 3 * ((d->rows.H + LANES - 1) / LANES * LANES) + widest_fan(d); }

/* Return the sum of each of LANES vectors; `square` is used up. */
INLINE lanes sums_of(lanes square[LANES]) {
    lanes sum = {0};
    turn(square);
#pragma GCC unroll 16
    for (int k = 0; k < LANES; k++) sum += square[k];
    return sum;
}

/* Return in vectors the sum of weight[s] * state[source[s]]; of the last synapses, which fill none, it is added to rest. */
INLINE lanes echo_gathered(Group g, const real *state, real *rest) {
    lanes sum = {0}, other = {0};
    int64_t s = 0;
    for (; s + 2 * LANES <= g.fan; s += 2 * LANES) {
        sum += load(g.weight + s) * load_at(state, g.source + s);
        other += load(g.weight + s + LANES) * load_at(state, g.source + s + LANES);
    }
    for (; s < g.fan; s++) *rest += g.weight[s] * state[g.source[s]];
    return sum + other;
}

/* z[k] = the sum of weight[k*fan + s] * x[s], of ABREAST units. */
INLINE void echo_dots(const real *weight, int64_t fan, const real *x, real *z) {
    lanes sum[ABREAST] = {{0}};
    real rest[ABREAST] = {0};
    int64_t s = 0;
    for (; s + LANES <= fan; s += LANES) {
        const lanes now = load(x + s);
#pragma GCC unroll 16
        for (int k = 0; k < ABREAST; k++) sum[k] += load(weight + k * fan + s) * now;
    }
    for (; s < fan; s++)
#pragma GCC unroll 16
        for (int k = 0; k < ABREAST; k++) rest[k] += weight[k * fan + s] * x[s];
#pragma GCC unroll 16
    for (int k = 0; k < ABREAST; k += LANES) store(z + k, sums_of(sum + k) + load(rest + k));
}

/* z = W state */
static void echo_row_product(const Echo *d, const real *state, real *z, real *gathered) {
    for (int64_t i = 0; i < d->rows.H;) {
        const Group g = group_of(d, i);
        int64_t k = 0;
        if (g.units >= ABREAST) {
            for (int64_t s = 0; s < g.fan; s++) gathered[s] = state[g.source[s]];
            for (; k + ABREAST <= g.units; k += ABREAST) echo_dots(g.weight + k * g.fan, g.fan, gathered, z + i + k);
        } else {
            lanes sum[LANES] = {{0}};
            real rest[LANES] = {0};
            for (; k < LANES && i + k < d->rows.H; k++) sum[k] = echo_gathered(group_of(d, i + k), state, rest + k);
            store(z + i, sums_of(sum) + load(rest));
        }
        i += k;
    }
}

static void echo_row_forward(const Echo *d, int64_t b, real *scratch) {
    const int64_t T = d->rows.T, H = d->rows.H, pad = (H + LANES - 1) / LANES * LANES, end = ends(&d->rows, b);
    real *state = scratch, *z = state + pad, *leak = z + pad, *gathered = leak + pad, last = -1;
    memset(scratch, 0, (size_t)(3 * pad) * sizeof(real));
    memcpy(state, d->rows.h0 + b * H, (size_t)H * sizeof(real));
    for (int64_t t = 0; t < T; t++) {
        if (t < end) {
            const real dt = d->rows.dt[b * T + t], *u = d->u + (b * T + t) * H;
            if (starts_anew(&d->rows, b, t)) memset(state, 0, (size_t)H * sizeof(real));
            if (dt != last)
                for (int64_t i = 0; i < H; i += LANES) store(leak + i, leak_of(LEAKY, all(dt), load_part(d->pace + i, H - i)));
            last = dt;
            echo_row_product(d, state, z, gathered);
            for (int64_t i = 0; i < H; i += LANES) {
                lanes sum = load(z + i) + load_part(u + i, H - i);
                store(state + i, echo_point((int)d->linear, sum, load(state + i), load(leak + i)));
            }
        }
        memcpy(d->rows.h + (b * T + t) * H, state, (size_t)H * sizeof(real));
    }
}

#endif
