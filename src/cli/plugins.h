/* Games of the user's own: --domain-plugin FILE, which every command takes, and QGRAFT_PLUGINS. */
#ifndef QG_CLI_PLUGINS_H
#define QG_CLI_PLUGINS_H

#include <qgraft/error.h>

/* Takes every `--domain-plugin FILE` and `--domain-plugin=FILE` in front of a "--" out of the line
 * and adds the absolute path to the environment variable QGRAFT_PLUGINS (paths with ':' between
 * them), so that processes that this one starts know the games, too. */
qg_status cli_take_plugins(int *argc, char **argv, qg_error *error);

/* Loads all that QGRAFT_PLUGINS names. */
qg_status cli_load_plugins(qg_error *error);

#endif
