/* The engine float32: forward, backward and RMSProp over the layers, divided among a team of
 * threads.
 *
 * Parameters lie in one aligned block per set (online, target, two moments, gradient): for each
 * layer its weights [panel][K][16], then its biases [panel][16]. Activations and gradients of a
 * batch lie in one block per layer. See kernels/kernels.h for the layouts inside. */
#include "network/cpu/float32.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/team.h"
#include "network/cpu/kernels/kernels.h"
#include "network/cpu/geometry.h"
#include "network/cpu/stopwatch.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    IMAGE_GROUP = 2,   /* images that go through all convolutions together: their activations fit
                          the second cache */
    LINEAR_BLOCK = 96, /* k of a linear layer's panel between two visits of RMSProp */
};

typedef struct qg_cpu {
    qg_architecture architecture;
    qg_plan plans[QG_MAX_LAYERS];
    const qg_kernels *kernels;
    qg_team *team;
    int max_batch;
    bool frozen[QG_MAX_LAYERS];
    size_t weights_at[QG_MAX_LAYERS], biases_at[QG_MAX_LAYERS]; /* in a parameter block */
    size_t parameter_count;                                     /* floats of a block */
    float *memory;                                              /* of all that follows */
    float *parameters[QG_PARAMETER_SETS];
    float *activations[QG_MAX_LAYERS + 1]; /* inputs of layer i; the last: the q-values */
    float *gradients[QG_MAX_LAYERS];       /* of the outputs of layer i */
    uint64_t *windows;       /* [max_batch][pixels] of the first layer: see find_cells */
    bool *sparse;            /* [max_batch] has the image an empty cell? */
    float **scratch;         /* one a thread: turned weights, weight gradients */
    float *q_next;           /* [max_batch][outputs of the last layer] */
    qg_stopwatch *stopwatch; /* NULL: no time is taken */
} qg_cpu;

/* ----------------------------------------------------------------- memory and parameters */

static size_t weight_block(const qg_plan *plan)
{
    return (size_t)plan->panels * (size_t)plan->k_count * QG_PANEL;
}

static void place_parameters(qg_cpu *engine)
{
    size_t at = 0;
    for (int i = 0; i < engine->architecture.layer_count; i++) {
        engine->weights_at[i] = at;
        at += weight_block(&engine->plans[i]);
        engine->biases_at[i] = at;
        at += (size_t)engine->plans[i].panels * QG_PANEL;
    }
    engine->parameter_count = at;
}

/* Floats a thread needs: the turned weights of an input gradient, or the weight gradients between
 * two visits of RMSProp. */
static size_t scratch_size(const qg_cpu *engine)
{
    const size_t side = (size_t)engine->kernels->panels * QG_PANEL;
    size_t most = 0;
    for (int i = 0; i < engine->architecture.layer_count; i++) {
        const qg_plan *plan = &engine->plans[i];
        const size_t taps = (size_t)(plan->kernel * plan->kernel);
        const size_t turned = taps * (size_t)plan->outputs * side;
        const size_t block = plan->pixels == 1 ? LINEAR_BLOCK * side : weight_block(plan);
        if (turned > most) most = turned;
        if (block > most) most = block;
    }
    return most;
}

/* The next `count` floats of the engine's block, *used of which are given away. */
static float *take(const qg_cpu *engine, size_t *used, size_t count)
{
    float *floats = engine->memory ? engine->memory + *used : NULL;
    *used += (count + QG_PANEL - 1) / QG_PANEL * QG_PANEL;
    return floats;
}

/* Divides the block; returns its size in floats. Without a block all places are NULL. */
static size_t divide_memory(qg_cpu *engine)
{
    const int layers = engine->architecture.layer_count;
    const size_t batch = (size_t)engine->max_batch;
    const size_t q_count = batch * engine->plans[layers - 1].out_image;
    size_t used = 0;
    for (int set = 0; set < QG_PARAMETER_SETS; set++)
        engine->parameters[set] = take(engine, &used, engine->parameter_count);
    for (int i = 0; i < layers; i++) {
        engine->activations[i] = take(engine, &used, batch * engine->plans[i].in_image);
        engine->gradients[i] = take(engine, &used, batch * engine->plans[i].grad_image);
    }
    engine->windows = /* two floats' room each */
        (uint64_t *)(void *)take(engine, &used, 2 * batch * (size_t)engine->plans[0].pixels);
    engine->activations[layers] = take(engine, &used, q_count);
    engine->q_next = take(engine, &used, q_count);
    for (int t = 0; t < qg_team_size(engine->team); t++)
        engine->scratch[t] = take(engine, &used, scratch_size(engine));
    return used;
}

