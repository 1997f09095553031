/* Vectors of numbers and their exp, tanh and sigmoid. One text for every width: the build says REAL (32 or 64 bits a
 * number) and VECTOR (bytes in a vector); VECTOR = REAL/8 leaves one lane, which is how a microcontroller runs it.
 *
 * Needs GCC 12 or Clang, -fno-math-errno -fno-trapping-math -ffp-contract=fast; never -ffast-math. */
#ifndef LANES_H
#define LANES_H

#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__) && VECTOR == 64
#include <immintrin.h>
#define AVX512 1
#define AVX2 0
#elif defined(__AVX2__) && VECTOR == 32
#include <immintrin.h>
#define AVX512 0
#define AVX2 1
#else
#define AVX512 0
#define AVX2 0
#endif

#if REAL == 32
typedef float real;
typedef int32_t whole;
#else
typedef double real;
typedef int64_t whole;
#endif

enum { LANES = VECTOR * 8 / REAL };
typedef real lanes __attribute__((vector_size(VECTOR)));
typedef whole mask __attribute__((vector_size(VECTOR))); /* all bits of a lane set: true */

#define INLINE static inline __attribute__((always_inline))

INLINE lanes all(real x) { return x - (lanes){0}; }

INLINE lanes load(const real *p) {
    lanes x;
    memcpy(&x, p, sizeof x);
    return x;
}

INLINE void store(real *p, lanes x) { memcpy(p, &x, sizeof x); }

#if AVX2
INLINE __m256i first_lanes(int64_t n) {
#if REAL == 32
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
#else
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
#endif
}
#endif

/* Read or write only the first n lanes (0 < n <= LANES); what is not read is 0. */
INLINE lanes load_part(const real *p, int64_t n) {
    if (n >= LANES) return load(p);
#if AVX512 && REAL == 32
    return (lanes)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif AVX512
    return (lanes)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#elif AVX2 && REAL == 32
    return (lanes)_mm256_maskload_ps(p, first_lanes(n));
#elif AVX2
    return (lanes)_mm256_maskload_pd(p, first_lanes(n));
#else
    lanes x = {0};
    for (int64_t i = 0; i < n; i++) x[i] = p[i];
    return x;
#endif
}

INLINE void store_part(real *p, lanes x, int64_t n) {
    if (n >= LANES) {
        store(p, x);
        return;
    }
#if AVX512 && REAL == 32
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#elif AVX512
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)x);
#elif AVX2 && REAL == 32
    _mm256_maskstore_ps(p, first_lanes(n), (__m256)x);
#elif AVX2
    _mm256_maskstore_pd(p, first_lanes(n), (__m256d)x);
#else
    for (int64_t i = 0; i < n; i++) p[i] = x[i];
#endif
}

/* The numbers of p that LANES indices name. */
INLINE lanes load_at(const real *p, const int32_t *index) {
#if AVX512 && REAL == 32
    return (lanes)_mm512_i32gather_ps(_mm512_loadu_si512(index), p, 4);
#elif AVX512
    return (lanes)_mm512_i32gather_pd(_mm256_loadu_si256((const __m256i *)index), p, 8);
#else
    lanes x = {0};
#if VECTOR * 8 / REAL > 1 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ /* one load for two indices: loads are what limits */
    for (int i = 0; i < LANES; i += 2) {
        uint64_t two;
        memcpy(&two, index + i, sizeof two);
        x[i] = p[(uint32_t)two];
        x[i + 1] = p[two >> 32];
    }
#else
    for (int i = 0; i < LANES; i++) x[i] = p[index[i]];
#endif
    return x;
#endif
}

INLINE real sum_lanes(lanes x) {
    real s = 0;
    for (int i = 0; i < LANES; i++) s += x[i];
    return s;
}

INLINE lanes choose(mask m, lanes yes, lanes no) { return (lanes)(((mask)yes & m) | ((mask)no & ~m)); }
INLINE lanes only(mask m, lanes x) { return (lanes)((mask)x & m); }
INLINE lanes absolute(lanes x) { return (lanes)((mask)x & ~(mask)all(-(real)0)); }
INLINE lanes sign(lanes x) { return only(x > 0, all(1)) - only(x < 0, all(1)); }

