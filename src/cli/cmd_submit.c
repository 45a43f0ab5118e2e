/* qgraft submit: hands a study to Slurm, one job array a run. */
#include "cli/cli.h"

#include "base/text.h"
#include "study/estimate.h"
#include "study/study_folder.h"
#include "study/lost_networks.h"
#include "study/slurm.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char documentation[] =
    "Submits STUDY (a study file, or the folder of a study) to Slurm: one array a run with a task "
    "for each seed, which starts when the tasks of that seed that it begins from are finished, and "
    "a last job that writes the report. Folder and program must have the same path on all "
    "nodes.\v"
    "A task that comes near its time limit makes a checkpoint and goes back into the queue. What "
    "is "
    "finished is not submitted again: the same command takes up what failed or was cancelled.\n"
    "Examples:\n"
    "  qgraft submit studies/demo.yaml --partition main\n"
    "  qgraft submit paper.yaml --partition long --time 1-00:00:00 --array-limit 20\n"
    "  qgraft submit paper.yaml --partition long --sbatch-option --constraint=avx2\n"
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
    {"dry-run", OPTION_DRY_RUN, NULL, 0, "print the calls of sbatch and end", 1},
    {0}};

typedef struct submit_arguments {
    const char *study, *out;
    double scale; /* 0: not given */
    int threads;  /* 0: not given */
    bool dry_run;
    qg_slurm_options slurm;
    char *more[64];
} submit_arguments;

static int parse_limit(const char *name, const char *text, int most, struct argp_state *state)
{
    int64_t value;
    if (!qg_text_to_count(text, &value) || value < 1 || value > most)
        argp_error(state, "--%s is a number from 1 to %d, not '%.60s'", name, most, text);
    return (int)value;
}

static void add_option(submit_arguments *a, char *text, struct argp_state *state)
{
    if (text[0] != '-')
        argp_error(state,
                   "--sbatch-option takes an option of sbatch, as --constraint=avx2, not "
                   "'%.60s'",
                   text);
    if (a->slurm.more_count == sizeof a->more / sizeof *a->more)
        argp_error(state, "too many --sbatch-option");
    a->more[a->slurm.more_count++] = text;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    submit_arguments *a = state->input;
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
        if (!qg_text_to_real(text, &a->scale) || !(a->scale > 0))
            argp_error(state, "--scale is a number above 0, not '%.60s'", text);
        break;
    case 't':
        a->threads = parse_limit("threads", text, 256, state);
        break;
    case OPTION_DRY_RUN:
        a->dry_run = true;
        break;
    case ARGP_KEY_ARG:
        if (a->study) argp_error(state, "only one study, not also '%.60s'", text);
        a->study = text;
        break;
    case ARGP_KEY_END:
        if (!a->study) argp_error(state, "name the study: a file, or the folder of one");
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
    qg_task_status *statuses; /* [task_count] */
    qg_task_load *loads;           /* [task_count] */
    qg_slurm_plan plan;
} submission;

/* The study, and the folder where it lies or will lie. */
static qg_status open_study(const submit_arguments *a, submission *s, qg_error *error)
{
    struct stat found;
    const bool folder = stat(a->study, &found) == 0 && S_ISDIR(found.st_mode);
    if (folder && (a->out || a->scale > 0))
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s is the folder of a study: --out and --scale go with a study file",
                       a->study);
    const qg_status status =
        folder ? qg_study_open(a->study, &s->study, error)
               : qg_study_load(a->study, a->scale > 0 ? a->scale : 1, &s->study, error);
    if (status) return status;
    if (a->threads) s->study->threads = a->threads;
    const char *place = folder ? a->study : a->out;
    s->folder = place ? strdup(place) : qg_path_join("runs", s->study->name);
    return s->folder ? QG_OK : qg_fail_memory(error, "a path", 4096);
}

/* A finished run whose network is lost must be run again. */
static qg_status find_lost(submission *s, qg_error *error)
{
    const size_t count = (size_t)s->study->task_count + 1;
    qg_task_state *states = calloc(count, sizeof *states);
    bool *anew = calloc(count, sizeof *anew);
    if (states && anew) {
        for (int t = 0; t < s->study->task_count; t++)
            states[t] =
                s->statuses[t].state == QG_TASK_FINISHED ? QG_TASK_FINISHED : QG_TASK_WAITING;
        qg_study_find_lost(s->study, s->folder, states, anew);
        for (int t = 0; t < s->study->task_count; t++)
            if (anew[t]) s->statuses[t].state = QG_TASK_WAITING;
    }
    const bool good = states && anew;
    free(states);
    free(anew);
    return good ? QG_OK : qg_fail_memory(error, "tasks", count * sizeof *states);
}

static qg_status make_plan(submit_arguments *a, submission *s, qg_error *error)
{
    const size_t count = (size_t)s->study->task_count + 1;
    s->statuses = calloc(count, sizeof *s->statuses);
    s->loads = calloc(count, sizeof *s->loads);
    if (!s->statuses || !s->loads) return qg_fail_memory(error, "tasks", count * 512);
    const ssize_t length = readlink("/proc/self/exe", s->program, sizeof s->program - 1);
    if (length < 0) return qg_fail_errno(error, "/proc/self/exe");
    a->slurm.program = s->program;
    a->slurm.loads = s->loads;
    a->slurm.more = a->more;
    qg_status status = qg_study_look(s->study, s->folder, s->statuses, error);
    if (!status) status = find_lost(s, error);
    if (!status) status = qg_study_estimate(s->study, NULL, s->loads, error);
    return status
               ? status
               : qg_slurm_plan_make(s->study, s->folder, s->statuses, &a->slurm, &s->plan, error);
}

static qg_status prepare(submit_arguments *a, submission *s, qg_lock *lock, qg_error *error)
{
    qg_status status = open_study(a, s, error);
    if (!status && !a->dry_run) status = qg_study_hold(s->study, s->folder, lock, error);
    return status ? status : make_plan(a, s, error);
}

static int submit(submit_arguments *a, submission *s, qg_lock *lock)
{
    qg_error error;
    if (prepare(a, s, lock, &error)) return cli_fail(&error);
    if (s->plan.job_count == 0) {
        puts("every run is finished: nothing to submit");
        return 0;
    }
    if (a->dry_run) return print_calls(&s->plan);
    if (qg_slurm_submit(&s->plan, &error)) return cli_fail(&error);
    print_jobs(&s->plan, s->folder);
    return 0;
}

int cmd_submit(int argc, char **argv)
{
    submit_arguments arguments = {0};
    const struct argp argp = {argp_options, parse_option, "STUDY", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    submission s = {0};
    qg_lock lock = {-1};
    const int code = submit(&arguments, &s, &lock);
    qg_unlock_folder(&lock);
    qg_slurm_plan_free(&s.plan);
    free(s.statuses);
    free(s.loads);
    free(s.folder);
    qg_study_free(s.study);
    return code;
}
