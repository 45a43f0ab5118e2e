/* The domain `GAME`: the Atari 2600 emulator behind qgraft's interface, played as DQN 3.0 plays it:
 * an action is held for four frames, rewards add up, and the agent sees the maximum of the last two
 * frames. */
#include "domain/atari/ale.h"
#include "domain/atari/catalogue.h"
#include "domain/atari/rom.h"
#include "domain/atari/screen.h"
#include "domain/provider.h"

#include "base/file.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { RAM_SIZE = QG_ALE_RAM_SIZE, FRAME_SKIP = 4 };

/* The emulator's action codes are the places in this list. */
static const char *const action_names[QG_MAX_ACTIONS] = {
    "noop",     "fire",     "up",          "right",      "left",          "down",
    "upright",  "upleft",   "downright",   "downleft",   "upfire",        "rightfire",
    "leftfire", "downfire", "uprightfire", "upleftfire", "downrightfire", "downleftfire"};

typedef struct atari {
    const qg_ale *ale;
    qg_emulator *emulator;
    const char *name; /* of the domain, level and mode included; the domain's own */
    const qg_game *game;
    const qg_atari_detail *detail;
    int codes[QG_MAX_ACTIONS]; /* of the action indices */
    int level;
    size_t frame_size; /* bytes of a frame: height x 160 */

    bool untouched;     /* the game that the emulator itself began */
    bool over;          /* the game is over */
    int lives;          /* after the last frame; always 0 in games without lives */
    int frame_count;    /* frames since the game's start, at most 2 */
    uint8_t *frames[2]; /* palette indices u8 [height][160]: the last frame and the one before */
    uint8_t ram[RAM_SIZE];
    qg_screen screen;
} atari;

/* Keeps the emulator's screen as the last frame. */
static void keep_frame(atari *self)
{
    uint8_t *const oldest = self->frames[1];
    self->frames[1] = self->frames[0];
    self->frames[0] = oldest;
    memcpy(oldest, self->ale->screen(self->emulator), self->frame_size);
    if (self->frame_count < 2) self->frame_count++;
}

/* What must be done after every start of a game by the emulator. No mode or difficulty of Q*bert
 * starts on level 2, but RAM byte 0x63 counts the rounds (0-3 are level 1) and 0x39 follows it. */
static qg_status begin_game(atari *self, qg_error *error)
{
    qg_status status = QG_OK;
    if (self->level == 2) {
        status = self->ale->poke(self->emulator, 0x39, 4, error);
        if (status == QG_OK) status = self->ale->poke(self->emulator, 0x63, 4, error);
    }
    qg_emulator_frame frame;
    self->ale->look(self->emulator, &frame);
    self->over = false;
    self->frame_count = 0;
    self->lives = frame.lives;
    return status;
}

static qg_status start(void *object, qg_error *error)
{
    atari *self = object;
    if (!self->untouched) {
        qg_status status = self->ale->reset(self->emulator, error);
        if (status == QG_OK) status = begin_game(self, error);
        if (status != QG_OK) return status;
    }
    self->untouched = false;
    keep_frame(self);
    self->frame_count = 0;
    return QG_OK;
}

/* Every frame's screen is kept, since any frame can be the last one of a step that breaks off; that
 * costs less than 1 us of about 80. */
static qg_status play(void *object, int action, qg_step *frame, qg_error *error)
{
    atari *self = object;
    const int lives = self->lives, code = action == QG_NOOP ? 0 : self->codes[action];
    qg_emulator_frame played;
    const qg_status status = self->ale->act(self->emulator, code, &played, error);
    if (status != QG_OK) return status;
    keep_frame(self);
    frame->reward = (float)played.reward;
    self->lives = played.lives;
    self->over = frame->end = played.over;
    frame->life_lost = self->lives < lives || (self->over && lives > 0);
    return QG_OK;
}

static qg_status observe(void *object, uint8_t *observation, qg_error *error)
{
    (void)error;
    atari *self = object;
    memcpy(self->ram, self->ale->ram(self->emulator), RAM_SIZE);
    qg_screen_shrink(&self->screen, self->frames[0], self->frames[self->frame_count > 1],
                     observation);
    return QG_OK;
}

/* A saved state is this header, then the last frame and the one before, then the emulator's own
 * bytes. The checksum covers all behind itself, so that the emulator gets no bytes but its own. */
typedef struct saved {
    char magic[8];
    uint32_t version;
    uint32_t checksum; /* zlib's crc32 */
    char name[QG_DOMAIN_NAME];
    char md5[32]; /* of the ROM */
    uint32_t frame_size;
    uint32_t state_size; /* of the emulator's bytes */
    int32_t over;
    int32_t lives;
    int32_t frame_count;
    uint8_t ram[RAM_SIZE];
} saved;

static const char magic[8] = "qgatari";
enum { VERSION = 2, COVERED_FROM = offsetof(saved, name) };
static_assert(sizeof(saved) == 16 + QG_DOMAIN_NAME + 32 + 20 + RAM_SIZE, "no padding in a file");

static uint32_t checksum(const uint8_t *blob, size_t size)
{
    return (uint32_t)crc32(0, blob + COVERED_FROM, (uInt)(size - COVERED_FROM));
}

