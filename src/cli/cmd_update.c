/* qgraft update: one learner update on networks and a batch from files, so that the core can be
 * checked from any language. */
#include "cli/cli.h"

#include <qgraft/graft.h>
#include <qgraft/td_learner.h>

#include "network/network_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_ONLINE = 256,
    OPTION_TARGET,
    OPTION_BATCH,
    OPTION_FIRST,
    OPTION_LAST,
    OPTION_ISA,
    OPTION_LR_SCALE
};

#define USED                                                                                       \
    "discount, optimiser, learning_rate, rms_decay, rms_epsilon, adam_beta1, adam_beta2, "         \
    "adam_epsilon, loss, clip_error, reduction, double, max_grad_norm, clip_reward, "              \
    "l2, precision"

static const char documentation[] =
    "Does one DQN update of the network ONLINE against TARGET and writes what it made: the new "
    "parameters (conv1.weight, ...), grad.NAME (-dL/dw behind decay, pull and the limit of the "
    "norm; with the defaults the sum over the minibatch of td_error * dQ/dw), moment1.NAME, "
    "moment2.NAME, q F32 [B, actions] before the update, "
    "td_error F32 [B] after clipping; with Adam steps I64 [1], how many it has made.\v"
    "The batch: states U8 [B, C, H, W] (of networks of vectors F32), actions I64 [B], rewards F32 "
    "[B], next_states like "
    "states, terminals U8 [B]; optional discounts F32 [B] (of the next states' values) and "
    "weights F32 [B] (of importance); optional moment1.NAME and moment2.NAME, with Adam steps too "
    "(otherwise zero), and beside them anchor.NAME and pull.NAME (otherwise nothing is pulled "
    "back).\n"
    "Settings used (--set refuses others): " USED ".\n"
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
    {"lr-scale", OPTION_LR_SCALE, "1:0.1,2:0.3", 0, "factors of layers' learning rates", 0},
    {"threads", 't', "N", 0, "threads (default 1; the bits are the same)", 0},
    {"isa", OPTION_ISA, "NAME", 0,
     "instruction set: amx (bf16), avx512, avx2 or portable (the same bits)", 0},
    {"set", 'S', "KEY=VALUE", 0, "change a setting of the preset dqn3; may be repeated", 0},
    {0}};

typedef struct update_arguments {
    const char *online, *target, *batch, *out, *first, *last, *threads, *isa;
    qg_settings settings;
    qg_graft_choice choice; /* its learning rates */
    qg_error error;         /* of --set, --lr-scale */
} update_arguments;

static bool is_used(const char *assignment)
{
    const size_t length = strcspn(assignment, "=");
    for (const char *word = USED; *word; word += strspn(word, ", ")) {
        const size_t size = strcspn(word, ",");
        if (size == length && strncmp(word, assignment, size) == 0) return true;
        word += size;
    }
    return false;
}

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
    case OPTION_LR_SCALE:
        if (qg_graft_choice_set(&a->choice, "lr_scale", text, &a->error))
            cli_bad_arguments(state, "--lr-scale%s", a->error.message + strlen("lr_scale"));
        break;
    case 't':
        a->threads = text;
        break;
    case OPTION_ISA:
        a->isa = text;
        break;
    case 'S':
        if (qg_settings_set(&a->settings, text, &a->error))
            cli_bad_arguments(state, "%s", cli_message(&a->error));
        if (!is_used(text))
            cli_bad_arguments(state, "--set: an update does not depend on '%.*s', but on " USED,
                              (int)strcspn(text, "="), text);
        break;
    case ARGP_KEY_ARG:
        cli_bad_arguments(state, "'%.60s' is one word too many", text);
        break;
    case ARGP_KEY_END:
        if (!a->online || !a->target || !a->batch || !a->out)
            cli_bad_arguments(state, "--online, --target, --batch and --out are needed");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Everything the command holds; zero-initialised, freed by release(). */
