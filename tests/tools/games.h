/* For tests/python/test_games.py. */
#ifndef GAMES_H
#define GAMES_H

#include <jansson.h>

/* {"transfers": [[kind, source, target], ...], "effects": [...], "measure": [...], "games": N} to
 * what src/report/affinity.h and scaling.h make of it. */
json_t *answer_games(const json_t *question);

/* {"to": [[x, y], ...], "points": [[x, y], ...]} to the points, turned. */
json_t *answer_turn(const json_t *question);

#endif
