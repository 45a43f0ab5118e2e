/* Networks of Torch7: nn.Sequential of convolutions, linear layers and rectifiers, alone or in the
 * table that DQN 3.0 and its forks save (best_model, model, network, agent). Inputs are grey values
 * / 255, as in that program. */
#ifndef QG_TORCH7_NETWORK_H
#define QG_TORCH7_NETWORK_H

#include <qgraft/network.h>

#include "network/tensor_floats.h"

/* Reads the network and checks every module, shape and value. *part: where in the file it stood
 * ("best_model", "agent.network", ...; "": the file is the network), static. *rounding: of doubles.
 * The caller frees the network. Every message begins with the path. QG_ERROR_DATA, QG_ERROR_IO,
 * QG_ERROR_MEMORY. */
qg_status qg_torch7_network_load(const char *path, qg_network *network, const char **part,
                                 qg_rounding *rounding, qg_error *error);

#endif
