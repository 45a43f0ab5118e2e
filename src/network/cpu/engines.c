#include "network/cpu/engines.h"

#include "network/cpu/descent.h"
#include "network/cpu/exchange.h"
#include "network/cpu/forward.h"
#include "network/cpu/memory.h"
#include "network/tiles/tile_engine.h"
#include "network/tiles/tile_permission.h"

#include <string.h>

static qg_status create(const qg_engine_options *options, bool bf16, void **self, qg_error *error)
{
    qg_cpu *cpu;
    const qg_status status = qg_cpu_create(options, bf16, &cpu, error);
    if (!status) *self = cpu;
    return status;
}

static void destroy(void *self)
{
    qg_cpu_destroy(self);
}

static const char *isa(const void *self)
{
    const qg_cpu *cpu = self;
    return cpu->kernels[0]->name;
}

static qg_status write_set(void *self, qg_parameter_set set, const qg_network *network,
                           qg_error *error)
{
    (void)error;
    qg_cpu_write(self, set, network);
    return QG_OK;
}

static qg_status read_set(const void *self, qg_parameter_set set, qg_network *network,
                          qg_error *error)
{
    (void)error;
    qg_cpu_read(self, set, network);
    return QG_OK;
}

static qg_status copy_to_target(void *self, qg_error *error)
{
    (void)error;
    qg_cpu_copy_to_target(self);
    return QG_OK;
}

static qg_status mix_into_target(void *self, float tau, qg_error *error)
{
    (void)error;
    qg_cpu_mix_into_target(self, tau);
    return QG_OK;
}

static qg_status forward(void *self, qg_parameter_set set, const qg_states *states, float *q_values,
                         qg_error *error)
{
    (void)error;
    qg_cpu_forward(self, set, states, q_values);
    return QG_OK;
}

static qg_status activations(void *self, qg_parameter_set set, const qg_states *states,
                             float *const out[QG_MAX_LAYERS], qg_error *error)
{
    (void)error;
    qg_cpu_activations(self, set, states, out);
    return QG_OK;
}

static qg_status descend(void *self, const qg_descent *descent, const bool *frozen,
                         const uint64_t *steps, qg_error *error)
{
    (void)error;
    qg_cpu_descend(self, descent, frozen, steps);
    return QG_OK;
}

static void take_times(void *self, qg_stopwatch *stopwatch)
{
    qg_cpu *cpu = self;
    cpu->stopwatch = stopwatch;
}

static qg_status create_float32(const qg_engine_options *options, void **self, qg_error *error)
{
    return create(options, false, self, error);
}

static qg_status create_bf16(const qg_engine_options *options, void **self, qg_error *error)
{
    return create(options, true, self, error);
}

static qg_status bytes_float32(const qg_engine_options *options, size_t *bytes, qg_error *error)
{
    return qg_cpu_bytes(options, false, bytes, error);
}

static qg_status bytes_bf16(const qg_engine_options *options, size_t *bytes, qg_error *error)
{
    return qg_cpu_bytes(options, true, bytes, error);
}

/* On tiles, where there are any and no other instruction set is asked for. */
static const qg_engine_class *choose_bf16(const qg_engine_options *options)
{
#ifdef QG_TILES
    const char *isa = options->machine.isa;
    if (qg_tiles_here() && (!isa || strcmp(isa, "amx") == 0)) return &qg_bf16_tiles;
#endif
    (void)options;
    return &qg_bf16;
}

#define SHARED                                                                                     \
    .destroy = destroy, .isa = isa, .write = write_set, .read = read_set,                          \
    .copy_to_target = copy_to_target, .mix_into_target = mix_into_target, .forward = forward,      \
    .activations = activations, .descend = descend, .time = take_times

const qg_engine_class qg_float32 = {.name = "float32",
                                    .exactness = {.same_bits = true, .error = 1e-5},
                                    .takes_vectors = true,
                                    .create = create_float32,
                                    .bytes = bytes_float32,
                                    SHARED};
const qg_engine_class qg_bf16 = {.name = "bf16",
                                 .exactness = {.same_bits = true, .error = 2e-2},
                                 .choose = choose_bf16,
                                 .create = create_bf16,
                                 .bytes = bytes_bf16,
                                 SHARED};
