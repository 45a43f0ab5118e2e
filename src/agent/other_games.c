#include "agent/other_games.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Which output stands for each action of `other`; false: none does for any. */
static bool pair_actions(const qg_domain *own, const qg_domain *other, int *outputs)
{
    bool any = false;
    for (int a = 0; a < other->action_count; a++) {
        int output = own->action_count - 1;
        while (output >= 0 && strcmp(own->actions[output], other->actions[a]) != 0)
            output--;
        outputs[a] = output;
        any |= output >= 0;
    }
    return any;
}

static qg_status open_game(const qg_train_options *options, const qg_domain *own,
                           const qg_architecture *architecture, const char *name,
                           qg_other_game *game, qg_error *error)
{
    const qg_domain_options how = qg_domain_options_of(&options->settings);
    const qg_game *ignored;
    qg_domain *other;
    qg_error inner;
    qg_status status = qg_domain_resolve(name, &ignored, game->name, error);
    if (!status) status = qg_domain_open(game->name, &how, &other, error);
    if (status) return status;
    if (qg_network_sees(architecture, other, options->settings.history, &inner))
        status = qg_fail(error, QG_ERROR_USAGE, "`also_evaluate`: %s", inner.message);
    else if (!pair_actions(own, other, game->outputs))
        status = qg_fail(error, QG_ERROR_USAGE,
                         "`also_evaluate`: no action of %s is one of %s, so nothing can be played",
                         game->name, own->name);
    qg_domain_close(other);
    return status;
}

/* Whether the last one is new. */
static qg_status check_name(const qg_other_games *games, const qg_domain *own, qg_error *error)
{
    const char *name = games->games[games->count].name;
    if (strcmp(name, own->name) == 0)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`also_evaluate`: %s is the game that is trained, which is evaluated anyway",
                       name);
    for (int i = 0; i < games->count; i++)
        if (strcmp(name, games->games[i].name) == 0)
            return qg_fail(error, QG_ERROR_USAGE, "`also_evaluate`: %s stands there twice", name);
    return QG_OK;
}

qg_status qg_other_games_open(const qg_train_options *options, const qg_domain *own,
                              const qg_architecture *architecture, qg_other_games *games,
                              qg_error *error)
{
    if (options->also_evaluate_count > QG_MAX_OTHER_GAMES)
        return qg_fail(error, QG_ERROR_USAGE, "`also_evaluate`: %d games, at most %d are possible",
                       options->also_evaluate_count, QG_MAX_OTHER_GAMES);
    qg_status status = QG_OK;
    for (; games->count < options->also_evaluate_count && !status; games->count += !status) {
        status = open_game(options, own, architecture, options->also_evaluate[games->count],
                           &games->games[games->count], error);
        if (!status) status = check_name(games, own, error);
    }
    return status;
}

qg_status qg_other_games_play(const qg_other_games *games, qg_run *run, qg_engine *engine,
                              qg_evaluation *evaluations, qg_error *error)
{
    const qg_settings *s = run->settings;
    qg_status status = QG_OK;
    for (int i = 0; i < games->count && !status; i++) {
        char purpose[QG_DOMAIN_NAME + 64];
        snprintf(purpose, sizeof purpose, "evaluation/%s/%" PRId64, games->games[i].name,
                 run->step);
        status = qg_run_play(run, engine, games->games[i].name, qg_domain_options_of(s).actions,
                             games->games[i].outputs, s->history, purpose, &evaluations[i], error);
    }
    return status;
}

qg_status qg_other_games_write(const qg_other_games *games, const qg_run *run,
                               const qg_evaluation *evaluations, qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0; i < games->count && !status; i++) {
        const qg_evaluation *e = &evaluations[i];
        char name[2 * QG_DOMAIN_NAME + 2], cells[4][32];
        status = qg_csv_row(
            run->folder.tables[games->table].csv, error, "%" PRId64 ",%s,%s,%" PRId64 ",%s,%s,%s",
            run->step, qg_csv_text(games->games[i].name, name), qg_csv_real(e->score, cells[0]),
            e->episodes, qg_csv_real(e->deviation, cells[1]), qg_csv_real(e->minimum, cells[2]),
            qg_csv_real(e->maximum, cells[3]));
        if (!status)
            status = qg_run_folder_scalar(&run->folder, run->step, "other_game", i + 1, "score",
                                          e->score, error);
    }
    return status;
}
