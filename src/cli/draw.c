#include "cli/draw.h"

#include "cli/cli.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TALLEST 512 /* more lines and columns of a terminal are not used */

typedef struct colour {
    uint8_t red, green, blue;
} colour;

static const colour black = {0, 0, 0};

static bool cursor_hidden;

static void show_cursor(void)
{
    if (!cursor_hidden) return;
    fputs("\033[0m\033[?25h", stdout);
    fflush(stdout);
    cursor_hidden = false;
}

static void hide_cursor(void)
{
    static bool registered;
    if (!registered) registered = atexit(show_cursor) == 0;
    fputs("\033[?25l", stdout);
    cursor_hidden = true;
}

bool cli_canvas_possible(void)
{
    return cli_colour(stdout);
}

/* ------------------------------------------------------------------------------- the text */

static void put(cli_canvas *canvas, const char *text, size_t size)
{
    if (canvas->failed) return;
    if (canvas->size + size > canvas->room) {
        const size_t room = 2 * canvas->room + size + 4096;
        char *larger = realloc(canvas->text, room);
        canvas->failed = !larger;
        if (!larger) return;
        canvas->text = larger;
        canvas->room = room;
    }
    memcpy(canvas->text + canvas->size, text, size);
    canvas->size += size;
}

__attribute__((format(printf, 2, 3))) static void print(cli_canvas *canvas, const char *format, ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size > 0 && (size_t)size < sizeof text) put(canvas, text, (size_t)size);
}

/* The nearest of the cube's six levels: 0, 95, 135, 175, 215, 255. */
static int cube_level(uint8_t value)
{
    return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40;
}

/* `layer`: 38 the text's colour, 48 the one behind it. */
static void put_colour(cli_canvas *canvas, int layer, colour c)
{
    if (canvas->true_colour)
        print(canvas, "\033[%d;2;%d;%d;%dm", layer, c.red, c.green, c.blue);
    else
        print(canvas, "\033[%d;5;%dm", layer,
              16 + 36 * cube_level(c.red) + 6 * cube_level(c.green) + cube_level(c.blue));
}

static bool same(colour a, colour b)
{
    return a.red == b.red && a.green == b.green && a.blue == b.blue;
}

/* The next line is emptied before it is written: behind a full line that would take its end. */
static void end_line(cli_canvas *canvas)
{
    print(canvas, "\033[0m\n\033[K");
    canvas->drawn++;
}

/* At most `columns` characters of the text. */
static void put_line(cli_canvas *canvas, const char *text, int columns)
{
    size_t size = 0;
    for (int used = 0; text[size]; size++) {
        const bool begins = ((unsigned char)text[size] & 0xc0) != 0x80;
        if (begins && used++ == columns) break;
    }
    put(canvas, text, size);
    end_line(canvas);
}

/* ---------------------------------------------------------------------------- the picture */

static colour colour_at(const qg_picture *picture, int y, int x)
{
    const uint8_t index = picture->pixels[y * picture->width + x];
    if (index >= picture->colors) return black; /* a plugin's */
    const uint8_t *rgb = picture->palette[index];
    return (colour){rgb[0], rgb[1], rgb[2]};
}

static void draw_cells(cli_canvas *canvas, const qg_picture *picture)
{
    for (int y = 0; y < picture->height; y++) {
        for (int x = 0; x < picture->width; x++) {
            const colour c = colour_at(picture, y, x);
            if (x == 0 || !same(c, colour_at(picture, y, x - 1))) put_colour(canvas, 48, c);
            put(canvas, "  ", 2);
        }
        end_line(canvas);
    }
}

/* The mean colour of the source pixels that pixel (y, x) of height x width covers. */
static colour shrunken(const qg_picture *picture, int y, int x, int height, int width)
{
    if (y >= height) return black;
    const int top = y * picture->height / height, left = x * picture->width / width;
    int bottom = (y + 1) * picture->height / height, right = (x + 1) * picture->width / width;
    if (bottom == top) bottom++;
    if (right == left) right++;
    assert(top < bottom && left < right);
    const unsigned count = (unsigned)((bottom - top) * (right - left));
    unsigned sums[3] = {0};
    for (int v = top; v < bottom; v++)
        for (int u = left; u < right; u++) {
            const colour c = colour_at(picture, v, u);
            sums[0] += c.red;
            sums[1] += c.green;
            sums[2] += c.blue;
        }
    return (colour){(uint8_t)(sums[0] / count), (uint8_t)(sums[1] / count),
                    (uint8_t)(sums[2] / count)};
}

static void draw_half_blocks(cli_canvas *canvas, const qg_picture *picture, int height, int width)
{
    for (int y = 0; y < height; y += 2) {
        colour above = black, below = black;
        for (int x = 0; x < width; x++) {
            const colour upper = shrunken(picture, y, x, height, width);
            const colour lower = shrunken(picture, y + 1, x, height, width);
            if (x == 0 || !same(upper, above)) put_colour(canvas, 38, upper);
            if (x == 0 || !same(lower, below)) put_colour(canvas, 48, lower);
            put(canvas, "\u2580", strlen("\u2580"));
            above = upper;
            below = lower;
        }
        end_line(canvas);
    }
}

/* Into `rows` lines. A half block is about square. */
static void draw_picture(cli_canvas *canvas, const qg_picture *picture, int rows)
{
    if (!canvas->wide && picture->width <= 64 && picture->height <= rows &&
        2 * picture->width <= canvas->columns) {
        draw_cells(canvas, picture);
        return;
    }
    const int full = canvas->wide ? 2 * picture->width : picture->width;
    int width = full, height = picture->height;
    if (width > canvas->columns) {
        width = canvas->columns;
        height = picture->height * width / full;
    }
    if (height > 2 * rows) {
        height = 2 * rows;
        width = full * height / picture->height;
    }
    if (width > 0 && height > 0) draw_half_blocks(canvas, picture, height, width);
}

static int limited(int value, int fallback)
{
    return value <= 0 ? fallback : value > TALLEST ? TALLEST : value;
}

/* Over the last picture; on an empty screen at first and when the terminal has changed its size. */
static void begin_picture(cli_canvas *canvas)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) size = (struct winsize){0};
    const int rows = limited(size.ws_row, 24), columns = limited(size.ws_col, 80);
    canvas->size = 0;
    if (!canvas->begun) {
        const char *depth = getenv("COLORTERM");
        canvas->true_colour =
            depth && (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0);
        hide_cursor();
        canvas->begun = true;
    } else if (rows != canvas->rows || columns != canvas->columns) {
        print(canvas, "\033[2J\033[H");
    } else {
        print(canvas, "\r\033[%dA\033[K", canvas->drawn);
    }
    canvas->rows = rows;
    canvas->columns = columns;
    canvas->drawn = 0;
}

void cli_canvas_draw(cli_canvas *canvas, const qg_picture *picture, const char *const *lines,
                     int line_count)
{
    begin_picture(canvas);
    const int rows = canvas->rows - 1 - line_count; /* the last one is where the cursor stands */
    if (rows > 0) draw_picture(canvas, picture, rows);
    for (int i = 0; i < line_count && i < canvas->rows - 1; i++)
        put_line(canvas, lines[i], canvas->columns);
    print(canvas, "\033[J");
    if (!canvas->failed) fwrite(canvas->text, 1, canvas->size, stdout);
    fflush(stdout);
}

void cli_canvas_close(cli_canvas *canvas)
{
    show_cursor();
    free(canvas->text);
    *canvas = (cli_canvas){0};
}
