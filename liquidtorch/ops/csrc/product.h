/* The dense product of the recurrences: few rows, weights packed once so that a vector holds neighbouring targets. */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "lanes.h"

#if AVX512 || defined(__aarch64__)
#define BLOCK 8 /* rows whose sums stay in registers; of 32 registers 24 hold sums */
#else
#define BLOCK 4 /* of 16 registers 12 */
#endif

INLINE int64_t padded(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

/* Pack W so that product() runs over targets. W (groups, targets, sources) -> groups * padded(targets)/LANES panels of
 * (sources, LANES), zeros where a group is padded. */
static void pack(const real *W, int64_t groups, int64_t targets, int64_t sources, real *packed) {
    for (int64_t g = 0; g < groups; g++)
        for (int64_t i = 0; i < padded(targets); i += LANES)
            for (int64_t j = 0; j < sources; j++)
                for (int64_t l = 0; l < LANES; l++)
                    *packed++ = i + l < targets ? W[(g * targets + i + l) * sources + j] : 0;
}

/* Pack the same W so that product() runs back, from its padded targets to its sources: panels of (groups *
 * padded(targets), LANES). */
static void pack_back(const real *W, int64_t groups, int64_t targets, int64_t sources, real *packed) {
    for (int64_t j = 0; j < padded(sources); j += LANES)
        for (int64_t g = 0; g < groups; g++)
            for (int64_t i = 0; i < padded(targets); i++)
                for (int64_t l = 0; l < LANES; l++)
                    *packed++ = i < targets && j + l < sources ? W[(g * targets + i) * sources + j + l] : 0;
}

INLINE void product_block(
    const int rows, const int panels, const real *x, int64_t x_row, const real *packed, int64_t depth, real *z, int64_t z_row
) {
    lanes sum[BLOCK][3];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (int p = 0; p < panels; p++) sum[r][p] = load(z + r * z_row + p * LANES);
    for (int64_t k = 0; k < depth; k++) {
        lanes w[3];
#pragma GCC unroll 3
        for (int p = 0; p < panels; p++) w[p] = load(packed + (p * depth + k) * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 3
            for (int p = 0; p < panels; p++) sum[r][p] += x[r * x_row + k] * w[p];
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (int p = 0; p < panels; p++) store(z + r * z_row + p * LANES, sum[r][p]);
}

INLINE void product_panels(
    const int panels, int64_t rows, const real *x, int64_t x_row, const real *packed, int64_t depth, real *z, int64_t z_row
) {
    int64_t r = 0;
    for (; r + BLOCK <= rows; r += BLOCK) product_block(BLOCK, panels, x + r * x_row, x_row, packed, depth, z + r * z_row, z_row);
    for (; r + 2 <= rows; r += 2) product_block(2, panels, x + r * x_row, x_row, packed, depth, z + r * z_row, z_row);
    for (; r < rows; r++) product_block(1, panels, x + r * x_row, x_row, packed, depth, z + r * z_row, z_row);
}

/* z[r] += W x[r] for every row, W of `depth` sources and `width` targets (padded), packed. */
static void product(
    int64_t rows, const real *x, int64_t x_row, const real *packed, int64_t depth, real *z, int64_t z_row, int64_t width
) {
    int64_t left = width / LANES;
    while (left) {
        int64_t panels = left >= 5 || left == 3 ? 3 : left == 4 ? 2 : left;
        if (panels == 3) product_panels(3, rows, x, x_row, packed, depth, z, z_row);
        else if (panels == 2) product_panels(2, rows, x, x_row, packed, depth, z, z_row);
        else product_panels(1, rows, x, x_row, packed, depth, z, z_row);
        packed += panels * depth * LANES;
        z += panels * LANES;
        left -= panels;
    }
}

#endif
