/* From the emulator's palette indices to the agent's 84x84 grey values, as DQN 3.0 does it.
 *
 *   1. per channel, the maximum of the last two frames' RGB;
 *   2. Y = 0.299 R + 0.587 G + 0.114 B, computed in double, rounded once to float. A pixel of the
 *      two frames is a pair of palette indices, so steps 1 and 2 are one table of 256 x 256 floats;
 *   3. torch's image.scale(..., 'bilinear'), which for a shrink is an area average per axis, in
 *      float: first each row 160 -> 84, then each column height -> 84. With scale =
 *      (float)from / (float)to, the point e(i) = i * scale in float, its whole part w(i) and its
 *      fraction f(i), output i is
 *
 *          (1 - f(i)) x[w(i)] + x[w(i) + 1] + ... + x[w(i+1) - 1] + f(i+1) x[w(i+1)]
 *          -------------------------------------------------------------------------
 *          (1 - f(i)) +      1        + ... +         1           + f(i+1)
 *
 *      with every sum from left to right, and without the last term where w(i+1) = from;
 *   4. truncated to a byte. */
#ifndef QG_ATARI_SCREEN_H
#define QG_ATARI_SCREEN_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stdint.h>

#define QG_SCREEN_WIDTH      160
#define QG_SCREEN_MIN_HEIGHT 210
#define QG_SCREEN_MAX_HEIGHT 256
#define QG_SCREEN_SIDE       84 /* of the square that the agent sees */
#define QG_SCREEN_TAPS       5  /* most source pixels of one output: 256 / 84 covers parts of 5 */

/* What one axis of the shrink does, for every output. Entries behind the last tap have weight 0. */
typedef struct qg_shrink {
    int first[QG_SCREEN_SIDE]; /* the first source pixel */
    int taps[QG_SCREEN_SIDE];  /* how many source pixels take part */
    float weight[QG_SCREEN_TAPS][QG_SCREEN_SIDE];
    float total[QG_SCREEN_SIDE]; /* the sum of the weights */
} qg_shrink;

/* Most rows of a screen are what they were a step before. So the two frames that the last
 * observation was made of are kept with what came of them, and only what differs is made anew: the
 * result depends on nothing but the two frames. */
typedef struct qg_screen {
    int height;
    const float *luminance; /* [256][256]: Y of two palette indices; shared by all screens */
    qg_shrink across, down;
    bool filled; /* the members below hold something */
    uint8_t seen[2][QG_SCREEN_MAX_HEIGHT][QG_SCREEN_WIDTH];
    float rows[QG_SCREEN_MAX_HEIGHT][QG_SCREEN_SIDE]; /* every row, shrunken */
    uint8_t observation[QG_SCREEN_SIDE][QG_SCREEN_SIDE];
} qg_screen;

/* Makes the screen ready for frames of `height` rows (QG_SCREEN_MIN_HEIGHT ... MAX_HEIGHT) in the
 * colours of `palette` ([256][3], static). */
void qg_screen_prepare(qg_screen *screen, int height, const uint8_t (*palette)[3]);

/* The observation u8 [84][84] of two frames of palette indices u8 [height][160]; the same frame
 * twice where there is only one. */
void qg_screen_shrink(qg_screen *screen, const uint8_t *newer, const uint8_t *older,
                      uint8_t *observation);

#endif
