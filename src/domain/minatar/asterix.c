/* Asterix: collect the gold, avoid the enemies.
 *
 * Objects cross the board in rows 1 ... 8, one at most in a row. They come and move faster with
 * time, in ramps, until both speeds are 1. */
#include "domain/minatar/minatar.h"

enum { PLAYER, ENEMY, TRAIL, GOLD, CHANNELS };

enum {
    SLOTS = 8, /* slot i is row i + 1 */
    SPAWN_SPEED = 10,
    MOVE_SPEED = 5,
    RAMP_INTERVAL = 100,
    RAMPS = 9, /* until both speeds are 1 */
};

typedef struct slot {
    int occupied, x, right, gold; /* right, gold: 0 or 1 */
} slot;

typedef struct asterix {
    int x, y;
    slot slots[SLOTS];
    int spawn_speed, spawn_timer;
    int move_speed, move_timer;
    int ramp_timer, ramp_index;
} asterix;

static void ramp(asterix *game)
{
    if (game->move_speed > 1 && game->ramp_index % 2 == 1) game->move_speed--;
    if (game->spawn_speed > 1) game->spawn_speed--;
    game->ramp_index++;
}

static void reset(void *state, int ramps, qg_numpy_random *random)
{
    (void)random;
    asterix *game = state;
    *game = (asterix){.x = 5,
                      .y = 5,
                      .spawn_speed = SPAWN_SPEED,
                      .move_speed = MOVE_SPEED,
                      .ramp_timer = RAMP_INTERVAL};
    for (int i = 0; i < ramps; i++)
        ramp(game);
    game->spawn_timer = game->spawn_speed;
    game->move_timer = game->move_speed;
}

/* Direction and kind are drawn even when there is no free slot. */
static void spawn(asterix *game, qg_numpy_random *random)
{
    const bool right = qg_numpy_rand(random) < 0.5;
    const bool gold = qg_numpy_rand(random) < 1.0 / 3;
    int empty[SLOTS], count = 0;
    for (int i = 0; i < SLOTS; i++)
        if (!game->slots[i].occupied) empty[count++] = i;
    if (count == 0) return;
    game->slots[empty[qg_numpy_randint(random, 0, count)]] =
        (slot){.occupied = 1, .x = right ? 0 : 9, .right = right, .gold = gold};
}

/* The player meets what is in slot i, if that is in the player's cell. */
static int meet(asterix *game, int i, bool *terminal)
{
    slot *object = &game->slots[i];
    if (object->x != game->x || i + 1 != game->y) return 0;
    if (!object->gold) {
        *terminal = true;
        return 0;
    }
    object->occupied = 0;
    return 1;
}

static int act(void *state, int code, qg_numpy_random *random, bool *terminal)
{
    asterix *game = state;
    int reward = 0;

    if (game->spawn_timer == 0) {
        spawn(game, random);
        game->spawn_timer = game->spawn_speed;
    }

    switch (code) {
    case QG_MINATAR_LEFT:
        game->x = qg_minatar_back(game->x, 0);
        break;
    case QG_MINATAR_RIGHT:
        game->x = qg_minatar_on(game->x, 9);
        break;
    case QG_MINATAR_UP:
        game->y = qg_minatar_back(game->y, 1);
        break;
    case QG_MINATAR_DOWN:
        game->y = qg_minatar_on(game->y, SLOTS);
        break;
    }

    for (int i = 0; i < SLOTS; i++)
        if (game->slots[i].occupied) reward += meet(game, i, terminal);

    if (game->move_timer == 0) {
        game->move_timer = game->move_speed;
        for (int i = 0; i < SLOTS; i++) {
            slot *object = &game->slots[i];
            if (!object->occupied) continue;
            object->x += object->right ? 1 : -1;
            if (!qg_minatar_on_board(object->x))
                object->occupied = 0;
            else
                reward += meet(game, i, terminal);
        }
    }

    game->spawn_timer--;
    game->move_timer--;

    if (game->spawn_speed > 1 || game->move_speed > 1) {
        if (game->ramp_timer >= 0) {
            game->ramp_timer--;
        } else {
            ramp(game);
            game->ramp_timer = RAMP_INTERVAL;
        }
    }
    return reward;
}

static void observe(const void *state, uint8_t *observation)
{
    const asterix *game = state;
    qg_minatar_set(observation, CHANNELS, game->x, game->y, PLAYER);
    for (int i = 0; i < SLOTS; i++) {
        const slot *object = &game->slots[i];
        if (!object->occupied) continue;
        qg_minatar_set(observation, CHANNELS, object->x, i + 1, object->gold ? GOLD : ENEMY);
        const int trail = object->right ? object->x - 1 : object->x + 1;
        if (qg_minatar_on_board(trail)) qg_minatar_set(observation, CHANNELS, trail, i + 1, TRAIL);
    }
}

static bool valid(const void *state, bool ended)
{
    (void)ended;
    const asterix *game = state;
    for (int i = 0; i < SLOTS; i++) {
        const slot *object = &game->slots[i];
        if (!qg_minatar_within(object->occupied, 0, 1) || !qg_minatar_within(object->right, 0, 1) ||
            !qg_minatar_within(object->gold, 0, 1) ||
            (object->occupied && !qg_minatar_on_board(object->x)))
            return false;
    }
    if (!qg_minatar_within(game->ramp_index, 0, RAMPS)) return false;
    asterix same; /* as fast */
    reset(&same, game->ramp_index, NULL);
    return qg_minatar_on_board(game->x) && qg_minatar_within(game->y, 1, SLOTS) &&
           game->spawn_speed == same.spawn_speed && game->move_speed == same.move_speed &&
           qg_minatar_within(game->spawn_timer, 0, SPAWN_SPEED) &&
           qg_minatar_within(game->move_timer, 0, MOVE_SPEED) &&
           qg_minatar_within(game->ramp_timer, -1, RAMP_INTERVAL);
}

static const char *const actions[] = {"noop", "left", "up", "right", "down"};

const qg_minatar_rules qg_minatar_asterix = {
    .game = {.name = QG_MINATAR_PREFIX "asterix",
             .family = "collect and avoid",
             .family_source = QG_MINATAR_SOURCE,
             .actions = actions,
             .action_count = sizeof actions / sizeof *actions,
             .levels = 1 + RAMPS,
             .shape = {QG_MINATAR_SIDE, QG_MINATAR_SIDE, CHANNELS, .max = 1},
             .defaults = &qg_grid_defaults},
    .state_size = sizeof(asterix),
    .reset = reset,
    .act = act,
    .observe = observe,
    .valid = valid,
    .drawing_order = {TRAIL, ENEMY, GOLD, PLAYER},
    .palette = {QG_BLACK, [1 + PLAYER] = QG_PALE, [1 + ENEMY] = QG_ROSE, [1 + TRAIL] = QG_INDIGO,
                [1 + GOLD] = QG_SAND},
};
