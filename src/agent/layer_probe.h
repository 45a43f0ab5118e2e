/* A probe looks into the layers of networks of one architecture: at what they put out on fixed
 * states of a game, and how alike that is to what other networks put out. */
#ifndef QG_LAYER_PROBE_H
#define QG_LAYER_PROBE_H

#include <qgraft/diagnosis.h>

#include "agent/fixed_states.h"

typedef struct qg_layer_probe {
    qg_architecture architecture;
    qg_fixed_states fixed;
    /* Gram matrices [n][n] of the layers of others, behind which column they stand: 0 the source, 1
     * the baseline. NULL: there is none to compare with. */
    double *grams[2][QG_MAX_LAYERS];
    const volatile sig_atomic_t *stop; /* becomes non-zero: QG_STOPPED; may be NULL */
} qg_layer_probe;

/* Plays the game for `count` states of `history` screens, evenly spread over ten times as many
 * steps. The caller closes it. Fails as qg_fixed_states_create. */
qg_status qg_layer_probe_open(const char *domain, int history, int count,
                              const qg_architecture *architecture,
                              const volatile sig_atomic_t *stop, qg_layer_probe *probe,
                              qg_error *error);
void qg_layer_probe_close(qg_layer_probe *probe); /* one of zero bytes is allowed */

/* From now on layer l is compared with layer layers[l] (-1: with none) of `other`, for `measure`,
 * which is QG_SOURCE_CKA or QG_BASELINE_CKA. `history`: how many screens the other sees at a time,
 * 0: not known. A network that does not see such states is passed over. Fails as qg_engine_create.
 */
qg_status qg_layer_probe_compare(qg_layer_probe *probe, qg_layer_measure measure,
                                 const qg_network *other, int history,
                                 const int layers[QG_MAX_LAYERS], const char *precision,
                                 qg_error *error);

/* Fills the measures of features of every layer of the engine's online network, of this
 * architecture. Fails as qg_layer_features; QG_STOPPED. */
qg_status qg_layer_probe_look(const qg_layer_probe *probe, qg_engine *engine,
                              qg_layer_row rows[QG_MAX_LAYERS], qg_error *error);

#endif
