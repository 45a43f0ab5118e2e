/* Rows of a CSV file: appended, cut off on resume, and whole even on a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/csv.h"
#include "base/file.h"
#include "scratch.h"

static qg_error error;

static void assert_content(const char *path, const char *text)
{
    uint8_t *data;
    size_t size;
    assert_int_equal(qg_file_read(path, 1 << 20, &data, &size, &error), QG_OK);
    assert_string_equal((char *)data, text);
    free(data);
}

/* Opens the file that holds `old` behind its first `kept` bytes and adds the row "9,x". */
static void assert_resumed(const char *old, int64_t kept, const char *expected)
{
    const char *path = scratch_path("a.csv");
    scratch_write(path, old, strlen(old));
    qg_csv *csv;
    assert_int_equal(qg_csv_open(path, "step,score", kept, &csv, &error), QG_OK);
    assert_int_equal(qg_csv_row(csv, &error, "%d,%s", 9, "x"), QG_OK);
    assert_int_equal(qg_csv_size(csv), strlen(expected));
    assert_int_equal(qg_csv_sync(csv, &error), QG_OK);
    qg_csv_close(csv);
    assert_content(path, expected);
}

static void test_new_file(void **state)
{
    (void)state;
    const char *path = scratch_path("a.csv");
    qg_csv *csv;
    assert_int_equal(qg_csv_open(path, "step,score", 0, &csv, &error), QG_OK);
    assert_content(path, "step,score\n");
    assert_int_equal(qg_csv_row(csv, &error, "%d,%.9g", 0, 0.1), QG_OK);
    assert_content(path, "step,score\n0,0.1\n");
    qg_csv_close(csv);
    qg_csv_close(NULL);
}

static void test_resume(void **state)
{
    (void)state;
    assert_resumed("step,score\n1,a\n2,b\n3,c\n", 19, "step,score\n1,a\n2,b\n9,x\n");
    assert_resumed("step,score\n1,a\n2,b\n", 19, "step,score\n1,a\n2,b\n9,x\n");
    assert_resumed("step,score\n1,a\n2,", 15, "step,score\n1,a\n9,x\n"); /* killed in a row */
    assert_resumed("step,score\n1,a\n2,b\n", 11, "step,score\n9,x\n");
    assert_resumed("step,score\n1,a\n2,b\n", 0, "step,score\n9,x\n");
    assert_resumed("step,sc", 0, "step,score\n9,x\n");
}

/* Not what was written: shorter, other columns, a row that ends elsewhere. */
static void test_lost_rows(void **state)
{
    (void)state;
    const char *path = scratch_path("a.csv");
    const char *others[] = {"step,score\n1,a\n",
                            "step,reward\n1,2\n3,4\n",
                            "step,score,1\n2,3\n4,5\n",
                            "step,score\n1,a\n22,b\n",
                            "step\n",
                            ""};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        scratch_write(path, others[i], strlen(others[i]));
        qg_csv *csv;
        assert_int_equal(qg_csv_open(path, "step,score", 19, &csv, &error), QG_ERROR_DATA);
        assert_null(csv);
        assert_content(path, others[i]);
    }
}

static void test_texts(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", "\"\""},
                                           {"minatar/breakout", "\"minatar/breakout\""},
                                           {"gym:X[a=\"b\",c=1]", "\"gym:X[a=\"\"b\"\",c=1]\""},
                                           {"\"", "\"\"\"\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char cell[64], row[80], text[32];
        assert_string_equal(qg_csv_text(cases[i][0], cell), cases[i][1]);
        snprintf(row, sizeof row, "%s,5", cell);
        const char *rest = qg_csv_read_text(row, text, strlen(cases[i][0]) + 1);
        assert_string_equal(rest, ",5");
        assert_string_equal(text, cases[i][0]);
        assert_null(qg_csv_read_text(row, text, strlen(cases[i][0]))); /* no room */
    }
    char text[32];
    static const char *const wrong[] = {"", "a", "\"", "\"a", "\"a\"\"", "a\"b\""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_null(qg_csv_read_text(wrong[i], text, sizeof text));
}

static void test_full_disk(void **state)
{
    (void)state;
    const char *path = scratch_path("a.csv");
    qg_csv *csv;
    assert_int_equal(qg_csv_open(path, "step,score", 0, &csv, &error), QG_OK);
    scratch_limit(14);
    const qg_status status = qg_csv_row(csv, &error, "1,%s", "long");
    scratch_limit(RLIM_INFINITY);
    assert_int_equal(status, QG_ERROR_IO);
    assert_true(strncmp(error.message, path, strlen(path)) == 0);
    assert_int_equal(qg_csv_row(csv, &error, "2,x"), QG_OK);
    qg_csv_close(csv);
    assert_content(path, "step,score\n2,x\n");
    assert_int_equal(qg_csv_open(scratch_path("none/a"), "step", 0, &csv, &error), QG_ERROR_IO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_file), TEST(test_resume),    TEST(test_lost_rows),
        TEST(test_texts),    TEST(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