/* All memory is one zeroed block of large pages (where the kernel has them to give): a tile reads
 * from more small pages at once than the processor has translations for. */
static qg_status allocate_all(qg_cpu *engine, qg_error *error)
{
    const size_t page = (size_t)2 << 20;
    engine->scratch = calloc((size_t)qg_team_size(engine->team), sizeof *engine->scratch);
    engine->sparse = calloc((size_t)engine->max_batch, sizeof *engine->sparse);
    if (!engine->scratch || !engine->sparse)
        return qg_fail_memory(error, "an engine", sizeof *engine->scratch);
    const size_t bytes = divide_memory(engine) * sizeof(float);
    const size_t size = (bytes + page - 1) / page * page;
    engine->memory = aligned_alloc(page, size);
    if (!engine->memory) return qg_fail_memory(error, "an engine", size);
    madvise(engine->memory, size, MADV_HUGEPAGE);
    memset(engine->memory, 0, size);
    divide_memory(engine);
    return QG_OK;
}

static void destroy(void *self)
{
    qg_cpu *engine = self;
    for (int i = 0; i < QG_MAX_LAYERS; i++)
        qg_plan_free(&engine->plans[i]);
    free(engine->scratch);
    free(engine->sparse);
    free(engine->memory);
    qg_team_destroy(engine->team);
    free(engine);
}

static qg_status create(const qg_engine_options *options, void **self, qg_error *error)
{
    const char *isa = options->machine.isa;
    const qg_kernels *kernels = qg_kernels_select(isa);
    if (!kernels)
        return qg_fail(error, QG_ERROR_USAGE,
                       "instruction set '%s' is not to be had on this machine (portable%s%s)", isa,
                       qg_kernels_select("avx2") ? ", avx2" : "",
                       qg_kernels_select("avx512") ? ", avx512" : "");
    qg_cpu *engine = calloc(1, sizeof *engine);
    if (!engine) return qg_fail_memory(error, "an engine", sizeof *engine);
    engine->architecture = *options->architecture;
    engine->kernels = kernels;
    engine->max_batch = options->max_batch;
    const int threads = options->machine.threads;
    qg_status status = qg_team_create(threads ? threads : 1, &engine->team, error);
    if (!status) status = qg_plan_make(&engine->architecture, kernels->rows, engine->plans, error);
    if (!status) {
        place_parameters(engine);
        status = allocate_all(engine, error);
    }
    if (status)
        destroy(engine);
    else
        *self = engine;
    return status;
}

static const char *isa_of(const void *self)
{
    const qg_cpu *engine = self;
    return engine->kernels->name;
}

static qg_status freeze(void *self, int layer, bool frozen, qg_error *error)
{
    (void)error;
    qg_cpu *engine = self;
    engine->frozen[layer] = frozen;
    return QG_OK;
}

void qg_engine_time(qg_engine *engine, qg_stopwatch *stopwatch)
{
    qg_cpu *cpu = engine->self;
    assert(engine->methods == &qg_float32);
    cpu->stopwatch = stopwatch;
}

/* The time since the last lap went into `work` for layer `l`. */
static void lap(const qg_cpu *engine, int member, qg_work work, int l)
{
    qg_stopwatch *stopwatch = engine->stopwatch;
    if (!stopwatch || member != 0) return;
    const double now = qg_clock_seconds();
    stopwatch->seconds[work][l] += now - stopwatch->lap;
    stopwatch->lap = now;
}

/* Where the k-th weight of output n of layer `l`, in PyTorch's order, lies in a parameter block. */
static size_t place_of(const qg_cpu *engine, int l, int n, int k)
{
    const qg_layer *layer = &engine->architecture.layers[l];
    const int height = layer->kind == QG_CONV ? layer->kernel : layer->in_height;
    const int width = layer->kind == QG_CONV ? layer->kernel : layer->in_width;
    const int c = k / (height * width), y = k / width % height, x = k % width;
    return engine->weights_at[l] + qg_plan_weight(&engine->plans[l], layer, n, c, y, x);
}

