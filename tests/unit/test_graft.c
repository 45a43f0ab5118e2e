/* Grafting between odd architectures: which layers are paired, which rows, and every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/graft.h>

#include <string.h>

static const char small[] = "[{\"conv\": 4, \"kernel\": 3}, {\"linear\": 6}]";
static const char deep[] = "[{\"conv\": 4, \"kernel\": 3}, {\"linear\": 9}, {\"linear\": 6}]";

#define CHOOSE(which, n) ((qg_graft_choice){QG_CHOOSE_##which, .count = n})

static qg_error error;

/* A network whose every parameter is `value` + 1000 * layer + place. */
static qg_network make(const char *text, int actions, float value)
{
    qg_architecture a;
    qg_network network;
    if (qg_architecture_make(text, 2, 6, 6, 1, actions, &a, &error) ||
        qg_network_create(&a, &network, &error))
        fail_msg("%s: %s", text, error.message);
    for (int l = 0; l < a.layer_count; l++) {
        const size_t count = qg_layer_weights(&a.layers[l]) + (size_t)a.layers[l].outputs;
        for (size_t i = 0; i < count; i++)
            network.weights[l][i] = value + 1000 * (float)l + (float)i;
    }
    return network;
}

/* Whether output `to` of layer t, weights and bias, is output `from` of the other's layer s. */
static bool same_row(const qg_network *a, int t, int to, const qg_network *b, int s, int from)
{
    const size_t row = qg_layer_fan_in(&a->architecture.layers[t]);
    return a->biases[t][to] == b->biases[s][from] &&
           memcmp(a->weights[t] + (size_t)to * row, b->weights[s] + (size_t)from * row,
                  row * sizeof(float)) == 0;
}

static bool same_layer(const qg_network *a, int t, const qg_network *b, int s)
{
    for (int row = 0; row < a->architecture.layers[t].outputs; row++)
        if (!same_row(a, t, row, b, s, row)) return false;
    return true;
}

/* Grafts and checks that layer t of the target comes from layer sources[t] of the source (-1: it
 * keeps what it held). Last layers have the same actions. */
static void pairs(const char *from, const char *to, const qg_graft_choice *choice,
                  const int *sources)
{
    qg_network source = make(from, 3, 0.5f), target = make(to, 3, 0.25f);
    qg_network before = make(to, 3, 0.25f);
    qg_grafted_layer grafted[QG_MAX_LAYERS];
    if (qg_graft(&source, "noop,left,right", &target, "noop,left,right", choice, grafted, &error))
        fail_msg("%s", error.message);
    for (int t = 0; t < target.architecture.layer_count; t++) {
        assert_int_equal(grafted[t].source, sources[t]);
        if (sources[t] < 0) {
            assert_int_equal(grafted[t].rows, 0);
            assert_true(same_layer(&target, t, &before, t));
        } else {
            assert_int_equal(grafted[t].rows, target.architecture.layers[t].outputs);
            assert_true(same_layer(&target, t, &source, sources[t]));
        }
    }
    qg_network_free(&source);
    qg_network_free(&target);
    qg_network_free(&before);
}

static void refuses(const char *from, const char *to, const qg_graft_choice *choice,
                    const char *message)
{
    qg_network source = make(from, 3, 0.5f), target = make(to, 4, 0.25f);
    qg_grafted_layer grafted[QG_MAX_LAYERS];
    error = (qg_error){0};
    assert_int_equal(qg_graft(&source, "noop,left,right", &target, "noop,left,right,fire", choice,
                              grafted, &error),
                     QG_ERROR_USAGE);
    if (!strstr(error.message, message)) fail_msg("'%s' lacks '%s'", error.message, message);
    qg_network_free(&source);
    qg_network_free(&target);
}

/* -------------------------------------------------------------------------------- choices */

