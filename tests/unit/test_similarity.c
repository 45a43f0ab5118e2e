/* Similarity on pictures and numbers whose answer is known by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/similarity.h>

#include "transfer/visual.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static qg_error error;

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9)) fail_msg("%.12g, expected %.12g", value, expected);
}

/* ---- Distances ---- */

static void test_jensen_shannon(void **state)
{
    (void)state;
    const double one[] = {1, 0, 0}, other[] = {0, 0.25, 0.75}, half[] = {0.5, 0.5, 0};
    assert_near(qg_jensen_shannon_distance(half, half, 3), 0);
    assert_near(qg_jensen_shannon_distance(one, other, 3), 1); /* nothing shared */
    const double expected = /* by hand: half of each divergence from the mean (3/4, 1/4) */
        sqrt(0.5 * log2(1 / 0.75) + 0.5 * (0.5 * log2(0.5 / 0.75) + 0.5 * log2(0.5 / 0.25)));
    assert_near(qg_jensen_shannon_distance(one, half, 3), expected);
    assert_near(qg_jensen_shannon_distance(half, one, 3), expected);
}

static void test_wasserstein(void **state)
{
    (void)state;
    double zero[] = {0}, three[] = {3}, both[] = {0, 1}, shifted[] = {5, 6};
    double once[] = {1}, even[] = {2, 2}, uneven[] = {3, 1};
    const qg_distribution at_0 = {1, zero, once}, at_3 = {1, three, once};
    const qg_distribution a = {2, both, even}, b = {2, both, uneven}, c = {2, shifted, even};
    assert_near(qg_wasserstein_distance(&a, &a), 0);
    assert_near(qg_wasserstein_distance(&at_0, &at_3), 3);
    assert_near(qg_wasserstein_distance(&a, &b), 0.25); /* a quarter moves by 1 */
    assert_near(qg_wasserstein_distance(&a, &c), 5);
    assert_near(qg_wasserstein_distance(&c, &a), 5);
    assert_near(qg_wasserstein_distance(&at_0, &a), 0.5);
}

static void test_log_distance(void **state)
{
    (void)state;
    double small[] = {log(0.01)}, large[] = {log(0.04)}, once[] = {1};
    const qg_distribution none = {0, NULL, NULL}, a = {1, small, once}, b = {1, large, once};
    assert_near(qg_log_distance(&none, &none), 0);
    assert_near(qg_log_distance(&none, &a), 1);
    assert_near(qg_log_distance(&a, &none), 1);
    assert_near(qg_log_distance(&a, &b), 0.75); /* a factor of 4: 1 - 1/4 */
}

/* ---- Looks ---- */

enum { HEIGHT = 8, WIDTH = 10, FRAMES = 8 };

static const uint8_t palette[4][3] = {{0, 0, 0}, {255, 0, 0}, {0, 0, 0}, {0, 70, 200}};

static void put(uint8_t *frame, int scale, int x, int y, uint8_t colour)
{
    for (int v = 0; v < scale; v++)
        for (int u = 0; u < scale; u++)
            frame[(y * scale + v) * WIDTH * scale + x * scale + u] = colour;
}

/* A wall that never moves, a red block of 3 x 2 that walks to the right and, in every frame, a
 * diagonal of two pixels. The black of odd frames is another index of the same RGB. */
static void draw(uint8_t *frames, int scale)
{
    const size_t size = (size_t)(HEIGHT * WIDTH * scale * scale);
    for (int i = 0; i < FRAMES; i++) {
        uint8_t *frame = frames + (size_t)i * size;
        memset(frame, i % 2 ? 2 : 0, size);
        for (int x = 0; x < WIDTH; x++)
            put(frame, scale, x, 0, 3);
        for (int k = 0; k < 6; k++)
            put(frame, scale, i + k % 3, 2 + k / 3, 1);
        put(frame, scale, i, 6, 3);
        put(frame, scale, i + 1, 7, 1);
    }
}

