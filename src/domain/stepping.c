/* From frames to steps, for all domains alike: sticky actions, skipped frames, no-ops, the limit of
 * a game's frames, and saved states. */
#include "domain/stepping.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MAX_FRAME_SKIP = 1000 };

/* Xitari's maxFrames(): of Pong, and of all other games (8 hours of 60 frames a second). */
static int64_t xitari_limit(const qg_game *game)
{
    return strcmp(game->name, "pong") == 0 ? 65000 : INT64_C(8) * 60 * 60 * 60;
}

static int64_t limit_of(const qg_game *game, int64_t option)
{
    if (option == QG_XITARI_LIMIT) return xitari_limit(game);
    return option > 0 ? option : INT64_MAX;
}

qg_status qg_stepping_begin(qg_open_domain *d, const qg_domain_provider *provider,
                            const qg_domain_options *options, qg_error *error)
{
    const char *const name = d->domain.name;
    if (options->frame_skip < 0 || options->frame_skip > MAX_FRAME_SKIP)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: frame_skip is %d; it must be 1 to %d, or 0 for the default", name,
                       options->frame_skip, MAX_FRAME_SKIP);
    if (!(options->sticky <= 1)) /* NaN too */
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: sticky is %g; it must be a probability, or negative for the default",
                       name, options->sticky);
    if (options->max_episode_frames < QG_XITARI_LIMIT)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: max_episode_frames is %" PRId64 "; it must be 1 or more, or 0 for none",
                       name, options->max_episode_frames);
    const int usual_skip = provider->frame_skip ? provider->frame_skip : 1;
    d->frame_skip = options->frame_skip ? options->frame_skip : usual_skip;
    d->sticky = provider->plays_sticky || options->sticky < 0 ? 0 : options->sticky;
    d->break_on_life = options->break_on_life;
    d->max_frames = limit_of(d->domain.game, options->max_episode_frames);
    d->stepping = (qg_stepping){
        .last = QG_NOOP, .over = 1, .random = qg_random_stream(options->seed, "sticky")};
    return QG_OK;
}

static qg_open_domain *opened(qg_domain *domain)
{
    return (qg_open_domain *)domain;
}

static qg_status start(qg_open_domain *d, qg_error *error)
{
    const qg_status status = d->domain.methods->start(d->domain.self, error);
    d->domain.games++;
    d->stepping.frames = 0;
    d->stepping.last = QG_NOOP;
    d->stepping.over = status != QG_OK;
    return status;
}

/* One frame. With the probability `sticky` it repeats what the frame before has played, whatever
 * that was (Machado et al. 2018, section 4.2). */
static qg_status play_frame(qg_open_domain *d, int action, qg_step *frame, qg_error *error)
{
    qg_stepping *const s = &d->stepping;
    if (d->sticky > 0 && qg_random_uniform(&s->random) < d->sticky) action = s->last;
    s->last = action;
    *frame = (qg_step){0};
    const qg_status status = d->domain.methods->play(d->domain.self, action, frame, error);
    if (status) return status;
    s->frames++;
    frame->truncated = !frame->end && (frame->truncated || s->frames >= d->max_frames);
    s->over = frame->end || frame->truncated;
    return QG_OK;
}

qg_status qg_domain_reset(qg_domain *domain, int noops, uint8_t *observation, qg_error *error)
{
    assert(noops >= 0);
    qg_open_domain *const d = opened(domain);
    qg_status status = d->stepping.over ? start(d, error) : QG_OK;
    for (int i = 0; i < noops && !status; i++) {
        qg_step frame;
        status = play_frame(d, QG_NOOP, &frame, error);
        if (!status && d->stepping.over) status = start(d, error);
    }
    return status ? status : domain->methods->observe(domain->self, observation, error);
}

bool qg_domain_is_over(const qg_domain *domain)
{
    return ((const qg_open_domain *)domain)->stepping.over;
}

qg_status qg_domain_step(qg_domain *domain, int action, qg_step *step, uint8_t *observation,
                         qg_error *error)
{
    assert(action >= 0 && action < domain->action_count);
    qg_open_domain *const d = opened(domain);
    assert(!d->stepping.over);
    *step = (qg_step){0};
    for (int i = 0; i < d->frame_skip && !d->stepping.over; i++) {
        qg_step frame;
        const qg_status status = play_frame(d, action, &frame, error);
        if (status) return status;
        step->reward += frame.reward;
        step->life_lost |= frame.life_lost;
        step->end = frame.end;
        step->truncated = frame.truncated;
        if (d->break_on_life && step->life_lost) break;
    }
    return domain->methods->observe(domain->self, observation, error);
}

