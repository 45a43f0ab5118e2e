#include "report/game_map.h"

#include "base/random.h"
#include "report/order.h"
#include "report/pair_measures.h"
#include "report/scaling.h"
#include "report/stages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEWEST_SEEDS = 3 }; /* of a bootstrap whose draws are shown */

/* The experiments of the map, in the order of the study. */
typedef struct mapped {
    const qg_results *results;
    const qg_experiment **experiments;
    qg_transfer *transfers;
    double *effects, *rest, *measure; /* [count] */
    size_t count, left_out;
    char kinds[QG_MOST_KINDS][QG_GRAFT_CHOICE_TEXT];
    int kind_count;
    const uint64_t *seeds; /* of the experiment that has most */
    size_t seed_count;
    size_t *picks; /* [seed_count] those that are drawn */
} mapped;

/* ------------------------------------------------------------------------------ what is there */

/* The place of a name among `count`; a new one is added. -1: there is no room. */
static int place_of_game(qg_game_map *map, const char *game)
{
    for (int g = 0; g < map->game_count; g++)
        if (strcmp(map->games[g], game) == 0) return g;
    if (map->game_count == QG_MOST_GAMES) return -1;
    map->games[map->game_count] = game;
    return map->game_count++;
}

static int place_of_kind(mapped *s, const char *kind)
{
    for (int k = 0; k < s->kind_count; k++)
        if (strcmp(s->kinds[k], kind) == 0) return k;
    if (s->kind_count == QG_MOST_KINDS) return -1;
    snprintf(s->kinds[s->kind_count], sizeof s->kinds[0], "%s", kind);
    return s->kind_count++;
}

/* False: there are too many kinds or games. */
static bool find_places(mapped *s, const char *kind, const char *source, const char *target,
                        qg_game_map *map, qg_transfer *transfer)
{
    const int games = map->game_count;
    transfer->kind = place_of_kind(s, kind);
    transfer->source = place_of_game(map, source);
    transfer->target = place_of_game(map, target);
    const bool all = transfer->kind >= 0 && transfer->source >= 0 && transfer->target >= 0;
    if (!all) map->game_count = games; /* none without an experiment */
    return all;
}

static void select_experiment(mapped *s, const qg_experiment *e, qg_game_map *map)
{
    const qg_study_run *run = &s->results->study->runs[e->run];
    char kind[QG_GRAFT_CHOICE_TEXT];
    if (!qg_results_copied(s->results, e) || e->control || !e->source_game[0] ||
        !isfinite(e->verdict.effect.value))
        return;
    qg_run_copied(run, kind);
    qg_transfer transfer;
    if (!find_places(s, kind, e->source_game, run->game, map, &transfer)) {
        s->left_out++;
        return;
    }
    s->experiments[s->count] = e;
    s->transfers[s->count] = transfer;
    s->effects[s->count++] = e->verdict.effect.value;
    if (e->transfer.count > s->seed_count) {
        s->seeds = e->transfer.seeds;
        s->seed_count = e->transfer.count;
    }
}

static qg_status select_all(mapped *s, qg_game_map *map, qg_error *error)
{
    const qg_results *r = s->results;
    const size_t room = r->experiment_count;
    s->experiments = qg_results_memory(room, sizeof(void *), error);
    s->transfers = qg_results_memory(room, sizeof *s->transfers, error);
    s->effects = qg_results_memory(3 * room, sizeof *s->effects, error);
    if (!s->experiments || !s->transfers || !s->effects) return error->code;
    s->rest = s->effects + room;
    s->measure = s->rest + room;
    for (size_t i = 0; i < room; i++)
        select_experiment(s, &r->experiments[i], map);
    map->experiments = s->count;
    return QG_OK;
}

/* ----------------------------------------------------------------------------------- pairs */

static void fill_measures(const qg_experiment *e, qg_game_pair *pair)
{
    const qg_similarity *s = &e->similarity;
    for (int k = 0; k < QG_MOST_PREDICTORS; k++)
        pair->measures[k] = NAN;
    if (!e->has_similarity) return;
    const double known[QG_MEASURES_OF_GRADE] = {s->actions, s->same_family, s->visual, s->grade};
    memcpy(pair->measures, known, sizeof known);
}

