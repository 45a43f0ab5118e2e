/* The tape: what was passed when it was written comes back when it is read, and whatever else is
 * read is found out. */
#include "agent/tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct scene {
    int64_t step;
    double score;
    bool ended;
    char name[16];
    uint8_t blob[8];
    size_t blob_size;
} scene;

/* As the library does it: one function for both ways. */
static void pass_scene(qg_tape *tape, scene *s)
{
    QG_TAPE_PASS(tape, s->step);
    QG_TAPE_PASS(tape, s->score);
    qg_tape_pass_bool(tape, &s->ended);
    qg_tape_pass_text(tape, s->name, sizeof s->name);
    const uint8_t *blob = qg_tape_pass_blob(tape, s->blob, &s->blob_size);
    qg_tape_require(tape, blob && s->blob_size <= sizeof s->blob);
    if (tape->reading && tape->good) memcpy(s->blob, blob, s->blob_size);
}

static const scene written = {-7, 0.5, true, "breakout", {1, 2, 3}, 3};

static qg_tape write_scene(void)
{
    qg_tape tape = qg_tape_to_write();
    scene s = written;
    pass_scene(&tape, &s);
    assert_true(qg_tape_complete(&tape));
    return tape;
}

/* A tape to read with the first `size` of some bytes. */
static qg_tape reading(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    return qg_tape_to_read(copy, size);
}

static void test_what_was_written_is_read(void **state)
{
    (void)state;
    qg_tape out = write_scene();
    qg_tape in = reading(out.bytes, out.size);
    scene s = {0};
    pass_scene(&in, &s);
    assert_true(qg_tape_complete(&in));
    assert_true(s.step == written.step && s.score == written.score && s.ended == written.ended);
    assert_string_equal(s.name, written.name);
    assert_int_equal(s.blob_size, written.blob_size);
    assert_memory_equal(s.blob, written.blob, written.blob_size);
    qg_tape_free(&in);
    qg_tape_free(&out);
}

static void test_a_cut_tape_is_not_complete(void **state)
{
    (void)state;
    qg_tape out = write_scene();
    for (size_t size = 0; size < out.size; size++) {
        qg_tape in = reading(out.bytes, size);
        scene s = {.step = 1};
        pass_scene(&in, &s);
        assert_false(qg_tape_complete(&in));
        if (size < 16) assert_true(s.step == 1); /* as it was */
        qg_tape_free(&in);
    }
    qg_tape_free(&out);
}

static void test_a_longer_tape_is_not_complete(void **state)
{
    (void)state;
    qg_tape out = write_scene();
    int more = 1;
    QG_TAPE_PASS(&out, more);
    qg_tape in = reading(out.bytes, out.size);
    scene s = {0};
    pass_scene(&in, &s);
    assert_true(in.good);
    assert_false(qg_tape_complete(&in));
    qg_tape_free(&in);
    qg_tape_free(&out);
}

/* Every damage of a size is found, without reading where nothing is (the sanitizers look). */
static void test_wrong_sizes(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 7, 9, 1000, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63};
    qg_tape out = write_scene();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        qg_tape in = reading(out.bytes, out.size);
        memcpy(in.bytes, &sizes[i], sizeof sizes[i]);
        scene s = {.step = 1};
        pass_scene(&in, &s);
        assert_false(qg_tape_complete(&in));
        assert_true(s.step == 1);
        qg_tape_free(&in);
    }
    qg_tape_free(&out);
}

static void test_values_that_cannot_be(void **state)
{
    (void)state;
    qg_tape out = qg_tape_to_write();
    uint8_t two = 2;
    QG_TAPE_PASS(&out, two);
    qg_tape in = reading(out.bytes, out.size);
    bool flag;
    qg_tape_pass_bool(&in, &flag);
    assert_false(in.good);
    qg_tape_free(&in);
    qg_tape_free(&out);

    static const struct {
        const char *bytes;
        size_t size;
    } texts[] = {{"12345678", 8}, {"a\0b", 3}}; /* too long, a NUL within */
    for (size_t i = 0; i < 2; i++) {
        size_t size = texts[i].size;
        out = qg_tape_to_write();
        qg_tape_pass_blob(&out, (const uint8_t *)texts[i].bytes, &size);
        in = reading(out.bytes, out.size);
        char text[8] = "before";
        qg_tape_pass_text(&in, text, sizeof text);
        assert_false(in.good);
        assert_string_equal(text, "before");
        qg_tape_free(&in);
        qg_tape_free(&out);
    }
}

static void test_a_failure_stays(void **state)
{
    (void)state;
    qg_tape out = write_scene();
    qg_tape_require(&out, false);
    qg_tape_require(&out, true);
    assert_false(qg_tape_complete(&out));
    qg_tape_free(&out);
    assert_null(out.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_read),
        cmocka_unit_test(test_a_cut_tape_is_not_complete),
        cmocka_unit_test(test_a_longer_tape_is_not_complete),
        cmocka_unit_test(test_wrong_sizes),
        cmocka_unit_test(test_values_that_cannot_be),
        cmocka_unit_test(test_a_failure_stays),
    };
    return cmocka_run_group_tests_name("tape", tests, NULL, NULL);
}
