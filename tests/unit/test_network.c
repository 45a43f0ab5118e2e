/* Architectures (shapes and every message), initial weights, and network files, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/network.h>

#include "network/safetensors.h"
#include "scratch.h"

#include <math.h>

static qg_error error;

static qg_architecture make(const char *text, int channels, int side, int max, int actions)
{
    qg_architecture a;
    if (qg_architecture_make(text, channels, side, side, max, actions, &a, &error))
        fail_msg("%s refused: %s", text, error.message);
    return a;
}

static void refuses(const char *text, const char *message)
{
    qg_architecture a;
    error = (qg_error){0};
    if (qg_architecture_make(text, 4, 84, 84, 255, 6, &a, &error) == QG_OK)
        fail_msg("%.80s accepted", text);
    assert_int_equal(error.code, QG_ERROR_USAGE);
    assert_true(strncmp(error.message, "network: ", 9) == 0);
    if (!strstr(error.message, message))
        fail_msg("%.80s: '%s' lacks '%s'", text, error.message, message);
}

static void check_layer(const qg_architecture *a, int index, const char *name, size_t fan_in,
                        int outputs, int side)
{
    const qg_layer *layer = &a->layers[index];
    assert_string_equal(layer->name, name);
    assert_int_equal(qg_layer_fan_in(layer), fan_in);
    assert_int_equal(layer->outputs, outputs);
    assert_int_equal(layer->out_height, side);
    assert_int_equal(layer->out_width, side);
}

/* ---- Architectures ---- */

static void test_presets(void **state)
{
    (void)state;
    for (int padding = 1; padding >= 0; padding--) {
        const qg_architecture a = make(padding ? "nature" : "nature-pad0", 4, 84, 255, 6);
        assert_int_equal(a.layer_count, 5);
        assert_int_equal(a.layers[0].padding, padding);
        check_layer(&a, 0, "conv1", 256, 32, 20);
        check_layer(&a, 1, "conv2", 512, 64, 9);
        check_layer(&a, 2, "conv3", 576, 64, 7);
        check_layer(&a, 3, "fc1", 3136, 512, 1);
        check_layer(&a, 4, "fc2", 512, 6, 1);
        assert_int_equal(qg_architecture_parameters(&a), 1687206);
    }
    for (int channels = 4; channels <= 10; channels++) { /* all fit between each other */
        const qg_architecture a = make("grid", channels, 10, 1, 6);
        assert_int_equal(a.channels, 10);
        check_layer(&a, 0, "conv1", 90, 16, 8);
        check_layer(&a, 1, "conv2", 144, 16, 6);
        check_layer(&a, 2, "conv3", 144, 16, 4);
        check_layer(&a, 3, "fc1", 256, 128, 1);
        check_layer(&a, 4, "fc2", 128, 6, 1);
    }
    const qg_architecture wide = make("grid", 20, 10, 1, 6); /* a history of two */
    assert_int_equal(wide.channels, 20);
}

static void test_lists(void **state)
{
    (void)state;
    const qg_architecture none = make("[]", 3, 5, 1, 4);
    assert_int_equal(none.layer_count, 1);
    check_layer(&none, 0, "fc1", 75, 4, 1);
    const qg_architecture a =
        make(" [ {\"padding\": 2, \"stride\": 3, \"kernel\": 4, \"conv\": 7}, {\"linear\": 9} ] ",
             3, 11, 255, 2);
    check_layer(&a, 0, "conv1", 48, 7, 4); /* (11 + 2 * 2 - 4) / 3 + 1 */
    check_layer(&a, 1, "fc1", 112, 9, 1);
    check_layer(&a, 2, "fc2", 9, 2, 1);
    qg_architecture b;
    assert_int_equal(qg_architecture_make("[{\"conv\":5,\"kernel\":3,\"stride\":2}]", 1, 9, 20, 255,
                                          3, &b, &error),
                     QG_OK);
    assert_int_equal(b.layers[0].out_height, 4);
    assert_int_equal(b.layers[0].out_width, 9);
    assert_int_equal(qg_layer_fan_in(&b.layers[1]), 180);
    char most[QG_ARCHITECTURE_TEXT] = "[{\"linear\":1}";
    for (int i = 1; i < QG_MAX_LAYERS - 1; i++)
        strcat(most, ",{\"linear\":1}");
    strcat(most, "]");
    const qg_architecture deep = make(most, 1, 1, 1, 1);
    assert_int_equal(deep.layer_count, QG_MAX_LAYERS);
}

