/* Feeds the reader of Torch7's files. What is accepted is a whole network. */
#include "fuzz.h"

#include "network/torch7_network.h"

#include <math.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = scratch_path("network.t7");
    scratch_write(path, data, size);
    qg_network network = {0};
    qg_rounding rounding;
    const char *part;
    qg_error error;
    const qg_status status = qg_torch7_network_load(path, &network, &part, &rounding, &error);
    check_said(status, &error);
    if (status != QG_OK) return 0;
    const qg_architecture *const a = &network.architecture;
    const size_t count = qg_architecture_parameters(a);
    for (size_t i = 0; i < count; i++)
        CHECK(isfinite(network.parameters[i]));
    CHECK(a->layers[a->layer_count - 1].outputs == a->actions);
    CHECK(rounding.changed <= rounding.values && rounding.values <= count);
    qg_network_free(&network);
    return 0;
}
