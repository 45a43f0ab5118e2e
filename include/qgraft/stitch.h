/* Stitching: the first layers of one network under the last layers of another, as they are or with
 * a trained linear map between (Lenc & Vedaldi 2015; Bansal, Nakkiran & Barak 2021).
 *
 * What layers lose when they are put under others is of two kinds: the others were trained with
 * another basis of the same information (fragile co-adaptation, Yosinski et al. 2014), which a
 * linear map undoes, or the information is not there (specificity), which no map does. */
#ifndef QGRAFT_STITCH_H
#define QGRAFT_STITCH_H

#include <qgraft/network.h>

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QG_STITCH_STATES 2000 /* of random play: half for the map, half to test it on */
#define QG_STITCH_RIDGE  1e-6 /* times the mean of X'X's diagonal, added to it */

typedef struct qg_stitch_options {
    const qg_network *source, *target;
    const char *precisions[2]; /* that they are computed in; NULL: float32 */
    int cut;                   /* so many of the source's layers: 1 ... target's layers - 1 */
    bool mapped;               /* with a map between */
    const char *domain;        /* whose random play the states are of */
    int history;               /* screens per state */
    const volatile sig_atomic_t *stop; /* becomes non-zero: QG_STOPPED; may be NULL */
} qg_stitch_options;

/* Makes the stitched network, of the target's architecture, which the caller frees. The map y = B x
 * has no constant and, between convolutions, is the same for all places (a convolution of 1x1); it
 * is the least-squares one, B = (X'X + ridge)^-1 X'Y on the outputs of layer `cut` of both
 * networks, in doubles, and is multiplied into the weights of the layer above, so that the result
 * is an ordinary network. *fit: share of the target's variance that it explains on the other half
 * of the states, 1 - sum |y - B x|^2 / sum |y - mean y|^2 (NaN without a map, or where there is
 * none). QG_ERROR_USAGE: the networks differ in their input or below the cut; the layer above is
 * that of a dueling network's heads; as qg_domain_open, qg_engine_create. */
qg_status qg_stitch(const qg_stitch_options *options, qg_network *stitched, double *fit,
                    qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
