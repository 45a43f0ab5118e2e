/* The source of a graft as a player and a judge: its actions by meaning; how often it acts; its
 * loss against differences of a plain cross-entropy in doubles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "transfer/source_policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 4, CHANNELS = 3, SIZE = 6, PIXELS = SIDE * SIDE * CHANNELS };

static qg_error error;

static void must(qg_status status)
{
    if (status) fail_msg("%s", error.message);
}

typedef struct example {
    qg_network source;
    qg_source_policy policy;
    qg_reuse reuse;
    uint8_t pixels[SIZE][PIXELS];
    const uint8_t *screens[SIZE];
    qg_states states;
} example;

/* A source that knows noop, left, right, up and a target that knows right, fire, noop, left. */
static example *make(const qg_graft_choice *choice)
{
    example *e = calloc(1, sizeof *e);
    assert_non_null(e);
    qg_architecture a;
    must(qg_architecture_make("[{\"linear\": 7}]", CHANNELS, SIDE, SIDE, 1, 4, &a, &error));
    must(qg_network_create(&a, &e->source, &error));
    qg_network_initialise(&e->source, 1);
    for (size_t i = 0; i < qg_architecture_parameters(&a); i++)
        e->source.parameters[i] *= 4; /* states differ in what is best */
    must(qg_source_policy_pair(choice, &e->source, "noop,left,right,up", "right,fire,noop,left",
                               &e->policy, &error));
    qg_settings settings;
    must(qg_settings_preset(&settings, "grid", &error));
    settings.minibatch = SIZE;
    settings.epsilon_end = 0.25;
    must(qg_source_policy_open(&e->source, &settings, &(qg_machine){.threads = 1}, &e->policy,
                               &error));
    e->reuse = qg_source_policy_reuse(&e->policy);
    qg_random random = qg_random_stream(2, "pixels");
    for (int i = 0; i < SIZE; i++) {
        e->screens[i] = e->pixels[i];
        for (int k = 0; k < PIXELS; k++)
            e->pixels[i][k] = qg_random_below(&random, 2) == 1;
    }
    e->states = (qg_states){SIZE, 1, CHANNELS, e->screens};
    return e;
}

static void drop(example *e)
{
    qg_source_policy_close(&e->policy);
    qg_network_free(&e->source);
    free(e);
}

/* The source's q-values [SIZE][4], by an engine of its own. */
static void ask(const example *e, float q_values[SIZE][4])
{
    qg_engine *engine;
    must(qg_engine_create(
        &(qg_engine_options){.architecture = &e->source.architecture, .max_batch = SIZE}, &engine,
        &error));
    must(qg_engine_write(engine, QG_ONLINE, &e->source, &error));
    must(qg_engine_forward(engine, QG_ONLINE, &e->states, q_values[0], &error));
    qg_engine_destroy(engine);
}

/* Of the target's noop, left and right, in the order of its actions. */
static const int of_source[] = {2, 0, 1}, of_target[] = {0, 2, 3};

/* ----------------------------------------------------------------------------------- pairing */

static void test_actions(void **state)
{
    (void)state;
    example *e = make(&(qg_graft_choice){.reuse = {.kickstart = 1}});
    assert_int_equal(e->policy.shared, 3);
    assert_int_equal(e->policy.actions, 4);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(e->policy.outputs[k], of_source[k]);
        assert_int_equal(e->policy.own[k], of_target[k]);
    }
    static const struct {
        qg_graft_choice choice;
        const char *source, *target, *message; /* NULL: it is good */
    } cases[] = {
        {{.reuse = {.kickstart = 1}}, "noop,left", "left,fire", "only one of the target's actions"},
        {{.reuse = {.policy_reuse = 1}}, "noop,left", "left,fire", NULL},
        {{.reuse = {.policy_reuse = 1}}, "noop,lefty", "left,fire", "none of the target's actions"},
        {{.reuse = {.policy_reuse = 1}}, "", "left,fire", "source's (unknown)"},
        {{.reuse = {.policy_reuse = 1}, .match = QG_MATCH_INDEX}, "", "a,b,c,d", NULL},
        {{.reuse = {.policy_reuse = 1}, .match = QG_MATCH_INDEX}, "", "a,b", "has 4 actions, the "},
        {{.reuse = {.policy_reuse = 1}}, "a,b,c,d,e,f", "f,g", "none of"}, /* names beyond it */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_source_policy policy = {0};
        const qg_status status = qg_source_policy_pair(
            &cases[i].choice, &e->source, cases[i].source, cases[i].target, &policy, &error);
        assert_int_equal(status, cases[i].message ? QG_ERROR_USAGE : QG_OK);
        if (status && !strstr(error.message, cases[i].message))
            fail_msg("'%s' lacks '%s'", error.message, cases[i].message);
    }
    drop(e);
}

/* ------------------------------------------------------------------------------------ acting */

static int best_shared(const float *q)
{
    int best = 0;
    for (int k = 1; k < 3; k++)
        if (q[of_source[k]] > q[of_source[best]]) best = k;
    return of_target[best];
}

/* How often, of `draws`, each action is chosen in state i; [4]: none is. */
static void count_actions(example *e, int64_t step, int64_t age, int i, int draws, int counts[5])
{
    qg_random random = qg_random_stream(9, "acting");
    const qg_states one = qg_states_some(&e->states, i, 1);
    memset(counts, 0, 5 * sizeof *counts);
    for (int n = 0; n < draws; n++) {
        int action = -1;
        must(e->reuse.act(e->reuse.self, step, age, &random, &one, &action, &error));
        counts[action < 0 ? 4 : action]++;
    }
}

