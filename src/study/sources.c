/* Sources: the networks that others begin from, and the runs that make them. */
#include "study/source_list.h"

#include "base/file.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct source_reader {
    const study_reader *study;
    const qg_yaml *sources; /* the mapping of all */
    bool *open;             /* [sources->count]: being read, so that a cycle is found */
    int *depth;             /* how many of them are */
} source_reader;

enum { MOST_GENERATIONS = 64 }; /* of sources that are made of others */

static const char *const train_keys[] = {"game",  "steps", "preset",        "settings",
                                         "seeds", "take",  "also_evaluate", NULL};
static const char *const graft_keys[] = {"game",  "from", "steps",         "preset", "settings",
                                         "seeds", "take", "also_evaluate", NULL};
static const char *const distill_keys[] = {"distill", "temperature", "samples", "order", "loss",
                                           "epsilon", "settings",    "seeds",   "take",  NULL};
static const char *const from_keys[] = {"from", "at", "take", NULL};
static const char *const file_keys[] = {"file", NULL};

static qg_status read_source(const source_reader *r, size_t number);

/* The source that `node` names, read first if it stands further down. */
static qg_status refer(const source_reader *r, const qg_yaml *node, int *index)
{
    if (node->kind != QG_YAML_SCALAR)
        return qg_study_fail(r->study, node->line, "the name of a source is needed");
    *index = qg_study_find_source(r->study->study, node->text);
    if (*index >= 0) return QG_OK;
    for (size_t i = 0; i < r->sources->count; i++) {
        const qg_yaml *const item = &r->sources->items[i];
        if (strcmp(item->key, node->text) != 0) continue;
        if (r->open[i])
            return qg_study_fail(r->study, node->line, "sources: '%s' is made of itself",
                                 node->text);
        const qg_status status = read_source(r, i);
        *index = qg_study_find_source(r->study->study, node->text);
        return status;
    }
    return qg_study_fail(r->study, node->line, "sources: there is no '%.60s'", node->text);
}

static qg_status read_take(const source_reader *r, const qg_yaml *node, qg_study_source *source)
{
    const char *take = NULL;
    const qg_status status = qg_study_text(r->study, node, "take", &take);
    if (status || !take) return status;
    if (strcmp(take, "best") != 0 && strcmp(take, "last") != 0)
        return qg_study_fail(r->study, qg_yaml_get(node, "take")->line,
                             "take: 'best' or 'last', not '%.60s'", take);
    source->take = *take == 'l' ? QG_TAKE_LAST : QG_TAKE_BEST;
    return QG_OK;
}

/* What all sources that are made here have, then the run itself, unless reading it has failed. */
static qg_status add_run(const source_reader *r, const qg_yaml *node, qg_status status,
                         qg_study_run *run, qg_study_source *source)
{
    if (!status) status = read_take(r, node, source);
    if (!status) status = qg_study_run_seeds(r->study, node, run);
    if (status) {
        qg_study_free_run(run);
        return status;
    }
    snprintf(run->id, sizeof run->id, "%s", source->name);
    return qg_study_add_run(r->study, run, &source->run);
}

/* {game: ..., steps: ..., settings: ...}: a training. */
static qg_status read_trained(const source_reader *r, const qg_yaml *node, qg_study_source *source)
{
    const study_reader *const reader = r->study;
    qg_study_run run = {.line = source->line,
                        .kind = QG_RUN_TRAIN,
                        .source = QG_SOURCE_NONE,
                        .baseline = -1,
                        .long_run = -1};
    qg_status status = qg_study_check_keys(reader, node, source->name, train_keys);
    if (!status) status = qg_study_game_and_steps(reader, node, &run);
    if (!status)
        status = qg_study_training_settings(reader, node, run.game, NULL, run.steps, &run.settings);
    if (!status) status = qg_study_other_games(reader, node, &run);
    return add_run(r, node, status, &run, source);
}

