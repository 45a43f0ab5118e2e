/* The MinAtar games against golden values that the Python package gave (the frames of 20,000 acts,
 * hashed), and what the package does not have: levels, saved states, pictures. */
#include "domain/minatar/minatar.h"
#include "domain/provider.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

enum { GAMES = 5, LARGEST = 1000 };

/* In the order of the list. */
enum { ASTERIX, BREAKOUT, FREEWAY, SEAQUEST, SPACE_INVADERS };

static const qg_game *about(int game)
{
    return qg_minatar_provider.game((size_t)game);
}

static qg_domain *open_game(int game, int level, qg_domain_options options)
{
    qg_domain *domain;
    qg_error error = {0};
    char name[QG_DOMAIN_NAME];
    snprintf(name, sizeof name, "%s:level=%d", about(game)->name, level);
    uint8_t first[LARGEST];
    assert_int_equal(qg_domain_open(name, &options, &domain, &error), QG_OK);
    assert_int_equal(qg_domain_reset(domain, 0, first, &error), QG_OK);
    return domain;
}

static void reset(qg_domain *domain, uint8_t *observation)
{
    qg_error error;
    assert_int_equal(qg_domain_reset(domain, 0, observation, &error), QG_OK);
}

static qg_step step(qg_domain *domain, int action, uint8_t *observation)
{
    qg_error error;
    qg_step result;
    assert_int_equal(qg_domain_step(domain, action, &result, observation, &error), QG_OK);
    return result;
}

static uint64_t hash_bytes(uint64_t hash, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 1099511628211u;
    return hash;
}

static uint32_t next_draw(uint64_t *x)
{
    *x = *x * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*x >> 33);
}

/* Plays random action indices and hashes all that is seen; resets where a game ends. */
static uint64_t play(qg_domain *domain, uint64_t x, int steps)
{
    uint8_t observation[LARGEST];
    const size_t size = qg_observation_size(&domain->shape);
    reset(domain, observation);
    uint64_t hash = hash_bytes(14695981039346656037u, observation, size);
    for (int i = 0; i < steps; i++) {
        const int action = (int)(next_draw(&x) % (uint32_t)domain->action_count);
        const qg_step result = step(domain, action, observation);
        const uint8_t bytes[2] = {(uint8_t)result.reward, result.end};
        hash = hash_bytes(hash, bytes, 2);
        hash = hash_bytes(hash, observation, size);
        if (!result.end) continue;
        reset(domain, observation);
        hash = hash_bytes(hash, observation, size);
    }
    return hash;
}

static void test_numpy_random(void **state)
{
    (void)state;
    qg_numpy_random random;
    qg_numpy_seed(&random, 42);
    assert_true(qg_numpy_rand(&random) == 0.3745401188473625);
    assert_true(qg_numpy_rand(&random) == 0.9507143064099162);
    const int small[8] = {3, 5, 5, 2, 3, 3, 3, 5};
    for (int i = 0; i < 8; i++)
        assert_int_equal(qg_numpy_randint(&random, 1, 6), small[i]);
    assert_int_equal(qg_numpy_randint(&random, 0, 1), 0); /* draws nothing */
    const int large[8] = {4, 8, 8, 3, 6, 5, 2, 8};
    for (int i = 0; i < 8; i++)
        assert_int_equal(qg_numpy_randint(&random, 1, 9), large[i]);
    for (int i = 0; i < 1000; i++)
        qg_numpy_rand(&random);
    assert_true(qg_numpy_rand(&random) == 0.9440593396866133);
}

