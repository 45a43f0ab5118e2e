/* The domain `GAME`: the Atari 2600 emulator behind qgraft's interface. The agent sees the maximum
 * of the last two frames, as DQN 3.0's does.
 *
 * Every game begins on a machine as new as the first, from a seed of its own: it is a function of
 * the seed and the actions of its frames, which are kept. So a game is saved as these, and restored
 * by playing it again, which is exact for every game; the emulator's own states lack fields of
 * some. */
#include "domain/atari/ale.h"
#include "domain/atari/catalogue.h"
#include "domain/atari/rom.h"
#include "domain/atari/screen.h"
#include "domain/played.h"
#include "domain/provider.h"

#include "base/file.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { FRAME_SKIP = 4, JOYSTICK = 18 /* 9 directions, with and without fire */ };

/* The emulator's action codes are the places in this list. */
static const char *const action_names[JOYSTICK] = {
    "noop",     "fire",     "up",          "right",      "left",          "down",
    "upright",  "upleft",   "downright",   "downleft",   "upfire",        "rightfire",
    "leftfire", "downfire", "uprightfire", "upleftfire", "downrightfire", "downleftfire"};

typedef struct atari {
    const qg_ale *ale;
    qg_emulator *emulator;
    const char *name; /* of the domain, level and mode included; the domain's own */
    const qg_game *game;
    const qg_atari_detail *detail;
    int codes[JOYSTICK]; /* of the action indices */
    int level;
    size_t frame_size; /* bytes of a frame: height x 160 */

    uint32_t seed;    /* of this game; of the first the domain's */
    qg_random seeds;  /* of the games to come */
    bool started;     /* there has been a game */
    qg_played played; /* the action code of each frame */
    int lives;        /* after the last frame; always 0 in games without lives */
    int shown;        /* frames that the screen shows, at most 2 */
    uint8_t *last[2]; /* palette indices u8 [height][160]: the last frame and the one before */
    qg_screen screen;
} atari;

/* Keeps the emulator's screen as the last frame. Every frame's is kept, since any can be the last
 * of a step; that costs less than 1 us of about 80. */
static void keep_frame(atari *self)
{
    uint8_t *const oldest = self->last[1];
    self->last[1] = self->last[0];
    self->last[0] = oldest;
    memcpy(oldest, self->ale->screen(self->emulator), self->frame_size);
    if (self->shown < 2) self->shown++;
}

/* What must be done after every start of a game by the emulator. No mode or difficulty of Q*bert
 * starts on level 2, but RAM byte 0x63 counts the rounds (0-3 are level 1) and 0x39 follows it. */
static qg_status begin_game(atari *self, qg_error *error)
{
    qg_status status = QG_OK;
    if (self->level == 2) {
        status = self->ale->poke(self->emulator, 0x39, 4, error);
        if (!status) status = self->ale->poke(self->emulator, 0x63, 4, error);
    }
    qg_emulator_frame frame;
    self->ale->look(self->emulator, &frame);
    self->lives = frame.lives;
    self->played.count = 0;
    keep_frame(self);
    memset(self->last[1], 0, self->frame_size);
    self->shown = 0; /* the screen before the first frame is not mixed with it */
    self->started = true;
    return status;
}

static qg_status begin_game_of(atari *self, uint32_t seed, qg_error *error)
{
    const qg_status status = self->ale->restart(self->emulator, seed, error);
    self->seed = seed;
    return status ? status : begin_game(self, error);
}

static qg_status start(void *object, qg_error *error)
{
    atari *self = object;
    if (!self->started) return begin_game(self, error); /* on the machine as it was made */
    return begin_game_of(self, (uint32_t)qg_random_u64(&self->seeds), error);
}

static qg_status play_code(atari *self, int code, qg_emulator_frame *frame, qg_error *error)
{
    const qg_status status = self->ale->act(self->emulator, code, frame, error);
    if (status) return status;
    keep_frame(self);
    self->lives = frame->lives;
    return QG_OK;
}

static qg_status play(void *object, int action, qg_step *step, qg_error *error)
{
    atari *self = object;
    const int code = action == QG_NOOP ? 0 : self->codes[action], lives = self->lives;
    qg_emulator_frame frame;
    qg_status status = qg_played_add(&self->played, (uint8_t)code, error);
    if (!status) status = play_code(self, code, &frame, error);
    if (status) return status;
    step->reward = (float)frame.reward;
    step->end = frame.over;
    step->life_lost = frame.lives < lives || (frame.over && lives > 0);
    return QG_OK;
}

