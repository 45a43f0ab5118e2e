/* The engines of the CPU's vectors inside, float32 and bf16: what their files share.
 *
 * Parameters lie in one aligned block per set (online, target, moments, gradient): for each layer
 * its weights [panel][K][16], then its biases [panel][16]. Activations and gradients of a batch lie
 * in one block per layer. See kernels/kernels.h for the layouts inside. A team of threads divides
 * the layers among itself; a call that ends in _team is made by every member. */
#ifndef QG_CPU_H
#define QG_CPU_H

#include <qgraft/engine.h>

#include "base/clock.h"
#include "base/team.h"
#include "network/cpu/kernels/kernels.h"
#include "network/stopwatch.h"

enum { QG_LINEAR_BLOCK = 96 }; /* k of a linear layer's panel between two visits of the optimiser */

typedef struct qg_cpu {
    qg_architecture architecture;
    qg_plan plans[QG_MAX_LAYERS];
    const qg_kernels *kernels[QG_MAX_LAYERS]; /* of a layer: its precision, one instruction set */
    bool bf16;                                /* are layers of it? */
    qg_team *team;
    int max_batch;
    bool rounds[QG_MAX_LAYERS]; /* are a layer's outputs to be bf16? */
    size_t weights_at[QG_MAX_LAYERS], biases_at[QG_MAX_LAYERS]; /* in a parameter block */
    size_t parameter_count;                                     /* floats of a block */
    float *memory;                                              /* of all that follows */
    float *parameters[QG_PARAMETER_SETS];                       /* NULL: not held */
    float *operands[QG_TARGET + 1]; /* what products take of online and target: the parameters, or
                                       a block of its own where some layers' are bf16 */
    float *activations[QG_MAX_LAYERS + 1]; /* inputs of layer i; the last: the q-values */
    float *gradients[QG_MAX_LAYERS];       /* of the outputs of layer i */
    float *normed[QG_MAX_LAYERS];          /* [max_batch]: see norm.h; NULL: not needed */
    uint64_t *windows; /* [max_batch][pixels] of the first layer: see find_cells */
    float *loss;       /* [2][max_batch][actions]: what a loss sees and writes */
    float *scratch;    /* [threads][scratch_size]: turned weights, weight gradients */
    size_t scratch_size;
    bool *sparse;            /* [max_batch] has the image an empty cell? */
    qg_stopwatch *stopwatch; /* NULL: no time is taken */
} qg_cpu;

static inline float *qg_cpu_scratch(const qg_cpu *cpu, int member)
{
    return cpu->scratch + (size_t)member * cpu->scratch_size;
}

/* The time since the last lap went into `work` for layer `l`. */
static inline void qg_cpu_lap(const qg_cpu *cpu, int member, qg_work work, int l)
{
    qg_stopwatch *stopwatch = cpu->stopwatch;
    if (!stopwatch || member != 0) return;
    const double now = qg_clock_seconds();
    stopwatch->seconds[work][l] += now - stopwatch->lap;
    stopwatch->lap = now;
}

static inline void qg_cpu_start_laps(const qg_cpu *cpu)
{
    if (cpu->stopwatch) cpu->stopwatch->lap = qg_clock_seconds();
}

#endif