typedef struct update_work {
    qg_network online, target, gradient;
    qg_network kept[QG_MAX_SLOTS]; /* what the optimiser keeps, by the engine's slots */
    qg_network_info info;
    qg_tensors *file; /* the batch */
    qg_batch batch;
    const uint8_t **screens; /* a plane [H][W] each: one channel is one screen */
    int32_t *actions;
    float *rewards, *q_values, *td_errors;
    qg_td_learner learner;
    float rates[QG_MAX_LAYERS];
} update_work;

static void release(update_work *w)
{
    qg_network_free(&w->online);
    qg_network_free(&w->target);
    qg_network_free(&w->gradient);
    for (size_t i = 0; i < QG_MAX_SLOTS; i++)
        qg_network_free(&w->kept[i]);
    qg_td_learner_free(&w->learner);
    qg_tensors_free(w->file);
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
    return qg_network_create(&w->online.architecture, &w->gradient, error);
}

/* Tensors of the batch, their shapes checked against each other and the network. */
typedef struct batch_tensors {
    const qg_tensor *states, *next_states, *actions, *rewards, *terminals;
    const qg_tensor *discounts, *weights; /* NULL: not in the file */
} batch_tensors;

static qg_status require_tensors(const update_arguments *a, const update_work *w, batch_tensors *t,
                                 qg_error *error)
{
    const qg_architecture *n = &w->online.architecture;
    size_t shape[4] = {0, (size_t)n->channels, (size_t)n->height, (size_t)n->width};
    const qg_tensors *f = w->file;
    const qg_dtype dtype = n->input_max == 0 ? QG_F32 : QG_U8;
    qg_status status =
        qg_tensors_require(f, a->batch, "states", dtype, 4, shape, &t->states, error);
    if (status) return status;
    shape[0] = t->states->shape[0];
    if (shape[0] < 1 || shape[0] > 4096)
        return qg_fail(error, QG_ERROR_DATA, "%s: a batch of %zu states: 1 to 4096 are possible",
                       a->batch, shape[0]);
    if ((status = qg_tensors_require(f, a->batch, "next_states", dtype, 4, shape, &t->next_states,
                                     error)) ||
        (status =
             qg_tensors_require(f, a->batch, "actions", QG_I64, 1, shape, &t->actions, error)) ||
        (status = qg_tensors_require(f, a->batch, "rewards", QG_F32, 1, shape, &t->rewards, error)))
        return status;
    status = qg_tensors_require(f, a->batch, "terminals", QG_U8, 1, shape, &t->terminals, error);
    if (!status && qg_tensors_find(f, "discounts"))
        status =
            qg_tensors_require(f, a->batch, "discounts", QG_F32, 1, shape, &t->discounts, error);
    if (!status && qg_tensors_find(f, "weights"))
        status = qg_tensors_require(f, a->batch, "weights", QG_F32, 1, shape, &t->weights, error);
    return status;
}

static qg_status check_bytes(const update_arguments *a, const qg_architecture *n,
                             const batch_tensors *t, qg_error *error)
{
    const uint8_t *states = t->states->data, *next = t->next_states->data;
    for (size_t i = 0; i < t->states->elements; i++)
        if (states[i] > n->input_max || next[i] > n->input_max)
            return qg_fail(error, QG_ERROR_DATA,
                           "%s: a state has the value %d, this network's go to %d", a->batch,
                           states[i] > next[i] ? states[i] : next[i], n->input_max);
    return QG_OK;
}

static qg_status check_values(const update_arguments *a, const update_work *w,
                              const batch_tensors *t, qg_error *error)
{
    const qg_architecture *n = &w->online.architecture;
    const int64_t *actions = t->actions->data;
    const uint8_t *terminals = t->terminals->data;
    for (size_t i = 0; i < t->actions->elements; i++)
        if (actions[i] < 0 || actions[i] >= n->actions)
            return qg_fail(error, QG_ERROR_DATA, "%s: actions[%zu] is %lld, must be 0 to %d",
                           a->batch, i, (long long)actions[i], n->actions - 1);
    for (size_t i = 0; i < t->terminals->elements; i++)
        if (terminals[i] > 1)
            return qg_fail(error, QG_ERROR_DATA, "%s: terminals[%zu] is %d, must be 0 or 1",
                           a->batch, i, terminals[i]);
    return n->input_max == 0 ? QG_OK : check_bytes(a, n, t, error); /* floats: by the reader */
}

