/* qgraft submit: hands a study to Slurm, one job array a run. */
#include "cli/cli.h"
#include "cli/study_looks.h"
#include "cli/study_open.h"

#include <qgraft/slurm.h>

#include "base/text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char documentation[] =
    "Submits STUDY (a study file, or the folder of a study) to Slurm: one array a run with a task "
    "for each seed, which starts when the tasks of that seed that it begins from are finished, and "
    "a last job that writes the report. Folder and program must have the same path on all "
    "nodes.\v"
    "A task that comes near its time limit makes a checkpoint and goes back into the queue. What "
    "is "
    "finished is not submitted again: the same command takes up what failed or was cancelled. With "
    "--until-decided the same command, typed again when all has finished, looks and submits the "
    "seeds of the next look.\n"
    "Examples:\n"
    "  qgraft submit studies/demo.yaml --partition main\n"
    "  qgraft submit paper.yaml --partition long --time 1-00:00:00 --array-limit 20\n"
    "  qgraft submit paper.yaml --partition long --sbatch-option --constraint=avx2\n"
    "  qgraft submit paper.yaml --partition long --until-decided --max-seeds 12\n"
    "  qgraft submit paper.yaml --partition long --dry-run";

enum {
    OPTION_PARTITION = 0x100,
    OPTION_TIME,
    OPTION_LIMIT,
    OPTION_SCALE,
    OPTION_ACCOUNT,
    OPTION_QOS,
    OPTION_SBATCH,
    OPTION_DRY_RUN,
};

static const struct argp_option argp_options[] = {
    {"partition", OPTION_PARTITION, "P", 0, "Slurm's partition (default: the cluster's)", 0},
    {"time", OPTION_TIME, "T", 0, "time limit of a task, as 4:00:00 (default: the partition's)", 0},
    {"array-limit", OPTION_LIMIT, "K", 0, "at most K tasks of a run at once", 0},
    {"account", OPTION_ACCOUNT, "A", 0, "as sbatch's", 0},
    {"qos", OPTION_QOS, "Q", 0, "as sbatch's", 0},
    {"sbatch-option", OPTION_SBATCH, "OPT", 0, "handed to sbatch as it is; may be repeated", 0},
    {"out", 'o', "DIR", 0, "the study's folder (default: runs/NAME)", 1},
    {"scale", OPTION_SCALE, "F", 0, "shrinks every budget of a study file", 1},
    {"threads", 't', "N", 0, "threads and cores of each task (default: the study's)", 1},
    STUDY_LOOKS_OPTIONS(1),
    {"dry-run", OPTION_DRY_RUN, NULL, 0, "print the calls of sbatch and end", 1},
    {0}};

typedef struct submit_arguments {
    const char *study, *out, *scale;
    study_looks_arguments looks;
    int threads; /* 0: not given */
    bool dry_run;
    qg_slurm_options slurm;
    char *more[64];
} submit_arguments;

static int parse_limit(const char *name, const char *text, int most, struct argp_state *state)
{
    int64_t value;
    if (!qg_text_to_count(text, &value) || value < 1 || value > most)
        cli_bad_arguments(state, "--%s is a number from 1 to %d, not '%.60s'", name, most, text);
    return (int)value;
}