static qg_status write_network(void *self, qg_parameter_set set, const qg_network *network,
                               qg_error *error)
{
    (void)error;
    qg_cpu *engine = self;
    float *ours = engine->parameters[set];
    for (int l = 0; l < engine->architecture.layer_count; l++) {
        const qg_layer *layer = &engine->architecture.layers[l];
        const int fan_in = (int)qg_layer_fan_in(layer);
        const float *weight = network->weights[l];
        for (int n = 0; n < layer->outputs; n++)
            for (int k = 0; k < fan_in; k++)
                ours[place_of(engine, l, n, k)] = *weight++;
        memcpy(ours + engine->biases_at[l], network->biases[l],
               (size_t)layer->outputs * sizeof(float));
    }
    return QG_OK;
}

static qg_status read_network(const void *self, qg_parameter_set set, qg_network *network,
                              qg_error *error)
{
    (void)error;
    const qg_cpu *engine = self;
    const float *ours = engine->parameters[set];
    for (int l = 0; l < engine->architecture.layer_count; l++) {
        const qg_layer *layer = &engine->architecture.layers[l];
        const int fan_in = (int)qg_layer_fan_in(layer);
        float *weight = network->weights[l];
        for (int n = 0; n < layer->outputs; n++)
            for (int k = 0; k < fan_in; k++)
                *weight++ = ours[place_of(engine, l, n, k)];
        memcpy(network->biases[l], ours + engine->biases_at[l],
               (size_t)layer->outputs * sizeof(float));
    }
    return QG_OK;
}

static qg_status copy_to_target(void *self, qg_error *error)
{
    (void)error;
    qg_cpu *engine = self;
    memcpy(engine->parameters[QG_TARGET], engine->parameters[QG_ONLINE],
           engine->parameter_count * sizeof(float));
    return QG_OK;
}

/* ------------------------------------------------------------------------------- forward */

static int convolutions(const qg_cpu *engine)
{
    int count = 0;
    while (engine->architecture.layers[count].kind == QG_CONV)
        count++;
    return count;
}

static uint64_t *windows_of(const qg_cpu *engine, int image)
{
    return engine->windows + (size_t)image * (size_t)engine->plans[0].pixels;
}

static void convert_image(const qg_cpu *engine, const qg_states *states, int image, int slot)
{
    const qg_architecture *a = &engine->architecture;
    const qg_plan *plan = &engine->plans[0];
    const bool conv = a->layers[0].kind == QG_CONV;
    const int row = conv ? plan->in_row : a->width * a->channels;
    float *out = engine->activations[0] + (size_t)slot * plan->in_image;
    if (states->parts * states->part_channels < a->channels) /* an earlier state may have more */
        memset(out, 0, plan->in_image * sizeof *out);
    if (conv) out += plan->padding * (row + a->channels);
    engine->kernels->convert(states->screens + (size_t)image * (size_t)states->parts, states->parts,
                             states->part_channels, a->height, a->width, a->input_max, a->channels,
                             row, out);
    if (plan->cells > 0)
        engine->sparse[slot] = engine->kernels->find_cells(
            plan, engine->activations[0] + (size_t)slot * plan->in_image, windows_of(engine, slot));
}

/* The windows of images [begin, end) for a kernel of layer `l`: NULL unless it is the first layer
 * and one of them has empty cells. */
static const uint64_t *sparse_windows(const qg_cpu *engine, int l, int begin, int end)
{
    bool sparse = false;
    for (int image = begin; image < end; image++)
        sparse |= engine->sparse[image];
    return l == 0 && sparse ? windows_of(engine, begin) : NULL;
}

/* Drops outputs of layer `l` for one image: a stream of its own for every image and layer, so that
 * the division among threads does not matter. `p`: probability. */
