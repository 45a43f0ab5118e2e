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

/* How many of a run's seeds (run -1: of all runs) are in a state, by the folder or by what comes
 * back to it. */
static int count_seeds(const study_plan *plan, const qg_task_status *statuses, int run,
                       qg_task_state state)
{
    int count = 0;
    for (int t = 0; t < plan->study->task_count; t++)
        count += (run < 0 || plan->study->tasks[t].run == run) && statuses[t].state == state;
    return count;
}

static int count_found(const study_plan *plan, int run, qg_task_state state)
{
    return count_seeds(plan, plan->outlook->statuses, run, state);
}

/* Those of which anything comes back. */
static int count_returning(const study_plan *plan, int run)
{
    const int seeds = run < 0 ? plan->study->task_count : plan->study->runs[run].seed_count;
    return seeds - count_seeds(plan, plan->outlook->returning, run, QG_TASK_WAITING);
}

/* ------------------------------------------------------------------------------------ table */

enum { RUN, WHAT, SEEDS, FINISHED, STALE, BACK, AFTER, STEPS, TIME, MEMORY, DISK, COLUMNS };

static const cli_column columns[COLUMNS] = {
    [RUN] = {"run", false},      [WHAT] = {"what", false},        [SEEDS] = {"seeds", true},
    [STALE] = {"stale", true},   [FINISHED] = {"finished", true}, [BACK] = {"back", true},
    [AFTER] = {"after", false},  [STEPS] = {"steps", true},       [TIME] = {"time", true},
    [MEMORY] = {"memory", true}, [DISK] = {"disk", true},
};

/* The columns that are shown. */
typedef struct plan_table {
    const study_plan *plan;
    cli_column columns[COLUMNS];
    int ids[COLUMNS];
    size_t count;
} plan_table;

static void show_column(plan_table *table, int id)
{
    table->ids[table->count] = id;
    table->columns[table->count++] = columns[id];
}

static void cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const plan_table *table = context;
    const study_plan *plan = table->plan;
    const qg_study_run *run = &plan->study->runs[row];
    const int task = first_task(plan->study, (int)row);
    const qg_task_load *load = &plan->outlook->loads[task < 0 ? 0 : task];
    char duration[32];
    switch (table->ids[column]) {
    case RUN:
        snprintf(text, size, "%s", run->id);
        break;
    case WHAT:
        qg_study_run_title(plan->study, run, text, size);
        break;
    case SEEDS:
        snprintf(text, size, "%d", run->seed_count);
        break;
    case FINISHED:
        snprintf(text, size, "%d", count_found(plan, (int)row, QG_TASK_FINISHED));
        break;
    case STALE:
        snprintf(text, size, "%d", count_found(plan, (int)row, QG_TASK_STALE));
        break;
    case BACK:
        snprintf(text, size, "%d", count_returning(plan, (int)row));
        break;
    case AFTER:
        list_parents(plan->study, (int)row, text, size);
        break;
    case STEPS:
        snprintf(text, size, "%" PRId64, run->steps);
        break;
    case TIME:
        cli_format_duration(load->seconds, duration);
        snprintf(text, size, "%s", duration);
        break;
    case MEMORY:
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

static void print_runs(const study_plan *plan, int stale, int back)
{
    plan_table table = {.plan = plan};
    for (int id = 0; id < COLUMNS; id++)
        if ((id != STALE || stale > 0) && (id != BACK || back > 0)) show_column(&table, id);
    cli_print_table(table.columns, table.count, (size_t)plan->study->run_count, cell, &table);
}

static int count_measurements(const qg_study *study)
{
    int count = 0;
    for (int t = 0; t < study->task_count; t++)
        count += qg_study_is_measurement(&study->runs[study->tasks[t].run]);
    return count;
}

static int print_table(const study_plan *plan)
{
    char duration[32], memory[32], disk[32];
    const int finished = count_found(plan, -1, QG_TASK_FINISHED);
    const int stale = count_found(plan, -1, QG_TASK_STALE), back = count_returning(plan, -1);
    print_runs(plan, stale, back);
    cli_format_duration(plan->outlook->forecast.seconds, duration);
    format_bytes(plan->outlook->forecast.memory, memory, sizeof memory);
    format_bytes(plan->outlook->forecast.disk, disk, sizeof disk);
    const int measurements = count_measurements(plan->study);
    printf("%d runs with their seeds", plan->study->task_count - measurements);
    if (measurements > 0) printf(" and %d measurements of games", measurements);
    printf(", %d finished; at most %d at once: about %s, %s of memory, %s of disk\n", finished,
           plan->outlook->limits.jobs, duration, memory, disk);
    if (stale > 0)
        printf("stale: %d were run with other settings; their folders move to runs/stale/ when "
               "their turn comes\n",
               stale);
    if (back > 0)
        printf("back: %d were run with these settings before, %d of them to their end; they come "
               "back from runs/stale/ or from under another name\n",
               back, count_seeds(plan, plan->outlook->returning, -1, QG_TASK_FINISHED));
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
    const qg_task_state back = plan->outlook->returning[task].state;
    return json_pack("{s:I, s:s, s:o, s:s, s:s, s:o, s:o}", "seed", (json_int_t)t->seed, "state",
                     qg_task_state_name(plan->outlook->statuses[task].state), "comes_back",
                     back == QG_TASK_WAITING ? json_null() : json_string(qg_task_state_name(back)),
                     "folder", t->folder, "hash", t->hash, "after", parents, "run_file",
                     file_to_json(plan, task));
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
