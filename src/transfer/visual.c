/* Objects are counted by their number of pixels and by the width and height of their box: the
 * counts need little memory however many objects there are, and become the distributions. */
#include "transfer/visual.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct survey {
    const qg_film *film;
    size_t pixels;          /* of a frame */
    uint8_t colour_of[256]; /* palette index -> the first index of the same RGB */
    uint8_t *background;    /* [pixels] colour */
    uint8_t *foreground;    /* [pixels] 1: part of an object that was not counted yet */
    int *stack;             /* [pixels] of the fill */
    uint64_t *areas;        /* [pixels + 1] objects of so many pixels */
    uint64_t *boxes;        /* [height + 1][width + 1] objects with such a box */
    uint64_t objects;
} survey;

static qg_status survey_create(const qg_film *film, survey *s, qg_error *error)
{
    const size_t height = (size_t)film->height, width = (size_t)film->width;
    *s = (survey){.film = film, .pixels = height * width};
    s->background = malloc(s->pixels);
    s->foreground = malloc(s->pixels);
    s->stack = malloc(s->pixels * sizeof *s->stack);
    s->areas = calloc(s->pixels + 1, sizeof *s->areas);
    s->boxes = calloc((height + 1) * (width + 1), sizeof *s->boxes);
    if (!s->background || !s->foreground || !s->stack || !s->areas || !s->boxes)
        return qg_fail_memory(error, "the objects of a screen", s->pixels * sizeof *s->areas);
    for (int i = 0; i < film->colors; i++) {
        int first = 0;
        while (memcmp(film->palette[first], film->palette[i], 3) != 0)
            first++;
        s->colour_of[i] = (uint8_t)first;
    }
    return QG_OK;
}

static void survey_free(survey *s)
{
    free(s->background);
    free(s->foreground);
    free(s->stack);
    free(s->areas);
    free(s->boxes);
}

static const uint8_t *frame(const survey *s, size_t index)
{
    return s->film->frames + index * s->pixels;
}

/* ----------------------------------------------------------------- colours and background */

/* Row by row, so that the counts of its pixels fit the caches: counts[x][colour]. The lowest index
 * wins where two colours are as frequent. Adds up the counts of all pixels in `all`. */
static qg_status find_background(survey *s, uint64_t all[256], qg_error *error)
{
    const size_t width = (size_t)s->film->width;
    uint32_t(*counts)[256] = malloc(width * sizeof *counts);
    if (!counts) return qg_fail_memory(error, "the colours of a screen", width * sizeof *counts);
    for (size_t y = 0; y < (size_t)s->film->height; y++) {
        memset(counts, 0, width * sizeof *counts);
        for (size_t i = 0; i < s->film->count; i++) {
            const uint8_t *row = frame(s, i) + y * width;
            for (size_t x = 0; x < width; x++)
                counts[x][s->colour_of[row[x]]]++;
        }
        for (size_t x = 0; x < width; x++) {
            int most = 0;
            for (int c = 0; c < 256; c++) {
                if (counts[x][c] > counts[x][most]) most = c;
                all[c] += counts[x][c];
            }
            s->background[y * width + x] = (uint8_t)most;
        }
    }
    free(counts);
    return QG_OK;
}

static void fill_colours(const survey *s, const uint64_t all[256], double colours[QG_COLOUR_BINS])
{
    const double total = (double)s->pixels * (double)s->film->count;
    memset(colours, 0, QG_COLOUR_BINS * sizeof *colours);
    for (int c = 0; c < s->film->colors; c++) {
        const uint8_t *rgb = s->film->palette[c];
        const int bin = rgb[0] / 64 * 16 + rgb[1] / 64 * 4 + rgb[2] / 64;
        colours[bin] += (double)all[c] / total;
    }
}

/* --------------------------------------------------------------------------------- objects */

/* Counts the object that holds pixel `start` and takes it out of the foreground. */
static void count_object(survey *s, int start)
{
    const int width = s->film->width, height = s->film->height;
    int left = width, right = -1, top = height, bottom = -1;
    size_t area = 0, depth = 0;
    s->foreground[start] = 0;
    s->stack[depth++] = start;
    while (depth) {
        const int at = s->stack[--depth], y = at / width, x = at % width;
        area++;
        if (x < left) left = x;
        if (x > right) right = x;
        if (y < top) top = y;
        if (y > bottom) bottom = y;
        for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < height; v++)
            for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < width; u++) {
                const int next = v * width + u;
                if (!s->foreground[next]) continue;
                s->foreground[next] = 0;
                s->stack[depth++] = next;
            }
    }
    s->areas[area]++;
    s->boxes[(bottom - top + 1) * (width + 1) + right - left + 1]++;
    s->objects++;
}

static void count_objects(survey *s)
{
    for (size_t i = 0; i < s->film->count; i++) {
        const uint8_t *pixels = frame(s, i);
        for (size_t k = 0; k < s->pixels; k++)
            s->foreground[k] = s->colour_of[pixels[k]] != s->background[k];
        for (size_t k = 0; k < s->pixels; k++)
            if (s->foreground[k]) count_object(s, (int)k);
    }
}