static const struct {
    int game;
    uint32_t seed;
    uint64_t hash_100, hash_20000;
    int reward, episodes;
} golden[] = {
    {ASTERIX, 1, 0xae5dd939be572f11, 0x29e67aa2eead47fd, 134, 276},
    {ASTERIX, 2, 0xe52a62d7d6220f48, 0x9eb4ddebc9cc2cd1, 144, 270},
    {ASTERIX, 3, 0x320683093255028a, 0xc5b365cf6986a614, 127, 275},
    {BREAKOUT, 1, 0x127e7583c7678f4f, 0x949622a1f02ca040, 911, 1783},
    {BREAKOUT, 2, 0xc2aacd01dcf31ff7, 0x77c285cb3a9facea, 926, 1755},
    {BREAKOUT, 3, 0x03d92a152d06241a, 0x3601a5f463e8fe43, 897, 1808},
    {FREEWAY, 1, 0xb84c76af54c88d40, 0x4d09194b16a8ad57, 3, 7},
    {FREEWAY, 2, 0x47599f169c34adba, 0x2e5bd38d1d9d35a3, 1, 7},
    {FREEWAY, 3, 0x32d98e125bf225de, 0x406b118defec227b, 1, 7},
    {SEAQUEST, 1, 0xf68f9d18efcb7634, 0xe86a0da1861adca7, 54, 668},
    {SEAQUEST, 2, 0xd9c7701277cf7b68, 0x59806be76b4858f9, 53, 672},
    {SEAQUEST, 3, 0x372eae6c9ca4263b, 0x8ad1d3a826aa727c, 81, 592},
    {SPACE_INVADERS, 1, 0xa85380eb91c52c96, 0xa081ede9cf8eb9f1, 1126, 361},
    {SPACE_INVADERS, 2, 0xf9b4f3a67bae959b, 0xfac983ce83e91fbf, 1129, 385},
    {SPACE_INVADERS, 3, 0xb313eeb182225743, 0xb52a55df85f6807d, 1107, 392},
};

/* Of one of the package's action codes, some of which a game takes for "none". */
static int index_of(const qg_game *game, uint32_t code)
{
    static const char *const names[QG_MINATAR_CODES] = {"noop",  "left", "up",
                                                        "right", "down", "fire"};
    for (int i = 0; i < game->action_count; i++)
        if (strcmp(game->actions[i], names[code]) == 0) return i;
    return 0;
}

static void test_golden(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof golden / sizeof *golden; row++) {
        qg_domain *domain = open_game(golden[row].game, 1,
                                      (qg_domain_options){.seed = golden[row].seed, .sticky = -1});
        const size_t size = qg_observation_size(&domain->shape);
        uint8_t observation[LARGEST];
        reset(domain, observation);
        uint64_t hash = hash_bytes(14695981039346656037u, observation, size);
        uint64_t x = golden[row].seed;
        int reward = 0, episodes = 0;
        for (int i = 1; i <= 20000; i++) {
            const qg_step result =
                step(domain, index_of(domain->game, next_draw(&x) % QG_MINATAR_CODES), observation);
            const uint8_t bytes[2] = {(uint8_t)result.reward, result.end};
            hash = hash_bytes(hash, bytes, 2);
            hash = hash_bytes(hash, observation, size);
            reward += (int)result.reward;
            if (result.end) {
                episodes++;
                reset(domain, observation);
                hash = hash_bytes(hash, observation, size);
            }
            if (i == 100) assert_int_equal(hash, golden[row].hash_100);
        }
        assert_int_equal(hash, golden[row].hash_20000);
        assert_int_equal(reward, golden[row].reward);
        assert_int_equal(episodes, golden[row].episodes);
        qg_domain_close(domain);
    }
}

/* A game that is over is started by reset; one that goes on is not. */
static void test_ends_and_resets(void **state)
{
    (void)state;
    for (int game = 0; game < GAMES; game++) {
        qg_domain *domain = open_game(game, 1, (qg_domain_options){.seed = 3, .sticky = 0});
        const size_t size = qg_observation_size(&domain->shape);
        uint8_t first[LARGEST], observation[LARGEST], last[LARGEST];
        reset(domain, first);
        reset(domain, observation);
        assert_memory_equal(observation, first, size);

        int acts = 0;
        do
            acts++;
        while (!step(domain, acts % domain->action_count, last).end && acts < 100000);
        assert_true(acts < 100000);
        qg_error error;
        assert_int_equal(qg_domain_reset(domain, 3, observation, &error), QG_OK);
        assert_false(step(domain, 0, observation).end);
        memcpy(last, observation, size);
        reset(domain, observation); /* goes on */
        assert_memory_equal(observation, last, size);
        qg_domain_close(domain);
    }
}

