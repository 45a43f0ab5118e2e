/* The safetensors reader against bad files of every kind, and the writer against the reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "network/safetensors.h"
#include "scratch.h"

#include <math.h>

static qg_error error;

/* Reads prefix + header + `data_size` zero bytes. */
static qg_tensors *parse_header(const char *header, size_t header_size, size_t data_size)
{
    const uint64_t prefix = header_size;
    uint8_t *file = calloc(1, 8 + header_size + data_size);
    assert_non_null(file);
    memcpy(file, &prefix, 8);
    memcpy(file + 8, header, header_size);
    qg_tensors *tensors;
    error = (qg_error){.code = QG_OK};
    const qg_status status =
        qg_tensors_parse("the/path", file, 8 + header_size + data_size, &tensors, &error);
    assert_int_equal(status, error.code);
    assert_true((status == QG_OK) == (tensors != NULL));
    if (status != QG_OK) assert_true(strncmp(error.message, "the/path: ", 10) == 0);
    return tensors;
}

static void accepts(const char *header, size_t data_size)
{
    qg_tensors *tensors = parse_header(header, strlen(header), data_size);
    if (!tensors) fail_msg("%s refused: %s", header, error.message);
    qg_tensors_free(tensors);
}

/* ... with this text in the message, so that it is refused for the right reason. */
static void refuses(const char *header, size_t data_size, const char *text)
{
    if (parse_header(header, strlen(header), data_size)) fail_msg("%s accepted", header);
    assert_int_equal(error.code, QG_ERROR_DATA);
    if (!strstr(error.message, text)) fail_msg("%s: '%s' lacks '%s'", header, error.message, text);
}

/* One tensor "a" with this dtype, shape and offsets. */
static void refuses_tensor(const char *dtype, const char *shape, const char *offsets,
                           size_t data_size, const char *text)
{
    char header[512];
    snprintf(header, sizeof header, "{\"a\":{\"dtype\":%s,\"shape\":%s,\"data_offsets\":%s}}",
             dtype, shape, offsets);
    refuses(header, data_size, text);
}

/* ---- Bad files ---- */

static void test_not_json(void **state)
{
    (void)state;
    refuses("", 0, "not a safetensors file");
    refuses(" {}", 0, "not a safetensors file");
    refuses("[]", 0, "not a safetensors file");
    refuses("{", 0, "header");
    refuses("{} x", 0, "header");
    refuses("{\"a\":}", 0, "header");
    refuses("{\"\xff\":{}}", 0, "header"); /* not UTF-8 */
    assert_null(parse_header("{}\0\0\0\0\0\0", 8, 0));
    assert_non_null(strstr(error.message, "filled up with 6 NUL bytes"));
    accepts("{}", 0);
    accepts("{}      ", 0);
}

static void test_deep_json(void **state)
{
    (void)state;
    enum { DEPTH = 1000000 };
    char *header = malloc(DEPTH + 6);
    assert_non_null(header);
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', DEPTH);
    header[DEPTH + 5] = 0;
    refuses(header, 0, "header");
    free(header);
}

static void test_header_size(void **state)
{
    (void)state;
    const uint64_t sizes[] = {3, 100000000, 100000001, INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *file = malloc(10);
        assert_non_null(file);
        memcpy(file, &sizes[i], 8);
        memcpy(file + 8, "{}", 2);
        qg_tensors *tensors;
        assert_int_equal(qg_tensors_parse("p", file, 10, &tensors, &error), QG_ERROR_DATA);
        if (!strstr(error.message, i < 2 ? "cut off" : "100 MB"))
            fail_msg("%zu: %s", i, error.message);
    }
}

