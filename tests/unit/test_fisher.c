/* The Fisher information against gradients in doubles, on states that are drawn here once more; and
 * that nothing but what determines it changes a bit of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/episode.h"
#include "agent/history.h"
#include "transfer/fisher.h"

#include "reference.h"

enum { SAMPLES = 4 };

typedef struct source {
    qg_settings settings;
    qg_network network;
    qg_network_info info;
} source;

/* A network of breakout, which plays at random. */
static source source_create(void)
{
    source s = {.info = {.domain = "minatar/breakout", .history = 1}};
    qg_architecture a;
    must(qg_settings_preset(&s.settings, "grid", &error));
    s.settings.eval_epsilon = 1;
    must(qg_architecture_make("[{\"conv\": 3, \"kernel\": 3}, {\"linear\": 5}]", 4, 10, 10, 1, 3,
                              &a, &error));
    must(qg_network_create(&a, &s.network, &error));
    qg_network_initialise(&s.network, 3);
    return s;
}

static qg_fisher_options options_of(const source *s)
{
    return (qg_fisher_options){.network = &s->network,
                               .info = &s->info,
                               .settings = &s->settings,
                               .samples = SAMPLES,
                               .seed = 7,
                               .machine = {.threads = 1}};
}

/* Every tenth state of random play. */
static void find_expected(const source *s, double *expected)
{
    qg_random of_domain = qg_random_stream(7, "fisher/domain");
    qg_random policy = qg_random_stream(7, "fisher/policy");
    qg_domain_options how = qg_domain_options_of(&s->settings);
    how.seed = (uint32_t)qg_random_u64(&of_domain);
    qg_domain *domain;
    qg_history history;
    qg_step step;
    must(qg_domain_open("minatar/breakout", &how, &domain, &error));
    must(qg_history_create(&domain->shape, 1, &history, &error));
    reference r = reference_create(&s->network.architecture);
    to_doubles(&s->network, r.parameters);
    bool over = true;
    for (int i = 0; i < 10 * SAMPLES; i++) {
        if (over) must(qg_domain_reset(domain, 0, qg_history_next(&history), &error));
        if (over) qg_history_push(&history);
        const qg_states state = qg_history_state(&history);
        for (int a = 0; a < 3 && i % 10 == 0; a++) {
            double direction[32] = {0};
            direction[a] = 1;
            memset(r.gradient, 0, r.count * sizeof *r.gradient);
            reference_forward(&r, &state, 0);
            reference_backward(&r, direction);
            for (size_t k = 0; k < r.count; k++)
                expected[k] += r.gradient[k] * r.gradient[k] / SAMPLES;
        }
        (void)qg_random_uniform(&policy); /* explores */
        const int action = (int)qg_random_below(&policy, 3);
        must(qg_domain_step(domain, action, &step, qg_history_next(&history), &error));
        qg_history_push(&history);
        over = qg_step_is_last(&step);
    }
    reference_free(&r);
    qg_history_destroy(&history);
    qg_domain_close(domain);
}

static void test_reference(void **state)
{
    (void)state;
    source s = source_create();
    const qg_fisher_options o = options_of(&s);
    const size_t count = qg_architecture_parameters(&s.network.architecture);
    double *expected = zeros(count, sizeof *expected);
    qg_network got;
    must(qg_network_create(&s.network.architecture, &got, &error));
    must(qg_fisher(&o, &got, &error));
    find_expected(&s, expected);
    assert_close("fisher", "breakout", 1e-5, got.parameters, expected, count);
    for (int a = 0; a < 3; a++) /* dQ_a / db_a is 1 */
        assert_true(got.biases[2][a] == 1);
    free(expected);
    qg_network_free(&got);
    qg_network_free(&s.network);
}

/* The precision of the training, threads. */
static void test_same_bits(void **state)
{
    (void)state;
    source s = source_create(), other = source_create();
    strcpy(other.settings.precision, "bf16");
    other.settings.learning_rate = 1;
    s.settings.eval_epsilon = other.settings.eval_epsilon = 0.1;
    qg_fisher_options a = options_of(&s), b = options_of(&other);
    b.machine.threads = 3;
    qg_network x, y;
    must(qg_network_create(&s.network.architecture, &x, &error));
    must(qg_network_create(&s.network.architecture, &y, &error));
    must(qg_fisher(&a, &x, &error));
    must(qg_fisher(&b, &y, &error));
    const size_t bytes = qg_architecture_parameters(&s.network.architecture) * sizeof(float);
    assert_memory_equal(x.parameters, y.parameters, bytes);
    b.seed++;
    must(qg_fisher(&b, &y, &error));
    assert_memory_not_equal(x.parameters, y.parameters, bytes);
    qg_network_free(&x);
    qg_network_free(&y);
    qg_network_free(&s.network);
    qg_network_free(&other.network);
}

static void test_refusals(void **state)
{
    (void)state;
    source s = source_create();
    qg_fisher_options o = options_of(&s);
    qg_network ignored;
    must(qg_network_create(&s.network.architecture, &ignored, &error));
    const volatile sig_atomic_t stop = 1;
    o.stop = &stop;
    assert_int_equal(qg_fisher(&o, &ignored, &error), QG_STOPPED);
    o.stop = NULL;
    strcpy(s.info.domain, "minatar/seaquest"); /* ten channels */
    assert_int_equal(qg_fisher(&o, &ignored, &error), QG_ERROR_USAGE);
    s.info.domain[0] = '\0';
    assert_int_equal(qg_fisher(&o, &ignored, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "does not say its game"));
    qg_network_free(&ignored);
    qg_network_free(&s.network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
