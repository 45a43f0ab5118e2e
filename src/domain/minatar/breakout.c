/* Breakout: keep the ball in play, break the three rows of bricks.
 *
 * The ball moves one cell diagonally an act; new bricks come when none is left and the ball is
 * back at the paddle's row. There are no ramps. */
#include "domain/minatar/minatar.h"

enum { PADDLE, BALL, TRAIL, BRICK, CHANNELS };

enum { UP_LEFT, UP_RIGHT, DOWN_RIGHT, DOWN_LEFT };

static const int direction_x[4] = {-1, 1, 1, -1};
static const int direction_y[4] = {-1, -1, 1, 1};
static const int mirror_x[4] = {UP_RIGHT, UP_LEFT, DOWN_LEFT, DOWN_RIGHT};
static const int mirror_y[4] = {DOWN_LEFT, DOWN_RIGHT, UP_RIGHT, UP_LEFT};
static const int mirror_both[4] = {DOWN_RIGHT, DOWN_LEFT, UP_LEFT, UP_RIGHT};

enum { FIRST_BRICK_ROW = 1, LAST_BRICK_ROW = 3, FULL_ROW = 0x3ff, PADDLE_ROW = 9 };

typedef struct breakout {
    int paddle; /* column */
    int ball_x, ball_y, direction;
    int last_x, last_y;          /* the ball's cell before the last act */
    int strike;                  /* 1: a brick was hit in the last act, the next one stands */
    int bricks[QG_MINATAR_SIDE]; /* a row each; bit x: a brick in column x */
} breakout;

static void lay_bricks(breakout *game)
{
    for (int y = FIRST_BRICK_ROW; y <= LAST_BRICK_ROW; y++)
        game->bricks[y] = FULL_ROW;
}

static bool no_brick_left(const breakout *game)
{
    int any = 0;
    for (int y = FIRST_BRICK_ROW; y <= LAST_BRICK_ROW; y++)
        any |= game->bricks[y];
    return any == 0;
}

static void reset(void *state, int ramps, qg_numpy_random *random)
{
    (void)ramps;
    breakout *game = state;
    const bool from_right = qg_numpy_randint(random, 0, 2) == 1;
    *game = (breakout){.paddle = 4,
                       .ball_x = from_right ? 9 : 0,
                       .ball_y = 3,
                       .direction = from_right ? DOWN_LEFT : DOWN_RIGHT};
    game->last_x = game->ball_x;
    game->last_y = game->ball_y;
    lay_bricks(game);
}

static int act(void *state, int code, qg_numpy_random *random, bool *terminal)
{
    (void)random;
    breakout *game = state;
    int reward = 0;

    if (code == QG_MINATAR_LEFT)
        game->paddle = qg_minatar_back(game->paddle, 0);
    else if (code == QG_MINATAR_RIGHT)
        game->paddle = qg_minatar_on(game->paddle, 9);

    game->last_x = game->ball_x;
    game->last_y = game->ball_y;
    int x = game->ball_x + direction_x[game->direction];
    int y = game->ball_y + direction_y[game->direction];

    if (!qg_minatar_on_board(x)) {
        x = x < 0 ? 0 : 9;
        game->direction = mirror_x[game->direction];
    }

    /* A ball that is thrown back in y still moves sideways. */
    bool hit = false;
    if (y < 0) {
        y = 0;
        game->direction = mirror_y[game->direction];
    } else if (game->bricks[y] >> x & 1) {
        hit = true;
        if (!game->strike) { /* else the ball enters the brick's cell, and the brick stands */
            reward = 1;
            game->strike = 1;
            game->bricks[y] &= ~(1 << x);
            y = game->last_y;
            game->direction = mirror_y[game->direction];
        }
    } else if (y == PADDLE_ROW) {
        if (no_brick_left(game)) lay_bricks(game);
        if (game->ball_x == game->paddle) { /* the ball's old column, the paddle's new one */
            y = game->last_y;
            game->direction = mirror_y[game->direction];
        } else if (x == game->paddle) {
            y = game->last_y;
            game->direction = mirror_both[game->direction];
        } else {
            *terminal = true;
        }
    }
    if (!hit) game->strike = 0;

    game->ball_x = x;
    game->ball_y = y;
    return reward;
}

static void observe(const void *state, uint8_t *observation)
{
    const breakout *game = state;
    qg_minatar_set(observation, CHANNELS, game->ball_x, game->ball_y, BALL);
    qg_minatar_set(observation, CHANNELS, game->paddle, PADDLE_ROW, PADDLE);
    qg_minatar_set(observation, CHANNELS, game->last_x, game->last_y, TRAIL);
    for (int y = FIRST_BRICK_ROW; y <= LAST_BRICK_ROW; y++)
        for (int x = 0; x < QG_MINATAR_SIDE; x++)
            if (game->bricks[y] >> x & 1) qg_minatar_set(observation, CHANNELS, x, y, BRICK);
}

static bool valid(const void *state, bool ended)
{
    const breakout *game = state;
    for (int y = 0; y < QG_MINATAR_SIDE; y++) {
        const bool brick_row = qg_minatar_within(y, FIRST_BRICK_ROW, LAST_BRICK_ROW);
        if (!qg_minatar_within(game->bricks[y], 0, brick_row ? FULL_ROW : 0)) return false;
    }
    /* The ball is in the paddle's row only when it was missed: from there it would leave the
     * board. */
    return qg_minatar_on_board(game->paddle) && qg_minatar_on_board(game->ball_x) &&
           qg_minatar_within(game->ball_y, 0, ended ? PADDLE_ROW : PADDLE_ROW - 1) &&
           qg_minatar_within(game->direction, UP_LEFT, DOWN_LEFT) &&
           qg_minatar_on_board(game->last_x) && qg_minatar_on_board(game->last_y) &&
           qg_minatar_within(game->strike, 0, 1);
}

static const char *const actions[] = {"noop", "left", "right"};

const qg_minatar_rules qg_minatar_breakout = {
    .game = {.name = QG_MINATAR_PREFIX "breakout",
             .family = "paddle and ball",
             .family_source = QG_MINATAR_SOURCE,
             .actions = actions,
             .action_count = sizeof actions / sizeof *actions,
             .levels = 1,
             .shape = {QG_MINATAR_SIDE, QG_MINATAR_SIDE, CHANNELS, .max = 1},
             .defaults = &qg_grid_defaults},
    .state_size = sizeof(breakout),
    .reset = reset,
    .act = act,
    .observe = observe,
    .valid = valid,
    .drawing_order = {TRAIL, BRICK, BALL, PADDLE},
    .palette = {QG_BLACK, [1 + PADDLE] = QG_PALE, [1 + BALL] = QG_SAND, [1 + TRAIL] = QG_INDIGO,
                [1 + BRICK] = QG_ROSE},
};
