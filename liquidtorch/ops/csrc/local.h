/* One part of a cell's step with its derivatives, as derivatives/ has it. */
#ifndef LOCAL_H
#define LOCAL_H

#include "lanes.h"

enum { LOCAL_LEAKY, LOCAL_LIQUID, LOCAL_LINEAR, LOCAL_MOBIUS, LOCAL_LTC };

typedef struct {
    int64_t kind, H, F, S, fan_h, maps, width, repeats, euler; /* S slots of a map, the first fan_h from units */
    const int32_t *source;                 /* (H,S) what each reads of `read` */
    real *read;                            /* (H+F+2,) [h, x, 1, 0] */
    const real *theta;                     /* (H,width) map after map, then what a unit has beside; whole vectors */
    real *leak, *jacobian, *drive, *immediate, *after; /* (H,), (H,fan_h), (maps or 1,H), (H,width), (H,) out */
    real *work;                            /* (H,S+2) */
} Local;

typedef struct {
    lanes h, leak, drive[3], single;
} Relaxed;

/* What the first n of LANES slots read. */
INLINE lanes local_read(const Local *d, const int32_t *source, int64_t n) {
    if (n >= LANES) return load_at(d->read, source);
    lanes v = {0};
    for (int64_t j = 0; j < n; j++) v[j] = d->read[source[j]];
    return v;
}

/* The k-th parameter that units have beside their maps, of the first n units from i. */
INLINE lanes local_single(const Local *d, int64_t k, int64_t i, int64_t n) {
    lanes x = {0};
    for (int64_t l = 0; l < LANES && l < n; l++) x[l] = d->theta[(i + l) * d->width + d->maps * d->S + k];
    return x;
}

INLINE Relaxed local_leaky(lanes h, lanes s, int64_t euler, const lanes *sum) {
    const lanes u = tanh_of(sum[0]), a = euler ? s : -exp_minus_one(-s), slope = euler ? -s : -s * exp_of(-s);
    return (Relaxed){(1 - a) * h + a * u, 1 - a, {a * (1 - u * u)}, slope * (u - h)};
}

INLINE Relaxed local_liquid(lanes h, real dt, const lanes *sum) {
    const lanes u = tanh_of(sum[0]), s = dt * exp_of(at_most(-sum[1], 80));
    const lanes leak = exp_of(-s), a = -exp_minus_one(-s);
    return (Relaxed){leak * h + a * u, leak, {a * (1 - u * u), -s * leak * (u - h)}, all(0)};
}

INLINE Relaxed local_linear(lanes h, lanes s, const lanes *sum) {
    const Softplus f = softplus_of(sum[0]);
    const lanes A = tanh_of(sum[1]), one = 1 + f.value, share = f.value / one, r = s * one;
    const lanes leak = exp_of(-r), a = -exp_minus_one(-r), away = h - share * A;
    const lanes of_f = (a * A / (one * one) - s * leak * away) * f.slope;
    return (Relaxed){leak * h + a * share * A, leak, {of_f, a * share * (1 - A * A)}, r * leak * away};
}

INLINE Relaxed local_mobius(lanes h, lanes s, const lanes *sum) {
    const Softplus f = softplus_of(sum[0]), k = softplus_of(sum[1]);
    const lanes A = tanh_of(sum[2]), c = f.value + k.value * (1 + h), den = 1 + s * (1 + c);
    const lanes new = (h + s * c * A) / den, of_c = s * (A - new) / den;
    return (Relaxed){new, 1 / den + of_c * k.value,
                     {of_c * f.slope, of_c * (1 + h) * k.slope, s * c / den * (1 - A * A)},
                     -s * (c * A - new * (1 + c)) / den};
}

INLINE Relaxed local_relax(const Local *d, real dt, int64_t i, const lanes *sum) {
    const lanes h = load_part(d->read + i, d->H - i);
    if (d->kind == LOCAL_LIQUID) return local_liquid(h, dt, sum);
    const lanes s = dt * exp_of(-local_single(d, 0, i, d->H - i));
    if (d->kind == LOCAL_LEAKY) return local_leaky(h, s, d->euler, sum);
    return d->kind == LOCAL_LINEAR ? local_linear(h, s, sum) : local_mobius(h, s, sum);
}

/* Units that feel sums: what every slot reads, (H,S), lies in the first map of `immediate` until it is multiplied out. */
static void local_affine(const Local *d, real dt) {
    const int64_t H = d->H, S = d->S;
    real *single = d->work;
    for (int64_t i = 0; i < H; i++) {
        real *v = d->immediate + i * d->width;
        for (int64_t j = 0; j < S; j += LANES) store_part(v + j, local_read(d, d->source + i * S + j, S - j), S - j);
        for (int64_t m = 0; m < d->maps; m++) d->drive[m * H + i] = dot(d->theta + i * d->width + m * S, v, S);
    }
    for (int64_t i = 0; i < H; i += LANES) {
        lanes sum[3];
        for (int64_t m = 0; m < d->maps; m++) sum[m] = load_part(d->drive + m * H + i, H - i);
        const Relaxed made = local_relax(d, dt, i, sum);
        store_part(d->after + i, made.h, H - i);
        store_part(d->leak + i, made.leak, H - i);
        store_part(single + i, made.single, H - i);
        for (int64_t m = 0; m < d->maps; m++) store_part(d->drive + m * H + i, made.drive[m], H - i);
    }
    for (int64_t i = 0; i < H; i++) {
        real *v = d->immediate + i * d->width, *jacobian = d->jacobian + i * d->fan_h;
        for (int64_t j = 0; j < d->fan_h; j++) jacobian[j] = 0;
        for (int64_t m = d->maps - 1; m >= 0; m--) {
            const real drive = d->drive[m * H + i];
            add_times(jacobian, drive, d->theta + i * d->width + m * S, d->fan_h);
            for (int64_t j = 0; j < S; j += LANES) store_part(v + m * S + j, drive * load_part(v + j, S - j), S - j);
        }
        if (d->kind != LOCAL_LIQUID) v[d->maps * S] = single[i];
    }
}

