#include "base/text.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_REAL 1000

/* value * 10^exponent, exactly, or false. */
static bool scale_by_ten(int64_t *value, int64_t exponent)
{
    for (; *value != 0 && exponent > 0; exponent--)
        if (__builtin_mul_overflow(*value, 10, value)) return false;
    for (; *value != 0 && exponent < 0; exponent++) {
        if (*value % 10 != 0) return false;
        *value /= 10;
    }
    return true;
}

static int suffix_exponent(char suffix)
{
    return suffix == 'k' ? 3 : suffix == 'M' ? 6 : suffix == 'G' ? 9 : -1;
}

/* "1_000": behind a digit and before one. */
static bool is_separator(const char *text)
{
    return *text == '_' && isdigit((unsigned char)text[-1]) && isdigit((unsigned char)text[1]);
}

/* [+-] digits [. digits] [e [+-] digits] [k|M|G], in integers only: a double would lose the low
 * digits of a large count without a word. */
bool qg_text_to_count(const char *text, int64_t *value)
{
    const bool negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    if (*text == '_') return false;
    int64_t number = 0, exponent = 0;
    int digits = 0;
    bool fraction = false;
    for (; isdigit((unsigned char)*text) || (*text == '.' && !fraction) || is_separator(text);
         text++) {
        if (*text == '_') continue;
        if (*text == '.') {
            fraction = true;
            continue;
        }
        digits++;
        if (fraction) exponent--;
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *text - '0', &number))
            return false;
    }
    if (digits == 0) return false;
    if (*text == 'e' || *text == 'E') {
        char *end;
        if (!isdigit((unsigned char)text[1]) && !(strchr("+-", text[1]) && text[1])) return false;
        const long power = strtol(text + 1, &end, 10);
        if (end == text + 1 || power < -1000 || power > 1000) return false;
        exponent += power;
        text = end;
    }
    if (*text && suffix_exponent(*text) > 0) exponent += suffix_exponent(*text++);
    if (*text || !scale_by_ten(&number, exponent)) return false;
    *value = negative ? -number : number;
    return true;
}

bool qg_text_to_real(const char *text, double *value)
{
    char digits[LONGEST_REAL + 1], *end;
    size_t length = 0;
    if (!*text || *text == '_' || strlen(text) > LONGEST_REAL ||
        text[strspn(text, "0123456789.eE+-_")])
        return false;
    for (; *text; text++)
        if (!is_separator(text)) digits[length++] = *text; /* strtod ends at others */
    digits[length] = '\0';
    const double number = strtod(digits, &end);
    if (*end || !isfinite(number)) return false;
    *value = number;
    return true;
}

bool qg_text_to_boolean(const char *text, bool *value)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"False", "True"}, {"FALSE", "TRUE"}, {"no", "yes"}, {"No", "Yes"},
        {"NO", "YES"},     {"off", "on"},     {"Off", "On"},     {"OFF", "ON"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (int v = 0; v < 2; v++)
            if (strcmp(text, words[i][v]) == 0) {
                *value = v;
                return true;
            }
    return false;
}

const char *qg_text_from_real(double value, char text[32])
{
    if (value == rint(value) && fabs(value) < 1e15) { /* 10, not 1e+01 */
        snprintf(text, 32, "%.0f", value);
        return text;
    }
    /* 15 digits are the fewest that do, if they do: shorter ones would come back from them. (Not
     * so below the smallest normal number.) */
    for (int digits = fabs(value) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        const int length = snprintf(text, 32, "%.*g", digits, value);
        if (length < 32 && strtod(text, NULL) == value) break;
    }
    return text;
}

const char *qg_text_from_bytes(double bytes, char text[32])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB"};
    size_t unit = 0;
    for (; bytes >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1000;
    snprintf(text, 32, bytes < 999.5 ? "%.3g %s" : "%.0f %s", bytes, units[unit]);
    return text;
}

#define LONGEST_NAME 63

/* Edit distance of two words with insertion, deletion, replacement and the swap of two neighbours;
 * letter case counts as half an edit would: not at all. */
