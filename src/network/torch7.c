#include "network/torch7.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((size_t)1 << 32) /* of a file */
#define MOST_DEPTH 200 /* of objects in each other; an agent of DQN 3.0 needs some 20 */

struct qg_torch7 {
    uint8_t *data;
    size_t size;
    size_t long_size; /* 4 or 8 */
    qg_torch7_node *nodes;
    uint32_t count, room;
};

/* The type of an object, as its first int says. */
enum { NIL, NUMBER, STRING, TABLE, TORCH, BOOLEAN, FUNCTION, LEGACY_CLOSURE, CLOSURE };

/* Bytes of a value, by the name between "torch." and "Tensor" or "Storage"; 0: a long. */
static const struct {
    const char *name;
    size_t bytes;
} elements[] = {{"Byte", 1}, {"Char", 1},  {"Short", 2},  {"Int", 4},
                {"Long", 0}, {"Float", 4}, {"Double", 8}, {"Cuda", 4}};

/* ------------------------------------------------------------------------------ the file's bytes
 */

typedef struct reader {
    qg_torch7 *file;
    const char *path;
    size_t at;
    uint32_t *objects; /* [most_objects + 1] nodes by their index in the file; 0: not read yet */
    size_t most_objects;
    qg_error *error;
} reader;

static qg_status fail(const reader *r, const char *what)
{
    return qg_fail(r->error, QG_ERROR_DATA, "%s: no binary file of Torch7: %s at byte %zu", r->path,
                   what, r->at);
}

static const uint8_t *take(reader *r, size_t bytes)
{
    if (bytes > r->file->size - r->at) return NULL;
    const uint8_t *const here = r->file->data + r->at;
    r->at += bytes;
    return here;
}

static qg_status take_int(reader *r, int32_t *value)
{
    const uint8_t *const here = take(r, sizeof *value);
    if (!here) return fail(r, "it ends");
    memcpy(value, here, sizeof *value);
    return QG_OK;
}

static int64_t long_at(const qg_torch7 *file, const uint8_t *data, size_t index)
{
    int64_t wide;
    int32_t narrow;
    if (file->long_size == sizeof wide) {
        memcpy(&wide, data + index * sizeof wide, sizeof wide);
        return wide;
    }
    memcpy(&narrow, data + index * sizeof narrow, sizeof narrow);
    return narrow;
}

/* An int, and as many bytes. */
static qg_status take_text(reader *r, const char **text, size_t *length)
{
    int32_t size = 0;
    const qg_status status = take_int(r, &size);
    if (status) return status;
    *text = size < 0 ? NULL : (const char *)take(r, (size_t)size);
    *length = (size_t)size;
    return *text ? QG_OK : fail(r, "a text of a wrong size");
}

/* ------------------------------------------------------------------------------------- the tree */

/* A new node; 0: there is no memory. Node 0 is none. */
static uint32_t add_node(reader *r, qg_torch7_kind kind)
{
    qg_torch7 *const f = r->file;
    if (f->count == f->room) {
        const uint32_t room = f->room ? 2 * f->room : 256;
        qg_torch7_node *const nodes = realloc(f->nodes, room * sizeof *nodes);
        if (!nodes) {
            qg_fail_memory(r->error, r->path, room * sizeof *nodes);
            return 0;
        }
        f->nodes = nodes;
        f->room = room;
        if (!f->count) f->nodes[f->count++] = (qg_torch7_node){0};
    }
    f->nodes[f->count] = (qg_torch7_node){.kind = kind, .text = ""};
    return f->count++;
}

static qg_status read_object(reader *r, int depth, uint32_t *node);

/* `count` objects as the children of a node. */
static qg_status read_children(reader *r, uint32_t parent, size_t count, int depth)
{
    uint32_t last = 0;
    qg_status status = QG_OK;
    for (size_t i = 0; i < count && !status; i++) {
        uint32_t child = 0;
        status = read_object(r, depth + 1, &child);
        if (status) break;
        *(last ? &r->file->nodes[last].next : &r->file->nodes[parent].first) = child;
        last = child;
    }
    return status;
}