/* Mean share over the pairs of successive frames; 0 without any. */
static double moving_share(const survey *s)
{
    uint64_t changed = 0, pairs = 0;
    for (size_t i = 1; i < s->film->count; i++) {
        if (s->film->begins[i]) continue;
        const uint8_t *before = frame(s, i - 1), *now = frame(s, i);
        uint64_t sum = 0;
        for (size_t k = 0; k < s->pixels; k++)
            sum += before[k] != now[k] && s->colour_of[before[k]] != s->colour_of[now[k]];
        changed += sum;
        pairs++;
    }
    return pairs ? (double)changed / ((double)pairs * (double)s->pixels) : 0;
}

/* --------------------------------------------------------------------------- distributions */

typedef struct weighted_value {
    double value, weight;
} weighted_value;

static int by_value(const void *a, const void *b)
{
    const double x = ((const weighted_value *)a)->value, y = ((const weighted_value *)b)->value;
    return (x > y) - (x < y);
}

static qg_status make_distribution(weighted_value *entries, size_t count, qg_distribution *d,
                                   qg_error *error)
{
    qsort(entries, count, sizeof *entries, by_value);
    d->values = malloc((count + 1) * sizeof *d->values);
    d->weights = malloc((count + 1) * sizeof *d->weights);
    if (!d->values || !d->weights)
        return qg_fail_memory(error, "a distribution", count * sizeof *d->values);
    d->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (d->count == 0 || entries[i].value != d->values[d->count - 1]) {
            d->values[d->count] = entries[i].value;
            d->weights[d->count++] = 0;
        }
        d->weights[d->count - 1] += entries[i].weight;
    }
    return QG_OK;
}

static size_t list_sizes(const survey *s, weighted_value *entries)
{
    size_t count = 0;
    for (size_t area = 1; area <= s->pixels; area++)
        if (s->areas[area])
            entries[count++] =
                (weighted_value){log((double)area / (double)s->pixels), (double)s->areas[area]};
    return count;
}

static size_t list_aspects(const survey *s, weighted_value *entries)
{
    const int height = s->film->height, width = s->film->width;
    size_t count = 0;
    for (int h = 1; h <= height; h++)
        for (int w = 1; w <= width; w++) {
            const uint64_t seen = s->boxes[h * (width + 1) + w];
            if (seen) /* both products are exact: equal aspects are equal numbers */
                entries[count++] =
                    (weighted_value){log((double)(w * height) / (double)(h * width)), (double)seen};
        }
    return count;
}

qg_status qg_appearance_measure(const qg_film *film, qg_appearance *appearance, qg_error *error)
{
    assert(film->height > 0 && film->width > 0 && film->count > 0 && film->colors <= 256);
    *appearance = (qg_appearance){0};
    survey s;
    uint64_t all[256] = {0};
    qg_status status = survey_create(film, &s, error);
    if (!status) status = find_background(&s, all, error);
    weighted_value *entries = malloc(s.pixels * sizeof *entries);
    if (!status && !entries)
        status = qg_fail_memory(error, "the objects of a screen", s.pixels * sizeof *entries);
    if (!status) {
        count_objects(&s);
        fill_colours(&s, all, appearance->colours);
        appearance->objects = (double)s.objects / (double)film->count;
        appearance->moving = moving_share(&s);
        status = make_distribution(entries, list_sizes(&s, entries), &appearance->sizes, error);
    }
    if (!status)
        status = make_distribution(entries, list_aspects(&s, entries), &appearance->aspects, error);
    free(entries);
    survey_free(&s);
    return status;
}

void qg_appearance_free(qg_appearance *appearance)
{
    free(appearance->sizes.values);
    free(appearance->sizes.weights);
    free(appearance->aspects.values);
    free(appearance->aspects.weights);
    *appearance = (qg_appearance){0};
}

/* ------------------------------------------------------------------------------- distances */

double qg_jensen_shannon_distance(const double *p, const double *q, size_t count)
{
    double divergence = 0;
    for (size_t i = 0; i < count; i++) {
        const double mean = (p[i] + q[i]) / 2;
        const double from_p = p[i] > 0 ? p[i] * log2(p[i] / mean) : 0;
        const double from_q = q[i] > 0 ? q[i] * log2(q[i] / mean) : 0;
        divergence += (from_p + from_q) / 2;
    }
    return sqrt(fmin(fmax(divergence, 0), 1));
}

static double total_weight(const qg_distribution *d)
{
    double sum = 0;
    for (size_t i = 0; i < d->count; i++)
        sum += d->weights[i];
    return sum;
}

double qg_wasserstein_distance(const qg_distribution *a, const qg_distribution *b)
{
    assert(a->count > 0 && b->count > 0);
    const double total_a = total_weight(a), total_b = total_weight(b);
    double seen_a = 0, seen_b = 0, sum = 0; /* weights of the values passed so far */
    double at = fmin(a->values[0], b->values[0]);
    size_t i = 0, j = 0;
    while (i < a->count || j < b->count) {
        const double next_a = i < a->count ? a->values[i] : INFINITY;
        const double next_b = j < b->count ? b->values[j] : INFINITY;
        const double next = fmin(next_a, next_b);
        sum += fabs(seen_a / total_a - seen_b / total_b) * (next - at);
        if (next_a == next) seen_a += a->weights[i++];
        if (next_b == next) seen_b += b->weights[j++];
        at = next;
    }
    return sum;
}

double qg_log_distance(const qg_distribution *a, const qg_distribution *b)
{
    if (a->count == 0 || b->count == 0) return a->count == b->count ? 0 : 1;
    return -expm1(-qg_wasserstein_distance(a, b));
}
