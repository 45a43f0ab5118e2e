#include "network/cpu/descent.h"

#include "network/cpu/forward.h"
#include "network/cpu/gradient_norm.h"
#include "network/cpu/heads.h"
#include "network/cpu/norm.h"
#include "network/optimiser.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct descent_job {
    qg_cpu *cpu;
    const qg_descent *descent;
    qg_dropout dropout;
    qg_adam adam[QG_MAX_LAYERS]; /* the step, of that optimiser */
    const bool *frozen;          /* [layers] */
    int lowest;                  /* the lowest layer that learns; layer_count: none does */
    qg_gradient_part *parts;     /* [threads] */
} descent_job;

/* ------------------------------------------------------------------------- the optimiser */

static void rmsprop(const qg_cpu *cpu, const qg_optimiser *optimiser, size_t at,
                    const float *gradient, size_t count)
{
    const qg_rmsprop settings = {optimiser->learning_rate, optimiser->rmsprop.decay,
                                 optimiser->rmsprop.epsilon};
    cpu->kernels[0]->rmsprop(&settings, cpu->parameters[QG_ONLINE] + at,
                             cpu->parameters[QG_MOMENT1] + at, cpu->parameters[QG_MOMENT2] + at,
                             gradient, count);
}

static void adam(const descent_job *job, int l, size_t at, const float *gradient, size_t count)
{
    const qg_cpu *cpu = job->cpu;
    cpu->kernels[0]->adam(&job->adam[l], cpu->parameters[QG_ONLINE] + at,
                          cpu->parameters[QG_MOMENT1] + at, cpu->parameters[QG_MOMENT2] + at,
                          gradient, count);
}

static bool gathers(const descent_job *job)
{
    return qg_gradient_gathers(job->descent->learning);
}

static void gather(const descent_job *job, size_t at, const float *gradient, size_t count)
{
    memcpy(job->cpu->parameters[QG_GRADIENT] + at, gradient, count * sizeof *gradient);
}

/* The step of `count` parameters of layer `l` from `at` on; l2: their weight decay. */
static void step(const descent_job *job, int l, size_t at, float *gradient, size_t count, float l2)
{
    const qg_cpu *cpu = job->cpu;
    const qg_optimiser optimiser = qg_optimiser_of_layer(job->descent->learning, l);
    const float *online = cpu->parameters[QG_ONLINE] + at;
    if (cpu->parameters[QG_PULL])
        qg_pull_back(online, cpu->parameters[QG_ANCHOR] + at, cpu->parameters[QG_PULL] + at,
                     gradient, count);
    for (size_t i = 0; i < count && l2 > 0; i++)
        gradient[i] = fmaf(-l2, online[i], gradient[i]);
    if (job->descent->keep_gradient && !gathers(job)) gather(job, at, gradient, count);
    switch (optimiser.kind) {
    case QG_RMSPROP_CENTRED:
        rmsprop(cpu, &optimiser, at, gradient, count);
        break;
    case QG_ADAM:
        adam(job, l, at, gradient, count);
        break;
    case QG_NO_OPTIMISER:
        assert(false);
    }
}

static void step_weights(const descent_job *job, int l, size_t at, float *gradient, size_t count)
{
    const qg_cpu *cpu = job->cpu;
    step(job, l, at, gradient, count, job->descent->learning->l2);
    if (cpu->bf16)
        cpu->kernels[l]->round(cpu->parameters[QG_ONLINE] + at, cpu->operands[QG_ONLINE] + at,
                               count);
}

static void step_biases(const descent_job *job, int l, size_t at, float *gradient, size_t count)
{
    const qg_cpu *cpu = job->cpu;
    step(job, l, at, gradient, count, 0);
    if (cpu->bf16)
        memcpy(cpu->operands[QG_ONLINE] + at, cpu->parameters[QG_ONLINE] + at,
               count * sizeof *gradient);
}

static void learn_from(const descent_job *job, int l, size_t at, float *gradient, size_t count,
                       bool biases)
{
    if (gathers(job))
        gather(job, at, gradient, count);
    else if (biases)
        step_biases(job, l, at, gradient, count);
    else
        step_weights(job, l, at, gradient, count);
}

/* ------------------------------------------------------------------------- backward */

