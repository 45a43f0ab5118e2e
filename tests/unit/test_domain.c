/* Names of domains: what is found, how it is normalised, and what the errors say. */
#include "domain/stepping.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void check_name(const char *name, const char *expected)
{
    qg_error error;
    const qg_game *game;
    char normalised[QG_DOMAIN_NAME];
    if (qg_domain_resolve(name, &game, normalised, &error) != QG_OK)
        fail_msg("%s: %s", name, error.message);
    assert_string_equal(normalised, expected);
    assert_int_equal(strncmp(normalised, game->name, strlen(game->name)), 0);
}

static void check_refused(const char *name, const char *in_message)
{
    qg_error error = {0};
    const qg_game *game;
    char normalised[QG_DOMAIN_NAME];
    assert_int_equal(qg_domain_resolve(name, &game, normalised, &error), QG_ERROR_USAGE);
    assert_int_equal(error.code, QG_ERROR_USAGE);
    if (!strstr(error.message, in_message))
        fail_msg("%s: '%s' is not in '%s'", name, in_message, error.message);
}

static void names_are_normalised(void **state)
{
    (void)state;
    check_name("breakout", "breakout");
    check_name("minatar/breakout", "minatar/breakout");
    check_name("minatar/breakout:level=1", "minatar/breakout");
    check_name("qbert:level=2", "qbert:level=2");
    check_name("qbert:level=1,mode=0,difficulty=0", "qbert");
    check_name("space_invaders:difficulty=1,mode=3", "space_invaders:mode=3,difficulty=1");
    check_name("demon_attack:mode=1", "demon_attack"); /* the default is not 0 */
    check_name("space_invaders:mode=003", "space_invaders:mode=3");
}

static void unknown_games_name_the_nearest(void **state)
{
    (void)state;
    check_refused("breakot", "did you mean 'breakout'?");
    check_refused("Space-Invader", "did you mean 'space_invaders'?");
    check_refused("Ponng-v5", "did you mean 'pong'?");
    check_refused("MinAtar/Breakuot-v1", "did you mean 'minatar/breakout'?");
    check_refused("qebrt", "did you mean 'qbert'?");
    check_refused("minatar/breakuot", "did you mean 'minatar/breakout'?");
    check_refused("combat", "unknown game 'combat'"); /* two players only */
    check_refused("xyzzyxyzzy", "`games` lists all");
    check_refused("", "expected the name of a game");
    check_refused("../../etc/passwd", "unknown game");
    check_refused("\033[31mred", "unknown game '?[31mred'");
    char longest[5000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    check_refused(longest, "4999 characters; the name of a game has at most 95");
}

static void names_of_other_programs_are_known(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"BreakoutNoFrameskip-v4", "breakout"},
        {"ALE/Breakout-v5", "breakout"},
        {"ale_py:ALE/SpaceInvaders-v5", "space_invaders"},
        {"SpaceInvaders-ramDeterministic-v0", "space_invaders"},
        {"Pong-ramNoFrameskip-v4", "pong"},
        {"UpNDown-v5", "up_n_down"},               /* envpool */
        {"MontezumaRevenge", "montezuma_revenge"}, /* Dopamine */
        {"ALE/TicTacToe3D-v5", "tic_tac_toe_3d"},
        {"montezuma_revenge.bin", "montezuma_revenge"},
        {"pong_v3", "pong"}, /* PettingZoo */
        {"atari_pong", "pong"},
        {"Q*bert", "qbert"},
        {"Ms. Pac-Man", "ms_pacman"},
        {"mspacman", "ms_pacman"},
        {"Space-Invaders", "space_invaders"},
        {"ALE/Breakout-v5:mode=4", "breakout"},
        {"MinAtar/Breakout-v1", "minatar/breakout"},
        {"MinAtar/SpaceInvaders-v0", "minatar/space_invaders"},
        {"SpaceInvaders-MinAtar", "minatar/space_invaders"},  /* gymnax */
        {"minatar-space_invaders", "minatar/space_invaders"}, /* pgx */
        {"minatar/Freeway", "minatar/freeway"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char answer[128];
        bool same = false;
        const qg_game *const game = qg_game_like(names[i][0], &same);
        assert_true(game && same);
        assert_string_equal(game->name, names[i][1]);
        snprintf(answer, sizeof answer, "here it is '%s'", names[i][1]);
        check_refused(names[i][0], answer);
    }
    static const char *const none[] = {"ALE/Nix-v5", "MinAtar/Pong-v0", "-v5", ":", "::", "/",
                                       "ALE/"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        bool same = true;
        assert_null(qg_game_like(none[i], &same));
        assert_false(same);
    }
}

