/* Grafting: copying weighted layers of a trained network into a new one.
 *
 * What the paper does (Shachaf, Ziv, Zahavy) and Yosinski et al. 2014 before it: the first n or the
 * last n weighted layers, weights and biases, are copied into a randomly initialised network; then
 * it is trained on another domain, the copied layers frozen or free. */
#ifndef QGRAFT_GRAFT_H
#define QGRAFT_GRAFT_H

#include <qgraft/network.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which layers: exactly one of the four ways. */
typedef struct qg_graft_choice {
    int first, last;            /* > 0: the first or last n weighted layers */
    bool layers[QG_MAX_LAYERS]; /* some true: these layers of the target, counted from 0 */
    const char *part;           /* a part of a split network by name */
    bool match_index;           /* the last layer's rows by position, not by action meaning */
} qg_graft_choice;

/* What happened to a layer of the target. */
typedef struct qg_grafted_layer {
    int source; /* the source's layer that it came from; -1: fresh */
    int rows;   /* outputs copied; fewer than all in a last layer between action sets */
} qg_grafted_layer;

/* Copies layers of `source` into `target`, which was initialised before (those that are not copied
 * keep what they hold); `grafted` gets what happened to each layer of the target. The actions are
 * the names in the order of the outputs, separated by commas, as in qg_network_info. Layers are
 * paired from the front (first, layers), from the back (last) or in the order of a part. Where both
 * networks' last layers are paired, rows go by the meaning of the actions ("noop,fire,..."): a row
 * whose action the source does not have stays fresh. QG_ERROR_USAGE: a number out of range, a shape
 * that does not fit (both layers and both shapes are named), no action in common. */
qg_status qg_graft(const qg_network *source, const char *source_actions, qg_network *target,
                   const char *target_actions, const qg_graft_choice *choice,
                   qg_grafted_layer grafted[QG_MAX_LAYERS], qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
