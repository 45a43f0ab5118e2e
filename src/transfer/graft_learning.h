/* Between free and frozen: how copied layers learn, as text and against what is copied. */
#ifndef QG_GRAFT_LEARNING_H
#define QG_GRAFT_LEARNING_H

#include <qgraft/graft.h>

/* "thaw=500000 lr_scale=1:0.1,5:2", with `separator` between the words; "": nothing of it. */
void qg_graft_learning_format(const qg_graft_learning *learning, const char *separator,
                              char text[QG_GRAFT_CHOICE_TEXT]);

/* As qg_graft_choice_set, for the keys of the learning. */
qg_status qg_graft_learning_set(qg_graft_learning *learning, const char *key, const char *value,
                                qg_error *error);

/* Whether copied layers are pulled back. */
bool qg_graft_learning_pulls(const qg_graft_learning *learning);

/* When each of the grafted layers thaws within so many steps, and its learning rate.
 * QG_ERROR_USAGE: the rate of a layer that the network does not have, or that is frozen all the
 * time. */
qg_status qg_graft_learning_apply(const qg_graft_learning *learning, int layers, int64_t steps,
                                  qg_grafted_layer grafted[QG_MAX_LAYERS], qg_error *error);

#endif
