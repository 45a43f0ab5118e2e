/* The order in which a study's tasks run, and its forecast. */
#include "study/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TASKS = 5 };

/* 0 and 1 stand alone; 2 begins from 0, 3 from 2, 4 from 1 and 2. */
static qg_study_task tasks[TASKS] = {
    {.parent_count = 0},
    {.parent_count = 0},
    {.parents = {0}, .parent_count = 1},
    {.parents = {2}, .parent_count = 1},
    {.parents = {1, 2}, .parent_count = 2},
};
static const qg_study study = {.tasks = tasks, .task_count = TASKS};
static const qg_task_load loads[TASKS] = {{1, 10, 5, 1, false},
                                          {8, 10, 5, 1, false},
                                          {2, 10, 5, 1, false},
                                          {3, 10, 5, 1, false},
                                          {1, 30, 5, 1, false}};

static void test_urgency_is_the_longest_chain(void **state)
{
    double urgency[TASKS];
    (void)state;
    qg_schedule_urgency(&study, loads, urgency);
    const double expected[TASKS] = {6, 9, 5, 3, 1};
    for (int t = 0; t < TASKS; t++)
        assert_true(urgency[t] == expected[t]);
}

static int next(const qg_task_state states[TASKS], int jobs, double memory)
{
    double urgency[TASKS];
    qg_schedule_urgency(&study, loads, urgency);
    return qg_schedule_next(&study, states, loads, urgency, &(qg_study_limits){jobs, memory});
}

static void test_next(void **state)
{
    (void)state;
    qg_task_state states[TASKS] = {QG_TASK_WAITING};
    assert_int_equal(next(states, 2, 100), 1); /* the most urgent that is ready */
    states[1] = QG_TASK_RUNNING;
    assert_int_equal(next(states, 1, 100), -1);
    assert_int_equal(next(states, 2, 100), 0);
    assert_int_equal(next(states, 2, 15), -1); /* no room beside the other */
    states[0] = QG_TASK_FINISHED;
    assert_int_equal(next(states, 2, 100), 2);
    states[2] = QG_TASK_FAILED;
    assert_int_equal(next(states, 2, 100), -1);
    states[1] = states[2] = QG_TASK_FINISHED;
    states[3] = QG_TASK_FINISHED;
    assert_int_equal(next(states, 2, 15), 4); /* alone it may take all */
    states[4] = QG_TASK_BLOCKED;
    assert_int_equal(next(states, 2, 100), -1);
}

/* The shortest of three, none of which waits for another. */
static void test_first(void **state)
{
    (void)state;
    qg_study_task alone[3] = {{0}, {0}, {0}};
    const qg_study three = {.tasks = alone, .task_count = 3};
    const qg_task_load of[3] = {{5, 1, 1, 1, false}, {0.1, 1, 1, 1, true}, {7, 1, 1, 1, false}};
    const qg_task_state states[3] = {QG_TASK_WAITING};
    double urgency[3];
    qg_schedule_urgency(&three, of, urgency);
    assert_int_equal(qg_schedule_next(&three, states, of, urgency, &(qg_study_limits){1, 9}), 1);
}

static void test_forecast(void **state)
{
    (void)state;
    qg_error error;
    qg_study_forecast f;
    qg_task_state states[TASKS] = {QG_TASK_WAITING};
    assert_int_equal(
        qg_schedule_forecast(&study, states, loads, &(qg_study_limits){1, 100}, &f, &error), QG_OK);
    assert_true(f.seconds == 15 && f.memory == 30 && f.disk == 4 + 5);
    /* 1 from 0 to 8; beside it 0, 2 and 3 until 6; 4 from 8 to 9. */
    assert_int_equal(
        qg_schedule_forecast(&study, states, loads, &(qg_study_limits){2, 100}, &f, &error), QG_OK);
    assert_true(f.seconds == 9 && f.memory == 30 && f.disk == 2 + 2 * 5);
    /* What runs and what is finished counts; what waits for a failed task is left out. */
    states[0] = QG_TASK_FAILED;
    states[1] = QG_TASK_RUNNING;
    assert_int_equal(
        qg_schedule_forecast(&study, states, loads, &(qg_study_limits){2, 100}, &f, &error), QG_OK);
    assert_true(f.seconds == 8);
    assert_int_equal(states[1], QG_TASK_RUNNING);
    const qg_study empty = {0};
    assert_int_equal(
        qg_schedule_forecast(&empty, states, loads, &(qg_study_limits){2, 100}, &f, &error), QG_OK);
    assert_true(f.seconds == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_urgency_is_the_longest_chain),
                                       cmocka_unit_test(test_next), cmocka_unit_test(test_first),
                                       cmocka_unit_test(test_forecast)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