static void test_equal(void **state)
{
    (void)state;
    static const char nature_list[] = "[{\"conv\":32,\"kernel\":8,\"stride\":4,\"padding\":1},"
                                      "{\"conv\":64,\"kernel\":4,\"stride\":2},"
                                      "{\"conv\":64,\"kernel\":3},{\"linear\":512}]";
    const qg_architecture nature = make("nature", 4, 84, 255, 6);
    const qg_architecture list = make(nature_list, 4, 84, 255, 6);
    assert_true(qg_architecture_equal(&nature, &list));
    const qg_architecture others[] = {
        make("nature-pad0", 4, 84, 255, 6), make("nature", 4, 84, 255, 7),
        make("nature", 4, 84, 1, 6),        make("nature", 3, 84, 255, 6),
        make("nature", 4, 85, 255, 6),      make("[]", 4, 84, 255, 6),
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(qg_architecture_equal(&nature, &others[i]));
}

/* Two streams behind the convolutions, and heads that see one each. */
static void test_dueling(void **state)
{
    (void)state;
    const qg_architecture a = make("nature-dueling", 4, 84, 255, 6);
    assert_int_equal(a.layer_count, 5);
    assert_true(qg_architecture_is_dueling(&a));
    check_layer(&a, 3, "fc1", 3136, 1024, 1);
    check_layer(&a, 4, "heads", 512, 7, 1);
    assert_int_equal(a.layers[4].in_channels, 1024);
    assert_int_equal(qg_layer_weights(&a.layers[4]), 7 * 512);
    const qg_architecture list =
        make("[{\"conv\":16,\"kernel\":3},{\"dueling\":20,\"part\":\"eyes\"}]", 10, 10, 1, 3);
    check_layer(&list, 2, "heads", 20, 4, 1);
    assert_string_equal(list.layers[2].part, "eyes");
    const qg_architecture grid = make("grid-dueling", 4, 10, 1, 3);
    assert_int_equal(grid.channels, 10);
    const qg_architecture plain =
        make("[{\"conv\":16,\"kernel\":3},{\"linear\":40}]", 10, 10, 1, 4);
    assert_false(qg_architecture_equal(&list, &plain));
    assert_false(qg_architecture_is_dueling(&plain));
}

static void test_norm(void **state)
{
    (void)state;
    const qg_architecture a = make("nature-norm", 4, 84, 255, 6),
                          plain = make("nature", 4, 84, 255, 6);
    assert_int_equal(a.layer_count, 5);
    for (int l = 0; l < 5; l++)
        assert_int_equal(a.layers[l].norm, l < 4);
    assert_true(qg_architecture_is_normed(&a) && !qg_architecture_is_normed(&plain));
    assert_false(qg_architecture_equal(&a, &plain));
    assert_int_equal(qg_architecture_parameters(&a), qg_architecture_parameters(&plain));
    const qg_architecture off = make("[{\"linear\":4,\"norm\":false}]", 4, 8, 255, 6);
    assert_false(qg_architecture_is_normed(&off));
}

static void test_messages(void **state)
{
    (void)state;
    refuses("natur", "'natur' is not nature, nature-pad0, grid");
    refuses("", "is not nature");
    refuses("5", "is not nature");
    refuses("nature-dueling:5", "'nature-dueling:5' is not nature");
    refuses("nature-split:8-dueling", "the bottleneck is 1 to 8192 units wide");
    refuses("grid-norm-dueling", "'grid-norm-dueling' is not nature");
    refuses("[{\"linear\":5,\"norm\":1}]", "the norm of layer 1 must be true or false");
    refuses("[{\"dueling\":5,\"norm\":true}]", "no dueling layer has one");
    refuses("[{\"norm\":true}]", "layer 1 must be");
    refuses("-dueling", "'-dueling' is not nature");
    refuses("[{\"dueling\":5},{\"linear\":3}]", "layer 1 is dueling, which only the last");
    refuses("[{\"dueling\":0}]", "layer 1 needs 'dueling', a whole number from 1 to 4096");
    refuses("[{\"dueling\":4097}]", "layer 1 needs 'dueling'");
    refuses("[{\"dueling\":5,\"linear\":5}]", "layer 1 must be");
    refuses("[{\"conv\":5,\"kernel\":1,\"dueling\":4}]", "layer 1 is both conv and dueling");
    refuses("{\"linear\":5}", "a list of at most 15 layers");
    refuses("[{\"linear\":5}", "is not nature");
    refuses("[5]", "layer 1 must be");
    refuses("[{}]", "layer 1 must be");
    refuses("[{\"linear\":5,\"kernel\":3}]", "layer 1 must be");
    refuses("[{\"linear\":5},{\"units\":3}]", "layer 2 has the unknown key 'units'");
    refuses("[{\"linear\":5,\"linear\":6}]", "duplicate");
    refuses("[{\"conv\":5,\"kernel\":3,\"linear\":6}]", "layer 1 is both conv and linear");
    refuses("[{\"conv\":5}]", "layer 1 needs 'kernel', a whole number from 1 to 64");
    refuses("[{\"conv\":0,\"kernel\":3}]", "layer 1 needs 'conv', a whole number from 1 to 8192");
    refuses("[{\"conv\":2.5,\"kernel\":3}]", "layer 1 needs 'conv'");
    refuses("[{\"conv\":\"5\",\"kernel\":3}]", "layer 1 needs 'conv'");
    refuses("[{\"conv\":null,\"kernel\":3}]", "layer 1 needs 'conv'");
    refuses("[{\"conv\":5,\"kernel\":65}]", "layer 1 needs 'kernel'");
    refuses("[{\"conv\":5,\"kernel\":3,\"stride\":0}]", "layer 1 needs 'stride'");
    refuses("[{\"conv\":5,\"kernel\":3,\"padding\":3}]",
            "layer 1 needs 'padding', a whole number from 0 to 2");
    refuses("[{\"conv\":5,\"kernel\":3,\"padding\":-1}]", "layer 1 needs 'padding'");
    refuses("[{\"linear\":-1}]", "layer 1 needs 'linear'");
    refuses("[{\"linear\":1e3}]", "layer 1 needs 'linear'");
    refuses("[{\"linear\":99999999999999999999}]", "is not nature"); /* beyond 64 bits */
    refuses("[{\"linear\":9223372036854775807}]", "layer 1 needs 'linear'");
    refuses("[{\"linear\":4294967297}]", "layer 1 needs 'linear'"); /* 1 as an int */
    refuses("[{\"linear\":8192},{\"linear\":8192},{\"linear\":8192},{\"linear\":8192}]",
            "more than 268435456 parameters");
    refuses("[{\"conv\":16,\"kernel\":40,\"stride\":9},{\"conv\":16,\"kernel\":6}]",
            "layer 2 has a kernel of 6, larger than its input of 5x5");
    refuses("[{\"linear\":5},{\"conv\":5,\"kernel\":1}]",
            "layer 2 is a conv behind a linear layer");
    refuses("natur-split:5", "'natur-split:5' is not nature");
    refuses("nature-split:", "the bottleneck is 1 to 8192 units wide");
    refuses("nature-split:0", "the bottleneck is 1 to 8192 units wide");
    refuses("nature-split:8193", "the bottleneck is 1 to 8192 units wide");
    refuses("nature-split:5x", "the bottleneck is 1 to 8192 units wide");
    refuses("[{\"linear\":5,\"part\":7}]", "the part of layer 1 must be a name");
    refuses("[{\"linear\":5,\"part\":\"\"}]", "the part of layer 1 must be a name");
    refuses("[{\"linear\":5,\"part\":\"Eyes\"}]", "the part of layer 1 must be a name");
    refuses("[{\"linear\":5,\"part\":\"abcdefghijklmnop\"}]", "name of 1 to 15 small letters");
    refuses("[{\"linear\":5,\"part\":\"eyes\",\"kernel\":3}]", "layer 1 must be");
    char many[QG_ARCHITECTURE_TEXT] = "[{\"linear\":1}";
    for (int i = 1; i < QG_MAX_LAYERS; i++)
        strcat(many, ",{\"linear\":1}");
    strcat(many, "]");
    refuses(many, "at most 15 layers");
    char longer[QG_ARCHITECTURE_TEXT + 1];
    memset(longer, ' ', sizeof longer);
    memcpy(longer, "[]", 2);
    longer[QG_ARCHITECTURE_TEXT] = 0;
    refuses(longer, "longer than 1023 characters");
    longer[QG_ARCHITECTURE_TEXT - 1] = 0;
    make(longer, 1, 1, 1, 1);
    refuses("[{\"un\\nknown\\u001b[31m\":3}]", "unknown key 'un?known?[31m'"); /* one line */
}

static void test_inputs(void **state)
{
    (void)state;
    static const int wrong[][5] = {
        /* channels, height, width, max, actions */
        {0, 84, 84, 255, 6},  {8193, 84, 84, 255, 6}, {4, 0, 84, 255, 6}, {4, 84, 1025, 255, 6},
        {4, 84, -1, 255, 6},  {4, 84, 84, 254, 6},    {4, 84, 84, 0, 6},  {4, 84, 84, 255, 0},
        {4, 84, 84, 255, -5}, {4, 84, 84, 255, 8193}};
    qg_architecture a;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const int *w = wrong[i];
        assert_int_equal(qg_architecture_make("nature", w[0], w[1], w[2], w[3], w[4], &a, &error),
                         QG_ERROR_USAGE);
        assert_non_null(strstr(error.message, "not possible"));
    }
    /* Few parameters, but activations whose size overflows: only a forged file asks for that. */
    assert_int_equal(qg_architecture_make("[{\"conv\":8192,\"kernel\":1},{\"conv\":1,\"kernel\":1,"
                                          "\"stride\":64}]",
                                          1, 1024, 1024, 1, 2, &a, &error),
                     QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "layer 1"));
    assert_int_equal(qg_architecture_make("[{\"conv\":1,\"kernel\":64,\"stride\":64}]", 8192, 1024,
                                          1024, 1, 2, &a, &error),
                     QG_ERROR_USAGE);
}

