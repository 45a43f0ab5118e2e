/* Runs: trainings and grafts that a study compares. */
#include "study/reader.h"

#include "transfer/graft_learning.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const run_keys[] = {"game",  "from", "steps", "preset",        "settings",
                                       "seeds", "name", "group", "also_evaluate", NULL};

/* What says how a graft is made, beside `from`. */
static const char *const choice_keys[] = {"first",
                                          "last",
                                          "layers",
                                          "part",
                                          "match",
                                          "freeze",
                                          "thaw",
                                          "thaw_every",
                                          "lr_scale",
                                          "l2_sp",
                                          "ewc",
                                          "ewc_samples",
                                          "kickstart",
                                          "distill_tau",
                                          "distill_weight",
                                          "warm_replay",
                                          "qdagger",
                                          "policy_reuse",
                                          "policy_reuse_decay",
                                          NULL};
enum { CHOICE_WAYS = 4 }; /* they come first */
enum { CHOICE_KEYS = sizeof choice_keys / sizeof *choice_keys };

qg_status qg_study_check_graft_keys(const study_reader *reader, const qg_yaml *mapping,
                                    const char *what, const char *const *keys)
{
    const char *all[CHOICE_KEYS + 16]; /* with its NULL */
    size_t count = 0;
    for (; keys[count]; count++)
        all[count] = keys[count];
    assert(count <= 16);
    memcpy(all + count, choice_keys, sizeof choice_keys);
    return qg_study_check_keys(reader, mapping, what, all);
}

static qg_status read_choice(const study_reader *reader, const qg_yaml *mapping,
                             qg_graft_choice *choice)
{
    int ways = 0;
    for (size_t i = 0; i < CHOICE_WAYS; i++)
        ways += qg_yaml_get(mapping, choice_keys[i]) != NULL;
    for (size_t i = 0; choice_keys[i]; i++) {
        const char *const key = choice_keys[i];
        const char *value = NULL;
        const qg_status status = qg_study_text(reader, mapping, key, &value);
        if (status) return status;
        if (value && qg_graft_choice_set(choice, key, value, reader->error))
            return qg_study_locate(reader, qg_yaml_get(mapping, key)->line);
    }
    if (ways > 1 || (ways == 0 && !qg_graft_reuses(choice)))
        return qg_study_fail(reader, mapping->line,
                             "from: exactly one of first, last, layers, part says what is copied, "
                             "unless kickstart, warm_replay or policy_reuse is there");
    int64_t *const steps[] = {&choice->learning.thaw, &choice->learning.thaw_every,
                              &choice->reuse.kickstart, &choice->reuse.warm_replay,
                              &choice->reuse.qdagger};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (*steps[i]) *steps[i] = qg_study_scaled(reader->study, *steps[i]);
    return QG_OK;
}

qg_status qg_study_graft(const study_reader *reader, const qg_yaml *mapping, qg_study_run *run)
{
    const char *from = NULL;
    qg_status status = qg_study_text(reader, mapping, "from", &from);
    if (status) return status;
    if (from) {
        run->kind = QG_RUN_GRAFT;
        run->source = strcmp(from, "random") == 0 ? QG_SOURCE_RANDOM
                                                  : qg_study_find_source(reader->study, from);
        if (run->source == QG_SOURCE_NONE)
            return qg_study_fail(reader, qg_yaml_get(mapping, "from")->line,
                                 "from: '%.60s' is not among the sources, and not 'random'", from);
        status = read_choice(reader, mapping, &run->choice);
        if (status || run->source != QG_SOURCE_RANDOM || run->choice.frozen) return status;
        return qg_study_fail(
            reader, mapping->line,
            "from: random layers that are not frozen are those of a fresh network; "
            "'freeze: true' makes them a control");
    }
    for (const char *const *key = choice_keys; *key; key++)
        if (qg_yaml_get(mapping, *key))
            return qg_study_fail(reader, qg_yaml_get(mapping, *key)->key_line,
                                 "%s: means nothing without 'from'", *key);
    return QG_OK;
}

