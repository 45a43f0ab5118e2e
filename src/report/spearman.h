/* Rank correlation. */
#ifndef QG_REPORT_SPEARMAN_H
#define QG_REPORT_SPEARMAN_H

#include <stddef.h>

/* Spearman's rho of `count` pairs, ties having their mean rank; NaN below three pairs and where one
 * side is constant. */
double qg_spearman(const double *x, const double *y, size_t count);

#endif
