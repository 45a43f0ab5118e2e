/* qgraft run: a study, each run its own process, until all is finished. */
#include "cli/cli.h"
#include "cli/study_live.h"
#include "cli/study_looks.h"
#include "cli/study_open.h"
#include "cli/study_plan.h"
#include "cli/study_power.h"
#include "cli/study_table.h"

#include <qgraft/slurm.h>

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static const char documentation[] =
    "Runs a study: every run that its file lists, each with every seed and in a process of its "
    "own, "
    "as many at once as this machine can hold. The same command goes on where it was stopped; "
    "finished runs are never run again, a changed setting runs again only what depends on it. "
    "STUDY is a study file, or the folder of a study.\v"
    "Examples:\n"
    "  qgraft run studies/demo.yaml --plan            what it would do, and how long\n"
    "  qgraft run studies/demo.yaml --scale 0.1       every budget a tenth\n"
    "  qgraft run runs/demo                           go on\n"
    "  qgraft run studies/demo.yaml --until-decided --max-seeds 12 --out runs/demo-decided\n"
    "Exit code: 0 all finished, 1 a run failed, 130 stopped.";

enum {
    OPTION_THREADS = 't',
    OPTION_SCALE = 256,
    OPTION_PLAN,
    OPTION_PILOT,
    OPTION_ONLY,
    OPTION_STALL,
    OPTION_REQUEUE,
    OPTION_JSON,
};

static const struct argp_option argp_options[] = {
    {"out", 'o', "FOLDER", 0, "the study's folder (default runs/NAME)", 0},
    {"jobs", 'j', "N", 0, "runs at once (default: what cores and memory allow)", 0},
    {"threads", OPTION_THREADS, "N", 0, "threads of each run (default: as the study says)", 0},
    {"scale", OPTION_SCALE, "F", 0, "multiply every budget by F (default 1)", 0},
    {"plan", OPTION_PLAN, NULL, 0, "print the plan and end", 0},
    {"pilot", OPTION_PILOT, "FOLDER", 0,
     "with --plan: a study whose runs say how much they scatter", 0},
    {"only", OPTION_ONLY, "ID:SEED", 0, "one run of a study's folder, whose sources are finished",
     0},
    {"stall", OPTION_STALL, "T", 0, "end a run without progress for T, as 90s, 30m (default), 2h",
     0},
    STUDY_LOOKS_OPTIONS(0),
    {"requeue", OPTION_REQUEUE, NULL, 0, "when stopped, back into Slurm's queue (for 'submit')", 0},
    {"json", OPTION_JSON, NULL, 0, "print the plan or the result as JSON", 0},
    {"quiet", 'q', NULL, 0, "no progress", 0},
    {0}};

