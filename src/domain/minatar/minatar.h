/* MinAtar's five grid games (Young and Tian 2019), equal to PyPI MinAtar 1.0.15 to the bit.
 *
 * Each game is one file with a flat state, three verbs (reset, act, observe) and the facts about
 * it: a new one is its file and its place in the list of minatar.c. What is common to all (sticky
 * actions, episodes, save and restore) lives in minatar.c, which knows a game only by its
 * `qg_minatar_rules`.
 *
 * The board has 10 columns x (left to right) and 10 rows y (top to bottom); an observation is
 * u8 [y][x][channel] of 0 and 1. */
#ifndef QG_MINATAR_H
#define QG_MINATAR_H

#include "domain/minatar/numpy_random.h"

#include <qgraft/domain.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QG_MINATAR_PREFIX "minatar/" /* of the games' names */
#define QG_MINATAR_SOURCE "MinAtar: Young and Tian 2019, after the Atari game"

enum {
    QG_MINATAR_SIDE = 10,         /* columns and rows */
    QG_MINATAR_MAX_CHANNELS = 10, /* Seaquest has the most */
};

/* Action codes: the same in all games; a code that a game does not use acts as NONE. */
enum {
    QG_MINATAR_NONE,
    QG_MINATAR_LEFT,
    QG_MINATAR_UP,
    QG_MINATAR_RIGHT,
    QG_MINATAR_DOWN,
    QG_MINATAR_FIRE,
    QG_MINATAR_CODES
};

typedef struct qg_minatar_rules {
    qg_game game; /* its actions are some of noop, left, up, right, down and fire, noop the first; a
                     level is a number of ramps, plus 1: how fast it is when an episode begins */
    size_t state_size; /* bytes of the game's state: plain data, all of it saved */

    /* Starts an episode. `ramps` is how often the game has become harder before it begins (level
     * 1: never); 0 for a game without ramps. */
    void (*reset)(void *state, int ramps, qg_numpy_random *random);

    /* Plays the action `code`, gives the reward and sets *terminal when the game is over. An act
     * that ends the game still runs to its end. Not called again before the next reset. */
    int (*act)(void *state, int code, qg_numpy_random *random, bool *terminal);

    /* Sets the cells in `observation`, which is all zero. */
    void (*observe)(const void *state, uint8_t *observation);

    /* Could play have led to these values? True only when every one that is used as an index or
     * that could drive one off its array is in its range, whatever is played from here. `ended`:
     * the game is over and only reset follows. */
    bool (*valid)(const void *state, bool ended);

    /* For the picture: the channels from the back to the front, and the colour of each channel
     * behind black. */
    uint8_t drawing_order[QG_MINATAR_MAX_CHANNELS];
    uint8_t palette[1 + QG_MINATAR_MAX_CHANNELS][3];
} qg_minatar_rules;

extern const qg_minatar_rules qg_minatar_asterix;
extern const qg_minatar_rules qg_minatar_breakout;
extern const qg_minatar_rules qg_minatar_freeway;
extern const qg_minatar_rules qg_minatar_seaquest;
extern const qg_minatar_rules qg_minatar_space_invaders;

/* Colours that people with any kind of colour blindness can tell apart (Paul Tol's "muted"). */
#define QG_BLACK                                                                                   \
    {                                                                                              \
        0x00, 0x00, 0x00                                                                           \
    }
#define QG_PALE                                                                                    \
    {                                                                                              \
        0xdd, 0xdd, 0xdd                                                                           \
    }
#define QG_INDIGO                                                                                  \
    {                                                                                              \
        0x33, 0x22, 0x88                                                                           \
    }
#define QG_CYAN                                                                                    \
    {                                                                                              \
        0x88, 0xcc, 0xee                                                                           \
    }
#define QG_TEAL                                                                                    \
    {                                                                                              \
        0x44, 0xaa, 0x99                                                                           \
    }
#define QG_GREEN                                                                                   \
    {                                                                                              \
        0x11, 0x77, 0x33                                                                           \
    }
#define QG_OLIVE                                                                                   \
    {                                                                                              \
        0x99, 0x99, 0x33                                                                           \
    }
#define QG_SAND                                                                                    \
    {                                                                                              \
        0xdd, 0xcc, 0x77                                                                           \
    }
#define QG_ROSE                                                                                    \
    {                                                                                              \
        0xcc, 0x66, 0x77                                                                           \
    }
#define QG_WINE                                                                                    \
    {                                                                                              \
        0x88, 0x22, 0x55                                                                           \
    }
#define QG_PURPLE                                                                                  \
    {                                                                                              \
        0xaa, 0x44, 0x99                                                                           \
    }

static inline void qg_minatar_set(uint8_t *observation, int channels, int x, int y, int channel)
{
    observation[(y * QG_MINATAR_SIDE + x) * channels + channel] = 1;
}

static inline bool qg_minatar_within(int value, int low, int high)
{
    return low <= value && value <= high;
}

/* Is a column or a row on the board? */
static inline bool qg_minatar_on_board(int coordinate)
{
    return qg_minatar_within(coordinate, 0, QG_MINATAR_SIDE - 1);
}

/* One cell back or on, but not past the limit. */
static inline int qg_minatar_back(int coordinate, int limit)
{
    return coordinate > limit ? coordinate - 1 : limit;
}

static inline int qg_minatar_on(int coordinate, int limit)
{
    return coordinate < limit ? coordinate + 1 : limit;
}

#endif
