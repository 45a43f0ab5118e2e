/* YAML files as trees whose nodes know their lines: what people write by hand (settings, studies).
 *
 * The event parser is used, not libyaml's document loader: it never builds what a hostile file
 * describes (deep nests, endless lists, aliases that multiply). Keys are plain words, unique in
 * their mapping. An alias (*name) becomes a copy of what its anchor (&name) names, with the lines
 * where that stands. A merge key (<<) brings the items of one mapping, or of a list of them of
 * which an earlier one wins, to its place, unless the mapping has them itself, before or behind it.
 */
#ifndef QG_YAML_TREE_H
#define QG_YAML_TREE_H

#include <qgraft/error.h>

#include "base/yaml_node.h"

#define QG_YAML_LARGEST ((size_t)1 << 20) /* bytes of a file */

/* Parses a document; `name` stands for the file in messages, which begin with NAME:LINE. The caller
 * frees *root with qg_yaml_free. QG_ERROR_USAGE (no YAML, or YAML that is not allowed here),
 * QG_ERROR_MEMORY. */
qg_status qg_yaml_parse(const char *name, const void *data, size_t size, qg_yaml **root,
                        qg_error *error);

#endif
