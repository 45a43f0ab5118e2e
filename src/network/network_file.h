/* Parameters from tensors with a prefix: "" for a network, "moment1." for its moments. */
#ifndef QG_NETWORK_FILE_H
#define QG_NETWORK_FILE_H

#include <qgraft/network.h>

#include "network/safetensors.h"

/* Fills the parameters of `network` (created before) from the tensors PREFIX + "conv1.weight", ...,
 * each checked for its type, shape and finite values. */
qg_status qg_tensors_to_network(const qg_tensors *file, const char *path, const char *prefix,
                                qg_network *network, qg_error *error);

/* Adds every layer's tensors to a file that is being made; the data is borrowed. */
qg_status qg_network_to_tensors(const qg_network *network, const char *prefix, qg_tensors *file,
                                qg_error *error);

/* What a network's file says of it; its numbers may be none, of a run that has diverged. Fails as
 * qg_network_load. */
qg_status qg_network_read_info(const char *path, qg_network_info *info, qg_error *error);

#endif
