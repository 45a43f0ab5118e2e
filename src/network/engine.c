/* What is common to all engines: the table of them, and the checks before each call. */
#include <qgraft/engine.h>

#include "network/cpu/float32.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const qg_engine_class *const classes[] = {&qg_float32};
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

qg_status qg_engine_create(const qg_engine_options *options, qg_engine **result, qg_error *error)
{
    assert(options->max_batch >= 1);
    const qg_engine_class *methods;
    qg_status status = qg_engine_find_class(options->precision, &methods, error);
    if (status) return status;
    qg_engine *engine = malloc(sizeof *engine);
    if (!engine) return qg_fail_memory(error, "an engine", sizeof *engine);
    *engine = (qg_engine){methods, NULL, *options->architecture, options->max_batch};
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

qg_status qg_engine_write(qg_engine *engine, qg_parameter_set set, const qg_network *network,
                          qg_error *error)
{
    assert(qg_architecture_equal(&engine->architecture, &network->architecture));
    return engine->methods->write(engine->self, set, network, error);
}

qg_status qg_engine_read(const qg_engine *engine, qg_parameter_set set, qg_network *network,
                         qg_error *error)
{
    assert(qg_architecture_equal(&engine->architecture, &network->architecture));
    return engine->methods->read(engine->self, set, network, error);
}

qg_status qg_engine_copy_to_target(qg_engine *engine, qg_error *error)
{
    return engine->methods->copy_to_target(engine->self, error);
}

qg_status qg_engine_freeze(qg_engine *engine, int layer, bool frozen, qg_error *error)
{
    assert(layer >= 0 && layer < engine->architecture.layer_count);
    return engine->methods->freeze(engine->self, layer, frozen, error);
}

/* At most `most` of the states, from `begin` on. */
static qg_states some_states(const qg_states *states, int begin, int most)
{
    qg_states some = *states;
    some.screens += (size_t)begin * (size_t)states->parts;
    some.size = states->size - begin < most ? states->size - begin : most;
    return some;
}

qg_status qg_engine_forward(qg_engine *engine, qg_parameter_set set, const qg_states *states,
                            float *q_values, qg_error *error)
{
    const size_t actions = (size_t)engine->architecture.actions;
    qg_status status = QG_OK;
    for (int begin = 0; begin < states->size && !status; begin += engine->max_batch) {
        const qg_states some = some_states(states, begin, engine->max_batch);
        status = engine->methods->forward(engine->self, set, &some,
                                          q_values + (size_t)begin * actions, error);
    }
    return status;
}

qg_status qg_engine_activations(qg_engine *engine, qg_parameter_set set, const qg_states *states,
                                int layer, float *out, qg_error *error)
{
    assert(layer >= 0 && layer < engine->architecture.layer_count);
    const qg_layer *l = &engine->architecture.layers[layer];
    const size_t row = (size_t)(l->outputs * l->out_height * l->out_width);
    qg_status status = QG_OK;
    for (int begin = 0; begin < states->size && !status; begin += engine->max_batch) {
        const qg_states some = some_states(states, begin, engine->max_batch);
        status = engine->methods->activations(engine->self, set, &some, layer,
                                              out + (size_t)begin * row, error);
    }
    return status;
}

qg_status qg_engine_update(qg_engine *engine, const qg_learning *learning, const qg_batch *batch,
                           bool keep_gradient, float *q_values, float *td_errors, qg_error *error)
{
    assert(batch->states.size >= 1 && batch->states.size <= engine->max_batch);
    assert(batch->next_states.size == batch->states.size);
    return engine->methods->update(engine->self, learning, batch, keep_gradient, q_values,
                                   td_errors, error);
}

qg_status qg_engine_descend(qg_engine *engine, const qg_learning *learning, const qg_states *states,
                            qg_loss *loss, void *context, bool keep_gradient, qg_error *error)
{
    assert(states->size >= 1 && states->size <= engine->max_batch);
    return engine->methods->descend(engine->self, learning, states, loss, context, keep_gradient,
                                    error);
}