static qg_status observe(void *object, uint8_t *observation, qg_error *error)
{
    (void)error;
    atari *self = object;
    qg_screen_shrink(&self->screen, self->last[0], self->last[self->shown > 1], observation);
    return QG_OK;
}

/* A saved state is this header and the action codes of the game's frames. */
typedef struct atari_header {
    char version[16]; /* of ALE */
    char md5[32];     /* of the ROM */
    uint64_t frames;
    qg_random seeds;
    uint32_t seed;
    uint32_t started;
    uint32_t hash; /* of what was there when it was saved: screens and RAM */
    int32_t lives;
} atari_header;

static uint32_t hash_machine(const atari *self)
{
    uint32_t crc = (uint32_t)crc32_z(0, self->ale->ram(self->emulator), QG_ALE_RAM_SIZE);
    for (int i = 0; i < 2; i++)
        crc = (uint32_t)crc32_z(crc, self->last[i], self->frame_size);
    return crc;
}

static qg_status save(void *object, uint8_t **state, size_t *size, qg_error *error)
{
    const atari *self = object;
    atari_header header = {.frames = self->played.count,
                           .seeds = self->seeds,
                           .seed = self->seed,
                           .started = self->started,
                           .hash = hash_machine(self),
                           .lives = self->lives};
    snprintf(header.version, sizeof header.version, "%s", self->ale->version);
    memcpy(header.md5, self->detail->md5, sizeof header.md5);
    *size = sizeof header + self->played.count;
    *state = malloc(*size);
    if (!*state) return qg_fail_memory(error, "a saved game", *size);
    memcpy(*state, &header, sizeof header);
    if (self->played.count)
        memcpy(*state + sizeof header, self->played.actions, self->played.count);
    return QG_OK;
}

static qg_status check_saved(const atari *self, const uint8_t *state, size_t size,
                             atari_header *header, qg_error *error)
{
    if (size < sizeof *header)
        return qg_fail(error, QG_ERROR_DATA, "%s: the saved game is cut off (%zu bytes)",
                       self->name, size);
    memcpy(header, state, sizeof *header);
    header->version[sizeof header->version - 1] = '\0';
    if (strcmp(header->version, self->ale->version) != 0)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: the game was saved with ALE %s, here is %s: go on with that one",
                       self->name, header->version, self->ale->version);
    bool good = memcmp(header->md5, self->detail->md5, sizeof header->md5) == 0 &&
                header->frames == size - sizeof *header && header->started <= 1 &&
                (header->started || !header->frames);
    for (size_t i = sizeof *header; i < size && good; i++)
        good = state[i] < JOYSTICK;
    return good ? QG_OK
                : qg_fail(error, QG_ERROR_DATA,
                          "%s: the saved game holds values that play cannot reach", self->name);
}

/* From the game's start; nothing may go on behind its end. */
static qg_status play_again(atari *self, const uint8_t *codes, size_t count, qg_error *error)
{
    qg_emulator_frame frame = {.over = false};
    qg_status status = QG_OK;
    for (size_t i = 0; i < count && !status && !frame.over; i++) {
        status = qg_played_add(&self->played, codes[i], error);
        if (!status) status = play_code(self, codes[i], &frame, error);
    }
    return status;
}

static qg_status restore(void *object, const uint8_t *state, size_t size, qg_error *error)
{
    atari *self = object;
    atari_header header;
    qg_status status = check_saved(self, state, size, &header, error);
    if (!status && header.started) status = begin_game_of(self, header.seed, error);
    if (!status && header.started)
        status = play_again(self, state + sizeof header, header.frames, error);
    if (status) return status;
    self->seeds = header.seeds;
    if (!header.started) {
        self->started = false;
        self->played.count = 0;
        self->seed = header.seed;
        return self->ale->restart(self->emulator, self->seed, error);
    }
    if (self->played.count != header.frames || self->lives != header.lives ||
        hash_machine(self) != header.hash)
        return qg_fail(
            error, QG_ERROR_DATA,
            "%s: the saved game of %zu frames, played again, leads to another screen: "
            "it was saved by another build of the emulator: go on with that one, or begin "
            "the run anew (`overwrite`)",
            self->name, (size_t)header.frames);
    return QG_OK;
}

static void picture(void *object, qg_picture *result)
{
    const atari *self = object;
    *result = (qg_picture){.height = self->screen.height,
                           .width = QG_SCREEN_WIDTH,
                           .pixels = self->last[0],
                           .palette = self->detail->palette,
                           .colors = 256};
}

static const uint8_t *ram(void *object, size_t *size)
{
    const atari *self = object;
    *size = QG_ALE_RAM_SIZE;
    return self->ale->ram(self->emulator);
}

