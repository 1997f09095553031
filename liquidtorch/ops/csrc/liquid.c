/* The library that ops/library.py loads, for one width of vectors and one kind of number.
 *
 * A whole is cut into tiles, which share nothing but their inputs: threads may take them in any order, and the result is
 * the same. Scratch is the caller's: nothing is allocated, nothing is global. */
#include "arrival.h"
#include "committee.h"
#include "dense.h"
#include "descent.h"
#include "echo.h"
#include "learning.h"
#include "newton.h"
#include "recursive.h"
#include "scan.h"
#include "spiking.h"
#include "spread.h"
#include "step.h"
#include "synapses.h"
#include "wired.h"

#define JOIN(name, bits) name##_f##bits
#define NAMED(name, bits) JOIN(name, bits)
#define ENTRY(name) NAMED(name, REAL)

int64_t ENTRY(lanes)(void) { return LANES; }

/* The hash of the text this was built from. */
const char *ENTRY(text)(void) { return TEXT; }

void ENTRY(pack)(const real *W, int64_t groups, int64_t targets, int64_t sources, real *packed) {
    pack(W, groups, targets, sources, packed);
}

void ENTRY(pack_back)(const real *W, int64_t groups, int64_t targets, int64_t sources, real *packed) {
    pack_back(W, groups, targets, sources, packed);
}

#define FORWARD(Type, name, numbers)                                                                               \
    int64_t ENTRY(name##_scratch)(const Type *d) { return name##_scratch(d); }                                     \
    static void name##_forward_tiles(const void *d, int64_t from, int64_t to, void *scratch) {                     \
        for (int64_t tile = from; tile < to; tile++) name##_forward((const Type *)d, tile, (numbers *)scratch);    \
    }                                                                                                              \
    void ENTRY(name##_forward)(const Type *d, int64_t tiles, int64_t threads, Parallel *team, void *scratch, int64_t bytes) { \
        spread(team, name##_forward_tiles, d, tiles, threads, scratch, bytes);                                     \
    }

#define ENTRIES(Type, name, numbers)                                                                               \
    FORWARD(Type, name, numbers)                                                                                   \
    static void name##_backward_tiles(const void *d, int64_t from, int64_t to, void *scratch) {                    \
        for (int64_t tile = from; tile < to; tile++) name##_backward((const Type *)d, tile, (numbers *)scratch);   \
    }                                                                                                              \
    void ENTRY(name##_backward)(const Type *d, int64_t tiles, int64_t threads, Parallel *team, void *scratch, int64_t bytes) { \
        spread(team, name##_backward_tiles, d, tiles, threads, scratch, bytes);                                    \
    }

ENTRIES(Dense, dense, real)
ENTRIES(Wired, wired, lanes)
ENTRIES(LTC, ltc, lanes)
ENTRIES(Synapses, synapses, lanes)
ENTRIES(Scan, scan, real)
FORWARD(Echo, echo, lanes)
FORWARD(Echo, echo_row, real)
FORWARD(Spiking, spiking, real)

/* What runs on is told of a step by its address alone: csrc/arrival.h calls it so. */
void ENTRY(gated_step)(const void *d, double dt) { gated_step((const GatedStep *)d, dt); }
void ENTRY(scan_step)(const void *d, double dt) { scan_step_one((const ScanStep *)d, dt); }
void ENTRY(ltc_step)(const void *d, double dt) { ltc_step_one((const LTCStep *)d, dt); }
void ENTRY(echo_step)(const void *d, double dt) { echo_step_one((const EchoStep *)d, dt); }
int64_t ENTRY(arrival)(const Arrival *d, double dt) { return arrival(d, dt); }
void ENTRY(recursive_step)(const Recursive *d, double importance) { recursive_row(d, importance); }
void ENTRY(descent_step)(const Descent *d, double y) { descent_row(d, y); }
void ENTRY(newton_step)(const Newton *d, double y) { newton_row(d, y); }
int64_t ENTRY(committee_row)(const Committee *d, double y) { return committee_row(d, y); }
void ENTRY(local_step)(const Local *d, double dt) { local_step(d, dt); }
void ENTRY(traces_step)(const Traces *t, double dt) { traces_step(t, dt); }
void ENTRY(adam_step)(const Adam *d, double rate) { adam_step(d, rate); }
void ENTRY(learning_step)(const Learning *d, double rate) { learning_step(d, rate); }
