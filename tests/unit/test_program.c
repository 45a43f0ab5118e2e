/* Running another program: all that goes in and comes out, and all the ways to end. */
#include "base/program.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static qg_program_result run(const char *script, const char *input)
{
    char *arguments[] = {"sh", "-c", (char *)script, NULL};
    qg_program_result result;
    qg_error error;
    if (qg_program_run(arguments, input, &result, &error)) fail_msg("%s", error.message);
    return result;
}

static void test_input_output_messages_code(void **state)
{
    (void)state;
    qg_program_result result = run("cat; echo why >&2; exit 3", "some text");
    assert_int_equal(result.code, 3);
    assert_int_equal(result.size, 9);
    assert_string_equal(result.output, "some text");
    assert_string_equal(result.messages, "why\n");
    qg_program_result_free(&result);
    assert_null(result.output);

    result = run("cat; kill -KILL $$", NULL);
    assert_int_equal(result.code, 128);
    assert_string_equal(result.output, "");
    qg_program_result_free(&result);
}

/* Far more than a pipe holds, in both directions at once. */
static void test_much_of_both(void **state)
{
    (void)state;
    const size_t size = 1 << 20;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    text[size] = '\0';
    qg_program_result result = run("tee /dev/stderr", text);
    assert_int_equal(result.code, 0);
    assert_int_equal(result.size, size);
    assert_string_equal(result.output, text);
    assert_string_equal(result.messages, text);
    qg_program_result_free(&result);
    free(text);
}

static void test_no_such_program(void **state)
{
    (void)state;
    char *arguments[] = {"qgraft-no-such-program", NULL};
    qg_program_result result;
    qg_error error;
    assert_int_equal(qg_program_run(arguments, NULL, &result, &error), QG_ERROR_IO);
    assert_int_equal(errno, ENOENT);
    assert_non_null(strstr(error.message, "qgraft-no-such-program"));
    assert_null(result.output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_output_messages_code),
        cmocka_unit_test(test_much_of_both),
        cmocka_unit_test(test_no_such_program),
    };
    return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
