/* How many directions a layer's features fill: from the singular values of the features [n][width],
 * which are the roots of the eigenvalues of their Gram matrix [n][n]. */
#ifndef QG_SPECTRUM_H
#define QG_SPECTRUM_H

#include <stddef.h>

/* The eigenvalues of a symmetric matrix [n][n], descending, into values [n]. Overwrites the matrix;
 * `room`: n doubles. */
void qg_eigenvalues(double *matrix, size_t n, double *values, double *room);

/* The singular values of features from the eigenvalues of their Gram matrix, in place: what
 * rounding has left of a zero becomes 0. */
void qg_singular_values(double *values, size_t n);

/* The effective rank of Roy & Vetterli 2007 (section 3): exp of the entropy of the singular values,
 * which descend, as shares of their sum; from 1 to n. NaN where all are 0. */
double qg_effective_rank(const double *singular_values, size_t n);

/* srank of Kumar et al. 2021 (section 3): how many of them make 1 - delta of their sum. NaN where
 * all are 0. */
double qg_srank(const double *singular_values, size_t n, double delta);

#endif