/* A NaN in x comes through, as the bounds are on the other side of the comparison. */
INLINE lanes at_most(lanes x, real bound) {
#if AVX512 && REAL == 32
    return (lanes)_mm512_min_ps((__m512)all(bound), (__m512)x);
#elif AVX512
    return (lanes)_mm512_min_pd((__m512d)all(bound), (__m512d)x);
#elif AVX2 && REAL == 32
    return (lanes)_mm256_min_ps((__m256)all(bound), (__m256)x);
#elif AVX2
    return (lanes)_mm256_min_pd((__m256d)all(bound), (__m256d)x);
#else
    return choose(x > all(bound), all(bound), x);
#endif
}

INLINE lanes at_least(lanes x, real bound) {
#if AVX512 && REAL == 32
    return (lanes)_mm512_max_ps((__m512)all(bound), (__m512)x);
#elif AVX512
    return (lanes)_mm512_max_pd((__m512d)all(bound), (__m512d)x);
#elif AVX2 && REAL == 32
    return (lanes)_mm256_max_ps((__m256)all(bound), (__m256)x);
#elif AVX2
    return (lanes)_mm256_max_pd((__m256d)all(bound), (__m256d)x);
#else
    return choose(x < all(bound), all(bound), x);
#endif
}

/* 1/x to the last bit but one, for 0 < |x| < 2^126: an estimate of 14 bits and Newton's rule where that is faster. */
INLINE lanes inverse(lanes x) {
#if AVX512 && REAL == 32
    lanes r = (lanes)_mm512_rcp14_ps((__m512)x);
    return r + r * (1 - x * r);
#else
    return 1 / x;
#endif
}

#if REAL == 32
#define LOG2E 1.44269504f
#define LN2_HIGH 0.693359375f /* exact in 10 bits, so that n*LN2_HIGH has no rounding */
#define LN2_LOW -2.12194440e-4f
#define MAGIC 12582912.0f /* 1.5 * 2^23: adding it rounds to a whole number, held in the low bits */
#define EXPONENT 23
#define BIAS 127
#define EXP_END 87.0f /* |x| beyond which exp is taken as at the bound: neither 0 nor infinite */
#else
#define LOG2E 1.4426950408889634
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define MAGIC 6755399441055744.0
#define EXPONENT 52
#define BIAS 1023
#define EXP_END 708.0
#endif

/* e^x = power*(1 + p): power = 2^n, n the whole number nearest to x/log 2, p = e^f - 1, |f| <= log(2)/2. */
typedef struct {
    lanes power, p;
} Exp;

INLINE Exp exp_parts(lanes x) {
    x = at_least(at_most(x, EXP_END), -EXP_END);
    lanes shifted = x * LOG2E + MAGIC;
    lanes n = shifted - MAGIC;
    lanes f = x - n * LN2_HIGH;
    f = f - n * LN2_LOW;
    const lanes f2 = f * f; /* the series 1/k!, whose next term is below half a last bit, by pairs: a chain half as long */
#if REAL == 32
    lanes p = f * (1.0f / 5040) + 1.0f / 720;
#else
    lanes p = f * (1.0 / 6227020800) + 1.0 / 479001600;
    p = p * f2 + (f * (1.0 / 39916800) + 1.0 / 3628800);
    p = p * f2 + (f * (1.0 / 362880) + 1.0 / 40320);
    p = p * f2 + (f * (1.0 / 5040) + 1.0 / 720);
#endif
    p = p * f2 + (f * (real)(1.0 / 120) + (real)(1.0 / 24));
    p = p * f2 + (f * (real)(1.0 / 6) + (real)0.5);
    p = p * f2 + f;
    return (Exp){(lanes)((((mask)shifted - (mask)all(MAGIC)) + BIAS) << EXPONENT), p};
}

/* Below -EXP_END it is 0, so that what is multiplied by it is gone too; a NaN stays one. */
INLINE lanes exp_of(lanes x) {
    Exp e = exp_parts(x);
    return only(~(x < all(-EXP_END)), e.power * e.p + e.power);
}

/* exp(x) - 1 without cancellation at small x. */
INLINE lanes exp_minus_one(lanes x) {
    Exp e = exp_parts(x);
    return e.power * e.p + (e.power - 1);
}

INLINE lanes tanh_of(lanes x) {
    lanes e = exp_minus_one(2 * x);
    return e * inverse(e + 2);
}

INLINE lanes sigmoid_of(lanes x) {
    Exp e = exp_parts(-x);
    return inverse(e.power * e.p + e.power + 1);
}

/* log(1 + exp(x)), as PyTorch has it (x itself above 20), and its derivative. log(1 + e) is the series of
 * 2*atanh(e/(2 + e)). */
