#include "network/tiles/tile_engine.h"

#include "network/tiles/tile_descent.h"
#include "network/tiles/tile_forward.h"
#include "network/tiles/tile_memory.h"

static qg_status create(const qg_engine_options *options, void **self, qg_error *error)
{
    qg_tiles *tiles;
    const qg_status status = qg_tiles_create(options, &tiles, error);
    if (!status) *self = tiles;
    return status;
}

static void destroy(void *self)
{
    qg_tiles_destroy(self);
}

static const char *isa(const void *self)
{
    (void)self;
    return "amx";
}

static qg_status write_set(void *self, qg_parameter_set set, const qg_network *network,
                           qg_error *error)
{
    (void)error;
    qg_tiles_write(self, set, network);
    return QG_OK;
}

static qg_status read_set(const void *self, qg_parameter_set set, qg_network *network,
                          qg_error *error)
{
    (void)error;
    qg_tiles_read(self, set, network);
    return QG_OK;
}

static qg_status copy_to_target(void *self, qg_error *error)
{
    (void)error;
    qg_tiles_copy_to_target(self);
    return QG_OK;
}

static qg_status mix_into_target(void *self, float tau, qg_error *error)
{
    (void)error;
    qg_tiles_mix_into_target(self, tau);
    return QG_OK;
}

static qg_status forward(void *self, qg_parameter_set set, const qg_states *states, float *q_values,
                         qg_error *error)
{
    (void)error;
    qg_tiles_forward(self, set, states, q_values);
    return QG_OK;
}

static qg_status activations(void *self, qg_parameter_set set, const qg_states *states,
                             float *const out[QG_MAX_LAYERS], qg_error *error)
{
    (void)error;
    qg_tiles_activations(self, set, states, out);
    return QG_OK;
}

static qg_status descend(void *self, const qg_descent *descent, const bool *frozen,
                         const uint64_t *steps, qg_error *error)
{
    (void)error;
    qg_tiles_descend(self, descent, frozen, steps);
    return QG_OK;
}

static void take_times(void *self, qg_stopwatch *stopwatch)
{
    qg_tiles *tiles = self;
    tiles->stopwatch = stopwatch;
}

const qg_engine_class qg_bf16_tiles = {.name = "bf16",
                                       .exactness = {.same_bits = true, .error = 2e-2},
                                       .create = create,
                                       .destroy = destroy,
                                       .bytes = qg_tiles_bytes,
                                       .isa = isa,
                                       .write = write_set,
                                       .read = read_set,
                                       .copy_to_target = copy_to_target,
                                       .mix_into_target = mix_into_target,
                                       .forward = forward,
                                       .activations = activations,
                                       .descend = descend,
                                       .time = take_times};
