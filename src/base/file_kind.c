#include "base/file_kind.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define IN_PYTHON "in Python, then `import`: "
#define BY_TORCH                                                                                   \
    IN_PYTHON "import torch; from safetensors.torch import save_file; "                            \
              "save_file(torch.load(\"FILE\", map_location=\"cpu\"), \"FILE.safetensors\")"
#define BY_NUMPY "in Python: import numpy; from safetensors.numpy import save_file; save_file("
#define BY_HAND  "save its arrays as safetensors with Python (docs/files.md)"

static const struct {
    const char *name;
    const char *mend;    /* for whoever wanted anything else */
    const char *tensors; /* for whoever wanted safetensors */
} kinds[] = {
    [QG_FILE_OTHER] = {"something else", NULL, NULL},
    [QG_FILE_EMPTY] = {"an empty file", "copy or make it again", NULL},
    [QG_FILE_NULS] = {"NUL bytes, as a crash leaves them", "copy or make it again", NULL},
    [QG_FILE_LFS] = {"a Git LFS pointer to it",
                     "run 'git lfs install' and 'git lfs pull' in its repository", NULL},
    [QG_FILE_PAGE] = {"a page of HTML or XML", "download the file itself, not the page about it",
                      NULL},
    [QG_FILE_SB3] = {"a zip file of Stable-Baselines3", NULL,
                     IN_PYTHON
                     "from stable_baselines3 import DQN; from safetensors.torch import save_file; "
                     "save_file(DQN.load(\"FILE\").policy.state_dict(), \"FILE.safetensors\")"},
    [QG_FILE_TORCH] = {"a pickle of PyTorch", NULL, BY_TORCH},
    [QG_FILE_TORCH_ZIP] = {"a zip file of PyTorch", NULL, BY_TORCH},
    [QG_FILE_TORCH7] = {"a file of Torch7", NULL, "'qgraft import' makes a network file of it"},
    [QG_FILE_PICKLE] = {"a pickle of Python", NULL, BY_HAND},
    [QG_FILE_NPZ] = {"a zip file of numpy", NULL,
                     BY_NUMPY "{k: numpy.ascontiguousarray(v) for k, v in "
                              "numpy.load(\"FILE\").items()}, \"FILE.safetensors\")"},
    [QG_FILE_NPY] = {"an array of numpy", NULL,
                     BY_NUMPY "{\"NAME\": numpy.ascontiguousarray(numpy.load(\"FILE\"))}, "
                              "\"FILE.safetensors\")"},
    [QG_FILE_HDF5] = {"an HDF5 file", NULL, BY_HAND},
    [QG_FILE_ZIP] = {"a zip archive", "unpack it", NULL},
    [QG_FILE_PACKED] = {"a compressed file or archive", "unpack it", NULL},
    [QG_FILE_SAFETENSORS] = {"a safetensors file", NULL, NULL},
    [QG_FILE_CHECKPOINT] = {"a checkpoint of qgraft",
                            "the networks beside it are best.safetensors and last.safetensors",
                            NULL},
    [QG_FILE_SAMPLES] = {"a sample set of qgraft", NULL, NULL},
    [QG_FILE_REPLAY] = {"a replay memory of qgraft", "`replay` reads it", NULL},
    [QG_FILE_PROGRAM] = {"a program or library", NULL, NULL},
    [QG_FILE_OTHERS_PROGRAM] = {"a program or library of Windows or macOS", NULL, NULL},
    [QG_FILE_ARCHIVE] = {"a static library", NULL, NULL},
    [QG_FILE_UTF16] = {"text in UTF-16, not UTF-8", NULL, NULL},
    [QG_FILE_MARKED_TEXT] = {"text with a byte order mark (BOM) before it", NULL, NULL},
    [QG_FILE_TEXT] = {"a text file", NULL, NULL},
};

/* What stands at one place of a file and says what it is. */
static const struct {
    const char *bytes;
    size_t size, offset;
    qg_file_kind kind;
} signatures[] = {
#define AT(offset, bytes, kind)                                                                    \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, offset, kind                                                     \
    }
    AT(0, "version https://git-lfs.github.com/spec/", QG_FILE_LFS),
    AT(0, "\x93NUMPY", QG_FILE_NPY),
    AT(0, "\x89HDF\r\n\x1a\n", QG_FILE_HDF5),
    AT(0, "\x1f\x8b", QG_FILE_PACKED),           /* gzip */
    AT(0, "\xfd\x37zXZ\0", QG_FILE_PACKED),      /* xz */
    AT(0, "\x28\xb5\x2f\xfd", QG_FILE_PACKED),   /* zstd */
    AT(0, "BZh", QG_FILE_PACKED),                /* bzip2 */
    AT(0, "7z\xbc\xaf\x27\x1c", QG_FILE_PACKED), /* 7-Zip */
    AT(257, "ustar", QG_FILE_PACKED),            /* tar */
    AT(0, "qgraft state\n", QG_FILE_CHECKPOINT),
    AT(0, "qgraft samples\n", QG_FILE_SAMPLES),
    AT(0, "qgraft replay\n", QG_FILE_REPLAY),
    AT(0,
       "\x7f"
       "ELF",
       QG_FILE_PROGRAM),
    AT(0, "\xcf\xfa\xed\xfe", QG_FILE_OTHERS_PROGRAM), /* Mach-O */
    AT(0, "\xca\xfe\xba\xbe", QG_FILE_OTHERS_PROGRAM), /* Mach-O of several machines */
    AT(0, "!<arch>\n", QG_FILE_ARCHIVE),
    AT(0, "\xff\xfe", QG_FILE_UTF16),
    AT(0, "\xfe\xff", QG_FILE_UTF16),
    /* A table, or an object of version 1; the first of the file. */
    AT(0, "\3\0\0\0\1\0\0\0", QG_FILE_TORCH7),
    AT(0, "\4\0\0\0\1\0\0\0", QG_FILE_TORCH7),
