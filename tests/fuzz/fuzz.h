/* What the fuzz targets share: checks that end the process, and files with what libFuzzer thinks of
 * in a folder of the target's own (TMPDIR; scripts/fuzz.sh puts it into memory). */
#ifndef QG_FUZZ_H
#define QG_FUZZ_H

#include "../unit/scratch.h"

#include <qgraft/error.h>

#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Inputs that a reader has taken: of a corpus that all of its readers refuse nothing is tested, as
 * where a format has moved on. */
__attribute__((weak)) int fuzz_taken;

/* A result is QG_OK, or has an error of one line that says what and where. */
static inline void check_said(qg_status status, const qg_error *error)
{
    fuzz_taken += status == QG_OK;
    if (status == QG_OK) return;
    CHECK(error->code == status && error->message[0] && !strchr(error->message, '\n'));
}

static inline void remove_scratch(void)
{
    scratch_teardown(NULL);
}

/* The folder of the target, there from now on until the process ends. */
static inline void make_scratch(void)
{
    CHECK(scratch_setup(NULL) == 0);
    atexit(remove_scratch);
}

#endif
