/* What random play of a game scores: the zero of its normalised scores. */
#include <qgraft/agent.h>
#include <qgraft/measurement.h>

#include "agent/run_yaml.h"
#include "base/text.h"
#include "transfer/measurement_folder.h"

#include <inttypes.h>
#include <stdlib.h>

static const char file_name[] = "random-score.json";

typedef struct random_player {
    char domain[QG_DOMAIN_NAME]; /* normalised */
    const qg_settings *settings;
    int64_t steps;
    uint32_t seed;
    const qg_measurement_options *options;
} random_player;

static void show(void *context, int64_t step)
{
    const random_player *p = context;
    if (p->options->progress) p->options->progress(p->options->context, step, p->steps);
}

static qg_status play(const random_player *p, qg_evaluation *evaluation, qg_error *error)
{
    const qg_domain_options domain_options = {
        .seed = p->seed, .frame_skip = p->settings->frame_skip, .sticky = p->settings->sticky};
    const qg_evaluation_options how = {.steps = p->steps,
                                       .epsilon = 1,
                                       .noop_max = p->settings->noop_max,
                                       .history = 1,
                                       .seed = p->seed,
                                       .progress = show,
                                       .context = (void *)p,
                                       .stop = p->options->stop};
    qg_domain *domain;
    qg_status status = qg_domain_open(p->domain, &domain_options, &domain, error);
    if (status) return status;
    status = qg_evaluate(NULL, domain, &how, evaluation, error);
    qg_domain_close(domain);
    return status;
}

static qg_status measure(void *context, json_t **result, qg_error *error)
{
    const random_player *p = context;
    qg_evaluation e;
    const qg_status status = play(p, &e, error);
    if (status) return status;
    *result = json_pack("{s:s, s:I, s:I, s:f, s:I, s:f, s:f, s:f}", "domain", p->domain, "steps",
                        (json_int_t)e.steps, "seed", (json_int_t)p->seed, "score", e.score,
                        "episodes", (json_int_t)e.episodes, "deviation", e.deviation, "minimum",
                        e.minimum, "maximum", e.maximum);
    return *result ? QG_OK : qg_fail_memory(error, file_name, 256);
}

/* The text of run.yaml in *text, NULL after a failure. */
static qg_status describe(const random_player *p, char **text, qg_error *error)
{
    size_t size = 0;
    *text = NULL;
    FILE *out = qg_text_stream(text, &size);
    if (!out) return qg_fail_memory(error, "run.yaml", 512);
    fprintf(out, "# What random play scores; the same values give the same file.\n");
    fprintf(out, "qgraft: %s\nmeasured: random score\ndomain: ", QG_VERSION);
    qg_yaml_string(out, p->domain);
    fprintf(out, "\nseed: %" PRIu32 "\nsteps: %" PRId64 "\nframe_skip: %d\nsticky: %.17g\n",
            p->seed, p->steps, p->settings->frame_skip, p->settings->sticky);
    fprintf(out, "noop_max: %d\n", p->settings->noop_max);
    return fclose(out) == 0 ? QG_OK : qg_fail_memory(error, "run.yaml", size);
}

qg_status qg_random_score_measure(const char *domain, const qg_settings *settings, int64_t steps,
                                  uint32_t seed, const qg_measurement_options *options,
                                  bool *was_complete, qg_error *error)
{
    random_player p = {.settings = settings, .steps = steps, .seed = seed, .options = options};
    const qg_game *game;
    char *run = NULL;
    qg_status status = qg_domain_resolve(domain, &game, p.domain, error);
    if (!status) status = describe(&p, &run, error);
    if (!status)
        status = qg_measurement_do(options, run, file_name, measure, &p, was_complete, error);
    free(run);
    return status;
}

qg_status qg_random_score_read(const char *folder, double *score, qg_error *error)
{
    json_t *result;
    qg_status status = qg_measurement_read(folder, file_name, &result, error);
    if (!status && !qg_measurement_real(result, "score", score))
        status = qg_fail(error, QG_ERROR_DATA, "%s/%s: there is no score", folder, file_name);
    json_decref(result);
    return status;
}