static void test_entries(void **state)
{
    (void)state;
    refuses("{\"a\":1}", 0, "not described by an object");
    refuses("{\"a\":{}}", 0, "no dtype");
    refuses_tensor("7", "[1]", "[0,4]", 4, "no dtype");
    refuses_tensor("\"F17\"", "[2]", "[0,4]", 4, "'F17', which safetensors does not have");
    refuses_tensor("\"f32\"", "[1]", "[0,4]", 4, "'f32', which");
    refuses("{\"a\":{\"dtype\":\"F32\"}}", 0, "no shape");
    refuses_tensor("\"F32\"", "1", "[0,4]", 4, "no shape");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0, "data_offsets");
    accepts("{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1);
    accepts("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":null}}", 1);
}

/* Eight values of each type are as many bytes as one has bits. */
static void test_dtypes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int bits;
    } all[] = {{"BOOL", 8},    {"F4", 4},          {"F6_E2M3", 6},     {"F6_E3M2", 6},
               {"U8", 8},      {"I8", 8},          {"F8_E5M2", 8},     {"F8_E4M3", 8},
               {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
               {"U16", 16},    {"F16", 16},        {"BF16", 16},       {"I32", 32},
               {"U32", 32},    {"F32", 32},        {"C64", 64},        {"F64", 64},
               {"I64", 64},    {"U64", 64}};
    assert_int_equal(sizeof all / sizeof *all, QG_F4 + 1);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char header[256];
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"%s\",\"shape\":[2,4],\"data_offsets\":[0,%d]}}", all[i].name,
                 all[i].bits);
        qg_tensors *tensors = parse_header(header, strlen(header), (size_t)all[i].bits);
        if (!tensors) fail_msg("%s", error.message);
        assert_string_equal(qg_dtype_name(qg_tensors_at(tensors, 0)->dtype), all[i].name);
        assert_int_equal(qg_tensor_bytes(qg_tensors_at(tensors, 0)), all[i].bits);
        qg_tensors_free(tensors);
    }
    refuses_tensor("\"F4\"", "[3]", "[0,1]", 1, "3 values of F4 in 1 bytes"); /* not whole bytes */
    refuses_tensor("\"F4\"", "[3]", "[0,2]", 2, "3 values of F4 in 2 bytes");
    refuses_tensor("\"F6_E2M3\"", "[2]", "[0,2]", 2, "2 values of F6_E2M3 in 2 bytes");
    refuses_tensor("\"F4\"", "[9223372036854775807]", "[0,0]", 0, "values of F4");
}

