#include "cli/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

void cli_format_duration(double seconds, char text[32])
{
    const long s = seconds > 0 && seconds < 3.6e9 ? lround(seconds) : 0;
    if (s < 3600)
        snprintf(text, 32, "%ld:%02ld", s / 60, s % 60);
    else if (s < 2 * 86400)
        snprintf(text, 32, "%ldh%02ldm", s / 3600, s / 60 % 60);
    else
        snprintf(text, 32, "%ldd%02ldh", s / 86400, s / 3600 % 24);
}

static void print_line(const cli_progress *p, const qg_progress *progress, bool live)
{
    char eta[32] = "-", score[32] = "-", mean[32] = "-";
    if (p->rate > 0) cli_format_duration((double)(progress->steps - progress->step) / p->rate, eta);
    if (!isnan(progress->last_score)) snprintf(score, sizeof score, "%.4g", progress->last_score);
    if (!isnan(progress->last_return)) snprintf(mean, sizeof mean, "%.4g", progress->last_return);
    fprintf(stderr,
            "%sstep %" PRId64 "/%" PRId64 " (%.1f %%)  %.0f steps/s  epsilon %.3f  return %s  "
            "score %s  ",
            live ? "\r\033[K" : "", progress->step, progress->steps,
            100 * (double)progress->step / (double)progress->steps, p->rate, progress->epsilon,
            mean, score);
    if (progress->evaluating && live)
        fprintf(stderr, "evaluating %.0f %%",
                100 * (double)progress->evaluation_step / (double)progress->evaluation_steps);
    else
        fprintf(stderr, "ETA %s", eta);
    if (!live) fputc('\n', stderr);
    fflush(stderr);
}

/* The speed over the last intervals, smoothed; time spent in evaluations does not count. */
static void measure(cli_progress *p, const qg_progress *progress, double elapsed)
{
    const double rate = (double)(progress->step - p->drawn_step) / elapsed;
    p->rate = p->rate > 0 ? 0.7 * p->rate + 0.3 * rate : rate;
    p->drawn_step = progress->step;
}

void cli_say_evaluations(const qg_settings *settings, int64_t steps)
{
    qg_settings usual;
    qg_error ignored;
    const long long eval_steps = settings->eval_steps;
    const bool shortened = !settings->eval_steps_set &&
                           !qg_settings_preset(&usual, settings->preset, &ignored) &&
                           eval_steps < usual.eval_steps;
    if (shortened)
        fprintf(stderr,
                "qgraft: a short run: each evaluation plays %lld steps (--set eval_steps)\n",
                eval_steps);
    else if (steps > 0 && eval_steps > steps)
        fprintf(stderr,
                "qgraft: each evaluation plays %lld steps, more than the run's %lld (--set "
                "eval_steps)\n",
                eval_steps, (long long)steps);
}

static void say_short_run(const qg_settings *settings, int64_t steps)
{
    cli_say_evaluations(settings, steps);
    if (steps > 0 && steps <= qg_settings_first_update(settings, settings->learn_start))
        fprintf(stderr,
                "qgraft: nothing will be learned in %" PRId64 " steps: learn_start is %" PRId64
                "\n",
                steps, settings->learn_start);
}

void cli_show_progress(void *context, const qg_progress *progress)
{
    cli_progress *p = context;
    const cli_record record = {progress->evaluating ? "evaluating" : "training", progress->step,
                               progress->steps, progress->last_score, progress->seconds};
    cli_progress_file_write(&p->file, &record);
    if (p->quiet) return;
    if (!p->begun) {
        p->drawn_step = progress->step; /* a resumed run has steps behind it */
        say_short_run(p->settings, progress->steps);
    }
    p->begun = true;
    const bool live = isatty(STDERR_FILENO) == 1;
    if (progress->restoring && live) {
        fputs("\r\033[Kgoing on: the game is played again from its start", stderr);
        p->shown = true;
    }
    const double elapsed = progress->seconds - p->drawn, interval = live ? 0.25 : 30;
    if (elapsed < interval) return;
    if (progress->step > p->drawn_step && !progress->evaluating) measure(p, progress, elapsed);
    p->drawn = progress->seconds;
    print_line(p, progress, live);
    p->shown = live;
}

void cli_end_progress(cli_progress *p)
{
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = false;
}

/* Where what was learned is, and whether the run can go on; nothing of one that was there before,
 * and is still to be replaced. */
static void tell_what_is_left(const qg_run_options *options, const qg_run_result *result)
{
    qg_run_state state;
    qg_error ignored;
    if (options->overwrite && result->step == 0) return;
    if (qg_run_look(options->folder, &state, &ignored) || !state.exists) return;
    if (state.checkpoint_step >= 0)
        fprintf(stderr, "; what was learned is in %s, --resume goes on with it", options->folder);
    else
        fprintf(stderr, "; it has no checkpoint: --resume begins anew, and removes what is in %s",
                options->folder);
}

int cli_end_run(qg_status status, const qg_error *error, const qg_run_options *options,
                const qg_run_result *result, bool quiet)
{
    if (*result->warning) fprintf(stderr, "qgraft: warning: %s\n", result->warning);
    if (status == QG_STOPPED) {
        fprintf(stderr, "qgraft: %s", error->message);
        tell_what_is_left(options, result);
        fputc('\n', stderr);
        return 130;
    }
    if (status) return cli_fail(error);
    if (result->was_complete && !quiet)
        fprintf(stderr, "qgraft: %s: the run is complete already\n", options->folder);
    return 0;
}
