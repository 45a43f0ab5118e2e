/* A verdict needs two intervals. The bootstrap's makes no assumption, but is far too narrow for a
 * few seeds: of two differences with the same sign it always excludes zero. Student's is right for
 * any number of seeds when the noise is about normal. */
#include <qgraft/statistics.h>

#include "report/bootstrap.h"
#include "report/t_distribution.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

const char *qg_decision_name(qg_decision decision)
{
    static const char *const names[] = {
        [QG_NOT_DECIDED] = "not decided",
        [QG_POSITIVE] = "positive",
        [QG_NEGATIVE] = "negative",
    };
    assert(decision <= QG_NEGATIVE);
    return names[decision];
}

const char *qg_reason_text(qg_reason reason)
{
    static const char *const texts[] = {
        [QG_BOTH_AGREE] = "both intervals exclude zero",
        [QG_NO_PAIRS] = "no seed was run both with and without transfer",
        [QG_ONE_SEED] = "one seed decides nothing",
        [QG_ZERO_IN_BOTH] = "both intervals hold zero",
        [QG_TOO_FEW_SEEDS] = "too few seeds: Student's interval holds zero",
        [QG_ZERO_IN_SAMPLE] = "the bootstrap's interval holds zero",
    };
    assert(reason <= QG_ZERO_IN_SAMPLE);
    return texts[reason];
}

/* On which side of zero the interval lies: 1, -1, or 0 where it holds zero. */
static int side(const qg_estimate *estimate)
{
    return (estimate->low > 0) - (estimate->high < 0);
}

static void decide(qg_verdict *verdict)
{
    const int bootstrap = side(&verdict->bootstrap), student = side(&verdict->student);
    if (bootstrap != 0 && bootstrap == student) {
        verdict->decision = student > 0 ? QG_POSITIVE : QG_NEGATIVE;
        verdict->reason = QG_BOTH_AGREE;
    } else {
        verdict->reason = student != 0     ? QG_ZERO_IN_SAMPLE
                          : bootstrap != 0 ? QG_TOO_FEW_SEEDS
                                           : QG_ZERO_IN_BOTH;
    }
}

static size_t fewest_runs(const qg_tasks *tasks)
{
    size_t fewest = tasks->counts[0];
    for (size_t t = 1; t < tasks->task_count; t++)
        fewest = tasks->counts[t] < fewest ? tasks->counts[t] : fewest;
    return fewest;
}

qg_status qg_verdict_over_tasks(const qg_tasks *differences, uint64_t seed, qg_verdict *verdict,
                                qg_error *error)
{
    const qg_estimate none = {(double)NAN, (double)NAN, (double)NAN};
    *verdict = (qg_verdict){.reason = QG_NO_PAIRS, .bootstrap = none, .student = none};
    if (differences->task_count == 0) return QG_OK;
    qg_sample sample;
    qg_status status = qg_sample_create(&differences, 1, &sample, error);
    if (!status)
        status = qg_bootstrap_interval(&sample, qg_mean_of_task_means, NULL, seed,
                                       &verdict->bootstrap, error);
    verdict->tasks = sample.task_count;
    verdict->pairs = sample.count;
    qg_sample_free(&sample);
    if (status) return status;
    verdict->student = qg_student_over_tasks(differences);
    if (fewest_runs(differences) > 1) {
        decide(verdict);
    } else { /* what is drawn from one run has no spread, and no interval */
        verdict->bootstrap = verdict->student;
        verdict->reason = QG_ONE_SEED;
    }
    return QG_OK;
}

qg_status qg_verdict_of(const double *differences, size_t count, uint64_t seed, qg_verdict *verdict,
                        qg_error *error)
{
    const qg_tasks one = {count > 0 ? 1 : 0, &count, &differences};
    return qg_verdict_over_tasks(&one, seed, verdict, error);
}

/* ------------------------------------------------------------------------------ seed means */

/* How many of the values are of a seed, and their sum. */
static size_t add_up(const uint64_t *seeds, const double *values, size_t count, uint64_t seed,
                     double *sum)
{
    size_t found = 0;
    *sum = 0;
    for (size_t i = 0; i < count; i++)
        if (seeds[i] == seed) {
            *sum += values[i];
            found++;
        }
    return found;
}

static bool is_first(const uint64_t *seeds, size_t i)
{
    for (size_t other = 0; other < i; other++)
        if (seeds[other] == seeds[i]) return false;
    return true;
}

size_t qg_seed_means(const uint64_t *seeds, const double *values, size_t count, double *means)
{
    size_t experiments = 0, found = 0;
    double sum;
    for (size_t i = 0; i < count; i++) {
        const size_t of_seed = add_up(seeds, values, count, seeds[i], &sum);
        experiments = of_seed > experiments ? of_seed : experiments;
    }
    for (size_t i = 0; i < count; i++)
        if (is_first(seeds, i) && add_up(seeds, values, count, seeds[i], &sum) == experiments)
            means[found++] = sum / (double)experiments;
    return found;
}
