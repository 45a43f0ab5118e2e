/* Runs: trainings and grafts that a study compares. */
#include "study/reader.h"

#include "agent/settings_yaml.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RUNS = 5000 };

static const char *const run_keys[] = {"game",     "from",  "first",  "last",  "layers",
                                       "part",     "match", "freeze", "steps", "preset",
                                       "settings", "seeds", "name",   "group", NULL};

/* ----------------------------------------------------------------------------- settings */

const char *qg_study_preset_for(const char *game)
{
    const qg_game *found;
    char name[QG_DOMAIN_NAME];
    qg_error error;
    return qg_domain_resolve(game, &found, name, &error) ? "dqn3" : qg_settings_preset_for(found);
}

qg_status qg_study_game_and_steps(const study_reader *reader, const qg_yaml *mapping,
                                  qg_study_run *run)
{
    const char *name = NULL;
    const qg_game *game;
    qg_status status = qg_study_text(reader, mapping, "game", &name);
    if (status) return status;
    if (!name) return qg_study_fail(reader, mapping->line, "game: is missing");
    if (qg_domain_resolve(name, &game, run->game, reader->error))
        return qg_study_locate(reader, qg_yaml_get(mapping, "game")->line);
    run->steps = game->grid ? 1000000 : 25000000; /* as `qgraft train` */
    status = qg_study_count(reader, reader->root, "steps", 1, INT64_C(1000000000000), &run->steps);
    if (!status)
        status = qg_study_count(reader, mapping, "steps", 1, INT64_C(1000000000000), &run->steps);
    run->steps = qg_study_scaled(reader->study, run->steps);
    return status;
}

/* Budgets shrink; what the agent is (memory, minibatch, target network) stays. */
static void scale_settings(const qg_study *study, qg_settings *s)
{
    const int64_t least = s->minibatch > s->validation_size ? s->minibatch : s->validation_size;
    int64_t *const budgets[] = {&s->eval_every, &s->eval_steps, &s->epsilon_steps, &s->log_every,
                                &s->learn_start};
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++)
        if (*budgets[i] > 0) *budgets[i] = qg_study_scaled(study, *budgets[i]);
    if (s->learn_start < least) s->learn_start = least; /* the first minibatch needs them */
}

static qg_status apply(const study_reader *reader, const qg_yaml *mapping, qg_settings *settings)
{
    const qg_yaml *const node = qg_yaml_get(mapping, "settings");
    return node ? qg_settings_apply_yaml(settings, reader->name, node, reader->error) : QG_OK;
}

qg_status qg_study_settings(const study_reader *reader, const qg_yaml *mapping, const char *game,
                            const char *network, qg_settings *settings)
{
    const qg_yaml *place = qg_yaml_get(mapping, "preset");
    const char *preset = qg_study_preset_for(game);
    if (!place) place = qg_yaml_get(reader->root, "preset");
    qg_status status = qg_study_text(reader, reader->root, "preset", &preset);
    if (!status) status = qg_study_text(reader, mapping, "preset", &preset);
    if (status) return status;
    if (qg_settings_preset(settings, preset, reader->error))
        return qg_study_locate(reader, place ? place->line : mapping->line);
    if (network && qg_settings_set_value(settings, "network", network, reader->error))
        return qg_study_locate(reader, mapping->line);
    status = apply(reader, reader->root, settings);
    if (!status) status = apply(reader, mapping, settings);
    if (status) return status;
    if (reader->study->scale != 1) scale_settings(reader->study, settings);
    return qg_settings_check(settings, reader->error) ? qg_study_locate(reader, mapping->line)
                                                      : QG_OK;
}

/* ---------------------------------------------------------------------------------- runs */

bool qg_study_append_id(char id[QG_STUDY_NAME], const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(id);
    if (!*text || (!length && (*text == '.' || *text == '-'))) return false;
    for (const char *c = text; *c; c++) {
        if (length + 1 == QG_STUDY_NAME) return false;
        id[length++] = strchr(allowed, *c) ? *c : '-';
    }
    id[length] = '\0';
    return true;
}

qg_status qg_study_run_seeds(const study_reader *reader, const qg_yaml *mapping, qg_study_run *run)
{
    const qg_study *const study = reader->study;
    const qg_status status = qg_study_seeds(reader, mapping, &run->seeds, &run->seed_count);
    if (status || run->seeds) return status;
    const size_t bytes = (size_t)study->seed_count * sizeof *run->seeds;
    run->seeds = malloc(bytes);
    if (!run->seeds) return qg_fail_memory(reader->error, "seeds", bytes);
    memcpy(run->seeds, study->seeds, bytes);
    run->seed_count = study->seed_count;
    return QG_OK;
}

/* The preset is a name only: the settings it gave are all there. */
static bool same_settings(const qg_settings *a, const qg_settings *b)
{
    size_t count;
    const qg_setting *const table = qg_settings_table(&count);
    for (size_t i = 0; i < count; i++) {
        char x[sizeof a->network], y[sizeof a->network];
        qg_setting_format(a, &table[i], x, sizeof x);
        qg_setting_format(b, &table[i], y, sizeof y);
        if (strcmp(x, y) != 0 && strcmp(table[i].name, "preset") != 0) return false;
    }
    return true;
}

