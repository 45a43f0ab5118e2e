/* Objects of a binary Torch7 file (torch.save), as a tree: numbers, strings, tables, objects of
 * classes, tensors and their storages. What refers to an object that stands earlier in the file is
 * that object. The format is that of torch7's File.lua and Tensor.lua: little-endian, ints of 4
 * bytes; longs have 8 or, from 32-bit machines, 4 bytes, which no file says and the reader finds
 * out. Functions are passed over. */
#ifndef QG_TORCH7_H
#define QG_TORCH7_H

#include <qgraft/error.h>

#include "network/tensor_floats.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum qg_torch7_kind {
    QG_TORCH7_NIL, /* also functions */
    QG_TORCH7_NUMBER,
    QG_TORCH7_BOOLEAN,
    QG_TORCH7_STRING,
    QG_TORCH7_TABLE, /* also what an object of a class holds */
    QG_TORCH7_TENSOR,
    QG_TORCH7_STORAGE,
    QG_TORCH7_REFERENCE, /* never seen from outside */
} qg_torch7_kind;

/* All pointers lead into the file. */
typedef struct qg_torch7_node {
    qg_torch7_kind kind;
    const char *text; /* a string's bytes; the name of the class, "" of a plain table */
    size_t length;    /* of `text`, without a NUL */
    double number;    /* a boolean is 0 or 1 */
    uint32_t
        first; /* key, value, key, value ...; a tensor's storage; what is referred to; 0: none */
    uint32_t next;       /* the sibling of a child */
    const uint8_t *data; /* a tensor's sizes, strides and offset; a storage's values */
    size_t count;        /* a tensor's dimensions; a storage's values */
} qg_torch7_node;

typedef struct qg_torch7 qg_torch7;

/* Reads a file. *root is borrowed. QG_ERROR_DATA with the path and the byte where it is none, ends
 * too early, is nested too deeply or has a wrong size; QG_ERROR_IO, QG_ERROR_MEMORY. */
qg_status qg_torch7_load(const char *path, qg_torch7 **file, const qg_torch7_node **root,
                         qg_error *error);
void qg_torch7_free(qg_torch7 *file); /* NULL is allowed */

/* Whether it is an object of the class `name` ("nn.Linear"). */
bool qg_torch7_is(const qg_torch7_node *node, const char *name);

/* The value of a table's key, a string or a whole number; NULL: not there, or no table. */
const qg_torch7_node *qg_torch7_field(const qg_torch7 *file, const qg_torch7_node *table,
                                      const char *key);
const qg_torch7_node *qg_torch7_element(const qg_torch7 *file, const qg_torch7_node *table,
                                        int index);

/* Value `index` of a torch.LongStorage; -1: it is none, or has no such value. */
int64_t qg_torch7_long(const qg_torch7 *file, const qg_torch7_node *storage, size_t index);

#define QG_TORCH7_RANK 8 /* dimensions that a tensor may have */

/* Sizes of a tensor, [dimensions] of shape; -1: no tensor of floats or doubles, or its storage does
 * not hold it. The product of the sizes is no overflow. */
int qg_torch7_shape(const qg_torch7 *file, const qg_torch7_node *tensor,
                    size_t shape[QG_TORCH7_RANK]);

/* All values of a tensor that has a shape, in row-major order, doubles rounded to the nearest
 * float, which is added to `rounding`. False: one of them is not finite as float. */
bool qg_torch7_floats(const qg_torch7 *file, const qg_torch7_node *tensor, float *values,
                      qg_rounding *rounding);

#endif