/* Find conductances and capacities of the parameters: w (H,S), gleak (H,) and cm (H,) in `work`. */
static void local_conductances(const Local *d) {
    const int64_t H = d->H, S = d->S;
    for (int64_t i = 0; i < H; i++) {
        const real *theta = d->theta + i * d->width;
        real *w = d->work + i * S;
        for (int64_t j = 0; j < S; j += LANES) store_part(w + j, softplus_of(load_part(theta + j, S - j)).value, S - j);
        for (int64_t j = 0; j < S; j++)
            if (d->source[i * S + j] == H + d->F + 1) w[j] = 0;
    }
    for (int64_t i = 0; i < H; i += LANES) {
        store_part(d->work + H * S + i, softplus_of(local_single(d, 0, i, H - i)).value, H - i);
        store_part(d->work + H * S + H + i, exp_of(local_single(d, 2, i, H - i)), H - i);
    }
}

/* One unfold of an LTC. Until den is known, `immediate` holds how open each gate is, how far away it is, and its g. */
static void local_unfold(const Local *d, real s) {
    const int64_t H = d->H, S = d->S;
    for (int64_t i = 0; i < H; i++) {
        const real *w = d->work + i * S, *mu = d->theta + i * d->width + S, *sigma = mu + S, *erev = sigma + S;
        real *of_w = d->immediate + i * d->width, *of_mu = of_w + S, *of_sigma = of_mu + S, *of_erev = of_sigma + S;
        const real h = d->read[i], gleak = d->work[H * S + i], vleak = erev[S + 1], cm = d->work[H * S + H + i];
        lanes sum = {0}, pulled = {0};
        for (int64_t j = 0; j < S; j += LANES) {
            const int64_t n = S - j;
            const lanes away = local_read(d, d->source + i * S + j, n) - load_part(mu + j, n);
            const lanes open = sigmoid_of(load_part(sigma + j, n) * away), g = load_part(w + j, n) * open;
            sum += g;
            pulled += g * load_part(erev + j, n);
            store_part(of_w + j, open, n);
            store_part(of_sigma + j, away, n);
            store_part(of_erev + j, g, n);
        }
        const real den = cm + s * (gleak + sum_lanes(sum)), k = s / den;
        const real new = (cm * h + s * (gleak * vleak + sum_lanes(pulled))) / den;
        for (int64_t j = 0; j < S; j += LANES) {
            const int64_t n = S - j;
            const lanes open = load_part(of_w + j, n), g = load_part(of_erev + j, n);
            const lanes pull = k * (load_part(erev + j, n) - new), slope = g * (1 - open) * pull;
            store_part(of_w + j, open * pull, n);
            store_part(of_mu + j, -slope * load_part(sigma + j, n), n);
            store_part(of_sigma + j, slope * load_part(of_sigma + j, n), n);
            store_part(of_erev + j, k * g, n);
        }
        for (int64_t j = 0; j < d->fan_h; j++) d->jacobian[i * d->fan_h + j] = -of_mu[j];
        of_erev[S] = k * (vleak - new);
        of_erev[S + 1] = k * gleak;
        of_erev[S + 2] = (h - new) / den;
        d->leak[i] = cm / den;
        d->drive[i] = k / 4 * ((vleak >= 0 ? 1 : -1) - new);
        d->after[i] = new;
    }
}

/* What every part of a step needs of the parameters. */
static void local_begin(const Local *d) {
    if (d->kind == LOCAL_LTC) local_conductances(d);
}

/* One of the `repeats` parts of a step, of the time dt, from `read`. */
static void local_part(const Local *d, real dt) {
    if (d->kind == LOCAL_LTC)
        local_unfold(d, dt);
    else
        local_affine(d, dt);
}

static void local_step(const Local *d, double dt) {
    local_begin(d);
    local_part(d, (real)dt);
}

/* Multiply a packed gradient (H,width) by what is left of the chain rule. */
static void local_chain(const Local *d, real *g) {
    if (d->kind != LOCAL_LTC) return;
    const int64_t H = d->H, S = d->S;
    for (int64_t i = 0; i < H; i++, g += d->width) {
        const real *theta = d->theta + i * d->width;
        for (int64_t j = 0; j < S; j += LANES)
            store_part(g + j, load_part(g + j, S - j) * softplus_of(load_part(theta + j, S - j)).slope, S - j);
        g[4 * S] *= softplus_of(all(theta[4 * S])).slope[0];
        g[4 * S + 2] *= exp_of(all(theta[4 * S + 2]))[0];
    }
}

#endif
