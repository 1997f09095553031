/* One unit's step and its backward pass, for a vector of units or of rows alike. The meaning is ops/reference.py's. */
#ifndef POINTS_H
#define POINTS_H

#include "lanes.h"

/* The order is that of KINDS in ops/gated.py. */
enum { LEAKY, LEAKY_EULER, LIQUID, CFC, CFC_NO_GATE, CFC_PURE };

enum { HEADS = 5 };      /* at the most */
#define GATE_END 5.5e34f /* exp(80), where reference.rate holds its argument and passes no gradient on */

INLINE int heads_of(int kind, int carry) {
    return (kind == LIQUID ? 2 : kind <= LEAKY_EULER || kind == CFC_PURE ? 1 : 4) + carry;
}

/* What a unit owns: pace is 1/tau, or log tau for LIQUID; A and w are those of CFC_PURE. */
typedef struct {
    lanes pace, A, w;
} Own;

INLINE lanes rate_of(lanes log_tau) { return exp_of(at_most(-log_tau, 80)); }

/* Return a, the share of the old state that LEAKY gives up in dt. */
INLINE lanes leak_of(int kind, lanes dt, lanes pace) {
    return kind == LEAKY_EULER ? dt * pace : -exp_minus_one(-dt * pace);
}

INLINE lanes cfc_target(int kind, const lanes *z, lanes s, Own own) {
    if (kind == CFC_PURE) {
        lanes E = exp_of(-s * (absolute(own.w) + absolute(z[0])));
        return own.A - own.A * E * z[0];
    }
    return kind == CFC ? (1 - z[3]) * z[0] + z[3] * z[1] : z[0] + z[3] * z[1];
}

/* Return the new state. z: the heads' linear maps; left in their place is what the backward pass needs of them.
 * leak: from leak_of, for LEAKY and LEAKY_EULER. */
INLINE lanes point_forward(int kind, int carry, lanes *z, lanes h, lanes dt, Own own, lanes leak) {
    if (kind <= LEAKY_EULER) {
        z[0] = tanh_of(z[0]);
        return (1 - leak) * h + leak * z[0];
    }
    if (kind == LIQUID) {
        z[0] = tanh_of(z[0]);
        z[1] = rate_of(own.pace + z[1]);
        lanes a = -exp_minus_one(-dt * z[1]);
        return (1 - a) * h + a * z[0];
    }
    lanes s = dt * own.pace;
    if (kind != CFC_PURE) {
        z[0] = tanh_of(z[0]);
        z[1] = tanh_of(z[1]);
        z[3] = sigmoid_of(z[2] * s + z[3]);
    }
    lanes u = cfc_target(kind, z, s, own);
    if (!carry) return u;
    lanes *gate = z + heads_of(kind, carry) - 1;
    *gate = rate_of(*gate);
    lanes a = -exp_minus_one(-s * *gate);
    return (1 - a) * h + a * u;
}

/* The gradients of one unit's own numbers, added up over time; dt is the step's. */
typedef struct {
    lanes pace, A, w, dt;
} Slope;

/* Return the gradient of h, given that of the new state. z: what point_forward left; replaced by the heads' gradients. */
INLINE lanes point_backward(int kind, int carry, lanes *z, lanes g, lanes h, lanes dt, Own own, lanes leak, Slope *d) {
    if (kind <= LEAKY_EULER) {
        lanes da = g * (z[0] - h);
        if (kind == LEAKY) da *= 1 - leak;
        d->pace += da * dt;
        d->dt += da * own.pace;
        z[0] = g * leak * (1 - z[0] * z[0]);
        return (1 - leak) * g;
    }
    if (kind == LIQUID) {
        lanes a = -exp_minus_one(-dt * z[1]), keep = 1 - a;
        lanes dr = g * (z[0] - h) * keep; /* r = dt*rate; 0 where the step is complete, however large dt is */
        d->dt += dr * z[1];
        z[1] = only(z[1] < all(GATE_END), -(dr * dt) * z[1]);
        d->pace += z[1];
        z[0] = g * a * (1 - z[0] * z[0]);
        return keep * g;
    }
    lanes s = dt * own.pace, ds = {0}, back = {0}, G = g;
    if (carry) {
        lanes *gate = z + heads_of(kind, carry) - 1;
        lanes a = -exp_minus_one(-s * *gate), keep = 1 - a;
        lanes dr = g * (cfc_target(kind, z, s, own) - h) * keep;
        G = g * a;
        back = g * keep;
        ds += dr * *gate;
        *gate = only(*gate < all(GATE_END), -(dr * s) * *gate);
    }
    if (kind == CFC_PURE) {
        lanes k = absolute(own.w) + absolute(z[0]), E = exp_of(-s * k);
        lanes dk = own.A * G * z[0] * E; /* minus the gradient of s*k */
        d->A += G * (1 - E * z[0]);
        d->w += dk * s * sign(own.w);
        ds += dk * k;
        z[0] = -G * own.A * E + dk * s * sign(z[0]);
    } else {
        lanes gate = z[3];
        lanes dsum = G * (kind == CFC ? z[1] - z[0] : z[1]) * gate * (1 - gate);
        z[0] = (kind == CFC ? G * (1 - gate) : G) * (1 - z[0] * z[0]);
        z[1] = G * gate * (1 - z[1] * z[1]);
        ds += dsum * z[2];
        z[2] = dsum * s;
        z[3] = dsum;
    }
    d->pace += ds * dt;
    d->dt += ds * own.pace;
    return back;
}

/* Run call(kind, carry) with the constants that d->kind and d->carry are, so that each case is compiled on its own. */
#define EACH_KIND(call)                                                     \
    switch (d->kind * 2 + (d->carry != 0)) {                                \
    case LEAKY * 2: call(LEAKY, 0); break;                                  \
    case LEAKY_EULER * 2: call(LEAKY_EULER, 0); break;                      \
    case LIQUID * 2: call(LIQUID, 0); break;                                \
    case CFC * 2: call(CFC, 0); break;                                      \
    case CFC * 2 + 1: call(CFC, 1); break;                                  \
    case CFC_NO_GATE * 2: call(CFC_NO_GATE, 0); break;                      \
    case CFC_NO_GATE * 2 + 1: call(CFC_NO_GATE, 1); break;                  \
    case CFC_PURE * 2: call(CFC_PURE, 0); break;                            \
    default: call(CFC_PURE, 1); break;                                      \
    }

#endif
