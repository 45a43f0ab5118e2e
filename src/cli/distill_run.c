/* A distillation for people: its progress and its result. */
#include "cli/distill_run.h"

#include "cli/progress.h"

#include <inttypes.h>
#include <math.h>
#include <unistd.h>

/* --------------------------------------------------------------------------------- progress */

typedef struct progress_line {
    bool quiet, shown;
    double drawn; /* seconds of the last line */
    cli_progress_file file;
    int64_t samples, all;        /* learned from, to learn from in all */
    const qg_settings *settings; /* of which something is to be said; then NULL */
} progress_line;

static const char *const phases[] = {"playing", "reading samples", "evaluating", "learning"};

/* The steps of a distillation are the samples learned from. */
static void record_progress(progress_line *line, const qg_distillation_progress *p)
{
    if (p->phase == QG_PHASE_LEARNING) line->samples = p->done;
    const cli_record record = {phases[p->phase], line->samples, line->all, NAN, p->seconds};
    cli_progress_file_write(&line->file, &record);
}

static void show_progress(void *context, const qg_distillation_progress *p)
{
    progress_line *line = context;
    record_progress(line, p);
    const bool live = isatty(STDERR_FILENO) == 1;
    if (line->settings && p->phase == QG_PHASE_EVALUATING) {
        if (!line->quiet) cli_say_evaluations(line->settings, line->all);
        line->settings = NULL;
    }
    if (line->quiet || p->seconds - line->drawn < (live ? 0.25 : 30)) return;
    line->drawn = p->seconds;
    line->shown = live;
    fprintf(stderr, "%s%s %" PRId64 "/%" PRId64 " (%.1f %%)", live ? "\r\033[K" : "",
            phases[p->phase], p->done, p->total, 100 * (double)p->done / (double)p->total);
    if (p->phase == QG_PHASE_LEARNING) fprintf(stderr, "  temperature %.3g", p->temperature);
    if (!isnan(p->kl)) fprintf(stderr, "  KL %.4g  agreement %.1f %%", p->kl, 100 * p->agreement);
    if (!live) fputc('\n', stderr);
    fflush(stderr);
}

/* ----------------------------------------------------------------------------------- result */

static json_t *taught_to_json(const qg_distillation_options *options, const qg_taught *taught,
                              const char *teacher)
{
    json_t *held_out = json_array();
    for (int t = 0; t < options->temperatures.count; t++) {
        const qg_agreement *a = &taught->held_out[t];
        json_array_append_new(held_out, json_pack("{s:f, s:o, s:o, s:o}", "temperature",
                                                  options->temperatures.values[t], "kl",
                                                  cli_real_to_json(a->kl), "teacher_entropy",
                                                  cli_real_to_json(a->teacher_entropy), "agreement",
                                                  cli_real_to_json(a->agreement)));
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "teacher", teacher, "domain",
                     taught->domain, "teacher_score", cli_real_to_json(taught->teacher_score),
                     "student_score", cli_real_to_json(taught->student_score), "samples_reused",
                     taught->reused, "held_out", held_out, "loss",
                     cli_real_to_json(taught->likeness.loss), "advantage_scale",
                     cli_real_to_json(taught->likeness.advantage_scale), "value_correlation",
                     cli_real_to_json(taught->likeness.value_correlation));
}

static int print_result(const qg_distillation_options *options,
                        const qg_distillation_result *result, bool json, bool quiet)
{
    if (json) {
        json_t *taught = json_array();
        for (int k = 0; k < options->teacher_count; k++)
            json_array_append_new(
                taught, taught_to_json(options, &result->taught[k], options->teachers[k]));
        return cli_print_json(json_pack(
            "{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:f}", "folder", options->run.folder, "seed",
            (json_int_t)options->run.seed, "begun_at", (json_int_t)result->run.begun_at, "samples",
            (json_int_t)result->run.step, "updates", (json_int_t)result->updates, "held_out",
            (json_int_t)result->held_out, "tasks", taught, "seconds", result->run.seconds));
    }
    for (int k = 0; k < options->teacher_count && !quiet; k++) {
        const qg_taught *t = &result->taught[k];
        const qg_agreement *last = &t->held_out[options->temperatures.count - 1];
        fprintf(stderr,
                "%s: %s: teacher %.4g, student %.4g, agreement %.1f %%, KL %.4g, advantages %.3g "
                "times the teacher's, correlation of values %.3g\n",
                options->run.folder, t->domain, t->teacher_score, t->student_score,
                100 * last->agreement, last->kl, t->likeness.advantage_scale,
                t->likeness.value_correlation);
    }
    return 0;
}

int distill_run(const train_arguments *arguments, const qg_distillation_options *options)
{
    qg_distillation_options watched = *options;
    qg_distillation_result result;
    qg_error error;
    cli_catch_interrupt();
    progress_line line = {.quiet = arguments->quiet,
                          .settings = &options->settings,
                          .all =
                              watched.samples * watched.temperatures.count * watched.teacher_count};
    cli_progress_file_open(&line.file, arguments->progress_file);
    watched.run.stop = cli_interrupt_flag();
    watched.progress = show_progress;
    watched.context = &line;
    const qg_status status = qg_distill(&watched, &result, &error);
    if (line.shown) fputs("\r\033[K", stderr);
    cli_progress_file_end(&line.file, status,
                          (cli_record){NULL, result.run.step, line.all,
                                       status ? NAN : result.taught[0].student_score,
                                       result.run.seconds});
    const bool quiet = arguments->quiet;
    const int code = cli_end_run(status, &error, &watched.run, &result.run, quiet);
    return code ? code : print_result(&watched, &result, arguments->json, quiet);
}