typedef struct {
    lanes value, slope;
} Softplus;

INLINE Softplus softplus_of(lanes x) {
    lanes e = exp_of(-absolute(x)), s = e * inverse(e + 2), q = s * s, p = {0}, below = inverse(1 + e);
#pragma GCC unroll 17
    for (int k = REAL == 32 ? 7 : 16; k >= 0; k--) p = p * q + (real)(1.0 / (2 * k + 1));
    lanes value = only(~(x <= 0), x) + 2 * s * p, slope = choose(x < 0, e * below, below);
    return (Softplus){choose(x > 20, x, value), choose(x > 20, all(1), slope)};
}

/* 1/(1 + 2^y), the sigmoid of -y*log(2): the one function a conductance calls, once a synapse. */
INLINE lanes sigmoid_of_power(lanes y) {
#if REAL == 32
    y = at_most(y, 126);
#if AVX512
    lanes f = (lanes)_mm512_reduce_ps((__m512)y, 0); /* y minus the nearest whole number */
    lanes n = y - f;
#else
    y = at_least(y, -126);
    lanes shifted = y + MAGIC;
    lanes n = shifted - MAGIC;
    lanes f = y - n;
#endif
    lanes p = f * 1.326472731e-3f + 9.671512991e-3f; /* 2^f on [-1/2, 1/2], the largest relative error least: 2e-7 */
    p = p * f + 5.550733581e-2f;
    p = p * f + 2.402224243e-1f;
    p = p * f + 6.931470037e-1f;
    p = p * f + 1.0f;
#if AVX512
    lanes power = (lanes)_mm512_scalef_ps((__m512)p, (__m512)n);
    return inverse(1 + power);
#else /* the whole number is added to the exponent: MAGIC's own bits leave at the top */
    return inverse(1 + (lanes)((mask)p + ((mask)shifted << EXPONENT)));
#endif
#else
    return sigmoid_of(y * -0.69314718055994530942);
#endif
}

/* Turn a square of LANES vectors: lane j of vector i becomes lane i of vector j. Each round deals two halves out. */
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#if VECTOR * 8 / REAL == 16
#define DEAL_LOW(a, b) SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define DEAL_HIGH(a, b) SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define ROUNDS 4
#elif VECTOR * 8 / REAL == 8
#define DEAL_LOW(a, b) SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define DEAL_HIGH(a, b) SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define ROUNDS 3
#elif VECTOR * 8 / REAL == 4
#define DEAL_LOW(a, b) SHUFFLE(a, b, 0, 4, 1, 5)
#define DEAL_HIGH(a, b) SHUFFLE(a, b, 2, 6, 3, 7)
#define ROUNDS 2
#elif VECTOR * 8 / REAL == 2
#define DEAL_LOW(a, b) SHUFFLE(a, b, 0, 2)
#define DEAL_HIGH(a, b) SHUFFLE(a, b, 1, 3)
#define ROUNDS 1
#else
#define ROUNDS 0
#endif

INLINE void turn(lanes square[LANES]) {
#if ROUNDS
#pragma GCC unroll 4
    for (int round = 0; round < ROUNDS; round++) {
        lanes dealt[LANES];
#pragma GCC unroll 8
        for (int i = 0; i < LANES / 2; i++) {
            dealt[2 * i] = DEAL_LOW(square[i], square[i + LANES / 2]);
            dealt[2 * i + 1] = DEAL_HIGH(square[i], square[i + LANES / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) square[i] = dealt[i];
    }
#else
    (void)square;
#endif
}

/* Return the sum of each of LANES vectors, in the lane of its number; `square` is used up. */
INLINE lanes sums_of(lanes square[LANES]) {
    lanes sum = {0};
    turn(square);
#pragma GCC unroll 16
    for (int k = 0; k < LANES; k++) sum += square[k];
    return sum;
}

static real dot(const real *x, const real *y, int64_t n) {
    lanes sum = {0}, other = {0};
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        sum += load(x + i) * load(y + i);
        other += load(x + i + LANES) * load(y + i + LANES);
    }
    for (; i < n; i += LANES) sum += load_part(x + i, n - i) * load_part(y + i, n - i);
    return sum_lanes(sum + other);
}

/* y += a x */
static void add_times(real *y, real a, const real *x, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) store_part(y + i, load_part(y + i, n - i) + a * load_part(x + i, n - i), n - i);
}

INLINE real square_root(real x) { return (real)__builtin_sqrt((double)x); }

#endif
