/* The Atari domain against the emulator itself, driven by hand, and against plain arithmetic in
 * double precision. Without the emulator's files (`make atari`) the tests that need them are
 * skipped. */
#include "domain/atari/ale.h"
#include "domain/atari/catalogue.h"
#include "domain/atari/rom.h"
#include "domain/atari/screen.h"

#include <qgraft/domain.h>

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#include "quick.h"

enum { SIDE = QG_SCREEN_SIDE, PIXELS = SIDE * SIDE, WIDTH = QG_SCREEN_WIDTH };

static char *folder; /* with the emulator; NULL: none */
static const qg_ale *ale;

static void need_emulator(void)
{
    if (!folder) {
        print_message("skipped: no Atari emulator; run 'make atari' or set QGRAFT_ATARI\n");
        skip();
    }
    qg_error error;
    if (qg_ale_open(folder, &ale, &error) != QG_OK) fail_msg("%s", error.message);
}

static qg_domain *open_domain(const char *name, const qg_domain_options *options)
{
    qg_domain *domain;
    qg_error error;
    if (qg_domain_open(name, options, &domain, &error) != QG_OK) fail_msg("%s", error.message);
    return domain;
}

static qg_emulator *open_emulator(const char *game, qg_emulator_start start)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/roms/%s.bin", folder, game);
    qg_emulator *emulator;
    qg_error error;
    if (ale->create(path, &start, &emulator, &error) != QG_OK) fail_msg("%s", error.message);
    return emulator;
}

static qg_emulator *open_game(const char *game, uint32_t seed)
{
    return open_emulator(
        game,
        (qg_emulator_start){.seed = seed, .mode = QG_ALE_DEFAULT, .difficulty = QG_ALE_DEFAULT});
}

/* One frame. */
static qg_emulator_frame act(qg_emulator *emulator, int code)
{
    qg_emulator_frame frame;
    qg_error error;
    if (ale->act(emulator, code, &frame, &error) != QG_OK) fail_msg("%s", error.message);
    return frame;
}

/* The test's own actions: the same for the same seed. */
static int draw(uint32_t *random, int bound)
{
    *random = *random * 1664525u + 1013904223u;
    return (int)((*random >> 8) % (uint32_t)bound);
}

/* --- Files ------------------------------------------------------------------------------------ */

/* Goes first: once opened, the library serves the whole process. */
static void a_missing_emulator_says_how_to_mend_it(void **state)
{
    (void)state;
    char *const kept = getenv("QGRAFT_ATARI") ? strdup(getenv("QGRAFT_ATARI")) : NULL;
    char empty[] = "/tmp/qgraft-test-XXXXXX", file[64];
    assert_non_null(mkdtemp(empty));
    snprintf(file, sizeof file, "%s/libqgraft_ale.so", empty);
    qg_error error;
    qg_domain *domain;
    const qg_domain_options options = {.sticky = -1};
    setenv("QGRAFT_ATARI", empty, 1);
    assert_int_equal(qg_domain_open("pong", &options, &domain, &error), QG_ERROR_IO);
    assert_non_null(strstr(error.message, "run 'make atari' or set QGRAFT_ATARI"));
    assert_non_null(strstr(error.message, file));

    FILE *stream = fopen(file, "w");
    assert_non_null(stream);
    fputs("not a library", stream);
    fclose(stream);
    assert_int_equal(qg_domain_open("pong", &options, &domain, &error), QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "run 'make atari' or set QGRAFT_ATARI"));
    unlink(file);
    assert_int_equal(mkdir(file, 0700), 0);
    assert_int_equal(qg_domain_open("pong", &options, &domain, &error), QG_ERROR_DATA);
    rmdir(file);
    rmdir(empty);
    if (kept)
        setenv("QGRAFT_ATARI", kept, 1);
    else
        unsetenv("QGRAFT_ATARI");
    free(kept);
}