static void test_split(void **state)
{
    (void)state;
    const qg_architecture a = make("nature-split:40", 4, 84, 255, 6);
    assert_int_equal(a.layer_count, 6);
    check_layer(&a, 2, "conv3", 576, 64, 7);
    check_layer(&a, 3, "fc1", 3136, 40, 1);
    check_layer(&a, 4, "fc2", 40, 512, 1);
    check_layer(&a, 5, "fc3", 512, 6, 1);
    for (int i = 0; i < 6; i++)
        assert_string_equal(a.layers[i].part, i < 4 ? "perception" : "decision");
    const qg_architecture grid = make("grid-split:8192", 4, 10, 1, 3);
    assert_int_equal(grid.channels, 10);
    check_layer(&grid, 3, "fc1", 256, 8192, 1);
    const qg_architecture list =
        make("[{\"linear\":5,\"part\":\"eyes\"},{\"linear\":5}]", 1, 2, 1, 1);
    assert_string_equal(list.layers[0].part, "eyes");
    assert_string_equal(list.layers[1].part, "");
}

/* ---- Initial weights ---- */

static qg_network create(const qg_architecture *a)
{
    qg_network network;
    assert_int_equal(qg_network_create(a, &network, &error), QG_OK);
    return network;
}

static void test_initial_distribution(void **state)
{
    (void)state;
    const qg_architecture a = make("nature", 4, 84, 255, 6);
    qg_network n = create(&a);
    for (size_t k = 0; k < qg_architecture_parameters(&a); k++)
        assert_true(n.parameters[k] == 0);
    qg_network_initialise(&n, 7);
    for (int i = 0; i < a.layer_count; i++) {
        const qg_layer *layer = &a.layers[i];
        const double bound = 1 / sqrt((double)qg_layer_fan_in(layer));
        const size_t counts[] = {qg_layer_weights(layer), (size_t)layer->outputs};
        const float *const values[] = {n.weights[i], n.biases[i]};
        for (int part = 0; part < 2; part++) {
            const double count = (double)counts[part];
            double sum = 0, squares = 0, largest = 0;
            for (size_t k = 0; k < counts[part]; k++) {
                const double x = (double)values[part][k] / bound;
                sum += x;
                squares += x * x;
                largest = fmax(largest, fabs(x));
            }
            assert_true(largest <= 1 + 1e-7);
            assert_true(largest > 1 - 8 / count); /* reached but for e^-8 */
            /* 5 standard errors of the mean (variance 1/3) and of the square (4/45) */
            assert_true(fabs(sum / count) < 5 * sqrt(1 / 3.0 / count));
            assert_true(fabs(squares / count - 1 / 3.0) < 5 * sqrt(4 / 45.0 / count));
        }
    }
    qg_network_free(&n);
}

