/* Distillation: the loss against long doubles and finite differences, the lists of temperatures,
 * sample sets and their damages, and the order in which a student is taught. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/distillation.h>

#include "agent/tape.h"
#include "base/file.h"
#include "base/random.h"
#include "scratch.h"
#include "agent/screen_codec.h"
#include "transfer/distillation_tables.h"
#include "transfer/sample_set.h"

#include <fcntl.h>
#include <float.h>
#include <limits.h>
#include <math.h>

static qg_error error;

/* ---- The loss ---- */

typedef struct reference {
    long double loss, kl, entropy;
} reference;

/* Straight from the definition; fine for values that exp can hold. */
static reference reference_of(qg_distillation_loss loss, const double *teacher,
                              const double *student, int actions, double tau)
{
    const bool both = loss == QG_LOSS_KL_BOTH || loss == QG_LOSS_MSE;
    const long double own = both ? (long double)tau : 1;
    long double sum_t = 0, sum_s = 0, squares = 0;
    int best = 0;
    for (int a = 0; a < actions; a++) {
        sum_t += expl((long double)teacher[a] / (long double)tau);
        sum_s += expl((long double)student[a] / own);
        squares += ((long double)teacher[a] - (long double)student[a]) *
                   ((long double)teacher[a] - (long double)student[a]);
        if (teacher[a] > teacher[best]) best = a;
    }
    reference r = {0};
    for (int a = 0; a < actions; a++) {
        const long double p = expl((long double)teacher[a] / (long double)tau) / sum_t;
        const long double q = expl((long double)student[a] / own) / sum_s;
        r.kl += p * logl(p / q);
        r.entropy -= p * logl(p);
    }
    r.loss = r.kl;
    if (loss == QG_LOSS_MSE) r.loss = squares;
    if (loss == QG_LOSS_NLL) r.loss = -logl(expl((long double)student[best]) / sum_s);
    return r;
}

static void draw(qg_random *random, int count, float *values)
{
    for (int i = 0; i < count; i++)
        values[i] = (float)(4 * qg_random_uniform(random) - 2);
}

static void check_loss(qg_distillation_loss loss)
{
    qg_random random = qg_random_stream(1, "test");
    for (int round = 0; round < 200; round++) {
        const int actions = 1 + round % QG_MAX_ACTIONS;
        const double tau = (double[]){0.01, 0.1, 0.5, 1, 10}[round % 5];
        float teacher[QG_MAX_ACTIONS], student[QG_MAX_ACTIONS], gradient[QG_MAX_ACTIONS];
        double t[QG_MAX_ACTIONS], s[QG_MAX_ACTIONS];
        draw(&random, actions, teacher);
        draw(&random, actions, student);
        for (int a = 0; a < actions; a++) {
            t[a] = (double)teacher[a];
            s[a] = (double)student[a];
        }
        const reference expected = reference_of(loss, t, s, actions, tau);
        const qg_state_loss found =
            qg_distillation_state(loss, teacher, student, actions, tau, gradient);
        assert_true(fabs(found.loss - (double)expected.loss) <=
                    1e-12 * fmax(1, (double)expected.loss));
        assert_true(fabs(found.kl - (double)expected.kl) <= 1e-12 * fmax(1, (double)expected.kl));
        assert_true(fabs(found.entropy - (double)expected.entropy) <= 1e-12);
        for (int a = round % 3; a < actions; a += 1 + actions / 6) { /* minus the slope */
            const double step = 1e-4 * fmin(1, tau), middle = s[a];
            s[a] = middle + step;
            const long double above = reference_of(loss, t, s, actions, tau).loss;
            s[a] = middle - step;
            const long double below = reference_of(loss, t, s, actions, tau).loss;
            s[a] = middle;
            const double slope = (double)((above - below) / (2 * (long double)step));
            assert_true(fabs((double)gradient[a] + slope) < 1e-6 * fmax(1, fabs(slope)));
        }
    }
}

static void test_losses_and_gradients(void **state)
{
    (void)state;
    for (int loss = QG_LOSS_KL; loss <= QG_LOSS_NLL; loss++)
        check_loss((qg_distillation_loss)loss);
}