/* "minatar-asterix-from-breakout-first2-frozen", and what else has several values. */
static bool name_run(const qg_study *study, const qg_run_variant *variant, qg_study_run *run)
{
    char text[160] = "";
    bool fits = qg_study_append_id(run->id, run->game);
    if (run->kind == QG_RUN_GRAFT) {
        const char *const from = run->source < 0 ? "random" : study->sources[run->source].name;
        char choice[QG_GRAFT_CHOICE_TEXT];
        qg_graft_choice_name(&run->choice, choice);
        snprintf(text, sizeof text, "-from-%s-", from);
        fits = fits && qg_study_append_id(run->id, text) && qg_study_append_id(run->id, choice);
    }
    static const char *const shown[] = {"game", "from", "group"};
    for (int i = 0; i < variant->multiplied_count; i++) {
        const char *const key = variant->multiplied[i];
        const qg_yaml *const settings = qg_yaml_get(&variant->mapping, "settings");
        const qg_yaml *node = qg_yaml_get(&variant->mapping, key);
        bool known = false;
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
            known = known || strcmp(key, shown[k]) == 0;
        for (size_t k = 0; choice_keys[k]; k++)
            known = known || strcmp(key, choice_keys[k]) == 0;
        if (!node && settings) node = qg_yaml_get(settings, key);
        if (known || !node || !node->text) continue;
        snprintf(text, sizeof text, "-%s%.80s", key, node->text);
        fits = fits && qg_study_append_id(run->id, text);
    }
    return fits;
}

/* `group`, in which {from} and {game} stand for names; by default "SOURCE'S GAME to GAME". */
static qg_status read_group(const study_reader *reader, const qg_yaml *mapping, qg_study_run *run)
{
    const qg_study *const study = reader->study;
    const qg_study_source *const source = run->source >= 0 ? &study->sources[run->source] : NULL;
    const char *pattern = NULL;
    const qg_status status = qg_study_text(reader, mapping, "group", &pattern);
    if (status || (run->kind == QG_RUN_TRAIN && !pattern)) return status;
    const char *const origin = !source                          ? "random"
                               : *qg_source_game(study, source) ? qg_source_game(study, source)
                                                                : source->name;
    char text[2 * QG_STUDY_NAME] = "";
    if (!pattern) snprintf(text, sizeof text, "%.90s to %.90s", origin, run->game);
    for (const char *c = pattern ? pattern : ""; *c; c++) {
        const bool from = strncmp(c, "{from}", 6) == 0, game = strncmp(c, "{game}", 6) == 0;
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%.*s", from || game ? QG_STUDY_NAME : 1,
                 from   ? source ? source->name : "random"
                 : game ? run->game
                        : c);
        if (from || game) c += 5;
    }
    if (strlen(text) >= sizeof run->group)
        return qg_study_fail(reader, mapping->line, "group: '%.60s...' is too long", text);
    memcpy(run->group, text, strlen(text) + 1);
    return QG_OK;
}

static qg_status set_name(const study_reader *reader, const qg_run_variant *variant, int64_t total,
                          qg_study_run *run)
{
    const qg_yaml *const mapping = &variant->mapping;
    const char *name = NULL;
    const qg_status status = qg_study_text(reader, mapping, "name", &name);
    if (status) return status;
    if (!name)
        return name_run(reader->study, variant, run)
                   ? QG_OK
                   : qg_study_fail(reader, mapping->line,
                                   "the name made for a run is too long: give it a 'name'");
    if (total > 1)
        return qg_study_fail(reader, qg_yaml_get(mapping, "name")->line,
                             "name: the lists make %lld runs, which one name cannot name",
                             (long long)total);
    if (!qg_study_append_id(run->id, name) || strcmp(run->id, name) != 0)
        return qg_study_fail(reader, qg_yaml_get(mapping, "name")->line,
                             "name: '%.60s': letters, digits, '.', '_', '-' make a name", name);
    return QG_OK;
}

/* Inputs of a grid are filled up to as many channels, however many screens they are. */
static qg_status check_screens(const study_reader *reader, const qg_study_run *run,
                               const qg_grafted_layer *first)
{
    const qg_study_source *const source = &reader->study->sources[run->source];
    const int history = run->settings.history;
    const int its = qg_study_source_history(reader->study, source);
    if (first->source < 0 || !its || its == history) return QG_OK;
    return qg_fail(reader->error, QG_ERROR_USAGE,
                   "from: '%s' sees %d screens at a time, the run %d: its first layer is no use",
                   source->name, its, history);
}

void qg_study_keep_warm(const qg_study *study, qg_study_run *run)
{
    qg_graft_reuse *const reuse = &run->choice.reuse;
    if (study->scale != 1 && reuse->qdagger && reuse->warm_replay < run->settings.learn_start)
        reuse->warm_replay = run->settings.learn_start;
}

