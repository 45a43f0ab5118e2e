/* What all runs have, listed ones and those made for a source: game, budget, settings, seeds. */
#include "study/reader.h"

#include "agent/settings_yaml.h"

#include <stdlib.h>
#include <string.h>

const char *qg_study_preset_for(const char *game)
{
    const qg_game *found;
    char name[QG_DOMAIN_NAME];
    qg_error error;
    return qg_domain_resolve(game, &found, name, &error) ? "dqn3" : found->defaults->preset;
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
    qg_train_options usual;
    if (qg_train_options_for(run->game, &usual, reader->error))
        return qg_study_locate(reader, qg_yaml_get(mapping, "game")->line);
    run->steps = usual.steps;
    status = qg_study_count(reader, reader->root, "steps", 1, INT64_C(1000000000000), &run->steps);
    if (!status)
        status = qg_study_count(reader, mapping, "steps", 1, INT64_C(1000000000000), &run->steps);
    run->steps = qg_study_scaled(reader->study, run->steps);
    return status;
}

/* Budgets shrink; what the agent is (memory, minibatch, target network) stays. */
static void scale_settings(const qg_study *study, qg_settings *s)
{
    const int64_t drawn = s->minibatch > s->validation_size ? s->minibatch : s->validation_size;
    const int64_t least = drawn + s->n_step - 1;
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
                            const char *network, int64_t steps, qg_settings *settings)
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
    qg_settings_shorten_evaluations(settings, steps);
    return QG_OK;
}

qg_status qg_study_training_settings(const study_reader *reader, const qg_yaml *mapping,
                                     const char *game, const char *network, int64_t steps,
                                     qg_settings *settings)
{
    const qg_status status = qg_study_settings(reader, mapping, game, network, steps, settings);
    if (status) return status;
    return qg_settings_check(settings, reader->error) ? qg_study_locate(reader, mapping->line)
                                                      : QG_OK;
}

/* A student has the inputs and outputs of its teacher. */
static bool make_student(const qg_study *study, const qg_study_run *run, qg_architecture *a)
{
    qg_architecture teacher;
    qg_error ignored;
    return qg_study_source_network(study, &study->sources[run->teachers[0]], &teacher) &&
           !qg_architecture_make(run->settings.network, teacher.channels, teacher.height,
                                 teacher.width, teacher.input_max, teacher.actions, a, &ignored);
}

bool qg_study_run_network(const qg_study *study, const qg_study_run *run, qg_architecture *a)
{
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    qg_error ignored;
    int actions;
    if (run->kind == QG_RUN_DISTILL) return make_student(study, run, a);
    if (qg_domain_resolve(run->game, &game, name, &ignored) ||
        !qg_game_actions(game, qg_domain_options_of(&run->settings).actions, &actions))
        return false;
    return !qg_architecture_make(run->settings.network,
                                 run->settings.history * game->shape.channels, game->shape.height,
                                 game->shape.width, game->shape.max, actions, a, &ignored);
}

int qg_study_source_history(const qg_study *study, const qg_study_source *source)
{
    if (source->run < 0) return source->file_history;
    const qg_study_run *const run = &study->runs[source->run];
    return run->kind == QG_RUN_DISTILL /* a student sees what its teachers do */
               ? qg_study_source_history(study, &study->sources[run->teachers[0]])
               : run->settings.history;
}

bool qg_study_source_network(const qg_study *study, const qg_study_source *source,
                             qg_architecture *a)
{
    if (source->run >= 0) return qg_study_run_network(study, &study->runs[source->run], a);
    *a = source->file_architecture;
    return a->layer_count > 0;
}

/* Whether the network of `run` takes the other game's screens. */
static bool can_see(const qg_study *study, const qg_study_run *run, const qg_game *other)
{
    const qg_observation_shape *const shape = &other->shape;
    qg_architecture a;
    return !qg_study_run_network(study, run, &a) || /* whoever makes it says what is wrong */
           (a.height == shape->height && a.width == shape->width && a.input_max == shape->max &&
            a.channels >= run->settings.history * shape->channels);
}

/* Whether the network of `run` has an output for an action of the other game. */
static bool can_play(const qg_study_run *run, const qg_game *other)
{
    const qg_action_set set = qg_domain_options_of(&run->settings).actions;
    const qg_game *own;
    char name[QG_DOMAIN_NAME];
    qg_error ignored;
    int count, other_count;
    if (qg_domain_resolve(run->game, &own, name, &ignored)) return true;
    const char *const *const actions = qg_game_actions(own, set, &count);
    const char *const *const others = qg_game_actions(other, set, &other_count);
    if (!actions || !others) return true; /* whoever plays them says what is wrong */
    for (int a = 0; a < count; a++)
        for (int b = 0; b < other_count; b++)
            if (strcmp(actions[a], others[b]) == 0) return true;
    return false;
}

