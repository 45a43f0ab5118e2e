/* Profiles of domains, and what follows from two of them. */
#include <qgraft/similarity.h>

#include "transfer/profile.h"
#include "transfer/visual.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------------- profiles */

#define MOST_BYTES ((size_t)1 << 30) /* of the frames together; Atari: 0.4 GB at most */

typedef struct recording {
    int64_t frames;
    qg_film film;
    uint8_t *pixels; /* what the film shows; allocated with the first frame */
    bool *begins;
    uint8_t palette[256][3];
    bool begun; /* the next frame is the first of an episode */
    bool drawn; /* a picture was asked for */
} recording;

/* The size of a picture in pixels. The built-in games' pictures are always good; a plugin's need
 * not be. */
static qg_status check_picture(const recording *r, const qg_domain *domain,
                               const qg_picture *picture, size_t *size, qg_error *error)
{
    const bool first = !r->pixels;
    if (picture->height < 1 || picture->width < 1 || picture->colors < 1 || picture->colors > 256 ||
        !picture->pixels || !picture->palette ||
        (!first && (picture->height != r->film.height || picture->width != r->film.width ||
                    picture->colors != r->film.colors ||
                    memcmp(picture->palette, r->palette, (size_t)picture->colors * 3) != 0)))
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: its picture of %dx%d pixels in %d colours cannot be compared (1 to 256 "
                       "colours, every picture of the same size and palette)",
                       domain->name, picture->height, picture->width, picture->colors);
    *size = (size_t)picture->height * (size_t)picture->width;
    if (*size > MOST_BYTES / (size_t)r->frames)
        return qg_fail(error, QG_ERROR_USAGE, "%s: %lld frames of %dx%d pixels are more than 1 GB",
                       domain->name, (long long)r->frames, picture->height, picture->width);
    return QG_OK;
}

static qg_status allocate(recording *r, const qg_picture *picture, size_t size, qg_error *error)
{
    const size_t count = (size_t)r->frames;
    r->pixels = malloc(count * size);
    r->begins = malloc(count * sizeof *r->begins);
    if (!r->pixels || !r->begins) return qg_fail_memory(error, "the frames", count * size);
    memcpy(r->palette, picture->palette, (size_t)picture->colors * 3);
    r->film = (qg_film){.height = picture->height,
                        .width = picture->width,
                        .count = count,
                        .frames = r->pixels,
                        .begins = r->begins,
                        .palette = (const uint8_t(*)[3])r->palette,
                        .colors = picture->colors};
    return QG_OK;
}

static qg_status record(void *context, qg_domain *domain, int64_t step, const uint8_t *observation,
                        qg_error *error)
{
    (void)observation;
    recording *r = context;
    if (step < 0) {
        r->begun = true;
        return QG_OK;
    }
    r->drawn = true;
    if (!qg_domain_has_picture(domain))
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: has no pictures of itself, so that its looks cannot be compared",
                       domain->name);
    qg_picture picture;
    qg_domain_picture(domain, &picture);
    size_t size = 0;
    qg_status status = check_picture(r, domain, &picture, &size, error);
    if (!status && step == 0) status = allocate(r, &picture, size, error);
    if (status) return status;
    memcpy(r->pixels + (size_t)step * size, picture.pixels, size);
    r->begins[step] = r->begun;
    r->begun = false;
    return QG_OK;
}

qg_status qg_profile_play(const char *domain, int64_t frames, uint32_t seed,
                          const qg_play_watch *watch, qg_profile *profile, bool *drawn,
                          qg_error *error)
{
    assert(2 <= frames && frames <= QG_SIMILARITY_MOST_FRAMES);
    *profile = (qg_profile){.frames = frames};
    *drawn = false;
    qg_status status = qg_domain_resolve(domain, &profile->game, profile->domain, error);
    if (status) return status;
    recording r = {.frames = frames};
    status = qg_random_play(profile->domain, frames, seed, watch, record, &r, error);
    *drawn = r.drawn;
    if (!status) status = qg_appearance_measure(&r.film, &profile->appearance, error);
    free(r.pixels);
    free(r.begins);
    return status;
}

qg_status qg_profile_create(const char *domain, int64_t frames, uint32_t seed, qg_profile *profile,
                            qg_error *error)
{
    bool drawn;
    return qg_profile_play(domain, frames, seed, NULL, profile, &drawn, error);
}

void qg_profile_free(qg_profile *profile)
{
    qg_appearance_free(&profile->appearance);
}

/* ------------------------------------------------------------------------------- comparing */

static bool has_action(const qg_game *game, const char *name)
{
    for (int i = 0; i < game->action_count; i++)
        if (strcmp(game->actions[i], name) == 0) return true;
    return false;
}

static double jaccard(const qg_game *a, const qg_game *b)
{
    int shared = 0;
    for (int i = 0; i < a->action_count; i++)
        shared += has_action(b, a->actions[i]);
    return (double)shared / (double)(a->action_count + b->action_count - shared);
}

static bool same_actions(const qg_game *a, const qg_game *b)
{
    if (a->action_count != b->action_count) return false;
    for (int i = 0; i < a->action_count; i++)
        if (strcmp(a->actions[i], b->actions[i]) != 0) return false;
    return true;
}

/* 1 - 1/k where one share is k times the other. */
static double factor_distance(double a, double b)
{
    const double larger = fmax(a, b);
    return larger > 0 ? 1 - fmin(a, b) / larger : 0;
}

void qg_similarity_compare(const qg_profile *a, const qg_profile *b, qg_similarity *s)
{
    const qg_appearance *x = &a->appearance, *y = &b->appearance;
    *s = (qg_similarity){
        .actions = jaccard(a->game, b->game),
        .same_actions = same_actions(a->game, b->game),
        .same_family = strcmp(a->game->family, b->game->family) == 0,
        .colour_distance = qg_jensen_shannon_distance(x->colours, y->colours, QG_COLOUR_BINS),
        .size_distance = qg_log_distance(&x->sizes, &y->sizes),
        .aspect_distance = qg_log_distance(&x->aspects, &y->aspects),
        .motion_distance = factor_distance(x->moving, y->moving),
    };
    s->visual =
        1 - (s->colour_distance + s->size_distance + s->aspect_distance + s->motion_distance) / 4;
    s->grade = (s->actions + (s->same_family ? 1 : 0) + s->visual) / 3;
    s->closeness = QG_FAR;
    if (s->same_family && s->actions >= 0.5) s->closeness = QG_CLOSE;
    if (a->game == b->game) s->closeness = QG_IN_DOMAIN;
}

const char *qg_closeness_name(qg_closeness closeness)
{
    static const char *const names[] = {"in-domain", "close", "far"};
    return names[closeness];
}
