#include "cli/study_table.h"

#include "cli/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------- table */

void study_sort_rows(study_rows *rows)
{
    static const qg_task_state order[] = {QG_TASK_RUNNING, QG_TASK_FAILED,  QG_TASK_STOPPED,
                                          QG_TASK_BLOCKED, QG_TASK_WAITING, QG_TASK_STALE,
                                          QG_TASK_FINISHED};
    rows->count = 0;
    for (size_t o = 0; o < sizeof order / sizeof *order; o++)
        for (int t = 0; t < rows->study->task_count; t++)
            if (rows->statuses[t].state == order[o]) rows->tasks[rows->count++] = t;
}

const cli_column study_columns[STUDY_COLUMNS] = {
    {"run", false},  {"state", false}, {"done", true},  {"steps/s", true},
    {"score", true}, {"time", true},   {"host", false}, {"", false}};

/* What a running task is at, or the state. */
static const char *state_text(const qg_task_status *s)
{
    return s->state == QG_TASK_RUNNING && s->phase[0] ? s->phase : qg_task_state_name(s->state);
}

void study_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const study_rows *rows = context;
    const int task = rows->tasks[row];
    const qg_task_status *s = &rows->statuses[task];
    const bool running = s->state == QG_TASK_RUNNING;
    char duration[32];
    text[0] = 0;
    if (column == 0)
        qg_task_name(rows->study, task, text, size);
    else if (column == 1)
        snprintf(text, size, "%s", state_text(s));
    else if (column == 2 && s->state == QG_TASK_FINISHED)
        snprintf(text, size, "100 %%");
    else if (column == 2 && s->steps > 0)
        snprintf(text, size, "%.0f %%", floor(100 * (double)s->step / (double)s->steps));
    else if (column == 3 && running && s->rate > 0)
        snprintf(text, size, "%.0f", s->rate);
    else if (column == 4 && !isnan(s->score))
        snprintf(text, size, "%.4g", s->score);
    else if (column == 5 && running && s->rate > 0) {
        cli_format_duration((double)(s->steps - s->step) / s->rate, duration);
        snprintf(text, size, "ETA %s", duration);
    } else if (column == 5 && s->seconds > 0) {
        cli_format_duration(s->seconds, duration);
        snprintf(text, size, "%s", duration);
    } else if (column == 6)
        snprintf(text, size, "%s", s->host);
    else if (column == 7)
        snprintf(text, size, "%s", s->message);
}

/* --------------------------------------------------------------------------------- totals */

void study_count(const qg_study *study, const qg_task_status *statuses, study_totals *totals)
{
    *totals = (study_totals){0};
    for (int t = 0; t < study->task_count; t++) {
        totals->tasks[statuses[t].state]++;
        if (statuses[t].state == QG_TASK_RUNNING) totals->rate += statuses[t].rate;
    }
}

void study_format_totals(const study_totals *totals, char *text, size_t size)
{
    static const qg_task_state order[] = {QG_TASK_FINISHED, QG_TASK_RUNNING, QG_TASK_WAITING,
                                          QG_TASK_STOPPED,  QG_TASK_STALE,   QG_TASK_FAILED,
                                          QG_TASK_BLOCKED};
    size_t used = 0;
    snprintf(text, size, "no runs");
    for (size_t o = 0; o < sizeof order / sizeof *order && used < size; o++)
        if (totals->tasks[order[o]])
            used += (size_t)snprintf(text + used, size - used, "%s%d %s", used ? ", " : "",
                                     totals->tasks[order[o]], qg_task_state_name(order[o]));
}

/* ----------------------------------------------------------------------------------- JSON */

static json_t *task_to_json(const qg_study *study, int task, const qg_task_status *s)
{
    const qg_study_task *t = &study->tasks[task];
    return json_pack("{s:s, s:I, s:s, s:s, s:I, s:I, s:f, s:o, s:f, s:s, s:s, s:s}", "run",
                     study->runs[t->run].id, "seed", (json_int_t)t->seed, "state",
                     qg_task_state_name(s->state), "phase", s->phase, "step", (json_int_t)s->step,
                     "steps", (json_int_t)s->steps, "rate", s->rate, "score",
                     cli_real_to_json(s->score), "seconds", s->seconds, "host", s->host, "message",
                     s->message, "folder", t->folder);
}

json_t *study_to_json(const qg_study *study, const char *folder, const qg_task_status *statuses)
{
    study_totals totals;
    study_count(study, statuses, &totals);
    json_t *tasks = json_array(), *counts = json_object();
    for (int state = 0; state <= QG_TASK_BLOCKED; state++)
        json_object_set_new(counts, qg_task_state_name((qg_task_state)state),
                            json_integer(totals.tasks[state]));
    int failed = 0;
    for (int t = 0; t < study->task_count; t++)
        failed |= json_array_append_new(tasks, task_to_json(study, t, &statuses[t]));
    if (failed) {
        json_decref(tasks);
        json_decref(counts);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:f, s:o, s:f, s:o}", "study", study->name, "folder", folder,
                     "scale", study->scale, "counts", counts, "rate", totals.rate, "tasks", tasks);
}
