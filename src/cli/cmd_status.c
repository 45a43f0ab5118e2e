/* qgraft status: what the runs of a study are at; it only looks. */
#include "cli/cli.h"
#include "cli/study_table.h"

#include <qgraft/slurm.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char documentation[] =
    "Shows the runs of the study in FOLDER: running, failed and waiting ones first; of a study "
    "with "
    "more than 40 runs, the waiting and finished ones only as numbers. Works while the study runs, "
    "on any machine that sees the folder.\v"
    "Examples:\n"
    "  qgraft status runs/demo\n"
    "  qgraft status runs/demo --json | jq .counts";

static const struct argp_option argp_options[] = {
    {"all", 'a', NULL, 0, "list every run", 0},
    {"json", 'j', NULL, 0, "print everything as JSON", 0},
    {0}};

typedef struct status_arguments {
    const char *folder;
    bool all, json;
} status_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    status_arguments *a = state->input;
    switch (key) {
    case 'a':
        a->all = true;
        break;
    case 'j':
        a->json = true;
        break;
    case ARGP_KEY_ARG:
        if (a->folder) cli_bad_arguments(state, "only one folder, not also '%.60s'", text);
        a->folder = text;
        break;
    case ARGP_KEY_END:
        if (!a->folder) cli_bad_arguments(state, "name the folder of a study");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* The study and what is known of its tasks. */
typedef struct status_work {
    qg_study *study;
    qg_task_status *statuses; /* [task_count] */
    qg_slurm_state *slurm;    /* [task_count] */
    bool submitted;           /* to Slurm; the states above are good */
} status_work;

/* ------------------------------------------------------------------------------------- table */

enum { MOST_ROWS = 40 };
enum { COLUMN_SLURM = STUDY_COLUMNS - 1 }; /* before the message */

typedef struct slurm_rows {
    study_rows rows;
    const qg_slurm_state *states;
} slurm_rows;

/* "12_0 PENDING (Dependency)". */
static void format_slurm(const qg_slurm_state *state, char *text, size_t size)
{
    text[0] = 0;
    if (state->name[0])
        snprintf(text, size, "%" PRId64 "_%d %s%s%s%s", state->array, state->index, state->name,
                 state->why[0] ? " (" : "", state->why, state->why[0] ? ")" : "");
}

static void slurm_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const slurm_rows *r = context;
    if (column == COLUMN_SLURM)
        format_slurm(&r->states[r->rows.tasks[row]], text, size);
    else
        study_cell(&r->rows, row, column < COLUMN_SLURM ? column : column - 1, text, size);
}

static void print_rows(const status_work *w, const study_rows *rows)
{
    cli_column columns[STUDY_COLUMNS + 1];
    const slurm_rows with_slurm = {*rows, w->slurm};
    if (!w->submitted) {
        cli_print_table(study_columns, STUDY_COLUMNS, rows->count, study_cell, rows);
        return;
    }
    memcpy(columns, study_columns, sizeof study_columns);
    columns[COLUMN_SLURM + 1] = columns[COLUMN_SLURM];
    columns[COLUMN_SLURM] = (cli_column){"slurm", false};
    cli_print_table(columns, STUDY_COLUMNS + 1, rows->count, slurm_cell, &with_slurm);
}

/* The first rows, those of runs that neither wait nor are finished: they are sorted. */
static size_t count_busy(const status_work *w, const study_rows *rows)
{
    size_t count = 0;
    for (; count < rows->count; count++) {
        const qg_task_state state = w->statuses[rows->tasks[count]].state;
        if (state == QG_TASK_WAITING || state == QG_TASK_STALE || state == QG_TASK_FINISHED) break;
    }
    return count;
}

static int print_table(const status_work *w, bool all)
{
    const qg_study *study = w->study;
    char text[160];
    study_totals totals;
    study_rows rows = {study, w->statuses, calloc((size_t)study->task_count + 1, sizeof(int)), 0};
    if (!rows.tasks) {
        qg_error error;
        qg_fail_memory(&error, "a table", sizeof *rows.tasks);
        return cli_fail(&error);
    }
    study_sort_rows(&rows);
    const size_t count = rows.count;
    if (!all && count > MOST_ROWS) rows.count = count_busy(w, &rows);
    if (rows.count > 0) print_rows(w, &rows);
    if (rows.count < count)
        printf("%zu more wait or are finished: --all lists them\n", count - rows.count);
    study_count(study, w->statuses, &totals);
    study_format_totals(&totals, text, sizeof text);
    printf("%s: %s", study->name, text);
    if (totals.rate > 0) printf("; %.0f steps/s", totals.rate);
    putchar('\n');
    free(rows.tasks);
    return 0;
}

/* -------------------------------------------------------------------------------------- JSON */

static int print_json(const status_work *w, const char *folder)
{
    json_t *root = study_to_json(w->study, folder, w->statuses);
    json_t *tasks = json_object_get(root, "tasks");
    for (int t = 0; t < w->study->task_count && w->submitted; t++) {
        char job[64];
        const qg_slurm_state *state = &w->slurm[t];
        snprintf(job, sizeof job, "%" PRId64 "_%d", state->array, state->index);
        if (state->array)
            json_object_set_new(
                json_array_get(tasks, (size_t)t), "slurm",
                json_pack("{s:s, s:s, s:s}", "job", job, "state", state->name, "why", state->why));
    }
    return cli_print_json(root);
}

/* ------------------------------------------------------------------------------- the command */

/* Slurm is asked last and may be away: the folder tells the rest without it. */
static qg_status look(const char *folder, status_work *w, qg_error *error)
{
    qg_status status = qg_study_open(folder, &w->study, error);
    if (status) return status;
    const size_t count = (size_t)w->study->task_count + 1;
    w->statuses = calloc(count, sizeof *w->statuses);
    w->slurm = calloc(count, sizeof *w->slurm);
    if (!w->statuses || !w->slurm)
        return qg_fail_memory(error, "a study's tasks", count * sizeof *w->statuses);
    status = qg_study_look(w->study, folder, w->statuses, error);
    qg_error problem;
    if (!status && qg_slurm_states(w->study, folder, &w->submitted, w->slurm, &problem)) {
        w->submitted = false;
        fprintf(stderr, "qgraft: shown without Slurm's states: %s\n", problem.message);
    }
    return status;
}

int cmd_status(int argc, char **argv)
{
    status_arguments arguments = {0};
    const struct argp argp = {argp_options, parse_option, "FOLDER", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    status_work work = {0};
    qg_error error;
    int code;
    if (look(arguments.folder, &work, &error))
        code = cli_fail(&error);
    else if (arguments.json)
        code = print_json(&work, arguments.folder);
    else
        code = print_table(&work, arguments.all);
    free(work.statuses);
    free(work.slurm);
    qg_study_free(work.study);
    return code;
}
