/* The store of screens: every entry comes back until it is overwritten, the file grows where
 * screens do not shrink and no further than they need, a full disk is one error, and what a file
 * that goes on cannot hold is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/screen_codec.h"
#include "agent/screen_store.h"
#include "base/random.h"
#include "scratch.h"
#include "quick.h"

enum { SIDE = 64, PIXELS = SIDE * SIDE, PLACES = 1024, SEGMENT = 1 << 18 };

static qg_error error;
static const qg_screen_plan plan = {.what = "the replay memory",
                                    .mend = "set a smaller 'replay'",
                                    .shape = {SIDE, SIDE, 1, 255},
                                    .compressed = true,
                                    .places = PLACES,
                                    .columns = 16};

/* Noise in the last `noise` of 16 parts of the screen. */
static void draw(int64_t entry, int noise, uint8_t *screen)
{
    qg_random random = qg_random_stream((uint64_t)entry, "screen");
    const size_t begin = PIXELS - (size_t)noise * (PIXELS / 16);
    memset(screen, 17, PIXELS);
    memcpy(screen, &entry, sizeof entry);
    for (size_t k = begin; k < PIXELS; k++)
        screen[k] = (uint8_t)(qg_random_u64(&random) >> 11);
}

static qg_screen_store *create(const qg_screen_plan *wanted)
{
    qg_screen_store *store;
    const char *path = scratch_path("store");
    assert_int_equal(qg_screen_store_create(path, wanted, &store, &error), QG_OK);
    return store;
}

static size_t size_of_file(void)
{
    struct stat file;
    assert_int_equal(stat(scratch_path("store"), &file), 0);
    return (size_t)file.st_size;
}

static void add(qg_screen_store *store, int64_t begin, int64_t end, int noise)
{
    uint8_t screen[PIXELS];
    for (int64_t entry = begin; entry < end; entry++) {
        draw(entry, noise, screen);
        assert_int_equal(qg_screen_store_add(store, entry, screen, &error), QG_OK);
    }
}

static void assert_there(qg_screen_store *store, int64_t begin, int64_t end, int noise)
{
    uint8_t expected[PIXELS], room[PIXELS + 8];
    assert_int_equal(qg_screen_store_room(store), sizeof room);
    for (int64_t entry = begin; entry < end; entry++) {
        draw(entry, noise, expected);
        const uint8_t *screen = qg_screen_store_get(store, entry, room);
        assert_non_null(screen);
        assert_memory_equal(screen, expected, PIXELS);
    }
}

/* The same entries through those who read beside. */
static void assert_read(qg_screen_store *store, int64_t begin, int count, int noise)
{
    int64_t entries[100];
    uint8_t expected[PIXELS], *room = malloc(100 * (PIXELS + 8));
    assert_non_null(room);
    assert_in_range(count, 1, 100);
    for (int i = 0; i < count; i++)
        entries[i] = i % 7 == 3 ? -1 : begin + i;
    qg_screen_store_begin_reading(store, entries, count, room);
    qg_screen_store_finish_reading(store);
    for (int i = 0; i < count; i++) {
        if (entries[i] < 0) continue;
        draw(entries[i], noise, expected);
        assert_memory_equal(room + (size_t)i * (PIXELS + 8), expected, PIXELS);
    }
    free(room);
}

static void test_ring(void **state)
{
    (void)state;
    for (int threads = QUICK ? 3 : 1; threads <= 3; threads += 2) {
        qg_screen_plan wanted = plan;
        wanted.threads = threads;
        uint32_t crc;
        qg_screen_store *store = create(&wanted);
        assert_int_equal(size_of_file(), qg_screen_store_bytes(&wanted));
        assert_int_equal(qg_screen_store_reads_ahead(store), threads > 1);
        for (int64_t n = 0; n < (QUICK ? 2 : 5) * PLACES; n += 100) {
            add(store, n, n + 100, 0);
            const int64_t first = n + 100 > PLACES ? n + 100 - PLACES : 0;
            assert_there(store, first, n + 100, 0);
            assert_read(store, n, 100, 0);
            assert_read(store, first, 1 + (int)(n % 60), 0);
        }
        assert_true(qg_screen_store_dictionary(store, &crc) > 0);
        assert_int_equal(qg_screen_store_growth(store), 0);
        assert_int_equal(size_of_file(), qg_screen_store_bytes(&wanted));
        qg_screen_store_close(store);
    }
}

