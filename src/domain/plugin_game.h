/* The games of plugins, once plugin.c has found them good. */
#ifndef QG_PLUGIN_GAME_H
#define QG_PLUGIN_GAME_H

#include "domain/provider.h"

#include <qgraft/plugin.h>

enum { QG_MAX_PLUGINS = 64 };

bool qg_plugin_is_added(const qg_plugin *plugin);

/* Lists the game of a checked plugin, which is borrowed for good. False: there are QG_MAX_PLUGINS
 * already. */
bool qg_plugin_add(const qg_plugin *plugin);

#endif
