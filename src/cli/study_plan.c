#include "cli/study_plan.h"

#include "cli/progress.h"
#include "cli/study_table.h"

#include <inttypes.h>
#include <string.h>

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

/* ----------------------------------------------------------------------------- what a run is */

static void describe(const qg_study *study, const qg_study_run *run, char *text, size_t size)
{
    char layers[QG_GRAFT_CHOICE_TEXT];
    if (run->kind == QG_RUN_TRAIN)
        snprintf(text, size, "train %s", run->game);
    else if (run->kind == QG_RUN_GRAFT) {
        qg_graft_choice_label(&run->choice, layers);
        snprintf(text, size, "%s of %s%s to %s", layers,
                 run->source >= 0 ? study->sources[run->source].name : "a random network",
                 run->choice.frozen ? ", frozen," : "", run->game);
    } else
        snprintf(text, size, "distill %s%s at %s", study->sources[run->teachers[0]].name,
                 run->teacher_count > 1 ? " and others" : "", run->temperature);
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
        finished += plan->study->tasks[t].run == run && plan->statuses[t].state == QG_TASK_FINISHED;
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
    const qg_load *load = &plan->loads[task < 0 ? 0 : task];
    char duration[32];
    switch (column) {
    case 0:
        snprintf(text, size, "%s", run->id);
        break;
    case 1:
        describe(plan->study, run, text, size);
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

static int print_table(const study_plan *plan)
{
    char duration[32], memory[32], disk[32];
    cli_print_table(columns, sizeof columns / sizeof *columns, (size_t)plan->study->run_count, cell,
                    plan);
    cli_format_duration(plan->forecast.seconds, duration);
    format_bytes(plan->forecast.memory, memory, sizeof memory);
    format_bytes(plan->forecast.disk, disk, sizeof disk);
    int finished = 0;
    for (int t = 0; t < plan->study->task_count; t++)
        finished += plan->statuses[t].state == QG_TASK_FINISHED;
    printf("%d runs with their seeds, %d finished; at most %d at once: about %s, %s of memory, %s "
           "of disk\n",
           plan->study->task_count, finished, plan->limits.jobs, duration, memory, disk);
    printf("folder: ");
    cli_print_safe(plan->folder);
    putchar('\n');
    return 0;
}

/* ------------------------------------------------------------------------------------- JSON */

static json_t *arguments_to_json(const study_plan *plan, int task)
{
    char **arguments;
    qg_error error;
    if (qg_task_command(plan->study, task, plan->folder, &arguments, &error)) return NULL;
    json_t *words = json_array();
    json_array_append_new(words, json_string("qgraft"));
    for (char **word = arguments; *word; word++)
        json_array_append_new(words, json_string(*word));
    qg_arguments_free(arguments);
    return words;
}

static json_t *task_to_json(const study_plan *plan, int task)
{
    const qg_study_task *t = &plan->study->tasks[task];
    json_t *parents = json_array();
    for (int p = 0; p < t->parent_count; p++) {
        char name[STUDY_TASK_NAME];
        study_name_task(plan->study, t->parents[p], name, sizeof name);
        json_array_append_new(parents, json_string(name));
    }
    return json_pack("{s:I, s:s, s:s, s:s, s:o, s:o}", "seed", (json_int_t)t->seed, "state",
                     qg_task_state_name(plan->statuses[task].state), "folder", t->folder, "hash",
                     t->hash, "after", parents, "command", arguments_to_json(plan, task));
}

static json_t *run_to_json(const study_plan *plan, int run)
{
    const qg_study_run *r = &plan->study->runs[run];
    const qg_load *load = &plan->loads[first_task(plan->study, run)];
    char what[256];
    json_t *tasks = json_array();
    for (int t = 0; t < plan->study->task_count; t++)
        if (plan->study->tasks[t].run == run) json_array_append_new(tasks, task_to_json(plan, t));
    describe(plan->study, r, what, sizeof what);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:o}", "run", r->id, "what", what,
                     "game", r->game, "group", r->group, "steps", (json_int_t)r->steps, "seconds",
                     load->seconds, "memory", load->memory, "disk", load->disk, "tasks", tasks);
}

static int print_json(const study_plan *plan)
{
    json_t *runs = json_array();
    for (int r = 0; r < plan->study->run_count; r++)
        if (first_task(plan->study, r) >= 0) json_array_append_new(runs, run_to_json(plan, r));
    const qg_forecast *f = &plan->forecast;
    return cli_print_json(json_pack("{s:s, s:s, s:f, s:i, s:i, s:f, s:f, s:f, s:o}", "study",
                                    plan->study->name, "folder", plan->folder, "scale",
                                    plan->study->scale, "jobs", plan->limits.jobs, "threads",
                                    plan->study->threads, "seconds", f->seconds, "memory",
                                    f->memory, "disk", f->disk, "runs", runs));
}

int study_plan_print(const study_plan *plan, bool json)
{
    return json ? print_json(plan) : print_table(plan);
}
