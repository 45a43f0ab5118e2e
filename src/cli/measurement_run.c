/* Measurements take seconds: their progress goes to its file alone. */
#include "cli/measurement_run.h"

#include "base/clock.h"
#include "cli/progress_file.h"

#include <qgraft/measurement.h>

#include <math.h>

typedef struct measurement_watch {
    cli_progress_file file;
    double begun; /* seconds of the clock */
} measurement_watch;

static void show(void *context, int64_t step, int64_t steps)
{
    measurement_watch *watch = context;
    const cli_record record = {"playing", step, steps, NAN, qg_clock_seconds() - watch->begun};
    cli_progress_file_write(&watch->file, &record);
}

/* `score`: of random play, NaN for a similarity. */
static qg_status measure(const qg_run_file *file, const qg_measurement_options *options,
                         qg_run_result *result, double *score, qg_error *error)
{
    const char *const domains[] = {file->domain, file->other_domain};
    *score = NAN;
    if (file->kind == QG_RUN_SIMILARITY)
        return qg_similarity_measure(domains, file->steps, options, result, error);
    const qg_status status =
        qg_random_score_measure(file->domain, &file->settings, file->steps, options, result, error);
    return status ? status : qg_random_score_read(options->run.folder, score, error);
}

static int print_score(const train_arguments *arguments, const char *folder, double score)
{
    if (arguments->json)
        return cli_print_json(json_pack("{s:s, s:f}", "folder", folder, "score", score));
    if (!arguments->quiet) fprintf(stderr, "%s: random play scores %.4g\n", folder, score);
    return 0;
}

static int print_similarity(const train_arguments *arguments, const char *folder)
{
    qg_similarity s;
    qg_error error;
    const qg_status status = qg_similarity_read(folder, &s, &error);
    if (status == QG_ERROR_USAGE) {
        if (arguments->json)
            return cli_print_json(json_pack("{s:s, s:n, s:n, s:s}", "folder", folder, "grade",
                                            "class", "not_compared", error.message));
        if (!arguments->quiet) fprintf(stderr, "qgraft: %s\n", error.message);
        return 0;
    }
    if (status) return cli_fail(&error);
    const char *const class = qg_closeness_name(s.closeness);
    if (arguments->json)
        return cli_print_json(
            json_pack("{s:s, s:f, s:s}", "folder", folder, "grade", s.grade, "class", class));
    if (!arguments->quiet) fprintf(stderr, "%s: grade %.2f, %s\n", folder, s.grade, class);
    return 0;
}

int measurement_run(const train_arguments *arguments, const qg_run_file *file,
                    const qg_run_options *options)
{
    measurement_watch watch = {.begun = qg_clock_seconds()};
    qg_measurement_options watched = {.run = *options, .progress = show, .context = &watch};
    qg_run_result result;
    qg_error error;
    double score;
    cli_catch_interrupt();
    cli_progress_file_open(&watch.file, arguments->progress_file);
    watched.run.stop = cli_interrupt_flag();
    const qg_status status = measure(file, &watched, &result, &score, &error);
    const cli_record last = {NULL, result.step, result.step, score,
                             qg_clock_seconds() - watch.begun};
    cli_progress_file_end(&watch.file, status, last);
    if (status == QG_STOPPED) {
        fprintf(stderr, "qgraft: %s; --resume begins anew\n", error.message);
        return 130;
    }
    if (status) return cli_fail(&error);
    if (result.was_complete && !arguments->quiet)
        fprintf(stderr, "qgraft: %s: the run is complete already\n", options->folder);
    return file->kind == QG_RUN_SIMILARITY ? print_similarity(arguments, options->folder)
                                           : print_score(arguments, options->folder, score);
}
