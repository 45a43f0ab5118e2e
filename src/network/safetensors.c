/* The reader trusts nothing: first the header (JSON, by jansson), then each entry by itself (dtype,
 * shape, bytes), then all of them together (sorted by offset they must tile the data). Only then
 * does a pointer into the data exist. */
#include "network/safetensors.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "base/json_text.h"

#include <assert.h>
#include <math.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "data is used as it lies in the file");
_Static_assert(sizeof(size_t) == 8, "sizes of the file are sizes of memory");

#define HEADER_LIMIT 100000000u /* bytes; the limit of the reference implementation */
#define FILE_LIMIT   ((size_t)16 << 30)
#define PREFIX       8u /* the u64 before the header */
#define METADATA     "__metadata__"

static const struct {
    const char *name;
    size_t bits;
} dtypes[] = {
    [QG_F32] = {"F32", 32},        [QG_U8] = {"U8", 8},
    [QG_I64] = {"I64", 64},        [QG_F16] = {"F16", 16},
    [QG_BF16] = {"BF16", 16},      [QG_F64] = {"F64", 64},
    [QG_BOOL] = {"BOOL", 8},       [QG_I8] = {"I8", 8},
    [QG_I16] = {"I16", 16},        [QG_U16] = {"U16", 16},
    [QG_I32] = {"I32", 32},        [QG_U32] = {"U32", 32},
    [QG_U64] = {"U64", 64},        [QG_C64] = {"C64", 64},
    [QG_F8_E4M3] = {"F8_E4M3", 8}, [QG_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [QG_F8_E5M2] = {"F8_E5M2", 8}, [QG_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [QG_F8_E8M0] = {"F8_E8M0", 8}, [QG_F6_E2M3] = {"F6_E2M3", 6},
    [QG_F6_E3M2] = {"F6_E3M2", 6}, [QG_F4] = {"F4", 4},
};

#define DTYPES (sizeof dtypes / sizeof dtypes[0])

typedef struct entry {
    qg_tensor tensor;
    char *name;
    void *copy;        /* the data, when it is not aligned in the file; else NULL */
    size_t begin, end; /* bytes in the data; while a file is read */
    size_t position;   /* in the header; while a file is read */
} entry;

struct qg_tensors {
    entry *entries;
    size_t count, capacity;
    json_t *metadata; /* an object of strings; jansson keeps the order of its keys */
    uint8_t *file;    /* the whole file that was read, or NULL */
};

qg_tensors *qg_tensors_new(void)
{
    qg_tensors *tensors = calloc(1, sizeof *tensors);
    if (!tensors) return NULL;
    tensors->metadata = json_object();
    if (!tensors->metadata) {
        free(tensors);
        return NULL;
    }
    return tensors;
}

void qg_tensors_free(qg_tensors *tensors)
{
    if (!tensors) return;
    for (size_t i = 0; i < tensors->count; i++) {
        free(tensors->entries[i].name);
        free(tensors->entries[i].copy);
    }
    free(tensors->entries);
    json_decref(tensors->metadata);
    free(tensors->file);
    free(tensors);
}

/* A new, zeroed entry with a copy of the name at the end of the set; NULL: no memory. */
static entry *append_entry(qg_tensors *tensors, const char *name)
{
    if (tensors->count == tensors->capacity) {
        const size_t capacity = tensors->capacity ? 2 * tensors->capacity : 16;
        entry *entries = reallocarray(tensors->entries, capacity, sizeof *entries);
        if (!entries) return NULL;
        tensors->entries = entries;
        tensors->capacity = capacity;
    }
    entry *e = &tensors->entries[tensors->count];
    *e = (entry){.name = strdup(name), .position = tensors->count};
    if (!e->name) return NULL;
    e->tensor.name = e->name;
    tensors->count++;
    return e;
}

/* ---- Reading ---- */

/* The names are printed in tables and messages: nothing in them may move the cursor. C1 controls
 * are C2 80 to C2 9F in UTF-8. */
static bool has_control_character(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)) return true;
    return false;
}

/* A JSON integer that is not negative. Reals ("1.0", "1e3") are none. */
static bool get_size(const json_t *value, size_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *size = (size_t)json_integer_value(value);
    return true;
}

