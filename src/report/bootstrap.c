#include "report/bootstrap.h"

#include "base/random.h"
#include "report/order.h"

#include <math.h>
#include <stdlib.h>

static size_t count_runs(const qg_tasks *const *sets, size_t set_count, size_t *task_count)
{
    size_t runs = 0;
    *task_count = 0;
    for (size_t s = 0; s < set_count; s++) {
        *task_count += sets[s]->task_count;
        for (size_t t = 0; t < sets[s]->task_count; t++)
            runs += sets[s]->counts[t];
    }
    return runs;
}

static qg_status append(qg_sample *sample, const qg_tasks *tasks, qg_error *error)
{
    for (size_t t = 0; t < tasks->task_count; t++) {
        if (tasks->counts[t] == 0)
            return qg_fail(error, QG_ERROR_DATA, "task %zu has no runs; leave it out", t + 1);
        for (size_t i = 0; i < tasks->counts[t]; i++, sample->count++) {
            if (!isfinite(tasks->values[t][i]))
                return qg_fail(error, QG_ERROR_DATA,
                               "task %zu: the value of run %zu is no finite number", t + 1, i + 1);
            sample->values[sample->count] = tasks->values[t][i];
            sample->picks[sample->count] = sample->count;
        }
        sample->ends[sample->task_count++] = sample->count;
    }
    return QG_OK;
}

qg_status qg_sample_create(const qg_tasks *const *sets, size_t set_count, qg_sample *sample,
                           qg_error *error)
{
    size_t tasks;
    const size_t runs = count_runs(sets, set_count, &tasks);
    *sample = (qg_sample){0};
    if (runs == 0) return qg_fail(error, QG_ERROR_DATA, "there are no runs to compare");
    sample->ends = calloc(tasks, sizeof *sample->ends);
    sample->values = calloc(runs, sizeof *sample->values);
    sample->picks = calloc(runs, sizeof *sample->picks);
    if (!sample->ends || !sample->values || !sample->picks)
        return qg_fail_memory(error, "a bootstrap", runs * sizeof *sample->values);
    qg_status status = QG_OK;
    for (size_t s = 0; s < set_count && !status; s++)
        status = append(sample, sets[s], error);
    return status;
}

void qg_sample_free(qg_sample *sample)
{
    free(sample->ends);
    free(sample->values);
    free(sample->picks);
}

void qg_bootstrap(qg_sample *sample, uint64_t seed, qg_resample_visit *visit, void *context)
{
    qg_random random = qg_random_stream(seed, "bootstrap");
    for (size_t resample = 0; resample < QG_RESAMPLES; resample++) {
        size_t begin = 0;
        for (size_t t = 0; t < sample->task_count; begin = sample->ends[t++])
            for (size_t i = begin; i < sample->ends[t]; i++)
                sample->picks[i] = begin + qg_random_below(&random, sample->ends[t] - begin);
        visit(context, sample, resample);
    }
}

typedef struct replicates {
    qg_statistic *statistic;
    void *context;
    double *values; /* [QG_RESAMPLES] */
} replicates;

static void add_replicate(void *context, const qg_sample *sample, size_t resample)
{
    const replicates *r = context;
    r->values[resample] = r->statistic(r->context, sample);
}

qg_status qg_bootstrap_interval(qg_sample *sample, qg_statistic *statistic, void *context,
                                uint64_t seed, qg_estimate *estimate, qg_error *error)
{
    const size_t bytes = QG_RESAMPLES * sizeof(double);
    replicates r = {statistic, context, malloc(bytes)};
    if (!r.values) return qg_fail_memory(error, "a bootstrap", bytes);
    estimate->value = statistic(context, sample);
    qg_bootstrap(sample, seed, add_replicate, &r);
    qg_sort(r.values, QG_RESAMPLES);
    estimate->low = qg_quantile(r.values, QG_RESAMPLES, QG_ALPHA / 2);
    estimate->high = qg_quantile(r.values, QG_RESAMPLES, 1 - QG_ALPHA / 2);
    free(r.values);
    return QG_OK;
}

double qg_mean_of_task_means(void *context, const qg_sample *sample)
{
    (void)context;
    double means = 0;
    size_t begin = 0;
    for (size_t t = 0; t < sample->task_count; begin = sample->ends[t++]) {
        double sum = 0;
        for (size_t i = begin; i < sample->ends[t]; i++)
            sum += sample->values[sample->picks[i]];
        means += sum / (double)(sample->ends[t] - begin);
    }
    return means / (double)sample->task_count;
}
