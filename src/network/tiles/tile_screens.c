#include "network/tiles/tile_screens.h"

#include "network/tiles/tile_act.h"

#include <string.h>

/* A row of a state, [x][channel]; bytes of channels that it has not are 0. */
static void gather_row(const qg_states *states, const qg_architecture *a, int image, int y,
                       uint8_t *row)
{
    const int parts = states->parts, own = states->part_channels, channels = a->channels;
    const uint8_t *const *screens = states->screens + (size_t)image * (size_t)parts;
    const size_t at = (size_t)y * (size_t)(a->width * own);
    if (parts == 1 && own == channels && screens[0]) {
        memcpy(row, screens[0] + at, (size_t)(a->width * channels));
        return;
    }
    if (parts == 4 && own == 1 && channels == 4 && a->width >= 16 && screens[0] && screens[1] &&
        screens[2] && screens[3]) {
        for (int next = 0; next < a->width; next += 16) {
            const int x = next + 16 <= a->width ? next : a->width - 16; /* the last ones again */
            const __m128i s0 = _mm_loadu_si128((const void *)(screens[0] + at + x));
            const __m128i s1 = _mm_loadu_si128((const void *)(screens[1] + at + x));
            const __m128i s2 = _mm_loadu_si128((const void *)(screens[2] + at + x));
            const __m128i s3 = _mm_loadu_si128((const void *)(screens[3] + at + x));
            const __m128i low01 = _mm_unpacklo_epi8(s0, s1), high01 = _mm_unpackhi_epi8(s0, s1);
            const __m128i low23 = _mm_unpacklo_epi8(s2, s3), high23 = _mm_unpackhi_epi8(s2, s3);
            uint8_t *to = row + 4 * x;
            _mm_storeu_si128((void *)to, _mm_unpacklo_epi16(low01, low23));
            _mm_storeu_si128((void *)(to + 16), _mm_unpackhi_epi16(low01, low23));
            _mm_storeu_si128((void *)(to + 32), _mm_unpacklo_epi16(high01, high23));
            _mm_storeu_si128((void *)(to + 48), _mm_unpackhi_epi16(high01, high23));
        }
        return;
    }
    memset(row, 0, (size_t)(a->width * channels));
    for (int p = 0; p < parts; p++)
        for (int x = 0; x < a->width && screens[p]; x++)
            for (int c = 0; c < own; c++)
                row[x * channels + p * own + c] = screens[p][at + (size_t)(x * own + c)];
}

/* Bytes to bf16, which holds them exactly; up to 31 more are written. */
static void widen_bytes(const uint8_t *bytes, int count, uint16_t *out)
{
    for (int i = 0; i < count; i += 32) {
        const __m512i low = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(bytes + i)));
        const __m512i high = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(bytes + i + 16)));
        _mm512_storeu_si512(out + i, round_two(_mm512_cvtepi32_ps(high), _mm512_cvtepi32_ps(low)));
    }
}

/* Input row `y` of 16 images, as rows [16][room] of bf16 behind each other. */
static void widen_rows(const qg_tile_pass *job, int t, int y, uint16_t *rows, size_t room,
                       uint8_t *bytes)
{
    const qg_tiles *tiles = job->tiles;
    const qg_architecture *a = &tiles->architecture;
    const qg_plan *plan = &tiles->plans[0];
    const bool conv = tiles->layers[0].conv;
    const int count = a->width * a->channels, images = qg_tile_images_of(job, t);
    for (int i = 0; i < 16; i++) {
        uint16_t *row = rows + (size_t)i * room;
        memset(row, 0, room * sizeof *row);
        for (int line = 0; line < (conv ? 1 : a->height) && i < images; line++) {
            gather_row(job->states, a, 16 * t + i, conv ? y : line, bytes);
            uint16_t *to = row + (conv ? plan->padding * a->channels : line * count);
            widen_bytes(bytes, count, to);
            memset(to + count, 0, 32 * sizeof *to);
        }
    }
}

/* The usual history, four screens of one channel: row `y` of 16 images, 16 pixels at a time, whose
 * words of four bytes become two lines of K. */
static void convert_history(const qg_tile_pass *job, int t, int y, uint8_t *bytes)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[0];
    const int width = tiles->architecture.width, padding = tiles->plans[0].padding;
    const size_t room = ((size_t)width * 4 + 127) / 64 * 64;
    char *to = qg_tile_pairs_of(tiles, tiles->k[0], 0, t) +
               (size_t)((y + padding) * layer->in_lines + 2 * padding) * LINE;
    for (int i = 0; i < 16; i++)
        if (i < qg_tile_images_of(job, t))
            gather_row(job->states, &tiles->architecture, 16 * t + i, y, bytes + (size_t)i * room);
        else
            memset(bytes + (size_t)i * room, 0, room);
    const __m512i byte = _mm512_set1_epi32(255), upper = _mm512_set1_epi32((int)0xffff0000);
    for (int x = 0; x < width; x += 16) {
        __m512i r[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            r[i] = _mm512_loadu_si512(bytes + (size_t)i * room + 4 * x);
        transpose16(r);
        for (int i = 0; i < 16 && x + i < width; i++, to += 2 * LINE) {
            __m512i c[4];
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++)
                c[k] = (__m512i)_mm512_cvtepi32_ps(
                    _mm512_and_si512(_mm512_srli_epi32(r[i], (unsigned)(8 * k)), byte));
            /* floats of bytes are bf16: their upper halves, side by side */
            line_store(to,
                       _mm512_ternarylogic_epi32(_mm512_srli_epi32(c[0], 16), c[1], upper, 0xf8));
            line_store(to + LINE,
                       _mm512_ternarylogic_epi32(_mm512_srli_epi32(c[2], 16), c[3], upper, 0xf8));
        }
    }
}

