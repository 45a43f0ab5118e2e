/* The domain `minatar/GAME`: the package's `Environment` (sticky actions, one generator for all
 * draws) behind qgraft's interface, and the list of its games. */
#include "domain/minatar/minatar.h"

#include "domain/provider.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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
    int level;
    uint8_t pixels[QG_MINATAR_SIDE * QG_MINATAR_SIDE]; /* the picture that was asked for last */
    progress progress;
    max_align_t state[]; /* rules->state_size bytes */
} minatar;

static void destroy(void *object)
{
    free(object);
}

static qg_status start(void *object, qg_error *error)
{
    (void)error;
    minatar *self = object;
    self->rules->reset(self->state, self->level - 1, &self->progress.random);
    self->progress.ended = 0;
    return QG_OK;
}

/* The sticky draw is made in every act, also where it cannot matter. */
static qg_status play(void *object, int action, qg_step *frame, qg_error *error)
{
    (void)error;
    minatar *self = object;
    progress *p = &self->progress;
    int code = action == QG_NOOP ? QG_MINATAR_NONE : self->codes[action];
    if (qg_numpy_rand(&p->random) < self->sticky) code = p->last;
    p->last = code;
    if (!p->ended) {
        frame->reward = (float)self->rules->act(self->state, code, &p->random, &frame->end);
        p->ended = frame->end;
    }
    frame->end = p->ended;
    return QG_OK;
}

static qg_status observe(void *object, uint8_t *observation, qg_error *error)
{
    (void)error;
    const minatar *self = object;
    memset(observation, 0, qg_observation_size(&self->rules->game.shape));
    self->rules->observe(self->state, observation);
    return QG_OK;
}

/* A saved state: this header and the game's state. */
typedef struct minatar_header {
    int32_t level;
    uint32_t state_size;
    progress progress;
} minatar_header;

static size_t saved_size(const minatar *self)
{
    return sizeof(minatar_header) + self->rules->state_size;
}

static qg_status save(void *object, uint8_t **state, size_t *size, qg_error *error)
{
    const minatar *self = object;
    const size_t total = saved_size(self), state_size = self->rules->state_size;
    uint8_t *data = malloc(total);
    if (!data) return qg_fail_memory(error, "a saved game", total);
    const minatar_header header = {
        .level = self->level, .state_size = (uint32_t)state_size, .progress = self->progress};
    memcpy(data, &header, sizeof header);
    memcpy(data + sizeof header, self->state, state_size);
    *state = data;
    *size = total;
    return QG_OK;
}

/* Everything is checked before anything is changed: a refused state leaves the game as it was. The
 * checks are for states that were not damaged but made. */
static qg_status restore(void *object, const uint8_t *state, size_t size, qg_error *error)
{
    minatar *self = object;
    const char *name = self->rules->game.name;
    minatar_header header;
    if (size != saved_size(self))
        return qg_fail(error, QG_ERROR_DATA, "%s: the saved game has %zu bytes instead of %zu",
                       name, size, saved_size(self));
    memcpy(&header, state, sizeof header);
    max_align_t candidate[8192 / sizeof(max_align_t)];
    assert(self->rules->state_size <= sizeof candidate);
    memcpy(candidate, state + sizeof header, self->rules->state_size);
    const progress *p = &header.progress;
    if (header.level != self->level || header.state_size != self->rules->state_size ||
        !qg_minatar_within(p->last, 0, QG_MINATAR_CODES - 1) ||
        !qg_minatar_within(p->ended, 0, 1) || p->random.position > QG_NUMPY_WORDS ||
        !self->rules->valid(candidate, p->ended))
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: the saved game holds values that play cannot reach", name);

    self->progress = header.progress;
    memcpy(self->state, candidate, header.state_size);
    return QG_OK;
}

static void picture(void *object, qg_picture *result)
{
    minatar *self = object;
    const int channels = self->rules->game.shape.channels;
    uint8_t observation[QG_MINATAR_SIDE * QG_MINATAR_SIDE * QG_MINATAR_MAX_CHANNELS];
    qg_error ignored;
    observe(self, observation, &ignored);
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
    .start = start,
    .play = play,
    .observe = observe,
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

static const char *const *actions_of(const qg_game *game, qg_action_set set, int *count)
{
    (void)game;
    *count = QG_MINATAR_CODES;
    return set == QG_ACTIONS_FULL ? code_names : NULL;
}

static void find_codes(minatar *self, const qg_domain *domain)
{
    for (int i = 0; i < domain->action_count; i++)
        while (strcmp(code_names[self->codes[i]], domain->actions[i]) != 0)
            self->codes[i]++;
}

/* The first start makes it equal the package's: construct, seed(options->seed), reset(). Before it
 * the game is over, on a board that would be one. */
static qg_status create(qg_domain *domain, const qg_variant *variant,
                        const qg_domain_options *options, qg_error *error)
{
    const qg_minatar_rules *rules = find_rules(domain->game);
    minatar *self = calloc(1, sizeof *self + rules->state_size);
    if (!self) return qg_fail_memory(error, "a game", sizeof *self + rules->state_size);
    self->rules = rules;
    self->sticky = options->sticky < 0 ? DEFAULT_STICKY : options->sticky;
    self->level = variant->level;
    find_codes(self, domain);
    qg_numpy_seed(&self->progress.random, options->seed);
    qg_numpy_random some = self->progress.random;
    rules->reset(self->state, self->level - 1, &some);
    self->progress.ended = 1;

    domain->methods = &minatar_class;
    domain->self = self;
    return QG_OK;
}

const qg_domain_provider qg_minatar_provider = {.prefix = QG_MINATAR_PREFIX,
                                                .game = game_at,
                                                .actions = actions_of,
                                                .create = create,
                                                .plays_sticky = true};
