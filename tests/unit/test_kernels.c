/* The kernels of every instruction set that this machine has, bit for bit against plain chains of
 * fmaf in the order that kernels.h promises. Where SIMDe is installed, AVX-512's source runs too,
 * its instructions emulated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "network/cpu/geometry.h"
#include "quick.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)
#define ASAN_UNPOISON_MEMORY_REGION(at, size)
#endif

#ifdef QG_EMULATED
extern const qg_kernels qg_kernels_emulated;
#endif

static qg_error error;

static const struct {
    const char *layers;
    int channels, height, width;
} shapes[] = {
    {"[{\"conv\":10,\"kernel\":1},{\"conv\":3,\"kernel\":1,\"stride\":2},{\"linear\":33}]", 3, 6,
     5},
    {"[{\"conv\":7,\"kernel\":2,\"stride\":3},{\"conv\":33,\"kernel\":3,\"padding\":2}]", 7, 11, 9},
    {"[{\"conv\":16,\"kernel\":3},{\"conv\":33,\"kernel\":2,\"stride\":2},{\"linear\":19}]", 10, 9,
     8},
    {"[{\"conv\":33,\"kernel\":4,\"stride\":2,\"padding\":1},{\"conv\":10,\"kernel\":2,\"stride\":"
     "3},"
     "{\"linear\":130},{\"linear\":64}]",
     33, 10, 12},
    {"[{\"conv\":32,\"kernel\":8,\"stride\":4},{\"conv\":64,\"kernel\":4,\"stride\":2},"
     "{\"linear\":72}]",
     4, 36, 28},
    {"[{\"linear\":300},{\"linear\":10}]", 16, 5, 7},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };
static const int batches[] = {1, 5, 8, 9};        /* images */
static const int long_batches[] = {1, 5, 32, 33}; /* ... thorough: sums as long as in training */

/* One layer's tensors; `want` and `got` of a result have the same size. */
typedef struct layer_case {
    const qg_plan *plan;
    int images;
    float *in, *weights, *bias, *gradient;
    uint64_t *windows; /* NULL: all cells count */
    qg_random random;
    float magnitude;
} layer_case;

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

/* Zeros. Behind them a page that nobody may touch, so that also sets that no sanitizer watches are
 * caught; before them one that holds the size of it all. */
static float *allocate(size_t count)
{
    const size_t bytes = (count * sizeof(float) + 127) / 64 * 64;
    const size_t all = (bytes + PAGE - 1) / PAGE * PAGE + 2 * PAGE;
    char *block = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block != MAP_FAILED);
    memcpy(block, &all, sizeof all);
    assert_int_equal(mprotect(block, PAGE, PROT_READ), 0);
    assert_int_equal(mprotect(block + all - PAGE, PAGE, PROT_NONE), 0);
    ASAN_POISON_MEMORY_REGION(block + PAGE, all - 2 * PAGE - bytes);
    return (float *)(void *)(block + all - PAGE - bytes);
}

static void release(void *floats)
{
    char *block = (char *)floats - (uintptr_t)floats % PAGE - PAGE;
    size_t all;
    memcpy(&all, block, sizeof all);
    ASAN_UNPOISON_MEMORY_REGION(block, all);
    assert_int_equal(munmap(block, all), 0);
}

/* Numbers of both signs of which a quarter is zero. */
static float *draw(layer_case *c, size_t count, float magnitude)
{
    float *floats = allocate(count);
    for (size_t i = 0; i < count; i++)
        if (qg_random_below(&c->random, 4) > 0)
            floats[i] = magnitude * (float)(2 * qg_random_uniform(&c->random) - 1);
    return floats;
}

/* But for the sign of a zero, which empty cells may change. */
static void assert_same(const char *what, const qg_kernels *kernels, const float *got,
                        const float *want, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&got[i], &want[i], sizeof *got) != 0 && (got[i] != 0 || want[i] != 0))
            fail_msg("%s by %s: number %zu is %a instead of %a", what, kernels->name, i,
                     (double)got[i], (double)want[i]);
}

static float weight(const layer_case *c, int n, int k)
{
    const size_t panel = (size_t)(n / QG_PANEL) * (size_t)c->plan->k_count;
    return c->weights[(panel + (size_t)k) * QG_PANEL + (size_t)(n % QG_PANEL)];
}

/* The input that weight k of output pixel (y, x) meets. */
static float input(const layer_case *c, int image, int pixel, int k)
{
    const qg_plan *p = c->plan;
    const int run = p->kernel * p->in_channels, ky = k / run;
    const int y = pixel / p->columns * p->stride + ky;
    const int at = y * p->in_row + pixel % p->columns * p->in_step + k % run;
    return c->in[(size_t)image * p->in_image + (size_t)at];
}

