/* Networks of other programs: DQN state dicts, saved as safetensors, as CleanRL and
 * Stable-Baselines3 (CnnPolicy) name them.
 *
 * Both have the architecture nature-pad0 on 4 screens of 84x84 bytes / 255, PyTorch's layout and a
 * channel-major flatten, as the files of this program: the tensors are the same, only their names
 * differ, so that importing and exporting keep every bit. What torch.compile ("_orig_mod.") and
 * DataParallel ("module.") put into names is passed over, a network saved alone, without its prefix
 * ("0.weight", "features_extractor.cnn.0.weight"), is read, too, and F16, BF16 and F64 become
 * float32.
 */
#ifndef QG_FOREIGN_H
#define QG_FOREIGN_H

#include <qgraft/network.h>

#include "network/tensor_floats.h"

typedef enum qg_foreign_format {
    QG_FOREIGN_UNKNOWN, /* to be recognised by the names of the tensors */
    QG_FOREIGN_CLEANRL, /* network.0.weight, ... */
    QG_FOREIGN_SB3,     /* q_net.features_extractor.cnn.0.weight, ..., and q_net_target.* */
} qg_foreign_format;

const char *qg_foreign_name(qg_foreign_format format); /* "cleanrl", "sb3" */

/* The format called `name`, QG_FOREIGN_UNKNOWN when there is none. */
qg_foreign_format qg_foreign_find(const char *name);

/* Reads a state dict and checks every name, shape and value; *format is set when it was
 * QG_FOREIGN_UNKNOWN. A target network in the file is not read. *rounding: of the F64 values that
 * were read. The caller frees the network. Every message begins with the path. */
qg_status qg_foreign_load(const char *path, qg_foreign_format *format, qg_network *network,
                          qg_rounding *rounding, qg_error *error);

/* Writes a state dict, complete or not at all; of sb3 the target network is the same once more.
 * QG_ERROR_USAGE when the network is not of that architecture. */
qg_status qg_foreign_save(const char *path, qg_foreign_format format, const qg_network *network,
                          qg_error *error);

#endif