/* Screens that do not shrink: it grows, but not for ever. */
static void test_growth(void **state)
{
    (void)state;
    qg_screen_store *store = create(&plan);
    add(store, 0, 4 * PLACES, 16);
    assert_there(store, 3 * PLACES, 4 * PLACES, 16);
    const size_t all = (size_t)PLACES * PIXELS, growth = qg_screen_store_growth(store);
    assert_in_range(growth, all - SEGMENT, all + 20 * SEGMENT);
    assert_int_equal(size_of_file(), qg_screen_store_bytes(&plan) + growth);
    add(store, 4 * PLACES, 7 * PLACES, 16);
    assert_int_equal(qg_screen_store_growth(store), growth);
    add(store, 7 * PLACES, 8 * PLACES, 3); /* smaller ones have room in it */
    assert_there(store, 7 * PLACES, 8 * PLACES, 3);
    assert_int_equal(qg_screen_store_growth(store), growth);
    qg_screen_store_close(store);
}

static void test_full_disk(void **state)
{
    (void)state;
    uint8_t screen[PIXELS];
    qg_screen_store *store = create(&plan);
    scratch_limit(qg_screen_store_bytes(&plan) + 100);
    int64_t n = 0;
    qg_status status = QG_OK;
    for (; n < PLACES && !status; n += !status) {
        draw(n, 16, screen);
        status = qg_screen_store_add(store, n, screen, &error);
    }
    assert_int_equal(status, QG_ERROR_IO);
    assert_in_range(n, 10, 100);
    assert_non_null(strstr(error.message, "the replay memory needs"));
    assert_non_null(strstr(error.message, "set a smaller 'replay'"));
    assert_int_equal(qg_screen_store_add(store, n, screen, &error), QG_ERROR_IO);
    scratch_limit(RLIM_INFINITY);
    add(store, n, 200, 16); /* there is room again */
    assert_there(store, 0, 200, 16);
    qg_screen_store_close(store);
}

/* ---- Going on ---- */

static qg_tape pass(qg_screen_store *store, int64_t first, int64_t count)
{
    qg_tape tape = qg_tape_to_write();
    assert_int_equal(qg_screen_store_pass(store, &tape, first, count, &error), QG_OK);
    assert_int_equal(qg_screen_store_sync(store, &error), QG_OK);
    return qg_tape_to_read(tape.bytes, tape.size);
}

static qg_status reopen(qg_tape *tape, int64_t first, int64_t count, qg_screen_store **store)
{
    tape->at = 0;
    const char *path = scratch_path("store");
    assert_int_equal(qg_screen_store_open(path, &plan, true, store, &error), QG_OK);
    const qg_status status = qg_screen_store_pass(*store, tape, first, count, &error);
    assert_true(status || qg_tape_complete(tape));
    return status;
}

/* After `more` entries a run goes back to `count`, and comes as far again. */
static void check_going_on(int64_t count, int64_t more, int noise)
{
    qg_screen_store *store = create(&plan);
    add(store, 0, count, noise);
    const int64_t first = count + more > PLACES ? count + more - PLACES : 0;
    qg_tape tape = pass(store, first, count);
    add(store, count, count + more, noise);
    qg_screen_store_close(store);
    assert_int_equal(reopen(&tape, first, count, &store), QG_OK);
    assert_there(store, first, count, noise);
    for (int64_t n = count; n < count + 3 * PLACES; n += 128) {
        add(store, n, n + 128, noise);
        assert_there(store, n + 128 - (n < PLACES ? n - first : PLACES - more), n + 128, noise);
    }
    qg_screen_store_close(store);
    qg_tape_free(&tape);
}