static void drop(const qg_cpu *engine, int l, int image, uint64_t draw, float p)
{
    const qg_plan *plan = &engine->plans[l];
    char purpose[48];
    snprintf(purpose, sizeof purpose, "dropout/%d/%d", l, image);
    qg_random random = qg_random_stream(draw, purpose);
    const uint64_t threshold = (uint64_t)((double)p * 0x1p32);
    const float scale = 1 / (1 - p);
    float *image_outputs = engine->activations[l + 1] + (size_t)image * plan->out_image;
    for (int pixel = 0; pixel < plan->pixels; pixel++) {
        float *outputs = image_outputs + plan->pixel_out[pixel];
        for (int n = 0; n < plan->outputs; n += 2) { /* one draw serves two outputs */
            const uint64_t bits = qg_random_u64(&random);
            outputs[n] = bits >> 32 < threshold ? 0 : outputs[n] * scale;
            outputs[n + 1] = (bits & 0xffffffff) < threshold ? 0 : outputs[n + 1] * scale;
        }
    }
}

/* Probability that an output of layer `l` is dropped: hidden layers only. */
static float dropout_of(const qg_cpu *engine, const qg_learning *learning, int l)
{
    if (l + 1 >= engine->architecture.layer_count) return 0;
    return engine->architecture.layers[l].kind == QG_CONV ? learning->dropout_conv
                                                          : learning->dropout_linear;
}

/* Images [begin, end) through the convolutions, a group at a time. Without `learning` the
 * activations are not needed later: every group but for the last layer's outputs uses the same
 * place. */
static void forward_images(qg_cpu *engine, const float *parameters, const qg_states *states,
                           int begin, int end, const qg_learning *learning, int member)
{
    const bool keep = learning;
    const int convs = convolutions(engine);
    for (int group = begin; group < end; group += IMAGE_GROUP) {
        const int count = end - group < IMAGE_GROUP ? end - group : IMAGE_GROUP;
        for (int i = 0; i < count; i++)
            convert_image(engine, states, group + i, convs == 0 || keep ? group + i : begin + i);
        lap(engine, member, QG_WORK_CONVERT, 0);
        for (int l = 0; l < convs; l++) {
            const qg_plan *plan = &engine->plans[l];
            const int from = keep ? group : begin, to = keep || l + 1 == convs ? group : begin;
            engine->kernels->forward(
                plan, engine->activations[l] + (size_t)from * plan->in_image,
                sparse_windows(engine, l, from, from + count), parameters + engine->weights_at[l],
                parameters + engine->biases_at[l],
                engine->activations[l + 1] + (size_t)to * plan->out_image, count, 0, plan->panels);
            const float p = learning ? dropout_of(engine, learning, l) : 0;
            for (int i = 0; learning && p > 0 && i < count; i++)
                drop(engine, l, group + i, learning->dropout_draw, p);
            lap(engine, member, QG_WORK_FORWARD, l);
        }
    }
}

static void forward_linear(qg_cpu *engine, const float *parameters, int layer, int images,
                           int member, int members)
{
    const qg_plan *plan = &engine->plans[layer];
    int begin, end;
    qg_team_share(plan->panels, member, members, &begin, &end);
    engine->kernels->forward(
        plan, engine->activations[layer], NULL, parameters + engine->weights_at[layer],
        parameters + engine->biases_at[layer], engine->activations[layer + 1], images, begin, end);
}

/* All of it, by every member of the team; ends with the q-values complete. */
static void forward_team(qg_cpu *engine, const float *parameters, const qg_states *states,
                         const qg_learning *learning, int member)
{
    const int members = qg_team_size(engine->team);
    int begin, end;
    qg_team_share(states->size, member, members, &begin, &end);
    forward_images(engine, parameters, states, begin, end, learning, member);
    for (int l = convolutions(engine); l < engine->architecture.layer_count; l++) {
        qg_team_barrier(engine->team);
        forward_linear(engine, parameters, l, states->size, member, members);
        const float p = learning ? dropout_of(engine, learning, l) : 0;
        if (p > 0) qg_team_barrier(engine->team);
        for (int i = begin; learning && p > 0 && i < end; i++)
            drop(engine, l, i, learning->dropout_draw, p);
        lap(engine, member, QG_WORK_FORWARD, l);
    }
    qg_team_barrier(engine->team);
}

/* q-values out of the last layer's padded rows. */
static void copy_q(const qg_cpu *engine, const float *from, int size, float *q_values)
{
    const size_t actions = (size_t)engine->architecture.actions;
    const size_t row = engine->plans[engine->architecture.layer_count - 1].out_image;
    for (int i = 0; i < size; i++)
        memcpy(q_values + (size_t)i * actions, from + (size_t)i * row, actions * sizeof(float));
}