static void assert_share(int count, int draws, double share)
{
    const double deviation = sqrt(draws * share * (1 - share));
    if (fabs(count - draws * share) > 5 * deviation + 1e-9)
        fail_msg("%d of %d, expected a share of %g", count, draws, share);
}

static void test_acting(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    float q[SIZE][4];
    int counts[5], different = 0;
    example *e = make(&(qg_graft_choice){
        .reuse = {.warm_replay = 10, .policy_reuse = 0.8, .policy_reuse_decay = 0.9}});
    ask(e, q);
    assert_int_equal(e->reuse.play_steps, 10);
    for (int i = 0; i < SIZE; i++) {
        const int best = best_shared(q[i]);
        different += best != best_shared(q[0]);
        count_actions(e, 9, 3, i, DRAWS, counts); /* the last step that it plays: epsilon is 0.25 */
        for (int a = 0; a < 4; a++)
            assert_share(counts[a], DRAWS, a == best ? 0.75 + 0.0625 : 0.0625);
        assert_int_equal(counts[4], 0);
        for (int age = 0; age < 8; age += 7) {
            const double psi = 0.8 * pow(0.9, age);
            count_actions(e, 10, age, i, DRAWS, counts);
            assert_share(counts[best], DRAWS, psi);
            assert_share(counts[4], DRAWS, 1 - psi);
            assert_int_equal(counts[best] + counts[4], DRAWS);
        }
    }
    assert_true(different > 0);
    drop(e);
    e = make(&(qg_graft_choice){.reuse = {.policy_reuse = 0.5}});
    count_actions(e, 0, 1, 0, DRAWS, counts);
    assert_share(counts[4], DRAWS, 1 - 0.5 * 0.95);
    drop(e);
    e = make(&(qg_graft_choice){.reuse = {.kickstart = 5}});
    count_actions(e, 0, 0, 0, 100, counts);
    assert_int_equal(counts[4], 100);
    drop(e);
}

/* ---------------------------------------------------------------------------------- teaching */

/* Cross-entropy of the new network's policy under the source's, both of the shared actions. */
static double cross_entropy(const float *source, const double *own, double tau)
{
    double theirs = 0, ours = 0, sum = 0;
    for (int k = 0; k < 3; k++) {
        theirs += exp((double)source[of_source[k]] / tau);
        ours += exp(own[of_target[k]] / tau);
    }
    for (int k = 0; k < 3; k++)
        sum -= exp((double)source[of_source[k]] / tau) / theirs *
               (own[of_target[k]] / tau - log(ours));
    return sum;
}

static void check_teaching(const qg_graft_reuse *plan, double weight, double tau, int64_t since)
{
    example *e = make(&(qg_graft_choice){.reuse = *plan});
    qg_random random = qg_random_stream(4, "own");
    float q[SIZE][4];
    bool adds = false;
    ask(e, q);
    must(e->reuse.study(e->reuse.self, since, &e->states, &adds, &error));
    assert_true(adds);
    for (int i = 0; i < SIZE; i++) {
        float own[4], gradient[4];
        double exact[4];
        for (int a = 0; a < 4; a++) {
            own[a] = (float)(2 * qg_random_uniform(&random) - 1);
            exact[a] = (double)own[a];
            gradient[a] = 10 * (float)a; /* of the TD error: it is added to */
        }
        e->reuse.loss(e->reuse.self, i, own, 0.5f, gradient);
        for (int a = 0; a < 4; a++) {
            const double h = 1e-5, middle = exact[a];
            exact[a] = middle + h;
            const double above = cross_entropy(q[i], exact, tau);
            exact[a] = middle - h;
            const double below = cross_entropy(q[i], exact, tau);
            exact[a] = middle;
            const double wanted = 10 * a - 0.5 * weight * (above - below) / (2 * h);
            if (fabs((double)gradient[a] - wanted) > 2e-5 * (1 + 10 * a))
                fail_msg("%g, expected %g", (double)gradient[a], wanted);
        }
    }
    drop(e);
}

static void test_teaching(void **state)
{
    (void)state;
    check_teaching(&(qg_graft_reuse){.kickstart = 100}, 1, 0.1, 0);
    check_teaching(&(qg_graft_reuse){.kickstart = 100, .distill_tau = 1}, 0.25, 1, 75);
    check_teaching(&(qg_graft_reuse){.kickstart = 8, .distill_tau = 2, .distill_weight = 3}, 1.5, 2,
                   4);
}

/* The weight falls to 0 and stays there. */
static void test_annealing(void **state)
{
    (void)state;
    example *e = make(&(qg_graft_choice){
        .reuse = {.warm_replay = 9, .qdagger = 7, .kickstart = 50, .distill_weight = 2}});
    assert_int_equal(e->reuse.offline_updates, 7);
    for (int64_t since = 0; since < 120; since++) {
        bool adds;
        must(e->reuse.study(e->reuse.self, since, &e->states, &adds, &error));
        assert_int_equal(adds, since < 50);
        if (adds) assert_true(fabs(e->policy.weight - 2 * (50 - (double)since) / 50) < 1e-12);
    }
    drop(e);
    e = make(&(qg_graft_choice){.reuse = {.warm_replay = 9}});
    bool adds = true;
    must(e->reuse.study(e->reuse.self, 0, &e->states, &adds, &error));
    assert_false(adds);
    drop(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions), cmocka_unit_test(test_acting),
        cmocka_unit_test(test_teaching), cmocka_unit_test(test_annealing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
