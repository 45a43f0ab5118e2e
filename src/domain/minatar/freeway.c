/* Freeway: bring the chicken over the road as often as possible in 2501 acts.
 *
 * The chicken keeps to one column and walks at most every third act; a car that hits it sends it
 * back to the start. Each crossing gives every car a new speed. There are no ramps. */
#include "domain/minatar/minatar.h"

#include <stdlib.h>

/* The trail of a car of speed s is in channel CAR + |s|. */
enum { CHICKEN, CAR, TRAIL_1, TRAIL_2, TRAIL_3, TRAIL_4, TRAIL_5, CHANNELS };

enum {
    CARS = 8, /* car i is in row i + 1 */
    TOP_SPEED = 5,
    COLUMN = 4,    /* the chicken's */
    START_ROW = 9, /* no car comes here */
    WALK_INTERVAL = 3,
    TIME_LIMIT = 2500,
};

typedef struct car {
    int x;
    int speed; /* acts of waiting between two moves; negative: to the left; never 0 */
    int timer;
} car;

typedef struct freeway {
    int row; /* the chicken's */
    int walk_timer, end_timer;
    car cars[CARS];
} freeway;

/* All speeds are drawn before all directions. (A direction draw of exactly 0.5, which one in 2^53
 * is, would stop the car in the package.) */
static void randomize_cars(freeway *game, qg_numpy_random *random)
{
    for (int i = 0; i < CARS; i++)
        game->cars[i].timer = qg_numpy_randint(random, 1, TOP_SPEED + 1);
    for (int i = 0; i < CARS; i++) {
        const bool right = qg_numpy_rand(random) > 0.5;
        game->cars[i].speed = right ? game->cars[i].timer : -game->cars[i].timer;
    }
}

static void reset(void *state, int ramps, qg_numpy_random *random)
{
    (void)ramps;
    freeway *game = state;
    *game = (freeway){.row = START_ROW, .walk_timer = WALK_INTERVAL, .end_timer = TIME_LIMIT};
    randomize_cars(game, random);
}

static int wrap(int x)
{
    return x < 0 ? 9 : x > 9 ? 0 : x;
}

static int act(void *state, int code, qg_numpy_random *random, bool *terminal)
{
    freeway *game = state;
    int reward = 0;

    if (game->walk_timer == 0 && (code == QG_MINATAR_UP || code == QG_MINATAR_DOWN)) {
        game->walk_timer = WALK_INTERVAL;
        game->row = code == QG_MINATAR_UP ? qg_minatar_back(game->row, 0)
                                          : qg_minatar_on(game->row, START_ROW);
    }

    if (game->row == 0) {
        reward = 1;
        randomize_cars(game, random); /* the cars stay where they are */
        game->row = START_ROW;
    }

    for (int i = 0; i < CARS; i++) {
        car *c = &game->cars[i];
        if (c->x == COLUMN && i + 1 == game->row) game->row = START_ROW;
        if (c->timer == 0) {
            c->timer = abs(c->speed);
            c->x = wrap(c->speed > 0 ? c->x + 1 : c->x - 1);
            if (c->x == COLUMN && i + 1 == game->row) game->row = START_ROW;
        } else {
            c->timer--;
        }
    }

    if (game->walk_timer > 0) game->walk_timer--;
    if (--game->end_timer < 0) *terminal = true;
    return reward;
}

static void observe(const void *state, uint8_t *observation)
{
    const freeway *game = state;
    qg_minatar_set(observation, CHANNELS, COLUMN, game->row, CHICKEN);
    for (int i = 0; i < CARS; i++) {
        const car *c = &game->cars[i];
        qg_minatar_set(observation, CHANNELS, c->x, i + 1, CAR);
        const int trail = wrap(c->speed > 0 ? c->x - 1 : c->x + 1);
        qg_minatar_set(observation, CHANNELS, trail, i + 1, CAR + abs(c->speed));
    }
}

static bool valid(const void *state, bool ended)
{
    const freeway *game = state;
    for (int i = 0; i < CARS; i++) {
        const car *c = &game->cars[i];
        if (!qg_minatar_on_board(c->x) || !qg_minatar_within(c->speed, -TOP_SPEED, TOP_SPEED) ||
            c->speed == 0 || !qg_minatar_within(c->timer, 0, abs(c->speed)))
            return false;
    }
    return qg_minatar_within(game->row, 1, START_ROW) &&
           qg_minatar_within(game->walk_timer, 0, WALK_INTERVAL) &&
           qg_minatar_within(game->end_timer, ended ? -1 : 0, TIME_LIMIT);
}

static const char *const actions[] = {"noop", "up", "down"};

const qg_minatar_rules qg_minatar_freeway = {
    .game = {.name = QG_MINATAR_PREFIX "freeway",
             .family = "road crossing",
             .family_source = QG_MINATAR_SOURCE,
             .actions = actions,
             .action_count = sizeof actions / sizeof *actions,
             .levels = 1,
             .shape = {QG_MINATAR_SIDE, QG_MINATAR_SIDE, CHANNELS, .max = 1},
             .defaults = &qg_grid_defaults},
    .state_size = sizeof(freeway),
    .reset = reset,
    .act = act,
    .observe = observe,
    .valid = valid,
    .drawing_order = {TRAIL_5, TRAIL_4, TRAIL_3, TRAIL_2, TRAIL_1, CAR, CHICKEN},
    .palette = {QG_BLACK, [1 + CHICKEN] = QG_PALE, [1 + CAR] = QG_ROSE, [1 + TRAIL_1] = QG_CYAN,
                [1 + TRAIL_2] = QG_TEAL, [1 + TRAIL_3] = QG_OLIVE, [1 + TRAIL_4] = QG_WINE,
                [1 + TRAIL_5] = QG_INDIGO},
};
