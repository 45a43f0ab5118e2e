/* The replay memory: every screen carries its entry's number, so that what is drawn can be checked
 * against what must have been there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/history.h"
#include "agent/replay.h"
#include "agent/screen_codec.h"
#include "agent/tape.h"
#include "scratch.h"
#include "quick.h"

#include <math.h>

enum { SHARE = SANITIZED ? 5 : 1 }; /* of the draws */

/* Entries with which the ring, of 512 places, comes round; fewer than those from which it makes a
 * dictionary, which takes a third of a second. */
enum { ROUND = 560, FEW = 120, ROUND_OR_FEW = SANITIZED ? FEW : ROUND };

static qg_error error;

static const qg_observation_shape grey = {3, 5, 1, 255};
static const qg_observation_shape bits = {10, 10, 4, 1};
static const qg_observation_shape empty = {30, 30, 1, 255}; /* few of its values are not 0 */

/* How the replay memory keeps screens of bytes, and the threads that read them: in all tests. */
static bool compressed;
static int threads;

/* Steps of a transition, and the discount of their rewards; are there priorities? */
static int span = 1;
static double discount = 1;
static bool prioritised;

/* ---- Entries that say who they are ---- */

enum { LIMIT = 4000 };
static uint8_t ended[LIMIT]; /* of the entries added so far: qg_replay_end */
static qg_random ends;

static size_t size_of(const qg_observation_shape *shape)
{
    return qg_observation_size(shape);
}

/* Screen of an entry: its number in bits, then noise that depends on it; of a large one mostly
 * zeros. */
static void draw_screen(const qg_observation_shape *shape, int64_t entry, uint8_t *screen)
{
    qg_random noise = qg_random_stream((uint64_t)entry, "screen");
    for (size_t k = 0; k < size_of(shape); k++) {
        uint64_t value = k < 15 ? (uint64_t)entry >> k & 1 : qg_random_u64(&noise) >> 9;
        if (k >= 500 && k % 9) value = 0;
        screen[k] = (uint8_t)(value & (uint64_t)shape->max);
    }
}

static int64_t number_of(const uint8_t *screen)
{
    int64_t entry = 0;
    for (int k = 14; k >= 0; k--)
        entry = entry * 2 + screen[k];
    return entry;
}

/* The screen of an entry, drawn when it is asked for first. */
static const uint8_t *screen_of(const qg_observation_shape *shape, int64_t entry)
{
    static uint8_t screens[LIMIT][1000];
    static bool drawn[LIMIT];
    static qg_observation_shape of;
    assert_in_range(entry, 0, LIMIT - 1);
    if (memcmp(&of, shape, sizeof of) != 0) memset(drawn, 0, sizeof drawn);
    of = *shape;
    if (!drawn[entry]) draw_screen(shape, entry, screens[entry]);
    drawn[entry] = true;
    return screens[entry];
}

static void assert_screen(const qg_observation_shape *shape, const uint8_t *screen, int64_t entry)
{
    assert_non_null(screen);
    assert_int_equal(number_of(screen), entry);
    if (memcmp(screen, screen_of(shape, entry), size_of(shape)) != 0)
        fail_msg("another screen than that of entry %d", (int)entry);
}

static float reward_of(int64_t entry)
{
    return (float)entry / 3;
}

static int64_t added; /* entries so far */

/* Adds the next entry; never two ends in a row, as an episode begins with a screen. */
static void add(qg_replay *replay, const qg_observation_shape *shape, double end_probability)
{
    const int64_t entry = added++;
    const uint8_t *screen = screen_of(shape, entry);
    const bool end = entry > 0 && !ended[entry - 1] && qg_random_uniform(&ends) < end_probability;
    ended[entry] =
        (uint8_t)(end ? entry % 3 ? QG_REPLAY_TERMINAL : QG_REPLAY_TRUNCATED : QG_REPLAY_GOES_ON);
    assert_int_equal(qg_replay_add_screen(replay, screen, ended[entry], &error), QG_OK);
    if (!ended[entry]) qg_replay_set_action(replay, (int)(entry % 18), reward_of(entry));
}

