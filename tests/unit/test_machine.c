/* What a process may use: its control groups' limits, from files as the kernel writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/machine.h"
#include "scratch.h"

#include <math.h>
#include <sched.h>

static void put(const char *name, const char *text)
{
    char folder[512];
    qg_error error;
    snprintf(folder, sizeof folder, "%s", scratch_path(name));
    *strrchr(folder, '/') = '\0';
    assert_int_equal(qg_folder_create(folder, &error), QG_OK);
    scratch_write(scratch_path(name), text, strlen(text));
}

static void assert_limits(const char *groups, double cores, double memory)
{
    char list[512];
    put("list", groups);
    snprintf(list, sizeof list, "%s", scratch_path("list"));
    const qg_group_limits found = qg_group_limits_read(list, scratch);
    assert_true(found.cores == cores);
    assert_true(found.memory == memory);
}

/* A batch job: the limits are those of the job's group and of the ones above it. */
static void test_version_2(void **state)
{
    (void)state;
    put("system/job_7/step_0/memory.max", "max\n");
    put("system/job_7/step_0/cpu.max", "max 100000\n");
    put("system/job_7/memory.max", "8589934592\n");
    put("system/job_7/cpu.max", "400000 100000\n");
    put("system/memory.max", "17179869184\n");
    put("system/cpu.max", "6400000 100000\n");
    assert_limits("0::/system/job_7/step_0\n", 4, 8589934592);
    assert_limits("0::/system\n", 64, 17179869184);
    assert_limits("0::/\n", INFINITY, INFINITY);
}

/* A container sees its own group as the mount. */
static void test_container(void **state)
{
    (void)state;
    put("memory.max", "2000000\n");
    put("cpu.max", "250000 100000\n");
    assert_limits("0::/\n", 2.5, 2000000);
    assert_limits("0::/../../docker/abc\n", 2.5, 2000000);
}

static void test_version_1(void **state)
{
    (void)state;
    put("memory/slurm/job_7/memory.limit_in_bytes", "4000000\n");
    put("memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("cpu,cpuacct/slurm/cpu.cfs_quota_us", "-1\n");
    put("cpu/slurm/cpu.cfs_quota_us", "300000\n");
    put("cpu/slurm/cpu.cfs_period_us", "100000\n");
    assert_limits("9:name=systemd:/\n4:memory:/slurm/job_7\n2:cpu,cpuacct:/slurm\n0::/\n", 3,
                  4000000);
    put("cpu/slurm/cpu.cfs_quota_us", "-1\n");
    assert_limits("2:cpu,cpuacct:/slurm\n", INFINITY, INFINITY);
}

/* What cannot be read or understood limits nothing. */
static void test_odd(void **state)
{
    (void)state;
    put("memory.max", "much\n");
    put("cpu.max", "100000\n");
    assert_limits("0::/\nnothing\n:\n::\n\n", INFINITY, INFINITY);
    put("memory.max", "");
    assert_limits("0::/a/b", INFINITY, INFINITY);
    const qg_group_limits none = qg_group_limits_read(scratch_path("none"), scratch);
    assert_true(isinf(none.cores) && isinf(none.memory));
}

static void test_affinity(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_in_range(qg_machine_cores(), 1, CPU_COUNT(&all));
    int first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(qg_machine_cores(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_true(qg_machine_memory() > 1e6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_version_2, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_container, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_version_1, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_odd, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
