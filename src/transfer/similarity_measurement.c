/* How alike two games are, as a file. */
#include <qgraft/measurement.h>
#include <qgraft/run_file.h>

#include "agent/run_yaml.h"
#include "base/text.h"
#include "transfer/measurement_folder.h"
#include "transfer/profile.h"
#include "transfer/similarity_json.h"

#include <stdlib.h>
#include <string.h>

static const char file_name[] = "similarity.json";

/* ------------------------------------------------------------------------------------- JSON */

json_t *qg_similarity_to_json(const char *const domains[2], const qg_similarity *s)
{
    return json_pack("{s:[s, s], s:s, s:f, s:f, s:b, s:b, s:f, s:f, s:f, s:f, s:f}", "games",
                     domains[0], domains[1], "class", qg_closeness_name(s->closeness), "grade",
                     s->grade, "actions", s->actions, "same_actions", s->same_actions,
                     "same_family", s->same_family, "visual", s->visual, "colour_distance",
                     s->colour_distance, "size_distance", s->size_distance, "aspect_distance",
                     s->aspect_distance, "motion_distance", s->motion_distance);
}

static bool read_class(const json_t *json, qg_closeness *closeness)
{
    const char *name = json_string_value(json_object_get(json, "class"));
    for (*closeness = QG_IN_DOMAIN; name && *closeness <= QG_FAR; ++*closeness)
        if (strcmp(name, qg_closeness_name(*closeness)) == 0) return true;
    return false;
}

/* The first key whose value is not what it should be; NULL: all are. */
static const char *read_json(const json_t *json, qg_similarity *s)
{
    const struct {
        const char *key;
        double *value;
    } shares[] = {{"grade", &s->grade},
                  {"actions", &s->actions},
                  {"visual", &s->visual},
                  {"colour_distance", &s->colour_distance},
                  {"size_distance", &s->size_distance},
                  {"aspect_distance", &s->aspect_distance},
                  {"motion_distance", &s->motion_distance}};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        if (!qg_measurement_real(json, shares[i].key, shares[i].value) || *shares[i].value < 0 ||
            *shares[i].value > 1)
            return shares[i].key;
    const json_t *actions = json_object_get(json, "same_actions");
    const json_t *family = json_object_get(json, "same_family");
    s->same_actions = json_is_true(actions);
    s->same_family = json_is_true(family);
    if (!json_is_boolean(actions)) return "same_actions";
    if (!json_is_boolean(family)) return "same_family";
    return read_class(json, &s->closeness) ? NULL : "class";
}

/* -------------------------------------------------------------------------------- measuring */

typedef struct pair {
    char domains[2][QG_DOMAIN_NAME]; /* normalised */
    int64_t frames, played;          /* of each; of those before */
    const qg_measurement_options *options;
} pair;

static void show(void *context, int64_t step)
{
    const pair *p = context;
    if (p->options->progress)
        p->options->progress(p->options->context, p->played + step, 2 * p->frames);
}

static qg_status compare(pair *p, bool *drawn, json_t **result, qg_error *error)
{
    const qg_play_watch watch = {show, p, p->options->run.stop};
    const uint32_t seed = (uint32_t)p->options->run.seed;
    qg_profile profiles[2] = {0};
    qg_status status = QG_OK;
    for (int i = 0; i < 2 && !status; i++, p->played += p->frames)
        status =
            qg_profile_play(p->domains[i], p->frames, seed, &watch, &profiles[i], drawn, error);
    if (!status) {
        qg_similarity similarity;
        qg_similarity_compare(&profiles[0], &profiles[1], &similarity);
        *result =
            qg_similarity_to_json((const char *const[]){p->domains[0], p->domains[1]}, &similarity);
    }
    qg_profile_free(&profiles[0]);
    qg_profile_free(&profiles[1]);
    return status;
}

/* Games that cannot be compared, as they have no pictures or none that can be drawn here, have that
 * as their result: it would be the same again, and nothing else in a study needs it. What is wrong
 * before a picture was asked for, or with the process that plays (QG_ERROR_IO), is a failure. */
static qg_status measure(void *context, json_t **result, qg_error *error)
{
    pair *p = context;
    bool drawn = false;
    const qg_status status = compare(p, &drawn, result, error);
    if (drawn && (status == QG_ERROR_USAGE || status == QG_ERROR_DATA)) {
        qg_text_make_safe(error->message);
        *result = json_pack("{s:[s, s], s:s}", "games", p->domains[0], p->domains[1],
                            "not_compared", error->message);
    } else if (status)
        return status;
    if (!*result || json_object_set_new(*result, "frames", json_integer(p->frames)) ||
        json_object_set_new(*result, "seed", json_integer((json_int_t)p->options->run.seed)))
        return qg_fail_memory(error, file_name, 512);
    return QG_OK;
}

/* The text of run.yaml in *text, NULL after a failure. */
static qg_status describe(const pair *p, char **text, qg_error *error)
{
    size_t size = 0;
    *text = NULL;
    FILE *out = qg_text_stream(text, &size);
    if (!out) return qg_fail_memory(error, "run.yaml", 512);
    fprintf(out, "# One measurement by qgraft; the same values give the same file.\n");
    fprintf(out, "qgraft: %s\n", QG_VERSION);
    qg_run_yaml_begin(out, qg_run_kind_name(QG_RUN_SIMILARITY), p->domains[0], p->options->run.seed,
                      p->frames);
    qg_run_yaml_text(out, "other_domain", p->domains[1]);
    return fclose(out) == 0 ? QG_OK : qg_fail_memory(error, "run.yaml", size);
}

qg_status qg_similarity_measure(const char *const domains[2], int64_t frames,
                                const qg_measurement_options *options, qg_run_result *result,
                                qg_error *error)
{
    pair p = {.frames = frames, .options = options};
    char *run = NULL;
    qg_status status = QG_OK;
    *result = (qg_run_result){0};
    for (int i = 0; i < 2 && !status; i++) {
        const qg_game *game;
        status = qg_domain_resolve(domains[i], &game, p.domains[i], error);
    }
    if (!status) status = describe(&p, &run, error);
    const qg_measurement measurement = {run, file_name, 2 * frames, measure, &p};
    if (!status) status = qg_measurement_do(&measurement, &options->run, result, error);
    free(run);
    return status;
}

qg_status qg_similarity_read(const char *folder, qg_similarity *similarity, qg_error *error)
{
    json_t *json;
    qg_status status = qg_measurement_read(folder, file_name, &json, error);
    const char *const reason = json_string_value(json_object_get(json, "not_compared"));
    const char *wrong = status || reason ? NULL : read_json(json, similarity);
    if (reason)
        status = qg_fail(error, QG_ERROR_USAGE, "%s: the games were not compared: %.300s", folder,
                         reason);
    if (wrong)
        status = qg_fail(error, QG_ERROR_DATA, "%s/%s: '%s' is not what it should be", folder,
                         file_name, wrong);
    json_decref(json);
    return status;
}