static qg_status read_dtype(const char *path, const json_t *value, qg_tensor *tensor,
                            qg_error *error)
{
    const char *text = json_string_value(value);
    if (!text)
        return qg_fail(error, QG_ERROR_DATA, "%s: tensor '%.80s' has no dtype", path, tensor->name);
    for (size_t i = 0; i < DTYPES; i++)
        if (strcmp(text, dtypes[i].name) == 0) {
            tensor->dtype = (qg_dtype)i;
            return QG_OK;
        }
    return qg_fail(error, QG_ERROR_DATA,
                   "%s: tensor '%.80s' has the dtype '%.20s', which safetensors does not have",
                   path, tensor->name, text);
}

static qg_status read_shape(const char *path, const json_t *value, qg_tensor *tensor,
                            qg_error *error)
{
    if (!json_is_array(value))
        return qg_fail(error, QG_ERROR_DATA, "%s: tensor '%.80s' has no shape", path, tensor->name);
    const size_t rank = json_array_size(value);
    if (rank > QG_TENSOR_RANK)
        return qg_fail(error, QG_ERROR_DATA, "%s: tensor '%.80s' has %zu dimensions, at most %d",
                       path, tensor->name, rank, QG_TENSOR_RANK);
    tensor->rank = (int)rank;
    tensor->elements = 1;
    for (size_t i = 0; i < rank; i++) {
        if (!get_size(json_array_get(value, i), &tensor->shape[i]))
            return qg_fail(error, QG_ERROR_DATA,
                           "%s: the shape of tensor '%.80s' is not a list of sizes", path,
                           tensor->name);
        if (__builtin_mul_overflow(tensor->elements, tensor->shape[i], &tensor->elements))
            return qg_fail(error, QG_ERROR_DATA, "%s: the shape of tensor '%.80s' is too large",
                           path, tensor->name);
    }
    return QG_OK;
}

static qg_status read_offsets(const char *path, const json_t *value, size_t data_size, entry *e,
                              qg_error *error)
{
    if (!json_is_array(value) || json_array_size(value) != 2 ||
        !get_size(json_array_get(value, 0), &e->begin) ||
        !get_size(json_array_get(value, 1), &e->end))
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: the data_offsets of tensor '%.80s' are not two sizes", path, e->name);
    if (e->begin > e->end || e->end > data_size)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: tensor '%.80s' lies at bytes %zu to %zu of %zu (is the file cut off?)",
                       path, e->name, e->begin, e->end, data_size);
    size_t bits;
    if (__builtin_mul_overflow(e->tensor.elements, dtypes[e->tensor.dtype].bits, &bits) ||
        bits % 8 != 0 || bits / 8 != e->end - e->begin)
        return qg_fail(error, QG_ERROR_DATA, "%s: tensor '%.80s' has %zu values of %s in %zu bytes",
                       path, e->name, e->tensor.elements, dtypes[e->tensor.dtype].name,
                       e->end - e->begin);
    return QG_OK;
}

static qg_status read_entry(const char *path, const char *name, const json_t *value,
                            size_t data_size, qg_tensors *tensors, qg_error *error)
{
    if (has_control_character(name))
        return qg_fail(error, QG_ERROR_DATA, "%s: the tensor name '%.80s' has control characters",
                       path, name);
    if (!json_is_object(value))
        return qg_fail(error, QG_ERROR_DATA, "%s: tensor '%.80s' is not described by an object",
                       path, name);
    entry *e = append_entry(tensors, name);
    if (!e) return qg_fail_memory(error, path, strlen(name) + sizeof *e);
    if (read_dtype(path, json_object_get(value, "dtype"), &e->tensor, error) != QG_OK)
        return error->code;
    if (read_shape(path, json_object_get(value, "shape"), &e->tensor, error) != QG_OK)
        return error->code;
    return read_offsets(path, json_object_get(value, "data_offsets"), data_size, e, error);
}

static qg_status read_metadata(const char *path, json_t *value, qg_tensors *tensors,
                               qg_error *error)
{
    if (!json_is_object(value))
        return qg_fail(error, QG_ERROR_DATA, "%s: " METADATA " is not an object", path);
    const char *key;
    json_t *text;
    json_object_foreach(value, key, text)
    {
        if (has_control_character(key))
            return qg_fail(error, QG_ERROR_DATA, "%s: the key '%.80s' has control characters", path,
                           key);
        if (!json_is_string(text))
            return qg_fail(error, QG_ERROR_DATA, "%s: the value of '%.80s' is not a string", path,
                           key);
    }
    json_decref(tensors->metadata);
    tensors->metadata = json_incref(value);
    return QG_OK;
}