static size_t edit_distance(const char *a, const char *b)
{
    const size_t m = strlen(a), n = strlen(b);
    if (m > LONGEST_NAME || n > LONGEST_NAME) return SIZE_MAX;
    size_t rows[3][LONGEST_NAME + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n; j++)
        above[j] = j;
    for (size_t i = 1; i <= m; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            const int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            size_t best = above[j - 1] + (x != y);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        size_t *const free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[n];
}

const char *qg_text_nearest(const char *word, const void *table, size_t count, size_t stride)
{
    const char *nearest = NULL;
    size_t least = strlen(word) < 4 ? 2 : strlen(word) / 3 + 1; /* further than this is no guess */
    for (size_t i = 0; i < count; i++) {
        const char *name;
        memcpy(&name, (const char *)table + i * stride, sizeof name);
        const size_t distance = edit_distance(word, name);
        if (distance < least) {
            least = distance;
            nearest = name;
        }
    }
    return nearest;
}

void qg_text_join(const char *const *names, int count, char *text, size_t size)
{
    text[0] = 0;
    for (int i = 0; i < count; i++) {
        const size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%s", i ? "," : "", names[i]);
    }
}

int qg_text_find_name(const char *list, const char *name, size_t length)
{
    for (int i = 0; *list; i++) {
        const size_t size = strcspn(list, ",");
        if (size == length && memcmp(list, name, length) == 0) return i;
        list += size + (list[size] == ',');
    }
    return -1;
}

void qg_text_add(char *text, size_t size, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}

/* ---- A stream that makes a text ---- */

typedef struct text_stream {
    char **text; /* the caller's */
    size_t *size;
    size_t room;
    bool failed;
} text_stream;

static ssize_t write_text(void *cookie, const char *data, size_t size)
{
    text_stream *const s = cookie;
    if (!*s->text || s->room - *s->size <= size) { /* one byte more, for the NUL */
        const size_t room = 2 * (*s->size + size) + 256;
        char *const text = s->failed ? NULL : realloc(*s->text, room);
        if (!text) {
            s->failed = true;
            return 0;
        }
        *s->text = text;
        s->room = room;
    }
    memcpy(*s->text + *s->size, data, size);
    *s->size += size;
    (*s->text)[*s->size] = '\0';
    return (ssize_t)size;
}

static int close_text(void *cookie)
{
    text_stream *const s = cookie;
    if (!*s->text) write_text(s, "", 0);
    const bool failed = s->failed;
    if (failed) {
        free(*s->text);
        *s->text = NULL;
    }
    free(s);
    return failed ? -1 : 0;
}

FILE *qg_text_stream(char **text, size_t *size)
{
    *text = NULL;
    *size = 0;
    text_stream *const s = malloc(sizeof *s);
    if (!s) return NULL;
    *s = (text_stream){.text = text, .size = size};
    const cookie_io_functions_t functions = {.write = write_text, .close = close_text};
    FILE *const stream = fopencookie(s, "w", functions);
    if (!stream) free(s);
    return stream;
}

void qg_text_cell(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\n\r")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

size_t qg_text_character(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] < 0x80) return c[0] >= 0x20 && c[0] != 0x7f;
    const size_t size = c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : c[0] < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < size; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;                /* also at the text's end */
    const bool excluded = (c[0] == 0xc2 && c[1] < 0xa0) ||  /* C1 */
                          (c[0] == 0xe0 && c[1] < 0xa0) ||  /* longer than needed */
                          (c[0] == 0xed && c[1] >= 0xa0) || /* half of a UTF-16 pair */
                          (c[0] == 0xf0 && c[1] < 0x90) ||  /* longer than needed */
                          (c[0] == 0xf4 && c[1] >= 0x90);   /* beyond U+10FFFF */
    return size && !excluded ? size : 0;
}

void qg_text_make_safe(char *text)
{
    while (*text) {
        const size_t size = qg_text_character(text);
        if (!size) *text = '?';
        text += size ? size : 1;
    }
}
