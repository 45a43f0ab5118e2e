/* Games that are played zero-shot: the same play as that of a network with an output for every
 * action, of which the unknown ones are never the best; and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/other_games.h"

#include "reference.h"

static qg_train_options options_for(const char *const *games, int count)
{
    qg_train_options o = {
        .domain = "minatar/breakout", .also_evaluate = games, .also_evaluate_count = count};
    must(qg_settings_preset(&o.settings, "grid", &error));
    return o;
}

static qg_domain *open_domain(const qg_train_options *o, const char *name)
{
    qg_domain *domain;
    const qg_domain_options how = qg_domain_options_of(&o->settings);
    must(qg_domain_open(name, &how, &domain, &error));
    return domain;
}

static qg_engine *engine_of(const qg_network *network)
{
    qg_engine *engine;
    must(qg_engine_create(
        &(qg_engine_options){.architecture = &network->architecture, .max_batch = 1}, &engine,
        &error));
    must(qg_engine_write(engine, QG_ONLINE, network, &error));
    return engine;
}

static qg_evaluation play(const qg_network *network, qg_domain *domain, const int *outputs)
{
    qg_evaluation e;
    qg_engine *engine = engine_of(network);
    const qg_evaluation_options how = {
        .steps = 2000, .epsilon = 0.05, .history = 1, .outputs = outputs, .seed = 11};
    must(qg_evaluate(engine, domain, &how, &e, &error));
    qg_engine_destroy(engine);
    return e;
}

static void test_by_meaning(void **state)
{
    (void)state;
    static const char *const games[] = {"minatar/asterix", "minatar/space_invaders"};
    const qg_train_options o = options_for(games, 2);
    qg_domain *own = open_domain(&o, o.domain);
    qg_network network;
    qg_architecture a;
    qg_other_games others = {0};
    must(qg_architecture_for(&o.settings, own, &a, &error));
    must(qg_network_create(&a, &network, &error));
    qg_network_initialise(&network, 5);
    must(qg_other_games_open(&o, own, &a, &others, &error));
    assert_int_equal(others.count, 2);
    assert_string_equal(others.games[0].name, "minatar/asterix");
    for (int g = 0; g < others.count; g++) {
        qg_domain *other = open_domain(&o, others.games[g].name);
        qg_domain *again = open_domain(&o, others.games[g].name);
        qg_network whole;
        qg_architecture wider;
        must(qg_architecture_for(&o.settings, other, &wider, &error));
        must(qg_network_create(&wider, &whole, &error));
        const int last = a.layer_count - 1;
        const size_t hidden = (size_t)(network.weights[last] - network.parameters);
        const size_t row = qg_layer_fan_in(&a.layers[last]);
        memcpy(whole.parameters, network.parameters, hidden * sizeof(float));
        int known = 0;
        for (int i = 0; i < other->action_count; i++) {
            whole.biases[last][i] = -1e9f; /* never the best, unless: */
            for (int k = 0; k < own->action_count; k++) {
                if (strcmp(own->actions[k], other->actions[i]) != 0) continue;
                assert_int_equal(others.games[g].outputs[i], k);
                memcpy(whole.weights[last] + (size_t)i * row,
                       network.weights[last] + (size_t)k * row, row * sizeof(float));
                whole.biases[last][i] = network.biases[last][k];
                known++;
            }
        }
        assert_int_equal(known, 3); /* noop, left, right */
        const qg_evaluation x = play(&network, other, others.games[g].outputs);
        const qg_evaluation y = play(&whole, again, NULL);
        assert_true(x.episodes > 0 && x.episodes == y.episodes);
        assert_true(x.score == y.score && x.deviation == y.deviation && x.maximum == y.maximum);
        qg_network_free(&whole);
        qg_domain_close(other);
        qg_domain_close(again);
    }
    qg_network_free(&network);
    qg_domain_close(own);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *games[2];
        const char *message;
    } cases[] = {
        {{"minatar/breakout"}, "`also_evaluate`: minatar/breakout is the game that is trained"},
        {{"minatar/asterix", "minatar/asterix"}, "minatar/asterix stands there twice"},
        {{"minatar/chess"}, "chess"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const qg_train_options o = options_for(cases[i].games, cases[i].games[1] ? 2 : 1);
        qg_domain *own = open_domain(&o, o.domain);
        qg_architecture a;
        qg_other_games others = {0};
        must(qg_architecture_for(&o.settings, own, &a, &error));
        assert_int_equal(qg_other_games_open(&o, own, &a, &others, &error), QG_ERROR_USAGE);
        if (!strstr(error.message, cases[i].message))
            fail_msg("'%s' lacks '%s'", error.message, cases[i].message);
        qg_domain_close(own);
    }
    /* A network that does not see as many channels. */
    static const char *const seaquest[] = {"minatar/seaquest"};
    const qg_train_options o = options_for(seaquest, 1);
    qg_domain *own = open_domain(&o, o.domain);
    qg_architecture a;
    qg_other_games others = {0};
    must(qg_architecture_make("[{\"linear\": 8}]", 4, 10, 10, 1, 3, &a, &error));
    assert_int_equal(qg_other_games_open(&o, own, &a, &others, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "the network sees 10x10 with 4 channels"));
    qg_domain_close(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_meaning),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
