#include "transfer/student.h"

#include <qgraft/td_learner.h>

#include "base/random.h"

#include <string.h>

/* The outputs: the union of the teachers' actions, in the order in which they come. */
static qg_status unite_actions(qg_student *s, qg_teacher *teachers, qg_error *error)
{
    for (int k = 0; k < s->tasks; k++) {
        qg_teacher *t = &teachers[k];
        for (int a = 0; a < t->network.architecture.actions; a++) {
            int output = 0;
            while (output < s->action_count && strcmp(s->actions[output], t->actions[a]) != 0)
                output++;
            if (output == QG_MAX_ACTIONS)
                return qg_fail(error, QG_ERROR_USAGE,
                               "the teachers have more than %d different actions", QG_MAX_ACTIONS);
            if (output == s->action_count) s->actions[s->action_count++] = t->actions[a];
            t->outputs[a] = output;
        }
    }
    return QG_OK;
}

/* Screens of grids may differ in their channels: the student's input has room for the most. */
static qg_status find_input(const qg_student *s, const qg_teacher *teachers, int *channels,
                            qg_error *error)
{
    const qg_teacher *one = &teachers[0];
    *channels = 0;
    for (int k = 0; k < s->tasks; k++) {
        const qg_teacher *t = &teachers[k];
        const bool same =
            t->shape.height == one->shape.height && t->shape.width == one->shape.width &&
            t->shape.max == one->shape.max && t->history == one->history &&
            (qg_observation_is_grid(&t->shape) || t->shape.channels == one->shape.channels);
        if (!same)
            return qg_fail(error, QG_ERROR_USAGE,
                           "%s shows %dx%dx%d (max %d) with history %d, %s %dx%dx%d (max %d) with "
                           "history %d: one student cannot see both",
                           one->domain, one->shape.channels, one->shape.height, one->shape.width,
                           one->shape.max, one->history, t->domain, t->shape.channels,
                           t->shape.height, t->shape.width, t->shape.max, t->history);
        const int needed = t->history * t->shape.channels;
        if (needed > *channels) *channels = needed;
    }
    return QG_OK;
}

static uint64_t student_seed(uint64_t seed)
{
    qg_random random = qg_random_stream(seed, "student");
    return qg_random_u64(&random);
}

static qg_status open_player(const qg_distillation_options *options, const qg_architecture *a,
                             int actions, qg_cut_out *player, qg_error *error)
{
    qg_architecture alone;
    qg_status status = qg_architecture_make(options->settings.network, a->channels, a->height,
                                            a->width, a->input_max, actions, &alone, error);
    if (!status) status = qg_network_create(&alone, &player->network, error);
    if (status) return status;
    const qg_engine_options one = {.architecture = &alone,
                                   .precision = options->settings.precision,
                                   .max_batch = 1,
                                   .machine = options->run.machine};
    return qg_engine_create(&one, &player->engine, error);
}

qg_status qg_student_open(const qg_distillation_options *options, qg_teacher *teachers,
                          qg_student *s, qg_error *error)
{
    const qg_observation_shape *shape = &teachers[0].shape;
    const qg_settings *settings = &options->settings;
    qg_architecture a;
    int channels;
    *s = (qg_student){.tasks = options->teacher_count};
    qg_status status = unite_actions(s, teachers, error);
    if (!status) status = find_input(s, teachers, &channels, error);
    if (!status)
        status = qg_architecture_make(settings->network, channels, shape->height, shape->width,
                                      shape->max, s->action_count, &a, error);
    if (!status) status = qg_network_create(&a, &s->network, error);
    if (!status)
        status = qg_engine_create(
            &(qg_engine_options){.architecture = &a,
                                 .precision = settings->precision,
                                 .max_batch = settings->minibatch,
                                 .machine = options->run.machine,
                                 .optimiser = qg_learning_of(settings).optimiser.kind},
            &s->engine, error);
    for (int k = 0; k < s->tasks && !status; k++)
        status = open_player(options, &a, teachers[k].network.architecture.actions, &s->players[k],
                             error);
    if (status) return status;
    qg_network_initialise(&s->network, student_seed(options->run.seed));
    return qg_engine_write(s->engine, QG_ONLINE, &s->network, error);
}

void qg_student_close(qg_student *s)
{
    for (int k = 0; k < s->tasks; k++) {
        qg_network_free(&s->players[k].network);
        qg_engine_destroy(s->players[k].engine);
    }
    qg_engine_destroy(s->engine);
    qg_network_free(&s->network);
    *s = (qg_student){0};
}

/* The hidden layers, and of the last one the rows `outputs`. (Of advantages that leaves another
 * mean, which moves all of them alike.) */
static qg_status cut_out(const qg_network *whole, const int *outputs, qg_cut_out *player,
                         qg_error *error)
{
    qg_network *part = &player->network;
    const int last = whole->architecture.layer_count - 1;
    const size_t fan_in = qg_layer_fan_in(&whole->architecture.layers[last]);
    memcpy(part->parameters, whole->parameters,
           (size_t)(whole->weights[last] - whole->parameters) * sizeof(float));
    const int heads = qg_architecture_is_dueling(&whole->architecture); /* a value in front */
    for (int n = -heads; n < part->architecture.actions; n++) {
        const size_t to = (size_t)(n + heads), from = n < 0 ? 0 : (size_t)(outputs[n] + heads);
        memcpy(part->weights[last] + to * fan_in, whole->weights[last] + from * fan_in,
               fan_in * sizeof(float));
        part->biases[last][to] = whole->biases[last][from];
    }
    return qg_engine_write(player->engine, QG_ONLINE, part, error);
}

qg_status qg_student_cast(qg_student *s, const qg_network *network, const qg_teacher *teachers,
                          qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < s->tasks && !status; k++)
        status = cut_out(network, teachers[k].outputs, &s->players[k], error);
    return status;
}

qg_status qg_student_read(qg_student *s, const qg_teacher *teachers, qg_error *error)
{
    const qg_status status = qg_engine_read(s->engine, QG_ONLINE, &s->network, error);
    return status ? status : qg_student_cast(s, &s->network, teachers, error);
}
