/* JSON from files, and the memory that Jansson would not miss. */
#include "base/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

static void test_parse(void **state)
{
    (void)state;
    qg_error error;
    json_t *json = qg_json_parse("x", "{\"a\": [1, 2.5]} ", 16, &error);
    assert_non_null(json);
    char *text = qg_json_text(json, JSON_COMPACT);
    assert_non_null(text);
    assert_string_equal(text, "{\"a\":[1,2.5]}");
    free(text);
    json_decref(json);

    static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "[1] 2", "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(qg_json_parse("file", bad[i], strlen(bad[i]), &error));
        assert_int_equal(error.code, QG_ERROR_DATA);
        assert_memory_equal(error.message, "file: ", 6);
    }
}

static void test_objects_of_files(void **state)
{
    (void)state;
    qg_error error;
    json_t *object = (json_t *)1;
    assert_int_equal(qg_json_read_object(scratch_path("none"), 100, &object, &error), QG_OK);
    assert_null(object);
    scratch_write(scratch_path("a"), "{\"n\": 7}", 8);
    assert_int_equal(qg_json_read_object(scratch_path("a"), 100, &object, &error), QG_OK);
    assert_int_equal(json_integer_value(json_object_get(object, "n")), 7);
    json_decref(object);
    /* Too long, no object, no JSON; a folder. */
    assert_int_equal(qg_json_read_object(scratch_path("a"), 7, &object, &error), QG_ERROR_DATA);
    scratch_write(scratch_path("a"), "[7]", 3);
    assert_int_equal(qg_json_read_object(scratch_path("a"), 100, &object, &error), QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "not a JSON object"));
    scratch_write(scratch_path("a"), "{", 1);
    assert_int_equal(qg_json_read_object(scratch_path("a"), 100, &object, &error), QG_ERROR_DATA);
    assert_int_not_equal(qg_json_read_object(scratch, 100, &object, &error), QG_OK);
    assert_null(object);
}

/* The address sanitizer would end the process where malloc returns NULL. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* An allocation that fails is noticed, until somebody looks anew. */
static void test_lacking_memory_is_noticed(void **state)
{
    (void)state;
    json_malloc_t allocate;
    json_free_t release;
    json_get_alloc_funcs(&allocate, &release);
    qg_json_watch();
    assert_false(qg_json_lacked_memory());
    volatile size_t most = PTRDIFF_MAX; /* no compiler shall see that this is too much */
    assert_null(allocate(most));
    assert_true(qg_json_lacked_memory());
    qg_json_watch();
    assert_false(qg_json_lacked_memory());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test_setup_teardown(test_objects_of_files, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_lacking_memory_is_noticed),
    };
    return cmocka_run_group_tests_name("json_text", tests, NULL, NULL);
}
