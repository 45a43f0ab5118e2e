/* What `qgraft similarity` has found, and its three forms: tables, JSON, a figure. */
#ifndef QG_CLI_SIMILARITY_RESULTS_H
#define QG_CLI_SIMILARITY_RESULTS_H

#include "cli/cli.h"

#include <qgraft/similarity.h>

enum { MAX_COMPARED = 15 }; /* games in one call: what a table has room for */

typedef struct similarity_results {
    int count; /* games */
    qg_profile profiles[MAX_COMPARED];
    qg_similarity pairs[MAX_COMPARED][MAX_COMPARED]; /* also of each game with itself */
    uint32_t seed;
    bool has_networks; /* of the two games: */
    const char *networks[2];
    qg_representation representation;
} similarity_results;

void similarity_print(const similarity_results *results);
int similarity_print_json(const similarity_results *results); /* the exit code */

/* Two games: a bar for each measure; more: a heat map of the grades. */
qg_status similarity_draw(const similarity_results *results, const char *path, qg_error *error);

#endif