static qg_status read_table(reader *r, uint32_t node, int depth)
{
    int32_t pairs = 0;
    const qg_status status = take_int(r, &pairs);
    if (status) return status;
    if (pairs < 0 || (size_t)pairs > (r->file->size - r->at) / 8)
        return fail(r, "a table of a wrong size");
    return read_children(r, node, 2 * (size_t)pairs, depth);
}

static bool ends_in(const qg_torch7_node *node, const char *end, size_t element)
{
    const size_t length = strlen(elements[element].name);
    return node->length == 6 + length + strlen(end) && memcmp(node->text, "torch.", 6) == 0 &&
           memcmp(node->text + 6, elements[element].name, length) == 0 &&
           memcmp(node->text + 6 + length, end, strlen(end)) == 0;
}

/* Which of `elements` a class holds; -1: it is no "Tensor" or "Storage". */
static int element_of(const qg_torch7_node *node, const char *end)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (ends_in(node, end, i)) return (int)i;
    return -1;
}

static qg_status read_tensor(reader *r, uint32_t node, int depth)
{
    int32_t rank = 0;
    const qg_status status = take_int(r, &rank);
    if (status) return status;
    if (rank < 0 || rank > QG_TORCH7_RANK) return fail(r, "a tensor of too many dimensions");
    const uint8_t *const data = take(r, (2 * (size_t)rank + 1) * r->file->long_size);
    if (!data) return fail(r, "it ends");
    r->file->nodes[node].data = data;
    r->file->nodes[node].count = (size_t)rank;
    return read_children(r, node, 1, depth);
}

static qg_status read_storage(reader *r, uint32_t node, int element)
{
    const uint8_t *const size = take(r, r->file->long_size);
    if (!size) return fail(r, "it ends");
    const int64_t count = long_at(r->file, size, 0);
    const size_t bytes = elements[element].bytes ? elements[element].bytes : r->file->long_size;
    if (count < 0 || (uint64_t)count > (r->file->size - r->at) / bytes)
        return fail(r, "a storage of a wrong size");
    r->file->nodes[node].data = take(r, (size_t)count * bytes);
    r->file->nodes[node].count = (size_t)count;
    return QG_OK;
}

/* The class, with its version ("V 1") in front of it since Torch7 has versions; what it holds. */
static qg_status read_torch(reader *r, uint32_t node, int depth)
{
    const char *text;
    size_t length;
    qg_status status = take_text(r, &text, &length);
    if (!status && length > 2 && memcmp(text, "V ", 2) == 0) status = take_text(r, &text, &length);
    if (status) return status;
    qg_torch7_node *const n = &r->file->nodes[node];
    n->text = text;
    n->length = length;
    const int storage = element_of(n, "Storage");
    if (element_of(n, "Tensor") >= 0) {
        n->kind = QG_TORCH7_TENSOR;
        return read_tensor(r, node, depth);
    }
    if (storage >= 0) {
        n->kind = QG_TORCH7_STORAGE;
        return read_storage(r, node, storage);
    }
    return read_children(r, node, 1, depth); /* the table that it holds */
}

/* Its code, and an object of its upvalues. */
static qg_status read_function(reader *r, uint32_t node, int depth)
{
    const char *text;
    size_t length;
    const qg_status status = take_text(r, &text, &length);
    return status ? status : read_children(r, node, 1, depth);
}

/* What has an index: a reference, if it was read before. */
static qg_status read_indexed(reader *r, int32_t type, int depth, uint32_t *node)
{
    int32_t index = 0;
    const qg_status status = take_int(r, &index);
    if (status) return status;
    if (index < 1 || (size_t)index > r->most_objects) return fail(r, "an object of a wrong number");
    const uint32_t before = r->objects[index];
    *node = add_node(r, before ? QG_TORCH7_REFERENCE : QG_TORCH7_TABLE);
    if (!*node) return QG_ERROR_MEMORY;
    if (before) {
        r->file->nodes[*node].first = before;
        return QG_OK;
    }
    r->objects[index] = *node;
    if (type == TABLE) return read_table(r, *node, depth);
    if (type == TORCH) return read_torch(r, *node, depth);
    r->file->nodes[*node].kind = QG_TORCH7_NIL;
    return read_function(r, *node, depth);
}