static qg_status save(void *object, uint8_t **blob, size_t *size, qg_error *error)
{
    const atari *self = object;
    uint8_t *state;
    size_t state_size;
    const qg_status status = self->ale->save(self->emulator, &state, &state_size, error);
    if (status != QG_OK) return status;
    *size = sizeof(saved) + 2 * self->frame_size + state_size;
    *blob = malloc(*size);
    if (!*blob) {
        free(state);
        return qg_fail_memory(error, "the state of a game", *size);
    }
    saved header = {.version = VERSION,
                    .frame_size = (uint32_t)self->frame_size,
                    .state_size = (uint32_t)state_size,
                    .over = self->over,
                    .lives = self->lives,
                    .frame_count = self->frame_count};
    memcpy(header.magic, magic, sizeof magic);
    strncpy(header.name, self->name, sizeof header.name - 1);
    memcpy(header.md5, self->detail->md5, sizeof header.md5);
    memcpy(header.ram, self->ram, sizeof header.ram);

    uint8_t *at = *blob + sizeof header;
    memcpy(at, self->frames[0], self->frame_size);
    memcpy(at + self->frame_size, self->frames[1], self->frame_size);
    memcpy(at + 2 * self->frame_size, state, state_size);
    free(state);
    memcpy(*blob, &header, sizeof header);
    header.checksum = checksum(*blob, *size);
    memcpy(*blob, &header, sizeof header);
    return QG_OK;
}

static qg_status check_saved(const atari *self, const uint8_t *blob, size_t size, saved *header,
                             qg_error *error)
{
    if (size < sizeof *header || size > UINT32_MAX)
        return qg_fail(error, QG_ERROR_DATA, "the saved state of %s is cut off (%zu bytes)",
                       self->name, size);
    memcpy(header, blob, sizeof *header);
    if (memcmp(header->magic, magic, sizeof magic) != 0)
        return qg_fail(error, QG_ERROR_DATA, "this is not the saved state of an Atari game");
    if (header->version != VERSION)
        return qg_fail(error, QG_ERROR_DATA,
                       "the saved state of %s is of version %u; expected version %d", self->name,
                       header->version, VERSION);
    if (header->checksum != checksum(blob, size))
        return qg_fail(error, QG_ERROR_DATA, "the saved state of %s is damaged (wrong checksum)",
                       self->name);
    header->name[sizeof header->name - 1] = '\0';
    if (strcmp(header->name, self->name) != 0 ||
        memcmp(header->md5, self->detail->md5, sizeof header->md5) != 0)
        return qg_fail(error, QG_ERROR_DATA, "the saved state belongs to %s, not to %s",
                       header->name, self->name);
    if (header->frame_size != self->frame_size || header->frame_count < 0 ||
        header->frame_count > 2 || header->state_size > INT32_MAX ||
        size != sizeof *header + 2 * self->frame_size + header->state_size)
        return qg_fail(error, QG_ERROR_DATA, "the saved state of %s has wrong sizes", self->name);
    return QG_OK;
}

static qg_status restore(void *object, const uint8_t *blob, size_t size, qg_error *error)
{
    atari *self = object;
    saved header;
    qg_status status = check_saved(self, blob, size, &header, error);
    if (status != QG_OK) return status;
    const uint8_t *at = blob + sizeof header;
    status =
        self->ale->restore(self->emulator, at + 2 * self->frame_size, header.state_size, error);
    if (status != QG_OK) return status;

    /* The emulator's own screen and RAM are stale until its next frame. */
    memcpy(self->frames[0], at, self->frame_size);
    memcpy(self->frames[1], at + self->frame_size, self->frame_size);
    memcpy(self->ram, header.ram, sizeof header.ram);
    self->over = header.over != 0;
    self->lives = header.lives;
    self->frame_count = header.frame_count;
    return QG_OK;
}

static void picture(void *object, qg_picture *result)
{
    const atari *self = object;
    *result = (qg_picture){.height = self->screen.height,
                           .width = QG_SCREEN_WIDTH,
                           .pixels = self->frames[0],
                           .palette = self->detail->palette,
                           .colors = 256};
}

static const uint8_t *ram(void *object, size_t *size)
{
    *size = RAM_SIZE;
    return ((const atari *)object)->ram;
}

static void destroy(void *object)
{
    atari *self = object;
    if (self->emulator) self->ale->destroy(self->emulator);
    free(self->frames[0]);
    free(self->frames[1]);
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

static qg_status start_emulator(atari *self, const qg_variant *variant, uint32_t seed,
                                qg_error *error)
{
    char *folder = NULL, *rom = NULL;
    qg_status status = qg_ale_folder(&folder, error);
    if (status == QG_OK) status = qg_ale_open(folder, &self->ale, error);
    if (status == QG_OK) status = find_rom(self, folder, &rom, error);
    free(folder);
    if (status != QG_OK) return status;
    const qg_emulator_start start = {
        .seed = seed, .mode = variant->mode, .difficulty = variant->difficulty};
    status = self->ale->create(rom, &start, &self->emulator, error);
    free(rom);
    return status == QG_OK ? check_machine(self, error) : status;
}

static qg_status prepare(atari *self, const qg_variant *variant, const qg_domain_options *options,
                         qg_error *error)
{
    const qg_status status = start_emulator(self, variant, options->seed, error);
    if (status != QG_OK) return status;
    const int height = self->ale->facts(self->emulator)->height;
    self->frame_size = (size_t)height * QG_SCREEN_WIDTH;
    for (int i = 0; i < 2; i++) {
        self->frames[i] = calloc(1, self->frame_size);
        if (!self->frames[i]) return qg_fail_memory(error, "an Atari screen", self->frame_size);
    }
    self->level = variant->level;
    self->untouched = true;
    qg_screen_prepare(&self->screen, height, self->detail->palette);
    return begin_game(self, error);
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
    *count = set == QG_ACTIONS_FULL ? QG_MAX_ACTIONS : 3;
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
