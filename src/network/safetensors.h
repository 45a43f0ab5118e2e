/* safetensors: named tensors and string metadata in one file that PyTorch, JAX and numpy read.
 *
 * Layout: u64 little-endian N, N bytes of JSON (name -> dtype, shape, data_offsets; __metadata__:
 * string -> string), then the data, row-major little-endian, without holes or overlaps. */
#ifndef QG_SAFETENSORS_H
#define QG_SAFETENSORS_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QG_TENSOR_RANK 8

/* All that safetensors 0.8 has. Values of fewer than 8 bits lie side by side in the bytes. */
typedef enum qg_dtype {
    QG_F32,
    QG_U8,
    QG_I64,
    QG_F16,
    QG_BF16,
    QG_F64,
    QG_BOOL,
    QG_I8,
    QG_I16,
    QG_U16,
    QG_I32,
    QG_U32,
    QG_U64,
    QG_C64, /* two F32 */
    QG_F8_E4M3,
    QG_F8_E4M3FNUZ,
    QG_F8_E5M2,
    QG_F8_E5M2FNUZ,
    QG_F8_E8M0,
    QG_F6_E2M3,
    QG_F6_E3M2,
    QG_F4,
} qg_dtype;

typedef struct qg_tensor {
    const char *name; /* UTF-8 without control characters, so that it can be printed */
    qg_dtype dtype;
    int rank; /* 0: one value */
    size_t shape[QG_TENSOR_RANK];
    size_t elements;
    const void *data; /* `elements` values of dtype; in a file that was read aligned to 8 bytes, and
                       * never NULL, not even without elements */
} qg_tensor;

typedef struct qg_tensors qg_tensors; /* an ordered set of tensors, and the metadata */

qg_tensors *qg_tensors_new(void);          /* empty, for writing; NULL: no memory */
void qg_tensors_free(qg_tensors *tensors); /* NULL is allowed */

/* Reads and checks a whole file: header at most 100 MB, offsets inside the data without overlap or
 * hole, no duplicate name, shape times size equal to the bytes, at most 16 GiB. Every message
 * begins with the path. */
qg_status qg_tensors_load(const char *path, qg_tensors **tensors, qg_error *error);

/* The same from memory (for fuzzing); takes over `data` (malloc'ed) whatever it returns. */
qg_status qg_tensors_parse(const char *path, uint8_t *data, size_t size, qg_tensors **tensors,
                           qg_error *error);

/* The tensors in the order of their data. Pointers hold until the next add or free. */
size_t qg_tensors_count(const qg_tensors *tensors);
const qg_tensor *qg_tensors_at(const qg_tensors *tensors, size_t index);
const qg_tensor *qg_tensors_find(const qg_tensors *tensors, const char *name); /* NULL: none */

/* Tensor `name` of exactly this dtype and shape, or an error that names both shapes. A dimension
 * given as 0 accepts any size. F32 tensors with a value that is not finite are refused. */
qg_status qg_tensors_require(const qg_tensors *tensors, const char *path, const char *name,
                             qg_dtype dtype, int rank, const size_t *shape,
                             const qg_tensor **tensor, qg_error *error);

const char *qg_dtype_name(qg_dtype dtype);       /* "F32" */
size_t qg_tensor_bytes(const qg_tensor *tensor); /* of its data */

const char *qg_tensors_metadata(const qg_tensors *tensors, const char *key); /* NULL: none */

/* All metadata keys in order: the one behind `key`, which is one that this gave; NULL: the first,
 * and behind the last. */
const char *qg_tensors_next_key(const qg_tensors *tensors, const char *key);

/* Adds a tensor; the name (UTF-8, no control characters) is copied, the data borrowed until the
 * save. QG_ERROR_MEMORY is the only failure: a name that is there already or is "__metadata__", and
 * a shape whose product overflows, are programming errors. Some readers (not this one) want every
 * tensor aligned to its values: add U8 tensors last. */
qg_status qg_tensors_add(qg_tensors *tensors, const char *name, qg_dtype dtype, int rank,
                         const size_t *shape, const void *data, qg_error *error);

/* Whether a text can be a value: whether it is UTF-8. */
bool qg_tensors_takes(const char *value);

/* Sets or replaces a value. QG_ERROR_DATA when the key has control characters or one of both is not
 * UTF-8 (a file name may be). */
qg_status qg_tensors_set_metadata(qg_tensors *tensors, const char *key, const char *value,
                                  qg_error *error);

/* Writes the file anew, complete or not at all (qg_file_replace): metadata, then the tensors in the
 * order in which they were added; the same content gives the same bytes. */
qg_status qg_tensors_save(const qg_tensors *tensors, const char *path, qg_error *error);

#endif
