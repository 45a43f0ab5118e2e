/* A folder of its own for each test, removed at the end; and a disk that is full on demand. */
#ifndef QG_SCRATCH_H
#define QG_SCRATCH_H

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[256];

static inline int scratch_setup(void **state)
{
    (void)state;
    const char *place = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%s/qgraft-test-XXXXXX", place && *place ? place : "/tmp");
    return mkdtemp(scratch) && chmod(scratch, 0755) == 0 ? 0 : -1;
}

static inline int scratch_remove(const char *path, const struct stat *s, int kind, struct FTW *f)
{
    (void)s, (void)kind, (void)f;
    return remove(path);
}

static inline int scratch_teardown(void **state)
{
    (void)state;
    return nftw(scratch, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* "SCRATCH/name"; four results live at a time. */
static inline const char *scratch_path(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%.255s/%.255s", scratch, name);
    return path;
}

static inline void scratch_write(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) abort();
}

/* Files can only grow to `bytes`, so that a write ends in the middle, as on a full disk (there the
 * error is ENOSPC, here EFBIG). RLIM_INFINITY ends it. */
static inline void scratch_limit(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) abort();
    limit.rlim_cur = bytes;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) abort();
}

#endif