qg_status qg_study_check_graft(const study_reader *reader, const qg_yaml *mapping,
                               const qg_study_run *run)
{
    const qg_study *const study = reader->study;
    const bool random = run->source == QG_SOURCE_RANDOM;
    qg_architecture source, target;
    qg_grafted_layer grafted[QG_MAX_LAYERS];
    const bool known =
        qg_study_run_network(study, run, &target) &&
        (random || qg_study_source_network(study, &study->sources[run->source], &source));
    qg_status status = qg_graft_choice_check(&run->choice, random, run->steps, &run->settings,
                                             known ? target.layer_count : 0, reader->error);
    if (!status && known)
        status = qg_graft_pair(random ? &target : &source, &target, &run->choice, grafted,
                               reader->error);
    if (!status && known && !random) status = check_screens(reader, run, &grafted[0]);
    if (!status && known)
        status = qg_graft_learning_apply(&run->choice.learning, target.layer_count, run->steps,
                                         grafted, reader->error);
    if (!status) status = qg_study_check_reuse(study, run, reader->error);
    return status ? qg_study_locate(reader, mapping->line) : QG_OK;
}

static qg_status read_variant(const study_reader *reader, const qg_run_variant *variant,
                              int64_t total, int line, int place)
{
    const qg_study *const study = reader->study;
    const qg_yaml *const mapping = &variant->mapping;
    qg_study_run run = {.line = line,
                        .kind = QG_RUN_TRAIN,
                        .listed = true,
                        .place = place,
                        .source = QG_SOURCE_NONE,
                        .baseline = -1,
                        .long_run = -1};
    qg_status status = qg_study_game_and_steps(reader, mapping, &run);
    if (!status) status = qg_study_graft(reader, mapping, &run);
    const char *const network =
        run.source >= 0 ? qg_source_network(study, &study->sources[run.source]) : NULL;
    if (!status)
        status = qg_study_training_settings(reader, mapping, run.game, network, run.steps,
                                            &run.settings);
    if (!status) qg_study_keep_warm(study, &run);
    if (!status && run.kind == QG_RUN_GRAFT) status = qg_study_check_graft(reader, mapping, &run);
    if (!status) status = qg_study_other_games(reader, mapping, &run);
    if (!status) status = set_name(reader, variant, total, &run);
    if (!status) status = read_group(reader, mapping, &run);
    if (!status) status = qg_study_run_seeds(reader, mapping, &run);
    int index;
    if (!status) return qg_study_add_run(reader, &run, &index);
    qg_study_free_run(&run);
    return status;
}

static qg_status read_item(const study_reader *reader, const qg_yaml *item, int *place)
{
    int64_t total = 0;
    qg_status status = qg_study_check_graft_keys(reader, item, "runs", run_keys);
    if (!status) status = qg_run_variant_total(reader, item, &total);
    for (int64_t i = 0; i < total && !status; i++) {
        qg_run_variant variant;
        status = qg_run_variant_make(reader, item, i, &variant);
        if (status) break;
        status = read_variant(reader, &variant, total, item->line, ++*place);
        qg_run_variant_free(&variant);
    }
    return status;
}

/* A graft is compared with the training from fresh weights that is otherwise the same. */
static qg_status find_baselines(const study_reader *reader)
{
    qg_study *const study = reader->study;
    for (int i = 0; i < study->run_count; i++) {
        qg_study_run *const run = &study->runs[i];
        if (run->kind != QG_RUN_GRAFT) continue;
        for (int j = 0; j < study->run_count; j++) {
            const qg_study_run *const other = &study->runs[j];
            if (other->kind == QG_RUN_TRAIN && strcmp(other->game, run->game) == 0 &&
                other->steps == run->steps && qg_settings_equal(&other->settings, &run->settings))
                run->baseline = j;
        }
        if (!run->listed) continue; /* a link of a chain */
        if (run->baseline < 0)
            return qg_study_fail(reader, run->line,
                                 "runs: nothing to compare '%s' with: add {game: %s} with the same "
                                 "steps and settings, a baseline",
                                 run->id, run->game);
        study->runs[run->baseline].listed = true;
    }
    return QG_OK;
}

qg_status qg_study_read_runs(const study_reader *reader)
{
    const qg_yaml *const runs = qg_yaml_get(reader->root, "runs");
    if (!runs) return qg_study_fail(reader, reader->root->line, "runs: is missing");
    if (runs->kind != QG_YAML_LIST || !runs->count)
        return qg_study_fail(reader, runs->line, "runs: a list of `- {game: ...}` is needed");
    int place = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const qg_status status = read_item(reader, &runs->items[i], &place);
        if (status) return status;
    }
    return find_baselines(reader);
}
