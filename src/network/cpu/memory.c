#include "network/cpu/memory.h"

#include "network/cpu/geometry.h"
#include "network/cpu/norm.h"
#include "network/optimiser.h"
#include "network/tiles/tile_permission.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static size_t weight_block(const qg_plan *plan)
{
    return (size_t)plan->panels * (size_t)plan->k_count * QG_PANEL;
}

static void place_parameters(qg_cpu *cpu)
{
    size_t at = 0;
    for (int i = 0; i < cpu->architecture.layer_count; i++) {
        cpu->weights_at[i] = at;
        at += weight_block(&cpu->plans[i]);
        cpu->biases_at[i] = at;
        at += (size_t)cpu->plans[i].panels * QG_PANEL;
    }
    cpu->parameter_count = at;
}

static size_t round_up(size_t count)
{
    return (count + QG_PANEL - 1) / QG_PANEL * QG_PANEL;
}

/* Floats a thread needs: the turned weights of an input gradient, or the weight gradients between
 * two visits of the optimiser. */
static size_t find_scratch_size(const qg_cpu *cpu)
{
    const size_t side = (size_t)cpu->kernels[0]->panels * QG_PANEL;
    size_t most = 0;
    for (int i = 0; i < cpu->architecture.layer_count; i++) {
        const qg_plan *plan = &cpu->plans[i];
        const size_t taps = (size_t)(plan->kernel * plan->kernel);
        const size_t turned = taps * (size_t)plan->outputs * side;
        const size_t block = plan->pixels == 1 ? QG_LINEAR_BLOCK * side : weight_block(plan);
        if (turned > most) most = turned;
        if (block > most) most = block;
    }
    return round_up(most);
}

/* The next `count` floats of the block, *used of which are given away. */
static float *take(const qg_cpu *cpu, size_t *used, size_t count)
{
    float *floats = cpu->memory ? cpu->memory + *used : NULL;
    *used += round_up(count);
    return floats;
}

/* Divides the block; returns its size in floats. Without a block all places are NULL. */
static size_t divide(qg_cpu *cpu, const qg_engine_options *options, int threads)
{
    const int layers = cpu->architecture.layer_count;
    const size_t batch = (size_t)cpu->max_batch;
    const bool learns = options->optimiser != QG_NO_OPTIMISER;
    size_t used = 0;
    for (qg_parameter_set set = QG_ONLINE; set < QG_PARAMETER_SETS; set++)
        if (qg_engine_holds(options, set))
            cpu->parameters[set] = take(cpu, &used, cpu->parameter_count);
    for (qg_parameter_set set = QG_ONLINE; set <= QG_TARGET; set++) {
        cpu->operands[set] = cpu->parameters[set];
        if (cpu->bf16 && qg_engine_holds(options, set))
            cpu->operands[set] = take(cpu, &used, cpu->parameter_count);
    }
    for (int i = 0; i < layers; i++) {
        cpu->activations[i] = take(cpu, &used, batch * cpu->plans[i].in_image);
        if (learns) cpu->gradients[i] = take(cpu, &used, batch * cpu->plans[i].grad_image);
        if (learns && cpu->architecture.layers[i].norm)
            cpu->normed[i] = take(cpu, &used, batch * qg_norm_image(&cpu->plans[i]));
    }
    cpu->windows = /* two floats' room each */
        (uint64_t *)(void *)take(cpu, &used, 2 * batch * (size_t)cpu->plans[0].pixels);
    cpu->activations[layers] = take(cpu, &used, batch * cpu->plans[layers - 1].out_image);
    if (!learns) return used;
    cpu->loss = take(cpu, &used, 2 * batch * (size_t)cpu->architecture.actions);
    cpu->scratch_size = find_scratch_size(cpu);
    cpu->scratch = take(cpu, &used, (size_t)threads * cpu->scratch_size);
    return used;
}

/* All memory is one zeroed block of large pages (where the kernel has them to give): a tile reads
 * from more small pages at once than the processor has translations for. */
static qg_status allocate(qg_cpu *cpu, const qg_engine_options *options, qg_error *error)
{
    const size_t page = (size_t)2 << 20;
    const int threads = qg_team_size(cpu->team);
    cpu->sparse = calloc((size_t)cpu->max_batch, sizeof *cpu->sparse);
    const size_t bytes = divide(cpu, options, threads) * sizeof(float);
    const size_t size = (bytes + page - 1) / page * page;
    cpu->memory = aligned_alloc(page, size);
    if (!cpu->sparse || !cpu->memory) return qg_fail_memory(error, "an engine", size);
    madvise(cpu->memory, size, MADV_HUGEPAGE);
    memset(cpu->memory, 0, size);
    divide(cpu, options, threads);
    return QG_OK;
}

