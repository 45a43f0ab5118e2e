#include "network/cpu/forward.h"

#include "network/cpu/heads.h"
#include "network/cpu/norm.h"

#include <string.h>

enum {
    IMAGE_GROUP = 2, /* images that go through all convolutions together: their activations fit the
                        second cache */
};

static int convolutions(const qg_cpu *cpu)
{
    int count = 0;
    while (cpu->architecture.layers[count].kind == QG_CONV)
        count++;
    return count;
}

static uint64_t *windows_of(const qg_cpu *cpu, int image)
{
    return cpu->windows + (size_t)image * (size_t)cpu->plans[0].pixels;
}

/* A vector's input: floats [parts][part_channels] as they are; a part that is not there is zeros.
 */
static void copy_vector(const qg_states *states, int image, float *out)
{
    const uint8_t *const *screens = states->screens + (size_t)image * (size_t)states->parts;
    const size_t bytes = (size_t)states->part_channels * sizeof *out;
    for (int p = 0; p < states->parts; p++, out += states->part_channels)
        if (screens[p])
            memcpy(out, screens[p], bytes);
        else
            memset(out, 0, bytes);
}

static void convert_image(const qg_cpu *cpu, const qg_states *states, int image, int slot)
{
    const qg_architecture *a = &cpu->architecture;
    const qg_plan *plan = &cpu->plans[0];
    const bool conv = a->layers[0].kind == QG_CONV;
    const int row = conv ? plan->in_row : a->width * a->channels;
    float *out = cpu->activations[0] + (size_t)slot * plan->in_image;
    if (states->parts * states->part_channels < a->channels) /* an earlier state may have more */
        memset(out, 0, plan->in_image * sizeof *out);
    if (conv) out += plan->padding * (row + a->channels);
    if (a->input_max == 0)
        copy_vector(states, image, out);
    else
        cpu->kernels[0]->convert(states->screens + (size_t)image * (size_t)states->parts,
                                 states->parts, states->part_channels, a->height, a->width,
                                 plan->bytes ? 1 : a->input_max, a->channels, row, out);
    if (plan->cells > 0)
        cpu->sparse[slot] = cpu->kernels[0]->find_cells(
            plan, cpu->activations[0] + (size_t)slot * plan->in_image, windows_of(cpu, slot));
}

const uint64_t *qg_cpu_windows(const qg_cpu *cpu, int l, int begin, int end)
{
    bool sparse = false;
    for (int image = begin; image < end; image++)
        sparse |= cpu->sparse[image];
    return l == 0 && sparse ? windows_of(cpu, begin) : NULL;
}

/* Images [begin, end) through the convolutions, a group at a time. Where they are not kept every
 * group's activations but for the last layer's outputs use the same place. */
static void forward_images(qg_cpu *cpu, const float *parameters, const qg_states *states, int begin,
                           int end, const qg_dropout *kept, int member)
{
    const int convs = convolutions(cpu);
    for (int group = begin; group < end; group += IMAGE_GROUP) {
        const int count = end - group < IMAGE_GROUP ? end - group : IMAGE_GROUP;
        for (int i = 0; i < count; i++)
            convert_image(cpu, states, group + i, convs == 0 || kept ? group + i : begin + i);
        qg_cpu_lap(cpu, member, QG_WORK_CONVERT, 0);
        for (int l = 0; l < convs; l++) {
            const qg_plan *plan = &cpu->plans[l];
            const int from = kept ? group : begin, to = kept || l + 1 == convs ? group : begin;
            cpu->kernels[l]->forward(
                plan, cpu->activations[l] + (size_t)from * plan->in_image,
                qg_cpu_windows(cpu, l, from, from + count), parameters + cpu->weights_at[l],
                parameters + cpu->biases_at[l],
                cpu->activations[l + 1] + (size_t)to * plan->out_image, count, 0, plan->panels);
            qg_norm_forward(cpu, l, to, to + count, kept);
            if (kept) qg_dropout_apply(cpu, kept, l, group, group + count);
            qg_cpu_lap(cpu, member, QG_WORK_FORWARD, l);
        }
    }
}