static qg_status read_plain(reader *r, int32_t type, int depth, uint32_t *node)
{
    static const qg_torch7_kind kinds[] = {[NUMBER] = QG_TORCH7_NUMBER,
                                           [STRING] = QG_TORCH7_STRING,
                                           [BOOLEAN] = QG_TORCH7_BOOLEAN,
                                           [FUNCTION] = QG_TORCH7_NIL};
    *node = add_node(r, kinds[type]);
    if (!*node) return QG_ERROR_MEMORY;
    qg_torch7_node *const n = &r->file->nodes[*node];
    if (type == STRING) return take_text(r, &n->text, &n->length);
    if (type == FUNCTION) return read_function(r, *node, depth);
    if (type == BOOLEAN) {
        int32_t value = 0;
        const qg_status status = take_int(r, &value);
        if (!status) n->number = value == 1;
        return status;
    }
    if (type == NUMBER) {
        const uint8_t *const here = take(r, sizeof n->number);
        if (!here) return fail(r, "it ends");
        memcpy(&n->number, here, sizeof n->number);
    }
    return QG_OK;
}

static qg_status read_object(reader *r, int depth, uint32_t *node)
{
    int32_t type = 0;
    const qg_status status = take_int(r, &type);
    if (status) return status;
    if (depth > MOST_DEPTH) return fail(r, "objects are nested too deeply");
    if (type == TABLE || type == TORCH || type == LEGACY_CLOSURE || type == CLOSURE)
        return read_indexed(r, type, depth, node);
    if (type < NIL || type > FUNCTION) return fail(r, "an object of no known type");
    return read_plain(r, type, depth, node);
}

/* All of the file, its longs having so many bytes; another try begins anew. */
static qg_status read_all(reader *r, size_t long_size, const qg_torch7_node **root)
{
    qg_torch7 *const f = r->file;
    f->long_size = long_size;
    f->count = f->room = 0;
    free(f->nodes);
    f->nodes = NULL;
    r->at = 0;
    memset(r->objects, 0, (r->most_objects + 1) * sizeof *r->objects);
    uint32_t node = 0;
    qg_status status = read_object(r, 0, &node);
    if (!status && r->at != f->size) status = fail(r, "more follows its object");
    if (!status) *root = &f->nodes[node];
    return status;
}

qg_status qg_torch7_load(const char *path, qg_torch7 **file, const qg_torch7_node **root,
                         qg_error *error)
{
    qg_torch7 *const f = calloc(1, sizeof *f);
    if (!f) return qg_fail_memory(error, path, sizeof *f);
    reader r = {.file = f, .path = path, .error = error};
    qg_error narrow;
    qg_status status = qg_file_read(path, MOST_BYTES, &f->data, &f->size, error);
    if (!status) {
        r.most_objects = f->size / 8; /* a type and an index each */
        r.objects = calloc(r.most_objects + 1, sizeof *r.objects);
        if (!r.objects) status = qg_fail_memory(error, path, f->size / 2);
    }
    if (!status) status = read_all(&r, 8, root);
    if (status == QG_ERROR_DATA && r.objects) {
        r.error = &narrow;
        if (read_all(&r, 4, root) == QG_OK) status = QG_OK;
    }
    free(r.objects);
    if (status)
        qg_torch7_free(f);
    else
        *file = f;
    return status;
}

void qg_torch7_free(qg_torch7 *file)
{
    if (!file) return;
    free(file->nodes);
    free(file->data);
    free(file);
}

/* ------------------------------------------------------------------------------- looking into it
 */

bool qg_torch7_is(const qg_torch7_node *node, const char *name)
{
    return node->kind >= QG_TORCH7_TABLE && node->length == strlen(name) &&
           memcmp(node->text, name, node->length) == 0;
}

static const qg_torch7_node *node_at(const qg_torch7 *file, uint32_t node)
{
    const qg_torch7_node *const n = &file->nodes[node];
    return n->kind == QG_TORCH7_REFERENCE ? &file->nodes[n->first] : n;
}

/* The first key of a table, or of the one that an object holds; 0: none. */
static uint32_t first_key(const qg_torch7 *file, const qg_torch7_node *table)
{
    if (table->kind != QG_TORCH7_TABLE || !table->first) return 0;
    if (!table->length) return table->first;
    const qg_torch7_node *const held = node_at(file, table->first);
    return held->kind == QG_TORCH7_TABLE && !held->length ? held->first : 0;
}

