/* What Slurm's queue says of a study's jobs, and a stopped task's way back into it.
 *
 * Only squeue, scontrol and scancel are used: sacct needs a database that not every cluster has.
 * Slurm forgets a job some minutes after its end; the study's folder does not. */
#include "study/slurm_parts.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -------------------------------------------------------------------------------- the queue */

/* One line of squeue. */
typedef struct row {
    int64_t job;
    int index; /* -1: of no array */
    char *state, *name, *reason;
} row;

static bool parse_row(char *line, row *r)
{
    char *job = strsep(&line, "|"), *index = strsep(&line, "|"), *end;
    r->state = strsep(&line, "|");
    r->name = strsep(&line, "|");
    r->reason = line;
    if (!line) return false;
    r->job = strtoll(job, &end, 10);
    if (end == job || *end) return false;
    const long k = strtol(index, &end, 10);
    r->index = end == index || *end || k < 0 || k > INT32_MAX ? -1 : (int)k;
    return true;
}

/* What squeue knows of the jobs, array tasks one by one: lines in *text. */
static qg_status list_jobs(const qg_study *study, const int64_t *numbers, bool finished_too,
                           char **text, qg_error *error)
{
    char *jobs = NULL;
    size_t size;
    int64_t any = 0;
    *text = NULL;
    FILE *stream = qg_text_stream(&jobs, &size);
    if (!stream) return qg_fail_memory(error, "job numbers", 0);
    fputs("--jobs=", stream);
    for (int i = 0; i <= study->run_count; i++) {
        if (numbers[i]) fprintf(stream, "%" PRId64 ",", numbers[i]);
        any = numbers[i] ? numbers[i] : any;
    }
    fprintf(stream, "%" PRId64, any); /* once more: squeue fails for one alone that it forgot */
    char squeue[] = "squeue", array[] = "--array", no_header[] = "--noheader",
         format[] = "--format=%F|%K|%T|%j|%r", states[] = "--states=all";
    qg_status status = fclose(stream) == 0 ? QG_OK : qg_fail_memory(error, "job numbers", size);
    char *const arguments[] = {squeue, array, no_header, jobs, format, finished_too ? states : NULL,
                               NULL};
    if (!status) status = qg_slurm_call(arguments, NULL, text, error);
    free(jobs);
    return status;
}

/* The run whose array the row belongs to, run_count for the report; -1: none. A number that Slurm
 * has given to another job since is known by the job's name. */
static int find_run(const qg_study *study, const int64_t *numbers, const row *found)
{
    for (int r = 0; r <= study->run_count; r++) {
        if (!numbers[r] || numbers[r] != found->job) continue;
        char *name = qg_slurm_name(study, r < study->run_count ? r : -1);
        const bool same = name && strcmp(name, found->name) == 0;
        free(name);
        return same ? r : -1;
    }
    return -1;
}

static void fill_state(const qg_study *study, int run, const row *found, qg_slurm_state *states)
{
    for (int t = 0; t < study->task_count; t++)
        if (study->tasks[t].run == run && states[t].index == found->index) {
            snprintf(states[t].name, sizeof states[t].name, "%s", found->state);
            qg_text_make_safe(states[t].name);
            if (strcmp(found->reason, "None") != 0)
                snprintf(states[t].why, sizeof states[t].why, "%s", found->reason);
            qg_text_make_safe(states[t].why);
        }
}

/* Array and index of every task, by the numbers of the submission. */
static qg_status place_tasks(const qg_study *study, const int64_t *numbers, qg_slurm_state *states,
                             qg_error *error)
{
    int count;
    uint64_t *seeds = qg_slurm_seeds(study, &count);
    if (!seeds) return qg_fail_memory(error, "seeds", (size_t)study->task_count * sizeof *seeds);
    for (int t = 0; t < study->task_count; t++) {
        states[t] = (qg_slurm_state){.array = numbers[study->tasks[t].run]};
        while (seeds[states[t].index] != study->tasks[t].seed)
            states[t].index++;
    }
    free(seeds);
    return QG_OK;
}

qg_status qg_slurm_states(const qg_study *study, const char *folder, bool *submitted,
                          qg_slurm_state *states, qg_error *error)
{
    int64_t *numbers;
    char *text = NULL;
    qg_status status = qg_slurm_read_numbers(study, folder, &numbers, error);
    *submitted = numbers != NULL;
    if (status || !numbers) return status;
    status = place_tasks(study, numbers, states, error);
    if (!status) status = list_jobs(study, numbers, true, &text, error);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        row found;
        if (!parse_row(line, &found)) continue;
        const int run = find_run(study, numbers, &found);
        if (run >= 0) fill_state(study, run, &found, states);
    }
    free(text);
    free(numbers);
    return status;
}

/* ------------------------------------------------------------------------- jobs by their names */

/* What waits and runs of this user's, an array as a whole: lines in *text. */
static qg_status list_own(char **text, qg_error *error)
{
    char squeue[] = "squeue", no_header[] = "--noheader", format[] = "--format=%F|%K|%T|%j|%r",
         user[40];
    snprintf(user, sizeof user, "--user=%ju", (uintmax_t)getuid());
    char *const arguments[] = {squeue, no_header, user, format, NULL};
    return qg_slurm_call(arguments, NULL, text, error);
}

