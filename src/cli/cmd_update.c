/* qgraft update: one learner update on networks and a batch from files, so that the core can be
 * checked from any language. */
#include "cli/cli.h"

#include <qgraft/engine.h>
#include <qgraft/settings.h>

#include "network/network_file.h"

#include <stdlib.h>
#include <string.h>

enum { OPTION_ONLINE = 256, OPTION_TARGET, OPTION_BATCH, OPTION_FIRST, OPTION_LAST, OPTION_ISA };

static const char documentation[] =
    "Does one DQN update of the network ONLINE against TARGET and writes what it made: the new "
    "parameters (conv1.weight, ...), grad.NAME (sum over the minibatch of td_error * dQ/dw, the "
    "direction of ascent), moment1.NAME, moment2.NAME, q F32 [B, actions] before the update, "
    "td_error F32 [B] after clipping.\v"
    "The batch: states U8 [B, C, H, W], actions I64 [B], rewards F32 [B], next_states like "
    "states, terminals U8 [B]; optional moment1.NAME and moment2.NAME (otherwise zero).\n"
    "Settings used: discount, learning_rate, rms_decay, rms_epsilon, clip_error, clip_reward, l2.\n"
    "Examples:\n"
    "  qgraft update --online a.safetensors --target b.safetensors --batch batch.safetensors \\\n"
    "    --out new.safetensors\n"
    "  ... --freeze-first 3 --threads 2 --set learning_rate=0.001";

static const struct argp_option argp_options[] = {
    {"online", OPTION_ONLINE, "FILE", 0, "the network that learns", 0},
    {"target", OPTION_TARGET, "FILE", 0, "the target network", 0},
    {"batch", OPTION_BATCH, "FILE", 0, "the transitions", 0},
    {"out", 'o', "FILE", 0, "where the result is written", 0},
    {"freeze-first", OPTION_FIRST, "N", 0, "the first N weighted layers do not learn", 0},
    {"freeze-last", OPTION_LAST, "N", 0, "the last N weighted layers do not learn", 0},
    {"threads", 't', "N", 0, "threads (default 1; the bits are the same)", 0},
    {"isa", OPTION_ISA, "NAME", 0, "instruction set: avx512, avx2 or portable (the same bits)", 0},
    {"set", 'S', "KEY=VALUE", 0, "change a setting of the preset dqn3; may be repeated", 0},
    {0}};

typedef struct update_arguments {
    const char *online, *target, *batch, *out, *first, *last, *threads, *isa;
    qg_settings settings;
    qg_error error; /* of --set */
} update_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    update_arguments *a = state->input;
    switch (key) {
    case OPTION_ONLINE:
        a->online = text;
        break;
    case OPTION_TARGET:
        a->target = text;
        break;
    case OPTION_BATCH:
        a->batch = text;
        break;
    case 'o':
        a->out = text;
        break;
    case OPTION_FIRST:
        a->first = text;
        break;
    case OPTION_LAST:
        a->last = text;
        break;
    case 't':
        a->threads = text;
        break;
    case OPTION_ISA:
        a->isa = text;
        break;
    case 'S':
        if (qg_settings_set(&a->settings, text, &a->error))
            argp_error(state, "%s", a->error.message);
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "'%.60s' is one word too many", text);
        break;
    case ARGP_KEY_END:
        if (!a->online || !a->target || !a->batch || !a->out)
            argp_error(state, "--online, --target, --batch and --out are needed");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Everything the command holds; zero-initialised, freed by release(). */
typedef struct update_work {
    qg_network online, target, gradient, moment1, moment2;
    qg_network_info info;
    qg_tensors *file; /* the batch */
    qg_batch batch;
    const uint8_t **screens; /* a plane [H][W] each: one channel is one screen */
    int32_t *actions;
    float *rewards, *q_values, *td_errors;
    qg_engine *engine;
} update_work;

static void release(update_work *w)
{
    qg_network *networks[] = {&w->online, &w->target, &w->gradient, &w->moment1, &w->moment2};
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        qg_network_free(networks[i]);
    qg_tensors_free(w->file);
    qg_engine_destroy(w->engine);
    free(w->screens);
    free(w->actions);
    free(w->rewards);
    free(w->q_values);
    free(w->td_errors);
}

static qg_status load_networks(const update_arguments *a, update_work *w, qg_error *error)
{
    qg_network_info ignored;
    qg_status status = qg_network_load(a->online, &w->online, &w->info, error);
    if (!status) status = qg_network_load(a->target, &w->target, &ignored, error);
    if (status) return status;
    if (!qg_architecture_equal(&w->online.architecture, &w->target.architecture))
        return qg_fail(error, QG_ERROR_DATA, "%s and %s have different architectures", a->online,
                       a->target);
    qg_network *more[] = {&w->gradient, &w->moment1, &w->moment2};
    for (size_t i = 0; i < sizeof more / sizeof *more && !status; i++)
        status = qg_network_create(&w->online.architecture, more[i], error);
    return status;
}

