/* What a file is that is not what it should be: people hand over other programs' files, downloads
 * that went wrong, and what a crash left. A reader that refuses a file asks here, so that its one
 * line says what the file is and what makes the right one of it. */
#ifndef QG_FILE_KIND_H
#define QG_FILE_KIND_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>

#define QG_FILE_KIND_BYTES 512 /* of the beginning of a file: enough to tell */

typedef enum qg_file_kind {
    QG_FILE_OTHER, /* nothing that is known */
    QG_FILE_EMPTY,
    QG_FILE_NULS, /* NUL bytes */
    QG_FILE_LFS,  /* the pointer that Git LFS keeps in place of a file */
    QG_FILE_PAGE, /* HTML or XML, a server's answer */
    QG_FILE_SB3,  /* Stable-Baselines3's zip */
    QG_FILE_TORCH,
    QG_FILE_TORCH_ZIP,
    QG_FILE_TORCH7,
    QG_FILE_PICKLE,
    QG_FILE_NPZ,
    QG_FILE_NPY,
    QG_FILE_HDF5,
    QG_FILE_ZIP,
    QG_FILE_PACKED, /* gzip, xz, ..., tar */
    QG_FILE_SAFETENSORS,
    QG_FILE_CHECKPOINT,     /* of a run of this program */
    QG_FILE_SAMPLES,        /* of a distillation of this program */
    QG_FILE_REPLAY,         /* of a training of this program */
    QG_FILE_PROGRAM,        /* ELF */
    QG_FILE_OTHERS_PROGRAM, /* of Windows or macOS */
    QG_FILE_ARCHIVE,        /* ar: a static library */
    QG_FILE_UTF16,
    QG_FILE_MARKED_TEXT, /* with a byte order mark */
    QG_FILE_TEXT,
} qg_file_kind;

/* Of a file's first `size` bytes; more than QG_FILE_KIND_BYTES are not looked at. */
qg_file_kind qg_file_kind_of(const void *data, size_t size);

/* Whether it is text, in whatever form, that is neither a page nor a pointer. */
bool qg_file_kind_is_text(qg_file_kind kind);

/* Whether a reader of plain text may have a look at it: plain text, nothing, or nothing known. */
bool qg_file_kind_is_plain(qg_file_kind kind);

const char *qg_file_kind_name(qg_file_kind kind); /* "a Git LFS pointer"; OTHER: "something else" */
const char *qg_file_kind_mend(qg_file_kind kind); /* "run 'git lfs pull'"; NULL: no way that is sure
                                                   */

/* The line of Python that makes a safetensors file of it, and what to do then; NULL: there is none.
 */
const char *qg_file_kind_to_tensors(qg_file_kind kind);

/* "PATH: not WANTED, but NAME: HINT"; `wanted` as "a checkpoint", `hint` NULL: as
 * qg_file_kind_mend. Returns `code`. A path is cut after 200 bytes, so that the hint is whole. */
qg_status qg_fail_kind(qg_error *error, qg_status code, const char *path, const char *wanted,
                       qg_file_kind kind, const char *hint);

#endif
