/* Measures of layers on numbers whose answer is known by hand, or by a plain second way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/layer_measures.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qg_error error;

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9)) fail_msg("%.12g, expected %.12g", value, expected);
}

static void test_drift(void **state)
{
    (void)state;
    const float start[] = {3, 4}, turned[] = {-4, 3}, none[] = {0, 0}, twice[] = {6, 8};
    const float partly[] = {NAN, 4}, not_at_all[] = {NAN, NAN};
    double distance, cosine;
    qg_measure_drift(start, start, 2, &distance, &cosine);
    assert_near(distance, 0);
    assert_near(cosine, 1);
    qg_measure_drift(turned, start, 2, &distance, &cosine);
    assert_near(distance, sqrt(50) / 5);
    assert_near(cosine, 0);
    qg_measure_drift(twice, start, 2, &distance, &cosine);
    assert_near(distance, 1);
    assert_near(cosine, 1);
    qg_measure_drift(twice, partly, 2, &distance, &cosine); /* 8 to 4 alone */
    assert_near(distance, 1);
    qg_measure_drift(twice, none, 2, &distance, &cosine);
    assert_true(isnan(distance) && isnan(cosine));
    qg_measure_drift(none, start, 2, &distance, &cosine);
    assert_true(distance == 1 && isnan(cosine));
    qg_measure_drift(twice, not_at_all, 2, &distance, &cosine);
    assert_true(isnan(distance) && isnan(cosine));
}

static void test_dormancy(void **state)
{
    (void)state;
    /* Four channels of two pixels, two states: means 10, 0.05, 0, -1 (a last layer's could be). */
    const qg_layer layer = {.kind = QG_CONV, .outputs = 4, .out_height = 1, .out_width = 2};
    const float features[] = {10, 10, 0.1F, 0, 0, 0, -1, -1, 10, 10, 0.1F, 0, 0, 0, -1, -1};
    double dormant, dead;
    qg_measure_dormancy(features, 2, &layer, &dormant, &dead);
    assert_near(dormant, 0.5); /* 0.05 / ((10 + 0.05 + 0 + 1) / 4) = 0.018 */
    assert_near(dead, 0.25);
    const float zeros[16] = {0};
    qg_measure_dormancy(zeros, 2, &layer, &dormant, &dead);
    assert_true(dormant == 1 && dead == 1);
}

static qg_network make_network(void)
{
    qg_architecture a;
    qg_network network;
    assert_int_equal(qg_architecture_make("[{\"linear\": 5}]", 3, 1, 1, 0, 2, &a, &error), QG_OK);
    assert_int_equal(qg_network_create(&a, &network, &error), QG_OK);
    return network;
}

/* Gradients of one direction g and noise of deviation `noise` in each of their numbers. */
static double noise_of(double noise, int count)
{
    qg_network network = make_network();
    const size_t parameters = qg_architecture_parameters(&network.architecture);
    qg_gradient_sums sums = {.sum = calloc(parameters, sizeof(double))};
    assert_non_null(sums.sum);
    qg_random random = qg_random_stream(3, "noise");
    double share = 0;
    for (int k = 0; k < count; k++) {
        for (size_t i = 0; i < parameters; i++) { /* uniform of deviation 1, plus the direction */
            const double draw = sqrt(12) * (qg_random_uniform(&random) - 0.5);
            network.parameters[i] = (float)(1 + noise * draw);
        }
        qg_gradient_sums_add(&sums, &network);
    }
    share = qg_gradient_noise(&sums, &network, 0);
    free(sums.sum);
    qg_network_free(&network);
    return share;
}

static void test_gradient_noise(void **state)
{
    (void)state;
    assert_near(noise_of(0, 8), 0);
    assert_true(isnan(noise_of(1, 1)));
    const double half = noise_of(1, 2000); /* as much noise as signal, in every number */
    assert_true(fabs(half - 0.5) < 0.01);
    assert_true(fabs(noise_of(1000, 2000) - 1) < 0.01);
    qg_network network = make_network();
    qg_gradient_sums sums = {.sum = calloc(64, sizeof(double))};
    qg_gradient_sums_add(&sums, &network);
    qg_gradient_sums_add(&sums, &network);
    assert_true(isnan(qg_gradient_noise(&sums, &network, 1))); /* no gradient at all */
    free(sums.sum);
    qg_network_free(&network);
}

static void test_update_size(void **state)
{
    (void)state;
    qg_network before = make_network(), after = make_network();
    qg_network_initialise(&before, 1);
    memcpy(after.parameters, before.parameters,
           qg_architecture_parameters(&before.architecture) * sizeof(float));
    assert_near(qg_update_size(&before, &after, 1), 0);
    for (size_t i = 0; i < qg_layer_parameters(&before.architecture.layers[1]); i++)
        after.weights[1][i] = before.weights[1][i] * 1.5F;
    assert_true(fabs(qg_update_size(&before, &after, 1) - 0.5) < 1e-6);
    assert_near(qg_update_size(&before, &after, 0), 0);
    qg_network_free(&before);
    qg_network_free(&after);
}

static void test_header(void **state)
{
    (void)state;
    char header[512] = "step,layer";
    for (int m = 0; m < QG_LAYER_COLUMNS; m++) {
        strcat(header, ",");
        strcat(header, qg_layer_measure_name((qg_layer_measure)m));
    }
    assert_string_equal(header, QG_LAYERS_HEADER);
    assert_string_equal(qg_layer_measure_name(QG_BASELINE_CKA), "baseline_cka");
    for (int m = 0; m < QG_LAYER_MEASURES; m++)
        assert_true(isnan(qg_layer_row_empty().values[m]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drift),          cmocka_unit_test(test_dormancy),
        cmocka_unit_test(test_gradient_noise), cmocka_unit_test(test_update_size),
        cmocka_unit_test(test_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