/* Against what Mnih et al. 2015 print in percent of a person, from other numbers of their table. */
static void scores_are_normalised_by_those_of_people(void **state)
{
    (void)state;
    static const struct {
        const char *game;
        double dqn, percent;
    } printed[] = {{"alien", 3069, 42.7},           {"asteroids", 1629, 7.3},
                   {"boxing", 71.8, 1707.9},        {"breakout", 401.2, 1327.2},
                   {"gravitar", 306.7, 5.3},        {"pong", 18.9, 132},
                   {"private_eye", 1788, 2.5},      {"seaquest", 5286, 25.9},
                   {"space_invaders", 1976, 121.5}, {"video_pinball", 42684, 2539.4},
                   {"montezuma_revenge", 0, 0}};
    for (size_t i = 0; i < sizeof printed / sizeof *printed; i++) {
        const qg_human_scores *const s = qg_human_scores_of(printed[i].game);
        assert_non_null(s);
        const double share = qg_human_normalised(printed[i].dqn, s->random, s->human_2015);
        assert_true(fabs(100 * share - printed[i].percent) < 0.1 + 0.0005 * printed[i].percent);
        assert_string_equal(qg_random_score_source(s), QG_MNIH_2015);
    }
    int all = 0, first = 0;
    const qg_game *game;
    for (size_t i = 0; (game = qg_game_at(i)); i++) {
        const qg_human_scores *const s = qg_human_scores_of(game->name);
        if (!s) continue;
        all++;
        first += !isnan(s->human_2015);
        assert_true(s->human_2016 > s->random && !(s->human_2015 <= s->random));
        if (isnan(s->human_2015)) assert_string_equal(qg_random_score_source(s), QG_WANG_2016);
    }
    assert_int_equal(all, 57);
    assert_int_equal(first, 49);
    assert_null(qg_human_scores_of("minatar/breakout"));
    assert_null(qg_human_scores_of("breakout:mode=4"));
}

static void wrong_settings_name_what_is_allowed(void **state)
{
    (void)state;
    check_refused("space_invaders:mode=17", "its modes are 0-15");
    check_refused("breakout:mode=1", "its modes are 0, 4, 8, 12");
    check_refused("breakout:difficulty=2", "its difficulties are 0, 1");
    check_refused("qbert:level=3", "its levels are 1, 2");
    check_refused("qbert:level=0", "its levels are 1, 2");
    check_refused("breakout:level=2", "breakout has no levels to choose from");
    check_refused("minatar/breakout:mode=0", "has no modes to choose from");
    check_refused("qbert:level=", "qbert has no level ''");
    check_refused("qbert:level=2x", "qbert has no level '2x'");
    check_refused("qbert:level=-2", "qbert has no level '-2'");
    check_refused("qbert:level=4294967298", "qbert has no level '4294967298'");
    check_refused("qbert:level=2,level=2", "level is given twice");
    check_refused("qbert:speed=2", "expected mode=M, difficulty=D or level=L");
    check_refused("qbert:level", "expected mode=M, difficulty=D or level=L");
    check_refused("qbert:", "expected mode=M, difficulty=D or level=L");
    check_refused("qbert:level=2,", "expected mode=M, difficulty=D or level=L");
    check_refused("qbert:=2", "expected mode=M, difficulty=D or level=L");
    check_refused("video_cube:mode=999", "video_cube has no mode '999'"); /* 153 modes */
}

static void the_catalogue_is_whole(void **state)
{
    (void)state;
    const qg_game *g;
    size_t count = 0;
    for (; (g = qg_game_at(count)); count++) {
        assert_true(strlen(g->name) > 0 && strlen(g->family) > 0 && strlen(g->family_source) > 0);
        assert_in_range(g->action_count, 1, QG_MAX_ACTIONS);
        assert_true(g->levels >= 1);
        if (count > 0 && count != 5) assert_true(strcmp(qg_game_at(count - 1)->name, g->name) < 0);
        for (int a = 0; a < g->action_count; a++)
            for (int b = 0; b < a; b++)
                assert_string_not_equal(g->actions[a], g->actions[b]);

        /* Every variant's name fits, and resolves to itself. */
        char name[2 * QG_DOMAIN_NAME];
        int used = snprintf(name, sizeof name, "%s", g->name);
        if (g->mode_count > 1)
            used += snprintf(name + used, 40, ":mode=%d", g->modes[g->mode_count - 1]);
        if (g->difficulty_count > 1)
            used += snprintf(name + used, 40, "%cdifficulty=%d", strchr(name, ':') ? ',' : ':',
                             g->difficulties[g->difficulty_count - 1]);
        if (g->levels > 1)
            snprintf(name + used, 40, "%clevel=%d", strchr(name, ':') ? ',' : ':', g->levels);
        check_name(name, name);
    }
    assert_int_equal(count, 5 + 104);
}

static void families_are_shared(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"minatar/breakout", "breakout"},           {"minatar/space_invaders", "space_invaders"},
        {"minatar/space_invaders", "demon_attack"}, {"minatar/freeway", "freeway"},
        {"minatar/seaquest", "seaquest"},           {"minatar/asterix", "asterix"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        qg_error error;
        const qg_game *a, *b;
        char normalised[QG_DOMAIN_NAME];
        assert_int_equal(qg_domain_resolve(pairs[i][0], &a, normalised, &error), QG_OK);
        assert_int_equal(qg_domain_resolve(pairs[i][1], &b, normalised, &error), QG_OK);
        assert_string_equal(a->family, b->family);
    }
}