static void test_choices_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *label, *name;
    } cases[] = {
        {"first 1", "first 1", "first1"},
        {"last 16 frozen", "last 16", "last16-frozen"},
        {"layers 1,3 frozen index", "layers 1 3", "layers1-3-frozen-index"},
        {"layers 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 frozen index",
         "layers 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
         "layers1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16-frozen-index"},
        {"part decision index", "decision", "decision-index"},
        {"part abcdefghijklmno", "abcdefghijklmno", "abcdefghijklmno"},
        {"first 2 frozen thaw=500000 thaw_every=1000", "first 2 (thaw=500000 thaw_every=1000)",
         "first2-frozen-thaw-500000-thaw_every-1000"},
        {"first 2 frozen thaw=500000", "first 2 (thaw=500000)", "first2-frozen-thaw-500000"},
        {"last 1 index lr_scale=1:0.1,16:20 l2_sp=0.01 ewc=1e+15 ewc_samples=7",
         "last 1 (lr_scale=1:0.1,16:20 l2_sp=0.01 ewc=1e+15 ewc_samples=7)",
         "last1-index-lr_scale-1-0.1-16-20-l2_sp-0.01-ewc-1e+15-ewc_samples-7"},
        {"none kickstart=100 distill_weight=0.5 distill_tau=0.25",
         "kickstart=100 distill_weight=0.5 distill_tau=0.25",
         "kickstart-100-distill_weight-0.5-distill_tau-0.25"},
        {"none index kickstart=100 warm_replay=7 qdagger=12",
         "kickstart=100 warm_replay=7 qdagger=12", "index-kickstart-100-warm_replay-7-qdagger-12"},
        {"first 2 l2_sp=1 policy_reuse=0.5 policy_reuse_decay=0.99",
         "first 2 (l2_sp=1 policy_reuse=0.5 policy_reuse_decay=0.99)",
         "first2-l2_sp-1-policy_reuse-0.5-policy_reuse_decay-0.99"},
    };
    const size_t count = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < count; i++) {
        qg_graft_choice choice, other;
        char text[QG_GRAFT_CHOICE_TEXT];
        if (qg_graft_choice_parse(cases[i].text, &choice, &error)) fail_msg("%s", error.message);
        qg_graft_choice_format(&choice, text);
        assert_string_equal(text, cases[i].text);
        qg_graft_choice_label(&choice, text);
        assert_string_equal(text, cases[i].label);
        qg_graft_choice_name(&choice, text);
        assert_string_equal(text, cases[i].name);
        for (size_t j = 0; j < count; j++) {
            qg_graft_choice_parse(cases[j].text, &other, &error);
            assert_int_equal(qg_graft_choice_equal(&choice, &other), i == j);
        }
    }
    qg_graft_choice a, b;
    assert_int_equal(qg_graft_choice_parse(" layers  3,1,1  index frozen ", &a, &error), QG_OK);
    assert_int_equal(qg_graft_choice_parse("layers 1,3 frozen index", &b, &error), QG_OK);
    assert_true(qg_graft_choice_equal(&a, &b));
    assert_true(qg_graft_choice_equal(&(qg_graft_choice){0}, &(qg_graft_choice){0}));
}

