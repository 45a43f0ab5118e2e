/* Text from people: numbers, booleans, misspelt names, characters that are safe to show; and the
 * streams that make a text. */
#include "base/text.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_counts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"250k", 250000},
                {"25M", 25000000},
                {"1e6", 1000000},
                {"2G", 2000000000},
                {"0.25M", 250000},
                {"1.5e3", 1500},
                {"1000e-3", 1},
                {"-3", -3},
                {"9223372036854775807", INT64_MAX},
                {"0e1000", 0},
                {"1_000_000", 1000000},
                {"-1_0.5k", -10500},
                {"2_5M", 25000000}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t value = -1;
        if (!qg_text_to_count(good[i].text, &value)) fail_msg("%s", good[i].text);
        assert_int_equal(value, good[i].value);
    }
    static const char *const bad[] = {"",     "k",
                                      "1.5",  "1k5",
                                      "1e",   "e6",
                                      "0x10", "1 k",
                                      " 1",   "1e-1",
                                      "nan",  "1..2",
                                      "--1",  "9223372036854775808",
                                      "1e19", "10GG",
                                      "1e+",  ".",
                                      "1K",   "1e99999999999999999999",
                                      "_1",   "1_",
                                      "1__0", "-_1",
                                      "1_k",  "1_.5",
                                      "_"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value;
        if (qg_text_to_count(bad[i], &value)) fail_msg("'%s' was taken", bad[i]);
    }
}

static void test_reals(void **state)
{
    (void)state;
    double value;
    assert_true(qg_text_to_real("0.00025", &value) && value == 0.00025);
    assert_true(qg_text_to_real("-1e-3", &value) && value == -1e-3);
    assert_true(qg_text_to_real("1_000.2_5", &value) && value == 1000.25);
    static const char *const bad[] = {"",    "nan", "inf", "1e999", "0x1p3", "1,5",  "1 ",
                                      "+-1", "e",   "_1",  "1_",    "1__0",  "1._5", "_"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (qg_text_to_real(bad[i], &value)) fail_msg("'%s' was taken", bad[i]);
    static const double numbers[] = {0.1, 1.0 / 3, 1e-300, 0.00025, 1, 123456789.125};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[32];
        qg_text_from_real(numbers[i], text);
        assert_true(qg_text_to_real(text, &value) && value == numbers[i]);
    }
}

static void test_booleans(void **state)
{
    (void)state;
    bool value = false;
    assert_true(qg_text_to_boolean("true", &value) && value);
    assert_true(qg_text_to_boolean("no", &value) && !value);
    assert_true(qg_text_to_boolean("yes", &value) && value);
    assert_true(qg_text_to_boolean("false", &value) && !value);
    assert_true(qg_text_to_boolean("True", &value) && value);
    assert_true(qg_text_to_boolean("OFF", &value) && !value);
    assert_true(qg_text_to_boolean("on", &value) && value);
    static const char *const bad[] = {"", "tRUE", "1", "y", "N", "yes "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (qg_text_to_boolean(bad[i], &value)) fail_msg("'%s' was taken", bad[i]);
}

static void test_reals_are_as_short_as_they_can_be(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } shortest[] = {{0, "0"},
                    {-0.0, "-0"},
                    {10, "10"},
                    {0.1, "0.1"},
                    {1e14, "100000000000000"},
                    {1e300, "1e+300"},
                    {0.00025, "0.00025"},
                    {5e-324, "5e-324"},
                    {0.1 + 0.2, "0.30000000000000004"}};
    for (size_t i = 0; i < sizeof shortest / sizeof *shortest; i++) {
        char text[32];
        qg_text_from_real(shortest[i].value, text);
        assert_string_equal(text, shortest[i].text);
    }
}