static float output_gradient(const layer_case *c, int image, int pixel, int n)
{
    return c
        ->gradient[(size_t)image * c->plan->grad_image + (size_t)(pixel * c->plan->grad_pixel + n)];
}

static void check_forward(const layer_case *c, const qg_kernels *kernels)
{
    const qg_plan *p = c->plan;
    const size_t count = (size_t)c->images * p->out_image;
    float *want = allocate(count), *got = allocate(count);
    for (int image = 0; image < c->images; image++)
        for (int pixel = 0; pixel < p->pixels; pixel++)
            for (int n = 0; n < p->outputs; n++) {
                float sum = c->bias[n];
                for (int k = 0; k < p->k_count; k++)
                    sum = fmaf(input(c, image, pixel, k), weight(c, n, k), sum);
                want[(size_t)image * p->out_image + (size_t)(p->pixel_out[pixel] + n)] =
                    p->relu && !(sum > 0) ? 0 : sum;
            }
    const int half = p->panels / 2; /* in two calls, as two threads would */
    kernels->forward(p, c->in, c->windows, c->weights, c->bias, got, c->images, 0, half);
    kernels->forward(p, c->in, c->windows, c->weights, c->bias, got, c->images, half, p->panels);
    assert_same("forward", kernels, got, want, count);
    release(want);
    release(got);
}

/* The gradient at channel `channel` of input pixel (y, x), behind its ReLU. */
static float input_gradient(const layer_case *c, int image, int y, int x, int channel, float scale)
{
    const qg_plan *p = c->plan;
    float sum = 0;
    for (int ky = 0; ky < p->kernel; ky++)
        for (int kx = 0; kx < p->kernel; kx++) {
            const int v = y + p->padding - ky, u = x + p->padding - kx;
            if (v < 0 || u < 0 || v % p->stride || u % p->stride) continue;
            if (v / p->stride >= p->rows || u / p->stride >= p->columns) continue;
            const int pixel = v / p->stride * p->columns + u / p->stride;
            const int k = (ky * p->kernel + kx) * p->in_channels + channel;
            for (int n = 0; n < p->outputs; n++)
                sum = fmaf(output_gradient(c, image, pixel, n), weight(c, n, k), sum);
        }
    const int at = (y + p->padding) * p->in_row + (x + p->padding) * p->in_channels + channel;
    return c->in[(size_t)image * p->in_image + (size_t)at] > 0 ? sum * scale : 0;
}

static void check_input_gradient(const layer_case *c, const qg_kernels *kernels)
{
    const qg_plan *p = c->plan;
    const size_t count = (size_t)c->images * p->below_grad_image;
    float *want = allocate(count), *got = allocate(count);
    const int side = QG_PANEL * kernels->panels;
    float *scratch = allocate((size_t)(p->kernel * p->kernel * p->outputs * side));
    const float scale = 1.25f;
    for (int image = 0; image < c->images; image++)
        for (int y = 0; y < p->in_rows; y++)
            for (int x = 0; x < p->in_columns; x++)
                for (int channel = 0; channel < p->in_channels; channel++) {
                    const int below = y * p->in_columns + x + channel / p->below_channels;
                    want[(size_t)image * p->below_grad_image +
                         (size_t)(below * p->below_grad_pixel + channel % p->below_channels)] =
                        input_gradient(c, image, y, x, channel, scale);
                }
    const int items = (p->in_channels + side - 1) / side * p->in_rows * p->in_columns;
    for (int part = 0; part < 3; part++)
        kernels->input_gradient(p, c->gradient, c->weights, c->in, got, scale, c->images,
                                items * part / 3, items * (part + 1) / 3, scratch);
    assert_same("input gradient", kernels, got, want, count);
    release(want);
    release(got);
    release(scratch);
}