const qg_torch7_node *qg_torch7_field(const qg_torch7 *file, const qg_torch7_node *table,
                                      const char *key)
{
    for (uint32_t k = first_key(file, table); k; k = file->nodes[file->nodes[k].next].next) {
        const qg_torch7_node *const n = &file->nodes[k];
        if (n->kind == QG_TORCH7_STRING && n->length == strlen(key) &&
            memcmp(n->text, key, n->length) == 0)
            return node_at(file, n->next);
    }
    return NULL;
}

const qg_torch7_node *qg_torch7_element(const qg_torch7 *file, const qg_torch7_node *table,
                                        int index)
{
    for (uint32_t k = first_key(file, table); k; k = file->nodes[file->nodes[k].next].next) {
        const qg_torch7_node *const n = &file->nodes[k];
        if (n->kind == QG_TORCH7_NUMBER && n->number == index) return node_at(file, n->next);
    }
    return NULL;
}

int64_t qg_torch7_long(const qg_torch7 *file, const qg_torch7_node *storage, size_t index)
{
    if (!qg_torch7_is(storage, "torch.LongStorage") || index >= storage->count) return -1;
    return long_at(file, storage->data, index);
}

/* The storage of a tensor of floats or doubles; NULL: it is none. */
static const qg_torch7_node *storage_of(const qg_torch7 *file, const qg_torch7_node *tensor)
{
    static const char *const names[][2] = {{"torch.FloatTensor", "torch.FloatStorage"},
                                           {"torch.DoubleTensor", "torch.DoubleStorage"},
                                           {"torch.CudaTensor", "torch.CudaStorage"}};
    if (tensor->kind != QG_TORCH7_TENSOR) return NULL;
    const qg_torch7_node *const storage = node_at(file, tensor->first);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (qg_torch7_is(tensor, names[i][0]) && qg_torch7_is(storage, names[i][1])) return storage;
    return NULL;
}

int qg_torch7_shape(const qg_torch7 *file, const qg_torch7_node *tensor,
                    size_t shape[QG_TORCH7_RANK])
{
    const qg_torch7_node *const storage = storage_of(file, tensor);
    if (!storage || !tensor->count) return -1;
    const size_t rank = tensor->count;
    int64_t last = long_at(file, tensor->data, 2 * rank) - 1; /* the offset counts from 1 */
    size_t values = 1;
    if (last < 0) return -1;
    for (size_t d = 0; d < rank; d++) {
        const int64_t size = long_at(file, tensor->data, d);
        const int64_t stride = long_at(file, tensor->data, rank + d);
        int64_t reach;
        if (size < 1 || stride < 0 || __builtin_mul_overflow(size - 1, stride, &reach) ||
            __builtin_add_overflow(last, reach, &last) ||
            __builtin_mul_overflow(values, (size_t)size, &values))
            return -1;
        shape[d] = (size_t)size;
    }
    /* A stride of 0 would make any number of values of one. */
    return (uint64_t)last < storage->count && values <= storage->count ? (int)rank : -1;
}

bool qg_torch7_floats(const qg_torch7 *file, const qg_torch7_node *tensor, float *values,
                      qg_rounding *rounding)
{
    size_t shape[QG_TORCH7_RANK], place[QG_TORCH7_RANK] = {0};
    const qg_torch7_node *const storage = storage_of(file, tensor);
    const int rank = qg_torch7_shape(file, tensor, shape);
    const bool wide = qg_torch7_is(tensor, "torch.DoubleTensor");
    size_t count = 1;
    for (int d = 0; d < rank; d++)
        count *= shape[d];
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)long_at(file, tensor->data, 2 * (size_t)rank) - 1;
        for (int d = 0; d < rank; d++)
            at += place[d] * (size_t)long_at(file, tensor->data, (size_t)(rank + d));
        double value;
        if (wide) {
            memcpy(&value, storage->data + at * sizeof value, sizeof value);
            values[i] = (float)value;
            rounding->values++;
            rounding->changed += (double)values[i] != value;
        } else {
            memcpy(&values[i], storage->data + at * sizeof(float), sizeof(float));
        }
        if (!isfinite(values[i])) return false;
        for (int d = rank - 1; d >= 0 && ++place[d] == shape[d]; d--)
            place[d] = 0;
    }
    return true;
}