static qg_status load_batch(const update_arguments *a, update_work *w, qg_error *error)
{
    batch_tensors t = {0};
    qg_status status = qg_tensors_load(a->batch, &w->file, error);
    if (!status) status = require_tensors(a, w, &t, error);
    if (!status) status = check_values(a, w, &t, error);
    if (status) return status;
    const qg_architecture *n = &w->online.architecture;
    const size_t size = t.states->shape[0], channels = (size_t)n->channels;
    const size_t value = n->input_max == 0 ? sizeof(float) : 1;
    const size_t plane = (size_t)n->height * (size_t)n->width * value, planes = size * channels;
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
        w->rewards[i] = qg_learned_reward(&a->settings, ((const float *)t.rewards->data)[i]);
    }
    const qg_states states = {(int)size, n->channels, 1, w->screens};
    w->batch = (qg_batch){.states = states,
                          .next_states = states,
                          .actions = w->actions,
                          .rewards = w->rewards,
                          .terminals = t.terminals->data,
                          .discounts = t.discounts ? t.discounts->data : NULL,
                          .weights = t.weights ? t.weights->data : NULL};
    w->batch.next_states.screens += planes;
    return QG_OK;
}

/* ------------------------------------------------------------------------- the engine's state */

static bool is_optimisers(const qg_slot *slot)
{
    return slot->counter || (slot->set != QG_ONLINE && slot->set != QG_TARGET);
}

/* Whether the batch's file has a piece of what the optimiser keeps: then it must have all. */
static bool has_kept(const update_work *w)
{
    for (size_t i = 0; i < w->learner.engine->slot_count; i++) {
        const qg_slot *slot = &w->learner.engine->slots[i];
        for (size_t t = 0; t < qg_tensors_count(w->file) && is_optimisers(slot); t++)
            if (strncmp(qg_tensors_at(w->file, t)->name, slot->name, strlen(slot->name)) == 0)
                return true;
    }
    return false;
}

static qg_status load_slot(const update_arguments *a, update_work *w, const qg_slot *slot,
                           qg_network *network, qg_error *error)
{
    if (slot->counter) {
        const qg_tensor *number;
        const size_t one = 1;
        const qg_status status =
            qg_tensors_require(w->file, a->batch, slot->name, QG_I64, 1, &one, &number, error);
        if (status) return status;
        const int64_t steps = *(const int64_t *)number->data;
        if (steps < 0 || steps > INT64_C(1000000000000000))
            return qg_fail(error, QG_ERROR_DATA, "%s: %s is %lld, must be 0 to 1e15", a->batch,
                           slot->name, (long long)steps);
        *slot->counter = (uint64_t)steps;
        return QG_OK;
    }
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%s.", slot->name);
    const qg_status status = qg_tensors_to_network(w->file, a->batch, prefix, network, error);
    return status ? status : qg_engine_write(w->learner.engine, slot->set, network, error);
}

static qg_status load_kept(const update_arguments *a, update_work *w, qg_error *error)
{
    const bool given = has_kept(w);
    qg_status status = QG_OK;
    for (size_t i = 0; i < w->learner.engine->slot_count && !status; i++) {
        const qg_slot *slot = &w->learner.engine->slots[i];
        if (!is_optimisers(slot)) continue;
        status = qg_network_create(&w->online.architecture, &w->kept[i], error);
        if (!status && given) status = load_slot(a, w, slot, &w->kept[i], error);
    }
    return status;
}

static qg_status save_slot(update_work *w, const qg_slot *slot, qg_network *network,
                           qg_tensors *out, qg_error *error)
{
    const size_t one = 1;
    if (slot->counter)
        return qg_tensors_add(out, slot->name, QG_I64, 1, &one, slot->counter, error);
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%s.", slot->name);
    const qg_status status = qg_engine_read(w->learner.engine, slot->set, network, error);
    return status ? status : qg_network_to_tensors(network, prefix, out, error);
}

/* ------------------------------------------------------------------------- the update */