static void check_weight_gradient(const layer_case *c, const qg_kernels *kernels)
{
    const qg_plan *p = c->plan;
    const size_t count = (size_t)(p->panels * p->k_count) * QG_PANEL;
    float *want = allocate(count), *got = allocate(count), *at = got;
    for (int n = 0; n < p->panels * QG_PANEL; n++)
        for (int k = 0; k < p->k_count; k++) {
            float sum = 0;
            for (int image = 0; image < c->images; image++)
                for (int pixel = 0; pixel < p->pixels; pixel++)
                    sum = fmaf(input(c, image, pixel, k), output_gradient(c, image, pixel, n), sum);
            want[((size_t)(n / QG_PANEL) * (size_t)p->k_count + (size_t)k) * QG_PANEL +
                 (size_t)(n % QG_PANEL)] = sum;
        }
    for (int panel = 0; panel < p->panels; panel++, at += p->k_count * QG_PANEL) {
        const int middle = p->k_tile_count / 2;
        kernels->weight_gradient(p, c->in, c->windows, c->gradient, at, c->images, 0, middle, panel,
                                 panel + 1);
        kernels->weight_gradient(p, c->in, c->windows, c->gradient,
                                 at + p->k_tiles[middle].k * QG_PANEL, c->images, middle,
                                 p->k_tile_count, panel, panel + 1);
    }
    assert_same("weight gradient", kernels, got, want, count);
    kernels->weight_gradient(p, c->in, c->windows, c->gradient, got, c->images, 0, p->k_tile_count,
                             0, p->panels);
    assert_same("weight gradient at once", kernels, got, want, count);
    release(want);
    release(got);
}

static void check_bias_gradient(const layer_case *c, const qg_kernels *kernels)
{
    const qg_plan *p = c->plan;
    const size_t count = (size_t)p->panels * QG_PANEL;
    float *want = allocate(count), *got = allocate(count);
    for (int n = 0; n < (int)count; n++)
        for (int image = 0; image < c->images; image++)
            for (int pixel = 0; pixel < p->pixels; pixel++)
                want[n] += output_gradient(c, image, pixel, n);
    kernels->bias_gradient(p, c->gradient, got, c->images, 0, p->panels);
    assert_same("bias gradient", kernels, got, want, count);
    release(want);
    release(got);
}

static float normal(float x)
{
    return fabsf(x) < FLT_MIN ? 0 : x;
}

static void check_rmsprop(layer_case *c, const qg_kernels *kernels)
{
    enum { COUNT = 16 * 9 };
    const qg_rmsprop s = {0.00025f, 0.95f, 0.01f};
    float *sets[3], *want[3], *d = draw(c, COUNT, c->magnitude);
    for (int i = 0; i < 3; i++) {
        sets[i] = draw(c, COUNT, i == 2 ? c->magnitude * c->magnitude : c->magnitude);
        want[i] = allocate(COUNT);
    }
    for (size_t i = 0; i < COUNT; i++) {
        const float part = (1 - s.decay) * d[i];
        const float m1 = want[1][i] = normal(fmaf(s.decay, sets[1][i], part));
        const float m2 = want[2][i] = normal(fmaf(s.decay, sets[2][i], part * d[i]));
        const float variance = fmaf(-m1, m1, m2);
        want[0][i] =
            sets[0][i] + s.learning_rate * d[i] / sqrtf((variance > 0 ? variance : 0) + s.epsilon);
    }
    kernels->rmsprop(&s, sets[0], sets[1], sets[2], d, COUNT);
    for (int i = 0; i < 3; i++) {
        assert_same("RMSProp", kernels, sets[i], want[i], COUNT);
        release(sets[i]);
        release(want[i]);
    }
    release(d);
}

static void check_adam(layer_case *c, const qg_kernels *kernels)
{
    enum { COUNT = 16 * 9 };
    const qg_adam s = {0.002f, 0.9f, 0.1f, 0.999f, 0.001f, 3.5f, 1e-8f};
    float *sets[3], *want[3], *d = draw(c, COUNT, c->magnitude);
    for (int i = 0; i < 3; i++) {
        sets[i] = draw(c, COUNT, i == 2 ? c->magnitude * c->magnitude : c->magnitude);
        want[i] = allocate(COUNT);
    }
    for (size_t i = 0; i < COUNT; i++) {
        sets[2][i] = fabsf(sets[2][i]); /* a mean of squares */
        const float m1 = want[1][i] = normal(fmaf(s.beta1, sets[1][i], s.rest1 * d[i]));
        const float m2 = want[2][i] = normal(fmaf(s.beta2, sets[2][i], s.rest2 * d[i] * d[i]));
        want[0][i] = sets[0][i] + s.rate * m1 / fmaf(sqrtf(m2), s.scale, s.epsilon);
    }
    kernels->adam(&s, sets[0], sets[1], sets[2], d, COUNT);
    for (int i = 0; i < 3; i++) {
        assert_same("Adam", kernels, sets[i], want[i], COUNT);
        release(sets[i]);
        release(want[i]);
    }
    release(d);
}