static bool same_choice(const qg_graft_choice *a, const qg_graft_choice *b)
{
    return a->first == b->first && a->last == b->last && a->match_index == b->match_index &&
           memcmp(a->layers, b->layers, sizeof a->layers) == 0 && !a->part == !b->part &&
           (!a->part || strcmp(a->part, b->part) == 0);
}

static bool same_run(const qg_study_run *a, const qg_study_run *b)
{
    return a->kind == b->kind && strcmp(a->game, b->game) == 0 && a->steps == b->steps &&
           a->source == b->source && a->freeze == b->freeze && a->order == b->order &&
           a->epsilon == b->epsilon && a->teacher_count == b->teacher_count &&
           memcmp(a->teachers, b->teachers, sizeof a->teachers) == 0 &&
           strcmp(a->temperature, b->temperature) == 0 && same_choice(&a->choice, &b->choice) &&
           same_settings(&a->settings, &b->settings);
}

/* `run` takes over the seeds of `other`, which it lacks, in their order. */
static qg_status merge_seeds(const study_reader *reader, qg_study_run *run,
                             const qg_study_run *other)
{
    const size_t room = (size_t)run->seed_count + (size_t)other->seed_count;
    uint64_t *const merged = calloc(room, sizeof *merged);
    if (!merged) return qg_fail_memory(reader->error, "seeds", room * sizeof *merged);
    int count = 0;
    for (int i = 0, j = 0; i < run->seed_count || j < other->seed_count;) {
        const bool own =
            j == other->seed_count || (i < run->seed_count && run->seeds[i] <= other->seeds[j]);
        const uint64_t seed = own ? run->seeds[i++] : other->seeds[j++];
        if (!count || merged[count - 1] != seed) merged[count++] = seed;
    }
    free(run->seeds);
    run->seeds = merged;
    run->seed_count = count;
    return QG_OK;
}

static qg_status merge(const study_reader *reader, qg_study_run *found, const qg_study_run *run)
{
    if (found->listed && run->listed)
        return qg_study_fail(reader, run->line, "runs: '%s' is the same run as that of line %d",
                             run->id, found->line);
    if (run->listed) {
        found->listed = true;
        found->line = run->line;
        memcpy(found->id, run->id, sizeof found->id);
        memcpy(found->group, run->group, sizeof found->group);
    }
    return merge_seeds(reader, found, run);
}

qg_status qg_study_add_run(const study_reader *reader, qg_study_run *run, int *index)
{
    qg_study *const study = reader->study;
    qg_status status = QG_OK;
    for (int i = 0; i < study->run_count; i++) {
        qg_study_run *const other = &study->runs[i];
        if (!same_run(other, run)) {
            if (strcmp(other->id, run->id) == 0)
                status = qg_study_fail(reader, run->line,
                                       "'%s' is also what the run of line %d is called: give one "
                                       "of them another 'name'",
                                       run->id, other->line);
            if (status) break;
            continue;
        }
        *index = i;
        status = merge(reader, other, run);
        qg_study_free_run(run);
        return status;
    }
    if (!status && study->run_count == MOST_RUNS)
        status = qg_study_fail(reader, run->line, "more than %d runs", MOST_RUNS);
    qg_study_run *const place =
        status ? NULL : qg_study_append(reader, &study->runs, &study->run_count, sizeof *run);
    if (!place) {
        qg_study_free_run(run);
        return status ? status : QG_ERROR_MEMORY;
    }
    *place = *run;
    *index = study->run_count - 1;
    return QG_OK;
}

/* -------------------------------------------------------------------------- listed runs */

/* "1,3": those layers. */
static qg_status read_layers(const study_reader *reader, const qg_yaml *mapping,
                             qg_graft_choice *choice)
{
    const char *text = NULL;
    const qg_status status = qg_study_text(reader, mapping, "layers", &text);
    if (status || !text) return status;
    for (const char *c = text;;) {
        char *end;
        const long layer = strtol(c, &end, 10);
        if (end == c || layer < 1 || layer > QG_MAX_LAYERS || (*end && *end != ','))
            return qg_study_fail(reader, qg_yaml_get(mapping, "layers")->line,
                                 "layers: '%.60s' is not of the form \"1,3\", from 1 to %d", text,
                                 QG_MAX_LAYERS);
        choice->layers[layer - 1] = true;
        if (!*end) return QG_OK;
        c = end + 1;
    }
}