static void test_names_of_losses(void **state)
{
    (void)state;
    qg_distillation_loss loss;
    for (int i = QG_LOSS_KL; i <= QG_LOSS_NLL; i++) {
        const char *name = qg_distillation_loss_name((qg_distillation_loss)i);
        assert_int_equal(qg_distillation_loss_parse(name, &loss, &error), QG_OK);
        assert_int_equal(loss, i);
    }
    assert_int_equal(qg_distillation_loss_parse("kl-", &loss, &error), QG_ERROR_USAGE);
    assert_int_equal(qg_distillation_loss_parse("", &loss, &error), QG_ERROR_USAGE);
}

static void test_loss_at_the_edges(void **state)
{
    (void)state;
    const float huge[] = {1e30f, -1e30f, 0}, small[] = {-1e30f, 1e30f, 0}, equal[] = {3, 3, 3};
    float gradient[3];
    qg_state_loss found = qg_distillation_state(QG_LOSS_KL, huge, small, 3, 0.001, gradient);
    assert_true(isfinite(found.kl) && found.kl > 1e30 && found.entropy == 0);
    assert_true(gradient[0] == 1 && gradient[1] == -1 && gradient[2] == 0);
    for (int loss = QG_LOSS_KL; loss <= QG_LOSS_NLL; loss++) {
        found = qg_distillation_state((qg_distillation_loss)loss, huge, small, 3, 1, gradient);
        assert_true(isfinite(found.loss) && found.loss > 1e30 && isfinite(gradient[0]));
    }
    found = qg_distillation_state(QG_LOSS_NLL, equal, equal, 3, 0.1, gradient);
    assert_true(fabs(found.loss - log(3)) < 1e-15);
    assert_true(gradient[0] > 0.6f && gradient[1] < 0 &&
                gradient[2] == gradient[1]); /* the first */
    found = qg_distillation_state(QG_LOSS_KL, equal, equal, 3, 0.1, gradient);
    assert_true(found.kl == 0 && fabs(found.entropy - log(3)) < 1e-15);
    for (int a = 0; a < 3; a++)
        assert_true(fabsf(gradient[a]) < FLT_EPSILON);
    /* A student that has lost itself agrees with nobody. */
    const float lost[] = {NAN, NAN, NAN};
    for (int loss = QG_LOSS_KL; loss <= QG_LOSS_NLL; loss++) {
        found = qg_distillation_state((qg_distillation_loss)loss, equal, lost, 3, 1, NULL);
        assert_true(isnan(found.loss) && isnan(found.kl));
    }
    /* A teacher that equals the student at temperature 1 has nothing to teach. */
    assert_true(qg_distillation_state(QG_LOSS_KL, huge, huge, 3, 1, NULL).kl == 0);
    /* By the same temperature, and by its values, it has none at any. */
    assert_true(qg_distillation_state(QG_LOSS_KL_BOTH, small, small, 3, 0.1, NULL).loss == 0);
    assert_true(qg_distillation_state(QG_LOSS_MSE, small, small, 3, 0.1, NULL).loss == 0);
}

/* Pong's scores may be below 0, where a quotient would take the worse student. */
static void test_shares(void **state)
{
    (void)state;
    assert_true(qg_share_of_teacher(6, 8) == 0.75);
    assert_true(qg_share_of_teacher(-20, -20) == 1 && qg_share_of_teacher(0, 0) == 0);
    assert_true(qg_share_of_teacher(-15, -20) == 1.25 && qg_share_of_teacher(-21, -20) < 1);
    assert_true(qg_share_of_teacher(0.5, 0) == 0.5);
}

/* ---- Temperatures ---- */

