/* Environments of Gymnasium as domains: an episode is a game, seeded by its number, and a saved
 * game is the actions that were played since its beginning. */
#include "domain/gym/gym.h"

#include "domain/gym/gym_game.h"
#include "domain/gym/gym_name.h"
#include "domain/played.h"

#include "base/json_text.h"
#include "base/random.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { PAGE = 4096, MOST_SIDE = 4096 /* of a picture */, COLOURS = 256 };

typedef struct gym {
    const qg_gym_game *game;
    qg_domain *domain; /* whose this is */
    qg_worker *worker;
    uint32_t seed;
    int noop;         /* the action of that name; QG_NOOP: it has none */
    uint32_t episode; /* that is played, from 1; 0: none has been begun */
    bool begun;       /* an episode, in this process */
    bool over;        /* it has ended */
    qg_played played; /* its actions so far, one a step */
    uint32_t crc;     /* of its observations, rewards and ends so far */
    size_t size;
    uint8_t *observation; /* the newest */
    uint8_t *pixels;      /* of the last picture */
    int height, width;
    uint8_t palette[COLOURS][3];
    qg_error trouble; /* of the last picture; QG_OK: none */
    double own;       /* seconds that the environment itself took for steps */
} gym;

/* What went wrong, and when. */
static qg_status blame(const gym *g, qg_status code, const qg_error *inner, qg_error *error)
{
    return qg_fail(error, code == QG_ERROR_USAGE ? QG_ERROR_DATA : code,
                   "%s: step %zu of episode %" PRIu32 ": %s", g->game->name, g->played.count,
                   g->episode, inner->message);
}

static qg_status ask(const gym *g, qg_worker_request what, int32_t argument, qg_worker_reply *reply,
                     qg_error *error)
{
    qg_error inner;
    const qg_status status = qg_worker_ask(g->worker, what, argument, NULL, reply, &inner);
    return status ? blame(g, status, &inner, error) : QG_OK;
}

/* The observation that the worker has written, checked. */
static qg_status take_observation(gym *g, qg_error *error)
{
    qg_error inner;
    const uint8_t *memory;
    const qg_status status = qg_worker_map(g->worker, g->size, false, &memory, &inner);
    if (status) return blame(g, status, &inner, error);
    memcpy(g->observation, memory, g->size);
    const qg_observation_shape *const shape = &g->game->game.shape;
    const float *const values = (const float *)(const void *)g->observation;
    size_t i = 0;
    if (qg_observation_is_vector(shape)) {
        while (i < g->size / sizeof *values && isfinite(values[i]))
            i++;
        if (i == g->size / sizeof *values) return QG_OK;
        qg_fail(&inner, QG_ERROR_DATA, "observation[%zu] is %s", i,
                isnan(values[i]) ? "NaN" : "infinite, or more than a float32 can hold");
    } else {
        if (!qg_observation_is_grid(shape)) return QG_OK;
        while (i < g->size && g->observation[i] <= 1)
            i++;
        if (i == g->size) return QG_OK;
        qg_fail(&inner, QG_ERROR_DATA, "observation[%zu] is %d; its space says 0 or 1", i,
                g->observation[i]);
    }
    return blame(g, QG_ERROR_DATA, &inner, error);
}

static void add_to_crc(gym *g, const qg_step *frame)
{
    const uint8_t end = (uint8_t)(frame->end | frame->truncated << 1);
    g->crc = (uint32_t)crc32_z(g->crc, g->observation, g->size);
    g->crc = (uint32_t)crc32_z(g->crc, (const uint8_t *)&frame->reward, sizeof frame->reward);
    g->crc = (uint32_t)crc32_z(g->crc, &end, 1);
}

/* Of an episode: the same wherever and how often it is begun. */
static int32_t seed_of(const gym *g)
{
    qg_random random = qg_random_stream((uint64_t)g->episode << 32 | g->seed, "gymnasium episode");
    return (int32_t)(qg_random_u64(&random) & 0x7fffffff);
}

static qg_status begin(gym *g, qg_error *error)
{
    static const qg_step none = {0};
    qg_worker_reply reply;
    g->played.count = 0;
    g->crc = 0;
    g->over = false;
    qg_status status = ask(g, QG_WORKER_RESET, seed_of(g), &reply, error);
    g->begun = !status;
    if (!status) status = take_observation(g, error);
    if (!status) add_to_crc(g, &none);
    return status;
}

static qg_status report_trouble(gym *g, qg_error *error)
{
    if (!g->trouble.code) return QG_OK;
    *error = g->trouble;
    g->trouble.code = QG_OK;
    return error->code;
}

static qg_status start(void *self, qg_error *error)
{
    gym *g = self;
    const qg_status status = report_trouble(g, error);
    if (status) return status;
    g->domain->lost = false;
    g->episode++;
    return begin(g, error);
}

