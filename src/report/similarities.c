/* How alike the two games of each experiment are. */
#include "report/stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The profile of a game, made when it is first asked for; NULL when it cannot be played here. */
static const qg_profile *find_profile(qg_results *r, const qg_report_options *options,
                                      const char *game, qg_profile *profiles, size_t *count)
{
    qg_error error;
    for (size_t i = 0; i < *count; i++)
        if (strcmp(profiles[i].domain, game) == 0) return profiles[i].game ? &profiles[i] : NULL;
    qg_profile *profile = &profiles[(*count)++];
    if (options->progress) options->progress(options->context, "looking at the games");
    if (qg_profile_create(game, QG_SIMILARITY_FRAMES, QG_REPORT_SEED, profile, &error) != QG_OK) {
        qg_error ignored;
        *profile = (qg_profile){0};
        snprintf(profile->domain, sizeof profile->domain, "%s", game);
        if (qg_warn(&r->warnings, &ignored, "similarity of %s: %s", game, error.message))
            return NULL;
    }
    return profile->game ? profile : NULL;
}

qg_status qg_results_find_similarities(qg_results *r, const qg_report_options *options,
                                       qg_error *error)
{
    size_t count = 0;
    qg_profile *profiles = qg_results_memory(2 * r->experiment_count, sizeof *profiles, error);
    if (!profiles) return error->code;
    for (size_t i = 0; i < r->experiment_count; i++) {
        qg_experiment *e = &r->experiments[i];
        if (!e->source_game[0]) continue;
        const qg_profile *a = find_profile(r, options, e->source_game, profiles, &count);
        const qg_profile *b =
            find_profile(r, options, r->study->runs[e->run].game, profiles, &count);
        e->has_similarity = a && b;
        if (e->has_similarity) qg_similarity_compare(a, b, &e->similarity);
    }
    for (size_t i = 0; i < count; i++)
        qg_profile_free(&profiles[i]);
    free(profiles);
    return QG_OK;
}
