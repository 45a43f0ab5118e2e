/* How alike the two games of each experiment are, as the study's measurements say. */
#include "report/stages.h"

#include <qgraft/measurement.h>

#include <stdlib.h>
#include <string.h>

static const qg_similarity itself = {.actions = 1,
                                     .same_actions = true,
                                     .same_family = true,
                                     .visual = 1,
                                     .grade = 1,
                                     .closeness = QG_IN_DOMAIN};

static qg_status find_similarity(qg_results *r, qg_experiment *e, const char *game, qg_error *error)
{
    char *folder;
    qg_status status =
        qg_results_measurement(r, QG_RUN_SIMILARITY, e->source_game, game, &folder, error);
    if (!status && folder) status = qg_similarity_read(folder, &e->similarity, error);
    e->has_similarity = !status && folder;
    free(folder);
    if (status == QG_ERROR_USAGE) { /* the games cannot be compared */
        const qg_error inner = *error;
        return qg_warn(&r->warnings, error, "%s", inner.message);
    }
    return status ? qg_results_do_without(r, "the similarity", status, error) : QG_OK;
}

qg_status qg_results_find_similarities(qg_results *r, qg_error *error)
{
    qg_status status = QG_OK;
    for (size_t i = 0; i < r->experiment_count && !status; i++) {
        qg_experiment *e = &r->experiments[i];
        const char *game = r->study->runs[e->run].game;
        if (strcmp(e->source_game, game) == 0) {
            e->similarity = itself;
            e->has_similarity = true;
        } else if (e->source_game[0])
            status = find_similarity(r, e, game, error);
    }
    return status;
}
