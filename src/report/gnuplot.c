/* The script goes in as gnuplot's input and the picture comes out as its output, so that no path
 * needs quoting. */
#include "report/gnuplot.h"

#include "base/file.h"
#include "base/program.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

static bool ends_in(const char *path, const char *ending)
{
    const size_t length = strlen(path), end = strlen(ending);
    return length > end && strcasecmp(path + length - end, ending) == 0;
}

qg_status qg_gnuplot_check(const char *path, qg_error *error)
{
    if (ends_in(path, ".png") || ends_in(path, ".svg")) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE, "%s: a figure's name ends in .png or .svg", path);
}

/* The last line of what gnuplot said, which tells the problem. */
static qg_status fail_gnuplot(char *messages, qg_error *error)
{
    const char *last = "it ended without a picture";
    for (char *line; (line = strsep(&messages, "\n"));)
        if (line[strspn(line, " \t^")]) last = line;
    return qg_fail(error, QG_ERROR_IO, "gnuplot: %.200s", last);
}

static void big_endian(uint32_t value, uint8_t bytes[4])
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* A PNG says how large it is on paper in the chunk pHYs, which gnuplot leaves out. */
enum { PNG_HEAD = 33, PNG_PHYSICAL = 21 }; /* bytes: signature and IHDR; pHYs */

static void make_physical(double scale, uint8_t chunk[PNG_PHYSICAL])
{
    static const uint8_t name[4] = {'p', 'H', 'Y', 's'};
    const uint32_t per_metre = (uint32_t)(96 * scale / 0.0254 + 0.5);
    big_endian(9, chunk);
    memcpy(chunk + 4, name, sizeof name);
    big_endian(per_metre, chunk + 8);
    big_endian(per_metre, chunk + 12);
    chunk[16] = 1; /* the unit: metre */
    big_endian((uint32_t)crc32(0, chunk + 4, 13), chunk + 17);
}

static qg_status write_picture(const char *path, const char *data, size_t size, double scale,
                               qg_error *error)
{
    uint8_t physical[PNG_PHYSICAL];
    make_physical(scale, physical);
    const bool png = ends_in(path, ".png") && size > PNG_HEAD;
    const qg_piece pieces[] = {{data, png ? PNG_HEAD : size},
                               {physical, PNG_PHYSICAL},
                               {data + PNG_HEAD, png ? size - PNG_HEAD : 0}};
    return qg_file_replace(path, pieces, png ? 3 : 1, error);
}

static qg_status draw(const char *path, double scale, const char *script, qg_error *error)
{
    char name[] = "gnuplot", defaults[] = "-d"; /* not what the user's own .gnuplot says */
    char input[] = "/dev/stdin";                /* unnamed, it would be read a byte at a time */
    char *const arguments[] = {name, defaults, input, NULL};
    qg_program_result result;
    qg_status status = qg_program_run(arguments, script, &result, error);
    if (status == QG_ERROR_IO && errno == ENOENT)
        return qg_fail(error, QG_ERROR_IO,
                       "gnuplot draws the figure and is not installed: Debian's package is "
                       "gnuplot-nox");
    if (!status && (result.code != 0 || result.size == 0))
        status = fail_gnuplot(result.messages, error);
    if (!status) status = write_picture(path, result.output, result.size, scale, error);
    qg_program_result_free(&result);
    return status;
}

qg_status qg_gnuplot_draw(const char *path, const char *script, const qg_canvas *canvas,
                          qg_error *error)
{
    const double scale = canvas->scale > 0 && ends_in(path, ".png") ? canvas->scale : 1;
    char larger[120] = "", *all;
    if (ends_in(path, ".png")) /* whose letters are in points, those of SVG in pixels */
        snprintf(larger, sizeof larger, "fontscale %g linewidth %g pointscale %g ", 0.75 * scale,
                 scale, scale);
    if (asprintf(
            &all,
            "set terminal %s size %.0f,%.0f noenhanced background 'white' %sfont 'sans,%d'\n%s",
            ends_in(path, ".png") ? "pngcairo" : "svg", canvas->width * scale,
            canvas->height * scale, larger, canvas->font, script) < 0)
        return qg_fail_memory(error, "the figure's script", strlen(script));
    const qg_status status = draw(path, scale, all, error);
    free(all);
    return status;
}
