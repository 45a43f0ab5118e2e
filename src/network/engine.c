/* What is common to all engines: the table of them, and the checks before each call. */
#include <qgraft/engine.h>

#include "base/team.h"
#include "network/cpu/engines.h"
#include "network/optimiser.h"
#include "network/stopwatch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const qg_engine_class *const classes[] = {&qg_float32, &qg_bf16};
#define CLASSES (sizeof classes / sizeof *classes)

const qg_engine_class *const *qg_engine_classes(size_t *count)
{
    *count = CLASSES;
    return classes;
}

qg_status qg_engine_find_class(const char *precision, const qg_engine_class **found,
                               qg_error *error)
{
    char names[256] = "";
    for (size_t i = 0; i < CLASSES; i++) {
        *found = classes[i];
        if (!precision || strcmp(precision, classes[i]->name) == 0) return QG_OK;
        if (i) strcat(names, ", ");
        strcat(names, classes[i]->name);
    }
    return qg_fail(error, QG_ERROR_USAGE, "precision: there is no '%.60s'; allowed: %s", precision,
                   names);
}

static qg_status find_methods(const qg_engine_options *options, const qg_engine_class **methods,
                              qg_error *error)
{
    const qg_status status = qg_engine_find_class(options->precision, methods, error);
    if (!status && (options->machine.threads < 0 || options->machine.threads > QG_MAX_THREADS))
        return qg_fail(error, QG_ERROR_USAGE, "`threads`: %d is not from 1 to %d",
                       options->machine.threads, QG_MAX_THREADS);
    if (!status && options->architecture->input_max == 0 && !(*methods)->takes_vectors)
        return qg_fail(error, QG_ERROR_USAGE,
                       "precision: %s is for screens; for a vector of floats take float32",
                       (*methods)->name);
    if (!status && (*methods)->choose) *methods = (*methods)->choose(options);
    return status;
}

qg_status qg_engine_create(const qg_engine_options *options, qg_engine **result, qg_error *error)
{
    assert(options->max_batch >= 1);
    const qg_engine_class *methods;
    qg_status status = find_methods(options, &methods, error);
    if (status) return status;
    qg_engine *engine = malloc(sizeof *engine);
    if (!engine) return qg_fail_memory(error, "an engine", sizeof *engine);
    *engine = (qg_engine){.methods = methods,
                          .architecture = *options->architecture,
                          .max_batch = options->max_batch,
                          .optimiser = options->optimiser};
    engine->slot_count = qg_list_slots(options, &engine->steps, engine->slots);
    status = methods->create(options, &engine->self, error);
    if (status)
        free(engine);
    else
        *result = engine;
    return status;
}

void qg_engine_destroy(qg_engine *engine)
{
    if (!engine) return;
    engine->methods->destroy(engine->self);
    free(engine);
}

const char *qg_engine_isa(const qg_engine *engine)
{
    return engine->methods->isa(engine->self);
}

qg_status qg_engine_bytes(const qg_engine_options *options, size_t *bytes, qg_error *error)
{
    const qg_engine_class *methods;
    const qg_status status = find_methods(options, &methods, error);
    return status ? status : methods->bytes(options, bytes, error);
}

bool qg_engine_time(qg_engine *engine, qg_stopwatch *stopwatch)
{
    if (engine->methods->time) engine->methods->time(engine->self, stopwatch);
    return engine->methods->time;
}

/* ------------------------------------------------------------------------- checked calls */

static bool holds(const qg_engine *engine, qg_parameter_set set)
{
    for (size_t i = 0; i < engine->slot_count; i++)
        if (!engine->slots[i].counter && engine->slots[i].set == set) return true;
    return set == QG_GRADIENT && engine->optimiser != QG_NO_OPTIMISER;
}

qg_status qg_engine_write(qg_engine *engine, qg_parameter_set set, const qg_network *network,
                          qg_error *error)
{
    assert(holds(engine, set));
    assert(qg_architecture_equal(&engine->architecture, &network->architecture));
    return engine->methods->write(engine->self, set, network, error);
}