static qg_status read_choice(const study_reader *reader, const qg_yaml *mapping, qg_study_run *run)
{
    int64_t first = 0, last = 0;
    const char *part = NULL, *match = "meaning";
    int ways = 0;
    static const char *const keys[] = {"first", "last", "layers", "part"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ways += qg_yaml_get(mapping, keys[i]) != NULL;
    if (ways != 1)
        return qg_study_fail(reader, mapping->line,
                             "from: exactly one of first, last, layers, part says what is copied");
    qg_status status = qg_study_count(reader, mapping, "first", 1, QG_MAX_LAYERS, &first);
    if (!status) status = qg_study_count(reader, mapping, "last", 1, QG_MAX_LAYERS, &last);
    if (!status) status = read_layers(reader, mapping, &run->choice);
    if (!status) status = qg_study_text(reader, mapping, "part", &part);
    if (!status) status = qg_study_text(reader, mapping, "match", &match);
    if (!status) status = qg_study_boolean(reader, mapping, "freeze", &run->freeze);
    if (status) return status;
    if (strcmp(match, "meaning") != 0 && strcmp(match, "index") != 0)
        return qg_study_fail(reader, qg_yaml_get(mapping, "match")->line,
                             "match: 'meaning' or 'index', not '%.60s'", match);
    run->choice.first = (int)first;
    run->choice.last = (int)last;
    run->choice.match_index = *match == 'i';
    if (part && !(run->choice.part = strdup(part)))
        return qg_fail_memory(reader->error, "a study", strlen(part));
    return QG_OK;
}

static qg_status read_from(const study_reader *reader, const qg_yaml *mapping, qg_study_run *run)
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
        status = read_choice(reader, mapping, run);
        if (status || run->source != QG_SOURCE_RANDOM || run->freeze) return status;
        return qg_study_fail(
            reader, mapping->line,
            "from: random layers that are not frozen are those of a fresh network; "
            "'freeze: true' makes them a control");
    }
    static const char *const others[] = {"first", "last", "layers", "part", "match", "freeze"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (qg_yaml_get(mapping, others[i]))
            return qg_study_fail(reader, qg_yaml_get(mapping, others[i])->key_line,
                                 "%s: means nothing without 'from'", others[i]);
    return QG_OK;
}

/* "minatar-asterix-from-breakout-first2-frozen", and what else has several values. */
static bool name_run(const qg_study *study, const qg_run_variant *variant, qg_study_run *run)
{
    char text[160] = "";
    bool fits = qg_study_append_id(run->id, run->game);
    if (run->kind == QG_RUN_GRAFT) {
        const qg_graft_choice *const choice = &run->choice;
        const char *const from = run->source < 0 ? "random" : study->sources[run->source].name;
        const qg_yaml *const layers = qg_yaml_get(&variant->mapping, "layers");
        if (choice->first || choice->last)
            snprintf(text, sizeof text, "-from-%s-%s%d", from, choice->first ? "first" : "last",
                     choice->first + choice->last);
        else
            snprintf(text, sizeof text, "-from-%s-%s%s", from, choice->part ? "" : "layers",
                     choice->part ? choice->part : layers->text);
        fits = fits && qg_study_append_id(run->id, text);
        if (run->freeze) fits = fits && qg_study_append_id(run->id, "-frozen");
        if (choice->match_index) fits = fits && qg_study_append_id(run->id, "-index");
    }
    static const char *const shown[] = {"game", "from",   "first", "last", "layers",
                                        "part", "freeze", "match", "group"};
    for (int i = 0; i < variant->multiplied_count; i++) {
        const char *const key = variant->multiplied[i];
        const qg_yaml *const settings = qg_yaml_get(&variant->mapping, "settings");
        const qg_yaml *node = qg_yaml_get(&variant->mapping, key);
        bool known = false;
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
            known = known || strcmp(key, shown[k]) == 0;
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

static qg_status read_variant(const study_reader *reader, const qg_run_variant *variant,
                              int64_t total, int line)
{
    const qg_study *const study = reader->study;
    const qg_yaml *const mapping = &variant->mapping;
    qg_study_run run = {.line = line,
                        .kind = QG_RUN_TRAIN,
                        .listed = true,
                        .source = QG_SOURCE_NONE,
                        .baseline = -1};
    qg_status status = qg_study_game_and_steps(reader, mapping, &run);
    if (!status) status = read_from(reader, mapping, &run);
    const char *const network =
        run.source >= 0 ? qg_source_network(study, &study->sources[run.source]) : NULL;
    if (!status) status = qg_study_settings(reader, mapping, run.game, network, &run.settings);
    if (!status) status = set_name(reader, variant, total, &run);
    if (!status) status = read_group(reader, mapping, &run);
    if (!status) status = qg_study_run_seeds(reader, mapping, &run);
    int index;
    if (!status) return qg_study_add_run(reader, &run, &index);
    qg_study_free_run(&run);
    return status;
}

static qg_status read_item(const study_reader *reader, const qg_yaml *item)
{
    int64_t total = 0;
    qg_status status = qg_study_check_keys(reader, item, "runs", run_keys);
    if (!status) status = qg_run_variant_total(reader, item, &total);
    for (int64_t i = 0; i < total && !status; i++) {
        qg_run_variant variant;
        status = qg_run_variant_make(reader, item, i, &variant);
        if (status) break;
        status = read_variant(reader, &variant, total, item->line);
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
                other->steps == run->steps && same_settings(&other->settings, &run->settings))
                run->baseline = j;
        }
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
    for (size_t i = 0; i < runs->count; i++) {
        const qg_status status = read_item(reader, &runs->items[i]);
        if (status) return status;
    }
    return find_baselines(reader);
}
