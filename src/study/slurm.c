/* The submission of a study's jobs to Slurm. */
#include "base/file.h"
#include "study/slurm_parts.h"
#include "study/study_folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* "1234\n", or "1234;CLUSTER\n" where there are several. */
static qg_status parse_id(const char *answer, int64_t *id, qg_error *error)
{
    char *end;
    *id = strtoll(answer, &end, 10);
    if (end > answer && *id > 0 && (*end == '\n' || *end == ';')) return QG_OK;
    *id = 0;
    return qg_fail(error, QG_ERROR_IO, "sbatch answered '%.60s', which is not the number of a job",
                   answer);
}

static qg_status submit_job(qg_slurm_plan *plan, int j, qg_error *error)
{
    char *answer = NULL, **arguments = qg_slurm_arguments(plan, j);
    qg_status status = arguments ? qg_slurm_call(arguments, plan->jobs[j].script, &answer, error)
                                 : qg_fail_memory(error, "a command", 4096);
    if (!status) status = parse_id(answer, &plan->jobs[j].id, error);
    qg_slurm_free_words(arguments);
    free(answer);
    return status;
}

/* After every job, so that those that are submitted are known whatever comes. */
static qg_status note_jobs(const qg_slurm_plan *plan, qg_error *error)
{
    const size_t count = (size_t)plan->study->run_count + 1;
    int64_t *numbers = calloc(count, sizeof *numbers);
    if (!numbers) return qg_fail_memory(error, "job numbers", count * sizeof *numbers);
    for (int j = 0; j < plan->job_count; j++)
        numbers[plan->jobs[j].run < 0 ? plan->study->run_count : plan->jobs[j].run] =
            plan->jobs[j].id;
    const qg_status status = qg_slurm_write_numbers(plan->study, plan->folder, numbers, error);
    free(numbers);
    return status;
}

/* What is submitted of a submission that failed; why it failed is already said. */
static void cancel_jobs(const qg_slurm_plan *plan)
{
    char scancel[] = "scancel", (*numbers)[24] = calloc((size_t)plan->job_count, sizeof *numbers);
    char **words = calloc((size_t)plan->job_count + 2, sizeof *words), *answer = NULL;
    qg_error ignored;
    int count = 0;
    for (int j = 0; numbers && words && j < plan->job_count; j++) {
        if (!plan->jobs[j].id) continue;
        snprintf(numbers[j], sizeof *numbers, "%" PRId64, plan->jobs[j].id);
        words[0] = scancel;
        words[++count] = numbers[j];
    }
    if (count) qg_slurm_call(words, NULL, &answer, &ignored);
    free(words);
    free(numbers);
    free(answer);
}

static qg_status submit_jobs(qg_slurm_plan *plan, const char *outputs, qg_error *error)
{
    qg_lock lock;
    qg_status status = qg_folder_create(outputs, error);
    if (!status) status = qg_lock_folder(outputs, &lock, error); /* one submission at a time */
    if (status) return status;
    status = qg_slurm_check_idle(plan->study, plan->folder, error);
    for (int j = 0; j < plan->job_count && !status; j++) {
        status = submit_job(plan, j, error);
        if (!status) status = note_jobs(plan, error);
        if (status) cancel_jobs(plan);
    }
    qg_unlock_folder(&lock);
    return status;
}

qg_status qg_slurm_submit(qg_slurm_plan *plan, qg_error *error)
{
    qg_lock lock;
    char *outputs = qg_path_join(plan->folder, "slurm");
    if (!outputs) return qg_fail_memory(error, "a path", 4096);
    qg_status status = qg_study_hold(plan->study, plan->folder, &lock, error);
    if (!status && plan->job_count) status = submit_jobs(plan, outputs, error);
    qg_unlock_folder(&lock);
    free(outputs);
    return status;
}