static qg_status read_header(const char *path, const uint8_t *header, size_t size, size_t data_size,
                             qg_tensors *tensors, qg_error *error)
{
    qg_error inner;
    json_t *root = qg_json_parse("in the header", header, size, &inner);
    if (!root) return qg_fail(error, inner.code, "%s: %s", path, inner.message);
    qg_status status = QG_OK;
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        if (strcmp(name, METADATA) == 0)
            status = read_metadata(path, value, tensors, error);
        else
            status = read_entry(path, name, value, data_size, tensors, error);
        if (status != QG_OK) break;
    }
    json_decref(root);
    return status;
}

/* By offset; an empty tensor before the one that begins at the same byte; else as in the header. */
static int compare_entries(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end) return a->end < b->end ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

static qg_status check_coverage(const char *path, size_t data_size, qg_tensors *tensors,
                                qg_error *error)
{
    if (tensors->count > 0)
        qsort(tensors->entries, tensors->count, sizeof *tensors->entries, compare_entries);
    size_t covered = 0;
    for (size_t i = 0; i < tensors->count; i++) {
        const entry *e = &tensors->entries[i];
        if (e->begin != covered)
            return qg_fail(error, QG_ERROR_DATA, "%s: tensor '%.80s' %s", path, e->name,
                           e->begin < covered ? "overlaps another" : "follows a hole in the data");
        covered = e->end;
    }
    if (covered != data_size)
        return qg_fail(error, QG_ERROR_DATA, "%s: %zu bytes behind the last tensor", path,
                       data_size - covered);
    return QG_OK;
}

/* Points each tensor at its data in the file, or at an aligned copy: the header may end anywhere,
 * and a U8 tensor may be followed by one of wider values. */
static qg_status place_data(const char *path, const uint8_t *data, qg_tensors *tensors,
                            qg_error *error)
{
    static const uint64_t nothing = 0;
    for (size_t i = 0; i < tensors->count; i++) {
        entry *e = &tensors->entries[i];
        const size_t size = e->end - e->begin;
        e->tensor.data = data + e->begin;
        if (size == 0) {
            e->tensor.data = &nothing;
        } else if ((uintptr_t)e->tensor.data % alignof(uint64_t) != 0) {
            e->copy = malloc(size);
            if (!e->copy) return qg_fail_memory(error, path, size);
            e->tensor.data = memcpy(e->copy, data + e->begin, size);
        }
    }
    return QG_OK;
}

/* What is none by its first bytes: `why` where it is not known what else it is. */
static qg_status fail_other_file(const char *path, const uint8_t *file, size_t size,
                                 const char *why, qg_error *error)
{
    const qg_file_kind kind = qg_file_kind_of(file, size);
    if (kind == QG_FILE_OTHER || kind == QG_FILE_SAFETENSORS)
        return qg_fail(error, QG_ERROR_DATA, "%s: %s", path, why);
    return qg_fail_kind(error, QG_ERROR_DATA, path, "a safetensors file", kind,
                        qg_file_kind_to_tensors(kind));
}

/* Writers that align the data may fill up the header; only spaces are allowed, and only they are
 * read by others. */
static qg_status check_padding(const char *path, const uint8_t *header, size_t size,
                               qg_error *error)
{
    size_t used = size;
    while (used > 0 && header[used - 1] == 0)
        used--;
    if (used == size) return QG_OK;
    return qg_fail(error, QG_ERROR_DATA,
                   "%.200s: the header is filled up with %zu NUL bytes, not spaces: in Python: "
                   "d = open(\"FILE\", \"rb\").read(); n = 8 + int.from_bytes(d[:8], \"little\"); "
                   "open(\"FILE\", \"wb\").write(d[:8] + d[8:n].replace(b\"\\0\", b\" \") + d[n:])",
                   path, size - used);
}

static qg_status parse_file(const char *path, size_t size, qg_tensors *tensors, qg_error *error)
{
    const uint8_t *file = tensors->file;
    uint64_t header_size = 0;
    if (size >= PREFIX) memcpy(&header_size, file, PREFIX);
    if (header_size > HEADER_LIMIT)
        return fail_other_file(path, file, size,
                               "not a safetensors file (a header of more than 100 MB)", error);
    if (size >= PREFIX && header_size > size - PREFIX)
        return fail_other_file(path, file, size, "the header is cut off", error);
    const uint8_t *header = file + PREFIX, *data = header + header_size;
    if (header_size == 0 || header[0] != '{') /* asked for, so that the format can be recognised */
        return fail_other_file(path, file, size, "not a safetensors file", error);
    const size_t data_size = size - PREFIX - header_size;
    if (check_padding(path, header, header_size, error) != QG_OK) return error->code;
    if (read_header(path, header, header_size, data_size, tensors, error) != QG_OK)
        return error->code;
    if (check_coverage(path, data_size, tensors, error) != QG_OK) return error->code;
    return place_data(path, data, tensors, error);
}

