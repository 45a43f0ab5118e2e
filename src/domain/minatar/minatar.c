/* The domain `minatar/GAME`: the package's `Environment` (sticky actions, one generator for all
 * draws) behind qgraft's interface, and the list of its games. */
#include "domain/minatar/minatar.h"

#include "domain/provider.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define DEFAULT_STICKY 0.1

static const qg_minatar_rules *const games[] = {&qg_minatar_asterix, &qg_minatar_breakout,
                                                &qg_minatar_freeway, &qg_minatar_seaquest,
                                                &qg_minatar_space_invaders};
enum { GAMES = sizeof games / sizeof *games };

/* What the games call the action codes. */
static const char *const code_names[QG_MINATAR_CODES] = {
    [QG_MINATAR_NONE] = "noop",   [QG_MINATAR_LEFT] = "left", [QG_MINATAR_UP] = "up",
    [QG_MINATAR_RIGHT] = "right", [QG_MINATAR_DOWN] = "down", [QG_MINATAR_FIRE] = "fire"};

/* All that an episode's future depends on, beside the game's own state. */
typedef struct progress {
    int32_t last;  /* the action code that was played last; outlives the episode */
    int32_t ended; /* 1: the game is over, only reset starts it again */
    qg_numpy_random random;
} progress;

typedef struct minatar {
    const qg_minatar_rules *rules;
    int codes[QG_MINATAR_CODES]; /* of the action indices */
    double sticky;
    int frame_skip;
    int level;
    uint8_t pixels[QG_MINATAR_SIDE * QG_MINATAR_SIDE]; /* the picture that was asked for last */
    progress progress;
    max_align_t state[]; /* rules->state_size bytes */
} minatar;

static void observe(const minatar *self, uint8_t *observation)
{
    memset(observation, 0, qg_observation_size(&self->rules->game.shape));
    self->rules->observe(self->state, observation);
}

static void start_episode(minatar *self)
{
    self->rules->reset(self->state, self->level - 1, &self->progress.random);
    self->progress.ended = 0;
}

/* The sticky draw is made in every act, also where it cannot matter. */
static float act(minatar *self, int code)
{
    progress *p = &self->progress;
    if (qg_numpy_rand(&p->random) < self->sticky) code = p->last;
    p->last = code;
    if (p->ended) return 0;
    bool terminal = false;
    const int reward = self->rules->act(self->state, code, &p->random, &terminal);
    p->ended = terminal;
    return (float)reward;
}

static void destroy(void *object)
{
    free(object);
}

/* A new domain is at the start of an episode already, so only an episode that is over draws. */
static qg_status reset(void *object, int noops, uint8_t *observation, qg_error *error)
{
    (void)error;
    minatar *self = object;
    if (self->progress.ended) start_episode(self);
    for (int i = 0; i < noops; i++) {
        act(self, QG_MINATAR_NONE);
        if (self->progress.ended) start_episode(self);
    }
    observe(self, observation);
    return QG_OK;
}

static qg_status step(void *object, int action, qg_step *result, uint8_t *observation,
                      qg_error *error)
{
    (void)error;
    minatar *self = object;
    int acts = self->frame_skip;
    *result = (qg_step){0};
    do
        result->reward += act(self, self->codes[action]);
    while (--acts > 0 && !self->progress.ended);
    result->end = self->progress.ended;
    observe(self, observation);
    return QG_OK;
}

/* A saved state: this header, the game's state, and the CRC-32 of both. */
typedef struct saved_header {
    char magic[8];
    char game[24];
    int32_t level;
    uint32_t state_size;
    progress progress;
} saved_header;

static const char saved_magic[8] = "QGMINA1";

static const char *short_name(const minatar *self)
{
    return self->rules->game.name + strlen(QG_MINATAR_PREFIX);
}

static uint32_t checksum(const uint8_t *data, size_t size)
{
    return (uint32_t)crc32_z(0, data, size);
}

static size_t saved_size(const minatar *self)
{
    return sizeof(saved_header) + self->rules->state_size + sizeof(uint32_t);
}

static qg_status save(void *object, uint8_t **state, size_t *size, qg_error *error)
{
    const minatar *self = object;
    const size_t total = saved_size(self), state_size = self->rules->state_size;
    uint8_t *data = malloc(total);
    if (!data) return qg_fail_memory(error, "a saved game", total);

    saved_header header = {
        .level = self->level, .state_size = (uint32_t)state_size, .progress = self->progress};
    memcpy(header.magic, saved_magic, sizeof header.magic);
    strcpy(header.game, short_name(self));
    memcpy(data, &header, sizeof header);
    memcpy(data + sizeof header, self->state, state_size);
    const uint32_t crc = checksum(data, total - sizeof crc);
    memcpy(data + total - sizeof crc, &crc, sizeof crc);

    *state = data;
    *size = total;
    return QG_OK;
}

/* Everything is checked before anything is changed: a refused state leaves the game as it was. The
 * checks behind the checksum are for states that were not damaged but made. */