#undef AT
};

static bool begins(const char *data, size_t size, const char *bytes, size_t count)
{
    return size >= count && memcmp(data, bytes, count) == 0;
}

static bool ends(const char *data, size_t size, const char *bytes)
{
    const size_t count = strlen(bytes);
    return size >= count && memcmp(data + size - count, bytes, count) == 0;
}

/* Of a zip by the name of its first file: 30 bytes, the length of the name at byte 26, the name. */
static qg_file_kind kind_of_zip(const char *data, size_t size)
{
    if (size < 30) return QG_FILE_ZIP;
    const size_t length = (uint8_t)data[26] | (size_t)(uint8_t)data[27] << 8;
    const char *const name = data + 30;
    if (length > size - 30) return QG_FILE_ZIP;
    if (ends(name, length, "/data.pkl")) return QG_FILE_TORCH_ZIP;
    if (ends(name, length, ".npy")) return QG_FILE_NPZ;
    const bool sb3 = (length == 4 && memcmp(name, "data", 4) == 0) ||
                     ends(name, length, "policy.pth") || ends(name, length, "variables.pth");
    return sb3 ? QG_FILE_SB3 : QG_FILE_ZIP;
}

/* Of a pickle of protocol 2 to 5: PyTorch's begins with a number of its own. */
static qg_file_kind kind_of_pickle(const char *data, size_t size)
{
    static const char number[] = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    const size_t count = sizeof number - 1;
    for (size_t i = 2; i < 24 && i + count <= size; i++)
        if (memcmp(data + i, number, count) == 0) return QG_FILE_TORCH;
    return QG_FILE_PICKLE;
}

static bool is_page(const char *data, size_t size)
{
    static const char *const tags[] = {"<!doctype", "<html", "<?xml", "<head"};
    while (size > 0 && (strchr(" \t\r\n", *data) && *data))
        data++, size--;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (size >= strlen(tags[i]) && strncasecmp(data, tags[i], strlen(tags[i])) == 0)
            return true;
    return false;
}

/* UTF-8 without control characters; the last character may be cut off. */
static bool is_text(const char *data, size_t size)
{
    int following = 0; /* bytes that are still to come of a character */
    for (size_t i = 0; i < size; i++) {
        const uint8_t c = (uint8_t)data[i];
        if (following > 0) {
            if ((c & 0xc0) != 0x80) return false;
            following--;
        } else if (c >= 0x80) {
            if (c < 0xc2 || c > 0xf4) return false;
            following = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        } else if (c < 0x20 ? !c || !strchr("\t\n\f\r\x1b", c) : c == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_nothing(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i]) return false;
    return true;
}

/* The length of the header, then JSON. */
static bool is_safetensors(const char *data, size_t size)
{
    uint64_t length;
    if (size < sizeof length + 2) return false;
    memcpy(&length, data, sizeof length);
    return length >= 2 && length <= 100000000 && data[8] == '{' && strchr("\" }\n\t\r", data[9]) &&
           data[9];
}

qg_file_kind qg_file_kind_of(const void *bytes, size_t size)
{
    const char *const data = bytes;
    if (size == 0) return QG_FILE_EMPTY;
    if (size > QG_FILE_KIND_BYTES) size = QG_FILE_KIND_BYTES;
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
        if (size >= signatures[i].offset &&
            begins(data + signatures[i].offset, size - signatures[i].offset, signatures[i].bytes,
                   signatures[i].size))
            return signatures[i].kind;
    if (begins(data, size, "PK\3\4", 4) || begins(data, size, "PK\5\6", 4))
        return kind_of_zip(data, size);
    if (size >= 2 && data[0] == '\x80' && data[1] >= 2 && data[1] <= 5)
        return kind_of_pickle(data, size);
    const bool marked = begins(data, size, "\xef\xbb\xbf", 3);
    if (is_page(data + 3 * marked, size - 3 * marked)) return QG_FILE_PAGE;
    if (is_safetensors(data, size)) return QG_FILE_SAFETENSORS;
    if (is_nothing(data, size)) return QG_FILE_NULS;
    if (is_text(data, size)) return marked ? QG_FILE_MARKED_TEXT : QG_FILE_TEXT;
    return begins(data, size, "MZ", 2) ? QG_FILE_OTHERS_PROGRAM : QG_FILE_OTHER;
}

bool qg_file_kind_is_text(qg_file_kind kind)
{
    return kind == QG_FILE_TEXT || kind == QG_FILE_MARKED_TEXT || kind == QG_FILE_UTF16;
}

bool qg_file_kind_is_plain(qg_file_kind kind)
{
    return kind == QG_FILE_TEXT || kind == QG_FILE_EMPTY || kind == QG_FILE_OTHER;
}

const char *qg_file_kind_name(qg_file_kind kind)
{
    return kinds[kind].name;
}

const char *qg_file_kind_mend(qg_file_kind kind)
{
    return kinds[kind].mend;
}

const char *qg_file_kind_to_tensors(qg_file_kind kind)
{
    return kinds[kind].tensors;
}

qg_status qg_fail_kind(qg_error *error, qg_status code, const char *path, const char *wanted,
                       qg_file_kind kind, const char *hint)
{
    if (!hint) hint = kinds[kind].mend;
    return qg_fail(error, code, "%.200s: not %s, but %s%s%s", path, wanted, kinds[kind].name,
                   hint ? ": " : "", hint ? hint : "");
}
