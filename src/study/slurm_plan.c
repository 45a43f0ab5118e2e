/* A study as jobs for Slurm: one array a run, the dependencies between them, each as a call of
 * sbatch. */
#include "base/file.h"
#include "base/text.h"
#include "study/estimate.h"
#include "study/lost_networks.h"
#include "study/slurm_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Before the time limit: enough for the step that is under way and a checkpoint. */
#define SIGNAL "--signal=B:TERM@60"

/* "FORMAT" in malloc'ed memory, NULL when there is none. */
__attribute__((format(printf, 1, 2))) static char *format_text(const char *format, ...)
{
    char *text;
    va_list values;
    va_start(values, format);
    const int length = vasprintf(&text, format, values);
    va_end(values);
    return length < 0 ? NULL : text;
}

char *qg_slurm_quote(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./:=,%@+-";
    if (*word && word[strspn(word, plain)] == 0) return strdup(word);
    char *text = malloc(4 * strlen(word) + 3), *end = text;
    if (!text) return NULL;
    *end++ = '\'';
    for (; *word; word++) {
        if (*word == '\'') end = stpcpy(end, "'\\'");
        *end++ = *word;
    }
    strcpy(end, "'");
    return text;
}

/* ----------------------------------------------------------------------------------- the plan */

/* "qgraft run FOLDER --only ID:SEED ...", the seed by the index of the task. The program takes the
 * shell's place, so that Slurm's signal reaches it. */
static char *write_array_script(const qg_slurm_plan *plan, int run, const char *program,
                                const char *folder)
{
    char *text = NULL;
    size_t size;
    FILE *stream = qg_text_stream(&text, &size);
    if (!stream) return NULL;
    fputs("#!/bin/bash\nseeds=(", stream);
    for (int s = 0; s < plan->seed_count; s++)
        fprintf(stream, s ? " %" PRIu64 : "%" PRIu64, plan->seeds[s]);
    fprintf(stream,
            ")\nexec %s run %s --only \"%s:${seeds[SLURM_ARRAY_TASK_ID]}\" --threads %d "
            "--requeue\n",
            program, folder, plan->study->runs[run].id, plan->study->threads);
    if (fclose(stream) == 0) return text;
    free(text);
    return NULL;
}

static qg_status add_job(qg_slurm_plan *plan, int run, qg_error *error)
{
    qg_slurm_job *job = &plan->jobs[plan->job_count++];
    char *program = qg_slurm_quote(plan->options->program), *folder = qg_slurm_quote(plan->folder);
    *job = (qg_slurm_job){.run = run, .name = qg_slurm_name(plan->study, run)};
    if (program && folder && run >= 0)
        job->script = write_array_script(plan, run, program, folder);
    else if (program && folder)
        job->script = format_text("#!/bin/bash\n%s report %s || exec %s report %s --partial\n",
                                  program, folder, program, folder);
    free(program);
    free(folder);
    return job->name && job->script ? QG_OK : qg_fail_memory(error, "the script of a job", 4096);
}

/* The job of a run, NULL: it has none. */
static const qg_slurm_job *find_job(const qg_slurm_plan *plan, int run)
{
    for (int j = 0; j < plan->job_count; j++)
        if (plan->jobs[j].run == run) return &plan->jobs[j];
    return NULL;
}

static bool is_finished(const qg_study *study, const qg_task_status *statuses, int run)
{
    for (int t = 0; t < study->task_count; t++)
        if (study->tasks[t].run == run && statuses[t].state != QG_TASK_FINISHED) return false;
    return true;
}

/* Runs in the order of their first tasks, which stand behind those of all their parents; before
 * them those whose tasks come first. */
static qg_status add_jobs(qg_slurm_plan *plan, const qg_task_status *statuses, qg_error *error)
{
    const qg_study *study = plan->study;
    plan->jobs = calloc((size_t)study->run_count + 1, sizeof *plan->jobs);
    plan->seeds = qg_slurm_seeds(study, &plan->seed_count);
    if (!plan->jobs || !plan->seeds) return qg_fail_memory(error, "jobs", 4096);
    qg_status status = QG_OK;
    for (int rest = 0; rest < 2; rest++)
        for (int t = 0; t < study->task_count && !status; t++) {
            const int run = study->tasks[t].run;
            if (plan->loads[t].first == rest || find_job(plan, run)) continue;
            if (!is_finished(study, statuses, run)) status = add_job(plan, run, error);
        }
    if (!status && plan->job_count > 0) status = add_job(plan, -1, error);
    return status;
}