/* Where weight k of a panel of layer `l` lies in a parameter block. */
static size_t weights_from(const qg_cpu *cpu, int l, int panel, int k)
{
    return cpu->weights_at[l] +
           ((size_t)panel * (size_t)cpu->plans[l].k_count + (size_t)k) * QG_PANEL;
}

/* Weight gradients of k tiles [tile0, tile1) and panels [panel0, panel1), followed by their step
 * while they are in the cache. */
static void learn_block(const descent_job *job, int l, int member, int tile0, int tile1, int panel0,
                        int panel1)
{
    const qg_cpu *cpu = job->cpu;
    const qg_plan *plan = &cpu->plans[l];
    const qg_k_tile *first = &plan->k_tiles[tile0], *last = &plan->k_tiles[tile1 - 1];
    const size_t count = (size_t)(last->k + last->size - first->k) * QG_PANEL;
    const int size = job->descent->states.size;
    float *gradient = qg_cpu_scratch(cpu, member);
    cpu->kernels[l]->weight_gradient(plan, cpu->activations[l], qg_cpu_windows(cpu, l, 0, size),
                                     cpu->gradients[l], gradient, size, tile0, tile1, panel0,
                                     panel1);
    if (cpu->architecture.layers[l].heads)
        qg_heads_mask(gradient, panel0, panel1, first->k, (int)(count / QG_PANEL),
                      cpu->architecture.layers[l].in_channels / 2);
    qg_cpu_lap(cpu, member, QG_WORK_WEIGHT_GRADIENT, l);
    for (int p = panel0; p < panel1; p++, gradient += count)
        learn_from(job, l, weights_from(cpu, l, p, first->k), gradient, count, false);
    qg_cpu_lap(cpu, member, QG_WORK_OPTIMISER, l);
}

/* This member's part of layer `l`: a convolution's at once, since its gradients are sums over all
 * images; a linear layer's tile by tile for some k. */
static void learn_weights(const descent_job *job, int l, int member, int members)
{
    const qg_cpu *cpu = job->cpu;
    const qg_plan *plan = &cpu->plans[l];
    const bool linear = plan->pixels == 1;
    int begin, end;
    qg_team_share(plan->k_tile_count, member, members, &begin, &end);
    const int tiles = linear ? QG_LINEAR_BLOCK / cpu->kernels[l]->rows : end - begin;
    const int panels = linear ? cpu->kernels[l]->panels : plan->panels;
    for (int tile = begin; tile < end; tile += tiles) {
        const int stop = end - tile < tiles ? end : tile + tiles;
        for (int p = 0; p < plan->panels; p += panels)
            learn_block(job, l, member, tile, stop, p,
                        plan->panels - p < panels ? plan->panels : p + panels);
    }
}

static void learn_biases(const descent_job *job, int l, int member, int members)
{
    const qg_cpu *cpu = job->cpu;
    const qg_plan *plan = &cpu->plans[l];
    int begin, end;
    qg_team_share(plan->panels, member, members, &begin, &end);
    float *gradient = qg_cpu_scratch(cpu, member);
    cpu->kernels[l]->bias_gradient(plan, cpu->gradients[l], gradient, job->descent->states.size,
                                   begin, end);
    learn_from(job, l, cpu->biases_at[l] + (size_t)begin * QG_PANEL,
               gradient + (size_t)begin * QG_PANEL, (size_t)(end - begin) * QG_PANEL, true);
    qg_cpu_lap(cpu, member, QG_WORK_WEIGHT_GRADIENT, l);
}

/* The gradient of the layer's inputs becomes the gradient of the outputs below. */
static void propagate(const descent_job *job, int l, int member, int members)
{
    const qg_cpu *cpu = job->cpu;
    const qg_plan *plan = &cpu->plans[l];
    const int side = cpu->kernels[l]->panels * QG_PANEL;
    const int groups = (plan->in_channels + side - 1) / side;
    int begin, end;
    qg_team_share(groups * plan->in_rows * plan->in_columns, member, members, &begin, &end);
    const float scale = 1 / (1 - qg_dropout_of(&cpu->architecture, &job->dropout, l - 1));
    cpu->kernels[l]->input_gradient(
        plan, cpu->gradients[l], cpu->operands[QG_ONLINE] + cpu->weights_at[l], cpu->activations[l],
        cpu->gradients[l - 1], scale, job->descent->states.size, begin, end,
        qg_cpu_scratch(cpu, member));
}

