/* A game from a shared object (examples/my_game.c) behind the library's interface: loaded once,
 * repeatable, saved and restored, and refusing what is not its own. */
#include <qgraft/plugin.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SCREEN = 10 * 10 * 2 };

static const char *plugin; /* the file */

static qg_domain *open_catch(uint32_t seed, double sticky)
{
    qg_error error;
    qg_domain *domain;
    const qg_domain_options options = {.seed = seed, .sticky = sticky};
    uint8_t first[SCREEN];
    assert_int_equal(qg_domain_open("catch", &options, &domain, &error), QG_OK);
    assert_int_equal(qg_domain_reset(domain, 0, first, &error), QG_OK);
    return domain;
}

static void play(qg_domain *domain, int steps, uint8_t screen[SCREEN])
{
    qg_error error;
    qg_step step;
    for (int i = 0; i < steps; i++) {
        assert_int_equal(qg_domain_step(domain, i % 3, &step, screen, &error), QG_OK);
        if (step.end) assert_int_equal(qg_domain_reset(domain, 0, screen, &error), QG_OK);
    }
}

static void loading_twice_adds_one_game(void **state)
{
    (void)state;
    qg_error error;
    size_t before = 0;
    while (qg_game_at(before))
        before++;
    assert_int_equal(qg_plugin_load("/nowhere.so", &error), QG_ERROR_IO);
    assert_int_equal(qg_plugin_load("/", &error), QG_ERROR_DATA);
    assert_int_equal(qg_plugin_load(plugin, &error), QG_OK);
    const qg_game *game = qg_game_at(before);
    assert_non_null(game);
    assert_int_equal(qg_plugin_load(plugin, &error), QG_OK);
    assert_ptr_equal(qg_game_at(before), game);
    assert_null(qg_game_at(before + 1));
    assert_string_equal(game->name, "catch");
    assert_string_equal(game->defaults->preset, "grid");
}

static void a_restored_game_goes_on_as_before(void **state)
{
    (void)state;
    qg_error error;
    qg_domain *domain = open_catch(3, 0.5), *other = open_catch(4, 0.5);
    uint8_t a[SCREEN], b[SCREEN], *saved;
    size_t size;
    play(domain, 130, a);
    assert_int_equal(qg_domain_save(domain, &saved, &size, &error), QG_OK);
    play(domain, 250, a);
    assert_int_equal(qg_domain_restore(other, saved, size, &error), QG_OK);
    play(other, 250, b);
    assert_memory_equal(a, b, SCREEN);
    free(saved);
    qg_domain_close(domain);
    qg_domain_close(other);
}

static void a_damaged_state_changes_nothing(void **state)
{
    (void)state;
    qg_error error;
    qg_domain *domain = open_catch(3, 0), *untouched = open_catch(3, 0);
    uint8_t a[SCREEN], b[SCREEN], *saved;
    size_t size;
    play(domain, 10, a);
    assert_int_equal(qg_domain_save(domain, &saved, &size, &error), QG_OK);
    play(domain, 3, a);
    play(untouched, 10, b);
    play(untouched, 3, b);
    for (size_t i = 0; i < size; i++) {
        saved[i] ^= 0x10;
        assert_int_equal(qg_domain_restore(domain, saved, size, &error), QG_ERROR_DATA);
        saved[i] ^= 0x10;
        assert_int_equal(qg_domain_restore(domain, saved, i, &error), QG_ERROR_DATA);
    }
    play(domain, 100, a);
    play(untouched, 100, b);
    assert_memory_equal(a, b, SCREEN);
    free(saved);
    qg_domain_close(domain);
    qg_domain_close(untouched);
}

static void the_state_of_another_game_is_refused(void **state)
{
    (void)state;
    qg_error error;
    qg_domain *domain = open_catch(1, 0), *breakout;
    const qg_domain_options options = {.seed = 1, .sticky = -1};
    assert_int_equal(qg_domain_open("minatar/breakout", &options, &breakout, &error), QG_OK);
    uint8_t *saved;
    size_t size;
    assert_int_equal(qg_domain_save(breakout, &saved, &size, &error), QG_OK);
    assert_int_equal(qg_domain_restore(domain, saved, size, &error), QG_ERROR_DATA);
    free(saved);
    assert_int_equal(qg_domain_save(domain, &saved, &size, &error), QG_OK);
    assert_int_equal(qg_domain_restore(breakout, saved, size, &error), QG_ERROR_DATA);
    free(saved);
    qg_domain_close(domain);
    qg_domain_close(breakout);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    qg_error error;
    qg_domain *domain;
    const qg_domain_options often = {.sticky = 1.5}, back = {.frame_skip = -1};
    assert_int_equal(qg_domain_open("catch", &often, &domain, &error), QG_ERROR_USAGE);
    assert_int_equal(qg_domain_open("catch", &back, &domain, &error), QG_ERROR_USAGE);
    assert_int_equal(qg_domain_open("catch:level=2", &often, &domain, &error), QG_ERROR_USAGE);
    assert_null(domain);
}

/* A plugin's game is cut off after so many frames, and a new one is started by reset. */
static void a_game_is_cut_off(void **state)
{
    (void)state;
    qg_error error;
    qg_domain *domain;
    qg_step step;
    uint8_t screen[SCREEN], first[SCREEN];
    const qg_domain_options options = {.seed = 3, .frame_skip = 4, .max_episode_frames = 25};
    const qg_domain_options full = {.actions = QG_ACTIONS_FULL};
    assert_int_equal(qg_domain_open("catch", &full, &domain, &error), QG_ERROR_USAGE);
    assert_int_equal(qg_domain_open("catch", &options, &domain, &error), QG_OK);
    for (int game = 0; game < 3; game++) {
        assert_int_equal(qg_domain_reset(domain, 2, first, &error), QG_OK);
        for (int i = 1; i <= 6; i++) { /* 2 no-ops, 5 steps of 4 frames, one of 3 */
            assert_int_equal(qg_domain_step(domain, 1, &step, screen, &error), QG_OK);
            assert_true(!step.end && step.truncated == (i == 6));
        }
    }
    qg_domain_close(domain);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    plugin = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_twice_adds_one_game), /* first: it loads the plugin */
        cmocka_unit_test(a_restored_game_goes_on_as_before),
        cmocka_unit_test(a_damaged_state_changes_nothing),
        cmocka_unit_test(the_state_of_another_game_is_refused),
        cmocka_unit_test(a_game_is_cut_off),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
