/* The script goes in through an unnamed file and the picture comes out through another one, so that
 * no pipe can fill up and no path needs quoting. */
#include "report/gnuplot.h"

#include "base/file.h"

#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>
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

/* Starts gnuplot on the three files and waits for its end: its exit code in *code. */
static qg_status run(FILE *const files[3], int *code, qg_error *error)
{
    posix_spawn_file_actions_t actions;
    int problem = posix_spawn_file_actions_init(&actions);
    if (problem) return qg_fail_memory(error, "a process", sizeof actions);
    for (int i = 0; i < 3 && !problem; i++)
        problem = posix_spawn_file_actions_adddup2(&actions, fileno(files[i]), i);
    char name[] = "gnuplot", defaults[] = "-d"; /* not what the user's own .gnuplot says */
    char *const arguments[] = {name, defaults, NULL};
    pid_t child = 0;
    if (!problem) problem = posix_spawnp(&child, name, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (problem == ENOENT)
        return qg_fail(error, QG_ERROR_IO,
                       "gnuplot draws the figure and is not installed: Debian's package is "
                       "gnuplot-nox");
    if (problem) {
        errno = problem;
        return qg_fail_errno(error, "gnuplot");
    }
    int state = 0;
    while (waitpid(child, &state, 0) < 0)
        if (errno != EINTR) return qg_fail_errno(error, "gnuplot");
    *code = WIFEXITED(state) ? WEXITSTATUS(state) : 128;
    return QG_OK;
}

/* The last line of what gnuplot said, which tells the problem. */
static qg_status fail_gnuplot(FILE *messages, qg_error *error)
{
    char line[200], last[200] = "it ended without a picture";
    rewind(messages);
    while (fgets(line, sizeof line, messages)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[strspn(line, " \t^")]) memcpy(last, line, sizeof last);
    }
    return qg_fail(error, QG_ERROR_IO, "gnuplot: %s", last);
}

/* Everything that was written to `file`; the caller frees *data. */
static qg_status read_back(FILE *file, char **data, size_t *size, qg_error *error)
{
    *data = NULL;
    long length = -1;
    if (fseek(file, 0, SEEK_END) == 0) length = ftell(file);
    if (length < 0) return qg_fail_errno(error, "the figure");
    *size = (size_t)length;
    *data = malloc(*size + 1);
    if (!*data) return qg_fail_memory(error, "the figure", *size);
    rewind(file);
    if (fread(*data, 1, *size, file) != *size) return qg_fail_errno(error, "the figure");
    return QG_OK;
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

static qg_status draw(const char *path, double scale, FILE *const files[3], qg_error *error)
{
    int code = 0;
    if (fflush(files[0])) return qg_fail_errno(error, "the figure's script");
    rewind(files[0]);
    qg_status status = run(files, &code, error);
    if (status) return status;
    char *data = NULL;
    size_t size = 0;
    status = read_back(files[1], &data, &size, error);
    if (!status && (code != 0 || size == 0)) status = fail_gnuplot(files[2], error);
    if (!status) status = write_picture(path, data, size, scale, error);
    free(data);
    return status;
}

qg_status qg_gnuplot_draw(const char *path, const char *script, const qg_canvas *canvas,
                          qg_error *error)
{
    FILE *const files[3] = {tmpfile(), tmpfile(), tmpfile()}; /* script, picture, messages */
    const double scale = canvas->scale > 0 && ends_in(path, ".png") ? canvas->scale : 1;
    qg_status status = QG_OK;
    if (!files[0] || !files[1] || !files[2]) {
        status = qg_fail_errno(error, "a temporary file for the figure");
    } else {
        fprintf(files[0], "set terminal %s size %.0f,%.0f noenhanced background 'white' ",
                ends_in(path, ".png") ? "pngcairo" : "svg", canvas->width * scale,
                canvas->height * scale);
        if (scale > 1)
            fprintf(files[0], "fontscale %g linewidth %g pointscale %g ", scale, scale, scale);
        fprintf(files[0], "font 'sans,%d'\n%s", canvas->font, script);
        status = draw(path, scale, files, error);
    }
    for (int i = 0; i < 3; i++)
        if (files[i]) fclose(files[i]);
    return status;
}