static void assert_layer_equal(const qg_network *a, int i, const qg_network *b, int k, bool equal)
{
    const size_t count = qg_layer_weights(&a->architecture.layers[i]);
    const size_t outputs = (size_t)a->architecture.layers[i].outputs;
    const bool weights = memcmp(a->weights[i], b->weights[k], count * sizeof(float)) == 0;
    const bool biases = memcmp(a->biases[i], b->biases[k], outputs * sizeof(float)) == 0;
    assert_int_equal(weights, equal);
    assert_int_equal(biases, equal);
}

static void test_initial_streams(void **state)
{
    (void)state;
    const qg_architecture grid = make("grid", 4, 10, 1, 6);
    const qg_architecture other = make("[{\"conv\":16,\"kernel\":3},{\"conv\":16,\"kernel\":3},"
                                       "{\"linear\":33}]",
                                       10, 10, 1, 4);
    qg_network a = create(&grid), b = create(&grid), c = create(&grid), d = create(&other);
    qg_network_initialise(&a, 1);
    qg_network_initialise(&b, 1);
    qg_network_initialise(&c, 2);
    qg_network_initialise(&d, 1);
    for (int i = 0; i < grid.layer_count; i++) {
        assert_layer_equal(&a, i, &b, i, true);  /* same seed, same bits */
        assert_layer_equal(&a, i, &c, i, false); /* every layer depends on the seed */
    }
    assert_layer_equal(&a, 0, &d, 0, true); /* whatever the other layers are */
    assert_layer_equal(&a, 1, &d, 1, true);
    assert_layer_equal(&a, 1, &a, 2, false); /* layers of one shape are not alike */
    qg_network *const all[] = {&a, &b, &c, &d};
    for (size_t i = 0; i < 4; i++)
        qg_network_free(all[i]);
}

