/* Every F16 and BF16 there is as float32, and F64 rounded, against what the formats say. */
#include "network/tensor_floats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static qg_error error;

/* `count` values as one tensor, read as float32. */
static qg_status read_as_float32(qg_dtype dtype, const void *data, size_t count, float *values,
                                 qg_rounding *rounding)
{
    *rounding = (qg_rounding){0};
    qg_tensors *tensors = qg_tensors_new();
    assert_non_null(tensors);
    assert_int_equal(qg_tensors_add(tensors, "x", dtype, 1, &count, data, &error), QG_OK);
    const qg_status status =
        qg_tensors_read_floats(tensors, "path", "x", 1, &count, values, rounding, &error);
    qg_tensors_free(tensors);
    return status;
}

/* The value of sign, exponent and fraction of a binary format, as IEEE 754 has it. */
static double by_the_format(unsigned bits, int exponent_bits, int fraction_bits)
{
    const int bias = (1 << (exponent_bits - 1)) - 1, all_ones = (1 << exponent_bits) - 1;
    const int exponent = (int)(bits >> fraction_bits) & all_ones;
    const double fraction =
        (double)(bits & ((1u << fraction_bits) - 1)) / (double)(1u << fraction_bits);
    const double sign = bits >> (exponent_bits + fraction_bits) ? -1 : 1;
    if (exponent == all_ones) return fraction > 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * fraction * pow(2, 1 - bias);
    return sign * (1 + fraction) * pow(2, exponent - bias);
}

static void check_all(qg_dtype dtype, int exponent_bits, int fraction_bits)
{
    int refused = 0;
    for (unsigned bits = 0; bits < 65536; bits++) {
        const uint16_t half = (uint16_t)bits;
        const double expected = by_the_format(bits, exponent_bits, fraction_bits);
        float value;
        qg_rounding rounding;
        const qg_status status = read_as_float32(dtype, &half, 1, &value, &rounding);
        assert_int_equal(status, isfinite(expected) ? QG_OK : QG_ERROR_DATA);
        assert_int_equal(rounding.values, 0);
        if (status) {
            assert_non_null(strstr(error.message, "not a finite number"));
            refused++;
        } else if ((double)value != expected || !signbit(value) != !signbit(expected)) {
            fail_msg("%04x is %a, not %a", bits, (double)value, expected);
        }
    }
    assert_int_equal(refused, 2 << fraction_bits);
}

static void test_all_of_f16(void **state)
{
    (void)state;
    check_all(QG_F16, 5, 10);
}

static void test_all_of_bf16(void **state)
{
    (void)state;
    check_all(QG_BF16, 8, 7);
}

static void test_float32_is_kept(void **state)
{
    (void)state;
    const float in[] = {0, -0.0f, 0.1f, 1e-45f, -3.40282347e38f};
    float out[5];
    qg_rounding rounding;
    assert_int_equal(read_as_float32(QG_F32, in, 5, out, &rounding), QG_OK);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(rounding.values, 0);
}

static void test_f64_is_rounded(void **state)
{
    (void)state;
    const double in[] = {0.5, 0.1, 1 + 0x1p-24, 1 + 0x1.8p-23, -0.0, 1e-50, 0x1.fffffefffffffp127};
    const float expected[] = {0.5f, 0.1f, 1, 1 + 0x1p-22f, -0.0f, 0, 0x1.fffffep127f};
    float out[7];
    qg_rounding rounding;
    assert_int_equal(read_as_float32(QG_F64, in, 7, out, &rounding), QG_OK);
    assert_memory_equal(out, expected, sizeof out);
    assert_int_equal(rounding.values, 7);
    assert_int_equal(rounding.changed, 5);

    const double bad[][2] = {{1, 1e39}, {1, -INFINITY}, {1, NAN}, {1, 0x1.ffffffp127}};
    const char *const why[] = {"value 1 of tensor 'x' is 1e+39, too large for float32",
                               "is -inf, not a finite number", "nan, not a finite number",
                               "too large for float32"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(read_as_float32(QG_F64, bad[i], 2, out, &rounding), QG_ERROR_DATA);
        if (!strstr(error.message, why[i])) fail_msg("'%s' lacks '%s'", error.message, why[i]);
    }
}

static void test_others_are_refused(void **state)
{
    (void)state;
    const int64_t in = 0;
    float out;
    qg_rounding rounding;
    for (qg_dtype dtype = QG_F32; dtype <= QG_I32; dtype++) {
        const bool is_float =
            dtype == QG_F32 || dtype == QG_F16 || dtype == QG_BF16 || dtype == QG_F64;
        const qg_status status = read_as_float32(dtype, &in, 1, &out, &rounding);
        assert_int_equal(status, is_float ? QG_OK : QG_ERROR_DATA);
        if (status) assert_non_null(strstr(error.message, "but should be F32 [1]"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_f16),         cmocka_unit_test(test_all_of_bf16),
        cmocka_unit_test(test_float32_is_kept),    cmocka_unit_test(test_f64_is_rounded),
        cmocka_unit_test(test_others_are_refused),
    };
    return cmocka_run_group_tests_name("tensor_floats", tests, NULL, NULL);
}
