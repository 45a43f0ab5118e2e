/* What the beginnings of files are taken for, and what is said of them. */
#include "base/file_kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ZIP(length, name) "PK\3\4\24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" length "\0\0\0" name
#define FILE_OF(text)     text, sizeof(text) - 1
#define PICKLED_BY_TORCH  "\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19."

static const struct {
    const char *bytes;
    size_t size;
    qg_file_kind kind;
} beginnings[] = {
    {FILE_OF(""), QG_FILE_EMPTY},
    {FILE_OF("\0"), QG_FILE_NULS},
    {FILE_OF("\0\0\0\0\0\0\0\0\0\0\0\0"), QG_FILE_NULS},
    {FILE_OF("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"), QG_FILE_LFS},
    {FILE_OF("version https://git-lfs.github.com/"), QG_FILE_TEXT}, /* cut off before it is sure */
    {FILE_OF("<!DOCTYPE html>"), QG_FILE_PAGE},
    {FILE_OF("\r\n \t<HTML lang=en>"), QG_FILE_PAGE},
    {FILE_OF("\xef\xbb\xbf<?xml version=\"1.0\"?>"), QG_FILE_PAGE},
    {FILE_OF("<htm"), QG_FILE_TEXT},
    {FILE_OF(ZIP("\4", "data")), QG_FILE_SB3},
    {FILE_OF(ZIP("\5", "data/")), QG_FILE_ZIP},
    {FILE_OF(ZIP("\12", "policy.pth")), QG_FILE_SB3},
    {FILE_OF(ZIP("\20", "archive/data.pkl")), QG_FILE_TORCH_ZIP},
    {FILE_OF(ZIP("\5", "x.npy")), QG_FILE_NPZ},
    {FILE_OF(ZIP("\6", "README")), QG_FILE_ZIP},
    {FILE_OF(ZIP("\xff", "data")), QG_FILE_ZIP}, /* the name is cut off */
    {FILE_OF("PK\3\4"), QG_FILE_ZIP},
    {FILE_OF("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), QG_FILE_ZIP}, /* holds nothing */
    {FILE_OF("PK"), QG_FILE_TEXT},
    {FILE_OF("\x80\2" PICKLED_BY_TORCH), QG_FILE_TORCH},
    {FILE_OF("\x80\4\x95\xd\0\0\0\0\0\0\0" PICKLED_BY_TORCH), QG_FILE_TORCH},
    {FILE_OF("\x80\4\x95\x5\0\0\0\0\0\0\0}\x94."), QG_FILE_PICKLE},
    {FILE_OF("\x80\2"), QG_FILE_PICKLE},
    {FILE_OF("\x80\1\1"), QG_FILE_OTHER}, /* no such protocol */
    {FILE_OF("\x93NUMPY\1\0"), QG_FILE_NPY},
    {FILE_OF("\x89HDF\r\n\x1a\n"), QG_FILE_HDF5},
    {FILE_OF("\3\0\0\0\1\0\0\0\5\0\0\0"), QG_FILE_TORCH7},
    {FILE_OF("\4\0\0\0\1\0\0\0\3\0\0\0V 1"), QG_FILE_TORCH7},
    {FILE_OF("\x1f\x8b\x08\0\0\0\0\0\0\3"), QG_FILE_PACKED},
    {FILE_OF("\xfd"
             "7zXZ\0"),
     QG_FILE_PACKED},
    {FILE_OF("(\xb5/\xfd\4"), QG_FILE_PACKED},
    {FILE_OF("\2\0\0\0\0\0\0\0{}"), QG_FILE_SAFETENSORS},
    {FILE_OF("\0\1\0\0\0\0\0\0{\"__metadata__\":{"), QG_FILE_SAFETENSORS},
    {FILE_OF("\0\0\0\0\0\0\0\1{\""), QG_FILE_OTHER}, /* no header is so long */
    {FILE_OF("qgraft state\n\0\0\0"), QG_FILE_CHECKPOINT},
    {FILE_OF("qgraft samples\n\0"), QG_FILE_SAMPLES},
    {FILE_OF("qgraft replay\n\0\0"), QG_FILE_REPLAY},
    {FILE_OF("\x7f"
             "ELF\2\1"),
     QG_FILE_PROGRAM},
    {FILE_OF("MZ\x90\0\3\0"), QG_FILE_OTHERS_PROGRAM},
    {FILE_OF("\xcf\xfa\xed\xfe\7"), QG_FILE_OTHERS_PROGRAM},
    {FILE_OF("!<arch>\nx.o/"), QG_FILE_ARCHIVE},
    {FILE_OF("\xff\xfes\0t\0"), QG_FILE_UTF16},
    {FILE_OF("\xef\xbb\xbfstep"), QG_FILE_MARKED_TEXT},
    {FILE_OF("study: h\xc3\xa9\n"), QG_FILE_TEXT},
    {FILE_OF("caf\xe9\n"), QG_FILE_OTHER}, /* Latin-1 */
    {FILE_OF("\xff\xff\xff"), QG_FILE_OTHER},
    {FILE_OF("\xe9\x9b"), QG_FILE_TEXT}, /* cut off in the middle of a character */
    {FILE_OF("step,score\n1,2\n\0\0"), QG_FILE_OTHER},
};

/* Each of the files, in memory that ends where it ends. */
static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        const size_t size = beginnings[i].size;
        char *bytes = malloc(size + (size == 0));
        assert_non_null(bytes);
        memcpy(bytes, beginnings[i].bytes, size);
        const qg_file_kind kind = qg_file_kind_of(bytes, size);
        if (kind != beginnings[i].kind)
            fail_msg("file %zu is %s, not %s", i, qg_file_kind_name(kind),
                     qg_file_kind_name(beginnings[i].kind));
        for (size_t part = 0; part < size; part++) /* cut off anywhere */
            assert_true(qg_file_kind_name(qg_file_kind_of(bytes + size - part, part)) != NULL);
        free(bytes);
    }
}