static qg_replay *create(const qg_observation_shape *shape, int64_t capacity, int history)
{
    qg_replay *replay;
    const qg_replay_plan plan = {.capacity = capacity,
                                 .history = history,
                                 .shape = *shape,
                                 .compressed = compressed,
                                 .n_step = span,
                                 .discount = discount,
                                 .prioritised = prioritised,
                                 .alpha = 1,
                                 .epsilon = 0.01,
                                 .threads = threads};
    added = 0;
    if (qg_replay_create(scratch_path("replay.bin"), &plan, &replay, &error))
        fail_msg("%s", error.message);
    ends = qg_random_stream(1, "ends");
    return replay;
}

/* The screens of state `entry`: zeros at and before an earlier end and before the first screen. */
static void assert_state(const qg_observation_shape *shape, const uint8_t *const *screens,
                         int history, int64_t entry)
{
    bool cut = false;
    for (int age = 0; age < history; age++) {
        cut = cut || entry - age < 0 || (age > 0 && ended[entry - age]);
        const uint8_t *screen = screens[history - 1 - age];
        if (cut)
            assert_null(screen);
        else
            assert_screen(shape, screen, entry - age);
    }
}

static int64_t assert_transition(const qg_observation_shape *shape, const qg_minibatch *m, int i,
                                 int history)
{
    const qg_batch *b = &m->batch;
    const int64_t entry = number_of(b->states.screens[(i + 1) * history - 1]);
    assert_state(shape, b->states.screens + i * history, history, entry);
    assert_false(ended[entry]);
    int64_t next = entry; /* the first end, or `span` steps on */
    double sum = 0, power = 1;
    do {
        sum += power * (double)reward_of(next++);
        power *= discount;
    } while (!ended[next] && next < entry + span);
    assert_state(shape, b->next_states.screens + i * history, history, next);
    assert_int_equal(b->actions[i], entry % 18);
    assert_true(b->rewards[i] == (float)sum);
    assert_int_equal(b->terminals[i], ended[next] == QG_REPLAY_TERMINAL);
    assert_int_equal(b->discounts != NULL, span > 1);
    if (span > 1) assert_true(b->discounts[i] == (float)power);
    return entry;
}

/* ---- What is drawn ---- */

static void check_filling(const qg_observation_shape *shape, int64_t capacity, int history,
                          int entries, double end_probability)
{
    enum { LARGEST = 16 };
    const int size = thorough() ? LARGEST : 5;
    qg_replay *replay = create(shape, capacity, history);
    qg_minibatch m;
    assert_int_equal(qg_minibatch_create(qg_replay_form(replay), size, &m, &error), QG_OK);
    assert_int_equal(m.batch.states.size, size);
    assert_int_equal(m.batch.states.parts, history);
    assert_int_equal(m.batch.states.part_channels, shape->channels);
    assert_false(qg_replay_can_sample(replay));
    qg_random random = qg_random_stream(2, "replay");
    for (int n = 0; n < entries; n++) {
        add(replay, shape, end_probability);
        const qg_states newest = qg_replay_state(replay);
        assert_true(newest.size == 1 && newest.parts == history &&
                    newest.part_channels == shape->channels);
        assert_state(shape, newest.screens, history, n);
        const int64_t first = n < capacity ? 0 : n + 1 - capacity + history - 1;
        bool any = false;
        for (int64_t e = first; e < n + 1 - span; e++)
            any |= ended[e] == QG_REPLAY_GOES_ON;
        assert_int_equal(qg_replay_can_sample(replay), any);
        if (!any) continue;
        qg_replay_sample(replay, &random, &m);
        for (int i = 0; i < size; i++)
            assert_in_range(assert_transition(shape, &m, i, history), first, n - span);
        if (prioritised) {
            float td_errors[LARGEST];
            qg_replay_sample_by_priority(replay, &random, 0.5, &m);
            for (int i = 0; i < size; i++) {
                td_errors[i] = (float)(assert_transition(shape, &m, i, history) % 5);
                assert_in_range(number_of(m.batch.states.screens[(i + 1) * history - 1]), first,
                                n - span);
                assert_true(m.weights[i] > 0 && m.weights[i] <= 1);
            }
            qg_replay_set_priorities(replay, &m, td_errors);
            m.batch.weights = NULL;
        }
        qg_replay_expect(replay, &random, 1 + n % 3, size); /* sometimes it comes otherwise */
    }
    qg_minibatch_destroy(&m);
    qg_replay_destroy(replay);
}