/* ---- Files ---- */

static qg_network small_network(void)
{
    const qg_architecture a = make("[{\"conv\":3,\"kernel\":2},{\"linear\":5}]", 2, 4, 255, 4);
    qg_network network = create(&a);
    qg_network_initialise(&network, 3);
    return network;
}

static void test_round_trip(void **state)
{
    (void)state;
    qg_network n = small_network(), back;
    const qg_network_info scores[] = {{.domain = "minatar/breakout",
                                       .actions = "noop,left,right,fire",
                                       .seed = UINT64_MAX,
                                       .step = INT64_C(1) << 60,
                                       .score = -0.1,
                                       .confirmed_score = 0.25},
                                      {.score = NAN, .confirmed_score = NAN}};
    for (size_t i = 0; i < 2; i++) {
        const qg_network_info *info = &scores[i];
        qg_network_info read;
        assert_int_equal(qg_network_save(scratch_path("n"), &n, info, &error), QG_OK);
        if (qg_network_load(scratch_path("n"), &back, &read, &error)) fail_msg("%s", error.message);
        assert_true(qg_architecture_equal(&n.architecture, &back.architecture));
        assert_string_equal(n.architecture.text, back.architecture.text);
        assert_memory_equal(n.parameters, back.parameters,
                            qg_architecture_parameters(&n.architecture) * sizeof(float));
        assert_string_equal(read.domain, info->domain);
        assert_string_equal(read.actions, info->actions);
        assert_true(read.seed == info->seed && read.step == info->step);
        assert_true(isnan(info->score) ? isnan(read.score) && isnan(read.confirmed_score)
                                       : read.score == info->score &&
                                             read.confirmed_score == info->confirmed_score);
        qg_network_free(&back);
    }
    qg_network_free(&n);
    qg_network_free(&n); /* twice is allowed: it is zero bytes */
}

/* A file with the tensors of `network` in the order `order` (indices of w0 b0 w1 b1 ...; -1 ends),
 * described as `architecture` and `input` (NULL: not at all). */