/* Tensors of the batch, their shapes checked against each other and the network. */
typedef struct batch_tensors {
    const qg_tensor *states, *next_states, *actions, *rewards, *terminals;
} batch_tensors;

static qg_status require_tensors(const update_arguments *a, const update_work *w, batch_tensors *t,
                                 qg_error *error)
{
    const qg_architecture *n = &w->online.architecture;
    size_t shape[4] = {0, (size_t)n->channels, (size_t)n->height, (size_t)n->width};
    const qg_tensors *f = w->file;
    qg_status status =
        qg_tensors_require(f, a->batch, "states", QG_U8, 4, shape, &t->states, error);
    if (status) return status;
    shape[0] = t->states->shape[0];
    if (shape[0] < 1 || shape[0] > 4096)
        return qg_fail(error, QG_ERROR_DATA, "%s: a batch of %zu states: 1 to 4096 are possible",
                       a->batch, shape[0]);
    if ((status = qg_tensors_require(f, a->batch, "next_states", QG_U8, 4, shape, &t->next_states,
                                     error)) ||
        (status =
             qg_tensors_require(f, a->batch, "actions", QG_I64, 1, shape, &t->actions, error)) ||
        (status = qg_tensors_require(f, a->batch, "rewards", QG_F32, 1, shape, &t->rewards, error)))
        return status;
    return qg_tensors_require(f, a->batch, "terminals", QG_U8, 1, shape, &t->terminals, error);
}

static qg_status check_values(const update_arguments *a, const update_work *w,
                              const batch_tensors *t, qg_error *error)
{
    const qg_architecture *n = &w->online.architecture;
    const int64_t *actions = t->actions->data;
    const uint8_t *terminals = t->terminals->data, *states = t->states->data,
                  *next = t->next_states->data;
    for (size_t i = 0; i < t->actions->elements; i++)
        if (actions[i] < 0 || actions[i] >= n->actions)
            return qg_fail(error, QG_ERROR_DATA, "%s: actions[%zu] is %lld, must be 0 to %d",
                           a->batch, i, (long long)actions[i], n->actions - 1);
    for (size_t i = 0; i < t->terminals->elements; i++)
        if (terminals[i] > 1)
            return qg_fail(error, QG_ERROR_DATA, "%s: terminals[%zu] is %d, must be 0 or 1",
                           a->batch, i, terminals[i]);
    for (size_t i = 0; i < t->states->elements; i++)
        if (states[i] > n->input_max || next[i] > n->input_max)
            return qg_fail(error, QG_ERROR_DATA,
                           "%s: a state has the value %d, this network's go to %d", a->batch,
                           states[i] > next[i] ? states[i] : next[i], n->input_max);
    return QG_OK;
}

static qg_status load_batch(const update_arguments *a, update_work *w, qg_error *error)
{
    batch_tensors t;
    qg_status status = qg_tensors_load(a->batch, &w->file, error);
    if (!status) status = require_tensors(a, w, &t, error);
    if (!status) status = check_values(a, w, &t, error);
    if (status) return status;
    const qg_architecture *n = &w->online.architecture;
    const size_t size = t.states->shape[0], channels = (size_t)n->channels;
    const size_t plane = (size_t)n->height * (size_t)n->width, planes = size * channels;
    w->screens = calloc(2 * planes, sizeof *w->screens);
    w->actions = calloc(size, sizeof *w->actions);
    w->rewards = calloc(size, sizeof *w->rewards);
    w->td_errors = calloc(size, sizeof *w->td_errors);
    w->q_values = calloc(size * (size_t)n->actions, sizeof *w->q_values);
    if (!w->screens || !w->actions || !w->rewards || !w->td_errors || !w->q_values)
        return qg_fail_memory(error, "the batch", 2 * planes * sizeof *w->screens);
    for (size_t i = 0; i < planes; i++) {
        w->screens[i] = (const uint8_t *)t.states->data + i * plane;
        w->screens[planes + i] = (const uint8_t *)t.next_states->data + i * plane;
    }
    for (size_t i = 0; i < size; i++) {
        w->actions[i] = (int32_t)((const int64_t *)t.actions->data)[i];
        const float reward = ((const float *)t.rewards->data)[i];
        const bool clip = a->settings.clip_reward;
        w->rewards[i] = clip ? (reward > 1 ? 1 : reward < -1 ? -1 : reward) : reward;
    }
    const qg_states states = {(int)size, n->channels, 1, w->screens};
    w->batch = (qg_batch){states, states, w->actions, w->rewards, t.terminals->data};
    w->batch.next_states.screens += planes;
    return QG_OK;
}