static void test_going_on(void **state)
{
    (void)state;
    check_going_on(0, 300, 0);
    check_going_on(100, 100, 16);
    check_going_on(250, 100, 1); /* a dictionary comes between */
    check_going_on(257, 100, 1);
    check_going_on(PLACES, 300, 0);
    check_going_on(3 * PLACES + 17, 300, 4);
    check_going_on(3 * PLACES + 17, 300, 16);
}

static void assert_same_places(const uint64_t *places, qg_screen_store *store)
{
    assert_memory_equal(places, qg_screen_store_columns(store) + plan.columns, PLACES * 8);
}

/* A run that is interrupted puts its screens where one that is not does: also where segments have
 * come free that others were never used, and where it came further before. */
static void test_same_places(void **state)
{
    (void)state;
    const int64_t end = 6 * PLACES;
    uint64_t *places = malloc(PLACES * sizeof *places);
    assert_non_null(places);
    qg_screen_store *store = create(&plan);
    add(store, 0, end, 6);
    memcpy(places, qg_screen_store_columns(store) + plan.columns, PLACES * 8);
    const size_t bytes = size_of_file();
    qg_screen_store_close(store);
    for (int64_t count = 900; count < end - 200; count += QUICK ? 1203 : 401) {
        store = create(&plan);
        add(store, 0, count, 6);
        const int64_t first = count > 700 ? count - 700 : 0;
        qg_tape tape = pass(store, first, count);
        add(store, count, count + 200, 6);
        qg_screen_store_close(store);
        assert_int_equal(reopen(&tape, first, count, &store), QG_OK);
        add(store, count, end, 6);
        assert_same_places(places, store);
        assert_int_equal(size_of_file(), bytes);
        qg_screen_store_close(store);
        qg_tape_free(&tape);
    }
    free(places);
}

/* At its end a run cuts off what was never used, and may have to go on from the checkpoint before:
 * the next screens lie where they would have. */
static void test_cut_off(void **state)
{
    (void)state;
    uint64_t *places = malloc(PLACES * sizeof *places);
    assert_non_null(places);
    qg_screen_store *store = create(&plan);
    add(store, 0, 600, 16); /* it has grown by more than that */
    qg_tape tape = pass(store, 0, 600);
    add(store, 600, 900, 16);
    memcpy(places, qg_screen_store_columns(store) + plan.columns, PLACES * 8);
    qg_screen_store_close(store);
    store = create(&plan);
    add(store, 0, 600, 16);
    const size_t whole = size_of_file();
    assert_int_equal(qg_screen_store_trim(store, &error), QG_OK);
    assert_true(size_of_file() < whole);
    qg_screen_store_close(store);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(reopen(&tape, 0, 600, &store), QG_OK);
        assert_there(store, 0, 600, 16);
        if (again) add(store, 600, 900, 16);
        if (again) assert_same_places(places, store);
        qg_screen_store_close(store);
    }
    qg_tape_free(&tape);
    free(places);
}

/* A checkpoint that says of a segment in use that it is free. */
static void test_impossible_segments(void **state)
{
    (void)state;
    qg_screen_store *store = create(&plan);
    add(store, 0, 600, 6);
    qg_tape tape = pass(store, 0, 600);
    qg_screen_store_close(store);
    uint64_t dictionary, segments;
    memcpy(&dictionary, tape.bytes, 8);
    memcpy(&segments, tape.bytes + 8 + dictionary, 8);
    uint8_t *last = (uint8_t *)(uintptr_t)tape.bytes + 16 + dictionary;
    const int64_t wrong[] = {-1, 100, 600, -2};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t good;
        memcpy(&good, last, 8);
        memcpy(last, &wrong[i], 8);
        assert_int_equal(reopen(&tape, 0, 600, &store), QG_ERROR_DATA);
        assert_non_null(strstr(error.message, "damaged: its segments"));
        qg_screen_store_close(store);
        memcpy(last, &good, 8);
    }
    assert_int_equal(reopen(&tape, 0, 600, &store), QG_OK);
    qg_screen_store_close(store);
    qg_tape_free(&tape);
}

