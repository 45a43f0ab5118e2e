/* Errors: one line, whatever was put into it. */
#include <qgraft/error.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_code_and_message(void **state)
{
    (void)state;
    qg_error error;
    assert_int_equal(qg_fail(&error, QG_ERROR_DATA, "%s: %d rows", "a.csv", 3), QG_ERROR_DATA);
    assert_int_equal(error.code, QG_ERROR_DATA);
    assert_string_equal(error.message, "a.csv: 3 rows");
    assert_int_equal(qg_fail_memory(&error, "a team", 1ull << 40), QG_ERROR_MEMORY);
    assert_int_equal(error.code, QG_ERROR_MEMORY);
    assert_string_equal(error.message, "not enough memory for a team (1099511627776 bytes)");
}

static void test_the_systems_word_stands_behind(void **state)
{
    (void)state;
    qg_error error;
    errno = ENOENT;
    assert_int_equal(qg_fail_errno(&error, "%s", "there"), QG_ERROR_IO);
    assert_int_equal(error.code, QG_ERROR_IO);
    assert_string_equal(error.message, "there: No such file or directory");
}

static void test_nothing_reaches_the_terminal(void **state)
{
    (void)state;
    qg_error error;
    qg_fail(&error, QG_ERROR_USAGE, "%s", "a\033[2J\nb\xff\xc3\xa9");
    assert_string_equal(error.message, "a?[2J?b?\xc3\xa9");
}

/* What is too long is cut, also within a character. */
static void test_long_texts_are_cut(void **state)
{
    (void)state;
    char text[1000];
    for (size_t i = 0; i < sizeof text - 2; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof text - 2] = '\0';
    qg_error error;
    qg_fail(&error, QG_ERROR_USAGE, "%s", text);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    assert_string_equal(error.message + sizeof error.message - 4, "\xc3\xa9?");
    errno = EACCES;
    qg_fail_errno(&error, "%s", text);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    assert_non_null(strstr(error.message, "...: Permission denied")); /* the reason is whole */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_and_message),
        cmocka_unit_test(test_the_systems_word_stands_behind),
        cmocka_unit_test(test_nothing_reaches_the_terminal),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
