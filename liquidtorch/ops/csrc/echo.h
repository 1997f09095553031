/* A reservoir over a sequence: h' = (1-a)*h + a*f(u + W h), a = 1-exp(-dt/tau), W sparse and fixed, by its synapses.
 *
 * Two layouts. Rows in the lanes, `wide` vectors at a time, so that a synapse's weight and source are read once for all
 * of them. Or one row, a unit's synapses in the lanes. In both, where groups of `share` neighbouring units read the same
 * sources in the same order, the sources' states are gathered once for the group. */
#ifndef ECHO_H
#define ECHO_H

#include "points.h"
#include "rows.h"

enum { WIDEST = 4, SUMS = 8 };            /* vectors of rows at the most; sums that registers hold */
enum { ABREAST = LANES > 8 ? LANES : 8 }; /* units of one row whose sums registers hold */

typedef struct {
    Rows rows;
    int64_t linear, share; /* f is the identity, else tanh; units of a group, 1: each has sources of its own */
    int64_t wide;          /* 1, 2 or 4 vectors of rows in a part; 0: a part is one row */
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

/* --- rows in the lanes: state, z, leak and what is gathered are (.,wide) --- */

static int64_t echo_scratch(const Echo *d) { return LANES * d->wide * (3 * d->rows.H + widest_fan(d)); }

/* z += the sum of weight[s] * state[source[s]], of one unit. */
INLINE void echo_unit(const int wide, Group g, const lanes *state, lanes *z) {
    lanes sum[SUMS] = {{0}};
    int64_t s = 0;
    for (; s + SUMS / wide <= g.fan; s += SUMS / wide)
#pragma GCC unroll 8
        for (int k = 0; k < SUMS; k++) sum[k] += g.weight[s + k / wide] * state[g.source[s + k / wide] * wide + k % wide];
    for (; s < g.fan; s++)
#pragma GCC unroll 4
        for (int r = 0; r < wide; r++) sum[r] += g.weight[s] * state[g.source[s] * wide + r];
    for (int k = 0; k < SUMS; k++) z[k % wide] += sum[k];
}

/* z[k] += the sum of weight[k*fan + s] * x[s], of `units` units. */
INLINE void echo_units(const int wide, const int units, const real *weight, int64_t fan, const lanes *x, lanes *z) {
    lanes sum[SUMS];
#pragma GCC unroll 8
    for (int k = 0; k < units * wide; k++) sum[k] = z[k];
    for (int64_t s = 0; s < fan; s++)
#pragma GCC unroll 8
        for (int k = 0; k < units * wide; k++) sum[k] += weight[k / wide * fan + s] * x[s * wide + k % wide];
#pragma GCC unroll 8
    for (int k = 0; k < units * wide; k++) z[k] = sum[k];
}

/* z += W state */
INLINE void echo_product(const int wide, const Echo *d, const lanes *state, lanes *z, lanes *gathered) {
    for (int64_t i = 0; i < d->rows.H;) {
        const Group g = group_of(d, i);
        const int many = SUMS / wide;
        int64_t k = 0;
        if (g.units == 1) echo_unit(wide, g, state, z + i * wide);
        else {
            for (int64_t s = 0; s < g.fan; s++)
                for (int r = 0; r < wide; r++) gathered[s * wide + r] = state[g.source[s] * wide + r];
            for (; k + many <= g.units; k += many) echo_units(wide, many, g.weight + k * g.fan, g.fan, gathered, z + (i + k) * wide);
            for (; k < g.units; k++) echo_units(wide, 1, g.weight + k * g.fan, g.fan, gathered, z + (i + k) * wide);
        }
        i += g.units;
    }
}

/* state <- the state after a step, of the rows that are live. */
INLINE void echo_advance(const int wide, int linear, int64_t H, const lanes *z, const lanes *leak, const mask *live, lanes *state) {
    for (int64_t i = 0; i < H; i++)
#pragma GCC unroll 4
        for (int r = 0; r < wide; r++) {
            const lanes h = state[i * wide + r];
            state[i * wide + r] = choose(live[r], echo_point(linear, z[i * wide + r], h, leak[i * wide + r]), h);
        }
}

/* A part is `wide` tiles of LANES rows, of which there may be fewer. */
INLINE void echo_part(const int wide, const Echo *d, int64_t part, lanes *scratch) {
    const Rows *rows = &d->rows;
    const int64_t T = rows->T, H = rows->H;
    lanes *state = scratch, *z = state + wide * H, *leak = z + wide * H, *gathered = leak + wide * H, last[WIDEST];
    Tile at[WIDEST];
    mask live[WIDEST];
    int64_t longest = 0;
    for (int r = 0; r < wide; r++) {
        at[r] = tile_of(rows, part * wide + r);
        if (at[r].longest > longest) longest = at[r].longest;
        last[r] = all(-1);
        read_apart(rows->h0 + at[r].first * H, H, at[r].count, H, state + r, wide);
    }
    for (int64_t t = 0; t < T; t++) {
        for (int r = 0; r < wide && t < longest; r++) {
            const mask fresh = fresh_rows(rows, at[r], t);
            const lanes dt = dt_of(rows, at[r], t);
            live[r] = live_rows(rows, at[r], t);
            read_apart(d->u + (at[r].first * T + t) * H, T * H, at[r].count, H, z + r, wide);
            for (int64_t i = 0; rows->reset && i < H; i++) state[i * wide + r] = only(~fresh, state[i * wide + r]);
            if (memcmp(&dt, last + r, sizeof dt) != 0) /* it seldom changes from step to step */
                for (int64_t i = 0; i < H; i++) leak[i * wide + r] = leak_of(LEAKY, dt, all(d->pace[i]));
            last[r] = dt;
        }
        if (t < longest) {
            echo_product(wide, d, state, z, gathered);
            if (d->linear) echo_advance(wide, 1, H, z, leak, live, state);
            else echo_advance(wide, 0, H, z, leak, live, state);
        }
        for (int r = 0; r < wide; r++)
            write_apart(rows->h + (at[r].first * T + t) * H, T * H, at[r].count, H, state + r, wide);
    }
}

static void echo_forward(const Echo *d, int64_t part, lanes *scratch) {
    if (d->wide == 1) echo_part(1, d, part, scratch);
    else if (d->wide == 2) echo_part(2, d, part, scratch);
    else echo_part(4, d, part, scratch);
}

/* --- one row: state, z, leak and what is gathered are numbers, the first three padded to whole vectors --- */

static int64_t echo_row_scratch(const Echo *d) { return 3 * ((d->rows.H + LANES - 1) / LANES * LANES) + widest_fan(d); }

/* Return in vectors the sum of weight[s] * state[source[s]]; of the last synapses, which fill none, it is added to rest. */
INLINE lanes echo_gathered(Group g, const real *state, real *rest) {
    lanes sum = {0}, other = {0};
    int64_t s = 0;
    for (; s + 2 * LANES <= g.fan; s += 2 * LANES) {
        sum += load(g.weight + s) * load_at(state, g.source + s);
        other += load(g.weight + s + LANES) * load_at(state, g.source + s + LANES);
    }
    for (; s + LANES <= g.fan; s += LANES) sum += load(g.weight + s) * load_at(state, g.source + s);
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
            int64_t s = 0;
            for (; s + LANES <= g.fan; s += LANES) store(gathered + s, load_at(state, g.source + s));
            for (; s < g.fan; s++) gathered[s] = state[g.source[s]];
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