static qg_status freeze(const update_arguments *a, update_work *w, qg_error *error)
{
    const int layers = w->online.architecture.layer_count;
    int64_t first = 0, last = 0;
    qg_status status = QG_OK;
    if (a->first) status = qg_parse_count("--freeze-first", a->first, 0, layers, &first, error);
    if (!status && a->last)
        status = qg_parse_count("--freeze-last", a->last, 0, layers, &last, error);
    for (int l = 0; l < layers && !status; l++)
        qg_engine_freeze(w->learner.engine, l, l < first || l >= layers - last);
    return status;
}

/* Whether the batch's file says where parameters are pulled back to. */
static bool is_anchored(const update_work *w)
{
    for (size_t t = 0; t < qg_tensors_count(w->file); t++)
        if (strncmp(qg_tensors_at(w->file, t)->name, "pull.", 5) == 0) return true;
    return false;
}

static qg_status set_rates(const update_arguments *a, update_work *w, qg_error *error)
{
    const qg_graft_learning *learning = &a->choice.learning;
    for (int l = 0; l < QG_MAX_LAYERS; l++)
        w->rates[l] = learning->scaled >> l & 1 ? (float)learning->lr_scale[l] : 1;
    if (learning->scaled) w->learner.learning.layer_rates = w->rates;
    return qg_graft_choice_check(&a->choice, false, 0, NULL, w->online.architecture.layer_count,
                                 error);
}

static qg_status open_learner(const update_arguments *a, update_work *w, qg_error *error)
{
    int64_t threads = 1;
    qg_status status = QG_OK;
    if (a->threads) status = qg_parse_count("--threads", a->threads, 1, 256, &threads, error);
    qg_settings settings = a->settings;
    settings.minibatch = w->batch.states.size;
    const qg_machine machine = {(int)threads, a->isa};
    if (!status)
        status = qg_td_learner_create(&w->online.architecture, &settings, is_anchored(w), &machine,
                                      &w->learner, error);
    if (!status) status = set_rates(a, w, error);
    if (!status) status = freeze(a, w, error);
    if (!status) status = qg_engine_write(w->learner.engine, QG_ONLINE, &w->online, error);
    return status ? status : qg_engine_write(w->learner.engine, QG_TARGET, &w->target, error);
}

static qg_status update(update_work *w, qg_error *error)
{
    const qg_td_trace trace = {w->q_values, w->td_errors, true};
    qg_status status = qg_td_learner_update(&w->learner, &w->batch, 0, &trace, error);
    if (!status) status = qg_engine_read(w->learner.engine, QG_ONLINE, &w->online, error);
    return status ? status : qg_engine_read(w->learner.engine, QG_GRADIENT, &w->gradient, error);
}

static qg_status save(const update_arguments *a, update_work *w, qg_error *error)
{
    qg_tensors *out = qg_tensors_new();
    if (!out) return qg_fail_memory(error, a->out, 0);
    const size_t shape[2] = {(size_t)w->batch.states.size, (size_t)w->online.architecture.actions};
    qg_status status = qg_network_to_tensors(&w->online, "", out, error);
    if (!status) status = qg_network_to_tensors(&w->gradient, "grad.", out, error);
    for (size_t i = 0; i < w->learner.engine->slot_count && !status; i++)
        if (is_optimisers(&w->learner.engine->slots[i]))
            status = save_slot(w, &w->learner.engine->slots[i], &w->kept[i], out, error);
    if (!status && !(status = qg_tensors_add(out, "q", QG_F32, 2, shape, w->q_values, error)) &&
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
    qg_status status = cli_spare(arguments.online, arguments.out, &error);
    if (!status) status = cli_spare(arguments.target, arguments.out, &error);
    if (!status) status = cli_spare(arguments.batch, arguments.out, &error);
    if (!status) status = load_networks(&arguments, &work, &error);
    if (!status) status = load_batch(&arguments, &work, &error);
    if (!status) status = open_learner(&arguments, &work, &error);
    if (!status) status = load_kept(&arguments, &work, &error);
    if (!status) status = update(&work, &error);
    if (!status) status = save(&arguments, &work, &error);
    release(&work);
    return status ? cli_fail(&error) : 0;
}
