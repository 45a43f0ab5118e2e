#include "network/tiles/tile_outputs.h"

#include "network/cpu/bf16.h"

/* The bf16 of output (pixel, n) in every form that the next layer has of it. */
static void scale_output(const qg_tiles *tiles, int l, int image, int pixel, int n, float scale)
{
    const qg_plan *plan = &tiles->plans[l];
    const int next = l + 1, column = image % 16;
    if (next == qg_tiles_last(tiles)) {
        float *output =
            tiles->hidden + (size_t)image * plan->out_image + (size_t)(pixel * plan->outputs + n);
        *output = scale > 0 ? *output * scale : 0;
        return;
    }
    uint16_t *forms[2];
    const size_t k = (size_t)plan->pixel_out[pixel] + (size_t)n;
    if (tiles->layers[l].conv)
        forms[0] = (uint16_t *)(void *)qg_tile_pairs_of(tiles, tiles->k[next], next, image / 16) +
                   k / 2 * 32 + (size_t)(2 * column) + k % 2;
    else
        forms[0] = (uint16_t *)(void *)qg_tile_rows_of(tiles, next, image / 16) + k / 32 * 512 +
                   (size_t)(32 * column) + k % 32;
    forms[1] = (uint16_t *)(void *)qg_tile_lines_of(tiles, next, image / 32) + k * 32 +
               (size_t)(image % 32);
    const float value = scale > 0 ? qg_bf16_round(qg_bf16_float(*forms[0]) * scale) : 0;
    *forms[0] = qg_bf16_bits(value);
    if (tiles->layers[l].conv) *forms[1] = *forms[0]; /* a linear layer's P comes from N */
}

void qg_tile_drop(const qg_tile_pass *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const float p = qg_dropout_of(&tiles->architecture, job->kept, l);
    int begin, end;
    qg_team_share(job->states->size, member, members, &begin, &end);
    for (int image = begin; image < end; image++) {
        qg_drops drops = qg_drops_of(job->kept, l, image, p);
        for (int pixel = 0; pixel < tiles->plans[l].pixels; pixel++)
            for (int n = 0; n < tiles->plans[l].outputs; n++)
                scale_output(tiles, l, image, pixel, n, qg_drops_next(&drops));
    }
}

static float output_of(const qg_tiles *tiles, int l, int image, int pixel, int n)
{
    const qg_plan *plan = &tiles->plans[l];
    const int next = l + 1, column = image % 16;
    if (l == qg_tiles_last(tiles))
        return tiles->q_values[(size_t)image * plan->out_image + (size_t)n];
    if (next == qg_tiles_last(tiles))
        return tiles->hidden[(size_t)image * plan->out_image + (size_t)(pixel * plan->outputs + n)];
    const size_t k = (size_t)plan->pixel_out[pixel] + (size_t)n;
    const uint16_t *form =
        tiles->layers[l].conv
            ? (uint16_t *)(void *)qg_tile_pairs_of(tiles, tiles->k[next], next, image / 16) +
                  k / 2 * 32 + (size_t)(2 * column) + k % 2
            : (uint16_t *)(void *)qg_tile_rows_of(tiles, next, image / 16) + k / 32 * 512 +
                  (size_t)(32 * column) + k % 32;
    return qg_bf16_float(*form);
}

void qg_tile_copy_outputs(const qg_tiles *tiles, int layer, int images, float *out)
{
    const qg_layer *l = &tiles->architecture.layers[layer];
    const size_t pixels = (size_t)(l->out_height * l->out_width);
    for (int image = 0; image < images; image++)
        for (int n = 0; n < l->outputs; n++)
            for (size_t pixel = 0; pixel < pixels; pixel++)
                *out++ = output_of(tiles, layer, image, (int)pixel, n);
}
