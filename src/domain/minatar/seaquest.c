/* Seaquest: shoot fish and submarines, pick up divers, surface before the oxygen runs out.
 *
 * Row 0 is the surface, rows 1 ... 8 the sea. A surfacing makes the game harder (a ramp) until
 * enemies come every act and move every third. What moves is kept in ordered lists, which are
 * walked from the end: the order decides what happens first. */
#include "domain/minatar/minatar.h"

enum {
    SUB_FRONT,
    SUB_BACK,
    FRIENDLY_BULLET,
    TRAIL,
    ENEMY_BULLET,
    FISH,
    ENEMY_SUB,
    OXYGEN_GAUGE,
    DIVER_GAUGE,
    DIVER,
    CHANNELS
};

enum {
    FULL_OXYGEN = 200,
    FULL_CREW = 6, /* divers aboard */
    DEEPEST = 8,
    ENEMY_SPEED = 20, /* acts between two enemies */
    MOVE_SPEED = 5,   /* acts between two moves of an enemy */
    FASTEST_MOVE_SPEED = 2,
    DIVER_SPEED = 30,
    DIVER_MOVE_SPEED = 5,
    SHOT_COOL_DOWN = 5,
    ENEMY_SHOT_INTERVAL = 10,
    RAMPS = 19, /* until both speeds are at their end */
    CAPACITY = 64,
    FEWEST = 1 << 30, /* -FEWEST divers aboard: not in any game that ends */
};

/* A bullet, fish, enemy submarine or diver; the timers of what does not use them are 0. */
typedef struct object {
    int x, y, right;
    int timer; /* acts before the next move */
    int shot;  /* acts before the next shot */
} object;

typedef struct list {
    int count;
    object at[CAPACITY];
} list;

typedef struct seaquest {
    int x, y, facing_right;
    int oxygen;
    int divers_held; /* negative after a surfacing with a full crew */
    int surfaced;    /* 1: at the surface since the last surfacing */
    int shot_timer;
    int enemy_speed, enemy_timer, diver_timer, move_speed;
    int ramp_index;
    list friendly_bullets, enemy_bullets, fish, subs, divers;
} seaquest;

/* A full list takes nothing more. In play none gets half full: an enemy crosses the board in 30
 * acts at the fastest ramp, with one new enemy an act, and has one bullet at a time in it. */
static void append(list *l, object o)
{
    if (l->count < CAPACITY) l->at[l->count++] = o;
}

static void remove_at(list *l, int i)
{
    l->count--;
    for (; i < l->count; i++)
        l->at[i] = l->at[i + 1];
}

/* The first of the list in the cell of `o`, -1 when there is none. */
static int find_at(const list *l, const object *o)
{
    for (int i = 0; i < l->count; i++)
        if (l->at[i].x == o->x && l->at[i].y == o->y) return i;
    return -1;
}

static bool meets_player(const seaquest *game, const object *o)
{
    return o->x == game->x && o->y == game->y;
}

/* One cell in its direction; false when that leaves the board. */
static bool advance(object *o)
{
    o->x += o->right ? 1 : -1;
    return qg_minatar_on_board(o->x);
}

static bool can_ramp(const seaquest *game)
{
    return game->enemy_speed > 1 || game->move_speed > FASTEST_MOVE_SPEED;
}

static void ramp(seaquest *game)
{
    if (game->move_speed > FASTEST_MOVE_SPEED && game->ramp_index % 2 == 1) game->move_speed--;
    if (game->enemy_speed > 1) game->enemy_speed--;
    game->ramp_index++;
}

static void reset(void *state, int ramps, qg_numpy_random *random)
{
    (void)random;
    seaquest *game = state;
    *game = (seaquest){.x = 5,
                       .y = 0,
                       .oxygen = FULL_OXYGEN,
                       .surfaced = 1,
                       .enemy_speed = ENEMY_SPEED,
                       .diver_timer = DIVER_SPEED,
                       .move_speed = MOVE_SPEED};
    for (int i = 0; i < ramps; i++)
        ramp(game);
    game->enemy_timer = game->enemy_speed;
}