static void test_noops_and_frame_skip(void **state)
{
    (void)state;
    for (int game = 0; game < GAMES; game++) {
        qg_domain *one = open_game(game, 1, (qg_domain_options){.seed = 9, .sticky = -1});
        qg_domain *four =
            open_game(game, 1, (qg_domain_options){.seed = 9, .sticky = -1, .frame_skip = 4});
        const size_t size = qg_observation_size(&one->shape);
        uint8_t a[LARGEST], b[LARGEST];
        qg_error error;
        assert_int_equal(qg_domain_reset(four, 5, b, &error), QG_OK);
        for (int i = 0; i < 5; i++)
            step(one, 0, a);
        assert_memory_equal(a, b, size);

        uint64_t x = 9;
        for (int i = 0; i < 2000; i++) {
            const int action = (int)(next_draw(&x) % (uint32_t)one->action_count);
            qg_step sum = {0};
            for (int k = 0; k < 4 && !sum.end; k++) {
                const qg_step result = step(one, action, a);
                sum.reward += result.reward;
                sum.end = result.end;
            }
            const qg_step result = step(four, action, b);
            assert_true(result.reward == sum.reward && result.end == sum.end);
            assert_memory_equal(a, b, size);
            if (!sum.end) continue;
            reset(one, a);
            reset(four, b);
        }
        qg_domain_close(one);
        qg_domain_close(four);
    }
}

/* Every game ends after so many frames, the no-ops at its beginning among them. */
static void test_limit(void **state)
{
    (void)state;
    for (int game = 0; game < GAMES; game++) {
        qg_domain *domain = open_game(
            game, 1,
            (qg_domain_options){.seed = 4, .sticky = 0, .frame_skip = 3, .max_episode_frames = 10});
        uint8_t observation[LARGEST];
        qg_error error;
        for (int episode = 0; episode < 5; episode++) {
            assert_int_equal(qg_domain_reset(domain, 2, observation, &error), QG_OK);
            int steps = 1;
            qg_step last;
            while (last = step(domain, 0, observation), !last.end && !last.truncated)
                steps++;
            if (last.truncated) assert_int_equal(steps, (10 - 2 + 2) / 3);
            assert_true(last.end != last.truncated);
            if (game == FREEWAY || game == SPACE_INVADERS) assert_true(last.truncated);
        }
        qg_domain_close(domain);
    }
}

/* The package's six: what a game does not know does nothing, and all else is as it was. */
static void test_full_actions(void **state)
{
    (void)state;
    for (int game = 0; game < GAMES; game++) {
        qg_domain *minimal = open_game(game, 1, (qg_domain_options){.seed = 9, .sticky = -1});
        qg_domain *full = open_game(
            game, 1, (qg_domain_options){.seed = 9, .sticky = -1, .actions = QG_ACTIONS_FULL});
        const size_t size = qg_observation_size(&full->shape);
        uint8_t a[LARGEST], b[LARGEST];
        uint64_t x = 1;
        assert_int_equal(full->action_count, QG_MINATAR_CODES);
        for (int i = 0; i < 3000; i++) {
            const uint32_t code = next_draw(&x) % QG_MINATAR_CODES;
            const qg_step one = step(minimal, index_of(minimal->game, code), a);
            const qg_step two = step(full, (int)code, b);
            assert_true(one.reward == two.reward && one.end == two.end);
            assert_memory_equal(a, b, size);
            if (!one.end) continue;
            reset(minimal, a);
            reset(full, b);
        }
        qg_domain_close(minimal);
        qg_domain_close(full);
    }
}

static bool any_in(const uint8_t *observation, int channels, int channel)
{
    for (int cell = 0; cell < 100; cell++)
        if (observation[cell * channels + channel]) return true;
    return false;
}

/* The act at which something first appears in one of two channels, all acts being "none". */
static int first_act(int game, int level, int channel, int or_channel,
                     bool (*appears)(const uint8_t *observation, int channels, int channel))
{
    qg_domain *domain = open_game(game, level, (qg_domain_options){.seed = 1, .sticky = 0});
    uint8_t observation[LARGEST];
    const int channels = domain->shape.channels;
    int act = 0;
    do {
        act++;
        step(domain, 0, observation);
        assert_true(act < 100);
    } while (!appears(observation, channels, channel) &&
             !appears(observation, channels, or_channel));
    qg_domain_close(domain);
    return act;
}

static bool in_column_1(const uint8_t *observation, int channels, int channel)
{
    return observation[channels + channel];
}