typedef struct forward_job {
    qg_cpu *engine;
    const float *parameters;
    qg_states states;
    const qg_learning *learning; /* NULL: hidden outputs are not kept */
} forward_job;

static void run_forward(void *context, int member)
{
    forward_job *job = context;
    forward_team(job->engine, job->parameters, &job->states, job->learning, member);
}

/* Acting: one state, without waking the team. */
static void forward_one(qg_cpu *engine, const float *parameters, const qg_states *states)
{
    forward_images(engine, parameters, states, 0, 1, NULL, 0);
    for (int l = convolutions(engine); l < engine->architecture.layer_count; l++)
        forward_linear(engine, parameters, l, 1, 0, 1);
}

static qg_status forward(void *self, qg_parameter_set set, const qg_states *states, float *q_values,
                         qg_error *error)
{
    (void)error;
    qg_cpu *engine = self;
    forward_job job = {engine, engine->parameters[set], *states, NULL};
    if (states->size == 1)
        forward_one(engine, job.parameters, states);
    else
        qg_team_run(engine->team, run_forward, &job);
    copy_q(engine, engine->activations[engine->architecture.layer_count], states->size, q_values);
    return QG_OK;
}

/* One image's outputs of a layer, out of the next layer's input: true channels only, and turned
 * from channels last to channel-major. */
static void copy_outputs(const qg_cpu *engine, int layer, int image, float *out)
{
    const qg_plan *plan = &engine->plans[layer];
    const float *from = engine->activations[layer + 1] + (size_t)image * plan->out_image;
    for (int c = 0; c < engine->architecture.layers[layer].outputs; c++)
        for (int pixel = 0; pixel < plan->pixels; pixel++)
            *out++ = from[plan->pixel_out[pixel] + c];
}

static qg_status activations(void *self, qg_parameter_set set, const qg_states *states, int layer,
                             float *out, qg_error *error)
{
    (void)error;
    qg_cpu *engine = self;
    static const qg_learning none = {0}; /* so that every layer's outputs are kept */
    const qg_layer *l = &engine->architecture.layers[layer];
    const size_t row = (size_t)(l->outputs * l->out_height * l->out_width);
    forward_job job = {engine, engine->parameters[set], *states, &none};
    qg_team_run(engine->team, run_forward, &job);
    for (int i = 0; i < states->size; i++)
        copy_outputs(engine, layer, i, out + (size_t)i * row);
    return QG_OK;
}

/* ------------------------------------------------------------------------------- learning */

/* One update: by TD errors of `batch`, or by `loss` on `states`. */
typedef struct update_job {
    qg_cpu *engine;
    const qg_learning *learning;
    qg_states states;
    const qg_batch *batch;
    qg_loss *loss;
    void *context;
    bool keep_gradient;
    float *td_errors;
    int lowest; /* the lowest layer that learns; layer_count: none does */
} update_job;

/* The gradient at the q-values: the TD error at the action that was taken. */
static void td_gradient(const update_job *job)
{
    const qg_cpu *engine = job->engine;
    const qg_learning *learning = job->learning;
    const int last = engine->architecture.layer_count - 1, actions = engine->architecture.actions;
    const qg_plan *plan = &engine->plans[last];
    float *gradient = engine->gradients[last];
    memset(gradient, 0, (size_t)job->states.size * plan->grad_image * sizeof(float));
    for (int i = 0; i < job->states.size; i++) {
        const float *q = engine->activations[last + 1] + (size_t)i * plan->out_image;
        const float *next = engine->q_next + (size_t)i * plan->out_image;
        float best = next[0];
        for (int a = 1; a < actions; a++)
            if (next[a] > best) best = next[a];
        const int action = job->batch->actions[i];
        float error = job->batch->rewards[i] - q[action];
        if (!job->batch->terminals[i])
            error = job->batch->rewards[i] + learning->discount * best - q[action];
        const float limit = learning->clip_error;
        if (limit > 0) error = error > limit ? limit : error < -limit ? -limit : error;
        gradient[(size_t)i * plan->grad_image + (size_t)action] = error;
        if (job->td_errors) job->td_errors[i] = error;
    }
}