qg_status qg_tensors_parse(const char *path, uint8_t *data, size_t size, qg_tensors **tensors,
                           qg_error *error)
{
    assert(path && (data || size == 0) && tensors);
    *tensors = qg_tensors_new();
    if (!*tensors) {
        free(data);
        return qg_fail_memory(error, path, sizeof **tensors);
    }
    (*tensors)->file = data;
    const qg_status status = parse_file(path, size, *tensors, error);
    if (status != QG_OK) {
        qg_tensors_free(*tensors);
        *tensors = NULL;
    }
    return status;
}

qg_status qg_tensors_load(const char *path, qg_tensors **tensors, qg_error *error)
{
    uint8_t *data;
    size_t size;
    *tensors = NULL;
    if (qg_file_read(path, FILE_LIMIT, &data, &size, error) != QG_OK) return error->code;
    return qg_tensors_parse(path, data, size, tensors, error);
}

/* ---- Looking things up ---- */

const char *qg_dtype_name(qg_dtype dtype)
{
    assert((size_t)dtype < DTYPES);
    return dtypes[dtype].name;
}

size_t qg_tensor_bytes(const qg_tensor *tensor)
{
    return tensor->elements * dtypes[tensor->dtype].bits / 8; /* whole ones, and no overflow */
}

size_t qg_tensors_count(const qg_tensors *tensors)
{
    return tensors->count;
}

const qg_tensor *qg_tensors_at(const qg_tensors *tensors, size_t index)
{
    assert(index < tensors->count);
    return &tensors->entries[index].tensor;
}

const qg_tensor *qg_tensors_find(const qg_tensors *tensors, const char *name)
{
    for (size_t i = 0; i < tensors->count; i++)
        if (strcmp(tensors->entries[i].name, name) == 0) return &tensors->entries[i].tensor;
    return NULL;
}