/* The one interface in front of a built-in game; the games themselves have their own tests. */
static void a_grid_game_is_played(void **state)
{
    (void)state;
    qg_error error;
    qg_domain *domain;
    const qg_domain_options options = {.seed = 1, .sticky = -1};
    assert_int_equal(qg_domain_open("minatar/breakout", &options, &domain, &error), QG_OK);
    assert_string_equal(domain->name, "minatar/breakout");
    size_t size = qg_observation_size(&domain->shape);
    uint8_t *a = malloc(size), *b = malloc(size), *blob;
    assert_true(a && b);
    qg_step step;
    size_t blob_size;
    assert_int_equal(qg_domain_reset(domain, 3, a, &error), QG_OK);
    assert_int_equal(qg_domain_save(domain, &blob, &blob_size, &error), QG_OK);
    assert_int_equal(qg_domain_step(domain, 1, &step, a, &error), QG_OK);
    assert_int_equal(qg_domain_restore(domain, blob, blob_size, &error), QG_OK);
    assert_int_equal(qg_domain_step(domain, 1, &step, b, &error), QG_OK);
    assert_memory_equal(a, b, size);
    qg_picture picture;
    qg_domain_picture(domain, &picture);
    assert_true(picture.height > 0 && picture.pixels);
    assert_null(qg_domain_ram(domain, &size));
    free(a);
    free(b);
    free(blob);
    qg_domain_close(domain);
    qg_domain_close(NULL);
}

static void assert_actions(const char *name, qg_action_set set, int count, const char *second)
{
    qg_error error;
    const qg_game *game;
    char normalised[QG_DOMAIN_NAME];
    int found = -1;
    assert_int_equal(qg_domain_resolve(name, &game, normalised, &error), QG_OK);
    const char *const *const actions = qg_game_actions(game, set, &found);
    assert_non_null(actions);
    assert_int_equal(found, count);
    assert_string_equal(actions[1], second);
}

static void action_sets(void **state)
{
    (void)state;
    assert_actions("pong", QG_ACTIONS_MINIMAL, 6, "fire");
    assert_actions("pong", QG_ACTIONS_XITARI, 3, "right");
    assert_actions("breakout", QG_ACTIONS_XITARI, 4, "fire");
    assert_actions("breakout", QG_ACTIONS_FULL, 18, "fire");
    assert_actions("minatar/freeway", QG_ACTIONS_FULL, 6, "left");
    assert_actions("minatar/freeway", QG_ACTIONS_XITARI, 3, "up");
    qg_action_set set;
    for (int i = QG_ACTIONS_MINIMAL; i <= QG_ACTIONS_XITARI; i++) {
        assert_true(qg_action_set_find(qg_action_set_name((qg_action_set)i), &set));
        assert_int_equal(set, i);
    }
    assert_false(qg_action_set_find("all", &set));
}

static int64_t limit_of(const char *name, int64_t option)
{
    qg_error error;
    qg_open_domain d = {0};
    char normalised[QG_DOMAIN_NAME];
    assert_int_equal(qg_domain_resolve(name, &d.domain.game, normalised, &error), QG_OK);
    const qg_domain_options options = {.max_episode_frames = option};
    assert_int_equal(qg_stepping_begin(&d, &qg_atari_provider, &options, &error), QG_OK);
    return d.max_frames;
}

static void limits_of_frames(void **state)
{
    (void)state;
    assert_int_equal(limit_of("pong", QG_XITARI_LIMIT), 65000);
    assert_int_equal(limit_of("breakout", QG_XITARI_LIMIT), 1728000);
    assert_int_equal(limit_of("pong", 108000), 108000);
    assert_true(limit_of("pong", 0) == INT64_MAX);
}

static void opening_an_unknown_game_fails(void **state)
{
    (void)state;
    qg_error error;
    qg_domain *domain;
    const qg_domain_options options = {.sticky = -1};
    assert_int_equal(qg_domain_open("breakot", &options, &domain, &error), QG_ERROR_USAGE);
    assert_null(domain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_normalised),
        cmocka_unit_test(unknown_games_name_the_nearest),
        cmocka_unit_test(names_of_other_programs_are_known),
        cmocka_unit_test(scores_are_normalised_by_those_of_people),
        cmocka_unit_test(wrong_settings_name_what_is_allowed),
        cmocka_unit_test(the_catalogue_is_whole),
        cmocka_unit_test(families_are_shared),
        cmocka_unit_test(a_grid_game_is_played),
        cmocka_unit_test(action_sets),
        cmocka_unit_test(limits_of_frames),
        cmocka_unit_test(opening_an_unknown_game_fails),
    };
    return cmocka_run_group_tests_name("domain", tests, NULL, NULL);
}