static void test_choices_that_are_none(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "'' is no choice of layers"},
        {"first", "'first' is no choice of layers"},
        {"freeze yes", "is no choice of layers"},
        {"first 3 thawed", "'first 3 thawed' is no choice of layers"},
        {"first 3 thaw=0", "'first 3 thaw=0' is no choice of layers"},
        {"first 3 thaw=", "is no choice of layers"},
        {"first 3 rate=1", "is no choice of layers"},
        {"first 3 lr_scale=1:0.1,1:0.2", "is no choice of layers"},
        {"middle 3", "'middle' says nothing about layers"},
        {"first 0", "first: '0' is not a whole number from 1 to 16"},
        {"last 17", "last: '17' is not a whole number"},
        {"layers 1,17", "layers: '1,17' is not of the form \"1,3\", from 1 to 16"},
        {"layers 1,", "layers: '1,'"},
        {"layers 1;2", "layers: '1;2'"},
        {"part abcdefghijklmnop", "cannot be the name of a part: 1 to 15 small letters"},
        {"part ../x", "cannot be the name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_graft_choice choice;
        assert_int_equal(qg_graft_choice_parse(cases[i][0], &choice, &error), QG_ERROR_USAGE);
        if (!strstr(error.message, cases[i][1]))
            fail_msg("'%s' lacks '%s'", error.message, cases[i][1]);
    }
    qg_graft_choice choice = {0};
    assert_int_equal(qg_graft_choice_set(&choice, "freeze", "perhaps", &error), QG_ERROR_USAGE);
    assert_int_equal(qg_graft_choice_set(&choice, "match", "name", &error), QG_ERROR_USAGE);
    assert_string_equal(error.message, "match: 'meaning' or 'index', not 'name'");
    char text[2 * QG_GRAFT_CHOICE_TEXT];
    memset(text, ' ', sizeof text);
    memcpy(text, "first 3", 7);
    strcpy(text + sizeof text - 7, "frozen");
    assert_int_equal(qg_graft_choice_parse(text, &choice, &error), QG_ERROR_USAGE);
}

/* Words between free and frozen, one by one. */
static void test_learning_that_is_none(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"thaw", "soon", "thaw: 'soon' is not a whole number from 1 to"},
        {"thaw", "0", "thaw: '0'"},
        {"thaw_every", "-1", "thaw_every: '-1'"},
        {"ewc_samples", "1e9", "ewc_samples: '1e9'"},
        {"l2_sp", "0", "l2_sp: '0' is not a number above 0"},
        {"l2_sp", "nan", "l2_sp: 'nan'"},
        {"ewc", "-2", "ewc: '-2'"},
        {"lr_scale", "", "lr_scale: '' is not of the form"},
        {"lr_scale", "1:0.1,", "lr_scale: '1:0.1,'"},
        {"lr_scale", "0:0.1", "lr_scale: '0:0.1'"},
        {"lr_scale", "17:0.1", "lr_scale: '17:0.1'"},
        {"lr_scale", "1:0", "lr_scale: '1:0'"},
        {"lr_scale", "1=0.5", "lr_scale: '1=0.5'"},
        {"lr_scale", "1:0.1,1:0.1", "lr_scale: '1:0.1,1:0.1'"},
        {"warm", "1", "'warm' says nothing about layers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_graft_choice choice = {0};
        assert_int_equal(qg_graft_choice_set(&choice, cases[i][0], cases[i][1], &error),
                         QG_ERROR_USAGE);
        if (!strstr(error.message, cases[i][2]))
            fail_msg("'%s' lacks '%s'", error.message, cases[i][2]);
        assert_true(qg_graft_choice_equal(&choice, &(qg_graft_choice){0}));
    }
}

