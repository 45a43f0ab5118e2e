/* Feeds the safetensors reader with whatever libFuzzer thinks of.
 *
 *   CC=clang meson setup build/fuzz -Dfuzz=true && ninja -C build/fuzz tests/fuzz_safetensors
 *   mkdir -p build/corpus && build/fuzz/tests/fuzz_safetensors -max_total_time=120 -max_len=4096 \
 *       -dict=tests/fuzz/safetensors.dict build/corpus tests/fuzz/corpus/safetensors
 */
#include "fuzz.h"

#include "network/safetensors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Everything that a reader promises of a file that it accepted. */
static void check_accepted(const qg_tensors *tensors)
{
    volatile uint8_t sum = 0; /* touches every byte, for the sanitizer */
    for (size_t i = 0; i < qg_tensors_count(tensors); i++) {
        const qg_tensor *t = qg_tensors_at(tensors, i);
        assert(t->data && (uintptr_t)t->data % 8 == 0);
        assert(qg_tensors_find(tensors, t->name) == t);
        const uint8_t *bytes = t->data;
        for (size_t b = 0; b < qg_tensor_bytes(t); b++)
            sum = (uint8_t)(sum + bytes[b]);
        qg_error error;
        const qg_tensor *found;
        const size_t any[QG_TENSOR_RANK] = {0};
        const qg_status status =
            qg_tensors_require(tensors, "fuzz", t->name, t->dtype, t->rank, any, &found, &error);
        assert(status == QG_OK || t->dtype == QG_F32);
        (void)status;
    }
    const char *key = NULL;
    while ((key = qg_tensors_next_key(tensors, key)) != NULL)
        assert(qg_tensors_metadata(tensors, key));
}

static void parse(const uint8_t *data, size_t size, const uint64_t *header_size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) return;
    memcpy(copy, data, size);
    if (header_size) memcpy(copy, header_size, sizeof *header_size);
    qg_tensors *tensors;
    qg_error error;
    const qg_status status = qg_tensors_parse("fuzz", copy, size, &tensors, &error);
    assert((status == QG_OK) == (tensors != NULL));
    fuzz_taken += status == QG_OK;
    if (status == QG_OK)
        check_accepted(tensors);
    else
        assert(strncmp(error.message, "fuzz: ", 6) == 0 || status == QG_ERROR_MEMORY);
    qg_tensors_free(tensors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse(data, size, NULL);
    if (size <= 8) return 0;
    /* Most mutations change the length of the header: a second look with one that fits. */
    uint64_t header_size;
    memcpy(&header_size, data, sizeof header_size);
    if (header_size <= size - 8) return 0;
    header_size = header_size % 16 < size - 8 ? size - 8 - header_size % 16 : size - 8;
    parse(data, size, &header_size);
    return 0;
}