/* The format that is called bf16: which layers' products are of it. The last layer's outputs differ
 * least between actions, and it costs next to nothing. */
static bool is_bf16(const qg_architecture *a, int layer)
{
    return layer + 1 < a->layer_count;
}

/* What bf16 changes in the plans: see kernels.h. */
static void set_formats(qg_cpu *cpu)
{
    const int layers = cpu->architecture.layer_count;
    for (int i = 0; i < layers; i++) {
        qg_plan *plan = &cpu->plans[i];
        plan->bytes = i == 0 && is_bf16(&cpu->architecture, i);
        plan->in_scale = plan->bytes && cpu->architecture.input_max > 1 ? 1 / 255.0f : 1;
        cpu->rounds[i] = i + 1 < layers && is_bf16(&cpu->architecture, i + 1);
        plan->round_out = cpu->rounds[i] && !cpu->architecture.layers[i].norm;
        plan->round_below = i > 0 && is_bf16(&cpu->architecture, i - 1);
        /* Full cells of one chunk must have no empty one between them: a chunk is one sum. */
        if (is_bf16(&cpu->architecture, i) && plan->cell % QG_PANEL &&
            (plan->cells > 2 || plan->cell % 2))
            plan->cells = 0;
    }
}

/* All that needs no memory but the plans'. */
static qg_status make_plans(qg_cpu *cpu, const qg_engine_options *options, bool bf16,
                            qg_error *error)
{
    const char *isa = options->machine.isa;
    cpu->architecture = *options->architecture;
    cpu->max_batch = options->max_batch;
    cpu->bf16 = bf16;
    for (int i = 0; i < cpu->architecture.layer_count; i++)
        cpu->kernels[i] = qg_kernels_select(isa, bf16 && is_bf16(&cpu->architecture, i));
    if (!cpu->kernels[0])
        return qg_fail(
            error, QG_ERROR_USAGE,
            "instruction set '%s' is not to be had on this machine in %s (portable%s%s%s)", isa,
            bf16 ? "bf16" : "float32", qg_kernels_select("avx2", false) ? ", avx2" : "",
            qg_kernels_select("avx512", false) ? ", avx512" : "",
            bf16 && qg_tiles_here() ? ", amx" : "");
    const qg_status status =
        qg_plan_make(&cpu->architecture, cpu->kernels[0]->rows, cpu->plans, error);
    if (status) return status;
    place_parameters(cpu);
    if (bf16) set_formats(cpu);
    return QG_OK;
}

/* One state at a time is not worth waking others for. */
static int threads_of(const qg_engine_options *options)
{
    const bool alone = options->max_batch == 1 && options->optimiser == QG_NO_OPTIMISER;
    return options->machine.threads && !alone ? options->machine.threads : 1;
}

static void free_plans(qg_cpu *cpu)
{
    for (int i = 0; i < QG_MAX_LAYERS; i++)
        qg_plan_free(&cpu->plans[i]);
}

qg_status qg_cpu_bytes(const qg_engine_options *options, bool bf16, size_t *bytes, qg_error *error)
{
    qg_cpu cpu = {0};
    const qg_status status = make_plans(&cpu, options, bf16, error);
    if (!status)
        *bytes = sizeof cpu + (size_t)options->max_batch * sizeof *cpu.sparse +
                 divide(&cpu, options, threads_of(options)) * sizeof(float);
    free_plans(&cpu);
    return status;
}

qg_status qg_cpu_create(const qg_engine_options *options, bool bf16, qg_cpu **result,
                        qg_error *error)
{
    qg_cpu *cpu = calloc(1, sizeof *cpu);
    if (!cpu) return qg_fail_memory(error, "an engine", sizeof *cpu);
    qg_status status = make_plans(cpu, options, bf16, error);
    if (!status) status = qg_team_create(threads_of(options), &cpu->team, error);
    if (!status) status = allocate(cpu, options, error);
    if (status)
        qg_cpu_destroy(cpu);
    else
        *result = cpu;
    return status;
}

void qg_cpu_destroy(qg_cpu *cpu)
{
    free_plans(cpu);
    free(cpu->sparse);
    free(cpu->memory);
    qg_team_destroy(cpu->team);
    free(cpu);
}
