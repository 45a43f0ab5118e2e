/* Powers with the same bits on every machine, which the C library's are not. */
#ifndef QG_EXACT_POWER_H
#define QG_EXACT_POWER_H

/* base^exponent for a finite base above 0. */
double qg_power(double base, double exponent);

#endif