/* The gradient at the q-values from the caller's loss. */
static void loss_gradient(const update_job *job)
{
    const qg_cpu *engine = job->engine;
    const int last = engine->architecture.layer_count - 1;
    const qg_plan *plan = &engine->plans[last];
    for (int i = 0; i < job->states.size; i++) {
        float *gradient = engine->gradients[last] + (size_t)i * plan->grad_image;
        memset(gradient, 0, plan->grad_image * sizeof(float));
        job->loss(job->context, i, engine->activations[last + 1] + (size_t)i * plan->out_image,
                  gradient);
    }
}

/* RMSProp on `count` parameters from `at` on; l2: their weight decay. */
static void apply(const update_job *job, size_t at, float *gradient, size_t count, float l2)
{
    const qg_cpu *engine = job->engine;
    const float *online = engine->parameters[QG_ONLINE] + at;
    for (size_t i = 0; i < count && l2 > 0; i++)
        gradient[i] = fmaf(-l2, online[i], gradient[i]);
    const qg_rmsprop settings = {job->learning->learning_rate, job->learning->rms_decay,
                                 job->learning->rms_epsilon};
    if (job->keep_gradient)
        memcpy(engine->parameters[QG_GRADIENT] + at, gradient, count * sizeof(float));
    engine->kernels->rmsprop(&settings, engine->parameters[QG_ONLINE] + at,
                             engine->parameters[QG_MOMENT1] + at,
                             engine->parameters[QG_MOMENT2] + at, gradient, count);
}

/* Where weight k of a panel of layer `l` lies in a parameter block. */
static size_t weights_from(const qg_cpu *engine, int l, int panel, int k)
{
    return engine->weights_at[l] +
           ((size_t)panel * (size_t)engine->plans[l].k_count + (size_t)k) * QG_PANEL;
}

/* Weight gradients of k tiles [tile0, tile1) and panels [panel0, panel1), followed by their RMSProp
 * step while they are in the cache. */
static void learn_block(const update_job *job, int l, int member, int tile0, int tile1, int panel0,
                        int panel1)
{
    qg_cpu *engine = job->engine;
    const qg_plan *plan = &engine->plans[l];
    const qg_k_tile *first = &plan->k_tiles[tile0], *last = &plan->k_tiles[tile1 - 1];
    const size_t count = (size_t)(last->k + last->size - first->k) * QG_PANEL;
    float *gradient = engine->scratch[member];
    engine->kernels->weight_gradient(
        plan, engine->activations[l], sparse_windows(engine, l, 0, job->states.size),
        engine->gradients[l], gradient, job->states.size, tile0, tile1, panel0, panel1);
    lap(engine, member, QG_WORK_WEIGHT_GRADIENT, l);
    for (int p = panel0; p < panel1; p++, gradient += count)
        apply(job, weights_from(engine, l, p, first->k), gradient, count, job->learning->l2);
    lap(engine, member, QG_WORK_RMSPROP, l);
}

/* This member's part of layer `l`: a convolution's at once, since its gradients are sums over all
 * images; a linear layer's tile by tile for some k. */
static void learn_weights(const update_job *job, int l, int member, int members)
{
    const qg_cpu *engine = job->engine;
    const qg_plan *plan = &engine->plans[l];
    const bool linear = plan->pixels == 1;
    int begin, end;
    qg_team_share(plan->k_tile_count, member, members, &begin, &end);
    const int tiles = linear ? LINEAR_BLOCK / engine->kernels->rows : end - begin;
    const int panels = linear ? engine->kernels->panels : plan->panels;
    for (int tile = begin; tile < end; tile += tiles) {
        const int stop = end - tile < tiles ? end : tile + tiles;
        for (int p = 0; p < plan->panels; p += panels)
            learn_block(job, l, member, tile, stop, p,
                        plan->panels - p < panels ? plan->panels : p + panels);
    }
}

static void learn_biases(const update_job *job, int l, int member, int members)
{
    const qg_plan *plan = &job->engine->plans[l];
    int begin, end;
    qg_team_share(plan->panels, member, members, &begin, &end);
    float *gradient = job->engine->scratch[member];
    job->engine->kernels->bias_gradient(plan, job->engine->gradients[l], gradient, job->states.size,
                                        begin, end);
    apply(job, job->engine->biases_at[l] + (size_t)begin * QG_PANEL,
          gradient + (size_t)begin * QG_PANEL, (size_t)(end - begin) * QG_PANEL, 0);
    lap(job->engine, member, QG_WORK_WEIGHT_GRADIENT, l);
}

