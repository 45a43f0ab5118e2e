/* The seam of the domains: the library's three kinds and a fourth of the test's own, whose games
 * nobody knows before they are named. It needs no more than its row in the table. */
#include "domain/provider.h"

#include <qgraft/plugin.h>

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* --------------------------------------------------------------------- the fourth: counters */

/* `count:N`, N of 1 to 9: a screen of one value, which is the number of steps until N. */
enum { MOST = 9 };

static const char *const count_actions[] = {"noop", "one", "two"};
static int played[4000], played_count; /* the actions of all frames */
static qg_game count_games[MOST + 1];
static char count_names[MOST + 1][QG_DOMAIN_NAME];

static const qg_game *listed(size_t index)
{
    (void)index;
    return NULL;
}

static qg_status resolve(const char *name, qg_named_domain *named, qg_error *error)
{
    const int most = atoi(name + strlen("count:"));
    if (most < 1 || most > MOST)
        return qg_fail(error, QG_ERROR_USAGE, "'%s': expected count:1 to count:%d", name, MOST);
    qg_game *const game = &count_games[most];
    snprintf(count_names[most], sizeof count_names[most], "count:%d", most);
    if (!game->name)
        *game = (qg_game){.name = count_names[most],
                          .family = "counting",
                          .actions = count_actions,
                          .action_count = 3,
                          .levels = 1,
                          .shape = {1, 1, 1, 255},
                          .defaults = &qg_screen_defaults};
    *named = (qg_named_domain){.game = game};
    strcpy(named->name, game->name);
    return QG_OK;
}

typedef struct counter {
    int most, count;
} counter;

static qg_status start(void *self, qg_error *error)
{
    (void)error;
    ((counter *)self)->count = 0;
    return QG_OK;
}

static qg_status count_on(void *self, int action, qg_step *frame, qg_error *error)
{
    (void)error;
    counter *c = self;
    played[played_count++] = action;
    *frame = (qg_step){.reward = 1, .end = ++c->count == c->most};
    return QG_OK;
}

static qg_status observe(void *self, uint8_t *observation, qg_error *error)
{
    (void)error;
    observation[0] = (uint8_t)((counter *)self)->count;
    return QG_OK;
}

static qg_status create(qg_domain *domain, const qg_variant *variant,
                        const qg_domain_options *options, qg_error *error)
{
    (void)variant;
    (void)options;
    static const qg_domain_class class = {
        .destroy = free, .start = start, .play = count_on, .observe = observe};
    counter *c = calloc(1, sizeof *c);
    if (!c) return qg_fail_memory(error, "a counter", sizeof *c);
    c->most = (int)(domain->game - count_games);
    domain->methods = &class;
    domain->self = c;
    return QG_OK;
}

static const qg_domain_provider counters = {
    .prefix = "count:", .game = listed, .resolve = resolve, .create = create};

/* In place of the library's. */
const qg_domain_provider *const qg_domain_providers[] = {
    &qg_minatar_provider, &counters, &qg_atari_provider, &qg_plugin_provider, NULL};

/* ---------------------------------------------------------------------------------- the tests */

static const char *plugin; /* the file */

static void every_listed_game_resolves_to_itself(void **state)
{
    (void)state;
    qg_error error;
    const qg_game *game, *found;
    char name[QG_DOMAIN_NAME];
    assert_int_equal(qg_plugin_load(plugin, &error), QG_OK);
    size_t count = 0;
    for (; (game = qg_game_at(count)); count++) {
        assert_int_equal(qg_domain_resolve(game->name, &found, name, &error), QG_OK);
        assert_ptr_equal(found, game);
        assert_string_equal(name, game->name);
    }
    assert_int_equal(count, 5 + 104 + 1);
}

static void a_game_is_registered_when_it_is_named(void **state)
{
    (void)state;
    qg_error error;
    const qg_game *game, *again;
    char name[QG_DOMAIN_NAME];
    assert_int_equal(qg_domain_resolve("count:03", &game, name, &error), QG_OK);
    assert_string_equal(game->name, "count:3");
    assert_string_equal(name, "count:3");
    assert_int_equal(qg_domain_resolve(name, &again, name, &error), QG_OK);
    assert_ptr_equal(again, game);
    assert_int_equal(qg_domain_resolve("count:10", &game, name, &error), QG_ERROR_USAGE);
    assert_string_equal(error.message, "'count:10': expected count:1 to count:9");
    assert_int_equal(qg_domain_resolve("count", &game, name, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "unknown game 'count'"));
}

static void such_a_game_is_played(void **state)
{
    (void)state;
    qg_error error;
    qg_domain *domain;
    qg_step result;
    uint8_t screen;
    const qg_domain_options options = {.seed = 1, .sticky = -1};
    assert_int_equal(qg_domain_open("count:02", &options, &domain, &error), QG_OK);
    assert_string_equal(domain->name, "count:2");
    assert_string_equal(domain->game->family, "counting");
    assert_int_equal(qg_domain_reset(domain, 0, &screen, &error), QG_OK);
    assert_int_equal(qg_domain_step(domain, 0, &result, &screen, &error), QG_OK);
    assert_int_equal(screen, 1);
    assert_false(result.end);
    assert_int_equal(qg_domain_step(domain, 0, &result, &screen, &error), QG_OK);
    assert_true(result.end);
    qg_domain_close(domain);
    assert_int_equal(qg_domain_open("count:0", &options, &domain, &error), QG_ERROR_USAGE);
    assert_null(domain);
}

/* ALE's rule (StellaEnvironment::act, softReset): a frame's draw below the probability leaves the
 * action as it was, whatever it came from; a game begins with none. */
static void sticky_actions_stay(void **state)
{
    (void)state;
    enum { STEPS = 300, SKIP = 4 };
    qg_error error;
    qg_domain *domain;
    const qg_domain_options options = {.seed = 5, .sticky = 0.25, .frame_skip = SKIP};
    qg_random draws = qg_random_stream(5, "sticky"), actions = qg_random_stream(1, "actions");
    assert_int_equal(qg_domain_open("count:9", &options, &domain, &error), QG_OK);
    qg_step step = {.end = true};
    int frame = 0, last = QG_NOOP, stayed = 0, of_game = 0;
    played_count = 0;
    for (int i = 0; i < STEPS; i++) {
        uint8_t screen;
        if (step.end) {
            assert_int_equal(qg_domain_reset(domain, 0, &screen, &error), QG_OK);
            last = QG_NOOP;
            of_game = 0;
        }
        const int action = (int)qg_random_below(&actions, 3);
        assert_int_equal(qg_domain_step(domain, action, &step, &screen, &error), QG_OK);
        for (int k = 0; k < SKIP && of_game < 9; k++, frame++, of_game++) {
            const bool stays = qg_random_uniform(&draws) < 0.25;
            stayed += stays;
            if (!stays) last = action;
            assert_int_equal(played[frame], last);
        }
    }
    assert_int_equal(frame, played_count);
    assert_in_range(stayed, frame / 5, frame * 3 / 10);
    qg_domain_close(domain);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    plugin = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_listed_game_resolves_to_itself),
        cmocka_unit_test(a_game_is_registered_when_it_is_named),
        cmocka_unit_test(such_a_game_is_played),
        cmocka_unit_test(sticky_actions_stay),
    };
    return cmocka_run_group_tests_name("providers", tests, NULL, NULL);
}
