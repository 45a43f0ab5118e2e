/* Screens as frames: they come back as they were, a dictionary of their own kind makes them small
 * and is always the same one, and what is no frame is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/screen_codec.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE = 40, PIXELS = SIDE * SIDE, COUNT = 200 };

static qg_error error;

/* A picture that all share, and a square of four somewhere in it. */
static void draw(int64_t number, uint8_t *screen)
{
    qg_random picture = qg_random_stream(7, "picture");
    qg_random place = qg_random_stream((uint64_t)number, "square");
    for (int k = 0; k < PIXELS; k++)
        screen[k] = (uint8_t)(qg_random_below(&picture, 3) * 90);
    const size_t at = qg_random_below(&place, SIDE - 4) * SIDE + qg_random_below(&place, SIDE - 4);
    for (size_t y = 0; y < 4; y++)
        memset(screen + at + y * SIDE, 200, 4);
}

static uint8_t *draw_all(void)
{
    uint8_t *screens = malloc((size_t)COUNT * PIXELS);
    assert_non_null(screens);
    for (int i = 0; i < COUNT; i++)
        draw(i, screens + (size_t)i * PIXELS);
    return screens;
}

/* Mean bytes of frames of `screens`, each of which comes back. */
static double check_frames(const uint8_t *screens, int count, const uint8_t *dictionary,
                           size_t size)
{
    qg_screen_encoder *encoder;
    qg_screen_decoder *decoder;
    size_t sum = 0;
    assert_int_equal(qg_screen_encoder_create(dictionary, size, PIXELS, &encoder, &error), QG_OK);
    assert_int_equal(qg_screen_decoder_create(dictionary, size, 2, &decoder, &error), QG_OK);
    for (int i = 0; i < count; i++) {
        uint8_t back[PIXELS];
        const uint8_t *frame, *screen = screens + (size_t)i * PIXELS;
        size_t bytes;
        assert_int_equal(qg_screen_encode(encoder, screen, &frame, &bytes, &error), QG_OK);
        assert_in_range(bytes, 1, PIXELS);
        assert_true(qg_screen_decode(decoder, i % 2, size == 0, frame, bytes, back, PIXELS));
        assert_memory_equal(back, screen, PIXELS);
        assert_false(bytes < PIXELS && qg_screen_decode(decoder, 0, size == 0, frame, bytes / 2,
                                                        back, PIXELS)); /* cut off */
        sum += bytes;
    }
    qg_screen_encoder_free(encoder);
    qg_screen_decoder_free(decoder);
    return (double)sum / count;
}

static void test_dictionary(void **state)
{
    (void)state;
    uint8_t *screens = draw_all(), *others = malloc(2 * QG_DICTIONARY_ROOM);
    uint8_t dictionary[QG_DICTIONARY_ROOM];
    size_t size, again;
    assert_int_equal(qg_dictionary_train(screens, COUNT, PIXELS, dictionary, &size, &error), QG_OK);
    assert_in_range(size, QG_DICTIONARY_SCREENS / PIXELS * PIXELS, QG_DICTIONARY_ROOM);
    assert_int_equal(qg_dictionary_train(screens, COUNT, PIXELS, others, &again, &error), QG_OK);
    assert_int_equal(size, again);
    assert_memory_equal(dictionary, others, size);
    const double without = check_frames(screens, COUNT, NULL, 0);
    const double with = check_frames(screens, COUNT, dictionary, size);
    assert_true(with < 60 && without > 4 * with);
    double measured;
    assert_int_equal(qg_screen_codec_measure(screens, COUNT, PIXELS, &measured, &error), QG_OK);
    assert_true(measured < 60);
    free(screens);
    free(others);
}

/* None for what would not be helped; never an error. */
static void test_no_dictionary(void **state)
{
    (void)state;
    uint8_t dictionary[QG_DICTIONARY_ROOM], *zeros = calloc(64, 70000);
    size_t size = 1;
    assert_int_equal(qg_dictionary_train(zeros, 8, PIXELS, dictionary, &size, &error), QG_OK);
    assert_int_equal(size, 0); /* too few */
    assert_int_equal(qg_dictionary_train(zeros, 64, 70000, dictionary, &size, &error), QG_OK);
    assert_int_equal(size, 0); /* too large */
    assert_int_equal(qg_dictionary_train(zeros, 64, 2, dictionary, &size, &error), QG_OK);
    assert_int_equal(qg_dictionary_train(zeros, 64, 1000, dictionary, &size, &error), QG_OK);
    double measured;
    assert_int_equal(qg_screen_codec_measure(zeros, 1, 2, &measured, &error), QG_OK);
    assert_int_equal(qg_screen_codec_measure(zeros, 0, 2, &measured, &error), QG_OK);
    free(zeros);
}

/* Noise is kept as it is. */
static void test_noise(void **state)
{
    (void)state;
    uint8_t noise[3 * PIXELS];
    qg_random random = qg_random_stream(3, "noise");
    for (size_t k = 0; k < sizeof noise; k++)
        noise[k] = (uint8_t)(qg_random_u64(&random) >> 9);
    assert_true(check_frames(noise, 3, NULL, 0) == PIXELS);
}

static void test_no_frame(void **state)
{
    (void)state;
    qg_screen_decoder *decoder;
    uint8_t back[PIXELS], garbage[64];
    memset(garbage, 0x5a, sizeof garbage);
    assert_int_equal(qg_screen_decoder_create(garbage, sizeof garbage, 1, &decoder, &error), QG_OK);
    for (size_t size = 0; size < sizeof garbage; size++)
        assert_false(qg_screen_decode(decoder, 0, false, garbage, size, back, PIXELS));
    qg_screen_decoder_free(decoder);
    qg_screen_decoder_free(NULL);
    qg_screen_encoder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dictionary),
        cmocka_unit_test(test_no_dictionary),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_no_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