void qg_domain_abandon(qg_domain *domain)
{
    opened(domain)->stepping.over = 1;
}

/* ------------------------------------------------------------------------------ saved states */

/* A saved state: this, the game's own bytes, the CRC-32 of both. */
typedef struct saved_header {
    char magic[8];
    char name[QG_DOMAIN_NAME];
    int32_t action_count; /* of which `last` is one */
    int32_t unused;
    qg_stepping stepping;
} saved_header;

static const char magic[8] = "QGGAME1";

qg_status qg_domain_save(qg_domain *domain, uint8_t **state, size_t *size, qg_error *error)
{
    const qg_open_domain *const d = opened(domain);
    if (!domain->methods->save)
        return qg_fail(error, QG_ERROR_USAGE, "%s: its plugin cannot save a game", domain->name);
    uint8_t *own = NULL;
    size_t own_size = 0;
    const qg_status status = domain->methods->save(domain->self, &own, &own_size, error);
    if (status) return status;
    saved_header header = {.action_count = domain->action_count, .stepping = d->stepping};
    uint32_t crc;
    const size_t total = sizeof header + own_size + sizeof crc;
    uint8_t *const data = malloc(total);
    if (!data) {
        free(own);
        return qg_fail_memory(error, "a saved game", total);
    }
    memcpy(header.magic, magic, sizeof magic);
    memcpy(header.name, domain->name, strlen(domain->name));
    memcpy(data, &header, sizeof header);
    if (own_size > 0) memcpy(data + sizeof header, own, own_size);
    free(own);
    crc = (uint32_t)crc32_z(0, data, total - sizeof crc);
    memcpy(data + total - sizeof crc, &crc, sizeof crc);
    *state = data;
    *size = total;
    return QG_OK;
}

/* What stands behind the checksum: the values of a state that was not damaged but made. */
static qg_status check_values(const qg_domain *domain, const saved_header *header, qg_error *error)
{
    const qg_stepping *const s = &header->stepping;
    if (header->action_count != domain->action_count)
        return qg_fail(error, QG_ERROR_DATA, "%s: the saved game has %d actions, not %d",
                       domain->name, (int)header->action_count, domain->action_count);
    if (s->frames < 0 || s->last < QG_NOOP || s->last >= domain->action_count || s->over < 0 ||
        s->over > 1)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: the saved game holds values that play cannot reach", domain->name);
    return QG_OK;
}

static qg_status check_saved(const qg_domain *domain, const uint8_t *state, size_t size,
                             saved_header *header, qg_error *error)
{
    uint32_t crc;
    if (size < sizeof *header + sizeof crc || memcmp(state, magic, sizeof magic) != 0)
        return qg_fail(error, QG_ERROR_DATA, "%s: this is not a saved game of this qgraft",
                       domain->name);
    memcpy(&crc, state + size - sizeof crc, sizeof crc);
    if (crc != (uint32_t)crc32_z(0, state, size - sizeof crc))
        return qg_fail(error, QG_ERROR_DATA, "%s: the saved game is damaged (wrong checksum)",
                       domain->name);
    memcpy(header, state, sizeof *header);
    header->name[sizeof header->name - 1] = '\0';
    if (strcmp(header->name, domain->name) != 0)
        return qg_fail(error, QG_ERROR_DATA, "%s: the saved game is of %s", domain->name,
                       header->name);
    return check_values(domain, header, error);
}

qg_status qg_domain_restore(qg_domain *domain, const uint8_t *state, size_t size, qg_error *error)
{
    saved_header header;
    if (!domain->methods->restore)
        return qg_fail(error, QG_ERROR_USAGE, "%s: its plugin cannot restore a game", domain->name);
    qg_status status = check_saved(domain, state, size, &header, error);
    if (!status)
        status = domain->methods->restore(domain->self, state + sizeof header,
                                          size - sizeof header - sizeof(uint32_t), error);
    if (!status) opened(domain)->stepping = header.stepping;
    if (!status && domain->lost) opened(domain)->stepping.over = 1;
    return status;
}

/* ---------------------------------------------------------------------------------- pictures */

bool qg_domain_has_picture(const qg_domain *domain)
{
    return domain->methods->picture;
}

void qg_domain_picture(qg_domain *domain, qg_picture *picture)
{
    domain->methods->picture(domain->self, picture);
}

const uint8_t *qg_domain_ram(qg_domain *domain, size_t *size)
{
    *size = 0;
    return domain->methods->ram ? domain->methods->ram(domain->self, size) : NULL;
}
