/* Progress of a run: one live line on a terminal, a line every half minute elsewhere; its end. */
#ifndef QG_CLI_PROGRESS_H
#define QG_CLI_PROGRESS_H

#include "cli/cli.h"
#include "cli/progress_file.h"

#include <qgraft/agent.h>

typedef struct cli_progress {
    bool quiet;
    bool begun;                  /* has been called */
    bool shown;                  /* a live line stands on the terminal */
    double drawn;                /* seconds of the last line */
    int64_t drawn_step;          /* where speed is measured from */
    double rate;                 /* steps per second of late, evaluations left out */
    const qg_settings *settings; /* of the run */
    cli_progress_file file;
} cli_progress;

/* For qg_train_options.progress; `context` is a cli_progress. */
void cli_show_progress(void *context, const qg_progress *progress);

/* "0:42", "3h05m", "2d04h". */
void cli_format_duration(double seconds, char text[32]);

/* Says so where a run's evaluations are shorter than usual, or each longer than the run. */
void cli_say_evaluations(const qg_settings *settings, int64_t steps);

/* Ends the live line. */
void cli_end_progress(cli_progress *progress);

/* Says how a run ended, where there is more to say than its result; the exit code, 0 when its
 * result is to be printed. */
int cli_end_run(qg_status status, const qg_error *error, const qg_run_options *options,
                const qg_run_result *result, bool quiet);

#endif
