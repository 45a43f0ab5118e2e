/* Names of Gymnasium's environments: what they are cut into, one spelling of each, what is refused;
 * and a worker that is no Python. */
#include "domain/gym/gym_name.h"

#include "domain/gym/gym_game.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static qg_error error;

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *name, *normalised, *family, *request;
    } all[] = {
        {"gym:CartPole-v1", "gym:CartPole-v1", "CartPole",
         "{\"id\":\"CartPole-v1\",\"arguments\":{},\"settings\":{}}"},
        {"gym:my.envs:ns/My-Env-v0", "gym:my.envs:ns/My-Env-v0", "My-Env",
         "{\"id\":\"my.envs:ns/My-Env-v0\",\"arguments\":{},\"settings\":{}}"},
        {"gym:A-v0[z=-5.5,a=True,b=none,c=text,d=[1,2]]",
         "gym:A-v0[a=true,b=none,c=text,d=[1,2],z=-5.5]", "A",
         "{\"id\":\"A-v0\",\"arguments\":{\"a\":true,\"b\":null,\"c\":\"text\",\"d\":[1,2],\"z\":-"
         "5.5},"
         "\"settings\":{}}"},
        {"gym:m:A-v0:size=84,grey=1", "gym:m:A-v0:grey=1,size=84", "A",
         "{\"id\":\"m:A-v0\",\"arguments\":{},\"settings\":{\"grey\":true,\"size\":[84,84]}}"},
        {"gym:A-v0[k=v]:actions=up+down,observe=image,size=7x9",
         "gym:A-v0[k=v]:actions=up+down,observe=image,size=7x9", "A",
         "{\"id\":\"A-v0\",\"arguments\":{\"k\":\"v\"},\"settings\":{\"actions\":[\"up\",\"down\"],"
         "\"observe\":\"image\",\"size\":[7,9]}}"},
        {"gym:A[a=.5,b=+5,c=-.25,d=1.2.3,e=+x]", "gym:A[a=.5,b=+5,c=-.25,d=1.2.3,e=+x]", "A",
         "{\"id\":\"A\",\"arguments\":{\"a\":0.5,\"b\":5,\"c\":-0.25,\"d\":\"1.2.3\",\"e\":\"+x\"},"
         "\"settings\":{}}"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        qg_gym_name read, again;
        assert_int_equal(qg_gym_name_read(all[i].name, &read, &error), QG_OK);
        assert_string_equal(read.normalised, all[i].normalised);
        assert_string_equal(read.family, all[i].family);
        assert_string_equal(read.request, all[i].request);
        assert_int_equal(qg_gym_name_read(read.normalised, &again, &error), QG_OK);
        assert_string_equal(again.normalised, read.normalised);
        free(read.request);
        free(again.request);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const names[] = {"gym:",
                                        "gym:[a=1]",
                                        "gym:A[",
                                        "gym:A]",
                                        "gym:A[a]",
                                        "gym:A[a=]",
                                        "gym:A[=1]",
                                        "gym:A[a=1,]",
                                        "gym:A[a=1]b",
                                        "gym:A[a=1]:",
                                        "gym:A[a=1,a=2]",
                                        "gym:A:size=",
                                        "gym:A:size=0",
                                        "gym:A:size=1025",
                                        "gym:A:size=8x",
                                        "gym:A:size=x8",
                                        "gym:A:size=8x8x8",
                                        "gym:A:grey=0",
                                        "gym:A:grey=2",
                                        "gym:A:actions=",
                                        "gym:A:actions=a+",
                                        "gym:A:actions=a+a",
                                        "gym:A:actions=A",
                                        "gym:A:b=1",
                                        "gym:A B",
                                        "gym:A`",
                                        "gym:A\n",
                                        "gym:A'",
                                        "gym:m:",
                                        "gym::A",
                                        "gym:=1",
                                        "gym:A[1a=2]",
                                        "gym:A:actions=abcdefghijklmnopqrstuvwx"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        qg_gym_name read;
        if (qg_gym_name_read(names[i], &read, &error) != QG_ERROR_USAGE)
            fail_msg("%s was read", names[i]);
        assert_null(read.request);
        assert_null(strchr(error.message, '\n'));
    }
}

static void test_no_python(void **state)
{
    (void)state;
    qg_named_domain named;
    setenv("QGRAFT_PYTHON", "/nowhere/python", 1);
    assert_int_equal(qg_gym_resolve("gym:CartPole-v1", &named, &error), QG_ERROR_IO);
    assert_non_null(strstr(error.message, "gym:CartPole-v1: no Python '/nowhere/python'"));
    setenv("QGRAFT_PYTHON", "true", 1); /* it ends at once and says nothing */
    assert_int_equal(qg_gym_resolve("gym:CartPole-v1", &named, &error), QG_ERROR_IO);
    assert_non_null(strstr(error.message, "ended by itself with exit code 0"));
    setenv("QGRAFT_PYTHON", "cat", 1); /* it waits for nothing and knows no such file */
    assert_int_equal(qg_gym_resolve("gym:CartPole-v1", &named, &error), QG_ERROR_IO);
    assert_non_null(strstr(error.message, "it said last: "));
    setenv("QGRAFT_START_FOLDER", "/nowhere", 1);
    assert_int_equal(qg_gym_resolve("gym:CartPole-v1", &named, &error), QG_ERROR_IO);
    assert_non_null(strstr(error.message, "gym:CartPole-v1: no folder '/nowhere'"));
    unsetenv("QGRAFT_START_FOLDER");
    static const char *const times[] = {"0", "-1", "soon"};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        setenv("QGRAFT_PYTHON_TIMEOUT", times[i], 1);
        assert_int_equal(qg_gym_resolve("gym:CartPole-v1", &named, &error), QG_ERROR_USAGE);
        assert_non_null(strstr(error.message, "QGRAFT_PYTHON_TIMEOUT is a number of seconds"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_python),
    };
    return cmocka_run_group_tests_name("gym_name", tests, NULL, NULL);
}
