/* Feeds the readers of networks: qgraft's own, and state dicts of other programs. */
#include "fuzz.h"

#include "network/foreign.h"

#include <qgraft/engine.h>

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

/* An engine holds a small one as it is, and acts with it: here on one state of zeros. */
static void check_engine(const qg_network *network)
{
    const qg_architecture *a = &network->architecture;
    size_t most =
        qg_architecture_parameters(a) + (size_t)a->channels * (size_t)a->height * (size_t)a->width;
    for (int l = 0; l < a->layer_count; l++)
        most += (size_t)a->layers[l].outputs * (size_t)a->layers[l].out_height *
                (size_t)a->layers[l].out_width;
    if (most > 1 << 14) return;
    const qg_engine_options options = {.architecture = a, .max_batch = 1};
    qg_engine *engine;
    qg_error error;
    float q_values[1 << 14];
    const uint8_t *const screens[] = {NULL};
    const qg_states states = {
        .size = 1, .parts = 1, .part_channels = a->channels, .screens = screens};
    CHECK(qg_engine_create(&options, &engine, &error) == QG_OK);
    CHECK(qg_engine_write(engine, QG_ONLINE, network, &error) == QG_OK);
    qg_network held;
    CHECK(qg_network_create(a, &held, &error) == QG_OK);
    CHECK(qg_engine_read(engine, QG_ONLINE, &held, &error) == QG_OK);
    CHECK(memcmp(network->parameters, held.parameters,
                 qg_architecture_parameters(a) * sizeof(float)) == 0);
    qg_network_free(&held);
    CHECK(qg_engine_forward(engine, QG_ONLINE, &states, q_values, &error) == QG_OK);
    qg_engine_destroy(engine);
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
        check_engine(&network);
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
