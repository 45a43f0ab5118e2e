#include "transfer/lesson.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

qg_agreement qg_lesson_means(const qg_lesson_sums *sums)
{
    if (sums->count == 0) return (qg_agreement){NAN, NAN, NAN};
    const double n = (double)sums->count;
    return (qg_agreement){sums->kl / n, sums->entropy / n, (double)sums->agreed / n};
}

/* Whether the student's best action is one of the teacher's best; one that is lost in NaN has none.
 */
static bool agree(const float *teacher, const float *student, int actions)
{
    int own = 0;
    float best = teacher[0];
    bool numbers = true;
    for (int a = 0; a < actions; a++) {
        numbers &= !isnan(student[a]);
        if (student[a] > student[own]) own = a;
        if (teacher[a] > best) best = teacher[a];
    }
    return numbers && teacher[own] >= best;
}

/* ---------------------------------------------------------------------------------- likeness */

/* Root of the sum of squares of q(a) - mean q. */
static double size_of_advantages(const float *q_values, int actions)
{
    double mean = 0, sum = 0;
    for (int a = 0; a < actions; a++)
        mean += (double)q_values[a] / actions;
    for (int a = 0; a < actions; a++)
        sum += ((double)q_values[a] - mean) * ((double)q_values[a] - mean);
    return sqrt(sum);
}

static double largest(const float *q_values, int actions)
{
    float most = q_values[0];
    for (int a = 1; a < actions; a++)
        most = fmaxf(most, q_values[a]);
    return (double)most;
}

/* Means and sums around them as they come (Welford 1962): values are large against what they vary.
 */
void qg_likeness_add(qg_likeness_sums *sums, const float *teacher, const float *student,
                     int actions, double loss)
{
    assert(sums->count < QG_MOST_HELD_OUT);
    const float *const q_values[2] = {teacher, student};
    double before[2], after[2];
    sums->count++;
    sums->loss += loss;
    for (int i = 0; i < 2; i++) {
        const double value = largest(q_values[i], actions);
        before[i] = value - sums->values[i];
        sums->values[i] += before[i] / (double)sums->count;
        after[i] = value - sums->values[i];
        sums->squares[i] += before[i] * after[i];
    }
    sums->product += before[0] * after[1];
    const double own = size_of_advantages(teacher, actions);
    if (own > 0) sums->ratios[sums->ratio_count++] = size_of_advantages(student, actions) / own;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    if (count == 0) return NAN;
    qsort(values, count, sizeof *values, by_value);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

qg_likeness qg_likeness_of(qg_likeness_sums *sums, const qg_agreement *agreement)
{
    const bool varies = sums->squares[0] > 0 && sums->squares[1] > 0;
    return (qg_likeness){.loss = sums->count ? sums->loss / (double)sums->count : NAN,
                         .agreement = *agreement,
                         .advantage_scale = median(sums->ratios, sums->ratio_count),
                         .value_correlation = varies ? sums->product / sqrt(sums->squares[0]) /
                                                           sqrt(sums->squares[1])
                                                     : NAN};
}

/* ----------------------------------------------------------------------------------- lessons */

static void study(const qg_lesson *l, uint32_t sample, const float *q_values, float *gradient)
{
    const qg_teacher *t = l->teacher;
    const int actions = t->source.actions;
    const float *teacher = qg_sample_set_q_values(t->samples, sample);
    float student[QG_MAX_ACTIONS], direction[QG_MAX_ACTIONS];
    for (int a = 0; a < actions; a++)
        student[a] = q_values[t->outputs[a]];
    const qg_state_loss state = qg_distillation_state(l->loss, teacher, student, actions,
                                                      l->temperature, gradient ? direction : NULL);
    if (l->likeness) qg_likeness_add(l->likeness, teacher, student, actions, state.loss);
    l->sums->kl += state.kl;
    l->sums->entropy += state.entropy;
    l->sums->agreed += agree(teacher, student, actions);
    l->sums->count++;
    for (int a = 0; a < actions && gradient; a++)
        gradient[t->outputs[a]] = l->weight * direction[a];
}

void qg_lesson_study(void *lesson, int size, const float *q_values, float *gradient)
{
    const qg_lesson *l = lesson;
    for (int i = 0; i < size; i++) {
        const size_t row = (size_t)i * (size_t)l->outputs;
        study(l, l->samples[i], q_values + row, gradient ? gradient + row : NULL);
    }
}
