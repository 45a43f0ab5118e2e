#include "base/clock.h"

#include <math.h>
#include <time.h>

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double qg_clock_seconds(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

void qg_clock_sleep_until(double when)
{
    const struct timespec end = {(time_t)when, (long)(1e9 * (when - floor(when)))};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
}

bool qg_clock_tells(int64_t step, double *told)
{
    const double now = qg_clock_seconds();
    if (step % 256 != 0 && now - *told < 0.2) return false;
    *told = now;
    return true;
}

double qg_clock_wall(void)
{
    return seconds_of(CLOCK_REALTIME);
}