/* What contradicts what. */
static void test_checks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool random;
        const char *message; /* NULL: it is good */
    } cases[] = {
        {"first 2", false, NULL},
        {"first 2 frozen thaw=99", false, NULL},
        {"first 2 frozen thaw=99", true, NULL},
        {"first 2 frozen thaw_every=99 l2_sp=1", true, NULL},
        {"first 2 l2_sp=1 ewc=2 ewc_samples=3 lr_scale=5:2", false, NULL},
        {"first 2 thaw=99", false, "`thaw`: the copied layers learn from the beginning"},
        {"first 2 thaw_every=9", false, "`thaw_every`: the copied layers learn"},
        {"first 2 frozen thaw=100", false, "`thaw`: step 100 is not within the 100 steps"},
        {"first 2 frozen thaw_every=100", false, "`thaw_every`: step 100 is not within"},
        {"first 2 frozen thaw=10 thaw_every=200", false, NULL}, /* the lower one stays frozen */
        {"first 2 frozen thaw=9", false, "`thaw`: at step 9 nothing has learned yet"},
        {"first 2 frozen thaw_every=8", false, "`thaw_every`: at step 8 nothing has learned"},
        {"first 2 frozen l2_sp=1", false, "`l2_sp`: frozen layers need no pull"},
        {"first 2 frozen ewc=1", false, "`ewc`: frozen layers need no pull"},
        {"first 2 frozen thaw=10 ewc=1", true, "`ewc`: random layers have no game"},
        {"first 2 ewc_samples=9", false, "`ewc_samples`: means nothing without `ewc`"},
        {"first 2 lr_scale=6:2", false, "`lr_scale`: layer 6 of a network that has 5"},
        {"none kickstart=9 distill_weight=2 distill_tau=1", false, NULL},
        {"first 2 frozen kickstart=1000000", false, NULL},
        {"none warm_replay=50 qdagger=9 kickstart=9 policy_reuse=1", false, NULL},
        {"none kickstart=9", true, "`kickstart`: random layers have no policy"},
        {"first 2 frozen policy_reuse=1", true, "`policy_reuse`: random layers have no policy"},
        {"none distill_tau=1 policy_reuse=1", false, "`distill_tau`: means nothing without `kick"},
        {"none distill_weight=1 warm_replay=9", false, "`distill_weight`: means nothing without"},
        {"none qdagger=9 kickstart=9", false, "`qdagger`: means nothing without `warm_replay`"},
        {"none qdagger=9 warm_replay=9", false, "`qdagger`: means nothing without `kickstart`"},
        {"none policy_reuse_decay=1 kickstart=9", false, "`policy_reuse_decay`: means nothing"},
        {"none policy_reuse=1 policy_reuse_decay=1", false, "the new network would never act"},
        {"none policy_reuse=0.9 policy_reuse_decay=1", false, NULL},
        {"none warm_replay=100", false, "`warm_replay`: nothing would be learned in the 100"},
        {"none warm_replay=51", false, "`warm_replay`: the memory has room for 50 of 51"},
        {"first 2 frozen thaw=31 warm_replay=30", false, "`thaw`: at step 31 nothing has learned"},
        {"first 2 frozen thaw=32 warm_replay=30 kickstart=9 qdagger=5", false, NULL},
        {"first 2 frozen thaw=31 warm_replay=30 kickstart=9 qdagger=5", false,
         "the first update is at step 31"},
        {"none kickstart=9 frozen", false, "`freeze`: no layer is copied"},
        {"none kickstart=9 l2_sp=1", false, "`l2_sp`: no layer is copied"},
        {"none kickstart=9 ewc=1", false, "`ewc`: no layer is copied"},
    };
    const qg_settings settings = {.learn_start = 8, .replay = 50, .update_every = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_graft_choice choice;
        if (qg_graft_choice_parse(cases[i].text, &choice, &error)) fail_msg("%s", error.message);
        const qg_status status =
            qg_graft_choice_check(&choice, cases[i].random, 100, &settings, 5, &error);
        assert_int_equal(status, cases[i].message ? QG_ERROR_USAGE : QG_OK);
        if (status && !strstr(error.message, cases[i].message))
            fail_msg("'%s' lacks '%s'", error.message, cases[i].message);
    }
}

/* -------------------------------------------------------------------------------- pairing */

static void test_first_and_last(void **state)
{
    (void)state;
    pairs(small, small, &CHOOSE(FIRST, 1), (int[]){0, -1, -1});
    pairs(small, small, &CHOOSE(FIRST, 3), (int[]){0, 1, 2});
    pairs(small, small, &CHOOSE(LAST, 1), (int[]){-1, -1, 2});
    pairs(small, small, &CHOOSE(LAST, 3), (int[]){0, 1, 2});
    pairs(small, small, &(qg_graft_choice){QG_CHOOSE_LAYERS, .layers = 1 << 0 | 1 << 2},
          (int[]){0, -1, 2});
}

