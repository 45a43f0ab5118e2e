/* Linear CKA: how alike two sets of features of the same states are. */
#ifndef QG_CKA_H
#define QG_CKA_H

#include <qgraft/engine.h>

/* The Gram matrix [n][n] of features [n][width]: inner products of all pairs of rows. */
void qg_gram(const float *features, size_t n, size_t width, double *gram);

/* That of a layer's outputs. Fails as qg_engine_activations. */
qg_status qg_layer_gram(qg_engine *engine, int layer, const qg_states *states, double *gram,
                        qg_error *error);

/* Linear CKA of two sets of features of the same states, from rows and columns `begin` ... `end` -
 * 1 of their Gram matrices [n][n]:
 *
 *     HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),  HSIC(K, L) = tr(H K H L),  H = 1 - 1/m
 *
 * (m = end - begin; the same as centring the features). `scratch`: 2 m^2 doubles. NaN where one of
 * them is the same for all states. */
double qg_linear_cka(const double *k, const double *l, size_t n, size_t begin, size_t end,
                     double *scratch);

#endif