static void check_rom(const char *path, qg_status expected, const char *in_message)
{
    qg_error error = {0};
    const char *md5 = "60e0ea3cbe0913d39803477945e9e5ec";
    assert_int_equal(qg_rom_check(path, "pong", md5, &error), expected);
    if (expected == QG_OK) return;
    assert_non_null(strstr(error.message, path));
    if (!strstr(error.message, in_message))
        fail_msg("'%s' is not in '%s'", in_message, error.message);
    if (expected == QG_ERROR_DATA) {
        assert_non_null(strstr(error.message, "expected the ROM of pong with MD5"));
        assert_non_null(strstr(error.message, md5));
    }
}

static void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    fclose(stream);
}

static void what_is_not_the_rom_is_refused(void **state)
{
    (void)state;
    static uint8_t bytes[70000];
    char base[] = "/tmp/qgraft-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(base));
    snprintf(path, sizeof path, "%s/pong.bin", base);
    check_rom(path, QG_ERROR_IO, "run 'make atari'");
    write_bytes(path, bytes, 0);
    check_rom(path, QG_ERROR_DATA, "has 0 bytes");
    write_bytes(path, bytes, 2048);
    check_rom(path, QG_ERROR_DATA, "has 2048 bytes and MD5 c99a74c555371a433d121f551d6c6398");
    write_bytes(path, bytes, sizeof bytes);
    check_rom(path, QG_ERROR_DATA, "has 70000 bytes");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    check_rom(path, QG_ERROR_DATA, "is not a file");
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    check_rom(path, QG_ERROR_DATA, "is not a file"); /* and does not hang */
    unlink(path);

    if (folder) { /* the real one, whole and truncated */
        char real[PATH_MAX];
        snprintf(real, sizeof real, "%s/roms/pong.bin", folder);
        check_rom(real, QG_OK, "");
        FILE *stream = fopen(real, "rb");
        assert_non_null(stream);
        const size_t size = fread(bytes, 1, sizeof bytes, stream);
        fclose(stream);
        write_bytes(path, bytes, size);
        check_rom(path, QG_OK, "");
        write_bytes(path, bytes, size - 1);
        check_rom(path, QG_ERROR_DATA, "has 2047 bytes");
        unlink(path);
    }
    rmdir(base);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    qg_error error;
    qg_domain *domain;
    const qg_domain_options wrong[] = {
        {.frame_skip = -1}, {.frame_skip = 100000}, {.sticky = 1.5}, {.sticky = (double)NAN}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(qg_domain_open("pong", &wrong[i], &domain, &error), QG_ERROR_USAGE);
}

/* --- The catalogue ---------------------------------------------------------------------------- */

static void check_numbers(const int *found, int count, const int *expected, int expected_count)
{
    assert_int_equal(count, expected_count);
    for (int i = 0; i < count; i++)
        assert_int_equal(found[i], expected[i]);
}

/* All games take half a minute: only with QGRAFT_TEST_ALL_GAMES set. */
static bool is_checked(const char *game)
{
    static const char *const few[] = {"air_raid",       "backgammon", "breakout", "demon_attack",
                                      "flag_capture",   "pong",       "qbert",    "seaquest",
                                      "space_invaders", "video_cube"};
    for (size_t i = 0; i < sizeof few / sizeof *few; i++)
        if (strcmp(few[i], game) == 0) return true;
    return getenv("QGRAFT_TEST_ALL_GAMES") != NULL;
}

static void the_catalogue_is_the_emulators(void **state)
{
    (void)state;
    need_emulator();
    static const char *const codes[18] = {
        "noop",     "fire",     "up",          "right",      "left",          "down",
        "upright",  "upleft",   "downright",   "downleft",   "upfire",        "rightfire",
        "leftfire", "downfire", "uprightfire", "upleftfire", "downrightfire", "downleftfire"};
    for (size_t i = 0; i < QG_ATARI_GAMES; i++) {
        const qg_game *game = &qg_atari_games[i];
        if (!is_checked(game->name)) continue;
        qg_emulator *emulator = open_game(game->name, 1);
        const qg_emulator_facts *facts = ale->facts(emulator);
        check_numbers(facts->modes, facts->mode_count, game->modes, game->mode_count);
        check_numbers(facts->difficulties, facts->difficulty_count, game->difficulties,
                      game->difficulty_count);
        assert_int_equal(facts->minimal_count, game->action_count);
        for (int a = 0; a < game->action_count; a++)
            assert_string_equal(codes[facts->minimal[a]], game->actions[a]);
        assert_int_equal(facts->legal_count, 18);
        assert_int_equal(facts->width, WIDTH);
        assert_in_range(facts->height, QG_SCREEN_MIN_HEIGHT, QG_SCREEN_MAX_HEIGHT);
        if (memcmp(facts->palette, qg_atari_details[i].palette, sizeof qg_atari_ntsc) != 0)
            fail_msg("%s has another palette", game->name);
        ale->destroy(emulator);
    }
}

/* --- The screen ------------------------------------------------------------------------------- */

/* The area that output `i` of `to` and input `s` of `from` share, in inputs. */
static double shared(int i, int to, int s, int from)
{
    const double begin = fmax((double)i * from / to, s),
                 end = fmin((double)(i + 1) * from / to, s + 1);
    return end > begin ? end - begin : 0;
}

/* Every value of the observation must be the truncated exact one; where that is within 0.002 of a
 * whole number, the float arithmetic of DQN 3.0 may fall to either side. Gives the largest
 * number of values that fell to the other side. */
static int check_observation(const uint8_t *a, const uint8_t *b, int height,
                             const uint8_t (*palette)[3], const uint8_t *observation)
{
    static double y[QG_SCREEN_MAX_HEIGHT][WIDTH], rows[QG_SCREEN_MAX_HEIGHT][SIDE];
    int other_side = 0;
    for (int r = 0; r < height; r++)
        for (int x = 0; x < WIDTH; x++) {
            const uint8_t *p = palette[a[r * WIDTH + x]], *q = palette[b[r * WIDTH + x]];
            y[r][x] =
                0.299 * fmax(p[0], q[0]) + 0.587 * fmax(p[1], q[1]) + 0.114 * fmax(p[2], q[2]);
        }
    for (int r = 0; r < height; r++)
        for (int i = 0; i < SIDE; i++) {
            double sum = 0;
            for (int x = i * WIDTH / SIDE - 1; x <= (i + 1) * WIDTH / SIDE + 1; x++)
                if (x >= 0 && x < WIDTH) sum += shared(i, SIDE, x, WIDTH) * y[r][x];
            rows[r][i] = sum * SIDE / WIDTH;
        }
    for (int j = 0; j < SIDE; j++)
        for (int i = 0; i < SIDE; i++) {
            double sum = 0;
            for (int r = j * height / SIDE - 1; r <= (j + 1) * height / SIDE + 1; r++)
                if (r >= 0 && r < height) sum += shared(j, SIDE, r, height) * rows[r][i];
            const double exact = sum * SIDE / height;
            const int found = observation[j * SIDE + i];
            if (found < (int)floor(exact - 0.002) || found > (int)floor(exact + 0.002))
                fail_msg("height %d, row %d, column %d: %d instead of %.4f", height, j, i, found,
                         exact);
            other_side += found != (int)floor(exact + 1e-9);
        }
    return other_side;
}

/* Real screens are stretched to the other heights by repeating their rows from the top. */
static void screens_are_shrunken_as_in_double_precision(void **state)
{
    (void)state;
    need_emulator();
    static const char *const games[] = {"ms_pacman", "air_raid"}; /* NTSC, PAL */
    static uint8_t frames[2][2][QG_SCREEN_MAX_HEIGHT * WIDTH];
    static uint8_t noise[2][QG_SCREEN_MAX_HEIGHT * WIDTH], observation[PIXELS];
    uint32_t random = 1;
    for (int g = 0; g < 2; g++) {
        qg_emulator *emulator = open_game(games[g], 1);
        for (int frame = 0; frame < 400; frame++)
            act(emulator, draw(&random, 6));
        for (int k = 0; k < 2; k++) {
            act(emulator, 0);
            const int height = ale->facts(emulator)->height;
            memcpy(frames[g][k], ale->screen(emulator), (size_t)height * WIDTH);
            memcpy(frames[g][k] + height * WIDTH, frames[g][k],
                   (size_t)(QG_SCREEN_MAX_HEIGHT - height) * WIDTH);
        }
        ale->destroy(emulator);
    }
    for (int k = 0; k < 2; k++)
        for (size_t p = 0; p < sizeof noise[k]; p++)
            noise[k][p] = (uint8_t)draw(&random, 256);

    qg_screen *screen = malloc(sizeof *screen);
    assert_non_null(screen);
    int other_side = 0;
    for (int height = QG_SCREEN_MIN_HEIGHT; height <= QG_SCREEN_MAX_HEIGHT; height++) {
        for (int g = 0; g < 2; g++) {
            const uint8_t(*palette)[3] = g ? qg_atari_pal : qg_atari_ntsc;
            qg_screen_prepare(screen, height, palette);
            /* One after the other on the same screen, so that kept rows are used. */
            const uint8_t *const pairs[][2] = {{frames[g][0], frames[g][1]},
                                               {frames[g][1], frames[g][0]},
                                               {frames[g][1], frames[g][1]},
                                               {noise[0], noise[1]}};
            for (int p = 0; p < 4; p++) {
                qg_screen_shrink(screen, pairs[p][0], pairs[p][1], observation);
                other_side +=
                    check_observation(pairs[p][0], pairs[p][1], height, palette, observation);
            }
        }
    }
    print_message("%d of %d values fell below a whole number by rounding\n", other_side,
                  (QG_SCREEN_MAX_HEIGHT - QG_SCREEN_MIN_HEIGHT + 1) * 8 * PIXELS);
    free(screen);
}

/* --- Playing ---------------------------------------------------------------------------------- */

typedef struct frame_pool { /* the frames since the game's start, of which the last two count */
    uint8_t frames[2][QG_SCREEN_MAX_HEIGHT * WIDTH];
    int count;
} frame_pool;

static void paint(frame_pool *pool, const qg_emulator *emulator)
{
    memcpy(pool->frames[0], pool->frames[1], sizeof pool->frames[0]);
    memcpy(pool->frames[1], ale->screen(emulator), (size_t)ale->facts(emulator)->height * WIDTH);
    pool->count++;
}

/* A domain against the emulator driven by hand as DQN 3.0 does it. */
static void check_play(const char *name, const char *game, bool break_on_life, int steps)
{
    const qg_domain_options options = {.seed = 39, .sticky = -1, .break_on_life = break_on_life};
    qg_domain *domain = open_domain(name, &options);
    qg_emulator *emulator = open_game(game, 39);
    const qg_emulator_facts *facts = ale->facts(emulator);
    const int height = facts->height;
    static frame_pool pool;
    pool.count = 0;
    int ends = 0, losses = 0;
    uint32_t random = 7;
    static uint8_t observation[PIXELS];
    qg_error error;
    qg_emulator_frame now;
    bool pause = true;
    ale->look(emulator, &now);
    for (int i = 0; i < steps; i++) {
        qg_step step = {0}, expected = {0};
        if (pause) { /* the start of the game, or after a lost life */
            const int noops = draw(&random, 4);
            assert_int_equal(qg_domain_reset(domain, noops, observation, &error), QG_OK);
            if (now.over) {
                assert_int_equal(ale->reset(emulator, &error), QG_OK);
                pool.count = 0;
                ends++;
            }
            for (int k = 0; k < noops; k++) {
                act(emulator, 0);
                paint(&pool, emulator);
            }
            if (pool.count == 0) paint(&pool, emulator);
            ale->look(emulator, &now);
            pause = false;
        } else {
            const int action = draw(&random, domain->action_count), lives_before = now.lives;
            assert_int_equal(qg_domain_step(domain, action, &step, observation, &error), QG_OK);
            for (int frame = 0; frame < 4 && !now.over && !(break_on_life && expected.life_lost);
                 frame++) {
                const int before = now.lives;
                now = act(emulator, facts->minimal[action]);
                expected.reward += (float)now.reward;
                paint(&pool, emulator);
                expected.life_lost |= now.lives < before || (now.over && lives_before > 0);
            }
            pause = now.over || (break_on_life && expected.life_lost);
            losses += expected.life_lost;
            assert_true(step.reward == expected.reward);
            assert_int_equal(step.end, now.over);
            assert_int_equal(step.life_lost, expected.life_lost);
        }
        if (i % 4 == 0 || pause) /* the arithmetic in double is slow */
            check_observation(pool.frames[1], pool.frames[pool.count == 1], height, qg_atari_ntsc,
                              observation);
        size_t size;
        assert_memory_equal(ale->ram(emulator), qg_domain_ram(domain, &size), 128);
        assert_int_equal(size, 128);
        qg_picture picture;
        qg_domain_picture(domain, &picture);
        assert_int_equal(picture.height, height);
        assert_int_equal(picture.width, WIDTH);
        assert_memory_equal(picture.pixels, pool.frames[1], (size_t)height * WIDTH);
    }
    assert_true(losses > 0 && ends > 0);
    ale->destroy(emulator);
    qg_domain_close(domain);
}

static void a_domain_plays_as_the_emulator_driven_by_hand(void **state)
{
    (void)state;
    need_emulator();
    check_play("breakout", "breakout", true, 500);
    check_play("breakout", "breakout", false, 300);
    check_play("qbert", "qbert", true, 500);
}

static void mode_and_difficulty_reach_the_game(void **state)
{
    (void)state;
    need_emulator();
    const qg_domain_options options = {.seed = 3, .sticky = -1};
    qg_domain *domain = open_domain("space_invaders:mode=3,difficulty=1", &options);
    qg_emulator *emulator =
        open_emulator("space_invaders", (qg_emulator_start){.seed = 3, .mode = 3, .difficulty = 1});
    static uint8_t observation[PIXELS];
    qg_error error;
    size_t size;
    assert_int_equal(qg_domain_reset(domain, 60, observation, &error), QG_OK);
    for (int frame = 0; frame < 60; frame++)
        act(emulator, 0);
    assert_memory_equal(ale->ram(emulator), qg_domain_ram(domain, &size), 128);
    ale->destroy(emulator);
    qg_domain_close(domain);
}

static void qbert_starts_on_level_two_every_time(void **state)
{
    (void)state;
    need_emulator();
    const qg_domain_options options = {.seed = 5, .sticky = -1};
    qg_domain *domain = open_domain("qbert:level=2", &options);
    static uint8_t observation[PIXELS];
    qg_error error;
    size_t size;
    uint32_t random = 3;
    int games = 0;
    for (int i = 0; i < 3000 && games < 3; i++) {
        qg_step step = {.end = i == 0};
        if (i > 0)
            assert_int_equal(qg_domain_step(domain, draw(&random, 6), &step, observation, &error),
                             QG_OK);
        if (!step.end) continue;
        assert_int_equal(qg_domain_reset(domain, 100, observation, &error), QG_OK);
        const uint8_t *ram = qg_domain_ram(domain, &size);
        assert_int_equal(ram[0x63], 4);
        assert_int_equal(ram[0x39], 4);
        games++;
    }
    assert_int_equal(games, 3);
    qg_domain_close(domain);
}

/* --- Seeds, states, threads ------------------------------------------------------------------- */

/* Plays on with random actions; a checksum of all that was seen. */
static uint32_t play(qg_domain *domain, uint32_t random, int steps, bool *over)
{
    uint8_t observation[PIXELS];
    uint32_t sum = 0;
    qg_error error;
    for (int i = 0; i < steps; i++) {
        qg_step step = {0};
        if (*over)
            qg_domain_reset(domain, draw(&random, 30), observation, &error);
        else
            qg_domain_step(domain, draw(&random, domain->action_count), &step, observation, &error);
        *over = step.end;
        size_t size;
        sum = (uint32_t)crc32(sum, observation, PIXELS);
        sum = (uint32_t)crc32(sum, qg_domain_ram(domain, &size), 128);
        sum = (uint32_t)crc32(sum, (const void *)&step.reward, sizeof step.reward);
    }
    return sum;
}

static uint32_t play_anew(const char *name, uint32_t seed, double sticky, int steps)
{
    const qg_domain_options options = {.seed = seed, .sticky = sticky};
    qg_domain *domain = open_domain(name, &options);
    bool over = true;
    const uint32_t sum = play(domain, 1, steps, &over);
    qg_domain_close(domain);
    return sum;
}

/* A seed that meant the clock would differ after a second. */
static void seeds_are_the_games(void **state)
{
    (void)state;
    need_emulator();
    static const uint32_t seeds[] = {0, 1, 0x80000000, UINT32_MAX};
    enum { COUNT = sizeof seeds / sizeof *seeds };
    uint32_t sums[COUNT];
    for (int i = 0; i < COUNT; i++) {
        sums[i] = play_anew("breakout", seeds[i], 0.25, 60);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(sums[i], sums[k]);
    }
    usleep(1100000);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(play_anew("breakout", seeds[i], 0.25, 60), sums[i]);
}

static void check_future(const char *name, double sticky, bool break_on_life)
{
    const qg_domain_options options = {.seed = 9, .sticky = sticky, .break_on_life = break_on_life};
    qg_domain *domain = open_domain(name, &options);
    qg_error error;
    bool over = true;
    uint8_t *blob;
    size_t size;
    play(domain, 1, 150, &over);
    assert_int_equal(qg_domain_save(domain, &blob, &size, &error), QG_OK);
    static uint8_t then[QG_SCREEN_MAX_HEIGHT * WIDTH];
    qg_picture picture;
    qg_domain_picture(domain, &picture);
    const size_t frame = (size_t)picture.height * WIDTH;
    memcpy(then, picture.pixels, frame);
    bool after = over;
    const uint32_t future = play(domain, 2, 500, &after);

    after = over;
    assert_int_equal(qg_domain_restore(domain, blob, size, &error), QG_OK);
    qg_domain_picture(domain, &picture);
    assert_memory_equal(then, picture.pixels, frame);
    uint8_t *again;
    size_t again_size;
    assert_int_equal(qg_domain_save(domain, &again, &again_size, &error), QG_OK);
    assert_int_equal(size, again_size);
    assert_memory_equal(blob, again, size); /* saving what was restored gives the same bytes */
    free(again);
    assert_int_equal(play(domain, 2, 500, &after), future);
    qg_domain_close(domain);

    const qg_domain_options other = {
        .seed = 1234, .sticky = sticky, .break_on_life = break_on_life};
    domain = open_domain(name, &other);
    after = over;
    assert_int_equal(qg_domain_restore(domain, blob, size, &error), QG_OK);
    assert_int_equal(play(domain, 2, 500, &after), future);
    free(blob);
    qg_domain_close(domain);
}

static void a_saved_state_has_the_same_future(void **state)
{
    (void)state;
    need_emulator();
    check_future("breakout", -1, true);
    check_future("seaquest", 0.25, false);
}

static void a_damaged_or_foreign_state_is_refused(void **state)
{
    (void)state;
    need_emulator();
    const qg_domain_options options = {.seed = 9, .sticky = -1};
    qg_domain *domain = open_domain("qbert", &options);
    qg_domain *other = open_domain("qbert:level=2", &options);
    qg_error error;
    bool over = true;
    uint8_t *blob;
    size_t size;
    play(domain, 1, 50, &over);
    assert_int_equal(qg_domain_save(domain, &blob, &size, &error), QG_OK);
    for (size_t at = 0; at < size; at += at < 400 ? 1 : 997) {
        blob[at] ^= 0x10;
        assert_int_equal(qg_domain_restore(domain, blob, size, &error), QG_ERROR_DATA);
        blob[at] ^= 0x10;
    }
    for (size_t cut = 0; cut < size; cut += 1009)
        assert_int_equal(qg_domain_restore(domain, blob, cut, &error), QG_ERROR_DATA);
    assert_int_equal(qg_domain_restore(other, blob, size, &error), QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "qbert:level=2: the saved game is of qbert"));
    assert_int_equal(qg_domain_restore(domain, blob, size, &error), QG_OK);
    free(blob);
    qg_domain_close(domain);
    qg_domain_close(other);
}