static qg_status step(gym *g, int action, qg_step *frame, qg_error *error)
{
    qg_worker_reply reply;
    qg_status status = qg_played_add(&g->played, (uint8_t)action, error);
    if (!status) status = ask(g, QG_WORKER_STEP, action, &reply, error);
    if (!status) status = take_observation(g, error);
    if (status) return status;
    g->own += reply.nanoseconds * 1e-9;
    frame->reward = (float)reply.reward;
    frame->end = reply.flags & QG_WORKER_END;
    frame->truncated = !frame->end && reply.flags & QG_WORKER_TRUNCATED;
    if (!isfinite(frame->reward)) {
        qg_error inner;
        qg_fail(&inner, QG_ERROR_DATA, "the reward is %s",
                isnan(reply.reward) ? "NaN" : "infinite, or more than a float32 can hold");
        return blame(g, QG_ERROR_DATA, &inner, error);
    }
    g->over = frame->end || frame->truncated;
    add_to_crc(g, frame);
    return QG_OK;
}

/* An environment without a "noop" stands still in a frame without action. */
static qg_status play(void *self, int action, qg_step *frame, qg_error *error)
{
    gym *g = self;
    const qg_status status = report_trouble(g, error);
    if (action == QG_NOOP) action = g->noop;
    return status || action == QG_NOOP ? status : step(g, action, frame, error);
}

static qg_status observe(void *self, uint8_t *observation, qg_error *error)
{
    gym *g = self;
    memcpy(observation, g->observation, g->size);
    return report_trouble(g, error);
}

/* ------------------------------------------------------------------------------------ saved games
 */

typedef struct saved_episode {
    uint32_t episode, crc; /* crc 0: it has ended */
    uint32_t losses, unused;
    uint64_t steps; /* whose actions follow */
} saved_episode;

static qg_status save(void *self, uint8_t **state, size_t *size, qg_error *error)
{
    const gym *g = self;
    const size_t steps = g->over ? 0 : g->played.count; /* one that has ended is not gone on with */
    const saved_episode head = {.episode = g->episode,
                                .crc = g->over ? 0 : g->crc,
                                .losses = (uint32_t)g->domain->losses,
                                .steps = steps};
    *size = sizeof head + steps;
    *state = malloc(*size);
    if (!*state) return qg_fail_memory(error, "a saved game", *size);
    memcpy(*state, &head, sizeof head);
    if (steps > 0) memcpy(*state + sizeof head, g->played.actions, steps);
    return QG_OK;
}

/* Plays the actions; *same: they brought what they brought before. An environment that raises now
 * is another than before, but no failure as long as its process lives. */
static qg_status play_again(gym *g, const saved_episode *head, const uint8_t *actions, bool *same,
                            qg_error *error)
{
    qg_status status = begin(g, error);
    for (uint64_t i = 0; i < head->steps && !status && !g->over; i++) {
        qg_step frame = {0};
        status = step(g, actions[i], &frame, error);
    }
    *same = !status && !g->over && g->crc == head->crc;
    return status == QG_ERROR_DATA && qg_worker_lives(g->worker) ? QG_OK : status;
}

static qg_status restore(void *self, const uint8_t *state, size_t size, qg_error *error)
{
    gym *g = self;
    saved_episode head = {0};
    bool good = size >= sizeof head;
    if (good) memcpy(&head, state, sizeof head);
    good = good && head.steps == size - sizeof head && (head.episode > 0 || head.steps == 0) &&
           head.losses < INT32_MAX;
    for (size_t i = sizeof head; i < size && good; i++)
        good = state[i] < g->game->game.action_count;
    if (!good)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: the saved game holds values that play cannot reach", g->game->name);
    g->episode = head.episode;
    g->domain->losses = (int)head.losses;
    g->over = head.crc == 0; /* also before the first one */
    g->domain->lost = false;
    if (g->over) return QG_OK;
    bool same;
    const qg_status status = play_again(g, &head, state + sizeof head, &same, error);
    if (status) return status;
    g->domain->lost = !same;
    g->domain->losses += g->domain->lost;
    return QG_OK;
}

/* -------------------------------------------------------------------------------------- pictures
 */

/* Red and green in 8 levels, blue in 4. */
static void make_palette(uint8_t palette[COLOURS][3])
{
    for (int i = 0; i < COLOURS; i++) {
        palette[i][0] = (uint8_t)((i >> 5) * 255 / 7);
        palette[i][1] = (uint8_t)((i >> 2 & 7) * 255 / 7);
        palette[i][2] = (uint8_t)((i & 3) * 255 / 3);
    }
}

static uint8_t colour_of(const uint8_t rgb[3])
{
    return (uint8_t)((rgb[0] * 7 + 127) / 255 << 5 | (rgb[1] * 7 + 127) / 255 << 2 |
                     (rgb[2] * 3 + 127) / 255);
}

