/* Clocks: what can be said of them without looking at how fast this machine is. */
#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/time.h>

#include <cmocka.h>

static void test_the_clocks_go_forward(void **state)
{
    (void)state;
    double before = qg_clock_seconds();
    for (int i = 0; i < 1000; i++) {
        const double now = qg_clock_seconds();
        assert_true(now >= before);
        before = now;
    }
    assert_true(qg_clock_wall() > 1.6e9); /* later than 2020 */
}

static void test_a_sleep_lasts_until_its_end(void **state)
{
    (void)state;
    const double end = qg_clock_seconds() + 0.002;
    qg_clock_sleep_until(end);
    assert_true(qg_clock_seconds() >= end);
    qg_clock_sleep_until(end - 1);
}

static void test_when_to_tell(void **state)
{
    (void)state;
    double told = 0;
    assert_true(qg_clock_tells(1, &told) && told > 0); /* never yet */
    const double long_ago = told - 0.2;
    told = qg_clock_seconds() + 3600; /* however slow this machine is */
    for (int64_t step = 1; step <= 600; step++) {
        double then = told;
        assert_true(qg_clock_tells(step, &then) == (step % 256 == 0));
    }
    told = long_ago;
    assert_true(qg_clock_tells(5, &told) && told > long_ago);
}

static void take_signal(int number)
{
    (void)number;
}

static void test_a_signal_ends_a_sleep(void **state)
{
    (void)state;
    const struct sigaction take = {.sa_handler = take_signal};
    sigaction(SIGALRM, &take, NULL);
    const struct itimerval again_and_again = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &again_and_again, NULL);
    const double end = qg_clock_seconds() + 3600;
    qg_clock_sleep_until(end);
    setitimer(ITIMER_REAL, &never, NULL);
    assert_true(qg_clock_seconds() < end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_clocks_go_forward),
        cmocka_unit_test(test_a_sleep_lasts_until_its_end),
        cmocka_unit_test(test_when_to_tell),
        cmocka_unit_test(test_a_signal_ends_a_sleep),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
