/* What random play of a game scores: the zero of its normalised scores. */
#include <qgraft/measurement.h>
#include <qgraft/run_file.h>

#include "agent/run_yaml.h"
#include "base/text.h"
#include "transfer/measurement_folder.h"

#include <stdlib.h>

static const char file_name[] = "random-score.json";

typedef struct random_player {
    char domain[QG_DOMAIN_NAME]; /* normalised */
    const qg_settings *settings;
    int64_t steps;
    const qg_measurement_options *options;
} random_player;

static void show(void *context, int64_t step)
{
    const random_player *p = context;
    if (p->options->progress) p->options->progress(p->options->context, step, p->steps);
}

static qg_status play(const random_player *p, qg_evaluation *evaluation, qg_error *error)
{
    qg_domain_options domain_options = qg_domain_options_of(p->settings);
    domain_options.seed = (uint32_t)p->options->run.seed;
    const qg_evaluation_options how = {.steps = p->steps,
                                       .epsilon = 1,
                                       .noop_max = p->settings->noop_max,
                                       .history = 1,
                                       .seed = p->options->run.seed,
                                       .progress = show,
                                       .context = (void *)p,
                                       .stop = p->options->run.stop};
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
                        (json_int_t)e.steps, "seed", (json_int_t)p->options->run.seed, "score",
                        e.score, "episodes", (json_int_t)e.episodes, "deviation", e.deviation,
                        "minimum", e.minimum, "maximum", e.maximum);
    return *result ? QG_OK : qg_fail_memory(error, file_name, 256);
}

/* The text of run.yaml in *text, NULL after a failure. */
static qg_status describe(const random_player *p, char **text, qg_error *error)
{
    size_t size = 0;
    *text = NULL;
    FILE *out = qg_text_stream(text, &size);
    if (!out) return qg_fail_memory(error, "run.yaml", 4096);
    fprintf(out, "# One measurement by qgraft; the same values give the same file.\n");
    fprintf(out, "qgraft: %s\n", QG_VERSION);
    qg_run_yaml_begin(out, qg_run_kind_name(QG_RUN_RANDOM_SCORE), p->domain, p->options->run.seed,
                      p->steps);
    qg_status status = qg_run_yaml_settings(out, p->settings, error);
    if (fclose(out) != 0 && !status) status = qg_fail_memory(error, "run.yaml", size);
    return status;
}

qg_status qg_random_score_measure(const char *domain, const qg_settings *settings, int64_t steps,
                                  const qg_measurement_options *options, qg_run_result *result,
                                  qg_error *error)
{
    random_player p = {.settings = settings, .steps = steps, .options = options};
    const qg_game *game;
    char *run = NULL;
    *result = (qg_run_result){0};
    qg_status status = qg_domain_resolve(domain, &game, p.domain, error);
    if (!status) status = describe(&p, &run, error);
    const qg_measurement measurement = {run, file_name, steps, measure, &p};
    if (!status) status = qg_measurement_do(&measurement, &options->run, result, error);
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