static void write_file(const qg_network *network, const int *order, const char *architecture,
                       const char *input)
{
    qg_tensors *file = qg_tensors_new();
    assert_non_null(file);
    for (; *order >= 0; order++) {
        const int i = *order / 2;
        const qg_layer *layer = &network->architecture.layers[i];
        char name[32];
        snprintf(name, sizeof name, "%s.%s", layer->name, *order % 2 ? "bias" : "weight");
        const size_t kernel = (size_t)layer->kernel;
        const size_t conv[] = {(size_t)layer->outputs, (size_t)layer->in_channels, kernel, kernel};
        const size_t linear[] = {(size_t)layer->outputs, qg_layer_fan_in(layer)};
        const bool is_conv = layer->kind == QG_CONV;
        const int rank = *order % 2 ? 1 : is_conv ? 4 : 2;
        qg_tensors_add(file, name, QG_F32, rank, is_conv ? conv : linear,
                       *order % 2 ? network->biases[i] : network->weights[i], &error);
    }
    if (architecture) qg_tensors_set_metadata(file, "architecture", architecture, &error);
    if (input) qg_tensors_set_metadata(file, "input", input, &error);
    assert_int_equal(qg_tensors_save(file, scratch_path("n"), &error), QG_OK);
    qg_tensors_free(file);
}

static void load_fails(const char *message)
{
    qg_network network;
    qg_network_info info;
    error = (qg_error){0};
    if (qg_network_load(scratch_path("n"), &network, &info, &error) == QG_OK)
        fail_msg("accepted; should say '%s'", message);
    assert_int_equal(error.code, QG_ERROR_DATA);
    assert_true(strncmp(error.message, scratch_path("n"), strlen(scratch_path("n"))) == 0);
    if (!strstr(error.message, message)) fail_msg("'%s' lacks '%s'", error.message, message);
}

static void load_works(const qg_network *like)
{
    qg_network network;
    qg_network_info info;
    if (qg_network_load(scratch_path("n"), &network, &info, &error)) fail_msg("%s", error.message);
    assert_memory_equal(network.parameters, like->parameters,
                        qg_architecture_parameters(&like->architecture) * sizeof(float));
    qg_network_free(&network);
}

/* In files the heads are tensors of their own. */
static void test_heads_in_files(void **state)
{
    (void)state;
    const qg_architecture a = make("[{\"dueling\":5}]", 2, 4, 255, 3);
    qg_network n = create(&a);
    qg_network_initialise(&n, 3);
    assert_int_equal(qg_network_save(scratch_path("n"), &n,
                                     &(qg_network_info){.score = NAN, .confirmed_score = NAN},
                                     &error),
                     QG_OK);
    load_works(&n);
    qg_tensors *file;
    assert_int_equal(qg_tensors_load(scratch_path("n"), &file, &error), QG_OK);
    assert_int_equal(qg_tensors_count(file), 6);
    const qg_tensor *value = qg_tensors_find(file, "value.weight");
    const qg_tensor *advantage = qg_tensors_find(file, "advantage.weight");
    assert_true(value && value->rank == 2 && value->shape[0] == 1 && value->shape[1] == 5);
    assert_true(advantage && advantage->shape[0] == 3 && advantage->shape[1] == 5);
    assert_memory_equal(value->data, n.weights[1], 5 * sizeof(float));
    assert_memory_equal(advantage->data, n.weights[1] + 5, 15 * sizeof(float));
    assert_memory_equal(qg_tensors_find(file, "advantage.bias")->data, n.biases[1] + 1,
                        3 * sizeof(float));
    qg_tensors_free(file);
    write_file(&n, (const int[]){0, 1, 2, 3, -1}, a.text, "2,4,4,255"); /* heads.weight */
    load_fails("tensors");
    qg_network_free(&n);
}

static const int in_order[] = {0, 1, 2, 3, 4, 5, -1};

static void test_tensor_order(void **state)
{
    (void)state;
    qg_network n = small_network();
    const char *text = n.architecture.text;
    write_file(&n, in_order, text, "2,4,4,255");
    load_works(&n);
    /* PyPI's safetensors sorts by name: bias before weight */
    write_file(&n, (const int[]){1, 0, 3, 2, 5, 4, -1}, text, "2,4,4,255");
    load_works(&n);
    write_file(&n, (const int[]){5, 4, 3, 2, 1, 0, -1}, text, "2,4,4,255");
    load_works(&n);
    qg_network_free(&n);
}

