/* The SHA-256 of a network: of what it computes with, and of nothing else. */
#include <qgraft/network.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TINY "[{\"conv\": 1, \"kernel\": 2, \"stride\": 2, \"padding\": 1}, {\"linear\": 2}]"

static qg_error error;

/* Parameter i is i - 3.5. */
static qg_network make(const char *text, int channels, int side, int input_max, int actions)
{
    qg_architecture a;
    qg_network network;
    if (qg_architecture_make(text, channels, side, side, input_max, actions, &a, &error) ||
        qg_network_create(&a, &network, &error))
        fail_msg("%s", error.message);
    const size_t count = qg_architecture_parameters(&a);
    for (size_t i = 0; i < count; i++)
        network.parameters[i] = (float)i - 3.5f;
    return network;
}

static void hash(const char *text, int channels, int side, int input_max, int actions, char hex[65])
{
    qg_network network = make(text, channels, side, input_max, actions);
    qg_network_sha256(&network, hex);
    qg_network_free(&network);
}

/* hashlib.sha256(b"input 2 4 4 1\nconv 1 2 2 1\nlinear 2\nlinear 3\n" +
 *                (numpy.arange(38, dtype="<f4") - 3.5).tobytes()).hexdigest() */
static void test_a_known_sum(void **state)
{
    (void)state;
    char hex[65];
    hash(TINY, 2, 4, 1, 3, hex);
    assert_string_equal(hex, "acfc0298a30dd0a3bc64d2b0cc184ad8c656eaade6e77bef37442d6e64c99f12");
}

static void test_what_it_depends_on(void **state)
{
    (void)state;
    char first[65], other[65];
    hash(TINY, 2, 4, 1, 3, first);
    hash(TINY, 2, 4, 255, 3, other);
    assert_string_not_equal(first, other);
    hash(TINY, 2, 5, 1, 3, other); /* with the padding it has as many outputs and parameters */
    assert_string_not_equal(first, other);
    hash(TINY, 2, 4, 1, 4, other);
    assert_string_not_equal(first, other);

    hash("[{\"linear\": 6}]", 2, 4, 1, 3, first);
    hash("[{\"linear\": 6, \"norm\": true}]", 2, 4, 1, 3, other); /* of as many parameters */
    assert_string_not_equal(first, other);
    hash("[{\"dueling\": 3}]", 2, 4, 1, 3, other);
    assert_string_not_equal(first, other);
    hash(TINY, 2, 4, 1, 3, first);
    qg_network network = make(TINY, 2, 4, 1, 3);
    const size_t count = qg_architecture_parameters(&network.architecture);
    for (size_t i = 0; i < count; i++) { /* one bit, also that of zero's sign */
        uint32_t bits;
        memcpy(&bits, &network.parameters[i], sizeof bits);
        bits ^= i % 2 ? 1 : 0x80000000;
        memcpy(&network.parameters[i], &bits, sizeof bits);
        qg_network_sha256(&network, other);
        assert_string_not_equal(first, other);
        bits ^= i % 2 ? 1 : 0x80000000;
        memcpy(&network.parameters[i], &bits, sizeof bits);
    }
    qg_network_sha256(&network, other);
    assert_string_equal(first, other);
    qg_network_free(&network);
}

static void test_words_do_not_matter(void **state)
{
    (void)state;
    char preset[65], list[65], parts[65];
    hash("grid", 10, 10, 1, 3, preset);
    hash("[{\"conv\": 16, \"kernel\": 3}, {\"conv\": 16, \"kernel\": 3, \"stride\": 1}, "
         "{\"conv\": 16, \"kernel\": 3, \"padding\": 0}, {\"linear\": 128}]",
         10, 10, 1, 3, list);
    hash("[{\"conv\": 16, \"kernel\": 3, \"part\": \"a\"}, {\"conv\": 16, \"kernel\": 3, "
         "\"part\": \"a\"}, {\"conv\": 16, \"kernel\": 3, \"part\": \"a\"}, {\"linear\": 128, "
         "\"part\": \"b\"}]",
         10, 10, 1, 3, parts);
    assert_string_equal(preset, list);
    assert_string_equal(preset, parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_known_sum),
        cmocka_unit_test(test_what_it_depends_on),
        cmocka_unit_test(test_words_do_not_matter),
    };
    return cmocka_run_group_tests_name("network_hash", tests, NULL, NULL);
}