static void test_filling(void **state)
{
    (void)state;
    check_filling(&grey, 50, 4, SANITIZED ? FEW : 1800, 0.2);
    check_filling(&grey, 50, 1, ROUND_OR_FEW, 0.2);
    check_filling(&grey, 9, 8, FEW, 0.5); /* one choice, often an end */
    check_filling(&grey, 2, 1, 100, 0.5);
    check_filling(&grey, 100, 4, 100, 0); /* full at the last entry */
    check_filling(&empty, 300, 4, SANITIZED ? 340 : 1700, 0.2);
    check_filling(&bits, 37, 4, 700 / SHARE, 0.2);
    check_filling(&bits, 37, 1, 200, 1); /* every other screen is an end */
}

static void test_uniform(void **state)
{
    (void)state;
    enum { CAPACITY = 64, SIZE = 32, DRAWS = 1000 / SHARE, ENTRIES = FEW, HISTORY = 4 };
    qg_replay *replay = create(&grey, CAPACITY, HISTORY);
    qg_minibatch m;
    assert_int_equal(qg_minibatch_create(qg_replay_form(replay), SIZE, &m, &error), QG_OK);
    for (int n = 0; n < ENTRIES; n++)
        add(replay, &grey, 0.15);
    qg_random random = qg_random_stream(3, "replay");
    double counts[ENTRIES] = {0};
    for (int k = 0; k < DRAWS; k++) {
        qg_replay_sample(replay, &random, &m);
        for (int i = 0; i < SIZE; i++)
            counts[number_of(m.batch.states.screens[(i + 1) * HISTORY - 1])]++;
    }
    int choices = 0;
    for (int e = ENTRIES - CAPACITY + HISTORY - 1; e < ENTRIES - 1; e++)
        choices += ended[e] == QG_REPLAY_GOES_ON;
    assert_in_range(choices, 40, 59);
    const double expected = (double)SIZE * DRAWS / choices;
    double chi_square = 0;
    for (int e = ENTRIES - CAPACITY + HISTORY - 1; e < ENTRIES - 1; e++)
        if (!ended[e]) chi_square += (counts[e] - expected) * (counts[e] - expected) / expected;
    /* Its mean is choices - 1, its standard deviation sqrt(2 (choices - 1)). */
    assert_true(fabs(chi_square - choices + 1) < 4 * sqrt(2.0 * (choices - 1)));
    qg_minibatch_destroy(&m);
    qg_replay_destroy(replay);
}

/* Several steps: their rewards, up to an end, and the state behind them. */
static void test_steps(void **state)
{
    (void)state;
    discount = 0.75;
    for (span = 2; span <= 7; span += 5) {
        check_filling(&grey, 50, 4, ROUND_OR_FEW, 0.2);
        check_filling(&grey, 16, 8, FEW, 0.5);
        check_filling(&empty, 300, 4, ROUND_OR_FEW, 0.1);
        check_filling(&bits, 37, 1, 300, 0.1);
        check_filling(&bits, 12, 4, 200, 0);
    }
    span = 1;
    discount = 1;
}

/* The same transitions as without priorities, whatever these are. */
static void test_prioritised(void **state)
{
    (void)state;
    prioritised = true;
    check_filling(&grey, 50, 4, ROUND_OR_FEW, 0.2);
    check_filling(&grey, 9, 8, FEW, 0.5);
    check_filling(&grey, 2, 1, 100, 0.5);
    check_filling(&bits, 37, 1, 200, 1);
    span = 3;
    discount = 0.5;
    check_filling(&grey, 50, 4, FEW, 0.2);
    check_filling(&bits, 12, 4, 200, 0);
    span = 1;
    discount = 1;
    prioritised = false;
}

/* Reads a tape of the memory whose weights, its last item, were changed: whether it is taken. */
static bool takes_weights(qg_replay *replay, const qg_tape *written, const double *weights,
                          size_t bytes)
{
    uint8_t *copy = malloc(written->size);
    assert_non_null(copy);
    memcpy(copy, written->bytes, written->size);
    memcpy(copy + written->size - bytes, weights, bytes);
    qg_tape tape = qg_tape_to_read(copy, written->size);
    assert_int_equal(qg_replay_pass(replay, &tape, added, 18, NULL, &error), QG_OK);
    const bool taken = qg_tape_complete(&tape);
    qg_tape_free(&tape);
    return taken;
}

