#include "transfer/lesson.h"

#include <math.h>

qg_agreement qg_lesson_means(const qg_lesson_sums *sums)
{
    if (sums->count == 0) return (qg_agreement){NAN, NAN, NAN};
    const double n = (double)sums->count;
    return (qg_agreement){sums->kl / n, sums->entropy / n, (double)sums->agreed / n};
}

/* Whether the student's best action is one of the teacher's best. */
static bool agree(const float *teacher, const float *student, int actions)
{
    int own = 0;
    float best = teacher[0];
    for (int a = 1; a < actions; a++) {
        if (student[a] > student[own]) own = a;
        if (teacher[a] > best) best = teacher[a];
    }
    return teacher[own] >= best;
}

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
    l->sums->kl += state.kl;
    l->sums->entropy += state.entropy;
    l->sums->agreed += agree(teacher, student, actions);
    l->sums->count++;
    for (int a = 0; a < actions && gradient; a++)
        gradient[t->outputs[a]] = direction[a];
}

void qg_lesson_study(void *lesson, int size, const float *q_values, float *gradient)
{
    const qg_lesson *l = lesson;
    for (int i = 0; i < size; i++) {
        const size_t row = (size_t)i * (size_t)l->outputs;
        study(l, l->samples[i], q_values + row, gradient ? gradient + row : NULL);
    }
}