/* Where entry `entry` has its place in the file. */
static void set_place(int64_t entry, uint64_t place)
{
    FILE *file = fopen(scratch_path("store"), "r+b");
    assert_non_null(file);
    const long at = 4096 + QG_DICTIONARY_ROOM + 16 + (long)(entry % PLACES) * 8;
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(&place, sizeof place, 1, file), 1);
    fclose(file);
}

static void test_impossible(void **state)
{
    (void)state;
    qg_screen_store *store = create(&plan);
    add(store, 0, 600, 1);
    qg_tape tape = pass(store, 400, 600);
    qg_screen_store_close(store);
    const uint64_t room = (uint64_t)size_of_file(),
                   wrong[] = {
                       0, /* no bytes */
                       PIXELS + 1, room << 24 | 100,
                       UINT64_MAX, (uint64_t)(SEGMENT - 50) << 24 | 100, /* in two segments */
                   };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        set_place(500, wrong[i]);
        assert_int_equal(reopen(&tape, 400, 600, &store), QG_ERROR_DATA);
        assert_non_null(strstr(error.message, "entry 500"));
        qg_screen_store_close(store);
        assert_int_equal(reopen(&tape, 501, 600, &store), QG_OK); /* it is no more needed */
        qg_screen_store_close(store);
    }
    assert_int_equal(truncate(scratch_path("store"), 100), 0);
    assert_int_equal(qg_screen_store_open(scratch_path("store"), &plan, true, &store, &error),
                     QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "damaged: has 100 bytes, should have at least"));
    qg_tape_free(&tape);
}

/* What the file alone tells is enough to read it. */
static void test_trust(void **state)
{
    (void)state;
    qg_screen_store *store = create(&plan);
    memcpy(qg_screen_store_head(store), "head", 5);
    memcpy(qg_screen_store_columns(store), "columns", 8);
    add(store, 0, 700, 0);
    uint32_t dictionary_crc, again;
    const size_t dictionary = qg_screen_store_dictionary(store, &dictionary_crc);
    const uint32_t crc = qg_screen_store_crc(store, 600, 1);
    assert_int_equal(qg_screen_store_trim(store, &error), QG_OK);
    qg_screen_store_close(store);
    assert_true(size_of_file() <= qg_screen_store_bytes(&plan));
    const char *path = scratch_path("store");
    assert_int_equal(qg_screen_store_open(path, &plan, false, &store, &error), QG_OK);
    assert_int_equal(qg_screen_store_trust(store, QG_DICTIONARY_ROOM + 1, 0, 700, &error),
                     QG_ERROR_DATA);
    assert_int_equal(qg_screen_store_trust(store, dictionary, 0, 700, &error), QG_OK);
    assert_there(store, 0, 700, 0);
    assert_int_equal(qg_screen_store_dictionary(store, &again), dictionary);
    assert_int_equal(again, dictionary_crc);
    assert_int_equal(qg_screen_store_crc(store, 600, 1), crc);
    assert_in_range(qg_screen_store_entry_bytes(store, 600), 1, 100);
    assert_string_equal((char *)qg_screen_store_head(store), "head");
    assert_string_equal((char *)qg_screen_store_columns(store), "columns");
    qg_screen_store_close(store);
    qg_screen_store_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ring, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_growth, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_going_on, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_same_places, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_cut_off, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_impossible_segments, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_impossible, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_trust, scratch_setup, scratch_teardown),
    };
    const struct CMUnitTest threaded[] = {
        cmocka_unit_test_setup_teardown(test_ring, scratch_setup, scratch_teardown),
    };
    return QUICK ? cmocka_run_group_tests(threaded, NULL, NULL)
                 : cmocka_run_group_tests(tests, NULL, NULL);
}