static void test_temperatures(void **state)
{
    (void)state;
    qg_temperatures t;
    assert_int_equal(qg_temperatures_parse("0.1", &t, &error), QG_OK);
    assert_true(t.count == 1 && t.values[0] == 0.1);
    assert_int_equal(qg_temperatures_parse("0.1:0.5:0.1", &t, &error), QG_OK);
    const double expected[] = {0.1, 0.2, 0.3, 0.4, 0.5}; /* 0.1 + 2 * 0.1 is not 0.3 */
    assert_int_equal(t.count, 5);
    assert_memory_equal(t.values, expected, sizeof expected);
    assert_int_equal(qg_temperatures_parse("1:2:0.75", &t, &error), QG_OK);
    assert_true(t.count == 2 && t.values[1] == 1.75);
    assert_int_equal(qg_temperatures_parse("0.5:0.5:1", &t, &error), QG_OK);
    assert_int_equal(t.count, 1);
    const char *const wrong[] = {
        "",           "0",        "-0.1",      "nan",       "inf",       "0.1:0.5", "0.5:0.1:1",
        "0.1:1:0",    "0.1:1:-1", "0.1:nan:1", "0.1:1:nan", "1:2:3:4",   "0:1:0.1", "x",
        "0.1:1:1e-9", "0.1 ",     "1e9",       "0.1:inf:1", "0.1:1e9:1", ":",       "0.1:0.5:"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(qg_temperatures_parse(wrong[i], &t, &error), QG_ERROR_USAGE);
}

static void test_usual_options(void **state)
{
    (void)state;
    qg_train_options training = {.steps = 7};
    qg_distillation_options options = {.samples = 7};
    assert_int_equal(qg_train_options_for("minatar/asterix", &training, &error), QG_OK);
    assert_string_equal(training.domain, "minatar/asterix");
    assert_string_equal(training.settings.preset, "grid");
    assert_int_equal(training.steps, 1000000);
    assert_int_equal(training.run.seed, 1);
    assert_int_equal(training.run.machine.threads, 1);
    assert_null(training.run.folder);
    assert_int_equal(qg_train_options_for("pong", &training, &error), QG_OK);
    assert_string_equal(training.settings.preset, "dqn3");
    assert_int_equal(training.steps, 25000000);
    assert_in_range(training.run.machine.threads, 1, 256);
    assert_int_equal(qg_distillation_options_for("minatar/asterix", &options, &error), QG_OK);
    assert_int_equal(options.samples, 100000);
    assert_int_equal(options.temperatures.count, 1);
    assert_true(options.temperatures.values[0] == 0.1 && options.epsilon == 0.05);
    assert_int_equal(options.order, QG_ORDER_PASS);
    assert_int_equal(qg_distillation_options_for("pong", &options, &error), QG_OK);
    assert_int_equal(options.samples, 1000000);
    assert_int_equal(qg_train_options_for("pong2", &training, &error), QG_ERROR_USAGE);
    assert_int_equal(qg_distillation_options_for("pong2", &options, &error), QG_ERROR_USAGE);
}

static void test_held_out(void **state)
{
    (void)state;
    assert_true(qg_held_out(1) == 1 && qg_held_out(20000) == 400);
    assert_true(qg_held_out(1000000) == 5000);
}

/* ---- Sample sets ---- */

#define SAMPLES 50

enum { HEAD = 304, COLUMNS = 4096, SCREENS = 8192 }; /* where they are in a file of grids */

static qg_sample_source source_of(int history, int max)
{
    qg_sample_source source = {.seed = 3,
                               .count = SAMPLES,
                               .epsilon = 0.05,
                               .sticky = 0.1,
                               .frame_skip = 1,
                               .history = history,
                               .actions = 3,
                               .height = 5,
                               .width = 3,
                               .channels = max == 1 ? 4 : 1,
                               .max = max};
    strcpy(source.teacher, "teacher");
    strcpy(source.domain, "game");
    strcpy(source.precision, "float32");
    return source;
}

static bool begins_episode(int sample)
{
    return sample % 7 == 0 || sample == 8;
}

static uint8_t value_of(int sample, size_t at, int max)
{
    const unsigned value = (unsigned)sample * 31u + (unsigned)at * 17u;
    return (uint8_t)(max == 1 ? value / 3 % 2 : value % 256);
}

static void fill(qg_sample_set *set, const qg_sample_source *source)
{
    uint8_t screen[60];
    const size_t pixels = (size_t)(source->height * source->width * source->channels);
    for (int i = 0; i < SAMPLES; i++) {
        for (size_t p = 0; p < pixels; p++)
            screen[p] = value_of(i, p, source->max);
        const float q[] = {(float)i, (float)-i, 0.5f};
        assert_int_equal(qg_sample_set_add(set, screen, begins_episode(i), q, &error), QG_OK);
    }
    assert_int_equal(qg_sample_set_finish(set, &error), QG_OK);
}

/* Every state: its own screen newest, those before it back to the beginning of the episode. */
static void check(qg_sample_set *set, const qg_sample_source *source)
{
    const size_t pixels = (size_t)(source->height * source->width * source->channels);
    qg_sample_states states;
    assert_int_equal(qg_sample_states_create(set, 2, &states, &error), QG_OK);
    for (int i = 0; i < SAMPLES; i++) {
        const uint32_t samples[] = {(uint32_t)i, (uint32_t)(SAMPLES - 1 - i)};
        const uint32_t next[] = {samples[0] + 1, i % 5 ? samples[1] - 1 : 0}; /* or otherwise */
        qg_sample_set_gather(set, samples, 2, &states);
        if (i + 1 < SAMPLES) qg_sample_set_expect(set, next, 2, &states);
        assert_int_equal(states.states.size, 2);
        for (int s = 0; s < 2; s++) {
            int sample = (int)samples[s];
            bool cut = false;
            assert_true(qg_sample_set_q_values(set, samples[s])[1] == (float)-sample);
            for (int h = source->history - 1; h >= 0; h--) {
                const uint8_t *screen = states.states.screens[s * source->history + h];
                assert_true((screen == NULL) == cut);
                for (size_t p = 0; screen && p < pixels; p++)
                    assert_int_equal(screen[p], value_of(sample, p, source->max));
                cut = cut || begins_episode(sample);
                sample--;
            }
        }
    }
    qg_sample_states_destroy(&states);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        const qg_sample_source source = source_of(variant / 2 % 2 ? 4 : 1, variant % 2 ? 1 : 255);
        const char *path = scratch_path(variant % 2 ? "grid" : "grey");
        for (int keep = 0; keep < 2; keep++) {
            qg_sample_set *set;
            const qg_sample_form form = {
                .keep = keep, .compressed = variant >= 4, .threads = 1 + 2 * keep};
            assert_int_equal(qg_sample_set_create(path, &source, &form, &set, &error), QG_OK);
            fill(set, &source);
            check(set, &source);
            qg_sample_set_discard(set);
            assert_int_equal(access(path, F_OK), keep ? 0 : -1);
        }
        qg_sample_set *set;
        assert_int_equal(qg_sample_set_open(path, &source, 2, NULL, &set, &error), QG_OK);
        check(set, &source);
        qg_sample_set_close(set);
        unlink(path);
    }
}

