/* Space Invaders: shoot the aliens before one of them, or of their bullets, reaches the cannon.
 *
 * The fewer aliens are left, the faster they move; each wave begins faster than the last (a ramp)
 * until its interval is 6. Nothing here is drawn at random. */
#include "domain/minatar/minatar.h"

#include <string.h>

enum { CANNON, ALIEN, ALIEN_LEFT, ALIEN_RIGHT, FRIENDLY_BULLET, ENEMY_BULLET, CHANNELS };

enum {
    CANNON_ROW = 9,
    SHOT_COOL_DOWN = 5,
    ALIEN_SHOT_INTERVAL = 10,
    MOVE_INTERVAL = 12,
    FASTEST_INTERVAL = 6,
    RAMPS = MOVE_INTERVAL - FASTEST_INTERVAL,
    WAVE_ROWS = 4,
    WAVE_ROW = 0xfc, /* columns 2 ... 7 */
    FULL_ROW = 0x3ff,
    LEFT_COLUMN = 1 << 0,
    RIGHT_COLUMN = 1 << 9,
};

/* A row each; bit x: something in column x. */
typedef int board[QG_MINATAR_SIDE];

typedef struct space_invaders {
    int cannon; /* column */
    board aliens, friendly_bullets, enemy_bullets;
    int alien_direction; /* -1: left, 1: right */
    int interval;        /* acts between two moves of a full wave */
    int move_timer, alien_shot_timer, shot_timer;
    int ramp_index;
} space_invaders;

static bool has(const board b, int x, int y)
{
    return b[y] >> x & 1;
}

static int columns(const board b)
{
    int any = 0;
    for (int y = 0; y < QG_MINATAR_SIDE; y++)
        any |= b[y];
    return any;
}

static int count(const board b)
{
    int sum = 0;
    for (int y = 0; y < QG_MINATAR_SIDE; y++)
        sum += __builtin_popcount((unsigned)b[y]);
    return sum;
}

/* The row that comes in is empty. */
static void move_up(board b)
{
    memmove(b, b + 1, 9 * sizeof *b);
    b[9] = 0;
}

static void move_down(board b)
{
    memmove(b + 1, b, 9 * sizeof *b);
    b[0] = 0;
}

static void send_wave(space_invaders *game)
{
    memset(game->aliens, 0, sizeof game->aliens);
    for (int y = 0; y < WAVE_ROWS; y++)
        game->aliens[y] = WAVE_ROW;
}

static void ramp(space_invaders *game)
{
    if (game->interval == FASTEST_INTERVAL) return;
    game->interval--;
    game->ramp_index++;
}

static void reset(void *state, int ramps, qg_numpy_random *random)
{
    (void)random;
    space_invaders *game = state;
    *game = (space_invaders){.cannon = 5,
                             .alien_direction = -1,
                             .interval = MOVE_INTERVAL,
                             .alien_shot_timer = ALIEN_SHOT_INTERVAL};
    for (int i = 0; i < ramps; i++)
        ramp(game);
    game->move_timer = game->interval;
    send_wave(game);
}

/* One column on or, at the border, one row down and back. Gives whether an alien was in the lowest
 * row when all went down. */
static bool move_aliens(space_invaders *game)
{
    const int occupied = columns(game->aliens);
    const int border = game->alien_direction < 0 ? LEFT_COLUMN : RIGHT_COLUMN;
    if (occupied & border) {
        game->alien_direction = -game->alien_direction;
        const int lowest = game->aliens[9];
        move_down(game->aliens);
        game->aliens[0] = lowest; /* as the package has it: the row wraps */
        return lowest != 0;
    }
    for (int y = 0; y < QG_MINATAR_SIDE; y++)
        game->aliens[y] = game->alien_direction < 0 ? game->aliens[y] >> 1 : game->aliens[y] << 1;
    return false;
}

/* The lowest alien of the column nearest to the cannon shoots, the left one of two. */
static void alien_shoots(space_invaders *game)
{
    const int occupied = columns(game->aliens);
    for (int distance = 0; distance < QG_MINATAR_SIDE; distance++)
        for (int side = -1; side <= 1; side += 2) {
            const int x = game->cannon + side * distance;
            if (!qg_minatar_on_board(x) || !(occupied >> x & 1)) continue;
            int y = 9;
            while (!has(game->aliens, x, y))
                y--;
            game->enemy_bullets[y] |= 1 << x;
            return;
        }
}

