/* A crew: every piece is done once, by whoever is there, and seen when the job is finished. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/crew.h"

#include <string.h>
#include <time.h>

enum { MEMBERS = 4, MOST = 200 };

typedef struct job {
    _Atomic int pieces; /* that are done */
    int done[MOST];     /* by piece */
    int slow;           /* this piece takes a while */
    int members[MOST];
} job;

static void work(void *context, int member, int piece)
{
    job *j = context;
    if (piece == j->slow) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    j->done[piece]++;
    j->members[piece] = member;
    j->pieces++;
}

static void check_jobs(int members)
{
    qg_crew *crew;
    qg_error error;
    assert_int_equal(qg_crew_create(members, &crew, &error), QG_OK);
    qg_crew_finish(crew); /* no job */
    for (int round = 0; round < 300; round++) {
        const int pieces = round % 7 * round % MOST;
        job j = {.slow = round % 20 ? -1 : pieces / 2};
        qg_crew_begin(crew, work, &j, pieces);
        qg_crew_finish(crew);
        qg_crew_finish(crew);
        for (int i = 0; i < MOST; i++) {
            assert_int_equal(j.done[i], i < pieces);
            assert_in_range(j.members[i], 0, members - 1);
        }
    }
    qg_crew_destroy(crew);
}

static void test_jobs(void **state)
{
    (void)state;
    check_jobs(1);
    check_jobs(2);
    check_jobs(MEMBERS);
}

/* Others do the work while the user waits for something else, and a crew that ends finishes. */
static void test_beside(void **state)
{
    (void)state;
    qg_crew *crew;
    qg_error error;
    job j = {.slow = -1};
    assert_int_equal(qg_crew_create(2, &crew, &error), QG_OK);
    qg_crew_begin(crew, work, &j, 10);
    for (int k = 0; k < 60000 && j.pieces < 10; k++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(j.pieces, 10);
    qg_crew_finish(crew);
    for (int i = 0; i < 10; i++)
        assert_true(j.done[i] == 1 && j.members[i] == 1);
    memset(j.done, 0, sizeof j.done);
    qg_crew_begin(crew, work, &j, 10);
    qg_crew_destroy(crew);
    for (int i = 0; i < 10; i++)
        assert_int_equal(j.done[i], 1);
    qg_crew_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_jobs), cmocka_unit_test(test_beside)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
