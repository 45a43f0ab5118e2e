/* The TD learner against a plain double computation of its targets, errors and gradient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/td_learner.h>

#include "reference.h"

#define CLOSE 1e-5

/* A problem's transitions. */
typedef struct transitions {
    problem p;
    qg_batch batch;
    int32_t *actions;
    float *rewards;
    uint8_t *terminals;
} transitions;

static transitions transitions_create(const shape *s, int size, uint64_t seed)
{
    transitions t = {.p = problem_create(s, size, seed),
                     .actions = zeros((size_t)size, sizeof *t.actions),
                     .rewards = zeros((size_t)size, sizeof *t.rewards),
                     .terminals = zeros((size_t)size, 1)};
    qg_random random = qg_random_stream(seed, "transitions");
    for (int i = 0; i < size; i++) {
        t.actions[i] = (int32_t)qg_random_below(&random, (uint64_t)s->actions);
        t.rewards[i] = (float)(4 * qg_random_uniform(&random) - 2);
        t.terminals[i] = qg_random_below(&random, 4) == 0;
    }
    t.batch = (qg_batch){.states = t.p.states,
                         .next_states = t.p.next_states,
                         .actions = t.actions,
                         .rewards = t.rewards,
                         .terminals = t.terminals};
    return t;
}

static void transitions_free(transitions *t)
{
    problem_free(&t->p);
    free(t->actions);
    free(t->rewards);
    free(t->terminals);
}

static qg_settings settings_for(int minibatch)
{
    qg_settings settings;
    must(qg_settings_preset(&settings, "dqn3", &error));
    settings.minibatch = minibatch;
    return settings;
}

static qg_td_learner learner_for(const transitions *t, const qg_settings *settings)
{
    qg_td_learner learner;
    must(qg_td_learner_create(&t->p.a, settings, false, &(qg_machine){.threads = 2}, &learner,
                              &error));
    assert_int_equal(learner.engine->max_batch, settings->minibatch);
    write_sets(learner.engine, &t->p);
    return learner;
}

/* What a learner should find. */
typedef struct findings {
    double *q, *td_errors;    /* [size][actions], [size] */
    double value, mean_error; /* means of the next states' values and of |td_error| */
    reference online;         /* with the gradient */
} findings;

static double clip(double x, double limit)
{
    return limit > 0 ? fmax(-limit, fmin(limit, x)) : x;
}

static findings find(const transitions *t, const qg_settings *s)
{
    const int actions = t->p.a.actions, size = t->batch.states.size;
    findings f = {.q = zeros((size_t)(size * actions), sizeof(double)),
                  .td_errors = zeros((size_t)size, sizeof(double)),
                  .online = reference_create(&t->p.a)};
    reference target = reference_create(&t->p.a);
    to_doubles(&t->p.sets[QG_ONLINE], f.online.parameters);
    to_doubles(&t->p.sets[QG_TARGET], target.parameters);
    const bool mse = strcmp(s->loss, "mse") == 0, mean = strcmp(s->reduction, "mean") == 0;
    for (int i = 0; i < size; i++) {
        const double *next = reference_forward(&target, &t->batch.next_states, i);
        const double *choosing =
            s->double_q ? reference_forward(&f.online, &t->batch.next_states, i) : next;
        int chosen = 0;
        for (int a = 1; a < actions; a++)
            if (choosing[a] > choosing[chosen]) chosen = a;
        const double best = next[chosen];
        double direction[32] = {0};
        const double *q = reference_forward(&f.online, &t->batch.states, i);
        memcpy(f.q + i * actions, q, (size_t)actions * sizeof *q);
        const int action = t->actions[i];
        const double goal = (double)t->rewards[i] + (t->terminals[i] ? 0 : s->discount * best);
        f.td_errors[i] = clip(goal - q[action], mse ? 0 : s->clip_error);
        direction[action] = f.td_errors[i] * (mse ? 2 : 1) / (mean ? size : 1);
        reference_backward(&f.online, direction);
        f.value += best / size;
        f.mean_error += fabs(f.td_errors[i]) / size;
    }
    reference_free(&target);
    return f;
}

static void findings_free(findings *f)
{
    free(f->q);
    free(f->td_errors);
    reference_free(&f->online);
}