static void backward_team(const descent_job *job, int member)
{
    const qg_cpu *cpu = job->cpu;
    const int members = qg_team_size(cpu->team);
    for (int l = cpu->architecture.layer_count - 1; l >= job->lowest; l--) {
        if (cpu->architecture.layers[l].norm) {
            int begin, end;
            qg_team_share(job->descent->states.size, member, members, &begin, &end);
            qg_norm_backward(cpu, l, begin, end);
            qg_team_barrier(cpu->team);
            qg_cpu_lap(cpu, member, QG_WORK_INPUT_GRADIENT, l);
        }
        /* The layer's weights are read before they change. */
        if (l > job->lowest) {
            propagate(job, l, member, members);
            qg_team_barrier(cpu->team);
            qg_cpu_lap(cpu, member, QG_WORK_INPUT_GRADIENT, l);
        }
        if (job->frozen[l]) continue;
        learn_weights(job, l, member, members);
        learn_biases(job, l, member, members);
    }
}

/* ------------------------------------------------------------------------- the norm */

static void step_gathered(const descent_job *job, int member)
{
    const qg_cpu *cpu = job->cpu;
    const int members = qg_team_size(cpu->team);
    const float factor =
        qg_gradient_factor(cpu->team, member, cpu->parameters[QG_GRADIENT], cpu->parameter_count,
                           job->descent->learning->max_norm, job->parts);
    for (int l = job->lowest; l < cpu->architecture.layer_count; l++) {
        if (job->frozen[l]) continue;
        const size_t counts[] = {cpu->biases_at[l] - cpu->weights_at[l],
                                 (size_t)cpu->plans[l].panels * QG_PANEL};
        for (int part = 0; part < 2; part++) {
            size_t begin, end;
            qg_gradient_share(counts[part], member, members, &begin, &end);
            const size_t at = (part ? cpu->biases_at[l] : cpu->weights_at[l]) + begin;
            float *gradient = cpu->parameters[QG_GRADIENT] + at;
            for (size_t i = 0; i < end - begin && factor < 1; i++)
                gradient[i] *= factor;
            if (part)
                step_biases(job, l, at, gradient, end - begin);
            else
                step_weights(job, l, at, gradient, end - begin);
        }
        qg_cpu_lap(cpu, member, QG_WORK_OPTIMISER, l);
    }
}

/* ------------------------------------------------------------------------- the step */

static void take_loss(const descent_job *job)
{
    const qg_cpu *cpu = job->cpu;
    const int last = cpu->architecture.layer_count - 1;
    const qg_plan *plan = &cpu->plans[last];
    float *gradient = cpu->gradients[last];
    qg_heads_loss(job->descent, &cpu->architecture, cpu->activations[last + 1], plan->out_image,
                  cpu->loss, gradient, plan->grad_image);
    cpu->kernels[last]->round(gradient, gradient,
                              (size_t)job->descent->states.size * plan->grad_image);
}

static void run_descent(void *context, int member)
{
    const descent_job *job = context;
    qg_cpu *cpu = job->cpu;
    qg_cpu_forward_team(cpu, cpu->operands[QG_ONLINE], &job->descent->states, &job->dropout,
                        member);
    if (member == 0) take_loss(job);
    qg_team_barrier(cpu->team);
    qg_cpu_lap(cpu, member, QG_WORK_LOSS, 0);
    backward_team(job, member);
    if (!gathers(job)) return;
    qg_team_barrier(cpu->team);
    step_gathered(job, member);
}

void qg_cpu_descend(qg_cpu *cpu, const qg_descent *descent, const bool *frozen,
                    const uint64_t *steps)
{
    const qg_learning *learning = descent->learning;
    qg_gradient_part parts[QG_MAX_THREADS];
    descent_job job = {
        .cpu = cpu,
        .descent = descent,
        .frozen = frozen,
        .parts = parts,
        .dropout = {learning->dropout_conv, learning->dropout_linear, descent->draw}};
    if (learning->optimiser.kind == QG_ADAM)
        qg_list_adam(learning, cpu->architecture.layer_count, steps, job.adam);
    while (job.lowest < cpu->architecture.layer_count && frozen[job.lowest])
        job.lowest++;
    if (descent->keep_gradient || gathers(&job))
        memset(cpu->parameters[QG_GRADIENT], 0, cpu->parameter_count * sizeof(float));
    qg_cpu_start_laps(cpu);
    qg_team_run(cpu->team, run_descent, &job);
}