/* Slurm writes what a task prints to a path in which '%' begins a pattern, a '\\' switches all
 * patterns off and control characters end lines. */
static qg_status check_folder(const char *folder, qg_error *error)
{
    for (const char *c = folder; *c; c++)
        if (*c == '\\' || (unsigned char)*c < 0x20)
            return qg_fail(error, QG_ERROR_USAGE,
                           "%s: Slurm takes no path with a backslash or control character in it",
                           folder);
    return QG_OK;
}

/* The folder need not exist yet: a dry run makes none. */
static char *absolute_path(const char *folder)
{
    char *path = realpath(folder, NULL);
    if (path || *folder == '/') return path ? path : strdup(folder);
    char *here = getcwd(NULL, 0);
    path = here ? qg_path_join(here, folder) : NULL;
    free(here);
    return path;
}

/* A finished run whose network is lost is to be run again. */
static qg_status forget_lost(const qg_study *study, const char *folder, qg_task_status *statuses,
                             qg_error *error)
{
    const size_t count = (size_t)study->task_count + 1;
    qg_task_state *states = calloc(count, sizeof *states);
    bool *anew = calloc(count, sizeof *anew);
    if (states && anew) {
        for (int t = 0; t < study->task_count; t++)
            states[t] = statuses[t].state == QG_TASK_FINISHED ? QG_TASK_FINISHED : QG_TASK_WAITING;
        qg_study_find_lost(study, folder, states, anew);
        for (int t = 0; t < study->task_count; t++)
            if (anew[t]) statuses[t].state = QG_TASK_WAITING;
    }
    const bool good = states && anew;
    free(states);
    free(anew);
    return good ? QG_OK : qg_fail_memory(error, "tasks", count * sizeof *states);
}

static qg_status make_plan(const char *folder, qg_slurm_plan *plan, qg_error *error)
{
    const size_t count = (size_t)plan->study->task_count + 1;
    qg_task_status *statuses = calloc(count, sizeof *statuses);
    plan->loads = calloc(count, sizeof *plan->loads);
    qg_status status = statuses && plan->loads
                           ? qg_study_look(plan->study, folder, statuses, error)
                           : qg_fail_memory(error, "tasks", count * sizeof *statuses);
    if (!status) status = forget_lost(plan->study, folder, statuses, error);
    if (!status) status = qg_study_estimate(plan->study, NULL, plan->loads, error);
    if (!status) status = add_jobs(plan, statuses, error);
    free(statuses);
    return status;
}

qg_status qg_slurm_plan_make(const qg_study *study, const char *folder,
                             const qg_slurm_options *options, qg_slurm_plan *plan, qg_error *error)
{
    *plan = (qg_slurm_plan){.study = study, .options = options, .folder = absolute_path(folder)};
    qg_status status =
        plan->folder ? check_folder(plan->folder, error) : qg_fail_errno(error, "%s", folder);
    if (!status) status = make_plan(folder, plan, error);
    if (status) qg_slurm_plan_free(plan);
    return status;
}

void qg_slurm_plan_free(qg_slurm_plan *plan)
{
    for (int j = 0; j < plan->job_count; j++) {
        free(plan->jobs[j].name);
        free(plan->jobs[j].script);
    }
    free(plan->jobs);
    free(plan->seeds);
    free(plan->loads);
    free(plan->folder);
    *plan = (qg_slurm_plan){0};
}

/* --------------------------------------------------------------------------- one call of sbatch */

/* The words of a command as they are put together. */
typedef struct words {
    char **list; /* ends with NULL */
    size_t count;
    bool failed;
} words;

void qg_slurm_free_words(char **list)
{
    for (char **word = list; word && *word; word++)
        free(*word);
    free(list);
}

/* Takes the text over; NULL: there was no memory for it. */
static void add_word(words *w, char *text)
{
    char **list = text ? realloc(w->list, (w->count + 2) * sizeof *list) : NULL;
    if (!list) {
        w->failed = true;
        free(text);
        return;
    }
    list[w->count++] = text;
    list[w->count] = NULL;
    w->list = list;
}

static void add_option(words *w, const char *name, const char *value)
{
    if (value) add_word(w, format_text("--%s=%s", name, value));
}