static int act(void *state, int code, qg_numpy_random *random, bool *terminal)
{
    (void)random;
    space_invaders *game = state;
    int reward = 0;

    if (code == QG_MINATAR_FIRE && game->shot_timer == 0) {
        game->friendly_bullets[CANNON_ROW] |= 1 << game->cannon;
        game->shot_timer = SHOT_COOL_DOWN;
    } else if (code == QG_MINATAR_LEFT) {
        game->cannon = qg_minatar_back(game->cannon, 0);
    } else if (code == QG_MINATAR_RIGHT) {
        game->cannon = qg_minatar_on(game->cannon, 9);
    }

    move_up(game->friendly_bullets);
    move_down(game->enemy_bullets);
    if (has(game->enemy_bullets, game->cannon, CANNON_ROW)) *terminal = true;

    if (has(game->aliens, game->cannon, CANNON_ROW)) *terminal = true;
    if (game->move_timer == 0) {
        const int left = count(game->aliens);
        game->move_timer = left < game->interval ? left : game->interval;
        if (move_aliens(game)) *terminal = true;
        if (has(game->aliens, game->cannon, CANNON_ROW)) *terminal = true;
    }

    if (game->alien_shot_timer == 0) {
        game->alien_shot_timer = ALIEN_SHOT_INTERVAL;
        alien_shoots(game);
    }

    for (int y = 0; y < QG_MINATAR_SIDE; y++) {
        const int hit = game->aliens[y] & game->friendly_bullets[y];
        reward += __builtin_popcount((unsigned)hit);
        game->aliens[y] ^= hit;
        game->friendly_bullets[y] ^= hit;
    }

    if (game->shot_timer > 0) game->shot_timer--;
    game->move_timer--;
    game->alien_shot_timer--;

    if (columns(game->aliens) == 0) { /* direction, timers and bullets stay as they are */
        ramp(game);
        send_wave(game);
    }
    return reward;
}

static void observe(const void *state, uint8_t *observation)
{
    const space_invaders *game = state;
    const int moving = game->alien_direction < 0 ? ALIEN_LEFT : ALIEN_RIGHT;
    uint8_t *cell = observation;
    for (int y = 0; y < QG_MINATAR_SIDE; y++)
        for (int x = 0; x < QG_MINATAR_SIDE; x++, cell += CHANNELS) {
            cell[ALIEN] = cell[moving] = has(game->aliens, x, y);
            cell[FRIENDLY_BULLET] = has(game->friendly_bullets, x, y);
            cell[ENEMY_BULLET] = has(game->enemy_bullets, x, y);
        }
    qg_minatar_set(observation, CHANNELS, game->cannon, CANNON_ROW, CANNON);
}

static bool valid(const void *state, bool ended)
{
    (void)ended;
    const space_invaders *game = state;
    for (int y = 0; y < QG_MINATAR_SIDE; y++)
        if (!qg_minatar_within(game->aliens[y], 0, FULL_ROW) ||
            !qg_minatar_within(game->friendly_bullets[y], 0, FULL_ROW) ||
            !qg_minatar_within(game->enemy_bullets[y], 0, FULL_ROW))
            return false;
    return columns(game->aliens) != 0 && qg_minatar_on_board(game->cannon) &&
           (game->alien_direction == -1 || game->alien_direction == 1) &&
           qg_minatar_within(game->move_timer, 0, MOVE_INTERVAL) &&
           qg_minatar_within(game->alien_shot_timer, 0, ALIEN_SHOT_INTERVAL) &&
           qg_minatar_within(game->shot_timer, 0, SHOT_COOL_DOWN) &&
           qg_minatar_within(game->ramp_index, 0, RAMPS) &&
           game->interval == MOVE_INTERVAL - game->ramp_index;
}

static const char *const actions[] = {"noop", "left", "right", "fire"};

const qg_minatar_rules qg_minatar_space_invaders = {
    .game = {.name = QG_MINATAR_PREFIX "space_invaders",
             .family = "fixed shooter",
             .family_source = QG_MINATAR_SOURCE,
             .actions = actions,
             .action_count = sizeof actions / sizeof *actions,
             .levels = 1 + RAMPS,
             .shape = {QG_MINATAR_SIDE, QG_MINATAR_SIDE, CHANNELS, .max = 1},
             .defaults = &qg_grid_defaults},
    .state_size = sizeof(space_invaders),
    .reset = reset,
    .act = act,
    .observe = observe,
    .valid = valid,
    .drawing_order = {ALIEN, ALIEN_LEFT, ALIEN_RIGHT, FRIENDLY_BULLET, ENEMY_BULLET, CANNON},
    .palette = {QG_BLACK, [1 + CANNON] = QG_PALE, [1 + ALIEN] = QG_GREEN,
                [1 + ALIEN_LEFT] = QG_TEAL, [1 + ALIEN_RIGHT] = QG_OLIVE,
                [1 + FRIENDLY_BULLET] = QG_SAND, [1 + ENEMY_BULLET] = QG_ROSE},
};