static void test_shapes(void **state)
{
    (void)state;
    const char *not_sizes[] = {"[-1]", "[1.0]", "[1e0]", "[\"1\"]", "[null]", "[[1]]"};
    for (size_t i = 0; i < sizeof not_sizes / sizeof not_sizes[0]; i++)
        refuses_tensor("\"F32\"", not_sizes[i], "[0,4]", 4, "not a list of sizes");
    refuses_tensor("\"F32\"", "[9223372036854775808]", "[0,4]", 4, "header");
    refuses_tensor("\"F32\"", "[4294967296,4294967296]", "[0,0]", 0, "too large");
    refuses_tensor("\"F32\"", "[9223372036854775807,2,2]", "[0,0]", 0, "too large");
    refuses_tensor("\"I64\"", "[2305843009213693952]", "[0,0]", 0, "values of I64 in 0 bytes");
    refuses_tensor("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]", 1, "9 dimensions");
    refuses_tensor("\"F32\"", "[2]", "[0,4]", 4, "2 values of F32 in 4 bytes");
    accepts("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1);
}

static void test_offsets(void **state)
{
    (void)state;
    const char *not_sizes[] = {"1",         "[0]",          "[0,1,2]", "[0,\"1\"]",
                               "[0.0,1]",   "[0,1.0]",      "[-1,0]",  "[0,1e0]",
                               "{\"0\":0}", "[null,false]", "[]"};
    for (size_t i = 0; i < sizeof not_sizes / sizeof not_sizes[0]; i++)
        refuses_tensor("\"U8\"", "[1]", not_sizes[i], 1, "not two sizes");
    refuses_tensor("\"U8\"", "[1]", "[0,18446744073709551617]", 1, "header");
    refuses_tensor("\"U8\"", "[1]", "[1,0]", 1, "lies at bytes 1 to 0");
    refuses_tensor("\"U8\"", "[2]", "[0,2]", 1, "cut off");
    refuses_tensor("\"U8\"", "[1]", "[9223372036854775806,9223372036854775807]", 1, "cut off");
}

#define U8(name, size, offsets)                                                                    \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" size "],\"data_offsets\":[" offsets "]}"

static void test_coverage(void **state)
{
    (void)state;
    refuses("{}", 1, "1 bytes behind the last");
    refuses("{" U8("a", "2", "0,2") "}", 3, "1 bytes behind the last");
    refuses("{" U8("a", "2", "1,3") "}", 3, "'a' follows a hole");
    refuses("{" U8("a", "1", "0,1") "," U8("b", "1", "2,3") "}", 3, "'b' follows a hole");
    refuses("{" U8("a", "2", "0,2") "," U8("b", "2", "1,3") "}", 3, "'b' overlaps");
    refuses("{" U8("a", "3", "0,3") "," U8("b", "3", "0,3") "}", 3, "overlaps");
    refuses("{" U8("a", "3", "0,3") "," U8("b", "0", "1,1") "}", 3, "'b' overlaps");
    refuses("{" U8("a", "1", "0,1") "," U8("a", "1", "1,2") "}", 2, "duplicate");

    /* The order of the header is not that of the data. */
    const char *header =
        "{" U8("c", "3", "3,6") "," U8("b", "2", "1,3") "," U8("z", "0", "6,6") "," U8(
            "y", "0", "1,1") "," U8("a", "1", "0,1") "," U8("x", "5,0", "1,1") "}";
    qg_tensors *tensors = parse_header(header, strlen(header), 6);
    assert_non_null(tensors);
    const char *order[] = {"a", "y", "x", "b", "c", "z"};
    assert_int_equal(qg_tensors_count(tensors), 6);
    for (size_t i = 0; i < 6; i++) {
        const qg_tensor *tensor = qg_tensors_at(tensors, i);
        assert_string_equal(tensor->name, order[i]);
        assert_non_null(tensor->data);
        assert_int_equal((uintptr_t)tensor->data % 8, 0);
    }
    qg_tensors_free(tensors);
}

static void test_names(void **state)
{
    (void)state;
    refuses("{" U8("\\u001b[2J", "1", "0,1") "}", 1, "control characters");
    refuses("{" U8("a\\n", "1", "0,1") "}", 1, "control characters");
    refuses("{" U8("\\u007f", "1", "0,1") "}", 1, "control characters");
    refuses("{" U8("\\u009b", "1", "0,1") "}", 1, "control characters");
    refuses("{" U8("a\\u0000b", "1", "0,1") "}", 1, "header");
    accepts("{" U8("h\xc3\xa9 \\u00e9 \\ud83d\\ude00", "1", "0,1") "}", 1);

    /* A name longer than a message must not push the rest out of it. */
    char header[4096] = "{\"";
    memset(header + 2, 'n', 3000);
    strcpy(header + 3002, "\":{\"dtype\":\"F17\"}}");
    refuses(header, 0, "dtype 'F17'");
}

static void test_metadata(void **state)
{
    (void)state;
    refuses("{\"__metadata__\":1}", 0, "not an object");
    refuses("{\"__metadata__\":{\"a\":1}}", 0, "not a string");
    refuses("{\"__metadata__\":{\"a\":null}}", 0, "not a string");
    refuses("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate");
    refuses("{\"__metadata__\":{\"a\":\"\\u0000\"}}", 0, "header");
    refuses("{\"__metadata__\":{\"\\u001b\":\"1\"}}", 0, "control characters");
    refuses("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate");

    const char *header = "{\"__metadata__\":{\"z\":\"1\\n2\",\"a\":\"\"}}";
    qg_tensors *tensors = parse_header(header, strlen(header), 0);
    assert_non_null(tensors);
    assert_int_equal(qg_tensors_count(tensors), 0);
    assert_string_equal(qg_tensors_metadata(tensors, "z"), "1\n2");
    assert_string_equal(qg_tensors_metadata(tensors, "a"), "");
    assert_null(qg_tensors_metadata(tensors, "b"));
    assert_string_equal(qg_tensors_next_key(tensors, NULL), "z");
    assert_string_equal(qg_tensors_next_key(tensors, qg_tensors_next_key(tensors, NULL)), "a");
    assert_null(qg_tensors_next_key(
        tensors, qg_tensors_next_key(tensors, qg_tensors_next_key(tensors, NULL))));
    qg_tensors_free(tensors);
}

static void test_load_names_the_path(void **state)
{
    (void)state;
    qg_tensors *tensors;
    const char *none = scratch_path("none");
    assert_int_equal(qg_tensors_load(none, &tensors, &error), QG_ERROR_IO);
    assert_null(tensors);
    assert_true(strncmp(error.message, none, strlen(none)) == 0);
    const char *text = scratch_path("text");
    scratch_write(text, "hello, this is no safetensors file", 34);
    assert_int_equal(qg_tensors_load(text, &tensors, &error), QG_ERROR_DATA);
    assert_true(strncmp(error.message, text, strlen(text)) == 0);
    assert_int_equal(qg_tensors_load(scratch, &tensors, &error), QG_ERROR_IO);
}

/* ---- Round trip ---- */

static const float weights[6] = {0, -0.0f, 1.5f, 1e-40f, 3e38f, -2};
static const uint8_t bytes[3] = {0, 1, 255};
static const int64_t steps[1] = {INT64_MIN};

/* The U8 tensor in the middle makes the F32 and I64 tensors behind it lie unaligned. */
static qg_tensors *example(void)
{
    qg_tensors *tensors = qg_tensors_new();
    assert_non_null(tensors);
    const size_t three = 3, none[2] = {4, 0}, two_three[2] = {2, 3};
    assert_int_equal(qg_tensors_set_metadata(tensors, "format", "old", &error), QG_OK);
    assert_int_equal(qg_tensors_set_metadata(tensors, "text", "a \"b\"\n\xc3\xa9", &error), QG_OK);
    assert_int_equal(qg_tensors_set_metadata(tensors, "format", "qgraft", &error), QG_OK);
    assert_int_equal(qg_tensors_add(tensors, "bytes", QG_U8, 1, &three, bytes, &error), QG_OK);
    assert_int_equal(qg_tensors_add(tensors, "none", QG_F32, 2, none, NULL, &error), QG_OK);
    assert_int_equal(qg_tensors_add(tensors, "conv/weight", QG_F32, 2, two_three, weights, &error),
                     QG_OK);
    assert_int_equal(qg_tensors_add(tensors, "step", QG_I64, 0, NULL, steps, &error), QG_OK);
    return tensors;
}

static void assert_same_tensor(const qg_tensors *tensors, size_t index, const char *name,
                               qg_dtype dtype, int rank, const void *data, size_t size)
{
    const qg_tensor *tensor = qg_tensors_at(tensors, index);
    assert_string_equal(tensor->name, name);
    assert_ptr_equal(qg_tensors_find(tensors, name), tensor);
    assert_int_equal(tensor->dtype, dtype);
    assert_int_equal(tensor->rank, rank);
    assert_int_equal(qg_tensor_bytes(tensor), size);
    assert_int_equal((uintptr_t)tensor->data % 8, 0);
    assert_memory_equal(tensor->data, data, size);
}

static void test_round_trip(void **state)
{
    (void)state;
    const char *path = scratch_path("a.safetensors");
    qg_tensors *written = example(), *tensors;
    assert_int_equal(qg_tensors_save(written, path, &error), QG_OK);
    qg_tensors_free(written);
    assert_int_equal(qg_tensors_load(path, &tensors, &error), QG_OK);
    assert_int_equal(qg_tensors_count(tensors), 4);
    assert_same_tensor(tensors, 0, "bytes", QG_U8, 1, bytes, sizeof bytes);
    assert_same_tensor(tensors, 1, "none", QG_F32, 2, "", 0);
    assert_same_tensor(tensors, 2, "conv/weight", QG_F32, 2, weights, sizeof weights);
    assert_same_tensor(tensors, 3, "step", QG_I64, 0, steps, sizeof steps);
    assert_null(qg_tensors_find(tensors, "other"));
    assert_string_equal(qg_tensors_metadata(tensors, "format"), "qgraft");
    assert_string_equal(qg_tensors_metadata(tensors, "text"), "a \"b\"\n\xc3\xa9");
    assert_string_equal(qg_tensors_next_key(tensors, NULL), "format");

    /* What was read can be written again, to the same bytes, and over its own file. */
    char before[65], after[65];
    assert_int_equal(qg_sha256_file(path, before, &error), QG_OK);
    assert_int_equal(qg_tensors_save(tensors, path, &error), QG_OK);
    qg_tensors_free(tensors);
    assert_int_equal(qg_sha256_file(path, after, &error), QG_OK);
    assert_string_equal(before, after);
}

static void test_bytes(void **state)
{
    (void)state;
    const char *path = scratch_path("a.safetensors");
    const size_t shape[] = {2, 1};
    const float values[] = {1, 2};
    qg_tensors *tensors = qg_tensors_new();
    assert_int_equal(qg_tensors_add(tensors, "w", QG_F32, 2, shape, values, &error), QG_OK);
    assert_int_equal(qg_tensors_set_metadata(tensors, "k", "v", &error), QG_OK);
    assert_int_equal(qg_tensors_save(tensors, path, &error), QG_OK);
    qg_tensors_free(tensors);

    static const char expected[] =
        "\x58\0\0\0\0\0\0\0"
        "{\"__metadata__\":{\"k\":\"v\"},\"w\":{\"dtype\":\"F32\",\"shape\":[2,1],"
        "\"data_offsets\":[0,8]}}       "
        "\0\0\x80\x3f\0\0\0\x40";
    uint8_t *data;
    size_t size;
    assert_int_equal(qg_file_read(path, 1 << 20, &data, &size, &error), QG_OK);
    assert_int_equal(size, sizeof expected - 1);
    assert_memory_equal(data, expected, size);
    free(data);
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    const char *path = scratch_path("a.safetensors");
    qg_tensors *written = example();
    assert_int_equal(qg_tensors_save(written, path, &error), QG_OK);
    qg_tensors_free(written);
    uint8_t *file;
    size_t size;
    assert_int_equal(qg_file_read(path, 1 << 20, &file, &size, &error), QG_OK);
    for (size_t n = 0; n <= size; n++) {
        uint8_t *part = malloc(n ? n : 1); /* of its own, so that a sanitizer sees a byte too far */
        assert_non_null(part);
        memcpy(part, file, n);
        qg_tensors *tensors;
        const qg_status status = qg_tensors_parse("cut", part, n, &tensors, &error);
        assert_int_equal(status, n < size ? QG_ERROR_DATA : QG_OK);
        if (n < size) assert_true(strncmp(error.message, "cut: ", 5) == 0);
        qg_tensors_free(tensors);
    }
    free(file);
}

/* ---- Requirements and failures ---- */

static void test_require(void **state)
{
    (void)state;
    qg_tensors *tensors = example();
    const qg_tensor *tensor;
    const size_t exact[] = {2, 3}, any[] = {0, 3}, other[] = {0, 4};
    const char *w = "conv/weight";
    assert_int_equal(qg_tensors_require(tensors, "p", w, QG_F32, 2, exact, &tensor, &error), QG_OK);
    assert_ptr_equal(tensor->data, weights);
    assert_int_equal(qg_tensors_require(tensors, "p", w, QG_F32, 2, any, &tensor, &error), QG_OK);
    assert_int_equal(qg_tensors_require(tensors, "p", "step", QG_I64, 0, NULL, &tensor, &error),
                     QG_OK);

    assert_int_equal(qg_tensors_require(tensors, "p", w, QG_F32, 2, other, &tensor, &error),
                     QG_ERROR_DATA);
    assert_null(tensor);
    assert_string_equal(error.message,
                        "p: tensor 'conv/weight' is F32 [2, 3], but should be F32 [any, 4]");
    assert_int_equal(qg_tensors_require(tensors, "p", w, QG_F32, 1, exact, &tensor, &error),
                     QG_ERROR_DATA);
    assert_int_equal(qg_tensors_require(tensors, "p", w, QG_U8, 2, exact, &tensor, &error),
                     QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "should be U8 [2, 3]"));
    assert_int_equal(qg_tensors_require(tensors, "p", "x", QG_F32, 2, exact, &tensor, &error),
                     QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "p: has no tensor 'x'"));

    const float odd[3][2] = {{0, NAN}, {0, INFINITY}, {-INFINITY, 0}};
    const size_t two = 2;
    const char *names[3] = {"nan", "inf", "-inf"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(qg_tensors_add(tensors, names[i], QG_F32, 1, &two, odd[i], &error), QG_OK);
        assert_int_equal(
            qg_tensors_require(tensors, "p", names[i], QG_F32, 1, &two, &tensor, &error),
            QG_ERROR_DATA);
        assert_non_null(strstr(error.message, "not a finite number"));
    }
    qg_tensors_free(tensors);
}