static qg_status load_moments(const update_arguments *a, update_work *w, qg_error *error)
{
    for (size_t i = 0; i < qg_tensors_count(w->file); i++) {
        const char *name = qg_tensors_at(w->file, i)->name;
        if (strncmp(name, "moment", 6) != 0) continue;
        qg_status status = qg_tensors_to_network(w->file, a->batch, "moment1.", &w->moment1, error);
        if (status) return status;
        return qg_tensors_to_network(w->file, a->batch, "moment2.", &w->moment2, error);
    }
    return QG_OK;
}

static qg_status freeze(const update_arguments *a, update_work *w, qg_error *error)
{
    const int layers = w->online.architecture.layer_count;
    int64_t first = 0, last = 0;
    qg_status status = QG_OK;
    if (a->first) status = qg_parse_count("--freeze-first", a->first, 0, layers, &first, error);
    if (!status && a->last)
        status = qg_parse_count("--freeze-last", a->last, 0, layers, &last, error);
    for (int l = 0; l < layers && !status; l++)
        status = qg_engine_freeze(w->engine, l, l < first || l >= layers - last, error);
    return status;
}

static qg_status update(const update_arguments *a, update_work *w, qg_error *error)
{
    int64_t threads = 1;
    qg_status status = QG_OK;
    if (a->threads) status = qg_parse_count("--threads", a->threads, 1, 256, &threads, error);
    if (!status)
        status = qg_engine_create(&(qg_engine_options){&w->online.architecture,
                                                       a->settings.precision,
                                                       w->batch.states.size,
                                                       {(int)threads, a->isa}},
                                  &w->engine, error);
    if (!status) status = freeze(a, w, error);
    if (status) return status;
    const qg_settings *s = &a->settings;
    const qg_learning learning = {.discount = (float)s->discount,
                                  .clip_error = (float)s->clip_error,
                                  .learning_rate = (float)s->learning_rate,
                                  .rms_decay = (float)s->rms_decay,
                                  .rms_epsilon = (float)s->rms_epsilon,
                                  .l2 = (float)s->l2};
    const struct {
        qg_parameter_set set;
        qg_network *network;
    } before[] = {{QG_ONLINE, &w->online},
                  {QG_TARGET, &w->target},
                  {QG_MOMENT1, &w->moment1},
                  {QG_MOMENT2, &w->moment2}},
      after[] = {{QG_ONLINE, &w->online},
                 {QG_GRADIENT, &w->gradient},
                 {QG_MOMENT1, &w->moment1},
                 {QG_MOMENT2, &w->moment2}};
    for (size_t i = 0; i < 4 && !status; i++)
        status = qg_engine_write(w->engine, before[i].set, before[i].network, error);
    if (!status)
        status = qg_engine_update(w->engine, &learning, &w->batch, true, w->q_values, w->td_errors,
                                  error);
    for (size_t i = 0; i < 4 && !status; i++)
        status = qg_engine_read(w->engine, after[i].set, after[i].network, error);
    return status;
}

static qg_status save(const update_arguments *a, const update_work *w, qg_error *error)
{
    qg_tensors *out = qg_tensors_new();
    if (!out) return qg_fail_memory(error, a->out, 0);
    const size_t shape[2] = {(size_t)w->batch.states.size, (size_t)w->online.architecture.actions};
    qg_status status;
    if (!(status = qg_network_to_tensors(&w->online, "", out, error)) &&
        !(status = qg_network_to_tensors(&w->gradient, "grad.", out, error)) &&
        !(status = qg_network_to_tensors(&w->moment1, "moment1.", out, error)) &&
        !(status = qg_network_to_tensors(&w->moment2, "moment2.", out, error)) &&
        !(status = qg_tensors_add(out, "q", QG_F32, 2, shape, w->q_values, error)) &&
        !(status = qg_tensors_add(out, "td_error", QG_F32, 1, shape, w->td_errors, error)) &&
        !(status = qg_tensors_set_metadata(out, "format", "qgraft update 1", error)))
        status = qg_tensors_save(out, a->out, error);
    qg_tensors_free(out);
    return status;
}

int cmd_update(int argc, char **argv)
{
    update_arguments arguments = {0};
    qg_error error;
    if (qg_settings_preset(&arguments.settings, "dqn3", &error)) return cli_fail(&error);
    const struct argp argp = {argp_options, parse_option, "", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    update_work work = {0};
    qg_status status = load_networks(&arguments, &work, &error);
    if (!status) status = load_batch(&arguments, &work, &error);
    if (!status) status = load_moments(&arguments, &work, &error);
    if (!status) status = update(&arguments, &work, &error);
    if (!status) status = save(&arguments, &work, &error);
    release(&work);
    return status ? cli_fail(&error) : 0;
}
