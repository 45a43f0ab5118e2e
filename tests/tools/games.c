#include "games.h"

#include "report/affinity.h"
#include "report/scaling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 4096 };

static double at(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

static json_t *reals(const double *values, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, isnan(values[i]) ? json_null() : json_real(values[i]));
    return list;
}

static json_t *prediction(const qg_transfer *transfers, const double *effects,
                          const double *measure, size_t count, int games)
{
    qg_prediction found;
    qg_error error;
    if (qg_predict(transfers, effects, measure, count, games, &found, &error)) exit(1);
    return json_pack("[f, f]", found.slope, found.error);
}

json_t *answer_games(const json_t *question)
{
    static qg_transfer transfers[MOST];
    static double effects[MOST], measure[MOST], rest[MOST];
    double affinities[QG_MOST_GAMES * QG_MOST_GAMES], points[QG_MOST_GAMES][2], share;
    const json_t *list = json_object_get(question, "transfers");
    const json_t *x = json_object_get(question, "measure");
    const size_t count = json_array_size(list);
    const int games = (int)json_integer_value(json_object_get(question, "games"));
    if (count > MOST) exit(1);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        transfers[i] = (qg_transfer){(int)at(item, 0), (int)at(item, 1), (int)at(item, 2)};
        effects[i] = at(json_object_get(question, "effects"), i);
        measure[i] = at(x, i);
    }
    qg_take_out(transfers, effects, count, NULL, rest);
    qg_affinities_of(transfers, rest, count, games, affinities);
    const size_t all = (size_t)games * (size_t)games;
    json_t *answer =
        json_pack("{s:i, s:o, s:o, s:o, s:o}", "spare", qg_spare_pairs(transfers, count), "rest",
                  reals(rest, count), "affinities", reals(affinities, all), "alone",
                  prediction(transfers, effects, NULL, count, games), "measure",
                  prediction(transfers, effects, measure, count, games));
    for (size_t i = 0; i < all; i++)
        if (isnan(affinities[i])) return answer;
    qg_classical_scaling(affinities, games, points, &share);
    json_object_set_new(answer, "points", reals(&points[0][0], 2 * (size_t)games));
    json_object_set_new(answer, "share", json_real(share));
    return answer;
}

json_t *answer_turn(const json_t *question)
{
    const json_t *to = json_object_get(question, "to"), *of = json_object_get(question, "points");
    double goal[QG_MOST_GAMES][2], points[QG_MOST_GAMES][2];
    const size_t count = json_array_size(to);
    if (count > QG_MOST_GAMES) exit(1);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < 2; k++) {
            goal[i][k] = at(json_array_get(to, i), k);
            points[i][k] = at(json_array_get(of, i), k);
        }
    qg_turn_to(goal, (int)count, points);
    return reals(&points[0][0], 2 * count);
}
