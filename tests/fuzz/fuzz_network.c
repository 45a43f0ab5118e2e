/* Feeds the readers of networks: qgraft's own, and state dicts of other programs. */
#include "fuzz.h"

#include "network/foreign.h"

#include <math.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    return 0;
}

/* What was accepted is a network, and the same one when it is saved and loaded again. */
static void check_network(const qg_network *network, const qg_network_info *info)
{
    const char *path = scratch_path("again.safetensors");
    const size_t count = qg_architecture_parameters(&network->architecture);
    for (size_t i = 0; i < count; i++)
        CHECK(isfinite(network->parameters[i]));
    qg_network again;
    qg_network_info its;
    qg_error error;
    CHECK(qg_network_save(path, network, info, &error) == QG_OK);
    CHECK(qg_network_load(path, &again, &its, &error) == QG_OK);
    CHECK(qg_architecture_equal(&network->architecture, &again.architecture));
    CHECK(memcmp(network->parameters, again.parameters, count * sizeof(float)) == 0);
    CHECK(strcmp(info->domain, its.domain) == 0 && info->step == its.step);
    qg_network_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = scratch_path("network.safetensors");
    scratch_write(path, data, size);
    qg_network network = {0};
    qg_network_info info;
    qg_error error;
    qg_status status = qg_network_load(path, &network, &info, &error);
    check_said(status, &error);
    if (status == QG_OK) {
        check_network(&network, &info);
        qg_network_free(&network);
    }
    qg_foreign_format format = QG_FOREIGN_UNKNOWN;
    qg_rounding rounding;
    status = qg_foreign_load(path, &format, &network, &rounding, &error);
    check_said(status, &error);
    if (status != QG_OK) return 0;
    const size_t count = qg_architecture_parameters(&network.architecture);
    for (size_t i = 0; i < count; i++)
        CHECK(isfinite(network.parameters[i]));
    CHECK(format != QG_FOREIGN_UNKNOWN && rounding.changed <= rounding.values);
    qg_network_free(&network);
    return 0;
}
