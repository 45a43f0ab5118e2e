/* What the time is. */
#ifndef QG_CLOCK_H
#define QG_CLOCK_H

/* Seconds of the monotonic clock, for durations: it never goes back, and begins anywhere. */
double qg_clock_seconds(void);

/* Sleeps until qg_clock_seconds() is `when`; a signal ends it. */
void qg_clock_sleep_until(double when);

/* Seconds since 1970, for people; it may jump. */
double qg_clock_wall(void);

#endif