static bool comes_against(const list *l, int y, bool right)
{
    for (int i = 0; i < l->count; i++)
        if (l->at[i].y == y && l->at[i].right != right) return true;
    return false;
}

/* Enemies of one row all swim the same way: one that would not is drawn but does not come. */
static void spawn_enemy(seaquest *game, qg_numpy_random *random)
{
    const bool right = qg_numpy_rand(random) < 0.5;
    const bool is_sub = qg_numpy_rand(random) < 1.0 / 3;
    const int y = qg_numpy_randint(random, 1, DEEPEST + 1);
    if (comes_against(&game->subs, y, right) || comes_against(&game->fish, y, right)) return;
    const object enemy = {.x = right ? 0 : 9,
                          .y = y,
                          .right = right,
                          .timer = game->move_speed,
                          .shot = is_sub ? ENEMY_SHOT_INTERVAL : 0};
    append(is_sub ? &game->subs : &game->fish, enemy);
}

static void spawn_diver(seaquest *game, qg_numpy_random *random)
{
    const bool right = qg_numpy_rand(random) < 0.5;
    const int y = qg_numpy_randint(random, 1, DEEPEST + 1);
    append(&game->divers,
           (object){.x = right ? 0 : 9, .y = y, .right = right, .timer = DIVER_MOVE_SPEED});
}

static void move_player(seaquest *game, int code)
{
    switch (code) {
    case QG_MINATAR_FIRE:
        if (game->shot_timer > 0) break;
        append(&game->friendly_bullets,
               (object){.x = game->x, .y = game->y, .right = game->facing_right});
        game->shot_timer = SHOT_COOL_DOWN;
        break;
    case QG_MINATAR_LEFT:
        game->x = qg_minatar_back(game->x, 0);
        game->facing_right = 0;
        break;
    case QG_MINATAR_RIGHT:
        game->x = qg_minatar_on(game->x, 9);
        game->facing_right = 1;
        break;
    case QG_MINATAR_UP:
        game->y = qg_minatar_back(game->y, 0);
        break;
    case QG_MINATAR_DOWN:
        game->y = qg_minatar_on(game->y, DEEPEST);
        break;
    }
}

static int move_friendly_bullets(seaquest *game)
{
    list *bullets = &game->friendly_bullets;
    int reward = 0;
    for (int i = bullets->count - 1; i >= 0; i--) {
        object *bullet = &bullets->at[i];
        if (!advance(bullet)) {
            remove_at(bullets, i);
            continue;
        }
        list *target = &game->fish;
        int hit = find_at(target, bullet);
        if (hit < 0) {
            target = &game->subs;
            hit = find_at(target, bullet);
        }
        if (hit < 0) continue;
        remove_at(target, hit);
        remove_at(bullets, i);
        reward++;
    }
    return reward;
}

static bool picks_up(seaquest *game, const object *diver)
{
    if (!meets_player(game, diver) || game->divers_held >= FULL_CREW) return false;
    game->divers_held++;
    return true;
}

static void move_divers(seaquest *game)
{
    list *divers = &game->divers;
    for (int i = divers->count - 1; i >= 0; i--) {
        object *diver = &divers->at[i];
        if (picks_up(game, diver)) {
            remove_at(divers, i);
        } else if (diver->timer == 0) {
            diver->timer = DIVER_MOVE_SPEED;
            if (!advance(diver) || picks_up(game, diver)) remove_at(divers, i);
        } else {
            diver->timer--;
        }
    }
}

/* Moves the fish, or the submarines, which also shoot: one that was just shot, or has just left the
 * board, still does. Gives a reward for each that swims into a bullet. */
