/* From the emulator's palette indices to the agent's 84x84 grey values (screen.h has the formulas).
 */
#include "domain/atari/screen.h"

#include "domain/atari/catalogue.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

enum { WIDTH = QG_SCREEN_WIDTH, SIDE = QG_SCREEN_SIDE, TAPS = QG_SCREEN_TAPS, GROUP = 4 };

static float luminance_ntsc[256][256], luminance_pal[256][256];
static pthread_once_t luminance_once = PTHREAD_ONCE_INIT;

static void fill_luminance(float (*table)[256], const uint8_t (*palette)[3])
{
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            double max[3];
            for (int c = 0; c < 3; c++)
                max[c] = palette[a][c] > palette[b][c] ? palette[a][c] : palette[b][c];
            table[a][b] = (float)(0.299 * max[0] + 0.587 * max[1] + 0.114 * max[2]);
        }
}

static void fill_luminances(void)
{
    fill_luminance(luminance_ntsc, qg_atari_ntsc);
    fill_luminance(luminance_pal, qg_atari_pal);
}

static void prepare_shrink(qg_shrink *shrink, int from)
{
    memset(shrink, 0, sizeof *shrink);
    const float scale = (float)from / (float)SIDE;
    int begin = 0;
    float begin_part = 0;
    for (int i = 0; i < SIDE; i++) {
        float end_part = (float)(i + 1) * scale;
        const int end = (int)end_part;
        end_part -= (float)end;

        int taps = 0;
        float total = 1 - begin_part;
        shrink->first[i] = begin;
        shrink->weight[taps++][i] = 1 - begin_part;
        for (int source = begin + 1; source < end; source++) {
            shrink->weight[taps++][i] = 1;
            total += 1;
        }
        if (end < from) {
            assert(taps < TAPS);
            shrink->weight[taps++][i] = end_part;
            total += end_part;
        }
        shrink->taps[i] = taps;
        shrink->total[i] = total;
        begin = end;
        begin_part = end_part;
    }
}

void qg_screen_prepare(qg_screen *screen, int height, const uint8_t (*palette)[3])
{
    assert(height >= QG_SCREEN_MIN_HEIGHT && height <= QG_SCREEN_MAX_HEIGHT);
    pthread_once(&luminance_once, fill_luminances);
    screen->height = height;
    screen->luminance = palette == qg_atari_pal ? &luminance_pal[0][0] : &luminance_ntsc[0][0];
    screen->filled = false;
    prepare_shrink(&screen->across, WIDTH);
    prepare_shrink(&screen->down, height);
}

/* Shrinks GROUP rows at once, so that the arithmetic goes over rows and needs no gathering:
 *
 *     y[160 + 2][GROUP] <- table of the two frames' rows        (columns of GROUP neighbours)
 *     out[84][GROUP]    <- three taps of y, weights per output
 *     rows[.][84]       <- out, turned back
 *
 * 160 / 84 is less than 2, so an output has at most three taps; a weight of 0 adds exactly nothing.
 */
static void shrink_rows(qg_screen *screen, const int index[GROUP])
{
    const qg_shrink *across = &screen->across;
    float y[WIDTH + 2][GROUP], out[SIDE][GROUP];
    for (int r = 0; r < GROUP; r++) {
        const uint8_t *a = screen->seen[0][index[r]], *b = screen->seen[1][index[r]];
        for (int x = 0; x < WIDTH; x++)
            y[x][r] = screen->luminance[a[x] * 256 + b[x]];
    }
    memset(y[WIDTH], 0, 2 * sizeof y[WIDTH]);

    for (int i = 0; i < SIDE; i++) {
        const float(*taps)[GROUP] = y + across->first[i];
        const float w0 = across->weight[0][i], w1 = across->weight[1][i];
        const float w2 = across->weight[2][i], total = across->total[i];
        for (int r = 0; r < GROUP; r++)
            out[i][r] = (w0 * taps[0][r] + w1 * taps[1][r] + w2 * taps[2][r]) / total;
    }
    for (int r = 0; r < GROUP; r++)
        for (int i = 0; i < SIDE; i++)
            screen->rows[index[r]][i] = out[i][r];
}

/* One row of the observation: the weighted mean of neighbouring shrunken rows, all columns at
 * once. */
static void shrink_columns(const qg_screen *screen, int i, uint8_t *out)
{
    const qg_shrink *down = &screen->down;
    const float(*rows)[SIDE] = screen->rows + down->first[i];
    const float total = down->total[i];
    float sum[SIDE];
    for (int x = 0; x < SIDE; x++)
        sum[x] = down->weight[0][i] * rows[0][x];
    for (int k = 1; k < down->taps[i]; k++) {
        const float weight = down->weight[k][i];
        for (int x = 0; x < SIDE; x++)
            sum[x] += weight * rows[k][x];
    }
    for (int x = 0; x < SIDE; x++)
        out[x] = (uint8_t)(int)(sum[x] / total);
}

/* Notes which rows differ from those of the last observation, and keeps the new ones. */
static void compare_rows(qg_screen *screen, const uint8_t *newer, const uint8_t *older,
                         bool changed[QG_SCREEN_MAX_HEIGHT])
{
    for (int row = 0; row < screen->height; row++) {
        const uint8_t *a = newer + row * WIDTH, *b = older + row * WIDTH;
        uint8_t *seen_a = screen->seen[0][row], *seen_b = screen->seen[1][row];
        changed[row] =
            !screen->filled || memcmp(a, seen_a, WIDTH) != 0 || memcmp(b, seen_b, WIDTH) != 0;
        if (!changed[row]) continue;
        memcpy(seen_a, a, WIDTH);
        memcpy(seen_b, b, WIDTH);
    }
    screen->filled = true;
}

void qg_screen_shrink(qg_screen *screen, const uint8_t *newer, const uint8_t *older,
                      uint8_t *observation)
{
    bool changed[QG_SCREEN_MAX_HEIGHT];
    compare_rows(screen, newer, older, changed);

    int group[GROUP], waiting = 0;
    for (int row = 0; row < screen->height; row++) {
        if (changed[row]) group[waiting++] = row;
        if (waiting == 0 || (waiting < GROUP && row + 1 < screen->height)) continue;
        for (; waiting < GROUP; waiting++) /* the last group may hold a row more than once */
            group[waiting] = group[0];
        shrink_rows(screen, group);
        waiting = 0;
    }
    for (int i = 0; i < SIDE; i++) {
        bool any = false;
        for (int k = 0; k < screen->down.taps[i]; k++)
            any |= changed[screen->down.first[i] + k];
        if (any) shrink_columns(screen, i, screen->observation[i]);
    }
    memcpy(observation, screen->observation, sizeof screen->observation);
}