static void test_a_set_that_is_not_finished_is_gone(void **state)
{
    (void)state;
    const qg_sample_source source = source_of(1, 1);
    qg_sample_set *set;
    assert_int_equal(qg_sample_set_create(scratch_path("half"), &source,
                                          &(qg_sample_form){.keep = true}, &set, &error),
                     QG_OK);
    char name[64];
    snprintf(name, sizeof name, "half.tmp-%ld", (long)getpid());
    assert_int_equal(access(scratch_path(name), F_OK), 0);
    qg_sample_set_discard(set);
    assert_int_equal(access(scratch_path(name), F_OK), -1);
    assert_int_equal(access(scratch_path("half"), F_OK), -1);
}

static void make_kept(const char *path, const qg_sample_source *source)
{
    qg_sample_set *set;
    const qg_sample_form form = {.keep = true, .compressed = true};
    assert_int_equal(qg_sample_set_create(path, source, &form, &set, &error), QG_OK);
    fill(set, source);
    qg_sample_set_close(set);
}

static qg_status open_again(const char *path, const qg_sample_source *source)
{
    qg_sample_set *set = NULL;
    const qg_status status = qg_sample_set_open(path, source, 1, NULL, &set, &error);
    qg_sample_set_close(set);
    return status;
}

/* Whether a checkpoint that names the file `temporary` is believed. */
static bool is_believed(const char *path, const char *temporary, bool keep)
{
    const qg_sample_source source = source_of(1, 1);
    char name[4096];
    int64_t added = 0;
    uint32_t crc = 0;
    qg_tape tape = qg_tape_to_write();
    snprintf(name, sizeof name, "%s", temporary);
    qg_tape_pass_text(&tape, name, sizeof name);
    QG_TAPE_PASS(&tape, added);
    QG_TAPE_PASS(&tape, crc);
    tape = qg_tape_to_read(tape.bytes, tape.size);
    qg_sample_set *set = NULL; /* none of the files is there */
    const qg_sample_form form = {.keep = keep};
    const bool opened =
        qg_sample_set_pass(&tape, path, &source, &form, NULL, &set, &error) == QG_OK;
    assert_true(!opened || !tape.good);
    /* Another set is named, and not opened. */
    const bool good = tape.good && strncmp(error.message, "the run was begun", 17) != 0;
    qg_tape_free(&tape);
    return good;
}