/* Row `y` of the input of layer 0 of 16 images into its forms K, or N. */
static void convert_row(const qg_tile_pass *job, int t, int y, int member)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[0];
    const size_t room = ((size_t)layer->in_row + 127) / 32 * 32;
    uint16_t *rows = (uint16_t *)(void *)qg_tiles_scratch(tiles, member);
    if (layer->conv && tiles->architecture.channels == 4 && job->states->parts == 4 &&
        !layer->phases) {
        convert_history(job, t, y, (uint8_t *)rows);
        return;
    }
    widen_rows(job, t, y, rows, room, (uint8_t *)(rows + 16 * room));
    if (!layer->conv) {
        for (int chunk = 0; chunk < layer->chunks; chunk++)
            for (int i = 0; i < 16; i++)
                line_store(qg_tile_rows_of(tiles, 0, t) + (size_t)chunk * TILE + i * LINE,
                           _mm512_loadu_si512(rows + (size_t)i * room + chunk * 32));
        return;
    }
    const size_t at = (size_t)((y + tiles->plans[0].padding) * layer->in_lines) * LINE;
    for (int odd = 0; odd < (layer->phases ? 2 : 1); odd++) {
        char *to = qg_tile_pairs_of(tiles, odd ? tiles->k_odd : tiles->k[0], 0, t) + at;
        for (int line = 0; line < layer->in_lines; line += 16, to += TILE) {
            __m512i r[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                r[i] = _mm512_loadu_si512(rows + (size_t)i * room + 2 * line + odd);
            transpose16(r);
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                if (line + i < layer->in_lines) line_store(to + i * LINE, r[i]);
        }
    }
}

void qg_tile_act_screens(const qg_tile_pass *job)
{
    const qg_tiles *tiles = job->tiles;
    uint8_t *row = (uint8_t *)qg_tiles_scratch(tiles, 0);
    for (int y = 0; y < tiles->architecture.height; y++) {
        gather_row(job->states, &tiles->architecture, 0, y, row);
        qg_tiles_act_row(tiles, y, row);
    }
    TILE_FENCE();
}

void qg_tile_convert_floats(const qg_tile_pass *job, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_architecture *a = &tiles->architecture;
    int begin, end;
    qg_team_share(job->states->size, member, members, &begin, &end);
    for (int i = begin; i < end; i++) {
        float *out = tiles->hidden + (size_t)i * tiles->plans[0].in_image;
        memset(out, 0, tiles->plans[0].in_image * sizeof *out);
        tiles->float32->convert(job->states->screens + (size_t)i * (size_t)job->states->parts,
                                job->states->parts, job->states->part_channels, a->height, a->width,
                                a->input_max, a->channels, a->width * a->channels, out);
    }
}

/* P of a row of screens, from their K. */
static void keep_row(const qg_tile_pass *job, int block, int y)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[0];
    const int row = y + tiles->plans[0].padding;
    const char *k0 =
        qg_tile_pairs_of(tiles, tiles->k[0], 0, 2 * block) + (size_t)(row * layer->in_lines) * LINE;
    const char *k1 = k0 + layer->in_pairs * LINE;
    char *p = qg_tile_lines_of(tiles, 0, block) + (size_t)(row * layer->in_row) * LINE;
    for (int line = 0; line < layer->in_lines; line++)
        qg_tile_store_lines(p + 2 * line * LINE, line_load(k0 + line * LINE),
                            line_load(k1 + line * LINE), 2 * line + 1 < layer->in_row);
}

void qg_tile_convert_screens(const qg_tile_pass *job, int member, int members)
{
    const bool conv = job->tiles->layers[0].conv, both = job->kept && conv;
    const int rows = conv ? job->tiles->architecture.height : 1, tiles = both ? 2 : 1;
    int begin, end;
    qg_team_share(job->columns / tiles * rows, member, members, &begin, &end);
    for (int i = begin; i < end; i++) {
        const int first = i / rows * tiles, y = i % rows;
        for (int t = first; t < first + tiles; t++)
            convert_row(job, t, y, member);
        if (both) keep_row(job, first / 2, y);
    }
    TILE_FENCE();
}