/* A forged checkpoint has no weights of what cannot be drawn, and some of what can. */
static void test_forged_weights(void **state)
{
    (void)state;
    enum { CAPACITY = 64, ENTRIES = 40 };
    prioritised = true;
    qg_replay *replay = create(&bits, CAPACITY, 1);
    for (int n = 0; n < ENTRIES; n++)
        add(replay, &bits, 0.15);
    qg_tape tape = qg_tape_to_write();
    assert_int_equal(qg_replay_pass(replay, &tape, added, 18, NULL, &error), QG_OK);
    double weights[CAPACITY], forged[CAPACITY] = {0};
    memcpy(weights, tape.bytes + tape.size - sizeof weights, sizeof weights);
    assert_true(takes_weights(replay, &tape, weights, sizeof weights));
    assert_false(takes_weights(replay, &tape, forged, sizeof forged));
    for (int n = 0; n < CAPACITY; n++) {
        memcpy(forged, weights, sizeof forged);
        forged[n] = 1;
        const bool can_be_drawn = n < ENTRIES - 1 && !ended[n];
        assert_true((weights[n] > 0) == can_be_drawn);
        assert_true(takes_weights(replay, &tape, forged, sizeof forged) == can_be_drawn);
    }
    qg_tape_free(&tape);
    qg_replay_destroy(replay);
    prioritised = false;
}

/* They come in proportion to their TD errors, and their weights make up for it. */
static void test_proportional(void **state)
{
    (void)state;
    enum { CAPACITY = 64, SIZE = 32, DRAWS = 2000, ENTRIES = 100 };
    prioritised = true;
    qg_replay *replay = create(&grey, CAPACITY, 1);
    qg_minibatch m;
    assert_int_equal(qg_minibatch_create(qg_replay_form(replay), SIZE, &m, &error), QG_OK);
    qg_random random = qg_random_stream(3, "replay");
    for (int n = 0; n < ENTRIES; n++)
        add(replay, &grey, 0.15);
    double counts[ENTRIES] = {0}, sums = 0;
    for (int k = 0; k < DRAWS; k++) {
        float td_errors[SIZE];
        double least = INFINITY;
        qg_replay_sample_by_priority(replay, &random, k < DRAWS / 2 ? 0 : 0.5, &m);
        for (int i = 0; i < SIZE; i++) {
            const int64_t entry = number_of(m.batch.states.screens[i]);
            td_errors[i] = (entry % 2 ? -1.0f : 1.0f) * (float)(entry % 4);
            least = fmin(least, (double)(entry % 4) + 0.01);
            if (k >= DRAWS / 2) counts[entry]++;
        }
        for (int i = 0; i < SIZE && k >= DRAWS / 2; i++) {
            const double weight = (double)(number_of(m.batch.states.screens[i]) % 4) + 0.01;
            assert_true(fabs((double)m.weights[i] - sqrt(least / weight)) < 1e-6);
        }
        if (k == 0)
            for (int i = 0; i < SIZE; i++)
                assert_true(m.weights[i] == 1);
        qg_replay_set_priorities(replay, &m, td_errors);
    }
    for (int e = ENTRIES - CAPACITY; e < ENTRIES - 1; e++)
        sums += ended[e] ? 0 : e % 4 + 0.01;
    for (int e = ENTRIES - CAPACITY; e < ENTRIES - 1; e++) {
        const double expected = ended[e] ? 0 : SIZE * (DRAWS / 2) * (e % 4 + 0.01) / sums;
        assert_true(fabs(counts[e] - expected) <= 4 * sqrt(expected));
    }
    qg_minibatch_destroy(&m);
    qg_replay_destroy(replay);
    prioritised = false;
}

/* Grids are packed as bits and come back as they were. */
static void test_packed(void **state)
{
    (void)state;
    static const int channels[] = {4, 6, 7, 10, 1};
    for (size_t c = 0; c < sizeof channels / sizeof *channels; c++) {
        const qg_observation_shape shape = {10, 10, channels[c], 1};
        check_filling(&shape, 20, 2, 60, 0.1);
    }
    const qg_observation_shape odd = {3, 7, 1, 1}; /* not a whole number of bytes */
    check_filling(&odd, 20, 3, 60, 0.1);
}

