/* Settings that stand within another YAML file. */
#ifndef QG_SETTINGS_YAML_H
#define QG_SETTINGS_YAML_H

#include <qgraft/settings.h>

#include "base/yaml_tree.h"

/* Reads a mapping of settings over what `settings` holds; as qg_settings_parse_yaml. */
qg_status qg_settings_apply_yaml(qg_settings *settings, const char *name, const qg_yaml *mapping,
                                 qg_error *error);

#endif