/* Two thirds of the input's cells become zeros. */
static void empty_cells(layer_case *c)
{
    const size_t cell = (size_t)c->plan->cell, all = (size_t)c->images * c->plan->in_image;
    for (size_t at = 0; at + cell <= all; at += cell)
        if (qg_random_below(&c->random, 3) > 0) memset(c->in + at, 0, cell * sizeof *c->in);
}

/* Every bit says whether one of the cell's inputs is not 0. */
static void check_window(const layer_case *c, int image)
{
    const qg_plan *p = c->plan;
    for (int pixel = 0; pixel < p->pixels; pixel++) {
        uint64_t want = 0;
        for (int k = 0; k < p->k_count; k++)
            want |= (uint64_t)(input(c, image, pixel, k) != 0) << (k / p->cell);
        assert_true(want == c->windows[image * p->pixels + pixel]);
    }
}

static void check_layer(const qg_plan *plan, bool first, int images, float magnitude,
                        const qg_kernels *kernels)
{
    layer_case c = {.plan = plan, .images = images, .magnitude = magnitude};
    c.random = qg_random_stream((uint64_t)images, "kernels");
    const size_t weights = (size_t)(plan->panels * plan->k_count) * QG_PANEL;
    c.in = draw(&c, (size_t)images * plan->in_image, magnitude);
    c.weights = draw(&c, weights, magnitude);
    c.bias = draw(&c, (size_t)plan->panels * QG_PANEL, magnitude);
    c.gradient = draw(&c, (size_t)images * plan->grad_image, magnitude);
    check_forward(&c, kernels);
    if (!first) check_input_gradient(&c, kernels);
    check_weight_gradient(&c, kernels);
    if (plan->cells > 0) { /* again, without its empty cells */
        empty_cells(&c);
        check_forward(&c, kernels);
        check_weight_gradient(&c, kernels);
        c.windows = (uint64_t *)(void *)allocate(2 * (size_t)(images * plan->pixels));
        for (int image = 0; image < images; image++)
            if (kernels->find_cells(plan, c.in + (size_t)image * plan->in_image,
                                    c.windows + (size_t)image * (size_t)plan->pixels))
                check_window(&c, image);
        check_forward(&c, kernels);
        check_weight_gradient(&c, kernels);
        release(c.windows);
    }
    check_bias_gradient(&c, kernels);
    check_rmsprop(&c, kernels);
    check_adam(&c, kernels);
    release(c.in);
    release(c.weights);
    release(c.bias);
    release(c.gradient);
}

/* Batches. Under the address sanitizer every kernel meets every shape, with one image and several.
 */
enum { CHAINS = SANITIZED ? 2 : 4, MAGNITUDES = SANITIZED ? 1 : 2 };

static void check(const qg_kernels *kernels, float magnitude, int batch_count)
{
    for (int i = 0; i < SHAPES; i++) {
        qg_architecture a;
        qg_plan plans[QG_MAX_LAYERS];
        if (qg_architecture_make(shapes[i].layers, shapes[i].channels, shapes[i].height,
                                 shapes[i].width, 255, 5, &a, &error) ||
            qg_plan_make(&a, kernels->rows, plans, &error))
            fail_msg("%s", error.message);
        for (int l = 0; l < a.layer_count; l++) {
            for (int k = 0; k < batch_count; k++)
                check_layer(&plans[l], l == 0, (thorough() ? long_batches : batches)[k], magnitude,
                            kernels);
            qg_plan_free(&plans[l]);
        }
    }
}

static void check_all(float magnitude, int batch_count)
{
    static const char *const names[] = {"portable", "avx2", "avx512"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (qg_kernels_select(names[i], false)) /* or not of this machine */
            check(qg_kernels_select(names[i], false), magnitude, batch_count);
#ifdef QG_EMULATED
    if (qg_kernels_select("avx2", false)) check(&qg_kernels_emulated, magnitude, batch_count);
#endif
}

static void test_chains(void **state)
{
    (void)state;
    check_all(1, CHAINS);
}

/* Products below the least normal number, and sums above 1e30. */
static void test_magnitudes(void **state)
{
    (void)state;
    check_all(0x1p-72f, MAGNITUDES);
    check_all(1e15f, MAGNITUDES);
}

static void test_select(void **state)
{
    (void)state;
    assert_non_null(qg_kernels_select(NULL, false));
    assert_string_equal(qg_kernels_select("portable", false)->name, "portable");
    assert_null(qg_kernels_select("sse9", false));
    assert_null(qg_kernels_select("", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_magnitudes),
        cmocka_unit_test(test_select),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
