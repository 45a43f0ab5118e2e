/* Debiased linear CKA: how alike two sets of features of the same states are. */
#ifndef QG_CKA_H
#define QG_CKA_H

#include <qgraft/engine.h>

/* The Gram matrix [n][n] of features [n][width]: inner products of all pairs of rows. */
void qg_gram(const float *features, size_t n, size_t width, double *gram);

/* Features of states: the outputs of every layer of the online network, of[l] [n][width of l], in
 * one allocation, of[0], which the caller frees. QG_ERROR_MEMORY, or fails as qg_engine_layers;
 * there is nothing to free then. */
qg_status qg_layer_features(qg_engine *engine, const qg_states *states, float *of[QG_MAX_LAYERS],
                            qg_error *error);

/* Debiased linear CKA of two sets of features X [n][p] and Y [n][q] of the same states, in [-1, 1],
 * from rows and columns `begin` ... `end` - 1 of their Gram matrices K = X X' and L = Y Y' [n][n]
 * (m = end - begin; the diagonals do not matter, and are 0 below):
 *
 *     HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),
 *     HSIC(K, L) = [tr(K L) + 1'K1 1'L1 / ((m-1)(m-2)) - 2 / (m-2) 1'K L 1] / (m (m-3))
 *
 * the CKA of Kornblith et al. 2019 with the unbiased estimator of Song et al. 2007 in the place of
 * Gretton's, as in Nguyen, Raghu and Kornblith 2021 and Murphy, Zylberberg and Fyshe 2024.
 * Gretton's grows with p / m and q / m alone, up to 1 for independent features; this one is around
 * 0 there, and can be below. Features may be shifted, turned and scaled: it is the same.
 *
 * `scratch`: 2 m doubles. NaN of fewer than 4 states, and where one set has all pairs of states
 * equally alike: the same features in all states, or in all but one (a unit that fired once). */
double qg_debiased_cka(const double *k, const double *l, size_t n, size_t begin, size_t end,
                       double *scratch);

#endif