/* Whether a job writes into the folder; two folders may hold studies of one name. (What stands
 * behind a '%' of the folder's name is told in several ways.) */
static bool writes_into(int64_t job, const char *folder)
{
    char scontrol[] = "scontrol", oneliner[] = "--oneliner", show[] = "show", what[] = "job",
         number[24];
    snprintf(number, sizeof number, "%" PRId64, job);
    char *const arguments[] = {scontrol, oneliner, show, what, number, NULL}, *text, *begin;
    qg_error ignored;
    if (qg_slurm_call(arguments, NULL, &text, &ignored)) return false;
    const int length = asprintf(&begin, " StdOut=%.*s%s", (int)strcspn(folder, "%"), folder,
                                strchr(folder, '%') ? "" : "/slurm/");
    const bool found = length >= 0 && strstr(text, begin);
    if (length >= 0) free(begin);
    free(text);
    return found;
}

qg_status qg_slurm_find_job(const char *folder, const char *name, int64_t *job, qg_error *error)
{
    char *text;
    *job = 0;
    const qg_status status = list_own(&text, error);
    if (status) return status;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        row found;
        if (parse_row(line, &found) && found.job != *job && strcmp(found.name, name) == 0 &&
            writes_into(found.job, folder))
            *job = found.job;
    }
    free(text);
    return QG_OK;
}

/* ------------------------------------------------------------------------------ is all at an end
 */

typedef struct job_list {
    char text[300]; /* " 12 14" */
    int64_t last;
} job_list;

static void add_busy(job_list *busy, int64_t job)
{
    if (job != busy->last) qg_text_add(busy->text, sizeof busy->text, " %" PRId64, job);
    busy->last = job;
}

/* Of the jobs that the last submission recorded. */
static qg_status find_recorded(const qg_study *study, const int64_t *numbers, job_list *busy,
                               qg_error *error)
{
    char *text;
    const qg_status status = list_jobs(study, numbers, false, &text, error);
    char *rest = status ? NULL : text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        row found;
        if (parse_row(line, &found) && find_run(study, numbers, &found) >= 0)
            add_busy(busy, found.job);
    }
    free(text);
    return status;
}

/* Any job of a study of this name: its run may have left the study file since. */
static bool is_name(const qg_study *study, const char *name)
{
    const size_t length = strlen(study->name);
    return strncmp(name, study->name, length) == 0 && name[length] == '/';
}

/* Of jobs that Slurm took although it was not seen: the submission was killed, or its wrapper said
 * something else. */
static qg_status find_unrecorded(const qg_study *study, const char *folder, job_list *busy,
                                 qg_error *error)
{
    char *text;
    const qg_status status = list_own(&text, error);
    char *rest = status ? NULL : text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        row found;
        if (parse_row(line, &found) && found.job != busy->last && is_name(study, found.name) &&
            writes_into(found.job, folder))
            add_busy(busy, found.job);
    }
    free(text);
    return status;
}

qg_status qg_slurm_check_idle(const qg_study *study, const char *folder, qg_error *error)
{
    int64_t *numbers;
    job_list busy = {"", 0};
    qg_status status = qg_slurm_read_numbers(study, folder, &numbers, error);
    if (!status && numbers) status = find_recorded(study, numbers, &busy, error);
    free(numbers);
    if (!status && !*busy.text) status = find_unrecorded(study, folder, &busy, error);
    if (status || !*busy.text) return status;
    return qg_fail(error, QG_ERROR_BUSY,
                   "%s: jobs of this study are still in the queue; let them end, or cancel them "
                   "first: scancel%s",
                   folder, busy.text);
}

/* ---------------------------------------------------------------------------------- requeue */

/* A job that was cancelled gets the same signal as one at its time limit, but is no longer
 * running; to requeue it would bring it back to life. */
static qg_status is_running(char *job, bool *running, qg_error *error)
{
    char scontrol[] = "scontrol", oneliner[] = "--oneliner", show[] = "show", what[] = "job";
    char *const arguments[] = {scontrol, oneliner, show, what, job, NULL}, *text;
    const qg_status status = qg_slurm_call(arguments, NULL, &text, error);
    *running = !status && strstr(text, " JobState=RUNNING ");
    free(text);
    return status;
}

qg_status qg_slurm_requeue(qg_error *error)
{
    /* The array's number with the index: the number of its first task alone means the whole array.
     */
    const char *array = getenv("SLURM_ARRAY_JOB_ID"), *index = getenv("SLURM_ARRAY_TASK_ID");
    if (!array || !index)
        return qg_fail(error, QG_ERROR_USAGE, "this is no task of a Slurm array: not requeued");
    char job[64], scontrol[] = "scontrol", requeue[] = "requeue", *text;
    snprintf(job, sizeof job, "%s_%s", array, index);
    char *const arguments[] = {scontrol, requeue, job, NULL};
    bool running;
    qg_status status = is_running(job, &running, error);
    if (status || !running) return status;
    status = qg_slurm_call(arguments, NULL, &text, error);
    free(text);
    return status;
}