static void test_a_checkpoint_names_no_other_file(void **state)
{
    (void)state;
    static const char *const others[] = {"",         "/../victim", "-1/../../victim", ".tmp-",
                                         ".tmp-1/x", ".tmp-x",     "victim"};
    char path[PATH_MAX], name[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s", scratch_path("set"));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(name, sizeof name, "%s%s", path, others[i]);
        assert_false(is_believed(path, name, true));
        assert_false(is_believed(path, name, false));
    }
    snprintf(name, sizeof name, "%s.tmp-%d", path, 123);
    assert_true(is_believed(path, name, true));
    assert_false(is_believed(path, name, false));
    assert_true(is_believed(path, "", false));
    assert_false(is_believed(path, scratch_path("victim"), true));
}

static void test_other_sources_are_refused(void **state)
{
    (void)state;
    const qg_sample_source source = source_of(2, 1);
    const char *path = scratch_path("set");
    make_kept(path, &source);
    qg_sample_source other[] = {source, source, source, source, source, source, source};
    const char *const names[] = {"teacher", "game",    "precision", "seed",
                                 "epsilon", "samples", "noop"};
    strcpy(other[0].teacher, "another");
    strcpy(other[1].domain, "pong");
    strcpy(other[2].precision, "float31");
    other[3].seed = 4;
    other[4].epsilon = 0.1;
    other[5].count = 51;
    other[6].noop_max = 30;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        assert_int_equal(open_again(path, &other[i]), QG_ERROR_USAGE);
        assert_non_null(strstr(error.message, names[i]));
    }
    assert_int_equal(open_again(path, &source), QG_OK);
}

/* Every byte counts: each one changed alone is found. */
static void test_damage_is_found(void **state)
{
    (void)state;
    const qg_sample_source source = source_of(2, 1);
    const char *path = scratch_path("set");
    make_kept(path, &source);
    uint8_t *data;
    size_t size;
    assert_int_equal(qg_file_read(path, 1 << 20, &data, &size, &error), QG_OK);
    assert_int_equal(size, qg_sample_set_bytes(&source, true));
    for (size_t at = 0; at < size; at++) {
        /* Behind the header and the columns lies nothing. */
        if ((at >= HEAD && at < COLUMNS) || (at >= COLUMNS + SAMPLES * 13 && at < SCREENS))
            continue;
        data[at] ^= 0x10;
        scratch_write(path, data, size);
        assert_int_equal(open_again(path, &source), QG_ERROR_DATA);
        data[at] ^= 0x10;
    }
    for (size_t shorter = 0; shorter < size; shorter += 37) {
        scratch_write(path, data, shorter);
        assert_int_equal(open_again(path, &source), QG_ERROR_DATA);
    }
    scratch_write(path, data, size);
    assert_int_equal(open_again(path, &source), QG_OK);
    free(data);
    assert_int_equal(open_again(scratch, &source), QG_ERROR_IO);
    assert_int_equal(open_again(scratch_path("none"), &source), QG_ERROR_IO);
}

