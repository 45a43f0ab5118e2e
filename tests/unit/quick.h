/* What is slow under a sanitizer is done less often there: it has seen all accesses when a loop was
 * run once. Under the thread sanitizer (QUICK) only the threads matter besides. */
#ifndef QUICK_H
#define QUICK_H

#include <stdbool.h>
#include <stdlib.h>

#if defined __SANITIZE_THREAD__
enum { QUICK = 1, SANITIZED = 1 };
#elif defined __SANITIZE_ADDRESS__
enum { QUICK = 0, SANITIZED = 1 };
#else
enum { QUICK = 0, SANITIZED = 0 };
#endif

/* QGRAFT_THOROUGH (make soak): as often and as long as nobody wants to wait for every day. */
static inline bool thorough(void)
{
    return getenv("QGRAFT_THOROUGH") != NULL;
}

#endif
