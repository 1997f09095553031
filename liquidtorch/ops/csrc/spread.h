/* Parts of the work over the threads of the OpenMP runtime that PyTorch has already started: a second set of threads
 * would fight its waiting ones for the processors. */
#ifndef SPREAD_H
#define SPREAD_H

#include <stdint.h>

typedef void Parts(const void *arguments, int64_t from, int64_t to, void *scratch);
typedef void Parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags); /* GOMP_parallel */

typedef struct {
    Parts *run;
    const void *arguments;
    int64_t parts, shares, bytes; /* a share is a run of parts; bytes of scratch for each */
    char *scratch;
    int64_t next;
} Team;

/* Take shares until there are none, so that fewer threads than asked for do them all. */
static void take_shares(void *data) {
    Team *team = data;
    for (;;) {
        int64_t i = __atomic_fetch_add(&team->next, 1, __ATOMIC_RELAXED);
        if (i >= team->shares) return;
        team->run(team->arguments, team->parts * i / team->shares, team->parts * (i + 1) / team->shares, team->scratch + i * team->bytes);
    }
}

static void spread(Parallel *parallel, Parts *run, const void *arguments, int64_t parts, int64_t threads, void *scratch, int64_t bytes) {
    Team team = {run, arguments, parts, threads, bytes, scratch, 0};
    if (parallel && threads > 1) parallel(take_shares, &team, (unsigned)threads, 0);
    else take_shares(&team);
}

#endif
