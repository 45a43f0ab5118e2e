/* What the time is. */
#ifndef QG_CLOCK_H
#define QG_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds of the monotonic clock, for durations: it never goes back, and begins anywhere. */
double qg_clock_seconds(void);

/* Sleeps until qg_clock_seconds() is `when`; a signal ends it. */
void qg_clock_sleep_until(double when);

/* Whether it is time to tell how far something is, at its step `step`: every 256 steps, and of slow
 * ones every fifth of a second. *told, of the caller and 0 at first, is when it was told last. */
bool qg_clock_tells(int64_t step, double *told);

/* Seconds since 1970, for people; it may jump. */
double qg_clock_wall(void);

#endif