static void add_option(submit_arguments *a, char *text, struct argp_state *state)
{
    if (text[0] != '-')
        cli_bad_arguments(state,
                          "--sbatch-option takes an option of sbatch, as --constraint=avx2, not "
                          "'%.60s'",
                          text);
    if (a->slurm.more_count == sizeof a->more / sizeof *a->more)
        cli_bad_arguments(state, "too many --sbatch-option");
    a->more[a->slurm.more_count++] = text;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    submit_arguments *a = state->input;
    if (study_looks_parse(&a->looks, key, text)) return 0;
    switch (key) {
    case OPTION_PARTITION:
        a->slurm.partition = text;
        break;
    case OPTION_TIME:
        a->slurm.time = text;
        break;
    case OPTION_LIMIT:
        a->slurm.array_limit = parse_limit("array-limit", text, 1000000, state);
        break;
    case OPTION_ACCOUNT:
        a->slurm.account = text;
        break;
    case OPTION_QOS:
        a->slurm.qos = text;
        break;
    case OPTION_SBATCH:
        add_option(a, text, state);
        break;
    case 'o':
        a->out = text;
        break;
    case OPTION_SCALE:
        a->scale = text;
        break;
    case 't':
        a->threads = parse_limit("threads", text, 256, state);
        break;
    case OPTION_DRY_RUN:
        a->dry_run = true;
        break;
    case ARGP_KEY_ARG:
        if (a->study) cli_bad_arguments(state, "only one study, not also '%.60s'", text);
        a->study = text;
        break;
    case ARGP_KEY_END:
        if (!a->study) cli_bad_arguments(state, "name the study: a file, or the folder of one");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* ------------------------------------------------------------------------------- the answer */

/* The call as one would type it, the script as a here-document. */
static int print_calls(const qg_slurm_plan *plan)
{
    for (int j = 0; j < plan->job_count; j++) {
        char **arguments = qg_slurm_arguments(plan, j);
        for (char **word = arguments; word && *word; word++) {
            char *quoted = qg_slurm_quote(*word);
            printf("%s%s", word == arguments ? "" : " ", quoted ? quoted : "?");
            free(quoted);
        }
        printf(" <<'END'\n%sEND\n", plan->jobs[j].script);
        if (!arguments) {
            qg_error error;
            qg_fail_memory(&error, "a command", 4096);
            return cli_fail(&error);
        }
        qg_slurm_free_words(arguments);
    }
    return 0;
}

static const cli_column columns[] = {{"job", true}, {"run", false}, {"tasks", true}};

static void job_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const qg_slurm_plan *plan = context;
    const qg_slurm_job *job = &plan->jobs[row];
    if (column == 0)
        snprintf(text, size, "%" PRId64, job->id);
    else if (column == 1)
        snprintf(text, size, "%s", job->run < 0 ? "the report" : plan->study->runs[job->run].id);
    else
        snprintf(text, size, "%d", job->run < 0 ? 1 : plan->study->runs[job->run].seed_count);
}

static void print_jobs(const qg_slurm_plan *plan, const char *folder)
{
    cli_print_table(columns, sizeof columns / sizeof *columns, (size_t)plan->job_count, job_cell,
                    plan);
    printf("\n'qgraft status ");
    cli_print_safe(folder);
    printf("' shows how far they are; 'scancel");
    for (int j = 0; j < plan->job_count; j++)
        printf(" %" PRId64, plan->jobs[j].id);
    printf("' ends them\n");
}

/* ------------------------------------------------------------------------------- the command */

/* Everything that a submission holds. */
typedef struct submission {
    qg_study *study;
    char *folder;
    char program[PATH_MAX];
    qg_slurm_plan plan;
} submission;

static qg_status make_plan(submit_arguments *a, submission *s, qg_error *error)
{
    if (a->threads) s->study->threads = a->threads;
    return qg_slurm_plan_make(s->study, s->folder, &a->slurm, &s->plan, error);
}

/* Of a study whose runs are finished: the seeds that a look gives it. */
static qg_status look(submit_arguments *a, submission *s, qg_error *error)
{
    qg_report_look look = {.done = qg_looks_done(s->study)};
    qg_status status = look.done ? QG_OK : study_looks_look(s->folder, false, &look, error);
    if (status || look.done) return status;
    qg_slurm_plan_free(&s->plan);
    s->plan = (qg_slurm_plan){0};
    qg_study_free(s->study);
    s->study = NULL;
    status = qg_study_open(s->folder, &s->study, error);
    return status ? status : make_plan(a, s, error);
}

static qg_status begin_looks(submit_arguments *a, submission *s, qg_error *error)
{
    char *const folder = realpath(s->folder, NULL); /* where there is none, no job writes into it */
    const qg_status status = folder ? qg_slurm_check_idle(s->study, folder, error) : QG_OK;
    free(folder);
    return status ? status : study_looks_begin(&a->looks, s->study, s->folder, error);
}

static qg_status prepare(submit_arguments *a, submission *s, qg_error *error)
{
    qg_status status = study_looks_check(&a->looks, error);
    if (!status && a->looks.until_decided && a->dry_run)
        status = qg_fail(error, QG_ERROR_USAGE,
                         "--until-decided goes without --dry-run: a look is written down");
    if (!status) status = study_open(a->study, a->out, a->scale, &s->study, &s->folder, error);
    if (!status && a->looks.until_decided) status = begin_looks(a, s, error);
    if (status) return status;
    const ssize_t length = readlink("/proc/self/exe", s->program, sizeof s->program - 1);
    if (length < 0) return qg_fail_errno(error, "/proc/self/exe");
    a->slurm.program = s->program;
    char *const here = getcwd(NULL, 0); /* sbatch hands it on to the tasks (study/process.c) */
    if (!here || setenv("QGRAFT_START_FOLDER", here, 0)) {
        free(here);
        return qg_fail_errno(error, "the folder of now");
    }
    free(here);
    a->slurm.more = a->more;
    status = make_plan(a, s, error);
    return !status && a->looks.until_decided && s->plan.job_count == 0 ? look(a, s, error) : status;
}

static int submit(submit_arguments *a, submission *s)
{
    qg_error error;
    qg_status status = prepare(a, s, &error);
    if (!status && !a->dry_run) status = qg_slurm_submit(&s->plan, &error);
    if (status) return cli_fail(&error);
    if (s->plan.job_count == 0) {
        fputs("every run is finished: nothing to submit", stdout);
        if (a->looks.until_decided) fputs(", and no look is left; next: qgraft report", stdout);
        putchar('\n');
    } else if (a->dry_run)
        return print_calls(&s->plan);
    else
        print_jobs(&s->plan, s->folder);
    return 0;
}

int cmd_submit(int argc, char **argv)
{
    submit_arguments arguments = {0};
    const struct argp argp = {argp_options, parse_option, "STUDY", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    submission s = {0};
    const int code = submit(&arguments, &s);
    qg_slurm_plan_free(&s.plan);
    free(s.folder);
    qg_study_free(s.study);
    return code;
}