static void test_different_depths(void **state)
{
    (void)state;
    pairs(small, deep, &CHOOSE(FIRST, 1), (int[]){0, -1, -1, -1});
    pairs(small, deep, &CHOOSE(LAST, 1), (int[]){-1, -1, -1, 2});
    pairs(deep, small, &CHOOSE(LAST, 1), (int[]){-1, -1, 3});
    pairs(deep, small, &CHOOSE(FIRST, 1), (int[]){0, -1, -1});
    pairs("[{\"linear\": 6}]", "[{\"linear\": 72}, {\"linear\": 6}]", &CHOOSE(LAST, 1),
          (int[]){-1, -1, 1});
}

static void test_parts(void **state)
{
    (void)state;
    static const char here[] = "[{\"conv\": 4, \"kernel\": 3, \"part\": \"eye\"}, "
                               "{\"linear\": 5, \"part\": \"eye\"}, {\"linear\": 6}]";
    static const char there[] = "[{\"conv\": 4, \"kernel\": 3, \"part\": \"eye\"}, "
                                "{\"linear\": 5, \"part\": \"eye\"}, "
                                "{\"linear\": 7, \"part\": \"hand\"}]";
    const qg_graft_choice eye = {QG_CHOOSE_PART, .part = "eye"};
    const qg_graft_choice hand = {QG_CHOOSE_PART, .part = "hand"};
    pairs(here, there, &eye, (int[]){0, 1, -1, -1});
    pairs(there, there, &hand, (int[]){-1, -1, 2, 3});
    refuses(there, here, &hand, "the new network has no part 'hand'");
    refuses(small, there, &eye, "the source network has no part 'eye'");
    refuses(small, small, &(qg_graft_choice){QG_CHOOSE_PART, .part = ""}, "no part ''");
    refuses(
        "[{\"linear\": 5, \"part\": \"eye\"}, {\"linear\": 5, \"part\": \"eye\"}]", there, &eye,
        "the part 'eye' has 3 layers in the source and 2 in the target"); /* with the last one */
}

/* -------------------------------------------------------------------------------- rows */

static void test_rows_by_meaning(void **state)
{
    (void)state;
    qg_network source = make(small, 3, 0.5f), target = make(small, 4, 0.25f);
    qg_network before = make(small, 4, 0.25f);
    qg_grafted_layer grafted[QG_MAX_LAYERS];
    const qg_graft_choice choice = {QG_CHOOSE_LAST, .count = 1};
    assert_int_equal(qg_graft(&source, "noop,left,right", &target, "right,fire,noop,leftfire",
                              &choice, grafted, &error),
                     QG_OK);
    assert_int_equal(grafted[2].rows, 2);
    assert_true(same_row(&target, 2, 0, &source, 2, 2));
    assert_true(same_row(&target, 2, 1, &before, 2, 1));
    assert_true(same_row(&target, 2, 2, &source, 2, 0));
    assert_true(same_row(&target, 2, 3, &before, 2, 3)); /* left is not leftfire */
    qg_network_free(&source);
    qg_network_free(&target);
    qg_network_free(&before);
}

/* A value is a value whatever the actions are; advantages go by their meaning; and neither is a
 * q-value. */
static void test_heads(void **state)
{
    (void)state;
    static const char dueling[] = "[{\"conv\": 4, \"kernel\": 3}, {\"dueling\": 3}]";
    qg_network source = make(dueling, 3, 0.5f), target = make(dueling, 4, 0.25f);
    const qg_network before = make(dueling, 4, 0.25f);
    qg_grafted_layer grafted[QG_MAX_LAYERS];
    const qg_graft_choice last = CHOOSE(LAST, 1);
    assert_int_equal(
        qg_graft(&source, "noop,left,right", &target, "right,fire,noop,up", &last, grafted, &error),
        QG_OK);
    assert_int_equal(grafted[2].rows, 3); /* the value and two advantages, of five */
    assert_true(same_row(&target, 2, 0, &source, 2, 0));
    assert_true(same_row(&target, 2, 1, &source, 2, 3));
    assert_true(same_row(&target, 2, 3, &source, 2, 1));
    assert_true(same_row(&target, 2, 2, &before, 2, 2));
    assert_true(same_row(&target, 2, 4, &before, 2, 4));
    const qg_graft_choice first = CHOOSE(FIRST, 2);
    pairs(dueling, dueling, &first, (const int[]){0, 1, -1});
    pairs(dueling, small, &first, (const int[]){0, 1, -1}); /* two streams of 3 are 6 units */
    refuses(dueling, small, &last, "heads of the source has a value and an advantage head and fc2");
    refuses(small, dueling, &last, "a value and advantages are no q-values");
    qg_network *all[] = {&source, &target, (qg_network *)&before};
    for (int i = 0; i < 3; i++)
        qg_network_free(all[i]);
}

