/* The emulator behind a plain C interface: what the shared library libqgraft_ale.so and qgraft
 * agree upon.
 *
 * The library is the Arcade Learning Environment (ALE), a C++ program, with ale_shim.cpp in front
 * of it; scripts/fetch-atari.sh builds it. It exports one function, which gives a table of all the
 * others. No C++ exception passes: what ALE refuses is a qg_status with its words. Instances are
 * independent of each other; each is used by one thread at a time. */
#ifndef QG_ATARI_ALE_SHIM_H
#define QG_ATARI_ALE_SHIM_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QG_ALE_INTERFACE 2 /* goes up with every change of what stands in this file */
#define QG_ALE_RAM_SIZE  128
#define QG_ALE_DEFAULT   (-1) /* the game's own mode or difficulty */

typedef struct qg_emulator qg_emulator; /* one machine with one game in it */

/* How a game begins. Equal starts and equal actions give equal games, in any process and whatever
 * was played before. */
typedef struct qg_emulator_start {
    /* ALE's `random_seed`, of which few games make use; but its -1, which means the clock, stands
     * for 2^31 - 1. */
    uint32_t seed;
    int mode, difficulty; /* ALE's numbers, or QG_ALE_DEFAULT */
} qg_emulator_start;

/* What holds for a game as long as its machine is there, which owns all of it. */
typedef struct qg_emulator_facts {
    int height, width; /* of the screen */
    const int *modes;  /* ALE's lists, its default first; game modes, */
    int mode_count;
    const int *difficulties; /* settings of the difficulty switches, */
    int difficulty_count;
    const int *minimal; /* the actions that the game makes use of (codes as of `act`), */
    int minimal_count;
    const int *legal; /* and all that it takes */
    int legal_count;
    const uint8_t (*palette)[3]; /* [256]: RGB of the screen's values */
} qg_emulator_facts;

/* What one frame brought. */
typedef struct qg_emulator_frame {
    int reward;
    int lives;          /* left after it; 0 in games without lives */
    bool over;          /* the game is at its end, and stands still until it is started again */
    int episode_frames; /* since the start of the game, as ALE counts them */
} qg_emulator_frame;

typedef struct qg_ale {
    int interface; /* QG_ALE_INTERFACE of the library's build; stands first in every version */
    const char *version; /* ALE's: "0.12.1" */

    /* Puts the ROM `rom` into a new machine and starts its game; the caller destroys *emulator.
     * QG_ERROR_DATA for a file that is none of ALE's ROMs, QG_ERROR_USAGE for a mode or difficulty
     * that the game does not have (the message lists ALE's). */
    qg_status (*create)(const char *rom, const qg_emulator_start *start, qg_emulator **emulator,
                        qg_error *error);
    void (*destroy)(qg_emulator *emulator); /* NULL is allowed */

    const qg_emulator_facts *(*facts)(const qg_emulator *emulator);

    /* Starts the game anew on a machine that is as new as that of `create`, from the same ROM.
     * After a failure the machine is what it was. */
    qg_status (*restart)(qg_emulator *emulator, uint32_t seed, qg_error *error);

    /* ALE's reset_game: the next game on the same machine, whose random numbers go on. */
    qg_status (*reset)(qg_emulator *emulator, qg_error *error);

    /* Plays one frame of the action `action`: 0 (no-op) to 17, ALE's codes of a joystick. */
    qg_status (*act)(qg_emulator *emulator, int action, qg_emulator_frame *frame, qg_error *error);

    /* How things stand without playing: after a start the reward is 0. */
    void (*look)(const qg_emulator *emulator, qg_emulator_frame *frame);

    /* The last frame, u8 [height][width] of palette indices, and the RAM, u8 [128]: the machine's,
     * valid until its next call. */
    const uint8_t *(*screen)(const qg_emulator *emulator);
    const uint8_t *(*ram)(const qg_emulator *emulator);
    qg_status (*poke)(qg_emulator *emulator, size_t index, uint8_t value, qg_error *error);
} qg_ale;

/* The one symbol of libqgraft_ale.so. */
const qg_ale *qg_ale_table(void);

#ifdef __cplusplus
}
#endif
#endif