static void check_update(const shape *s, int size, const qg_settings *settings)
{
    transitions t = transitions_create(s, size, (uint64_t)size);
    findings f = find(&t, settings);
    qg_td_learner learner = learner_for(&t, settings);
    float *q = zeros((size_t)(size * s->actions), sizeof *q);
    float *td_errors = zeros((size_t)size, sizeof *td_errors);
    const qg_td_trace trace = {q, td_errors, true};
    must(qg_td_learner_update(&learner, &t.batch, 0, &trace, &error));
    assert_close("q", s->layers, CLOSE, q, f.q, (size_t)(size * s->actions));
    assert_close("TD errors", s->layers, CLOSE, td_errors, f.td_errors, (size_t)size);
    qg_network gradient;
    must(qg_network_create(&t.p.a, &gradient, &error));
    must(qg_engine_read(learner.engine, QG_GRADIENT, &gradient, &error));
    assert_tensors_close("gradient", &t.p, CLOSE, gradient.parameters, f.online.gradient);
    qg_network_free(&gradient);
    free(q);
    free(td_errors);
    qg_td_learner_free(&learner);
    findings_free(&f);
    transitions_free(&t);
}

static void test_update(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        for (int size = 1; size <= 33; size += 16) {
            const qg_settings settings = settings_for(size);
            check_update(&shapes[i], size, &settings);
        }
}

static void test_settings(void **state)
{
    (void)state;
    static const struct {
        double discount, clip_error;
    } others[] = {{0.99, 0}, {0.99, 0.1}, {0, 1}, {1, 1000}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        qg_settings settings = settings_for(7);
        settings.discount = others[i].discount;
        settings.clip_error = others[i].clip_error;
        check_update(&shapes[4], 7, &settings);
    }
}

