/* The submission of a study's jobs to Slurm. */
#include "base/file.h"
#include "base/text.h"
#include "study/slurm_parts.h"
#include "study/study_folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nobody can tell whether the job was taken: all that was said is shown, and kept. */
static qg_status fail_answer(const qg_slurm_plan *plan, int j, const qg_program_result *result,
                             qg_error *error)
{
    char said[240] = "", *path = qg_path_join(plan->folder, "slurm/sbatch-answer.txt");
    qg_error ignored;
    const qg_piece pieces[] = {{result->output, result->size},
                               {result->messages, strlen(result->messages)}};
    const bool kept = path && !qg_file_replace(path, pieces, 2, &ignored);
    qg_text_add(said, sizeof said, "%s%s", result->output, result->messages);
    for (char *c = said; *c; c++)
        if (*c == '\n') *c = c[1] ? ' ' : '\0';
    qg_fail(
        error, QG_ERROR_IO,
        "sbatch answered '%s'%s%.120s%s, without the number of a job, and no job '%.60s' is in the "
        "queue",
        said, kept ? " (all of it: " : "", kept ? path : "", kept ? ")" : "", plan->jobs[j].name);
    free(path);
    return error->code;
}

/* Takes the job's number from the answer; where that has none or several, or sbatch failed (which
 * it also does when only the controller's answer was lost), the queue is asked, too. */
static qg_status read_answer(qg_slurm_plan *plan, int j, const qg_program_result *result,
                             qg_error *error)
{
    qg_slurm_job *const job = &plan->jobs[j];
    bool several;
    int64_t found = 0;
    qg_error problem;
    job->id = result->code ? 0 : qg_slurm_read_answer(result->output, &several);
    if (job->id && !several) return QG_OK;
    const qg_status asked = qg_slurm_find_job(plan->folder, job->name, &found, &problem);
    if (found) job->id = found;
    if (result->code) return qg_slurm_fail("sbatch", result, error);
    if (job->id) return QG_OK;
    if (!asked) return fail_answer(plan, j, result, error);
    return qg_fail(
        error, QG_ERROR_IO,
        "sbatch answered '%.100s', without the number of a job, and whether '%.60s' is in "
        "the queue cannot be seen (%.150s): look there before you submit again",
        result->output, job->name, problem.message);
}

static qg_status submit_job(qg_slurm_plan *plan, int j, qg_error *error)
{
    char **arguments = qg_slurm_arguments(plan, j);
    if (!arguments) return qg_fail_memory(error, "a command", 4096);
    qg_program_result result;
    qg_status status = qg_slurm_try(arguments, plan->jobs[j].script, &result, error);
    if (!status) {
        status = read_answer(plan, j, &result, error);
        qg_program_result_free(&result);
    }
    qg_slurm_free_words(arguments);
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

/* What is submitted of a submission that failed; the error says why, and is added to where they
 * stay. */
static void cancel_jobs(const qg_slurm_plan *plan, qg_error *error)
{
    char scancel[] = "scancel", (*numbers)[24] = calloc((size_t)plan->job_count, sizeof *numbers);
    char **words = calloc((size_t)plan->job_count + 2, sizeof *words), *answer = NULL;
    qg_error problem;
    int count = 0;
    for (int j = 0; numbers && words && j < plan->job_count; j++) {
        if (!plan->jobs[j].id) continue;
        snprintf(numbers[j], sizeof *numbers, "%" PRId64, plan->jobs[j].id);
        words[0] = scancel;
        words[++count] = numbers[j];
    }
    if (count && qg_slurm_call(words, NULL, &answer, &problem)) {
        qg_text_add(error->message, sizeof error->message, "; the jobs before it are still there");
        for (int i = 1; i <= count; i++)
            qg_text_add(error->message, sizeof error->message, "%s%s", i == 1 ? ": scancel " : " ",
                        words[i]);
    }
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
        qg_error problem;
        status = submit_job(plan, j, error);
        const qg_status noted = plan->jobs[j].id ? note_jobs(plan, &problem) : QG_OK;
        if (noted && !status) *error = problem;
        if (!status) status = noted;
        if (status) cancel_jobs(plan, error);
    }
    qg_unlock_folder(&lock);
    return status;
}

qg_status qg_slurm_submit(qg_slurm_plan *plan, qg_error *error)
{
    qg_lock lock;
    char *outputs = qg_path_join(plan->folder, "slurm");
    if (!outputs) return qg_fail_memory(error, "a path", 4096);
    /* Jobs that are there are to read no other study. */
    qg_status status = qg_study_hold(plan->study, plan->folder,
                                     plan->job_count ? qg_slurm_check_idle : NULL, &lock, error);
    if (!status && plan->job_count) status = submit_jobs(plan, outputs, error);
    qg_unlock_folder(&lock);
    free(outputs);
    return status;
}