static qg_status read_size(const gym *g, const qg_worker_reply *reply, int *height, int *width,
                           qg_error *error)
{
    qg_error ignored;
    json_t *told = qg_json_parse("the picture", reply->text, reply->size, &ignored);
    const json_int_t h = json_integer_value(json_object_get(told, "height"));
    const json_int_t w = json_integer_value(json_object_get(told, "width"));
    json_decref(told);
    if (h < 1 || h > MOST_SIDE || w < 1 || w > MOST_SIDE)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: its process says something impossible of its picture", g->game->name);
    *height = (int)h;
    *width = (int)w;
    return QG_OK;
}

static qg_status draw(gym *g, qg_error *error)
{
    qg_worker_reply reply;
    int height, width;
    const uint8_t *memory;
    if (!g->begun) { /* the first game has the same beginning when it is begun again */
        const uint32_t episode = g->episode;
        g->episode = episode ? episode : 1;
        const qg_status begun = begin(g, error);
        g->episode = episode;
        g->over = true; /* one that is saved now has not begun, or has ended */
        if (begun) return begun;
    }
    qg_status status = ask(g, QG_WORKER_PICTURE, 0, &reply, error);
    if (!status) status = read_size(g, &reply, &height, &width, error);
    if (status) return status;
    const size_t at = (g->size + PAGE - 1) / PAGE * PAGE, count = (size_t)height * (size_t)width;
    status = qg_worker_map(g->worker, at + 3 * count, false, &memory, error);
    uint8_t *const pixels = status ? NULL : realloc(g->pixels, count);
    if (!status && !pixels) status = qg_fail_memory(error, "a picture", count);
    if (status) return status;
    for (size_t i = 0; i < count; i++)
        pixels[i] = colour_of(memory + at + 3 * i);
    g->pixels = pixels;
    g->height = height;
    g->width = width;
    return QG_OK;
}

/* What goes wrong is said by the next call that can fail. */
static void picture(void *self, qg_picture *result)
{
    static const uint8_t black = 0;
    gym *g = self;
    if (!g->trouble.code && draw(g, &g->trouble) == QG_OK) g->trouble.code = QG_OK;
    *result = (qg_picture){.height = g->pixels ? g->height : 1,
                           .width = g->pixels ? g->width : 1,
                           .pixels = g->pixels ? g->pixels : &black,
                           .palette = (const uint8_t(*)[3])g->palette,
                           .colors = COLOURS};
}

/* ------------------------------------------------------------------------------- open and close */

static void destroy(void *self)
{
    gym *g = self;
    if (g->worker) qg_gym_close(g->game, g->worker);
    qg_played_free(&g->played);
    free(g->observation);
    free(g->pixels);
    free(g);
}

static const qg_domain_class without_pictures = {.destroy = destroy,
                                                 .start = start,
                                                 .play = play,
                                                 .observe = observe,
                                                 .save = save,
                                                 .restore = restore};

static const qg_domain_class with_pictures = {.destroy = destroy,
                                              .start = start,
                                              .play = play,
                                              .observe = observe,
                                              .save = save,
                                              .restore = restore,
                                              .picture = picture};

static qg_status create(qg_domain *domain, const qg_variant *variant,
                        const qg_domain_options *options, qg_error *error)
{
    (void)variant;
    const qg_gym_game *game = (const qg_gym_game *)domain->game; /* its first member */
    gym *g = calloc(1, sizeof *g);
    if (!g) return qg_fail_memory(error, "a game", sizeof *g);
    *g = (gym){.game = game,
               .domain = domain,
               .seed = options->seed,
               .noop = QG_NOOP,
               .over = true,
               .size = qg_observation_size(&domain->shape)};
    for (int i = 0; i < domain->action_count; i++)
        if (strcmp(domain->actions[i], "noop") == 0) g->noop = i;
    make_palette(g->palette);
    g->observation = malloc(g->size);
    qg_status status = g->observation ? qg_gym_open(game, &g->worker, error)
                                      : qg_fail_memory(error, "an observation", g->size);
    const uint8_t *memory;
    if (!status) status = qg_worker_map(g->worker, g->size, true, &memory, error);
    if (status) {
        destroy(g);
        return status;
    }
    domain->methods = game->draws ? &with_pictures : &without_pictures;
    domain->self = g;
    return QG_OK;
}

double qg_gym_seconds(const qg_domain *domain)
{
    const bool is_gym = domain->methods == &with_pictures || domain->methods == &without_pictures;
    return is_gym ? ((const gym *)domain->self)->own : -1;
}

/* None is known before it is named. */
static const qg_game *listed(size_t index)
{
    (void)index;
    return NULL;
}

const qg_domain_provider qg_gym_provider = {.prefix = QG_GYM_PREFIX,
                                            .game = listed,
                                            .resolve = qg_gym_resolve,
                                            .create = create,
                                            .release = qg_gym_release};