static void check_walk(int scale)
{
    const size_t pixels = (size_t)(HEIGHT * WIDTH * scale * scale);
    uint8_t *frames = malloc(FRAMES * pixels);
    assert_non_null(frames);
    draw(frames, scale);
    const bool begins[FRAMES] = {true, false, false, false, true};
    const qg_film film = {HEIGHT * scale, WIDTH * scale, FRAMES, frames, begins, palette, 4};
    qg_appearance a;
    assert_int_equal(qg_appearance_measure(&film, &a, &error), QG_OK);
    assert_near(a.objects, 2); /* the wall is background, touching corners make one object */
    assert_int_equal(a.sizes.count, 2);
    assert_near(a.sizes.values[0], log(2.0 / 80));
    assert_near(a.sizes.values[1], log(6.0 / 80));
    assert_near(a.sizes.weights[0], FRAMES);
    assert_int_equal(a.aspects.count, 2);
    assert_near(a.aspects.values[0], log((2.0 / WIDTH) / (2.0 / HEIGHT)));
    assert_near(a.aspects.values[1], log((3.0 / WIDTH) / (2.0 / HEIGHT)));
    /* the block changes 2 pixels on each side, the diagonal 4; the step into frame 4 is none */
    assert_near(a.moving, 8.0 / 80);
    assert_near(a.colours[0], (80 - 10 - 8) / 80.0);
    assert_near(a.colours[3 * 16], 7 / 80.0);
    assert_near(a.colours[4 + 3], 11 / 80.0);
    qg_appearance_free(&a);
    free(frames);
}

/* The same at another resolution is the same. The block passes every pixel of its rows in at most
 * three of eight frames, the diagonal in one. */
static void test_appearance(void **state)
{
    (void)state;
    check_walk(1);
    check_walk(3);
}

static void test_still(void **state)
{
    (void)state;
    uint8_t frames[3 * 4] = {0};
    const bool begins[3] = {true, true, true};
    const qg_film film = {2, 2, 3, frames, begins, palette, 1};
    qg_appearance a;
    assert_int_equal(qg_appearance_measure(&film, &a, &error), QG_OK);
    assert_int_equal(a.sizes.count, 0);
    assert_int_equal(a.aspects.count, 0);
    assert_near(a.moving, 0);
    assert_near(a.colours[0], 1);
    qg_appearance_free(&a);
}

/* ---- Games ---- */

static qg_profile profile_of(const char *domain, uint32_t seed)
{
    qg_profile p;
    if (qg_profile_create(domain, 300, seed, &p, &error)) fail_msg("%s", error.message);
    return p;
}

static void test_games(void **state)
{
    (void)state;
    qg_profile a = profile_of("minatar/seaquest", 3), b = profile_of("minatar/space_invaders", 3);
    qg_profile again = profile_of("minatar/seaquest", 3),
               deep = profile_of("minatar/seaquest:level=9", 3);
    qg_similarity ab, ba, self, level;
    qg_similarity_compare(&a, &b, &ab);
    qg_similarity_compare(&b, &a, &ba);
    assert_near(ab.actions, 4.0 / 6); /* noop, fire, left, right of those and up, down */
    assert_false(ab.same_actions);
    assert_int_equal(ab.closeness, QG_FAR);
    const double *x = &ab.colour_distance, *y = &ba.colour_distance;
    for (int i = 0; i < 6; i++) { /* the four distances, visual, grade */
        assert_true(x[i] > 0 && x[i] < 1);
        assert_near(x[i], y[i]);
    }
    assert_near(ab.visual, 1 - (x[0] + x[1] + x[2] + x[3]) / 4);
    assert_near(ab.grade, (ab.actions + ab.visual) / 3);
    qg_similarity_compare(&a, &again, &self);
    assert_true(self.same_actions && self.same_family);
    assert_true(self.visual == 1 && self.grade == 1 && self.actions == 1);
    assert_int_equal(self.closeness, QG_IN_DOMAIN);
    qg_similarity_compare(&a, &deep, &level);
    assert_int_equal(level.closeness, QG_IN_DOMAIN);
    assert_true(level.grade > ab.grade);
    qg_profile_free(&a);
    qg_profile_free(&b);
    qg_profile_free(&again);
    qg_profile_free(&deep);
}

/* The rule of the class, on the paper's pairs and at its edges. */
static void test_class(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        qg_closeness closeness;
    } pairs[] = {
        {"breakout", "qbert", QG_FAR},
        {"beam_rider", "space_invaders", QG_CLOSE},
        {"space_invaders", "demon_attack", QG_CLOSE},
        {"qbert", "qbert:level=2", QG_IN_DOMAIN},
        {"minatar/space_invaders", "beam_rider", QG_FAR}, /* same family, 4 of 9 actions */
        {"pong", "space_invaders", QG_FAR},               /* same actions, other family */
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        qg_profile a = {0}, b = {0}; /* without looks: they do not count for the class */
        assert_int_equal(qg_domain_resolve(pairs[i].a, &a.game, a.domain, &error), QG_OK);
        assert_int_equal(qg_domain_resolve(pairs[i].b, &b.game, b.domain, &error), QG_OK);
        qg_similarity s, t;
        qg_similarity_compare(&a, &b, &s);
        qg_similarity_compare(&b, &a, &t);
        assert_int_equal(s.closeness, pairs[i].closeness);
        assert_int_equal(t.closeness, pairs[i].closeness);
    }
}

