/* A team of threads: every member runs once a run, and nobody passes a barrier before all are
 * there. Runs under the thread sanitizer, too. */
#include "base/team.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 5, ROUNDS = 50 };

static qg_team *make_team(int threads)
{
    qg_team *team = NULL;
    qg_error error;
    assert_int_equal(qg_team_create(threads, &team, &error), QG_OK);
    assert_int_equal(qg_team_size(team), threads);
    return team;
}

typedef struct count {
    qg_team *team;
    int calls[MOST];        /* of each member */
    int seen[MOST][ROUNDS]; /* the sum that each member found in each round */
    int written[MOST];      /* in this round */
} count;

static void count_call(void *context, int member)
{
    count *c = context;
    c->calls[member]++;
}

/* Plain variables: that all see what all wrote is the barrier's doing. */
static void write_and_add(void *context, int member)
{
    count *c = context;
    for (int round = 0; round < ROUNDS; round++) {
        c->written[member] = round + member;
        qg_team_barrier(c->team);
        for (int i = 0; i < qg_team_size(c->team); i++)
            c->seen[member][round] += c->written[i];
        qg_team_barrier(c->team);
    }
}

static void test_every_member_runs_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= MOST; threads++) {
        count c = {.team = make_team(threads)};
        for (int run = 1; run <= 20; run++) {
            qg_team_run(c.team, count_call, &c);
            for (int i = 0; i < MOST; i++)
                assert_int_equal(c.calls[i], i < threads ? run : 0);
        }
        qg_team_destroy(c.team);
    }
}

static void test_barriers_show_what_was_written(void **state)
{
    (void)state;
    for (int threads = 1; threads <= MOST; threads++) {
        count c = {.team = make_team(threads)};
        qg_team_run(c.team, write_and_add, &c);
        for (int i = 0; i < threads; i++)
            for (int round = 0; round < ROUNDS; round++)
                assert_int_equal(c.seen[i][round], threads * round + threads * (threads - 1) / 2);
        qg_team_destroy(c.team);
    }
}

static void test_teams_that_never_ran_end(void **state)
{
    (void)state;
    qg_team_destroy(make_team(MOST));
    qg_team_destroy(NULL);
}

static void test_shares_are_in_order_and_equal(void **state)
{
    (void)state;
    static const int counts[] = {0, 1, 3, 4, 7, 64, 1000003};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
        for (int size = 1; size <= 9; size++) {
            int next = 0;
            for (int member = 0; member < size; member++) {
                int begin, end;
                qg_team_share(counts[k], member, size, &begin, &end);
                assert_int_equal(begin, next);
                assert_in_range(end - begin, counts[k] / size, (counts[k] + size - 1) / size);
                next = end;
            }
            assert_int_equal(next, counts[k]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_member_runs_once),
        cmocka_unit_test(test_barriers_show_what_was_written),
        cmocka_unit_test(test_teams_that_never_ran_end),
        cmocka_unit_test(test_shares_are_in_order_and_equal),
    };
    return cmocka_run_group_tests_name("team", tests, NULL, NULL);
}