/* A timer that starts at n acts for the first time in act n + 1. */
static void test_levels(void **state)
{
    (void)state;
    assert_int_equal(about(ASTERIX)->levels, 10);
    for (int level = 1; level <= 10; level++) /* enemy, gold */
        assert_int_equal(first_act(ASTERIX, level, 1, 3, any_in), 1 + (11 - level));

    assert_int_equal(about(SEAQUEST)->levels, 20);
    for (int level = 1; level <= 20; level++) /* fish, submarine */
        assert_int_equal(first_act(SEAQUEST, level, 5, 6, any_in), 1 + (21 - level));

    assert_int_equal(about(SPACE_INVADERS)->levels, 7);
    for (int level = 1; level <= 7; level++) /* the wave's first step to the left */
        assert_int_equal(first_act(SPACE_INVADERS, level, 1, 1, in_column_1), 1 + (13 - level));

    assert_int_equal(about(BREAKOUT)->levels, 1);
    assert_int_equal(about(FREEWAY)->levels, 1);
}

/* Every episode of a level begins at that level, not only the first. */
static void test_level_lasts(void **state)
{
    (void)state;
    qg_domain *domain = open_game(ASTERIX, 10, (qg_domain_options){.seed = 1, .sticky = 0});
    uint8_t observation[LARGEST];
    for (int episode = 0; episode < 20; episode++) {
        reset(domain, observation);
        step(domain, 0, observation);
        assert_false(any_in(observation, 4, 1) || any_in(observation, 4, 3));
        bool end = step(domain, 0, observation).end;
        assert_true(any_in(observation, 4, 1) || any_in(observation, 4, 3));
        while (!end)
            end = step(domain, 0, observation).end;
    }
    qg_domain_close(domain);
}

static void test_save_restore(void **state)
{
    (void)state;
    static const int before[] = {0, 1, 10, 137, 2000, 2501};
    for (int game = 0; game < GAMES; game++)
        for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
            const int level = about(game)->levels;
            qg_domain *a = open_game(game, level, (qg_domain_options){.seed = 7, .sticky = -1});
            qg_domain *b = open_game(game, level, (qg_domain_options){.seed = 8, .sticky = -1});
            qg_error error;
            uint8_t observation[LARGEST];
            uint64_t x = 7;
            for (int k = 0; k < before[i]; k++) {
                if (k + 1 < before[i]) reset(a, observation); /* a save at an end, too */
                step(a, (int)(next_draw(&x) % (uint32_t)a->action_count), observation);
            }
            play(b, 3, 50);

            uint8_t *saved;
            size_t size;
            assert_int_equal(qg_domain_save(a, &saved, &size, &error), QG_OK);
            assert_int_equal(qg_domain_restore(b, saved, size, &error), QG_OK);
            assert_int_equal(play(a, 11, 3000), play(b, 11, 3000));

            /* and back to the same point, in the domain that played on */
            const uint64_t expected = play(b, 12, 100);
            assert_int_equal(qg_domain_restore(a, saved, size, &error), QG_OK);
            play(a, 11, 3000);
            assert_int_equal(play(a, 12, 100), expected);
            free(saved);
            qg_domain_close(a);
            qg_domain_close(b);
        }
}

/* Refused with a message, and the game goes on as if nothing had been tried. */
static void assert_refused(qg_domain *domain, const uint8_t *saved, size_t size)
{
    qg_error error = {0};
    assert_int_equal(qg_domain_restore(domain, saved, size, &error), QG_ERROR_DATA);
    assert_int_equal(error.code, QG_ERROR_DATA);
    assert_true(strlen(error.message) > 20);
}

static void test_damaged_saves(void **state)
{
    (void)state;
    for (int game = 0; game < GAMES; game++) {
        qg_domain *domain = open_game(game, 1, (qg_domain_options){.seed = 2, .sticky = -1});
        qg_domain *twin = open_game(game, 1, (qg_domain_options){.seed = 2, .sticky = -1});
        qg_domain *other =
            open_game((game + 1) % GAMES, 1, (qg_domain_options){.seed = 2, .sticky = -1});
        play(domain, 1, 200);
        play(twin, 1, 200);
        uint8_t *saved;
        size_t size;
        qg_error error;
        assert_int_equal(qg_domain_save(domain, &saved, &size, &error), QG_OK);

        for (size_t i = 0; i < size; i++) { /* one bit of each byte */
            saved[i] ^= (uint8_t)(1 << i % 8);
            assert_refused(domain, saved, size);
            saved[i] ^= (uint8_t)(1 << i % 8);
        }
        for (size_t shorter = 0; shorter < size; shorter += 1 + size / 300)
            assert_refused(domain, saved, shorter);
        uint8_t *longer = calloc(1, size + 1);
        assert_non_null(longer);
        memcpy(longer, saved, size);
        assert_refused(domain, longer, size + 1);
        free(longer);
        assert_refused(other, saved, size);
        if (domain->game->levels > 1) {
            qg_domain *harder = open_game(game, 2, (qg_domain_options){.sticky = -1});
            assert_refused(harder, saved, size);
            qg_domain_close(harder);
        }

        assert_int_equal(play(domain, 4, 500), play(twin, 4, 500));
        free(saved);
        qg_domain_close(domain);
        qg_domain_close(twin);
        qg_domain_close(other);
    }
}