static void test_wrong_files(void **state)
{
    (void)state;
    qg_network n = small_network();
    const char *text = n.architecture.text;
    write_file(&n, in_order, NULL, "2,4,4,255");
    load_fails("not a qgraft network");
    write_file(&n, in_order, text, NULL);
    load_fails("not a qgraft network");
    write_file(&n, in_order, text, "2,4,4");
    load_fails("not a qgraft network");
    write_file(&n, in_order, text, "2,4,four,255");
    load_fails("not a qgraft network");
    write_file(&n, in_order, text, "2,4,4,255,7");
    load_fails("not a qgraft network");
    write_file(&n, in_order, text, "2,4,99999999999,255");
    load_fails(""); /* not a number that an int can hold */
    write_file(&n, in_order, text, "2,4,5,255");
    load_fails("'fc1.weight' is F32 [5, 27], but should be F32 [5, 36]");
    write_file(&n, in_order, text, "1,4,4,255");
    load_fails("'conv1.weight' is F32 [3, 2, 2, 2], but should be F32 [3, 1, 2, 2]");
    write_file(&n, in_order, text, "2,4,4,16");
    load_fails("not possible");
    write_file(&n, in_order, "nonsense", "2,4,4,255");
    load_fails("network: 'nonsense'");
    write_file(&n, in_order, "[{\"linear\":5}]", "2,4,4,255");
    load_fails("6 tensors");
    write_file(&n, (const int[]){0, 1, 2, 3, 5, -1}, text, "2,4,4,255");
    load_fails("5 tensors");
    write_file(&n, (const int[]){0, 1, 2, 3, 4, -1}, text, "2,4,4,255");
    load_fails("");
    write_file(&n, (const int[]){-1}, text, "2,4,4,255");
    load_fails("");
    n.weights[1][3] = NAN;
    write_file(&n, in_order, text, "2,4,4,255");
    load_fails("fc1.weight");
    n.weights[1][3] = -INFINITY;
    write_file(&n, in_order, text, "2,4,4,255");
    load_fails("fc1.weight");
    qg_network_free(&n);
}

static void test_truncated(void **state)
{
    (void)state;
    qg_network n = small_network();
    const qg_network_info info = {.score = NAN, .confirmed_score = NAN};
    assert_int_equal(qg_network_save(scratch_path("n"), &n, &info, &error), QG_OK);
    char whole[4096];
    FILE *file = fopen(scratch_path("n"), "rb");
    const size_t size = fread(whole, 1, sizeof whole, file);
    fclose(file);
    assert_in_range(size, 100, sizeof whole - 1);
    for (size_t cut = 0; cut < size; cut += 13) {
        scratch_write(scratch_path("n"), whole, cut);
        load_fails("");
    }
    qg_network_info ignored;
    qg_network none;
    assert_int_equal(qg_network_load(scratch_path("absent"), &none, &ignored, &error), QG_ERROR_IO);
    qg_network_free(&n);
}

static void test_metadata_strings(void **state)
{
    (void)state;
    qg_network n = small_network(), back;
    qg_tensors *file;
    const qg_network_info info = {.score = NAN, .confirmed_score = NAN};
    qg_network_info read;
    char longer[QG_ACTION_NAMES + 100];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(qg_network_save(scratch_path("n"), &n, &info, &error), QG_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(qg_tensors_load(scratch_path("n"), &file, &error), QG_OK);
        qg_tensors_set_metadata(file, i ? "actions" : "domain", longer, &error);
        assert_int_equal(qg_tensors_save(file, scratch_path("m"), &error), QG_OK);
        qg_tensors_free(file);
        assert_int_equal(qg_network_load(scratch_path("m"), &back, &read, &error), QG_ERROR_DATA);
        assert_non_null(strstr(error.message, i ? "'actions'" : "'domain'"));
    }
    qg_network_free(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_dueling),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_initial_distribution),
        cmocka_unit_test(test_initial_streams),
        cmocka_unit_test_setup_teardown(test_round_trip, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_heads_in_files, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_tensor_order, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_files, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_truncated, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_metadata_strings, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