static void test_detach(void **state)
{
    (void)state;
    enum { SIZE = 20, HISTORY = 4 };
    const qg_observation_shape *const shapes[] = {&grey, &bits};
    for (int s = 0; s < 2; s++) {
        qg_replay *replay = create(shapes[s], 60, HISTORY);
        qg_minibatch kept, other;
        assert_int_equal(qg_minibatch_create(qg_replay_form(replay), SIZE, &kept, &error), QG_OK);
        assert_int_equal(qg_minibatch_create(qg_replay_form(replay), SIZE, &other, &error), QG_OK);
        for (int n = 0; n < 40; n++)
            add(replay, shapes[s], 0.2);
        qg_random random = qg_random_stream(4, "replay");
        qg_replay_sample(replay, &random, &kept);
        int64_t entries[SIZE];
        for (int i = 0; i < SIZE; i++)
            entries[i] = assert_transition(shapes[s], &kept, i, HISTORY);
        assert_int_equal(qg_minibatch_detach(qg_replay_form(replay), &kept, &error), QG_OK);
        for (int n = 0; n < 80; n++) {
            add(replay, shapes[s], 0.2);
            qg_replay_sample(replay, &random, &other);
        }
        for (int i = 0; i < SIZE; i++)
            assert_int_equal(assert_transition(shapes[s], &kept, i, HISTORY), entries[i]);
        qg_minibatch_destroy(&other);
        qg_replay_destroy(replay);
        for (int i = 0; i < SIZE; i++) /* without the ring too */
            assert_int_equal(assert_transition(shapes[s], &kept, i, HISTORY), entries[i]);
        qg_minibatch_destroy(&kept);
    }
}

/* ---- The file ---- */

static void test_bytes(void **state)
{
    (void)state;
    enum { CAPACITY = 1000 };
    const qg_observation_shape atari = {84, 84, 1, 255};
    const qg_replay_plan plan = {
        .capacity = CAPACITY, .history = 4, .shape = atari, .compressed = compressed};
    const qg_replay_plan small = {.capacity = CAPACITY, .history = 1, .shape = bits};
    qg_replay *replay = create(&atari, CAPACITY, 4);
    struct stat file;
    assert_int_equal(stat(scratch_path("replay.bin"), &file), 0);
    assert_int_equal((size_t)file.st_size, qg_replay_bytes(&plan));
    assert_true(file.st_blocks * 512 >= file.st_size); /* reserved, not sparse */
    /* Whole blocks of 256 entries, and one more; a head, the columns, and either the screens or a
     * dictionary, their places and a 20th of the screens in whole segments. */
    const size_t places = 1024 + 256;
    if (compressed)
        assert_int_equal(file.st_size, 4096 + QG_DICTIONARY_ROOM + 20480 + (2 << 18));
    else
        assert_int_equal(file.st_size, 4096 + 8192 + 7056 * places);
    qg_replay_destroy(replay);
    assert_int_equal(access(scratch_path("replay.bin"), F_OK), -1);
    assert_int_equal(qg_replay_bytes(&small), 4096 + 8192 + 50 * places);
    qg_replay_destroy(NULL);
}

/* The ring of a training: its memory and slack, or less where the run is shorter. */
static void test_plan_for(void **state)
{
    (void)state;
    const qg_observation_shape atari = {84, 84, 1, 255};
    qg_settings settings = {.replay = 1000000, .history = 4};
    qg_replay_plan plan = qg_replay_plan_for(&settings, 25000000, &atari);
    assert_true(plan.capacity == 1000000 && plan.slack == 125000 && plan.history == 4);
    plan = qg_replay_plan_for(&settings, 1100000, &atari);
    assert_true(plan.capacity == 1000000 && plan.slack == 100001);
    plan = qg_replay_plan_for(&settings, 5000, &atari);
    assert_true(plan.capacity == 5001 && plan.slack == 0);
    plan = qg_replay_plan_for(&settings, 0, &atari);
    assert_true(plan.capacity == 5 && plan.slack == 0);
    settings.replay = 4000;
    plan = qg_replay_plan_for(&settings, 25000000, &atari);
    assert_true(plan.capacity == 4000 && plan.slack == (16 << 20) / 7062);
}