/* double, loss and reduction, alone and together. */
static void test_learners(void **state)
{
    (void)state;
    static const struct {
        bool double_q;
        const char *loss, *reduction;
        double clip_error;
    } others[] = {{true, "clipped", "sum", 1}, {false, "huber", "sum", 0.25},
                  {false, "mse", "sum", 0.01}, {false, "clipped", "mean", 0.5},
                  {true, "mse", "mean", 0},    {true, "huber", "mean", 1}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        for (int s = 0; s < SHAPES; s++) {
            qg_settings settings = settings_for(9);
            settings.double_q = others[i].double_q;
            settings.clip_error = others[i].clip_error;
            strcpy(settings.loss, others[i].loss);
            strcpy(settings.reduction, others[i].reduction);
            check_update(&shapes[s], 9, &settings);
        }
}

/* The loss of a batch, in doubles: its slope by an output is what the learner descends. */
static double loss_of(const char *loss, double limit, double td_error)
{
    const double size = fabs(td_error);
    if (strcmp(loss, "mse") == 0) return td_error * td_error;
    return size <= limit ? td_error * td_error / 2 : limit * (size - limit / 2);
}

static void test_slopes(void **state)
{
    (void)state;
    static const char *const losses[] = {"clipped", "huber", "mse"};
    enum { SIZE = 12 };
    const double h = 1e-6, limit = 0.375;
    for (int k = 0; k < 3; k++) {
        transitions t = transitions_create(&shapes[0], SIZE, 21);
        qg_settings s = settings_for(SIZE), whole = s;
        strcpy(s.loss, losses[k]);
        strcpy(s.reduction, "mean");
        s.clip_error = limit;
        whole.clip_error = 0;
        findings f = find(&t, &s), unclipped = find(&t, &whole);
        qg_td_learner learner = learner_for(&t, &s);
        qg_network gradient;
        must(qg_network_create(&t.p.a, &gradient, &error));
        must(qg_td_learner_update(&learner, &t.batch, 0, &(qg_td_trace){.keep_gradient = true},
                                  &error));
        must(qg_engine_read(learner.engine, QG_GRADIENT, &gradient, &error));
        for (int a = 0; a < t.p.a.actions; a++) { /* an output's bias moves it one to one */
            double slope = 0;
            for (int i = 0; i < SIZE; i++)
                if (t.actions[i] == a)
                    slope += (loss_of(losses[k], limit, unclipped.td_errors[i] + h) -
                              loss_of(losses[k], limit, unclipped.td_errors[i] - h)) /
                             (2 * h) / SIZE;
            assert_true(fabs((double)gradient.biases[0][a] - slope) < 1e-5);
        }
        qg_network_free(&gradient);
        qg_td_learner_free(&learner);
        findings_free(&f);
        findings_free(&unclipped);
        transitions_free(&t);
    }
}

/* 1, 2, 3, ... in the direction of each state's outputs, times what it is given. */
static void add_numbers(void *context, int i, const float *q_values, float scale, float *gradient)
{
    (void)q_values;
    for (int a = 0; a < *(const int *)context; a++)
        gradient[a] += scale * (float)(1 + i + a);
}

/* An auxiliary loss comes to that of the TD error, weighted and averaged as it is. */
static void test_auxiliary_loss(void **state)
{
    (void)state;
    enum { SIZE = 5 };
    for (int mean = 0; mean < 2; mean++) {
        transitions t = transitions_create(&shapes[0], SIZE, 8);
        qg_settings s = settings_for(SIZE);
        strcpy(s.reduction, mean ? "mean" : "sum");
        const float weights[SIZE] = {1, 0.5f, 0.25f, 0, 1};
        t.batch.weights = weights;
        qg_network gradients[2];
        for (int k = 0; k < 2; k++) {
            qg_td_learner learner = learner_for(&t, &s);
            learner.auxiliary = k ? add_numbers : NULL;
            learner.auxiliary_context = &t.p.a.actions;
            must(qg_network_create(&t.p.a, &gradients[k], &error));
            must(qg_td_learner_update(&learner, &t.batch, 0, &(qg_td_trace){.keep_gradient = true},
                                      &error));
            must(qg_engine_read(learner.engine, QG_GRADIENT, &gradients[k], &error));
            qg_td_learner_free(&learner);
        }
        for (int a = 0; a < t.p.a.actions; a++) { /* an output's bias moves it one to one */
            double sum = 0;
            for (int i = 0; i < SIZE; i++)
                sum += (double)weights[i] * (1 + i + a) / (mean ? SIZE : 1);
            assert_true(fabs((double)gradients[1].biases[0][a] - (double)gradients[0].biases[0][a] -
                             sum) < 1e-5);
        }
        qg_network_free(&gradients[0]);
        qg_network_free(&gradients[1]);
        transitions_free(&t);
    }
}

/* Of equal values the first counts, and what the target network thinks best does not. */
static void test_double(void **state)
{
    (void)state;
    transitions t = transitions_create(&shapes[0], 3, 2);
    memset(t.terminals, 0, 3);
    for (qg_parameter_set set = QG_ONLINE; set <= QG_TARGET; set++)
        memset(t.p.sets[set].parameters, 0, qg_architecture_parameters(&t.p.a) * sizeof(float));
    t.p.sets[QG_TARGET].biases[0][0] = 5;
    t.p.sets[QG_TARGET].biases[0][1] = 7;
    static const float expected[] = {7, 5};
    for (int double_q = 0; double_q < 2; double_q++) {
        qg_settings s = settings_for(3);
        s.double_q = double_q;
        s.discount = 1;
        s.clip_error = 0;
        qg_td_learner learner = learner_for(&t, &s);
        double value, td_error;
        must(qg_td_learner_validate(&learner, &t.batch, &value, &td_error, &error));
        assert_true(value == (double)expected[double_q]);
        qg_td_learner_free(&learner);
    }
    transitions_free(&t);
}

/* The settings of the step reach the engine. */
static void test_learning(void **state)
{
    (void)state;
    qg_settings s = settings_for(4);
    s.l2 = 0.5;
    s.dropout_conv = 0.25;
    s.dropout_linear = 0.125;
    const qg_learning learning = qg_learning_of(&s);
    assert_int_equal(learning.optimiser.kind, QG_RMSPROP_CENTRED);
    assert_true(learning.optimiser.learning_rate == (float)s.learning_rate &&
                learning.optimiser.rmsprop.decay == (float)s.rms_decay &&
                learning.optimiser.rmsprop.epsilon == (float)s.rms_epsilon);
    assert_true(learning.l2 == 0.5f && learning.dropout_conv == 0.25f &&
                learning.dropout_linear == 0.125f);
    strcpy(s.optimiser, "adam");
    s.adam_beta2 = 0.99;
    const qg_optimiser adam = qg_learning_of(&s).optimiser;
    assert_int_equal(adam.kind, QG_ADAM);
    assert_true(adam.adam.beta1 == 0.9 && adam.adam.beta2 == 0.99 && adam.adam.epsilon == 1e-8 &&
                adam.learning_rate == (float)s.learning_rate);
    transitions t = transitions_create(&shapes[4], 4, 1);
    float q[3][4 * 6];
    for (int i = 0; i < 3; i++) { /* the same draw drops the same outputs */
        qg_td_learner learner = learner_for(&t, &s);
        const qg_td_trace trace = {.q_values = q[i]};
        must(qg_td_learner_update(&learner, &t.batch, i == 2, &trace, &error));
        qg_td_learner_free(&learner);
    }
    assert_memory_equal(q[0], q[1], sizeof q[0]);
    assert_memory_not_equal(q[0], q[2], sizeof q[0]);
    transitions_free(&t);
}

/* What stands behind a terminal state is not looked at, be it infinite. */
static void test_terminal(void **state)
{
    (void)state;
    transitions t = transitions_create(&shapes[4], 5, 6);
    const qg_settings settings = settings_for(5);
    qg_network *target = &t.p.sets[QG_TARGET];
    static const float behind[] = {0, INFINITY, NAN}; /* in no file, but to be sure */
    memset(t.terminals, 1, 5);
    float td_errors[3][5];
    for (int kind = 0; kind < 3; kind++) {
        for (int n = 0; n < t.p.a.actions; n++)
            target->biases[t.p.a.layer_count - 1][n] = behind[kind];
        qg_td_learner learner = learner_for(&t, &settings);
        const qg_td_trace trace = {.td_errors = td_errors[kind]};
        must(qg_td_learner_update(&learner, &t.batch, 0, &trace, &error));
        qg_td_learner_free(&learner);
    }
    for (int i = 0; i < 5; i++)
        assert_true(isfinite(td_errors[0][i]));
    assert_memory_equal(td_errors[0], td_errors[1], sizeof td_errors[0]);
    assert_memory_equal(td_errors[0], td_errors[2], sizeof td_errors[0]);
    transitions_free(&t);
}

/* On more transitions than the engine takes at once; and nothing is learned. */
static void test_validate(void **state)
{
    (void)state;
    transitions t = transitions_create(&shapes[7], 50, 9);
    const qg_settings settings = settings_for(16);
    findings f = find(&t, &settings);
    qg_td_learner learner = learner_for(&t, &settings);
    double value, td_error;
    must(qg_td_learner_validate(&learner, &t.batch, &value, &td_error, &error));
    assert_true(fabs(value - f.value) < 1e-5 * fabs(f.value));
    assert_true(fabs(td_error - f.mean_error) < 1e-5 * f.mean_error);
    qg_network read;
    must(qg_network_create(&t.p.a, &read, &error));
    must(qg_engine_read(learner.engine, QG_ONLINE, &read, &error));
    assert_memory_equal(read.parameters, t.p.sets[QG_ONLINE].parameters,
                        qg_architecture_parameters(&t.p.a) * sizeof(float));
    qg_network_free(&read);
    qg_td_learner_free(&learner);
    findings_free(&f);
    transitions_free(&t);
}

static void test_reward(void **state)
{
    (void)state;
    static const float rewards[][2] = {{0, 0}, {0.5f, 0.5f}, {7, 1}, {-0.25f, -0.25f}, {-30, -1}};
    qg_settings settings = settings_for(1);
    for (size_t i = 0; i < sizeof rewards / sizeof *rewards; i++) {
        settings.clip_reward = true;
        assert_true(qg_learned_reward(&settings, rewards[i][0]) == rewards[i][1]);
        settings.clip_reward = false;
        assert_true(qg_learned_reward(&settings, rewards[i][0]) == rewards[i][0]);
    }
}

static void test_create(void **state)
{
    (void)state;
    transitions t = transitions_create(&shapes[0], 1, 1);
    const qg_settings settings = settings_for(1);
    qg_td_learner learner;
    assert_int_equal(qg_td_learner_create(&t.p.a, &settings, false, &(qg_machine){.isa = "sse9"},
                                          &learner, &error),
                     QG_ERROR_USAGE);
    qg_td_learner_free(&learner);
    transitions_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_update),         cmocka_unit_test(test_settings),
        cmocka_unit_test(test_learners),       cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_auxiliary_loss), cmocka_unit_test(test_double),
        cmocka_unit_test(test_learning),       cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_validate),       cmocka_unit_test(test_reward),
        cmocka_unit_test(test_create),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