/* {game: ..., from: SOURCE, first: ...}: a graft, the next link of a chain. */
static qg_status read_grafted(const source_reader *r, const qg_yaml *node, qg_study_source *source)
{
    const study_reader *const reader = r->study;
    const qg_yaml *const from = qg_yaml_get(node, "from");
    int parent = QG_SOURCE_RANDOM;
    qg_study_run run = {.line = source->line,
                        .kind = QG_RUN_GRAFT,
                        .source = QG_SOURCE_NONE,
                        .baseline = -1,
                        .long_run = -1};
    qg_status status = qg_study_check_graft_keys(reader, node, source->name, graft_keys);
    if (!status && !(from->kind == QG_YAML_SCALAR && strcmp(from->text, "random") == 0))
        status = refer(r, from, &parent);
    if (!status) status = qg_study_game_and_steps(reader, node, &run);
    if (!status) status = qg_study_graft(reader, node, &run);
    const qg_study *const study = reader->study;
    const char *const network =
        parent >= 0 ? qg_source_network(study, &study->sources[parent]) : NULL;
    if (!status)
        status =
            qg_study_training_settings(reader, node, run.game, network, run.steps, &run.settings);
    if (!status) qg_study_keep_warm(study, &run);
    if (!status) status = qg_study_check_graft(reader, node, &run);
    if (!status) status = qg_study_other_games(reader, node, &run);
    return add_run(r, node, status, &run, source);
}

static qg_status read_teachers(const source_reader *r, const qg_yaml *node, qg_study_run *run)
{
    const qg_yaml *const distill = qg_yaml_get(node, "distill");
    const bool list = distill->kind == QG_YAML_LIST;
    const size_t count = list ? distill->count : 1;
    if (count < 1 || count > QG_MAX_TEACHERS)
        return qg_study_fail(r->study, distill->line, "distill: 1 to %d teachers are possible",
                             QG_MAX_TEACHERS);
    for (size_t i = 0; i < count; i++) {
        const qg_yaml *const name = list ? &distill->items[i] : distill;
        const qg_status status = refer(r, name, &run->teachers[i]);
        if (status) return status;
    }
    run->teacher_count = (int)count;
    return QG_OK;
}

static qg_status read_distillation_options(const study_reader *reader, const qg_yaml *node,
                                           qg_study_run *run, int *temperature_count)
{
    const char *temperature = QG_USUAL_TEMPERATURE, *order = "pass", *loss = QG_USUAL_LOSS;
    qg_distillation_options usual;
    qg_temperatures temperatures;
    qg_status status = qg_distillation_options_for(run->game, &usual, reader->error);
    if (status) return qg_study_locate(reader, node->line);
    int64_t samples = usual.samples;
    run->epsilon = usual.epsilon;
    status = qg_study_text(reader, node, "temperature", &temperature);
    if (!status) status = qg_study_text(reader, node, "order", &order);
    if (!status) status = qg_study_text(reader, node, "loss", &loss);
    if (!status) status = qg_study_count(reader, node, "samples", 1, 1000000000, &samples);
    if (!status) status = qg_study_real(reader, node, "epsilon", &run->epsilon);
    if (status) return status;
    if (qg_temperatures_parse(temperature, &temperatures, reader->error) ||
        strlen(temperature) >= sizeof run->temperature)
        return qg_study_locate(reader, qg_yaml_get(node, "temperature")->line);
    if (strcmp(order, "pass") != 0 && strcmp(order, "sample") != 0)
        return qg_study_fail(reader, qg_yaml_get(node, "order")->line,
                             "order: 'pass' or 'sample', not '%.60s'", order);
    if (qg_distillation_loss_parse(loss, &run->loss, reader->error))
        return qg_study_locate(reader, qg_yaml_get(node, "loss")->line);
    if (!(run->epsilon >= 0 && run->epsilon <= 1))
        return qg_study_fail(reader, qg_yaml_get(node, "epsilon")->line, "epsilon: is from 0 to 1");
    snprintf(run->temperature, sizeof run->temperature, "%s", temperature);
    *temperature_count = temperatures.count;
    run->order = *order == 's' ? QG_ORDER_SAMPLE : QG_ORDER_PASS;
    run->steps = qg_study_scaled(reader->study, samples);
    return QG_OK;
}

/* {distill: TEACHER or [TEACHER, ...], temperature: ..., samples: ...} */
static qg_status read_distilled(const source_reader *r, const qg_yaml *node,
                                qg_study_source *source)
{
    const study_reader *const reader = r->study;
    const qg_study *const study = reader->study;
    qg_study_run run = {.line = source->line,
                        .kind = QG_RUN_DISTILL,
                        .source = QG_SOURCE_NONE,
                        .baseline = -1,
                        .long_run = -1};
    qg_status status = qg_study_check_keys(reader, node, source->name, distill_keys);
    if (!status) status = read_teachers(r, node, &run);
    if (status) return status;
    const qg_study_source *const first = &study->sources[run.teachers[0]];
    snprintf(run.game, sizeof run.game, "%s", qg_source_game(study, first));
    int temperatures = 0;
    status = read_distillation_options(reader, node, &run, &temperatures);
    if (!status)
        status = qg_study_settings(reader, node, run.game, qg_source_network(study, first),
                                   run.steps * temperatures * run.teacher_count, &run.settings);
    return add_run(r, node, status, &run, source);
}

