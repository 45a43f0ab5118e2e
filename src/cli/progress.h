/* Progress of a run: one live line on a terminal, a line every half minute elsewhere. */
#ifndef QG_CLI_PROGRESS_H
#define QG_CLI_PROGRESS_H

#include <qgraft/agent.h>

typedef struct cli_progress {
    bool quiet;
    bool begun;         /* has been called */
    bool shown;         /* a live line stands on the terminal */
    double drawn;       /* seconds of the last line */
    int64_t drawn_step; /* where speed is measured from */
    double rate;        /* steps per second of late, evaluations left out */
} cli_progress;

/* For qg_train_options.progress; `context` is a cli_progress. */
void cli_show_progress(void *context, const qg_progress *progress);

/* Ends the live line. */
void cli_end_progress(cli_progress *progress);

#endif
