#include "cli/gif.h"

#include "base/file.h"

#include <gif_lib.h>
#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cli_gif {
    const char *path;
    GifFileType *file;
    uint8_t *bytes; /* what giflib has written */
    size_t size, room;
    int scale_x, scale_y; /* pixels of the video for one of the picture */
    int height, width;    /* of the picture */
    bool begun;
    uint8_t *shown; /* [height][width] the last picture */
    uint8_t *row;   /* a line of the video */
    double fps;
    double due, told; /* 1/100 s: since the beginning; in delays so far */
};

static int write_bytes(GifFileType *file, const GifByteType *data, int count)
{
    cli_gif *gif = file->UserData;
    const size_t more = (size_t)count;
    if (gif->size + more > gif->room) {
        const size_t room = 2 * gif->room + more + 65536;
        uint8_t *bytes = realloc(gif->bytes, room);
        if (!bytes) return 0;
        gif->bytes = bytes;
        gif->room = room;
    }
    memcpy(gif->bytes + gif->size, data, more);
    gif->size += more;
    return count;
}

static qg_status fail(const cli_gif *gif, int code, qg_error *error)
{
    const char *reason = GifErrorString(code);
    return qg_fail(error, QG_ERROR_IO, "%s: the GIF cannot be made: %s", gif->path,
                   reason ? reason : "unknown error");
}

static qg_status check_folder(const char *path, qg_error *error)
{
    char *copy = strdup(path);
    if (!copy) return qg_fail_memory(error, "a path", strlen(path));
    const bool writable = access(dirname(copy), W_OK | X_OK) == 0;
    free(copy);
    return writable ? QG_OK : qg_fail_errno(error, "%s: cannot be written", path);
}

/* The extension that makes viewers repeat the video: "NETSCAPE2.0", 1, number of times (0: no end),
 * and the palette for all pictures before it. */
static bool write_header(cli_gif *gif, const qg_picture *picture)
{
    static const uint8_t forever[3] = {1, 0, 0};
    int size = 2;
    while (size < picture->colors)
        size *= 2;
    ColorMapObject *palette = GifMakeMapObject(size, NULL);
    if (!palette) return false;
    memset(palette->Colors, 0, (size_t)size * sizeof *palette->Colors);
    for (int i = 0; i < picture->colors; i++) {
        const uint8_t *rgb = picture->palette[i];
        palette->Colors[i] = (GifColorType){rgb[0], rgb[1], rgb[2]};
    }
    EGifSetGifVersion(gif->file, true);
    const bool done = EGifPutScreenDesc(gif->file, gif->width * gif->scale_x,
                                        gif->height * gif->scale_y, 8, 0, palette) &&
                      EGifPutExtensionLeader(gif->file, APPLICATION_EXT_FUNC_CODE) &&
                      EGifPutExtensionBlock(gif->file, 11, "NETSCAPE2.0") &&
                      EGifPutExtensionBlock(gif->file, sizeof forever, forever) &&
                      EGifPutExtensionTrailer(gif->file);
    GifFreeMapObject(palette);
    return done;
}

qg_status cli_gif_open(const char *path, const qg_picture *first, bool wide, double fps,
                       cli_gif **result, qg_error *error)
{
    *result = NULL;
    qg_status status = check_folder(path, error);
    if (status) return status;
    cli_gif *gif = calloc(1, sizeof *gif);
    if (!gif) return qg_fail_memory(error, "a GIF", sizeof *gif);
    const bool grid = !wide && first->width <= 64;
    gif->path = path;
    gif->height = first->height;
    gif->width = first->width;
    gif->scale_x = grid ? 16 : wide ? 2 : 1;
    gif->scale_y = grid ? 16 : 1;
    gif->fps = fps;
    gif->shown = malloc((size_t)gif->height * (size_t)gif->width);
    gif->row = malloc((size_t)gif->width * (size_t)gif->scale_x);
    int code = E_GIF_ERR_NOT_ENOUGH_MEM;
    if (gif->shown && gif->row) gif->file = EGifOpen(gif, write_bytes, &code);
    if (!gif->file)
        status = fail(gif, code, error);
    else if (!write_header(gif, first))
        status = fail(gif, gif->file->Error, error);
    if (status)
        cli_gif_discard(gif);
    else
        *result = gif;
    return status;
}