static qg_status restore(void *object, const uint8_t *state, size_t size, qg_error *error)
{
    minatar *self = object;
    const char *name = short_name(self);
    saved_header header;
    uint32_t crc;

    if (size < sizeof header + sizeof crc || memcmp(state, saved_magic, sizeof saved_magic) != 0)
        return qg_fail(error, QG_ERROR_DATA, "minatar/%s: this is not a saved MinAtar game", name);
    memcpy(&crc, state + size - sizeof crc, sizeof crc);
    if (crc != checksum(state, size - sizeof crc))
        return qg_fail(error, QG_ERROR_DATA,
                       "minatar/%s: the saved game is damaged (wrong checksum)", name);

    memcpy(&header, state, sizeof header);
    header.game[sizeof header.game - 1] = '\0';
    if (strcmp(header.game, name) != 0)
        return qg_fail(error, QG_ERROR_DATA, "minatar/%s: the saved game is of minatar/%s", name,
                       header.game);
    if (header.level != self->level)
        return qg_fail(error, QG_ERROR_DATA,
                       "minatar/%s: the saved game is of level %d, not of level %d", name,
                       (int)header.level, self->level);
    if (size != saved_size(self) || header.state_size != self->rules->state_size)
        return qg_fail(error, QG_ERROR_DATA,
                       "minatar/%s: the saved game has %zu bytes instead of %zu", name, size,
                       saved_size(self));

    max_align_t candidate[8192 / sizeof(max_align_t)];
    assert(header.state_size <= sizeof candidate);
    memcpy(candidate, state + sizeof header, header.state_size);
    const progress *p = &header.progress;
    if (!qg_minatar_within(p->last, 0, QG_MINATAR_CODES - 1) ||
        !qg_minatar_within(p->ended, 0, 1) || p->random.position > QG_NUMPY_WORDS ||
        !self->rules->valid(candidate, p->ended))
        return qg_fail(error, QG_ERROR_DATA,
                       "minatar/%s: the saved game holds values that play cannot reach", name);

    self->progress = header.progress;
    memcpy(self->state, candidate, header.state_size);
    return QG_OK;
}

static void picture(void *object, qg_picture *result)
{
    minatar *self = object;
    const int channels = self->rules->game.shape.channels;
    uint8_t observation[QG_MINATAR_SIDE * QG_MINATAR_SIDE * QG_MINATAR_MAX_CHANNELS];
    observe(self, observation);
    memset(self->pixels, 0, sizeof self->pixels);
    for (size_t cell = 0; cell < sizeof self->pixels; cell++)
        for (int i = 0; i < channels; i++) {
            const uint8_t channel = self->rules->drawing_order[i];
            if (observation[cell * (size_t)channels + channel])
                self->pixels[cell] = (uint8_t)(1 + channel);
        }
    *result = (qg_picture){.height = QG_MINATAR_SIDE,
                           .width = QG_MINATAR_SIDE,
                           .pixels = self->pixels,
                           .palette = self->rules->palette,
                           .colors = 1 + channels};
}

static const qg_domain_class minatar_class = {
    .destroy = destroy,
    .reset = reset,
    .step = step,
    .save = save,
    .restore = restore,
    .picture = picture,
    .ram = NULL,
};

static const qg_game *game_at(size_t index)
{
    return index < GAMES ? &games[index]->game : NULL;
}

static const qg_minatar_rules *find_rules(const qg_game *game)
{
    size_t i = 0;
    while (&games[i]->game != game)
        i++;
    assert(i < GAMES);
    return games[i];
}

static void find_codes(minatar *self)
{
    const qg_game *game = &self->rules->game;
    for (int i = 0; i < game->action_count; i++)
        while (strcmp(code_names[self->codes[i]], game->actions[i]) != 0)
            self->codes[i]++;
}

/* Equals the package's: construct, seed(options->seed), reset(). */
static qg_status create(qg_domain *domain, const qg_variant *variant,
                        const qg_domain_options *options, qg_error *error)
{
    if (options->frame_skip < 0)
        return qg_fail(error, QG_ERROR_USAGE, "%s: frame_skip is %d; it must be 0 or more",
                       domain->game->name, options->frame_skip);
    if (!(options->sticky <= 1))
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: sticky is %g; it must be a probability, or negative for the default",
                       domain->game->name, options->sticky);

    const qg_minatar_rules *rules = find_rules(domain->game);
    minatar *self = calloc(1, sizeof *self + rules->state_size);
    if (!self) return qg_fail_memory(error, "a game", sizeof *self + rules->state_size);
    self->rules = rules;
    self->sticky = options->sticky < 0 ? DEFAULT_STICKY : options->sticky;
    self->frame_skip = options->frame_skip;
    self->level = variant->level;
    find_codes(self);
    qg_numpy_seed(&self->progress.random, options->seed);
    start_episode(self);

    domain->methods = &minatar_class;
    domain->self = self;
    return QG_OK;
}

const qg_domain_provider qg_minatar_provider = {
    .prefix = QG_MINATAR_PREFIX, .game = game_at, .create = create};
