/* Points in the plane from affinities: classical multidimensional scaling. */
#ifndef QG_SCALING_H
#define QG_SCALING_H

#include <qgraft/error.h>

enum { QG_MOST_POINTS = 32 };

/* points [count][2], centred, along the main axes. The squared distances are c - affinities [i][j]
 * (symmetric; the diagonal counts as 0), c the smallest constant with which there are such points
 * at all (Lingoes 1971); those in the plane come nearest to them by the two largest eigenvalues of
 * the doubly centred matrix (Torgerson 1952, Gower 1966). *share: of all eigenvalues, those two.
 * count: 3 to QG_MOST_POINTS, all finite. */
void qg_classical_scaling(const double *affinities, int count, double (*points)[2], double *share);

/* Turns, and mirrors where that is better, `points` [count][2], centred, so that they come nearest
 * to `to` (Procrustes, without a change of size). */
void qg_turn_to(const double (*to)[2], int count, double (*points)[2]);

#endif