/* What of the picture differs from the last: rows top ... bottom, columns left ... right. Nothing
 * is one pixel, since every picture must take its time. */
typedef struct area {
    int top, bottom, left, right;
} area;

static area find_change(const cli_gif *gif, const uint8_t *pixels)
{
    if (!gif->begun) return (area){0, gif->height - 1, 0, gif->width - 1};
    area a = {gif->height, -1, gif->width, -1};
    for (int y = 0; y < gif->height; y++)
        for (int x = 0; x < gif->width; x++) {
            const size_t at = (size_t)y * (size_t)gif->width + (size_t)x;
            if (pixels[at] == gif->shown[at]) continue;
            if (y < a.top) a.top = y;
            if (x < a.left) a.left = x;
            if (x > a.right) a.right = x;
            a.bottom = y;
        }
    return a.bottom < 0 ? (area){0, 0, 0, 0} : a;
}

/* 1/100 s, so that all delays together keep the time: 15 pictures a second take 7, 6, 7, ... */
static int next_delay(cli_gif *gif)
{
    gif->due += 100 / gif->fps;
    const int delay = (int)fmin(65535, fmax(2, nearbyint(gif->due - gif->told)));
    gif->told += delay;
    gif->due = fmax(gif->due, gif->told - 0.5); /* faster than 50 is not made up for later */
    return delay;
}

static bool write_delay(cli_gif *gif)
{
    const GraphicsControlBlock control = {.DisposalMode = DISPOSE_DO_NOT,
                                          .DelayTime = next_delay(gif),
                                          .TransparentColor = NO_TRANSPARENT_COLOR};
    GifByteType block[4];
    return EGifGCBToExtension(&control, block) == sizeof block &&
           EGifPutExtension(gif->file, GRAPHICS_EXT_FUNC_CODE, sizeof block, block);
}

static bool write_row(cli_gif *gif, const uint8_t *pixels, int columns)
{
    GifByteType *out = gif->row;
    for (int x = 0; x < columns; x++, out += gif->scale_x)
        memset(out, pixels[x], (size_t)gif->scale_x);
    for (int i = 0; i < gif->scale_y; i++)
        if (!EGifPutLine(gif->file, gif->row, columns * gif->scale_x)) return false;
    return true;
}

qg_status cli_gif_add(cli_gif *gif, const qg_picture *picture, qg_error *error)
{
    if (picture->height != gif->height || picture->width != gif->width)
        return qg_fail(error, QG_ERROR_DATA, "%s: the game's picture has changed its size",
                       gif->path);
    const area a = find_change(gif, picture->pixels);
    const int columns = a.right - a.left + 1, rows = a.bottom - a.top + 1;
    bool done = write_delay(gif) &&
                EGifPutImageDesc(gif->file, a.left * gif->scale_x, a.top * gif->scale_y,
                                 columns * gif->scale_x, rows * gif->scale_y, false, NULL);
    for (int y = a.top; y <= a.bottom && done; y++)
        done = write_row(gif, picture->pixels + y * gif->width + a.left, columns);
    if (!done) return fail(gif, gif->file->Error, error);
    memcpy(gif->shown, picture->pixels, (size_t)gif->height * (size_t)gif->width);
    gif->begun = true;
    return QG_OK;
}

qg_status cli_gif_save(cli_gif *gif, qg_error *error)
{
    int code = 0;
    const bool closed = EGifCloseFile(gif->file, &code) == GIF_OK;
    gif->file = NULL;
    const qg_piece piece = {gif->bytes, gif->size};
    const qg_status status =
        closed ? qg_file_replace(gif->path, &piece, 1, error) : fail(gif, code, error);
    cli_gif_discard(gif);
    return status;
}

void cli_gif_discard(cli_gif *gif)
{
    if (!gif) return;
    if (gif->file) EGifCloseFile(gif->file, NULL);
    free(gif->bytes);
    free(gif->shown);
    free(gif->row);
    free(gif);
}
