/* YAML files as trees whose nodes know their lines: what people write by hand (settings, studies).
 *
 * The event parser is used, not libyaml's document loader: it never builds what a hostile file
 * describes (aliases, deep nests, endless lists). Keys are plain words, unique in their mapping. */
#ifndef QG_YAML_TREE_H
#define QG_YAML_TREE_H

#include <qgraft/error.h>

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define QG_YAML_LARGEST ((size_t)1 << 20) /* bytes of a file */

typedef enum qg_yaml_kind { QG_YAML_SCALAR, QG_YAML_LIST, QG_YAML_MAPPING } qg_yaml_kind;

typedef struct qg_yaml {
    qg_yaml_kind kind;
    bool quoted;           /* a scalar between quotes */
    int line, key_line;    /* from 1 */
    char *key;             /* of a mapping's item; otherwise NULL */
    char *text;            /* of a scalar, without quotes; otherwise NULL */
    struct qg_yaml *items; /* [count], of a list or mapping, in the order of the file */
    size_t count;
} qg_yaml;

/* Parses a document; `name` stands for the file in messages, which begin with NAME:LINE. The caller
 * frees *root with qg_yaml_free. QG_ERROR_USAGE (no YAML, or YAML that is not allowed here),
 * QG_ERROR_MEMORY. */
qg_status qg_yaml_parse(const char *name, const void *data, size_t size, qg_yaml **root,
                        qg_error *error);
void qg_yaml_free(qg_yaml *root); /* NULL is allowed */

/* The item of a mapping, NULL when it has none. */
const qg_yaml *qg_yaml_get(const qg_yaml *mapping, const char *key);

/* The node as JSON: plain scalars are what they look like, quoted ones strings. NULL: no memory, or
 * no UTF-8. */
json_t *qg_yaml_to_json(const qg_yaml *node);

#endif
