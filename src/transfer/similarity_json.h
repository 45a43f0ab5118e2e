/* The similarity of two domains as JSON. */
#ifndef QG_SIMILARITY_JSON_H
#define QG_SIMILARITY_JSON_H

#include <qgraft/similarity.h>

#include <jansson.h>

/* A new object: `games`, `class`, `grade` and all measures; NULL: no memory. */
json_t *qg_similarity_to_json(const char *const domains[2], const qg_similarity *similarity);

#endif
