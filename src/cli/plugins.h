/* What every command takes for games of the user's own: --domain-plugin FILE (or QGRAFT_PLUGINS),
 * and
 * --python FILE (or QGRAFT_PYTHON), the interpreter of Gymnasium's environments. */
#ifndef QG_CLI_PLUGINS_H
#define QG_CLI_PLUGINS_H

#include <qgraft/error.h>

/* Takes every `--python FILE` and `--python=FILE`, of which the last counts, out of the line and
 * puts it into the environment; the same for every `--domain-plugin FILE` in front of a "--" whose
 * absolute path it adds to the environment variable QGRAFT_PLUGINS (paths with ':' between them),
 * so that processes that this one starts know the games, too. */
qg_status cli_take_plugins(int *argc, char **argv, qg_error *error);

/* Loads all that QGRAFT_PLUGINS names. */
qg_status cli_load_plugins(qg_error *error);

#endif
