/* Layer normalisation on the way through the network: to the bit that of cpu/norm.c.
 *
 * The sums of a layer that has it are floats, a line of 16 images for every output
 * (qg_tiles.normed): with the images side by side, their chains of sums are registers. */
#ifndef QG_TILE_NORM_H
#define QG_TILE_NORM_H

#include "network/tiles/tile_job.h"
#include "network/tiles/tile_pass.h"

/* What a product left of 32 outputs from 32 * group on, of column tile t: a convolution's
 * [panel][16 outputs][16 images], `panel` floats apart, at a pixel; a linear layer's
 * [panel][16 images][16 outputs], even and odd ones. */
void qg_tile_norm_take(const qg_tile_pass *job, int l, int group, int pixel, int t,
                       const float *sums, int panel);

/* The outputs of layer l, from all that was taken, into the next layer's forms; by every member,
 * behind a barrier. */
void qg_tile_norm_forward(const qg_tile_pass *job, int l, int member, int members);

/* P of the gradient of what was normalised from that of layer l's outputs, in place; by every
 * member, behind a barrier. */
void qg_tile_norm_backward(const qg_tile_job *job, int l, int member, int members);

/* One state's outputs of layer l, where the next layer has them but as floats, in place. */
void qg_tile_norm_state(const qg_tiles *tiles, int l, float *outputs);

#endif
