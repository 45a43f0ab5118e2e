#include "cli/study_plan.h"

#include "cli/progress.h"
#include "cli/study_table.h"

#include <inttypes.h>
#include <string.h>

typedef struct study_plan {
    const qg_study *study;
    const char *folder;
    const qg_study_outlook *outlook;
} study_plan;

static void format_bytes(double bytes, char *text, size_t size)
{
    if (bytes >= 1e9)
        snprintf(text, size, "%.1f GB", bytes * 1e-9);
    else
        snprintf(text, size, "%.0f MB", bytes * 1e-6 + 0.5);
}

static int first_task(const qg_study *study, int run)
{
    int t = 0;
    while (t < study->task_count && study->tasks[t].run != run)
        t++;
    return t < study->task_count ? t : -1;
}

/* The runs that make the networks that a run begins from. */
static void list_parents(const qg_study *study, int run, char *text, size_t size)
{
    const int t = first_task(study, run);
    size_t used = 0;
    text[0] = 0;
    for (int p = 0; t >= 0 && p < study->tasks[t].parent_count && used < size; p++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", p ? ", " : "",
                                 study->runs[study->tasks[study->tasks[t].parents[p]].run].id);
}

static int count_finished(const study_plan *plan, int run)
{
    int finished = 0;
    for (int t = 0; t < plan->study->task_count; t++)
        finished += plan->study->tasks[t].run == run &&
                    plan->outlook->statuses[t].state == QG_TASK_FINISHED;
    return finished;
}

/* ------------------------------------------------------------------------------------ table */

static const cli_column columns[] = {{"run", false},     {"what", false},  {"seeds", true},
                                     {"finished", true}, {"after", false}, {"steps", true},
                                     {"time", true},     {"memory", true}, {"disk", true}};

static void cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const study_plan *plan = context;
    const qg_study_run *run = &plan->study->runs[row];
    const int task = first_task(plan->study, (int)row);
    const qg_task_load *load = &plan->outlook->loads[task < 0 ? 0 : task];
    char duration[32];
    switch (column) {
    case 0:
        snprintf(text, size, "%s", run->id);
        break;
    case 1:
        qg_study_run_title(plan->study, run, text, size);
        break;
    case 2:
        snprintf(text, size, "%d", run->seed_count);
        break;
    case 3:
        snprintf(text, size, "%d", count_finished(plan, (int)row));
        break;
    case 4:
        list_parents(plan->study, (int)row, text, size);
        break;
    case 5:
        snprintf(text, size, "%" PRId64, run->steps);
        break;
    case 6:
        cli_format_duration(load->seconds, duration);
        snprintf(text, size, "%s", duration);
        break;
    case 7:
        format_bytes(load->memory, text, size);
        break;
    default:
        format_bytes(load->disk, text, size);
        break;
    }
}

static void print_shortcoming(void *context, const char *line)
{
    (void)context;
    printf("too small: %s\n", line);
}

static void print_note(void *context, const char *line)
{
    (void)context;
    printf("note: %s\n", line);
}

static int print_table(const study_plan *plan)
{
    char duration[32], memory[32], disk[32];
    cli_print_table(columns, sizeof columns / sizeof *columns, (size_t)plan->study->run_count, cell,
                    plan);
    cli_format_duration(plan->outlook->forecast.seconds, duration);
    format_bytes(plan->outlook->forecast.memory, memory, sizeof memory);
    format_bytes(plan->outlook->forecast.disk, disk, sizeof disk);
    int finished = 0;
    for (int t = 0; t < plan->study->task_count; t++)
        finished += plan->outlook->statuses[t].state == QG_TASK_FINISHED;
    printf("%d runs with their seeds, %d finished; at most %d at once: about %s, %s of memory, %s "
           "of disk\n",
           plan->study->task_count, finished, plan->outlook->limits.jobs, duration, memory, disk);
    qg_study_adequacy(plan->study, print_shortcoming, NULL);
    qg_study_explain_lists(plan->study, print_note, NULL);
    printf("folder: ");
    cli_print_safe(plan->folder);
    putchar('\n');
    return 0;
}

/* ------------------------------------------------------------------------------------- JSON */

/* The task's run file; NULL: no memory. */
static json_t *file_to_json(const study_plan *plan, int task)
{
    qg_run_file file;
    qg_error error;
    char *text = NULL;
    if (qg_task_run_file(plan->study, task, &file, &error)) return NULL;
    qg_run_file_format(&file, &text, &error);
    qg_run_file_free(&file);
    json_t *json = text ? json_string(text) : NULL;
    free(text);
    return json;
}

static json_t *task_to_json(const study_plan *plan, int task)
{
    const qg_study_task *t = &plan->study->tasks[task];
    json_t *parents = json_array();
    for (int p = 0; p < t->parent_count; p++) {
        char name[QG_TASK_NAME];
        qg_task_name(plan->study, t->parents[p], name, sizeof name);
        json_array_append_new(parents, json_string(name));
    }
    return json_pack("{s:I, s:s, s:s, s:s, s:o, s:o}", "seed", (json_int_t)t->seed, "state",
                     qg_task_state_name(plan->outlook->statuses[task].state), "folder", t->folder,
                     "hash", t->hash, "after", parents, "run_file", file_to_json(plan, task));
}

static json_t *run_to_json(const study_plan *plan, int run)
{
    const qg_study_run *r = &plan->study->runs[run];
    const qg_task_load *load = &plan->outlook->loads[first_task(plan->study, run)];
    char what[256];
    json_t *tasks = json_array();
    for (int t = 0; t < plan->study->task_count; t++)
        if (plan->study->tasks[t].run == run) json_array_append_new(tasks, task_to_json(plan, t));
    qg_study_run_title(plan->study, r, what, sizeof what);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:o}", "run", r->id, "what", what,
                     "game", r->game, "group", r->group, "steps", (json_int_t)r->steps, "seconds",
                     load->seconds, "memory", load->memory, "disk", load->disk, "tasks", tasks);
}

static int print_json(const study_plan *plan)
{
    json_t *runs = json_array();
    for (int r = 0; r < plan->study->run_count; r++)
        if (first_task(plan->study, r) >= 0) json_array_append_new(runs, run_to_json(plan, r));
    const qg_study_forecast *f = &plan->outlook->forecast;
    return cli_print_json(json_pack("{s:s, s:s, s:f, s:i, s:i, s:f, s:f, s:f, s:o}", "study",
                                    plan->study->name, "folder", plan->folder, "scale",
                                    plan->study->scale, "jobs", plan->outlook->limits.jobs,
                                    "threads", plan->study->threads, "seconds", f->seconds,
                                    "memory", f->memory, "disk", f->disk, "runs", runs));
}

int study_plan_print(const qg_study *study, const char *folder, const qg_study_outlook *outlook,
                     bool json)
{
    const study_plan plan = {study, folder, outlook};
    return json ? print_json(&plan) : print_table(&plan);
}
