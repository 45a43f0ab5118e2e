/* For tests/python/test_similarity.py and test_distill.py: what the library says of two sets of
 * numbers, float32 on the standard input.
 *
 *   compare cka STATES P Q
 *
 * The debiased CKA of features [STATES][P] and [STATES][Q].
 *
 *   compare student STATES ACTIONS LOSS TAU
 *
 * Of a teacher's Q-values [STATES][ACTIONS] and a student's behind them: means of loss, KL and
 * entropy; advantage scale, correlation of values; a line for each state: the descent [ACTIONS]. */
#include <qgraft/distillation.h>

#include "agent/cka.h"
#include "transfer/lesson.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *room(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) abort();
    return memory;
}

static float *read_floats(size_t count)
{
    float *values = room(count, sizeof *values);
    if (fread(values, sizeof *values, count, stdin) != count) exit(1);
    return values;
}

static void compare_features(size_t n, size_t p, size_t q)
{
    float *features = read_floats(n * (p + q));
    double *k = room(n * n, sizeof *k), *l = room(n * n, sizeof *l);
    double *scratch = room(2 * n, sizeof *scratch);
    qg_gram(features, n, p, k);
    qg_gram(features + n * p, n, q, l);
    printf("%.17g\n", qg_debiased_cka(k, l, n, 0, n, scratch));
    free(features);
    free(k);
    free(l);
    free(scratch);
}

static void compare_student(size_t n, size_t actions, qg_distillation_loss loss, double temperature)
{
    float *teacher = read_floats(2 * n * actions), *student = teacher + n * actions;
    float *descent = room(n * actions, sizeof *descent);
    static qg_likeness_sums sums;
    if (n > QG_MOST_HELD_OUT) exit(1);
    double kl = 0, entropy = 0;
    for (size_t i = 0; i < n; i++) {
        const float *t = teacher + i * actions, *s = student + i * actions;
        const qg_state_loss state =
            qg_distillation_state(loss, t, s, (int)actions, temperature, descent + i * actions);
        qg_likeness_add(&sums, t, s, (int)actions, state.loss);
        kl += state.kl / (double)n;
        entropy += state.entropy / (double)n;
    }
    const qg_likeness found = qg_likeness_of(&sums, &(qg_agreement){0});
    printf("%.17g %.17g %.17g %.17g %.17g\n", found.loss, kl, entropy, found.advantage_scale,
           found.value_correlation);
    for (size_t i = 0; i < n * actions; i++)
        printf("%.9g%c", (double)descent[i], i % actions == actions - 1 ? '\n' : ' ');
    free(teacher);
    free(descent);
}

int main(int argc, char **argv)
{
    qg_error error;
    qg_distillation_loss loss;
    if (argc == 5 && strcmp(argv[1], "cka") == 0)
        compare_features(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10),
                         strtoul(argv[4], NULL, 10));
    else if (argc == 6 && strcmp(argv[1], "student") == 0 &&
             qg_distillation_loss_parse(argv[4], &loss, &error) == QG_OK)
        compare_student(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), loss,
                        strtod(argv[5], NULL));
    else
        return 2;
    return 0;
}