static qg_status list_pairs(const mapped *s, qg_game_map *map, qg_error *error)
{
    static const char *const names[QG_MEASURES_OF_GRADE] = {"actions", "family", "looks", "grade"};
    map->pairs = qg_results_memory(s->count, sizeof *map->pairs, error);
    if (!map->pairs) return error->code;
    for (size_t i = 0; i < s->count; i++) {
        size_t p = 0;
        while (p < map->pair_count && !qg_is_between(&s->transfers[i], map->pairs[p].games))
            p++;
        if (p == map->pair_count) {
            const qg_transfer *t = &s->transfers[i];
            map->pairs[map->pair_count++] = (qg_game_pair){.games = {t->source, t->target}};
            fill_measures(s->experiments[i], &map->pairs[p]);
        }
        map->pairs[p].experiments++;
    }
    for (int k = 0; k < QG_MEASURES_OF_GRADE; k++)
        snprintf(map->predictors[k].name, sizeof map->predictors[k].name, "%s", names[k]);
    map->predictor_count = QG_MEASURES_OF_GRADE;
    return QG_OK;
}

/* ----------------------------------------------------------------------------- predictions */

/* Of every experiment what its pair has; false: not all are known. */
static bool spread_measure(const mapped *s, const qg_game_map *map, size_t k)
{
    for (size_t p = 0; p < map->pair_count; p++)
        for (size_t i = 0; i < s->count; i++)
            if (qg_is_between(&s->transfers[i], map->pairs[p].games)) {
                s->measure[i] = map->pairs[p].measures[k];
                if (!isfinite(s->measure[i])) return false;
            }
    return true;
}

static qg_status predict(const mapped *s, qg_game_map *map, qg_error *error)
{
    qg_status status =
        qg_predict(s->transfers, s->effects, NULL, s->count, map->game_count, &map->alone, error);
    for (size_t k = 0; k < map->predictor_count && !status; k++) {
        qg_prediction *it = &map->predictors[k].prediction;
        *it = (qg_prediction){NAN, NAN};
        if (spread_measure(s, map, k))
            status = qg_predict(s->transfers, s->effects, s->measure, s->count, map->game_count, it,
                                error);
        if (it->slope == 0) *it = (qg_prediction){NAN, NAN}; /* it tells no two pairs apart */
    }
    return status;
}

/* ------------------------------------------------------------------------------- bootstrap */

/* The effect of an experiment with the seeds that are drawn, as often as they are: it moves as the
 * mean of the differences of the drawn seeds does. */
static double redraw(const qg_experiment *e, const mapped *s)
{
    double mean = 0, sum = 0, count = 0;
    for (size_t k = 0; k < e->pair_count; k++)
        mean += e->pairs[k].difference[QG_AREA] / (double)e->pair_count;
    for (size_t i = 0; i < s->seed_count; i++)
        for (size_t k = 0; k < e->pair_count; k++)
            if (e->pairs[k].seed == s->seeds[s->picks[i]]) {
                sum += e->pairs[k].difference[QG_AREA];
                count++;
            }
    return e->verdict.effect.value + (count > 0 ? sum / count - mean : 0);
}

/* Seeds are drawn for all experiments together, as these share baselines and sources. */
static void draw_affinities(const mapped *s, const qg_game_map *map, qg_random *random,
                            double *effects, double *affinities)
{
    for (size_t i = 0; i < s->seed_count; i++)
        s->picks[i] = (size_t)qg_random_below(random, s->seed_count);
    for (size_t i = 0; i < s->count; i++)
        effects[i] = redraw(s->experiments[i], s);
    qg_take_out(s->transfers, effects, s->count, NULL, s->rest);
    qg_affinities_of(s->transfers, s->rest, s->count, map->game_count, affinities);
}

static void find_intervals(qg_game_map *map, const double *drawn, double *room)
{
    const size_t squares = (size_t)(map->game_count * map->game_count);
    for (size_t p = 0; p < map->pair_count; p++) {
        qg_game_pair *pair = &map->pairs[p];
        const size_t at = (size_t)(pair->games[0] * map->game_count + pair->games[1]);
        for (size_t d = 0; d < QG_MAP_DRAWS; d++)
            room[d] = drawn[d * squares + at];
        qg_sort(room, QG_MAP_DRAWS);
        pair->affinity.low = qg_quantile(room, QG_MAP_DRAWS, 0.025);
        pair->affinity.high = qg_quantile(room, QG_MAP_DRAWS, 0.975);
    }
}