static void forward_linear(qg_cpu *cpu, const float *parameters, int layer, int images, int member,
                           int members)
{
    const qg_plan *plan = &cpu->plans[layer];
    int begin, end;
    qg_team_share(plan->panels, member, members, &begin, &end);
    cpu->kernels[layer]->forward(
        plan, cpu->activations[layer], NULL, parameters + cpu->weights_at[layer],
        parameters + cpu->biases_at[layer], cpu->activations[layer + 1], images, begin, end);
}

void qg_cpu_forward_team(qg_cpu *cpu, const float *parameters, const qg_states *states,
                         const qg_dropout *kept, int member)
{
    const int members = qg_team_size(cpu->team);
    int begin, end;
    qg_team_share(states->size, member, members, &begin, &end);
    forward_images(cpu, parameters, states, begin, end, kept, member);
    for (int l = convolutions(cpu); l < cpu->architecture.layer_count; l++) {
        qg_team_barrier(cpu->team);
        forward_linear(cpu, parameters, l, states->size, member, members);
        const bool drops = kept && qg_dropout_of(&cpu->architecture, kept, l) > 0;
        if (drops || cpu->architecture.layers[l].norm) {
            qg_team_barrier(cpu->team);
            qg_norm_forward(cpu, l, begin, end, kept);
            if (drops) qg_dropout_apply(cpu, kept, l, begin, end);
        }
        qg_cpu_lap(cpu, member, QG_WORK_FORWARD, l);
    }
    qg_team_barrier(cpu->team);
}

void qg_cpu_q_values(const qg_cpu *cpu, int size, float *q_values)
{
    const int last = cpu->architecture.layer_count - 1;
    qg_heads_join(&cpu->architecture, cpu->activations[last + 1], cpu->plans[last].out_image, size,
                  q_values);
}

typedef struct forward_job {
    qg_cpu *cpu;
    const float *parameters;
    const qg_states *states;
    const qg_dropout *kept;
} forward_job;

static void run_forward(void *context, int member)
{
    const forward_job *job = context;
    qg_cpu_forward_team(job->cpu, job->parameters, job->states, job->kept, member);
}

/* Acting: one state, without waking the team. */
static void forward_one(qg_cpu *cpu, const float *parameters, const qg_states *states)
{
    forward_images(cpu, parameters, states, 0, 1, NULL, 0);
    for (int l = convolutions(cpu); l < cpu->architecture.layer_count; l++) {
        forward_linear(cpu, parameters, l, 1, 0, 1);
        qg_norm_forward(cpu, l, 0, 1, false);
    }
}

void qg_cpu_forward(qg_cpu *cpu, qg_parameter_set set, const qg_states *states, float *q_values)
{
    forward_job job = {cpu, cpu->operands[set], states, NULL};
    qg_cpu_start_laps(cpu);
    if (states->size == 1)
        forward_one(cpu, job.parameters, states);
    else
        qg_team_run(cpu->team, run_forward, &job);
    qg_cpu_q_values(cpu, states->size, q_values);
}

/* One image's outputs of a layer, out of the next layer's input: true channels only, and turned
 * from channels last to channel-major. */
static void copy_outputs(const qg_cpu *cpu, int layer, int image, float *out)
{
    const qg_plan *plan = &cpu->plans[layer];
    const float *from = cpu->activations[layer + 1] + (size_t)image * plan->out_image;
    for (int c = 0; c < cpu->architecture.layers[layer].outputs; c++)
        for (int pixel = 0; pixel < plan->pixels; pixel++)
            *out++ = from[plan->pixel_out[pixel] + c];
}

void qg_cpu_activations(qg_cpu *cpu, qg_parameter_set set, const qg_states *states,
                        float *const out[QG_MAX_LAYERS])
{
    static const qg_dropout none = {0};
    forward_job job = {cpu, cpu->operands[set], states, &none};
    qg_team_run(cpu->team, run_forward, &job);
    for (int l = 0; l < cpu->architecture.layer_count; l++)
        for (int i = 0; i < states->size && out[l]; i++)
            copy_outputs(cpu, l, i,
                         out[l] + (size_t)i * qg_layer_width(&cpu->architecture.layers[l]));
}