/* Screens that are compressed: 30 x 30, a bar that moves. */
static void make_bars(const char *path, qg_sample_source *source)
{
    enum { BARS = 300 };
    uint8_t screen[900];
    qg_sample_set *set;
    *source = source_of(4, 255);
    source->count = BARS;
    source->height = source->width = 30;
    const qg_sample_form form = {.keep = true, .compressed = true};
    assert_int_equal(qg_sample_set_create(path, source, &form, &set, &error), QG_OK);
    for (int i = 0; i < BARS; i++) {
        for (int p = 0; p < 900; p++)
            screen[p] = (uint8_t)(p * p / 7 + (p / 30 == i % 30 ? 100 : 0));
        const float q[] = {(float)i, 1, 2};
        assert_int_equal(qg_sample_set_add(set, screen, i % 50 == 0, q, &error), QG_OK);
    }
    assert_int_equal(qg_sample_set_finish(set, &error), QG_OK);
    qg_sample_set_close(set);
}

/* A sample of the bytes: of header, dictionary, Q-values, places and frames. */
static void test_damage_of_frames_is_found(void **state)
{
    (void)state;
    qg_sample_source source;
    const char *path = scratch_path("bars");
    make_bars(path, &source);
    uint8_t *data;
    size_t size;
    assert_int_equal(qg_file_read(path, 1 << 20, &data, &size, &error), QG_OK);
    assert_in_range(size, 1, qg_sample_set_bytes(&source, true));
    const size_t dictionary = 4096, columns = dictionary + QG_DICTIONARY_ROOM;
    const size_t places = columns + 300 * 13 / 8 * 8 + 8,
                 screens = (places + 2400 + 4095) / 4096 * 4096;
    const struct {
        size_t begin, end, every;
    } parts[] = {{0, HEAD, 1},
                 {dictionary, dictionary + 57000, 997},
                 {columns, columns + 3900, 97},
                 {places, places + 2400, 31},
                 {screens, screens + 3000, 41}};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        for (size_t at = parts[k].begin; at < parts[k].end; at += parts[k].every) {
            data[at] ^= 0x10;
            scratch_write(path, data, size);
            assert_int_equal(open_again(path, &source), QG_ERROR_DATA);
            data[at] ^= 0x10;
        }
    scratch_write(path, data, size - 1);
    assert_int_equal(open_again(path, &source), QG_ERROR_DATA);
    scratch_write(path, data, size);
    assert_int_equal(open_again(path, &source), QG_OK);
    free(data);
}

static void test_a_disk_that_is_too_small(void **state)
{
    (void)state;
    assert_int_equal(
        qg_sample_set_check_room(scratch_path("not/yet/there"), (size_t)1 << 60, &error),
        QG_ERROR_IO);
    assert_non_null(strstr(error.message, "free"));
    assert_int_equal(qg_sample_set_check_room(scratch_path("not/yet"), 1, &error), QG_OK);
    qg_sample_source source = source_of(1, 1);
    qg_sample_set *set;
    scratch_limit(1000);
    const qg_status status =
        qg_sample_set_create(scratch_path("full"), &source, &(qg_sample_form){0}, &set, &error);
    scratch_limit(RLIM_INFINITY);
    assert_int_equal(status, QG_ERROR_IO);
    assert_int_equal(access(scratch_path("full"), F_OK), -1);
}

/* ---- The whole way, in small ---- */

/* A teacher with random weights for the game. */
static void make_teacher(const char *path, const char *game, uint64_t seed)
{
    const qg_domain_options domain_options = {.sticky = -1};
    qg_domain *domain;
    qg_settings settings;
    qg_architecture architecture;
    qg_network network;
    assert_int_equal(qg_domain_open(game, &domain_options, &domain, &error), QG_OK);
    assert_int_equal(qg_settings_preset(&settings, "grid", &error), QG_OK);
    assert_int_equal(qg_architecture_for(&settings, domain, &architecture, &error), QG_OK);
    assert_int_equal(qg_network_create(&architecture, &network, &error), QG_OK);
    qg_network_initialise(&network, seed);
    qg_network_info info = {.score = NAN, .confirmed_score = NAN};
    snprintf(info.domain, sizeof info.domain, "%s", game);
    assert_int_equal(qg_network_save(path, &network, &info, &error), QG_OK);
    qg_network_free(&network);
    qg_domain_close(domain);
}