qg_status qg_study_check_reuse(const qg_study *study, const qg_study_run *run, qg_error *error)
{
    if (!qg_graft_reuses(&run->choice)) return QG_OK;
    const qg_study_source *const source = &study->sources[run->source];
    const qg_game *own, *other;
    char name[QG_DOMAIN_NAME];
    qg_error ignored;
    qg_architecture a;
    if (qg_domain_resolve(run->game, &own, name, &ignored)) return QG_OK;
    const qg_observation_shape *const shape = &own->shape;
    const int history = run->settings.history, its = qg_study_source_history(study, source);
    if (its && its != history)
        return qg_fail(error, QG_ERROR_USAGE,
                       "from: '%s' sees %d screens at a time, the run %d: its policy is no use",
                       source->name, its, history);
    if (qg_study_source_network(study, source, &a) &&
        (a.height != shape->height || a.width != shape->width || a.input_max != shape->max ||
         a.channels < history * shape->channels))
        return qg_fail(error, QG_ERROR_USAGE, "from: '%s' cannot see %s, so its policy is no use",
                       source->name, run->game);
    if (run->choice.match == QG_MATCH_MEANING &&
        !qg_domain_resolve(qg_source_game(study, source), &other, name, &ignored) &&
        !can_play(run, other))
        return qg_fail(error, QG_ERROR_USAGE,
                       "from: no action of %s is one of '%s', so its policy is no use", run->game,
                       source->name);
    return QG_OK;
}

static qg_status add_other_game(const study_reader *reader, const qg_yaml *node, qg_study_run *run)
{
    char name[QG_DOMAIN_NAME];
    const qg_game *game;
    if (node->kind != QG_YAML_SCALAR || !*node->text)
        return qg_study_fail(reader, node->line, "also_evaluate: names of games are needed");
    if (qg_domain_resolve(node->text, &game, name, reader->error))
        return qg_study_locate(reader, node->line);
    if (strcmp(name, run->game) == 0) return QG_OK;
    for (int i = 0; i < run->also_evaluate_count; i++)
        if (strcmp(name, run->also_evaluate[i]) == 0)
            return qg_study_fail(reader, node->line, "also_evaluate: %s stands there twice", name);
    if (run->also_evaluate_count == QG_MAX_OTHER_GAMES)
        return qg_study_fail(reader, node->line, "also_evaluate: at most %d games",
                             QG_MAX_OTHER_GAMES);
    if (!can_see(reader->study, run, game))
        return qg_study_fail(reader, node->line,
                             "also_evaluate: %s has screens that a network of %s does not take",
                             name, run->game);
    if (!can_play(run, game))
        return qg_study_fail(
            reader, node->line,
            "also_evaluate: no action of %s is one of %s, so nothing can be played", name,
            run->game);
    memcpy(run->also_evaluate[run->also_evaluate_count++], name, sizeof name);
    return QG_OK;
}

qg_status qg_study_other_games(const study_reader *reader, const qg_yaml *mapping,
                               qg_study_run *run)
{
    const qg_yaml *node = qg_yaml_get(mapping, "also_evaluate");
    if (!node) node = qg_yaml_get(reader->root, "also_evaluate");
    if (!node) return QG_OK;
    if (node->kind != QG_YAML_LIST) return add_other_game(reader, node, run);
    qg_status status = QG_OK;
    for (size_t i = 0; i < node->count && !status; i++)
        status = add_other_game(reader, &node->items[i], run);
    return status;
}

qg_status qg_study_run_seeds(const study_reader *reader, const qg_yaml *mapping, qg_study_run *run)
{
    const qg_study *const study = reader->study;
    const qg_status status =
        qg_study_seeds(reader, mapping, "seeds", &run->seeds, &run->seed_count);
    if (status || run->seeds) return status;
    const bool more = run->listed && run->kind == QG_RUN_TRAIN && study->baseline_seeds;
    const int count = more ? study->baseline_seed_count : study->seed_count;
    const size_t bytes = (size_t)count * sizeof *run->seeds;
    run->seeds = malloc(bytes);
    if (!run->seeds) return qg_fail_memory(reader->error, "seeds", bytes);
    memcpy(run->seeds, more ? study->baseline_seeds : study->seeds, bytes);
    run->seed_count = count;
    return QG_OK;
}
