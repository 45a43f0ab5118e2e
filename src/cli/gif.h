/* A video as an animated GIF that loops for ever. Kept in memory (it is compressed as it grows) and
 * written at the end, complete or not at all. */
#ifndef QG_CLI_GIF_H
#define QG_CLI_GIF_H

#include <qgraft/domain.h>

typedef struct cli_gif cli_gif;

/* Begins a video of pictures like `first` (size and palette), which is not yet added. Pixels that
 * are `wide`, as Atari's on a television, are drawn twice as wide as high; of others pictures that
 * are at most 64 wide, as grids, 16 times as large. `fps` pictures are shown a second, at most 50:
 * viewers slow faster ones down. That `path` can be written is looked at, too. */
qg_status cli_gif_open(const char *path, const qg_picture *first, bool wide, double fps,
                       cli_gif **gif, qg_error *error);

qg_status cli_gif_add(cli_gif *gif, const qg_picture *picture, qg_error *error);

/* Ends the video and writes the file; `gif` is freed whether that fails or not. */
qg_status cli_gif_save(cli_gif *gif, qg_error *error);

/* Frees it without writing; NULL is allowed. */
void cli_gif_discard(cli_gif *gif);

#endif
