/* Screens as bits: the order of the bits, and that every screen comes back. */
#include "agent/bits.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_the_first_value_is_the_lowest_bit(void **state)
{
    (void)state;
    const uint8_t values[10] = {1, 0, 0, 255, 0, 0, 0, 2, 0, 1};
    uint8_t bits[3] = {0xaa, 0xaa, 0xaa};
    qg_bits_pack(values, 10, bits);
    assert_int_equal(bits[0], 0x89);
    assert_int_equal(bits[1], 0x02);
    assert_int_equal(bits[2], 0xaa); /* not of these values */
}

static void test_every_screen_comes_back(void **state)
{
    (void)state;
    enum { MOST = 100 };
    qg_random random = qg_random_stream(1, "bits");
    for (size_t count = 0; count <= MOST; count++) {
        uint8_t values[MOST], bits[(MOST + 7) / 8], back[MOST + 7];
        for (size_t i = 0; i < count; i++)
            values[i] = (uint8_t)qg_random_below(&random, 2);
        qg_bits_pack(values, count, bits);
        qg_bits_unpack(bits, count, back);
        assert_memory_equal(back, values, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_value_is_the_lowest_bit),
        cmocka_unit_test(test_every_screen_comes_back),
    };
    return cmocka_run_group_tests_name("bits", tests, NULL, NULL);
}