static void test_tar(void **state)
{
    (void)state;
    char bytes[QG_FILE_KIND_BYTES] = "name";
    memcpy(bytes + 257, "ustar", 5);
    assert_int_equal(qg_file_kind_of(bytes, sizeof bytes), QG_FILE_PACKED);
    assert_int_equal(qg_file_kind_of(bytes, 261), QG_FILE_OTHER);
}

/* Only the beginning counts. */
static void test_long_files(void **state)
{
    (void)state;
    enum { SIZE = 4096 };
    char *bytes = calloc(1, SIZE);
    assert_non_null(bytes);
    bytes[SIZE - 1] = 1;
    assert_int_equal(qg_file_kind_of(bytes, SIZE), QG_FILE_NULS);
    memset(bytes, 'x', QG_FILE_KIND_BYTES);
    assert_int_equal(qg_file_kind_of(bytes, SIZE), QG_FILE_TEXT);
    free(bytes);
}

static void test_text(void **state)
{
    (void)state;
    assert_true(qg_file_kind_is_text(QG_FILE_UTF16) && !qg_file_kind_is_plain(QG_FILE_UTF16));
    assert_true(qg_file_kind_is_text(QG_FILE_TEXT) && qg_file_kind_is_plain(QG_FILE_TEXT));
    assert_true(!qg_file_kind_is_text(QG_FILE_PAGE) && !qg_file_kind_is_plain(QG_FILE_LFS));
    assert_true(qg_file_kind_is_plain(QG_FILE_OTHER) && qg_file_kind_is_plain(QG_FILE_EMPTY));
}

/* Every hint is whole behind a path of 200 bytes. */
static void test_messages(void **state)
{
    (void)state;
    char path[256];
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    for (int kind = QG_FILE_OTHER; kind <= QG_FILE_TEXT; kind++) {
        const char *const hints[] = {qg_file_kind_mend(kind), qg_file_kind_to_tensors(kind)};
        for (size_t h = 0; h < 2; h++) {
            qg_error error;
            assert_int_equal(
                qg_fail_kind(&error, QG_ERROR_DATA, path, "a safetensors file", kind, hints[h]),
                QG_ERROR_DATA);
            assert_memory_equal(error.message, path, 200);
            assert_non_null(strstr(error.message, ": not a safetensors file, but "));
            assert_non_null(strstr(error.message, qg_file_kind_name(kind)));
            if (hints[h])
                assert_string_equal(error.message + strlen(error.message) - strlen(hints[h]),
                                    hints[h]);
        }
    }
    qg_error error;
    qg_fail_kind(&error, QG_ERROR_USAGE, "a", "YAML", QG_FILE_LFS, "x");
    assert_int_equal(error.code, QG_ERROR_USAGE);
    assert_string_equal(error.message, "a: not YAML, but a Git LFS pointer to it: x");
    qg_fail_kind(&error, QG_ERROR_USAGE, "a", "YAML", QG_FILE_PICKLE, NULL);
    assert_string_equal(error.message, "a: not YAML, but a pickle of Python");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),      cmocka_unit_test(test_tar),
        cmocka_unit_test(test_long_files), cmocka_unit_test(test_text),
        cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests_name("file_kind", tests, NULL, NULL);
}