qg_status qg_engine_read(const qg_engine *engine, qg_parameter_set set, qg_network *network,
                         qg_error *error)
{
    assert(holds(engine, set));
    assert(qg_architecture_equal(&engine->architecture, &network->architecture));
    return engine->methods->read(engine->self, set, network, error);
}

qg_status qg_engine_copy_to_target(qg_engine *engine, qg_error *error)
{
    assert(holds(engine, QG_TARGET));
    return engine->methods->copy_to_target(engine->self, error);
}

qg_status qg_engine_mix_into_target(qg_engine *engine, float tau, qg_error *error)
{
    assert(holds(engine, QG_TARGET) && tau >= 0 && tau <= 1);
    return engine->methods->mix_into_target(engine->self, tau, error);
}

void qg_engine_freeze(qg_engine *engine, int layer, bool frozen)
{
    assert(layer >= 0 && layer < engine->architecture.layer_count);
    engine->frozen[layer] = frozen;
}

qg_states qg_states_some(const qg_states *states, int begin, int most)
{
    qg_states some = *states;
    some.screens += (size_t)begin * (size_t)states->parts;
    some.size = states->size - begin < most ? states->size - begin : most;
    return some;
}

qg_status qg_engine_forward(qg_engine *engine, qg_parameter_set set, const qg_states *states,
                            float *q_values, qg_error *error)
{
    assert(set == QG_ONLINE || (set == QG_TARGET && holds(engine, set)));
    const size_t actions = (size_t)engine->architecture.actions;
    qg_status status = QG_OK;
    for (int begin = 0; begin < states->size && !status; begin += engine->max_batch) {
        const qg_states some = qg_states_some(states, begin, engine->max_batch);
        status = engine->methods->forward(engine->self, set, &some,
                                          q_values + (size_t)begin * actions, error);
    }
    return status;
}

qg_status qg_engine_layers(qg_engine *engine, qg_parameter_set set, const qg_states *states,
                           float *const out[QG_MAX_LAYERS], qg_error *error)
{
    assert(set == QG_ONLINE || (set == QG_TARGET && holds(engine, set)));
    const qg_architecture *a = &engine->architecture;
    qg_status status = QG_OK;
    for (int begin = 0; begin < states->size && !status; begin += engine->max_batch) {
        const qg_states some = qg_states_some(states, begin, engine->max_batch);
        float *at[QG_MAX_LAYERS] = {NULL};
        for (int l = 0; l < a->layer_count; l++)
            if (out[l]) at[l] = out[l] + (size_t)begin * qg_layer_width(&a->layers[l]);
        status = engine->methods->activations(engine->self, set, &some, at, error);
    }
    return status;
}

qg_status qg_engine_activations(qg_engine *engine, qg_parameter_set set, const qg_states *states,
                                int layer, float *out, qg_error *error)
{
    assert(layer >= 0 && layer < engine->architecture.layer_count);
    float *of[QG_MAX_LAYERS] = {NULL};
    of[layer] = out;
    return qg_engine_layers(engine, set, states, of, error);
}

qg_status qg_engine_descend(qg_engine *engine, const qg_descent *descent, qg_error *error)
{
    assert(descent->states.size >= 1 && descent->states.size <= engine->max_batch);
    assert(descent->learning->optimiser.kind == engine->optimiser && engine->optimiser);
    const int layers = engine->architecture.layer_count;
    uint64_t steps[QG_MAX_LAYERS] = {0};
    for (int l = 0; l < layers; l++)
        steps[l] = engine->steps + 1 - engine->idle[l];
    const qg_status status =
        engine->methods->descend(engine->self, descent, engine->frozen, steps, error);
    if (status) return status;
    engine->steps++;
    for (int l = 0; l < layers; l++)
        engine->idle[l] += engine->frozen[l];
    return QG_OK;
}