/* States that carry a right checksum but values that were made up: refused, or harmless however the
 * game goes on (the sanitizers see to that). */
static void test_made_up_saves(void **state)
{
    (void)state;
    static const int32_t values[] = {-1, 0, 1, 9, 10, 64, 65, INT32_MAX, INT32_MIN};
    for (int game = 0; game < GAMES; game++) {
        qg_domain *domain = open_game(game, 1, (qg_domain_options){.seed = 2, .sticky = -1});
        play(domain, 1, 200);
        uint8_t *saved;
        size_t size;
        qg_error error;
        assert_int_equal(qg_domain_save(domain, &saved, &size, &error), QG_OK);
        int refused = 0;
        for (size_t at = 8; at + 8 <= size; at += 4) {
            int32_t original;
            memcpy(&original, saved + at, 4);
            if (original < -1 || original > 300) continue; /* the generator's words */
            for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
                memcpy(saved + at, &values[v], 4);
                const uint32_t crc = (uint32_t)crc32(0, saved, (uInt)(size - 4));
                memcpy(saved + size - 4, &crc, 4);
                if (qg_domain_restore(domain, saved, size, &error) == QG_OK)
                    play(domain, 6, at % 100 == 0 ? 50 : 2);
                else
                    refused++;
            }
            memcpy(saved + at, &original, 4);
        }
        assert_true(refused > 20);
        free(saved);
        qg_domain_close(domain);
    }
}

static void test_picture(void **state)
{
    (void)state;
    for (int game = 0; game < GAMES; game++) {
        qg_domain *domain = open_game(game, 1, (qg_domain_options){.seed = 2, .sticky = -1});
        const int channels = domain->shape.channels;
        uint8_t observation[LARGEST];
        uint64_t x = 1;
        for (int i = 0; i < 300; i++) {
            reset(domain, observation);
            step(domain, (int)(next_draw(&x) % (uint32_t)domain->action_count), observation);
            qg_picture picture;
            qg_domain_picture(domain, &picture);
            assert_int_equal(picture.height, 10);
            assert_int_equal(picture.width, 10);
            assert_int_equal(picture.colors, 1 + channels);
            for (int cell = 0; cell < 100; cell++) {
                const uint8_t *set = observation + cell * channels;
                if (picture.pixels[cell] == 0)
                    for (int c = 0; c < channels; c++)
                        assert_int_equal(set[c], 0);
                else
                    assert_int_equal(set[picture.pixels[cell] - 1], 1);
            }
            for (int c = 1; c < picture.colors; c++)
                for (int d = 0; d < c; d++)
                    assert_memory_not_equal(picture.palette[c], picture.palette[d], 3);
        }
        qg_domain_close(domain);
    }
}

static void test_wrong_options(void **state)
{
    (void)state;
    const qg_domain_options wrong[] = {
        {.frame_skip = -1}, {.sticky = 1.5}, {.sticky = (double)NAN}, {.max_episode_frames = -2}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        qg_domain *domain;
        qg_error error = {0};
        assert_int_equal(qg_domain_open(about(0)->name, &wrong[i], &domain, &error),
                         QG_ERROR_USAGE);
        assert_non_null(strstr(error.message, "minatar/asterix"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numpy_random),    cmocka_unit_test(test_golden),
        cmocka_unit_test(test_ends_and_resets), cmocka_unit_test(test_noops_and_frame_skip),
        cmocka_unit_test(test_limit),           cmocka_unit_test(test_full_actions),
        cmocka_unit_test(test_levels),          cmocka_unit_test(test_level_lasts),
        cmocka_unit_test(test_save_restore),    cmocka_unit_test(test_damaged_saves),
        cmocka_unit_test(test_made_up_saves),   cmocka_unit_test(test_picture),
        cmocka_unit_test(test_wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