static void test_metadata_that_is_not_utf8(void **state)
{
    (void)state;
    qg_tensors *tensors = qg_tensors_new();
    assert_int_equal(qg_tensors_set_metadata(tensors, "parent", "caf\xe9", &error), QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "parent"));
    assert_null(qg_tensors_next_key(tensors, NULL));
    qg_tensors_free(tensors);
}

static void test_save_failures(void **state)
{
    (void)state;
    qg_tensors *tensors = example();
    const char *path = scratch_path("a.safetensors"), *far = scratch_path("none/a");
    assert_int_equal(qg_tensors_save(tensors, path, &error), QG_OK);
    char before[65], after[65];
    assert_int_equal(qg_sha256_file(path, before, &error), QG_OK);
    assert_int_equal(qg_tensors_set_metadata(tensors, "more", "more", &error), QG_OK);

    /* At every byte of the file the disk may be full; the old file stays. */
    for (rlim_t limit = 0; limit < 300; limit += 7) {
        scratch_limit(limit);
        const qg_status status = qg_tensors_save(tensors, path, &error);
        scratch_limit(RLIM_INFINITY);
        assert_int_equal(status, QG_ERROR_IO);
        assert_true(strncmp(error.message, path, strlen(path)) == 0);
        assert_int_equal(qg_sha256_file(path, after, &error), QG_OK);
        assert_string_equal(before, after);
    }
    assert_int_equal(qg_tensors_save(tensors, far, &error), QG_ERROR_IO);
    assert_true(strncmp(error.message, far, strlen(far)) == 0);
    qg_tensors_free(tensors);
    qg_tensors_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_not_json),
        TEST(test_deep_json),
        TEST(test_header_size),
        TEST(test_entries),
        TEST(test_dtypes),
        TEST(test_shapes),
        TEST(test_offsets),
        TEST(test_coverage),
        TEST(test_names),
        TEST(test_metadata),
        TEST(test_load_names_the_path),
        TEST(test_round_trip),
        TEST(test_bytes),
        TEST(test_cut_anywhere),
        TEST(test_require),
        TEST(test_metadata_that_is_not_utf8),
        TEST(test_save_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