static void destroy(void *object)
{
    atari *self = object;
    if (self->emulator) self->ale->destroy(self->emulator);
    free(self->last[0]);
    free(self->last[1]);
    qg_played_free(&self->played);
    free(self);
}

static void find_codes(atari *self, const qg_domain *domain)
{
    for (int i = 0; i < domain->action_count; i++)
        while (strcmp(domain->actions[i], action_names[self->codes[i]]) != 0)
            self->codes[i]++;
}

/* The path of the ROM, checked; the caller frees it. */
static qg_status find_rom(const atari *self, const char *folder, char **path, qg_error *error)
{
    char name[64];
    snprintf(name, sizeof name, "roms/%s.bin", self->game->name);
    *path = qg_path_join(folder, name);
    if (!*path) return qg_fail_memory(error, "a path", sizeof name);
    const qg_status status = qg_rom_check(*path, self->game->name, self->detail->md5, error);
    if (status != QG_OK) free(*path);
    return status;
}

static qg_status check_machine(const atari *self, qg_error *error)
{
    const qg_emulator_facts *facts = self->ale->facts(self->emulator);
    if (facts->width == QG_SCREEN_WIDTH && facts->height >= QG_SCREEN_MIN_HEIGHT &&
        facts->height <= QG_SCREEN_MAX_HEIGHT)
        return QG_OK;
    return qg_fail(error, QG_ERROR_DATA,
                   "%s: the emulator gives %d x %d pixels; expected 210-256 x 160", self->name,
                   facts->height, facts->width);
}

static qg_status make_machine(atari *self, const qg_variant *variant, qg_error *error)
{
    char *folder = NULL, *rom = NULL;
    qg_status status = qg_ale_folder(&folder, error);
    if (status == QG_OK) status = qg_ale_open(folder, &self->ale, error);
    if (status == QG_OK) status = find_rom(self, folder, &rom, error);
    free(folder);
    if (status != QG_OK) return status;
    const qg_emulator_start begin = {
        .seed = self->seed, .mode = variant->mode, .difficulty = variant->difficulty};
    status = self->ale->create(rom, &begin, &self->emulator, error);
    free(rom);
    return status == QG_OK ? check_machine(self, error) : status;
}

static qg_status prepare(atari *self, const qg_variant *variant, const qg_domain_options *options,
                         qg_error *error)
{
    self->seed = options->seed;
    self->seeds = qg_random_stream(options->seed, "games");
    self->level = variant->level;
    const qg_status status = make_machine(self, variant, error);
    if (status != QG_OK) return status;
    const int height = self->ale->facts(self->emulator)->height;
    self->frame_size = (size_t)height * QG_SCREEN_WIDTH;
    for (int i = 0; i < 2; i++) {
        self->last[i] = calloc(1, self->frame_size);
        if (!self->last[i]) return qg_fail_memory(error, "an Atari screen", self->frame_size);
    }
    qg_screen_prepare(&self->screen, height, self->detail->palette);
    return QG_OK;
}

static const qg_game *game_at(size_t index)
{
    return index < QG_ATARI_GAMES ? &qg_atari_games[index] : NULL;
}

/* Xitari's sets are ALE's but for Pong's (games/supported/Pong.cpp, isMinimal). */
static const char *const *actions_of(const qg_game *game, qg_action_set set, int *count)
{
    static const char *const pong[] = {"noop", "right", "left"};
    const bool other = set == QG_ACTIONS_XITARI && strcmp(game->name, "pong") == 0;
    *count = set == QG_ACTIONS_FULL ? JOYSTICK : 3;
    return set == QG_ACTIONS_FULL ? action_names : other ? pong : NULL;
}

static qg_status create(qg_domain *domain, const qg_variant *variant,
                        const qg_domain_options *options, qg_error *error)
{
    static const qg_domain_class class = {.destroy = destroy,
                                          .start = start,
                                          .play = play,
                                          .observe = observe,
                                          .save = save,
                                          .restore = restore,
                                          .picture = picture,
                                          .ram = ram};
    atari *self = calloc(1, sizeof *self);
    if (!self) return qg_fail_memory(error, "an Atari game", sizeof *self);
    self->name = domain->name;
    self->game = domain->game;
    self->detail = &qg_atari_details[domain->game - qg_atari_games];
    find_codes(self, domain);
    const qg_status status = prepare(self, variant, options, error);
    if (status != QG_OK) {
        destroy(self);
        return status;
    }
    domain->methods = &class;
    domain->self = self;
    return QG_OK;
}

const qg_domain_provider qg_atari_provider = {.prefix = "",
                                              .game = game_at,
                                              .actions = actions_of,
                                              .create = create,
                                              .frame_skip = FRAME_SKIP};