static int move_enemies(seaquest *game, list *enemies, bool *terminal)
{
    int reward = 0;
    for (int i = enemies->count - 1; i >= 0; i--) {
        object *enemy = &enemies->at[i];
        bool gone = false;
        if (meets_player(game, enemy)) *terminal = true;
        if (enemy->timer == 0) {
            enemy->timer = game->move_speed;
            const bool on_board = advance(enemy);
            const int bullet = find_at(&game->friendly_bullets, enemy);
            if (!on_board) {
                gone = true;
            } else if (meets_player(game, enemy)) {
                *terminal = true;
            } else if (bullet >= 0) {
                remove_at(&game->friendly_bullets, bullet);
                reward++;
                gone = true;
            }
        } else {
            enemy->timer--;
        }
        if (enemies == &game->subs) {
            if (enemy->shot == 0) {
                append(&game->enemy_bullets,
                       (object){.x = enemy->x, .y = enemy->y, .right = enemy->right});
                enemy->shot = ENEMY_SHOT_INTERVAL;
            } else {
                enemy->shot--;
            }
        }
        if (gone) remove_at(enemies, i);
    }
    return reward;
}

static void move_enemy_bullets(seaquest *game, bool *terminal)
{
    list *bullets = &game->enemy_bullets;
    for (int i = bullets->count - 1; i >= 0; i--) {
        object *bullet = &bullets->at[i];
        if (meets_player(game, bullet)) *terminal = true;
        if (!advance(bullet))
            remove_at(bullets, i);
        else if (meets_player(game, bullet))
            *terminal = true;
    }
}

/* A full crew is worth the oxygen that is left, in tenths of the tank. One diver goes in any case:
 * a full crew leaves -1 aboard. */
static int surface(seaquest *game)
{
    int reward = 0;
    game->surfaced = 1;
    if (game->divers_held == FULL_CREW) {
        game->divers_held = 0;
        reward = game->oxygen * 10 / FULL_OXYGEN;
    }
    game->oxygen = FULL_OXYGEN;
    game->divers_held--;
    if (can_ramp(game)) ramp(game);
    return reward;
}

static int act(void *state, int code, qg_numpy_random *random, bool *terminal)
{
    seaquest *game = state;
    int reward = 0;

    if (game->enemy_timer == 0) {
        spawn_enemy(game, random);
        game->enemy_timer = game->enemy_speed;
    }
    if (game->diver_timer == 0) {
        spawn_diver(game, random);
        game->diver_timer = DIVER_SPEED;
    }

    move_player(game, code);
    reward += move_friendly_bullets(game);
    move_divers(game);
    reward += move_enemies(game, &game->subs, terminal);
    move_enemy_bullets(game, terminal);
    reward += move_enemies(game, &game->fish, terminal);

    if (game->enemy_timer > 0) game->enemy_timer--;
    if (game->diver_timer > 0) game->diver_timer--;
    if (game->shot_timer > 0) game->shot_timer--;

    if (game->oxygen <= 0) *terminal = true;
    if (game->y > 0) {
        game->oxygen--;
        game->surfaced = 0;
    } else if (!game->surfaced) {
        if (game->divers_held == 0)
            *terminal = true;
        else
            reward += surface(game);
    }
    return reward;
}

static void observe_list(const list *l, int channel, bool with_trail, uint8_t *observation)
{
    for (int i = 0; i < l->count; i++) {
        const object *o = &l->at[i];
        qg_minatar_set(observation, CHANNELS, o->x, o->y, channel);
        const int trail = o->right ? o->x - 1 : o->x + 1;
        if (with_trail && qg_minatar_on_board(trail))
            qg_minatar_set(observation, CHANNELS, trail, o->y, TRAIL);
    }
}

static void observe(const void *state, uint8_t *observation)
{
    const seaquest *game = state;
    const int back = game->facing_right ? game->x - 1 : game->x + 1;
    qg_minatar_set(observation, CHANNELS, game->x, game->y, SUB_FRONT);
    qg_minatar_set(observation, CHANNELS, back, game->y, SUB_BACK);

    const int oxygen = game->oxygen > 0 ? game->oxygen * 10 / FULL_OXYGEN : 0;
    for (int x = 0; x < oxygen; x++)
        qg_minatar_set(observation, CHANNELS, x, 9, OXYGEN_GAUGE);
    for (int i = 0; i < game->divers_held; i++)
        qg_minatar_set(observation, CHANNELS, 8 - i, 9, DIVER_GAUGE);

    observe_list(&game->friendly_bullets, FRIENDLY_BULLET, false, observation);
    observe_list(&game->enemy_bullets, ENEMY_BULLET, false, observation);
    observe_list(&game->fish, FISH, true, observation);
    observe_list(&game->subs, ENEMY_SUB, true, observation);
    observe_list(&game->divers, DIVER, true, observation);
}