/* The same weights with layer normalisation behind them compute something else. */
static void test_norm(void **state)
{
    (void)state;
    static const char normed[] = "[{\"conv\": 4, \"kernel\": 3, \"norm\": true}, {\"linear\": 6}]";
    const qg_graft_choice first = CHOOSE(FIRST, 1), last = CHOOSE(LAST, 1);
    pairs(normed, normed, &first, (const int[]){0, -1, -1});
    pairs(normed, small, &last, (const int[]){-1, -1, 2}); /* neither last layer has it */
    refuses(normed, small, &first,
            "conv1 of the source has layer normalisation and conv1 of the target has none");
    refuses(small, normed, &first, "of the source has none and conv1 of the target has layer");
}

static void test_no_common_action(void **state)
{
    (void)state;
    qg_network source = make(small, 3, 0.5f), target = make(small, 3, 0.25f);
    qg_grafted_layer grafted[QG_MAX_LAYERS];
    qg_graft_choice choice = {QG_CHOOSE_LAST, .count = 2};
    assert_int_equal(
        qg_graft(&source, "up,down,fire", &target, "noop,left,right", &choice, grafted, &error),
        QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "(noop,left,right) is one of the source (up,down,fire)"));
    assert_int_equal(qg_graft(&source, "", &target, "noop,left,right", &choice, grafted, &error),
                     QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "(unknown)"));
    choice.match = QG_MATCH_INDEX;
    assert_int_equal(qg_graft(&source, "", &target, "noop,left,right", &choice, grafted, &error),
                     QG_OK);
    assert_int_equal(grafted[2].rows, 3);
    assert_true(same_layer(&target, 2, &source, 2));
    qg_network_free(&source);
    qg_network_free(&target);
}

/* -------------------------------------------------------------------------------- refusals */

static void test_refusals(void **state)
{
    (void)state;
    refuses(small, deep, &CHOOSE(FIRST, 4), "`first` 4: the networks have 3 and 4");
    refuses(small, deep, &CHOOSE(LAST, 4), "1 to 3 can be copied");
    refuses(small, small, &CHOOSE(FIRST, -1), "`first` -1");
    refuses(small, small, &(qg_graft_choice){QG_CHOOSE_LAYERS, .layers = 1 << 0 | 1 << 5},
            "`layers` 6");
    refuses(small, small, &(qg_graft_choice){0}, "no layer to copy is named");
    refuses(small, deep, &CHOOSE(FIRST, 2),
            "fc1 of the source (linear 6x64) does not fit fc1 of the target (linear 9x64)");
    refuses(deep, small, &CHOOSE(LAST, 2),
            "fc2 of the source (linear 6x9) does not fit fc1 of the target (linear 6x64)");
    refuses(small, "[{\"conv\": 4, \"kernel\": 2}, {\"linear\": 6}]", &CHOOSE(FIRST, 1),
            "conv1 of the source (conv 4x2x3x3) does not fit conv1 of the target (conv 4x2x2x2)");
    refuses(small, small, &(qg_graft_choice){QG_CHOOSE_LAST, .count = 1, .match = QG_MATCH_INDEX},
            "the numbers of actions differ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices_as_text),
        cmocka_unit_test(test_choices_that_are_none),
        cmocka_unit_test(test_learning_that_is_none),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_first_and_last),
        cmocka_unit_test(test_different_depths),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_rows_by_meaning),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_no_common_action),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
