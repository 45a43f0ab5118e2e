/* A list of actions from a file. */
#ifndef QG_CLI_ACTIONS_H
#define QG_CLI_ACTIONS_H

#include <qgraft/domain.h>

/* Reads one action index or name per line (blank lines and '#' comments are skipped), or the I64
 * tensor `actions` of a file named *.safetensors. Every index is checked against the game's
 * action set, which it has, and messages name FILE:LINE. The caller frees *actions; *count is at
 * least 1. */
qg_status cli_read_actions(const char *path, const qg_game *game, qg_action_set set,
                           int64_t **actions, size_t *count, qg_error *error);

#endif
