/* A YAML document as a tree whose nodes know their lines. yaml_tree.h makes it of a file. */
#ifndef QG_YAML_NODE_H
#define QG_YAML_NODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum qg_yaml_kind { QG_YAML_SCALAR, QG_YAML_LIST, QG_YAML_MAPPING } qg_yaml_kind;

typedef struct qg_yaml {
    qg_yaml_kind kind;
    bool quoted;           /* a scalar between quotes */
    bool merged;           /* a mapping's item that a merge key (<<) brought */
    int line, key_line;    /* from 1 */
    char *key;             /* of a mapping's item; otherwise NULL */
    char *text;            /* of a scalar, without quotes; otherwise NULL */
    struct qg_yaml *items; /* [count], of a list or mapping, in the order of the file */
    size_t count;
} qg_yaml;

void qg_yaml_free(qg_yaml *root);          /* NULL is allowed */
void qg_yaml_free_contents(qg_yaml *node); /* the node itself stays */

/* The item of a mapping, NULL when it has none. */
qg_yaml *qg_yaml_get(const qg_yaml *mapping, const char *key);

/* Room for one more item at the end of a list or mapping, cleared; NULL: no memory. */
qg_yaml *qg_yaml_add(qg_yaml *node);

/* How much a tree holds. */
typedef struct qg_yaml_size {
    size_t values; /* nodes */
    size_t bytes;  /* of their texts and keys */
    int height;    /* 0: a scalar, or a list or mapping of nothing */
} qg_yaml_size;

qg_yaml_size qg_yaml_measure(const qg_yaml *node);

/* Makes the cleared node `to` a copy of `from`, but for its key; false: no memory, and what there
 * is of it can be freed. */
bool qg_yaml_copy(const qg_yaml *from, qg_yaml *to);

/* The node as JSON: plain scalars are what they look like, quoted ones strings. NULL: no memory, or
 * no UTF-8. */
json_t *qg_yaml_to_json(const qg_yaml *node);

#endif