/* "F32 [32, 4, 8, 8]", with "any" for the sizes that accept any. */
static void describe(qg_dtype dtype, int rank, const size_t *shape, bool zero_is_any, char *text,
                     size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s [", dtypes[dtype].name);
    for (int i = 0; i < rank; i++) {
        const char *comma = i ? ", " : "";
        if (zero_is_any && shape[i] == 0)
            used += (size_t)snprintf(text + used, size - used, "%sany", comma);
        else
            used += (size_t)snprintf(text + used, size - used, "%s%zu", comma, shape[i]);
    }
    snprintf(text + used, size - used, "]");
}

static bool fits(const qg_tensor *tensor, qg_dtype dtype, int rank, const size_t *shape)
{
    if (tensor->dtype != dtype || tensor->rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (shape[i] != 0 && shape[i] != tensor->shape[i]) return false;
    return true;
}

qg_status qg_tensors_require(const qg_tensors *tensors, const char *path, const char *name,
                             qg_dtype dtype, int rank, const size_t *shape,
                             const qg_tensor **tensor, qg_error *error)
{
    assert(rank >= 0 && rank <= QG_TENSOR_RANK && (shape || rank == 0) && tensor);
    *tensor = NULL;
    const qg_tensor *found = qg_tensors_find(tensors, name);
    if (!found) return qg_fail(error, QG_ERROR_DATA, "%s: has no tensor '%.80s'", path, name);
    if (!fits(found, dtype, rank, shape)) {
        char is[192], wanted[192]; /* 8 sizes of 20 digits fit */
        describe(found->dtype, found->rank, found->shape, false, is, sizeof is);
        describe(dtype, rank, shape, true, wanted, sizeof wanted);
        return qg_fail(error, QG_ERROR_DATA, "%s: tensor '%.80s' is %s, but should be %s", path,
                       name, is, wanted);
    }
    const float *values = found->data;
    for (size_t i = 0; dtype == QG_F32 && i < found->elements; i++)
        if (!isfinite(values[i]))
            return qg_fail(error, QG_ERROR_DATA,
                           "%s: value %zu of tensor '%.80s' is %g, not a finite number", path, i,
                           name, (double)values[i]);
    *tensor = found;
    return QG_OK;
}

const char *qg_tensors_metadata(const qg_tensors *tensors, const char *key)
{
    return json_string_value(json_object_get(tensors->metadata, key));
}

const char *qg_tensors_next_key(const qg_tensors *tensors, const char *key)
{
    void *iterator = key ? json_object_iter_next(tensors->metadata, json_object_key_to_iter(key))
                         : json_object_iter(tensors->metadata);
    return iterator ? json_object_iter_key(iterator) : NULL;
}

/* ---- Writing ---- */

qg_status qg_tensors_add(qg_tensors *tensors, const char *name, qg_dtype dtype, int rank,
                         const size_t *shape, const void *data, qg_error *error)
{
    assert(name && strcmp(name, METADATA) != 0 && !has_control_character(name));
    assert(!qg_tensors_find(tensors, name));
    assert((size_t)dtype < DTYPES && rank >= 0 && rank <= QG_TENSOR_RANK && (shape || rank == 0));
    entry *e = append_entry(tensors, name);
    if (!e) return qg_fail_memory(error, name, sizeof *e + strlen(name));
    e->tensor.dtype = dtype;
    e->tensor.rank = rank;
    e->tensor.elements = 1;
    e->tensor.data = data;
    bool overflow = false;
    for (int i = 0; i < rank; i++) {
        e->tensor.shape[i] = shape[i];
        overflow |= __builtin_mul_overflow(e->tensor.elements, shape[i], &e->tensor.elements);
    }
    assert(!overflow && (data || e->tensor.elements == 0));
    (void)overflow;
    return QG_OK;
}

bool qg_tensors_takes(const char *value)
{
    json_t *const text = json_string(value);
    json_decref(text);
    return text != NULL;
}

qg_status qg_tensors_set_metadata(qg_tensors *tensors, const char *key, const char *value,
                                  qg_error *error)
{
    assert(key && value);
    if (has_control_character(key))
        return qg_fail(error, QG_ERROR_DATA, "metadata: the key '%.80s' has control characters",
                       key);
    /* jansson does not tell text that is not UTF-8 from a lack of memory. The latter cannot be made
     * to happen for a few bytes on Linux. */
    if (json_object_set_new(tensors->metadata, key, json_string(value)) != 0)
        return qg_fail(error, QG_ERROR_DATA, "metadata '%.80s': '%.80s' is not UTF-8 text", key,
                       value);
    return QG_OK;
}

/* {"dtype": "F32", "shape": [32, 4, 8, 8], "data_offsets": [0, 32768]}; NULL: no memory. */
static json_t *describe_tensor(const qg_tensor *tensor, size_t *offset)
{
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++)
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    const size_t begin = *offset;
    *offset += qg_tensor_bytes(tensor);
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtypes[tensor->dtype].name, "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)*offset);
}

/* The JSON text, padded with spaces so that the data begins at a multiple of 8 bytes; NULL: no
 * memory. */
static char *make_header(const qg_tensors *tensors, size_t *size)
{
    json_t *root = json_object();
    bool complete = root != NULL;
    if (complete && json_object_size(tensors->metadata) > 0)
        complete = json_object_set(root, METADATA, tensors->metadata) == 0;
    size_t offset = 0;
    for (size_t i = 0; complete && i < tensors->count; i++)
        complete = json_object_set_new(root, tensors->entries[i].name,
                                       describe_tensor(&tensors->entries[i].tensor, &offset)) == 0;
    char *text = complete ? qg_json_text(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text) return NULL;
    const size_t length = strlen(text);
    *size = (length + 7) / 8 * 8;
    char *padded = realloc(text, *size + 1);
    if (!padded) {
        free(text);
        return NULL;
    }
    memset(padded + length, ' ', *size - length);
    return padded;
}

qg_status qg_tensors_save(const qg_tensors *tensors, const char *path, qg_error *error)
{
    size_t header_size = 0;
    char *header = make_header(tensors, &header_size);
    qg_piece *pieces = calloc(tensors->count + 2, sizeof *pieces);
    if (!header || !pieces) {
        free(header);
        free(pieces);
        return qg_fail_memory(error, path, header_size + (tensors->count + 2) * sizeof *pieces);
    }
    if (header_size > HEADER_LIMIT) {
        free(header);
        free(pieces);
        return qg_fail(error, QG_ERROR_DATA, "%s: names and metadata are over 100 MB", path);
    }
    const uint64_t prefix = header_size;
    pieces[0] = (qg_piece){&prefix, sizeof prefix};
    pieces[1] = (qg_piece){header, header_size};
    for (size_t i = 0; i < tensors->count; i++) {
        const qg_tensor *t = &tensors->entries[i].tensor;
        pieces[i + 2] = (qg_piece){t->data, qg_tensor_bytes(t)};
    }
    const qg_status status = qg_file_replace(path, pieces, tensors->count + 2, error);
    free(header);
    free(pieces);
    return status;
}