static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        double bytes;
        const char *text;
    } cases[] = {{0, "0 bytes"},    {999, "999 bytes"},  {999.6, "1 kB"},        {41500, "41.5 kB"},
                 {999.6e3, "1 MB"}, {7.95e9, "7.95 GB"}, {123456e9, "123456 GB"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        assert_string_equal(qg_text_from_bytes(cases[i].bytes, text), cases[i].text);
    }
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"train", "rollout", "games"};
    assert_string_equal(qg_text_nearest("trian", names, 3, sizeof *names), "train");
    assert_string_equal(qg_text_nearest("Games", names, 3, sizeof *names), "games");
    assert_string_equal(qg_text_nearest("rolout", names, 3, sizeof *names), "rollout");
    assert_null(qg_text_nearest("xyz", names, 3, sizeof *names));
    assert_null(qg_text_nearest("", names, 3, sizeof *names));
    char *word = malloc(100001);
    assert_non_null(word);
    memset(word, 'a', 100000);
    word[100000] = '\0';
    assert_null(qg_text_nearest(word, names, 3, sizeof *names));
    free(word);
}

static void test_what_does_not_fit_is_cut_off(void **state)
{
    (void)state;
    static const char *const names[] = {"noop", "left", "right"};
    char text[32], small[8];
    qg_text_join(names, 3, text, sizeof text);
    assert_string_equal(text, "noop,left,right");
    qg_text_join(names, 0, text, sizeof text);
    assert_string_equal(text, "");
    qg_text_join(names, 3, small, sizeof small);
    assert_string_equal(small, "noop,le");

    snprintf(small, sizeof small, "a");
    qg_text_add(small, sizeof small, "%d%s", 12, "b");
    assert_string_equal(small, "a12b");
    qg_text_add(small, sizeof small, "%s", "3456789");
    assert_string_equal(small, "a12b345");
    qg_text_add(small, sizeof small, "%s", "more");
    assert_string_equal(small, "a12b345");
}

/* Against Jansson, which takes text only when it is UTF-8: all first bytes, and of the others those
 * at the borders of what is allowed. */
static void test_characters(void **state)
{
    (void)state;
    static const unsigned char borders[] = {0,    0x20, 0x7f, 0x80, 0x8f, 0x90,
                                            0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    enum { BORDERS = sizeof borders };
    for (int first = 1; first < 256; first++)
        for (int rest = 0; rest < BORDERS * BORDERS * BORDERS; rest++) {
            const char text[5] = {(char)first, (char)borders[rest % BORDERS],
                                  (char)borders[rest / BORDERS % BORDERS],
                                  (char)borders[rest / BORDERS / BORDERS], '\0'};
            size_t expected = 0;
            for (size_t size = 1; size <= strlen(text) && !expected; size++) {
                json_t *value = json_stringn(text, size);
                if (value) expected = size;
                json_decref(value);
            }
            const bool control =
                first < 0x20 || first == 0x7f || (first == 0xc2 && (unsigned char)text[1] < 0xa0);
            assert_int_equal(qg_text_character(text), control ? 0 : expected);
        }
    char text[] = "a\033\xc2\x9b\xc3\xa9\xff\xe2\x82";
    qg_text_make_safe(text);
    assert_string_equal(text, "a???\xc3\xa9???");
}

static void test_a_stream_makes_a_text(void **state)
{
    (void)state;
    char *text;
    size_t size, expected = 0;
    FILE *stream = qg_text_stream(&text, &size);
    assert_non_null(stream);
    for (int i = 0; i < 5000; i++)
        expected += (size_t)fprintf(stream, "line %d\n", i);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(size, expected);
    assert_int_equal(strlen(text), expected);
    assert_memory_equal(text, "line 0\nline 1\n", 14);
    assert_string_equal(text + size - 10, "line 4999\n");
    free(text);

    stream = qg_text_stream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(size, 0);
    assert_string_equal(text, "");
    free(text);
}

static void test_cells_of_csv(void **state)
{
    (void)state;
    char *text;
    size_t size;
    FILE *const stream = qg_text_stream(&text, &size);
    assert_non_null(stream);
    static const char *const cells[] = {"", "plain 1.5", "a,b", "say \"no\"", "two\nlines", "\r"};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        qg_text_cell(stream, cells[i]);
        fputc(';', stream);
    }
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(text, ";plain 1.5;\"a,b\";\"say \"\"no\"\"\";\"two\nlines\";\"\r\";");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_reals),
        cmocka_unit_test(test_reals_are_as_short_as_they_can_be),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_what_does_not_fit_is_cut_off),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_a_stream_makes_a_text),
        cmocka_unit_test(test_cells_of_csv),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