static bool valid_list(const list *l, int first_row, int slowest)
{
    if (!qg_minatar_within(l->count, 0, CAPACITY)) return false;
    for (int i = 0; i < l->count; i++) {
        const object *o = &l->at[i];
        if (!qg_minatar_on_board(o->x) || !qg_minatar_within(o->y, first_row, DEEPEST) ||
            !qg_minatar_within(o->right, 0, 1) || !qg_minatar_within(o->timer, 0, slowest) ||
            !qg_minatar_within(o->shot, 0, ENEMY_SHOT_INTERVAL))
            return false;
    }
    return true;
}

static bool valid(const void *state, bool ended)
{
    (void)ended;
    const seaquest *game = state;
    /* The submarine's back is on the board: at a border it faces that border. */
    if (!qg_minatar_within(game->x, game->facing_right ? 1 : 0, game->facing_right ? 9 : 8))
        return false;
    if (!qg_minatar_within(game->ramp_index, 0, RAMPS)) return false;
    seaquest same; /* as fast */
    reset(&same, game->ramp_index, NULL);
    return qg_minatar_within(game->y, 0, DEEPEST) && qg_minatar_within(game->facing_right, 0, 1) &&
           qg_minatar_within(game->oxygen, -1, FULL_OXYGEN) &&
           qg_minatar_within(game->divers_held, -FEWEST, FULL_CREW) &&
           qg_minatar_within(game->surfaced, 0, 1) &&
           qg_minatar_within(game->shot_timer, 0, SHOT_COOL_DOWN) &&
           game->enemy_speed == same.enemy_speed && game->move_speed == same.move_speed &&
           qg_minatar_within(game->enemy_timer, 0, ENEMY_SPEED) &&
           qg_minatar_within(game->diver_timer, 0, DIVER_SPEED) &&
           valid_list(&game->friendly_bullets, 0, 0) && valid_list(&game->enemy_bullets, 1, 0) &&
           valid_list(&game->fish, 1, MOVE_SPEED) && valid_list(&game->subs, 1, MOVE_SPEED) &&
           valid_list(&game->divers, 1, DIVER_MOVE_SPEED);
}

static const char *const actions[] = {"noop", "left", "up", "right", "down", "fire"};

const qg_minatar_rules qg_minatar_seaquest = {
    .game = {.name = QG_MINATAR_PREFIX "seaquest",
             .family = "submarine shooter",
             .family_source = QG_MINATAR_SOURCE,
             .actions = actions,
             .action_count = sizeof actions / sizeof *actions,
             .levels = 1 + RAMPS,
             .shape = {QG_MINATAR_SIDE, QG_MINATAR_SIDE, CHANNELS, .max = 1},
             .defaults = &qg_grid_defaults},
    .state_size = sizeof(seaquest),
    .reset = reset,
    .act = act,
    .observe = observe,
    .valid = valid,
    .drawing_order = {TRAIL, OXYGEN_GAUGE, DIVER_GAUGE, SUB_BACK, DIVER, FISH, ENEMY_SUB,
                      ENEMY_BULLET, FRIENDLY_BULLET, SUB_FRONT},
    .palette = {QG_BLACK, [1 + SUB_FRONT] = QG_PALE, [1 + SUB_BACK] = QG_CYAN,
                [1 + FRIENDLY_BULLET] = QG_SAND, [1 + TRAIL] = QG_INDIGO,
                [1 + ENEMY_BULLET] = QG_ROSE, [1 + FISH] = QG_OLIVE, [1 + ENEMY_SUB] = QG_PURPLE,
                [1 + OXYGEN_GAUGE] = QG_TEAL, [1 + DIVER_GAUGE] = QG_WINE, [1 + DIVER] = QG_GREEN},
};