static void test_unknown_game(void **state)
{
    (void)state;
    qg_profile p;
    assert_int_equal(qg_profile_create("minatar/breakuot", 10, 1, &p, &error), QG_ERROR_USAGE);
    qg_profile_free(&p);
}

/* ---- Networks ---- */

static qg_network network_for(const char *text, int channels, int side, int max, int actions)
{
    qg_architecture a;
    qg_network n;
    if (qg_architecture_make(text, channels, side, side, max, actions, &a, &error) ||
        qg_network_create(&a, &n, &error))
        fail_msg("%s", error.message);
    qg_network_initialise(&n, (uint64_t)actions);
    return n;
}

static void test_representation(void **state)
{
    (void)state;
    qg_network a = network_for("grid", 4, 10, 1, 3), b = network_for("grid", 10, 10, 1, 6);
    qg_network flat = network_for("[{\"linear\":8}]", 10, 10, 1, 6);
    qg_network grey = network_for("nature", 4, 84, 255, 6);
    const char *same[] = {"minatar/breakout", "minatar/breakout"};
    const char *two[] = {"minatar/breakout", "minatar/seaquest"};
    const qg_network_info bf16 = {.precision = "bf16"}, two_screens = {.history = 2};
    const qg_network_info *const none[2] = {NULL, NULL}, *const mixed[2] = {&bf16, NULL};
    qg_representation r;
    assert_int_equal(qg_representation_compare(same, (const qg_network *const[]){&a, &a}, none, 100,
                                               1, &r, &error),
                     QG_OK);
    assert_int_equal(r.layer_count, 5);
    assert_int_equal(r.states[0], 100);
    for (int i = 0; i < 5; i++) {
        assert_near(r.layers[i].both, 1);
        assert_near(r.layers[i].on[1], 1);
    }
    assert_int_equal(qg_representation_compare(two, (const qg_network *const[]){&a, &b}, none, 600,
                                               1, &r, &error),
                     QG_OK);
    assert_int_equal(r.states[1], QG_REPRESENTATION_STATES);
    for (int i = 0; i < 5; i++)
        assert_true(r.layers[i].on[0] > 0 && r.layers[i].on[0] < 1);
    assert_int_equal(qg_representation_compare(same, (const qg_network *const[]){&a, &a}, mixed,
                                               100, 1, &r, &error),
                     QG_OK); /* nearly the same numbers */
    assert_true(r.layers[0].both < 1 && r.layers[0].both > 0.999);
    assert_int_equal(qg_representation_compare(same, (const qg_network *const[]){&a, &a}, none, 3,
                                               1, &r, &error),
                     QG_OK); /* fewer states than it takes, but for both together */
    assert_true(isnan(r.layers[0].on[0]) && !isnan(r.layers[0].both));
    const qg_network *const bad[][2] = {{&b, &a}, {&a, &flat}, {&a, &grey}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(qg_representation_compare(two, bad[i], none, 100, 1, &r, &error),
                         QG_ERROR_USAGE);
    const qg_network_info *const histories[] = {&two_screens, &two_screens};
    assert_int_equal(qg_representation_compare(same, (const qg_network *const[]){&a, &a}, histories,
                                               100, 1, &r, &error),
                     QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "sees 2 screens"));
    /* Six actions are all that Breakout can have. */
    assert_int_equal(qg_representation_compare(same, (const qg_network *const[]){&b, &b}, none, 100,
                                               1, &r, &error),
                     QG_OK);
    qg_network_free(&a);
    qg_network_free(&b);
    qg_network_free(&flat);
    qg_network_free(&grey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jensen_shannon), cmocka_unit_test(test_wasserstein),
        cmocka_unit_test(test_log_distance),   cmocka_unit_test(test_appearance),
        cmocka_unit_test(test_still),          cmocka_unit_test(test_games),
        cmocka_unit_test(test_class),          cmocka_unit_test(test_unknown_game),
        cmocka_unit_test(test_representation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