/* "--array=0,1,3%2": the run's seeds, K at once. */
static char *format_array(const qg_slurm_plan *plan, int run)
{
    const qg_study_run *r = &plan->study->runs[run];
    char *text = NULL;
    size_t size;
    FILE *stream = qg_text_stream(&text, &size);
    if (!stream) return NULL;
    fputs("--array=", stream);
    for (int s = 0, index = 0; s < r->seed_count; s++) {
        while (plan->seeds[index] != r->seeds[s])
            index++;
        fprintf(stream, s ? ",%d" : "%d", index);
    }
    if (plan->options->array_limit > 0) fprintf(stream, "%%%d", plan->options->array_limit);
    if (fclose(stream) == 0) return text;
    free(text);
    return NULL;
}

/* Megabytes of 2^20 bytes, rounded up, with those of the process that watches the run. */
static int64_t find_memory(const qg_slurm_plan *plan, int run)
{
    double bytes = 0;
    for (int t = 0; t < plan->study->task_count; t++)
        if (plan->study->tasks[t].run == run) bytes = fmax(bytes, plan->loads[t].memory);
    return (int64_t)ceil(bytes / (1 << 20)) + 32;
}

static bool is_parent(const qg_study *study, int parent, int run)
{
    for (int t = 0; t < study->task_count; t++)
        for (int p = 0; study->tasks[t].run == run && p < study->tasks[t].parent_count; p++)
            if (study->tasks[study->tasks[t].parents[p]].run == parent) return true;
    return false;
}

/* "--dependency=aftercorr:12:14": what the job waits for. The report waits for the end of all,
 * whatever it was. */
static void add_dependency(words *w, const qg_slurm_plan *plan, const qg_slurm_job *job)
{
    char *text = NULL;
    size_t size;
    bool any = false;
    FILE *stream = qg_text_stream(&text, &size);
    if (!stream) {
        w->failed = true;
        return;
    }
    fprintf(stream, "--dependency=%s", job->run < 0 ? "afterany" : "aftercorr");
    for (const qg_slurm_job *other = plan->jobs; other < job; other++) {
        if (job->run >= 0 && !is_parent(plan->study, other->run, job->run)) continue;
        any = true;
        if (other->id)
            fprintf(stream, ":%" PRId64, other->id);
        else
            fprintf(stream, ":<%s>", other->name);
    }
    w->failed |= fclose(stream) != 0;
    if (any)
        add_word(w, text);
    else
        free(text);
}

/* "--output=FOLDER/slurm/ID-%a.out", a '%' of the folder doubled. */
static char *format_output(const qg_slurm_plan *plan, int run)
{
    char *text = NULL;
    size_t size;
    FILE *stream = qg_text_stream(&text, &size);
    if (!stream) return NULL;
    fputs("--output=", stream);
    for (const char *c = plan->folder; *c; c++)
        fprintf(stream, *c == '%' ? "%%%%" : "%c", *c);
    if (run < 0)
        fputs("/slurm/report.out", stream);
    else
        fprintf(stream, "/slurm/%s-%%a.out", plan->study->runs[run].id);
    if (fclose(stream) == 0) return text;
    free(text);
    return NULL;
}

char **qg_slurm_arguments(const qg_slurm_plan *plan, int j)
{
    const qg_slurm_options *options = plan->options;
    const qg_slurm_job *job = &plan->jobs[j];
    words w = {0};
    add_word(&w, strdup("sbatch"));
    add_word(&w, strdup("--parsable"));
    add_option(&w, "job-name", job->name);
    add_option(&w, "partition", options->partition);
    add_option(&w, "time", options->time);
    add_option(&w, "account", options->account);
    add_option(&w, "qos", options->qos);
    if (job->run >= 0) {
        add_word(&w, format_array(plan, job->run));
        add_word(&w, format_text("--cpus-per-task=%d", plan->study->threads));
        add_word(&w, format_text("--mem=%" PRId64 "M", find_memory(plan, job->run)));
        add_word(&w, strdup(SIGNAL));
    }
    add_dependency(&w, plan, job);
    add_word(&w, strdup("--kill-on-invalid-dep=yes")); /* else it would wait for ever */
    add_word(&w, strdup("--requeue"));
    add_word(&w, strdup("--open-mode=append")); /* a requeued task goes on in its output */
    add_word(&w, format_output(plan, job->run));
    for (int i = 0; i < options->more_count; i++)
        add_word(&w, strdup(options->more[i]));
    if (!w.failed) return w.list;
    qg_slurm_free_words(w.list);
    return NULL;
}