static qg_status bootstrap(mapped *s, qg_game_map *map, qg_error *error)
{
    const size_t squares = (size_t)(map->game_count * map->game_count);
    if (s->seed_count < FEWEST_SEEDS) return QG_OK;
    double *drawn =
        qg_results_memory(QG_MAP_DRAWS * (squares + 1) + s->count, sizeof *drawn, error);
    map->draws = qg_results_memory(QG_MAP_DRAWS, sizeof *map->draws, error);
    s->picks = qg_results_memory(s->seed_count, sizeof *s->picks, error);
    if (!drawn || !map->draws || !s->picks) {
        free(drawn);
        return error->code;
    }
    double *effects = drawn + QG_MAP_DRAWS * squares;
    qg_random random = qg_random_stream(QG_REPORT_SEED, "map");
    map->draw_count = QG_MAP_DRAWS;
    for (size_t d = 0; d < QG_MAP_DRAWS; d++) {
        double *const affinities = &drawn[d * squares], ignored;
        draw_affinities(s, map, &random, effects, affinities);
        if (map->problem[0]) continue;
        qg_classical_scaling(affinities, map->game_count, map->draws[d], &ignored);
        qg_turn_to(map->points, map->game_count, map->draws[d]);
    }
    /* Of three seeds its 95 % interval is from the smallest to the largest, and covers three
     * quarters. */
    if (s->seed_count >= QG_ENOUGH_SEEDS) find_intervals(map, drawn, effects + s->count);
    free(drawn);
    return QG_OK;
}

/* ------------------------------------------------------------------------------------- the map */

static void find_points(const mapped *s, qg_game_map *map)
{
    double affinities[QG_MOST_GAMES * QG_MOST_GAMES];
    const int n = map->game_count;
    qg_take_out(s->transfers, s->effects, s->count, NULL, s->rest);
    qg_affinities_of(s->transfers, s->rest, s->count, n, affinities);
    for (size_t p = 0; p < map->pair_count; p++)
        map->pairs[p].affinity = (qg_estimate){
            affinities[map->pairs[p].games[0] * n + map->pairs[p].games[1]], NAN, NAN};
    for (int a = 0; a < n && !map->problem[0]; a++)
        for (int b = 0; b < a; b++)
            if (isnan(affinities[a * n + b]))
                snprintf(
                    map->problem, sizeof map->problem,
                    "No map of the games: nothing is known of layers of %s on %s, or the other "
                    "way round.",
                    map->games[b], map->games[a]);
    if (!map->problem[0]) qg_classical_scaling(affinities, n, map->points, &map->share);
}

/* Nothing rests on them: what cannot be read is said and left out. */
static qg_status read_measures(qg_results *r, qg_error *error)
{
    const qg_status status = qg_pair_measures_read(r->folder, &r->map, error);
    if (!status || status == QG_ERROR_MEMORY) return status;
    const qg_error inner = *error;
    r->map.predictor_count = QG_MEASURES_OF_GRADE;
    return qg_warn(&r->warnings, error, "%s; it was left out", inner.message);
}

qg_status qg_results_find_map(qg_results *r, qg_error *error)
{
    qg_game_map *map = &r->map;
    mapped *s = qg_results_memory(1, sizeof *s, error);
    if (!s) return error->code;
    s->results = r;
    qg_status status = select_all(s, map, error);
    const int spare = qg_spare_pairs(s->transfers, s->count);
    if (!status && map->game_count < QG_FEWEST_GAMES)
        snprintf(map->problem, sizeof map->problem,
                 "A map of the games needs transfer between %d of them; here are %d.",
                 QG_FEWEST_GAMES, map->game_count);
    else if (!status && spare < map->game_count)
        status = qg_warn(
            &r->warnings, error,
            "no map of the games: their ordered pairs leave %d degree%s of freedom behind "
            "source and target, %d are needed: more pairs of the same games would give them",
            spare, spare == 1 ? "" : "s", map->game_count);
    else if (!status) {
        if (s->left_out)
            status = qg_warn(&r->warnings, error,
                             "the map of the games has room for %d games and %d kinds of copy: %zu "
                             "experiments are not in it",
                             QG_MOST_GAMES, QG_MOST_KINDS, s->left_out);
        if (!status) status = list_pairs(s, map, error);
        if (!status) status = read_measures(r, error);
        if (!status) status = predict(s, map, error);
        if (!status) find_points(s, map);
        if (!status) status = bootstrap(s, map, error);
    }
    free(s->picks);
    free(s->experiments);
    free(s->transfers);
    free(s->effects);
    free(s);
    return status;
}
