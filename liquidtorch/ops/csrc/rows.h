/* A tile of rows in the lanes: how it is read and written, and which of its rows are live. */
#ifndef ROWS_H
#define ROWS_H

#include "lanes.h"

/* What all sequences have in common. A tile is LANES rows; the last may have fewer. */
typedef struct {
    int64_t B, T, H;
    const real *h0, *dt;    /* (B,H), (B,T) */
    const int64_t *lengths; /* (B,) or NULL: every row has T steps */
    const uint8_t *reset;   /* (B,T) or NULL: 1 where the state is 0 before the step */
    real *h;                /* (B,T,H) out: every state */
    const real *grad_h;     /* (B,T,H) */
    real *grad_h0;          /* (B,H) out */
    real *grad_dt;          /* (B,T) out, or NULL */
} Rows;

/* Where row b ends, and whether its state is 0 before step t. */
INLINE int64_t ends(const Rows *d, int64_t b) { return d->lengths ? d->lengths[b] : d->T; }
INLINE int starts_anew(const Rows *d, int64_t b, int64_t t) { return d->reset && d->reset[b * d->T + t]; }

typedef struct {
    int64_t first, count, longest; /* rows, and the end of the longest */
} Tile;

static Tile tile_of(const Rows *d, int64_t tile) {
    Tile at = {tile * LANES, d->B - tile * LANES, d->lengths ? 0 : d->T};
    if (at.count > LANES) at.count = LANES;
    for (int64_t r = 0; d->lengths && r < at.count; r++) {
        int64_t end = d->lengths[at.first + r];
        if (end > at.longest) at.longest = end;
    }
    return at;
}

/* x[j*apart] <- number j < left of every row, and back; numbers and rows that are not there are 0. */
INLINE void read_square(const real *base, int64_t stride, int64_t rows, int64_t left, lanes *x, int64_t apart) {
    lanes square[LANES];
#pragma GCC unroll 16
    for (int64_t r = 0; r < LANES; r++) square[r] = r < rows ? load_part(base + r * stride, left) : (lanes){0};
    turn(square);
#pragma GCC unroll 16
    for (int64_t j = 0; j < left; j++) x[j * apart] = square[j];
}

INLINE void write_square(real *base, int64_t stride, int64_t rows, int64_t left, const lanes *x, int64_t apart) {
    lanes square[LANES];
#pragma GCC unroll 16
    for (int64_t j = 0; j < LANES; j++) square[j] = j < left ? x[j * apart] : (lanes){0};
    turn(square);
#pragma GCC unroll 16
    for (int64_t r = 0; r < rows; r++) store_part(base + r * stride, square[r], left);
}

/* The same for all n numbers of the rows; base is the first row's, `stride` apart. A whole square is compiled on its own. */
INLINE void read_apart(const real *base, int64_t stride, int64_t rows, int64_t n, lanes *x, int64_t apart) {
    int64_t i = 0;
    for (; rows == LANES && i + LANES <= n; i += LANES) read_square(base + i, stride, LANES, LANES, x + i * apart, apart);
    for (; i < n; i += LANES) read_square(base + i, stride, rows, n - i < LANES ? n - i : LANES, x + i * apart, apart);
}

INLINE void write_apart(real *base, int64_t stride, int64_t rows, int64_t n, const lanes *x, int64_t apart) {
    int64_t i = 0;
    for (; rows == LANES && i + LANES <= n; i += LANES) write_square(base + i, stride, LANES, LANES, x + i * apart, apart);
    for (; i < n; i += LANES) write_square(base + i, stride, rows, n - i < LANES ? n - i : LANES, x + i * apart, apart);
}

static void read_rows(const real *base, int64_t stride, int64_t rows, int64_t n, lanes *x) {
    read_apart(base, stride, rows, n, x, 1);
}

static void write_rows(real *base, int64_t stride, int64_t rows, int64_t n, const lanes *x) {
    write_apart(base, stride, rows, n, x, 1);
}

INLINE lanes dt_of(const Rows *d, Tile at, int64_t t) {
    lanes dt = {0};
    for (int64_t r = 0; r < at.count; r++) dt[r] = d->dt[(at.first + r) * d->T + t];
    return dt;
}

/* The rows that have not ended at t. */
INLINE mask live_rows(const Rows *d, Tile at, int64_t t) {
    mask live = {0};
    for (int64_t r = 0; r < at.count; r++) live[r] = -(whole)(!d->lengths || t < d->lengths[at.first + r]);
    return live;
}

/* The live rows whose state is 0 before the step t. */
INLINE mask fresh_rows(const Rows *d, Tile at, int64_t t) {
    mask fresh = {0};
    for (int64_t r = 0; d->reset && r < at.count; r++) fresh[r] = -(whole)(d->reset[(at.first + r) * d->T + t] != 0);
    return fresh & live_rows(d, at, t);
}

INLINE void clear_rows(mask which, lanes *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = only(~which, x[i]);
}

/* x <- the state before step t, before any reset. */
static void read_state(const Rows *d, Tile at, int64_t t, lanes *x) {
    if (t) read_rows(d->h + (at.first * d->T + t - 1) * d->H, d->T * d->H, at.count, d->H, x);
    else read_rows(d->h0 + at.first * d->H, d->H, at.count, d->H, x);
}

static void write_state(const Rows *d, Tile at, int64_t t, const lanes *x) {
    write_rows(d->h + (at.first * d->T + t) * d->H, d->T * d->H, at.count, d->H, x);
}

static void write_dt(const Rows *d, Tile at, int64_t t, lanes x) {
    for (int64_t r = 0; d->grad_dt && r < at.count; r++) d->grad_dt[(at.first + r) * d->T + t] = x[r];
}

#endif