/* The gradient of the layer's inputs becomes the gradient of the outputs below. */
static void propagate(const update_job *job, int l, int member, int members)
{
    qg_cpu *engine = job->engine;
    const qg_plan *plan = &engine->plans[l];
    const int side = engine->kernels->panels * QG_PANEL;
    const int groups = (plan->in_channels + side - 1) / side;
    int begin, end;
    qg_team_share(groups * plan->in_rows * plan->in_columns, member, members, &begin, &end);
    const float scale = 1 / (1 - dropout_of(engine, job->learning, l - 1));
    engine->kernels->input_gradient(plan, engine->gradients[l],
                                    engine->parameters[QG_ONLINE] + engine->weights_at[l],
                                    engine->activations[l], engine->gradients[l - 1], scale,
                                    job->states.size, begin, end, engine->scratch[member]);
}

static void backward_team(const update_job *job, int member)
{
    qg_cpu *engine = job->engine;
    const int members = qg_team_size(engine->team);
    for (int l = engine->architecture.layer_count - 1; l >= job->lowest; l--) {
        /* The layer's weights are read before they change. */
        if (l > job->lowest) {
            propagate(job, l, member, members);
            qg_team_barrier(engine->team);
            lap(engine, member, QG_WORK_INPUT_GRADIENT, l);
        }
        if (engine->frozen[l]) continue;
        learn_weights(job, l, member, members);
        learn_biases(job, l, member, members);
    }
}

static void run_update(void *context, int member)
{
    const update_job *job = context;
    qg_cpu *engine = job->engine;
    const int layers = engine->architecture.layer_count;
    if (job->batch) {
        forward_team(engine, engine->parameters[QG_TARGET], &job->batch->next_states, NULL, member);
        if (member == 0)
            memcpy(engine->q_next, engine->activations[layers],
                   (size_t)job->states.size * engine->plans[layers - 1].out_image * sizeof(float));
        qg_team_barrier(engine->team);
    }
    forward_team(engine, engine->parameters[QG_ONLINE], &job->states, job->learning, member);
    if (member == 0) {
        if (job->batch)
            td_gradient(job);
        else
            loss_gradient(job);
    }
    qg_team_barrier(engine->team);
    lap(engine, member, QG_WORK_LOSS, 0);
    backward_team(job, member);
}

static void start_update(update_job *job)
{
    qg_cpu *engine = job->engine;
    while (job->lowest < engine->architecture.layer_count && engine->frozen[job->lowest])
        job->lowest++;
    if (job->keep_gradient)
        memset(engine->parameters[QG_GRADIENT], 0, engine->parameter_count * sizeof(float));
    if (engine->stopwatch) engine->stopwatch->lap = qg_clock_seconds();
    qg_team_run(engine->team, run_update, job);
}

static qg_status update(void *self, const qg_learning *learning, const qg_batch *batch,
                        bool keep_gradient, float *q_values, float *td_errors, qg_error *error)
{
    (void)error;
    qg_cpu *engine = self;
    update_job job = {.engine = engine,
                      .learning = learning,
                      .states = batch->states,
                      .batch = batch,
                      .keep_gradient = keep_gradient,
                      .td_errors = td_errors};
    start_update(&job);
    if (q_values)
        copy_q(engine, engine->activations[engine->architecture.layer_count], batch->states.size,
               q_values);
    return QG_OK;
}

static qg_status descend(void *self, const qg_learning *learning, const qg_states *states,
                         qg_loss *loss, void *context, bool keep_gradient, qg_error *error)
{
    (void)error;
    update_job job = {.engine = self,
                      .learning = learning,
                      .states = *states,
                      .loss = loss,
                      .context = context,
                      .keep_gradient = keep_gradient};
    start_update(&job);
    return QG_OK;
}

const qg_engine_class qg_float32 = {.name = "float32",
                                    .exactness = {.same_bits = true, .error = 1e-5},
                                    .create = create,
                                    .destroy = destroy,
                                    .isa = isa_of,
                                    .write = write_network,
                                    .read = read_network,
                                    .copy_to_target = copy_to_target,
                                    .freeze = freeze,
                                    .forward = forward,
                                    .activations = activations,
                                    .update = update,
                                    .descend = descend};
