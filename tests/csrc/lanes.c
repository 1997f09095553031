/* The functions of lanes.h over n numbers, n a multiple of LANES: for test_lanes.py. */
#include "lanes.h"

#define JOIN(name, bits) name##_f##bits
#define NAMED(name, bits) JOIN(name, bits)
#define OVER(name, value)                                       \
    void NAMED(name, REAL)(const real *x, real *y, int64_t n) { \
        for (int64_t i = 0; i < n; i += LANES) {                \
            lanes a = load(x + i);                              \
            store(y + i, value);                                \
        }                                                       \
    }

OVER(exp, exp_of(a))
OVER(expm1, exp_minus_one(a))
OVER(tanh, tanh_of(a))
OVER(sigmoid, sigmoid_of(a))
OVER(sigmoid_of_power, sigmoid_of_power(a))
OVER(softplus, softplus_of(a).value)
OVER(softplus_slope, softplus_of(a).slope)
OVER(inverse, inverse(a))