typedef struct run_arguments {
    const char *study, *out, *pilot, *jobs, *threads, *scale, *only, *stall;
    study_looks_arguments looks;
    bool plan, requeue, json, quiet;
} run_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    run_arguments *a = state->input;
    if (study_looks_parse(&a->looks, key, text)) return 0;
    switch (key) {
    case 'o':
        a->out = text;
        break;
    case 'j':
        a->jobs = text;
        break;
    case OPTION_THREADS:
        a->threads = text;
        break;
    case OPTION_SCALE:
        a->scale = text;
        break;
    case OPTION_PILOT:
        a->pilot = text;
        break;
    case OPTION_PLAN:
        a->plan = true;
        break;
    case OPTION_ONLY:
        a->only = text;
        break;
    case OPTION_STALL:
        a->stall = text;
        break;
    case OPTION_REQUEUE:
        a->requeue = true;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    case 'q':
        a->quiet = true;
        break;
    case ARGP_KEY_ARG:
        if (a->study) cli_bad_arguments(state, "only one study, not also '%.60s'", text);
        a->study = text;
        break;
    case ARGP_KEY_END:
        if (!a->study) cli_bad_arguments(state, "name a study file, or the folder of a study");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* ---------------------------------------------------------------------------------- the study */

/* Everything the command holds. */
typedef struct run_work {
    qg_study *study;
    char *folder;
    qg_study_options options;
} run_work;

static qg_status parse_stall(const char *text, double *seconds, qg_error *error)
{
    char number[32] = "";
    const size_t length = text ? strlen(text) : 0;
    const char unit = length ? text[length - 1] : 's';
    const bool named = length && strchr("smh", unit) != NULL;
    if (!text) return QG_OK;
    if (length < sizeof number) memcpy(number, text, length - named);
    if (!qg_text_to_real(number, seconds) || *seconds <= 0 || *seconds > 1e6)
        return qg_fail(error, QG_ERROR_USAGE, "--stall: '%.40s' is not a time, as 90s, 30m or 2h",
                       text);
    *seconds *= unit == 'h' ? 3600 : unit == 'm' ? 60 : 1;
    return QG_OK;
}

static qg_status resolve(const run_arguments *a, run_work *w, qg_error *error)
{
    if (a->only && !study_is_folder(a->study))
        return qg_fail(error, QG_ERROR_USAGE, "--only goes with the folder of a study, not with %s",
                       a->study);
    if (a->only && a->plan)
        return qg_fail(error, QG_ERROR_USAGE, "--only goes without --plan, which is of all runs");
    if (a->looks.until_decided && (a->plan || a->only || a->requeue))
        return qg_fail(error, QG_ERROR_USAGE,
                       "--until-decided goes without --plan, --only and --requeue");
    if (a->pilot && (!a->plan || a->json))
        return qg_fail(error, QG_ERROR_USAGE, "--pilot goes with --plan, without --json");
    int64_t threads = w->study->threads, jobs = 0;
    qg_status status = study_looks_check(&a->looks, error);
    if (!status) status = parse_stall(a->stall, &w->options.stall_seconds, error);
    if (!status && a->threads)
        status = qg_parse_count("--threads", a->threads, 1, 256, &threads, error);
    if (!status && a->jobs) status = qg_parse_count("--jobs", a->jobs, 1, 4096, &jobs, error);
    w->study->threads = (int)threads;
    w->options.jobs = (int)jobs;
    w->options.only = a->only;
    w->options.program = "/proc/self/exe"; /* also when it is replaced */
    return status;
}

/* ------------------------------------------------------------------------------------- work */

static int plan(const run_arguments *a, const run_work *w)
{
    qg_error error;
    qg_study_outlook outlook;
    if (qg_study_foresee(w->study, w->folder, &w->options, &outlook, &error))
        return cli_fail(&error);
    int code = study_plan_print(w->study, w->folder, &outlook, a->json);
    if (!a->json && study_power_print(w->study, w->folder, a->pilot, &error))
        code = cli_fail(&error);
    if (qg_study_check_room(w->study, &outlook, &error)) code = cli_fail(&error);
    qg_study_outlook_free(&outlook);
    return code;
}

static void print_end(const run_work *w, const qg_study_result *result)
{
    study_totals totals = {0};
    char text[160], name[QG_TASK_NAME];
    memcpy(totals.tasks, result->tasks, sizeof totals.tasks);
    study_format_totals(&totals, text, sizeof text);
    fprintf(stderr, "%s: %s", w->folder, text);
    if (result->failed >= 0) {
        qg_task_name(w->study, result->failed, name, sizeof name);
        fprintf(stderr, " (%s first: see %s/%s/log.txt)", name, w->folder,
                w->study->tasks[result->failed].folder);
    }
    const bool all = result->tasks[QG_TASK_FINISHED] == w->study->task_count;
    fprintf(stderr, all ? "; next: qgraft report %s\n" : "\n", w->folder);
}

static int print_result(const run_work *w)
{
    qg_error error;
    qg_task_status *statuses = calloc((size_t)w->study->task_count + 1, sizeof *statuses);
    qg_status status = statuses ? qg_study_look(w->study, w->folder, statuses, &error)
                                : qg_fail_memory(&error, "a study's tasks", sizeof *statuses);
    const int code =
        status ? cli_fail(&error) : cli_print_json(study_to_json(w->study, w->folder, statuses));
    free(statuses);
    return code;
}

static int exit_code(const run_work *w, const qg_study_result *result, qg_status status,
                     const qg_error *error)
{
    if (status && status != QG_STOPPED) return cli_fail(error);
    if (result->tasks[QG_TASK_FAILED]) return 1;
    if (w->options.only) /* what the others are at is not its business */
        return status ? 130 : 0;
    return result->tasks[QG_TASK_FINISHED] == w->study->task_count ? 0 : 130;
}

/* How often Ctrl-C was pressed; SIGTERM, which may come twice from a cluster, counts once. */
static volatile sig_atomic_t interrupts;

static void note_interrupt(int signal_number)
{
    if (signal_number == SIGINT)
        interrupts++;
    else if (!interrupts)
        interrupts = 1;
}

static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Runs start in the study's folder: what the environment names must be found from there, too. */
static void make_absolute(const char *variable)
{
    char *const place = getenv(variable) ? realpath(getenv(variable), NULL) : NULL;
    if (place) setenv(variable, place, 1);
    free(place);
}

static int execute(const run_arguments *a, run_work *w)
{
    study_live live = {.quiet = a->quiet,
                       .rows = calloc((size_t)w->study->task_count + 1, sizeof *live.rows)};
    qg_error error;
    qg_study_result result;
    if (!live.rows) {
        qg_fail_memory(&error, "a table", sizeof *live.rows);
        return cli_fail(&error);
    }
    w->options.watch = study_live_show;
    w->options.context = &live;
    w->options.stop = &interrupts;
    make_absolute("QGRAFT_ATARI");
    catch_interrupts();
    const qg_status status = qg_study_execute(w->study, w->folder, &w->options, &result, &error);
    study_live_end(&live);
    free(live.rows);
    if (!a->quiet && !a->only && result.begun) print_end(w, &result);
    const int code = exit_code(w, &result, status, &error);
    const bool is_last = code || !a->looks.until_decided; /* else the next look is the answer */
    if (a->json && result.begun && is_last && print_result(w)) return 1;
    return code;
}

/* -------------------------------------------------------------------------------- until decided */

/* The study with the seeds that the last look gives it. */
static qg_status reopen(const run_arguments *a, run_work *w, qg_error *error)
{
    qg_study_free(w->study);
    w->study = NULL;
    const qg_status status = qg_study_open(w->folder, &w->study, error);
    return status ? status : resolve(a, w, error);
}

static int run_until_decided(const run_arguments *a, run_work *w)
{
    qg_error error;
    qg_report_look look = {0};
    qg_status status = study_looks_begin(&a->looks, w->study, w->folder, &error);
    while (!status && !look.done) {
        const int code = execute(a, w);
        if (code) return code;
        status = study_looks_look(w->folder, a->quiet, &look, &error);
        if (!status) status = reopen(a, w, &error);
    }
    if (status) return cli_fail(&error);
    return a->json ? print_result(w) : 0;
}

static int run(const run_arguments *a, run_work *w)
{
    qg_error error;
    qg_status status = study_open(a->study, a->out, a->scale, &w->study, &w->folder, &error);
    if (!status) status = resolve(a, w, &error);
    if (status) return cli_fail(&error);
    if (a->plan) return plan(a, w);
    if (a->looks.until_decided) return run_until_decided(a, w);
    const int code = execute(a, w);
    if (code == 130 && a->requeue && qg_slurm_requeue(&error)) return cli_fail(&error);
    return code;
}

int cmd_run(int argc, char **argv)
{
    run_arguments arguments = {0};
    const struct argp argp = {argp_options, parse_option, "STUDY", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    run_work work = {0};
    const int code = run(&arguments, &work);
    qg_study_free(work.study);
    free(work.folder);
    return code;
}
