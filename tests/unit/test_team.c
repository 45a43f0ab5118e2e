/* A team's phases: every item is given to one member, exactly once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/team.h"

#include <string.h>

enum { MEMBERS = 3, PHASES = 40, ITEMS = 50 };

typedef struct tally {
    qg_team *team;
    unsigned char done[PHASES][ITEMS]; /* times; nobody else may touch an item */
} tally;

static void take_all(void *context, int member)
{
    tally *t = context;
    for (int phase = 0; phase < PHASES; phase++) {
        int begin, end;
        while (qg_team_take(t->team, member, 1 + phase % ITEMS, 1 + phase % 12, &begin, &end)) {
            for (int i = begin; i < end; i++)
                t->done[phase][i]++;
        }
        if (phase % 3 == 0) qg_team_barrier(t->team); /* phases may follow without one */
    }
}

static void check_all(const tally *t)
{
    for (int phase = 0; phase < PHASES; phase++)
        for (int i = 0; i < ITEMS; i++)
            assert_int_equal(t->done[phase][i], i < 1 + phase % ITEMS);
}

static void test_every_item_once(void **state)
{
    (void)state;
    qg_error error;
    for (int threads = 1; threads <= MEMBERS; threads++) {
        tally t = {0};
        assert_int_equal(qg_team_create(threads, &t.team, &error), QG_OK);
        for (int run = 0; run < 20; run++) { /* phases begin anew with each run */
            memset(t.done, 0, sizeof t.done);
            qg_team_run(t.team, take_all, &t);
            check_all(&t);
        }
        qg_team_destroy(t.team);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_item_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