typedef struct player {
    const char *name;
    uint32_t sum;
} player;

static void *play_in_thread(void *argument)
{
    player *p = argument;
    p->sum = play_anew(p->name, 11, 0.1, 400);
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    need_emulator();
    player players[] = {{"breakout", 0}, {"ms_pacman", 0}, {"breakout", 0}};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, play_in_thread, &players[i]), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(players[0].sum, players[2].sum);
    for (int i = 0; i < 2; i++)
        assert_int_equal(play_anew(players[i].name, 11, 0.1, 400), players[i].sum);
}

static int find_emulator(void **state)
{
    (void)state;
    qg_error error;
    char path[PATH_MAX];
    if (qg_ale_folder(&folder, &error) != QG_OK) return 0;
    snprintf(path, sizeof path, "%s/libqgraft_ale.so", folder);
    if (access(path, R_OK) != 0) {
        free(folder);
        folder = NULL;
    }
    return 0;
}

static int forget_emulator(void **state)
{
    (void)state;
    free(folder);
    return 0;
}

/* What stands behind the checksum, made up: refused, and the game that was really saved still comes
 * back. */
static void a_made_up_state_is_refused(void **state)
{
    (void)state;
    need_emulator();
    const qg_domain_options options = {.seed = 9, .sticky = -1};
    qg_domain *domain = open_domain("breakout", &options);
    qg_error error;
    bool over = true;
    uint8_t *blob;
    size_t size;
    play(domain, 1, 10, &over);
    void *const self = domain->self;
    assert_int_equal(domain->methods->save(self, &blob, &size, &error), QG_OK);
    uint64_t frames;
    memcpy(&frames, blob + 48, sizeof frames);
    assert_in_range(frames, 40, size);
    const size_t header = size - frames;
    const struct {
        size_t at;
        uint8_t flip;
        const char *words;
    } made_up[] = {{0, 1, "saved with ALE"},
                   {20, 1, "cannot reach"},                     /* of the ROM's sum */
                   {48, 1, "cannot reach"},                     /* frames */
                   {header - 12, 2, "cannot reach"},            /* started */
                   {header - 8, 1, "leads to another screen"},  /* the checksum */
                   {header - 4, 64, "leads to another screen"}, /* lives */
                   {header + 30, 64, "cannot reach"},           /* an action that nobody knows */
                   {header + 4, 3, "leads to another screen"}};
    for (size_t i = 0; i < sizeof made_up / sizeof *made_up; i++) {
        blob[made_up[i].at] ^= made_up[i].flip;
        assert_int_equal(domain->methods->restore(self, blob, size, &error), QG_ERROR_DATA);
        if (!strstr(error.message, made_up[i].words)) fail_msg("%s", error.message);
        blob[made_up[i].at] ^= made_up[i].flip;
    }
    for (size_t cut = 0; cut < size; cut += 7)
        assert_int_equal(domain->methods->restore(self, blob, cut, &error), QG_ERROR_DATA);
    assert_int_equal(domain->methods->restore(self, blob, size, &error), QG_OK);
    free(blob);
    qg_domain_close(domain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_emulator_says_how_to_mend_it),
        cmocka_unit_test(what_is_not_the_rom_is_refused),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(the_catalogue_is_the_emulators),
        cmocka_unit_test(screens_are_shrunken_as_in_double_precision),
        cmocka_unit_test(a_domain_plays_as_the_emulator_driven_by_hand),
        cmocka_unit_test(mode_and_difficulty_reach_the_game),
        cmocka_unit_test(qbert_starts_on_level_two_every_time),
        cmocka_unit_test(seeds_are_the_games),
        cmocka_unit_test(a_saved_state_has_the_same_future),
        cmocka_unit_test(a_made_up_state_is_refused),
        cmocka_unit_test(a_damaged_or_foreign_state_is_refused),
        cmocka_unit_test(threads_do_not_disturb_each_other),
    };
    const struct CMUnitTest threaded[] = {cmocka_unit_test(threads_do_not_disturb_each_other)};
    return QUICK ? cmocka_run_group_tests_name("atari", threaded, find_emulator, forget_emulator)
                 : cmocka_run_group_tests_name("atari", tests, find_emulator, forget_emulator);
}