static void create_fails(const char *path, int64_t capacity)
{
    qg_replay *replay;
    error = (qg_error){0};
    const qg_replay_plan plan = {
        .capacity = capacity, .history = 4, .shape = grey, .compressed = compressed};
    assert_int_equal(qg_replay_create(path, &plan, &replay, &error), QG_ERROR_IO);
    assert_true(strncmp(error.message, path, strlen(path)) == 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_no_room(void **state)
{
    (void)state;
    scratch_limit(compressed ? 400000 : 30000);
    create_fails(scratch_path("replay.bin"), compressed ? 20000 : 2000);
    assert_non_null(strstr(error.message, "set a smaller 'replay'"));
    qg_replay_destroy(create(&grey, 500, 4)); /* that fits */
    scratch_limit(RLIM_INFINITY);
    create_fails(scratch_path("absent/replay.bin"), 10);
    if (QUICK) return; /* the thread sanitizer fills what calloc gives: 16 GB */
    create_fails(scratch_path("replay.bin"), INT64_C(1000000000000)); /* 21 TB */
    assert_non_null(strstr(error.message, "GB"));
}

/* A file that a killed process left is begun anew. */
static void test_leftover(void **state)
{
    (void)state;
    char garbage[5000];
    memset(garbage, 0xff, sizeof garbage);
    scratch_write(scratch_path("replay.bin"), garbage, sizeof garbage);
    check_filling(&grey, 50, 4, 120, 0.2);
}

/* ---- Going on ---- */

/* What a checkpoint knows of the ring, on a tape to be read. */
static qg_tape pass_ring(qg_replay *replay)
{
    qg_tape tape = qg_tape_to_write();
    assert_int_equal(qg_replay_pass(replay, &tape, added, 18, NULL, &error), QG_OK);
    assert_int_equal(qg_replay_sync(replay, &error), QG_OK);
    return qg_tape_to_read(tape.bytes, tape.size);
}

static qg_status reopen(const qg_replay_plan *plan, qg_tape *tape, int64_t count,
                        qg_replay **replay)
{
    qg_tape again = *tape;
    again.at = 0;
    assert_int_equal(qg_replay_open(scratch_path("replay.bin"), plan, replay, &error), QG_OK);
    const qg_status status = qg_replay_pass(*replay, &again, count, 18, NULL, &error);
    assert_true(status || qg_tape_complete(&again));
    added = count;
    return status;
}

static void assert_all_drawn(qg_replay *replay, const qg_observation_shape *shape, int64_t first,
                             int64_t last, int history)
{
    qg_minibatch m;
    qg_random random = qg_random_stream(9, "replay");
    assert_int_equal(qg_minibatch_create(qg_replay_form(replay), 16, &m, &error), QG_OK);
    for (int k = 0; k < 50 / SHARE; k++) {
        qg_replay_sample(replay, &random, &m);
        for (int i = 0; i < 16; i++)
            assert_in_range(assert_transition(shape, &m, i, history), first, last);
    }
    qg_minibatch_destroy(&m);
}

/* Changes a bit of the newest screen in the file. */
static void flip_newest(const qg_observation_shape *shape, const qg_replay_plan *plan,
                        int64_t count)
{
    const int64_t places = (plan->capacity + plan->slack + 255) / 256 * 256 + 256;
    const bool is_grid = shape->max == 1;
    const size_t dictionary = is_grid || !compressed ? 0 : QG_DICTIONARY_ROOM;
    const size_t columns = 4096 + dictionary, at = (size_t)((count - 1) % places);
    const size_t beside = (size_t)places * 6 + (size_t)(places / 256 + places / 256 % 2) * 4;
    FILE *file = fopen(scratch_path("replay.bin"), "r+b");
    assert_non_null(file);
    size_t byte;
    if (dictionary > 0) {
        uint64_t place;
        const size_t screens = (columns + beside + (size_t)places * 8 + 4095) / 4096 * 4096;
        assert_int_equal(fseek(file, (long)(columns + beside + at * 8), SEEK_SET), 0);
        assert_int_equal(fread(&place, sizeof place, 1, file), 1);
        byte = screens + (place >> 24) + (place & 0xffffff) / 2;
    } else {
        const size_t stride = is_grid ? (size_of(shape) + 7) / 8 : size_of(shape);
        byte = (columns + beside + 4095) / 4096 * 4096 + at * stride;
    }
    assert_int_equal(fseek(file, (long)byte, SEEK_SET), 0);
    const int old = fgetc(file);
    assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
    fputc(old ^ 1, file);
    fclose(file);
}

/* After as many more entries as the slack has, the file still holds what the memory held; a byte
 * that changed is found. */
static void check_going_on(const qg_observation_shape *shape, int64_t begin, int64_t capacity)
{
    const int64_t slack = QUICK ? 40 : 300; /* with 40 it makes no dictionary */
    const qg_replay_plan plan = {.capacity = capacity,
                                 .slack = slack,
                                 .history = 3,
                                 .shape = *shape,
                                 .compressed = compressed,
                                 .threads = threads};
    qg_replay *replay;
    assert_int_equal(qg_replay_create(scratch_path("replay.bin"), &plan, &replay, &error), QG_OK);
    added = 0;
    ends = qg_random_stream(4, "ends");
    for (int64_t n = 0; n < begin; n++)
        add(replay, shape, 0.1);
    qg_tape tape = pass_ring(replay);
    const qg_random then = ends;
    for (int64_t n = 0; n < slack; n++)
        add(replay, shape, 0.1);
    qg_replay_close(replay);

    assert_int_equal(reopen(&plan, &tape, begin, &replay), QG_OK);
    assert_all_drawn(replay, shape, begin > capacity ? begin - capacity + 2 : 0, begin - 2, 3);
    ends = then; /* the same entries again */
    for (int64_t n = 0; n < 2 * slack; n++)
        add(replay, shape, 0.1);
    qg_tape later = pass_ring(replay);
    const int64_t count = begin + 2 * slack;
    qg_replay_close(replay);
    assert_int_equal(reopen(&plan, &later, count, &replay), QG_OK);
    assert_all_drawn(replay, shape, count > capacity ? count - capacity + 2 : 0, count - 2, 3);
    qg_replay_close(replay);

    flip_newest(shape, &plan, count);
    assert_int_equal(reopen(&plan, &later, count, &replay), QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "checksum"));
    qg_replay_close(replay);
    assert_int_equal(truncate(scratch_path("replay.bin"), 1000), 0);
    assert_int_equal(qg_replay_open(scratch_path("replay.bin"), &plan, &replay, &error),
                     QG_ERROR_DATA);
    qg_tape_free(&tape);
    qg_tape_free(&later);
}

static void test_going_on(void **state)
{
    (void)state;
    check_going_on(&empty, 70, 400); /* no dictionary then */
    if (QUICK) return;
    check_going_on(&empty, 1500, 400);
    check_going_on(&bits, 1500, 400);
    check_going_on(&grey, 1024, 300); /* a block has just been completed */
    check_going_on(&grey, 10, 60);
    if (!compressed || thorough()) {
        check_going_on(&grey, 1500, 400);
        check_going_on(&grey, 70, 60);
    }
}

/* ---- The history outside the ring ---- */

static void test_history(void **state)
{
    (void)state;
    for (int length = 1; length <= 4; length++) {
        qg_history h;
        assert_int_equal(qg_history_create(&grey, length, &h, &error), QG_OK);
        int64_t entry = 0;
        for (int episode = 0; episode < 12; episode++) {
            qg_history_clear(&h);
            const int64_t begin = entry;
            for (int k = 0; k < episode; k++, entry++) {
                draw_screen(&grey, entry, qg_history_next(&h));
                qg_history_push(&h);
                const qg_states s = qg_history_state(&h);
                assert_true(s.size == 1 && s.parts == length && s.part_channels == 1);
                for (int age = 0; age < length; age++)
                    if (entry - age < begin)
                        assert_null(s.screens[length - 1 - age]);
                    else
                        assert_screen(&grey, s.screens[length - 1 - age], entry - age);
            }
        }
        qg_history_destroy(&h);
        qg_history_destroy(&h);
    }
}

static int run(bool as_frames, int readers)
{
    compressed = as_frames;
    threads = readers;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_filling, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_uniform, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_steps, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_prioritised, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_forged_weights, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_proportional, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_packed, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_detach, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_bytes, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_plan_for, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_no_room, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_leftover, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_going_on, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_history),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test_setup_teardown(test_filling, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_detach, scratch_setup, scratch_teardown),
    };
    return as_frames && readers == 1 && !thorough()
               ? cmocka_run_group_tests_name("frames, alone", alone, NULL, NULL)
               : cmocka_run_group_tests_name(as_frames ? "frames" : "bytes", tests, NULL, NULL);
}

int main(void)
{
    return (QUICK ? 0 : run(false, 1) + run(true, 1)) + run(true, 3);
}