static qg_distillation_options options_for(const char *const *teachers, int count,
                                           const char *temperatures, qg_distillation_order order)
{
    qg_distillation_options o = {.run = {.seed = 1, .overwrite = true},
                                 .teachers = teachers,
                                 .teacher_count = count,
                                 .order = order,
                                 .samples = 100,
                                 .epsilon = 0.05};
    assert_int_equal(qg_settings_preset(&o.settings, "grid", &error), QG_OK);
    o.settings.eval_steps = 50;
    o.settings.log_every = 32; /* a row an update */
    assert_int_equal(qg_temperatures_parse(temperatures, &o.temperatures, &error), QG_OK);
    return o;
}

/* The columns samples, task and temperature of distillation.csv, "32 1 0.1;64 1 0.1;". */
static void read_order(const char *folder, char *text, size_t size)
{
    char name[600], line[256];
    snprintf(name, sizeof name, "%s/distillation.csv", folder);
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    text[0] = 0;
    while (fgets(line, sizeof line, file)) {
        long samples;
        int task;
        double temperature;
        assert_int_equal(sscanf(line, "%ld,%*d,%d,%lf", &samples, &task, &temperature), 3);
        const size_t used = strlen(text);
        snprintf(text + used, size - used, "%ld %d %g;", samples, task, temperature);
    }
    fclose(file);
}

static void test_orders(void **state)
{
    (void)state;
    char teacher[600], folder[600], order[1000];
    snprintf(teacher, sizeof teacher, "%s", scratch_path("teacher.safetensors"));
    snprintf(folder, sizeof folder, "%s", scratch_path("run"));
    make_teacher(teacher, "minatar/breakout", 5);
    const char *teachers[] = {teacher};
    qg_distillation_options o = options_for(teachers, 1, "0.1:0.2:0.1", QG_ORDER_PASS);
    qg_distillation_result result;
    o.run.folder = folder;
    assert_int_equal(qg_distill(&o, &result, &error), QG_OK);
    assert_true(result.run.step == 200 && result.updates == 8 && result.held_out == 2);
    read_order(folder, order, sizeof order);
    assert_string_equal(order, "32 1 0.1;64 1 0.1;96 1 0.1;100 1 0.1;132 1 0.2;164 1 0.2;"
                               "196 1 0.2;200 1 0.2;");
    assert_true(result.taught[0].held_out[0].teacher_entropy <
                result.taught[0].held_out[1].teacher_entropy);
    o.order = QG_ORDER_SAMPLE;
    assert_int_equal(qg_distill(&o, &result, &error), QG_OK);
    read_order(folder, order, sizeof order);
    assert_string_equal(order, "64 1 0.1;64 1 0.2;128 1 0.1;128 1 0.2;192 1 0.1;192 1 0.2;"
                               "200 1 0.1;200 1 0.2;");
}

