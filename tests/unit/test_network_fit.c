/* Which networks fit a domain; what does not fit is said of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/agent.h>

#include <string.h>

static qg_error error;

static const qg_game game = {.name = "game", .action_count = 3};

static qg_domain domain_of(int side, int channels, int max)
{
    return (qg_domain){.game = &game,
                       .name = "game",
                       .shape = {side, side, channels, max},
                       .actions = game.actions,
                       .action_count = game.action_count};
}

static qg_architecture architecture_of(const qg_domain *domain, int history)
{
    qg_settings s;
    qg_architecture a;
    assert_int_equal(qg_settings_preset(&s, "dqn3", &error), QG_OK);
    strcpy(s.network, "[{\"linear\": 4}]");
    s.history = history;
    assert_int_equal(qg_architecture_for(&s, domain, &a, &error), QG_OK);
    return a;
}

/* The names decide, then the count. */
static void test_action_set(void **state)
{
    (void)state;
    const struct {
        const char *domain, *actions;
        int count;
        qg_action_set set;
    } cases[] = {{"pong", "noop,fire,right,left,rightfire,leftfire", 6, QG_ACTIONS_MINIMAL},
                 {"pong", "noop,right,left", 3, QG_ACTIONS_XITARI},
                 {"pong", "", 3, QG_ACTIONS_XITARI},
                 {"pong", "noop,up,down", 3, QG_ACTIONS_MINIMAL},
                 {"minatar/breakout", "noop,up,down,left,right,fire", 6, QG_ACTIONS_MINIMAL},
                 {"pong", "", 18, QG_ACTIONS_FULL},
                 {"breakout", "noop,fire,right,left", 4, QG_ACTIONS_MINIMAL},
                 {"breakout", "noop,right,left", 3, QG_ACTIONS_MINIMAL},
                 {"minatar/seaquest", "noop,left,up,right,down,fire", 6, QG_ACTIONS_MINIMAL},
                 {"minatar/freeway", "noop,left,up,right,down,fire", 6, QG_ACTIONS_FULL},
                 {"minatar/freeway", "noop,up,down", 3, QG_ACTIONS_MINIMAL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const qg_game *played;
        char name[QG_DOMAIN_NAME];
        qg_network_info info = {0};
        const qg_architecture a = {.actions = cases[i].count};
        strcpy(info.actions, cases[i].actions);
        assert_int_equal(qg_domain_resolve(cases[i].domain, &played, name, &error), QG_OK);
        assert_int_equal(qg_network_action_set(&info, &a, played), cases[i].set);
    }
}

static void test_what_is_made_fits(void **state)
{
    (void)state;
    for (int history = 1; history <= QG_MAX_HISTORY; history++) {
        const qg_domain grey = domain_of(12, 1, 255);
        const qg_architecture a = architecture_of(&grey, history);
        assert_int_equal(a.channels, history);
        assert_int_equal(a.actions, 3);
        assert_int_equal(qg_network_fits(&a, &grey, history, &error), QG_OK);
        assert_int_equal(qg_network_history(NULL, &a, &grey), history);
        const qg_network_info info = {.history = 2}; /* what the file says comes first */
        assert_int_equal(qg_network_history(&info, &a, &grey), 2);
    }
    const qg_domain grid = domain_of(10, 4, 1), wider = domain_of(10, 6, 1);
    const qg_architecture a = architecture_of(&wider, 1); /* room for more than the grid has */
    assert_int_equal(qg_network_history(NULL, &a, &grid), 1);
    assert_int_equal(qg_network_fits(&a, &grid, 1, &error), QG_OK);
}

static void test_outputs(void **state)
{
    (void)state;
    const char *const names[] = {"noop", "left", "right"};
    qg_domain domain = domain_of(12, 1, 255);
    domain.actions = names;
    const struct {
        const char *actions;
        qg_outputs means;
        int outputs[3];
    } cases[] = {{"", QG_OUTPUTS_IN_ORDER, {0, 1, 2}},
                 {"noop,left,right", QG_OUTPUTS_IN_ORDER, {0, 1, 2}},
                 {"right,noop,left", QG_OUTPUTS_MOVED, {1, 2, 0}},
                 {"noop,up,down", QG_OUTPUTS_OTHER, {0, 1, 2}},
                 {"noop,up,down,left,right", QG_OUTPUTS_OTHER, {0, 1, 2}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_network_info info = {0};
        int outputs[QG_MAX_ACTIONS];
        strcpy(info.actions, cases[i].actions);
        assert_int_equal(qg_network_outputs(&info, &domain, outputs), cases[i].means);
        assert_memory_equal(outputs, cases[i].outputs, sizeof cases[i].outputs);
    }
}

static void assert_misfit(const qg_architecture *a, const qg_domain *domain, int history,
                          const char *one, const char *other)
{
    assert_int_equal(qg_network_fits(a, domain, history, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, one));
    assert_non_null(strstr(error.message, other));
}

static void test_misfits(void **state)
{
    (void)state;
    const qg_domain grey = domain_of(12, 1, 255), larger = domain_of(13, 1, 255);
    const qg_domain grid = domain_of(12, 4, 1), wider = domain_of(12, 6, 1);
    qg_architecture a = architecture_of(&grey, 4);
    assert_misfit(&a, &larger, 4, "12x12", "13x13");
    assert_misfit(&a, &grid, 1, "max 255", "max 1");
    assert_misfit(&a, &grey, 5, "4 channels", "with 5");
    assert_misfit(&a, &grey, 9, "9 screens", "1 to 8");
    assert_misfit(&a, &grey, 0, "0 screens", "1 to 8");
    a.actions = 4;
    assert_misfit(&a, &grey, 4, "4 actions", "has 3");
    a = architecture_of(&grid, 1);
    assert_misfit(&a, &wider, 1, "4 channels", "with 6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_action_set),
        cmocka_unit_test(test_what_is_made_fits),
        cmocka_unit_test(test_misfits),
        cmocka_unit_test(test_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