static qg_status add_snapshot(const study_reader *reader, qg_study_run *run, int64_t step)
{
    for (int i = 0; i < run->snapshot_count; i++)
        if (run->snapshots[i] == step) return QG_OK;
    int64_t *last = qg_study_append(reader, &run->snapshots, &run->snapshot_count, sizeof *last);
    if (!last) return QG_ERROR_MEMORY;
    for (last = &run->snapshots[run->snapshot_count - 1]; last > run->snapshots && last[-1] > step;
         last--)
        *last = last[-1];
    *last = step;
    return QG_OK;
}

/* {from: SOURCE, at: STEP}: what a training had become by then. */
static qg_status read_early(const source_reader *r, const qg_yaml *node, qg_study_source *source)
{
    const study_reader *const reader = r->study;
    int other = -1;
    int64_t at = 0;
    qg_status status = qg_study_check_keys(reader, node, source->name, from_keys);
    if (!status) status = refer(r, qg_yaml_get(node, "from"), &other);
    if (!status) status = read_take(r, node, source);
    if (!status) status = qg_study_count(reader, node, "at", 1, INT64_C(1000000000000), &at);
    if (status) return status;
    const qg_yaml *const line = qg_yaml_get(node, "at");
    source->run = reader->study->sources[other].run;
    if (!line) return QG_OK;
    if (source->run < 0 || reader->study->runs[source->run].kind > QG_RUN_GRAFT)
        return qg_study_fail(reader, line->line, "at: '%s' is not trained in this study",
                             reader->study->sources[other].name);
    if (qg_yaml_get(node, "take"))
        return qg_study_fail(reader, line->line, "at: cannot stand beside 'take'");
    qg_study_run *const run = &reader->study->runs[source->run];
    source->take = QG_TAKE_STEP;
    source->at = qg_study_scaled(reader->study, at);
    if (source->at > run->steps)
        return qg_study_fail(reader, line->line, "at: %lld is beyond the %lld steps of '%s'",
                             (long long)source->at, (long long)run->steps,
                             reader->study->sources[other].name);
    return add_snapshot(reader, run, source->at);
}

/* What the first file says; the others are checked to be of the same kind. */
static qg_status look_at_files(const study_reader *reader, int line, qg_study_source *source)
{
    for (int i = 0; i < source->file_count; i++) {
        qg_architecture architecture;
        qg_network_info info;
        if (qg_network_look(source->files[i], &architecture, &info, reader->error))
            return qg_study_locate(reader, line);
        if (i == 0) {
            snprintf(source->file_game, sizeof source->file_game, "%s", info.domain);
            source->file_architecture = architecture;
            source->file_step = info.step;
            source->file_history = info.history;
        }
        if (strcmp(source->file_game, info.domain) != 0 ||
            !qg_architecture_equal(&source->file_architecture, &architecture))
            return qg_study_fail(reader, line,
                                 "file: the networks are not of one game and one architecture");
    }
    return QG_OK;
}

static qg_status add_file(const study_reader *reader, const qg_yaml *node, qg_study_source *source)
{
    if (node->kind != QG_YAML_SCALAR || !*node->text)
        return qg_study_fail(reader, node->line, "file: the path of a network is needed");
    char **const file = qg_study_append(reader, &source->files, &source->file_count, sizeof *file);
    if (!file) return QG_ERROR_MEMORY;
    *file = *node->text == '/' ? strdup(node->text) : qg_path_join(reader->study->base, node->text);
    return *file ? QG_OK : qg_fail_memory(reader->error, "a path", strlen(node->text));
}

/* Seeds are taken in rising order, files as they are written: which belongs to which must be plain.
 */
static qg_status check_order(const study_reader *reader, int line)
{
    const qg_yaml *const seeds = qg_yaml_get(reader->root, "seeds");
    const bool list = seeds && seeds->kind == QG_YAML_LIST;
    int64_t before = -1, seed;
    for (size_t i = 0; list && i < seeds->count; i++, before = seed)
        if (!qg_text_to_count(seeds->items[i].text, &seed) || seed < before)
            return qg_study_fail(reader, line,
                                 "file: one for each seed: write the `seeds` in rising order, and "
                                 "the files in that of the seeds");
    return QG_OK;
}

