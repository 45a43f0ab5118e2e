/* qgraft perform: the run that a file describes. */
#include "cli/distill_run.h"
#include "cli/measurement_run.h"
#include "cli/train_arguments.h"

#include <qgraft/run_file.h>

#include <stdlib.h>
#include <string.h>

enum { OPTION_SET_FILE = OPTION_TRAIN_END };

static const char documentation[] =
    "Does the run that FILE describes: the task.yaml of a study's run, or the run.yaml that every "
    "run leaves in its folder. Names of networks in it start from the folder in which this is "
    "typed.\v"
    "Examples:\n"
    "  qgraft perform runs/a/run.yaml --out runs/again     the same files once more\n"
    "  qgraft perform runs/a/run.yaml --resume             goes on with a run that was stopped\n"
    "  cd runs/demo; qgraft perform runs/br/s1/task.yaml --out /tmp/br";

static const struct argp_option argp_options[] = {
    {"out", 'o', "FOLDER", 0, "run folder (default: the file's own)", 0},
    KEEP_REPLAY_OPTION,
    {"set-file", OPTION_SET_FILE, "FILE", 0,
     "of a distillation: keep the samples there, or use those that are there; one a teacher", 0},
    RUN_OPTIONS,
    {0}};

typedef struct perform_arguments {
    train_arguments train; /* what it shares with training */
    const char *path, *set_files[QG_MAX_TEACHERS];
    int set_file_count;
} perform_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    perform_arguments *a = state->input;
    switch (key) {
    case OPTION_SET_FILE:
        if (a->set_file_count == QG_MAX_TEACHERS) cli_bad_arguments(state, "too many --set-file");
        a->set_files[a->set_file_count++] = text;
        break;
    case ARGP_KEY_ARG:
        if (a->path) cli_bad_arguments(state, "only one file, not also '%.60s'", text);
        a->path = text;
        break;
    case ARGP_KEY_END:
        if (!a->path) cli_bad_arguments(state, "name a run file, as runs/a/run.yaml");
        break;
    default:
        return train_parse_option(key, text, state, &a->train);
    }
    return 0;
}

/* Everything the command holds. */
typedef struct perform_work {
    qg_run_file file;
    char *folder;             /* the file's own */
    qg_train_options options; /* of a training, and what the other kinds share with it */
} perform_work;

/* The folder in which a file lies; NULL: no memory. */
static char *folder_of(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
}

static qg_status resolve(perform_arguments *a, perform_work *w, qg_error *error)
{
    char unused[256];
    qg_network_info info = {0};
    qg_architecture architecture;
    qg_status status = qg_run_file_load(a->path, &w->file, error);
    if (!status) status = qg_run_file_check(&w->file, error);
    if (!status && w->file.kind == QG_RUN_DISTILL)
        status = qg_network_look(w->file.parents[0], &architecture, &info, error);
    if (!status && a->train.keep_replay && w->file.kind != QG_RUN_TRAIN &&
        w->file.kind != QG_RUN_GRAFT)
        status =
            qg_fail(error, QG_ERROR_USAGE,
                    "%s: no training, so there is no replay memory for --keep-replay", a->path);
    if (!status && a->set_file_count &&
        (w->file.kind != QG_RUN_DISTILL || a->set_file_count != w->file.parent_count))
        status = qg_fail(
            error, QG_ERROR_USAGE, "%s: has %d teachers for %d --set-file: one each is needed",
            a->path, w->file.kind == QG_RUN_DISTILL ? w->file.parent_count : 0, a->set_file_count);
    if (status) return status;
    w->folder = folder_of(a->path);
    if (!w->folder) return qg_fail_memory(error, "a path", strlen(a->path));
    if (!a->train.out) a->train.out = w->folder;
    a->train.domain = w->file.kind == QG_RUN_DISTILL ? info.domain : w->file.domain;
    status = train_resolve(&a->train, "", &w->options, unused, sizeof unused, error);
    qg_run_file_train(&w->file, &w->options);
    return status;
}

static int graft(const perform_arguments *a, const perform_work *w)
{
    qg_graft_options options = {.train = w->options};
    qg_run_file_graft(&w->file, &options);
    return train_run(&a->train, &options.train, train_call_graft, &options);
}

static int distill(const perform_arguments *a, const perform_work *w)
{
    qg_distillation_options options = {.run = w->options.run};
    qg_run_file_distill(&w->file, &options);
    options.set_files = a->set_file_count ? a->set_files : NULL;
    return distill_run(&a->train, &options);
}

int cmd_perform(int argc, char **argv)
{
    perform_arguments arguments = {0};
    const struct argp argp = {argp_options, parse_option, "FILE", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    perform_work work = {0};
    qg_error error;
    int code;
    if (resolve(&arguments, &work, &error))
        code = cli_fail(&error);
    else if (work.file.kind == QG_RUN_GRAFT)
        code = graft(&arguments, &work);
    else if (work.file.kind == QG_RUN_DISTILL)
        code = distill(&arguments, &work);
    else if (work.file.kind != QG_RUN_TRAIN)
        code = measurement_run(&arguments.train, &work.file, &work.options.run);
    else
        code = train_run(&arguments.train, &work.options, NULL, NULL);
    qg_run_file_free(&work.file);
    free(work.folder);
    return code;
}