static void test_two_teachers(void **state)
{
    (void)state;
    char paths[2][600], folder[600], order[1000], part[700];
    snprintf(paths[0], sizeof paths[0], "%s", scratch_path("one.safetensors"));
    snprintf(paths[1], sizeof paths[1], "%s", scratch_path("two.safetensors"));
    snprintf(folder, sizeof folder, "%s", scratch_path("both"));
    make_teacher(paths[0], "minatar/freeway", 5);        /* noop, up, down */
    make_teacher(paths[1], "minatar/space_invaders", 6); /* noop, left, right, fire */
    const char *teachers[] = {paths[0], paths[1]};
    qg_distillation_options o = options_for(teachers, 2, "0.1", QG_ORDER_PASS);
    qg_distillation_result result;
    o.run.folder = folder;
    o.settings.log_every = 64;
    assert_int_equal(qg_distill(&o, &result, &error), QG_OK);
    read_order(folder, order, sizeof order);
    assert_string_equal(order, "64 1 0.1;64 2 0.1;128 1 0.1;128 2 0.1;192 1 0.1;192 2 0.1;"
                               "200 1 0.1;200 2 0.1;");
    qg_network whole, second;
    qg_network_info info;
    snprintf(part, sizeof part, "%s/last.safetensors", folder);
    assert_int_equal(qg_network_load(part, &whole, &info, &error), QG_OK);
    assert_string_equal(info.actions, "noop,up,down,left,right,fire");
    assert_string_equal(info.domain, "");
    snprintf(part, sizeof part, "%s/task-2.safetensors", folder);
    assert_int_equal(qg_network_load(part, &second, &info, &error), QG_OK);
    assert_string_equal(info.actions, "noop,left,right,fire");
    assert_string_equal(info.domain, "minatar/space_invaders");
    const int rows[] = {0, 3, 4, 5};
    for (int n = 0; n < 4; n++) {
        const size_t fan_in = qg_layer_fan_in(&whole.architecture.layers[4]);
        assert_true(second.biases[4][n] == whole.biases[4][rows[n]]);
        assert_memory_equal(second.weights[4] + (size_t)n * fan_in,
                            whole.weights[4] + (size_t)rows[n] * fan_in, fan_in * sizeof(float));
    }
    qg_network_free(&whole);
    qg_network_free(&second);
}

/* Stops when the student plays the second of its games for the first time. */
typedef struct stopper {
    int evaluations;
    volatile sig_atomic_t stop;
} stopper;

static void stop_in_evaluation(void *context, const qg_distillation_progress *progress)
{
    stopper *s = context;
    s->evaluations += progress->phase == QG_PHASE_EVALUATING && progress->done == 0;
    s->stop = s->evaluations == 4; /* behind those of the two teachers */
}

/* A run stopped between the evaluations of two tasks writes each row once. */
static void test_stopped_between_evaluations(void **state)
{
    (void)state;
    char paths[2][600], folder[600];
    snprintf(paths[0], sizeof paths[0], "%s", scratch_path("one.safetensors"));
    snprintf(paths[1], sizeof paths[1], "%s", scratch_path("two.safetensors"));
    snprintf(folder, sizeof folder, "%s", scratch_path("between"));
    make_teacher(paths[0], "minatar/freeway", 5);
    make_teacher(paths[1], "minatar/breakout", 6);
    const char *teachers[] = {paths[0], paths[1]};
    qg_distillation_options o = options_for(teachers, 2, "0.1", QG_ORDER_PASS);
    qg_distillation_result result;
    stopper s = {0};
    o.run.folder = folder;
    o.run.stop = &s.stop;
    o.progress = stop_in_evaluation;
    o.context = &s;
    o.settings.eval_every = 1000;
    assert_int_equal(qg_distill(&o, &result, &error), QG_STOPPED);
    s.stop = 0;
    o.progress = NULL;
    o.run.overwrite = false;
    o.run.resume = true;
    assert_int_equal(qg_distill(&o, &result, &error), QG_OK);
    for (int k = 1; k <= 2; k++) {
        char name[700];
        uint8_t *data;
        size_t size;
        snprintf(name, sizeof name, "%s/evaluations-%d.csv", folder, k);
        assert_int_equal(qg_file_read(name, 1 << 20, &data, &size, &error), QG_OK);
        int rows = -1; /* without the header */
        for (size_t i = 0; i < size; i++)
            rows += data[i] == '\n';
        assert_int_equal(rows, 2); /* at 0 and at the end */
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_and_gradients),
        cmocka_unit_test(test_names_of_losses),
        cmocka_unit_test(test_loss_at_the_edges),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_temperatures),
        cmocka_unit_test(test_usual_options),
        cmocka_unit_test(test_held_out),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_a_set_that_is_not_finished_is_gone),
        cmocka_unit_test(test_a_checkpoint_names_no_other_file),
        cmocka_unit_test(test_other_sources_are_refused),
        cmocka_unit_test(test_damage_is_found),
        cmocka_unit_test(test_damage_of_frames_is_found),
        cmocka_unit_test(test_a_disk_that_is_too_small),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_two_teachers),
        cmocka_unit_test(test_stopped_between_evaluations),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