/* {file: PATH or [PATH, ...]}: one for all seeds, or one for each. */
static qg_status read_files(const source_reader *r, const qg_yaml *node, qg_study_source *source)
{
    const study_reader *const reader = r->study;
    const qg_yaml *const file = qg_yaml_get(node, "file");
    qg_status status = qg_study_check_keys(reader, node, source->name, file_keys);
    const bool list = file->kind == QG_YAML_LIST;
    if (!status && list && file->count != 1 && file->count != (size_t)reader->study->seed_count)
        return qg_study_fail(reader, file->line,
                             "file: %zu networks for %d seeds: one, or one for each, is needed",
                             file->count, reader->study->seed_count);
    if (!status && list && file->count > 1) status = check_order(reader, file->line);
    for (size_t i = 0; i < (list ? file->count : 1) && !status; i++)
        status = add_file(reader, list ? &file->items[i] : file, source);
    return status ? status : look_at_files(reader, file->line, source);
}

static qg_status check_name(const study_reader *reader, const qg_yaml *node)
{
    char id[QG_STUDY_NAME] = "";
    if (!qg_study_append_id(id, node->key) || strcmp(id, node->key) != 0 ||
        strcmp(id, "random") == 0)
        return qg_study_fail(reader, node->key_line,
                             "sources: '%.60s' cannot be a name: letters, digits, '.', '_', '-'",
                             node->key);
    return QG_OK;
}

/* Reads source `number`, those that it is made of before; each is read once. */
static qg_status read_source(const source_reader *r, size_t number)
{
    const qg_yaml *const node = &r->sources->items[number];
    const study_reader *const reader = r->study;
    if (qg_study_find_source(reader->study, node->key) >= 0) return QG_OK;
    qg_study_source source = {.line = node->key_line, .run = -1};
    qg_status status = check_name(reader, node);
    if (status) return status;
    if (node->kind != QG_YAML_MAPPING)
        return qg_study_fail(reader, node->line, "%s: `key: value` pairs are needed", node->key);
    snprintf(source.name, sizeof source.name, "%s", node->key);
    if (*r->depth == MOST_GENERATIONS)
        return qg_study_fail(reader, node->key_line,
                             "sources: '%s' is one of more than %d generations", node->key,
                             MOST_GENERATIONS);
    r->open[number] = true;
    ++*r->depth;
    if (qg_yaml_get(node, "distill"))
        status = read_distilled(r, node, &source);
    else if (qg_yaml_get(node, "from") && qg_yaml_get(node, "game"))
        status = read_grafted(r, node, &source);
    else if (qg_yaml_get(node, "from"))
        status = read_early(r, node, &source);
    else if (qg_yaml_get(node, "file"))
        status = read_files(r, node, &source);
    else if (qg_yaml_get(node, "game"))
        status = read_trained(r, node, &source);
    else
        status = qg_study_fail(reader, node->key_line,
                               "%s: 'game', 'distill', 'from' or 'file' says where it comes from",
                               node->key);
    r->open[number] = false;
    --*r->depth;
    qg_study *const study = reader->study;
    qg_study_source *const place =
        qg_study_append(reader, &study->sources, &study->source_count, sizeof source);
    if (place)
        *place = source;
    else
        qg_study_free_source(&source);
    return status ? status : place ? QG_OK : QG_ERROR_MEMORY;
}

qg_status qg_study_read_sources(const study_reader *reader)
{
    const qg_yaml *const sources = qg_yaml_get(reader->root, "sources");
    if (!sources) return QG_OK;
    if (sources->kind != QG_YAML_MAPPING)
        return qg_study_fail(reader, sources->line, "sources: `name: {...}` pairs are needed");
    int depth = 0;
    qg_source_list list;
    qg_status status = qg_source_list_make(reader, sources, &list);
    source_reader r = {reader, &list.mapping, calloc(list.mapping.count + 1, 1), &depth};
    if (!status && !r.open) status = qg_fail_memory(reader->error, "a study", list.mapping.count);
    for (size_t i = 0; i < list.mapping.count && !status; i++)
        status = read_source(&r, i);
    free(r.open);
    qg_source_list_free(&list);
    return status;
}
