/* The samples of a distillation: where they are, and the teachers' play that makes them. */
#include "base/clock.h"
#include "base/file.h"
#include "transfer/distiller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool qg_distiller_is_kept(const qg_distiller *d, int k)
{
    return d->options->set_files && d->options->set_files[k];
}

qg_sample_form qg_distiller_form(const qg_distiller *d, int k)
{
    return (qg_sample_form){.keep = qg_distiller_is_kept(d, k),
                            .compressed = !d->options->run.plain_replay,
                            .threads = d->options->run.machine.threads};
}

char *qg_distiller_samples_path(const qg_distiller *d, int k)
{
    if (qg_distiller_is_kept(d, k)) return strdup(d->options->set_files[k]);
    char name[32];
    snprintf(name, sizeof name, "samples-%d", k + 1);
    return qg_path_join(d->options->run.folder, name);
}

qg_status qg_distiller_find_samples(qg_distiller *d, qg_error *error)
{
    size_t needed = 0;
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_teacher *t = &d->teachers[k];
        const size_t bytes = qg_sample_set_bytes(&t->source, qg_distiller_form(d, k).compressed);
        const char *path = qg_distiller_is_kept(d, k) ? d->options->set_files[k] : NULL;
        if (!path)
            needed += bytes;
        else if (access(path, F_OK) != 0)
            status = qg_sample_set_check_room(path, bytes, error);
        else {
            qg_distiller_report(d, QG_PHASE_READING, 0, t->source.count);
            status = qg_sample_set_open(path, &t->source, d->options->run.machine.threads,
                                        d->options->run.stop, &t->samples, error);
            t->reused = true;
        }
    }
    char *path = qg_path_join(d->options->run.folder, "samples");
    if (!path) status = qg_fail_memory(error, "a path", strlen(d->options->run.folder));
    if (!status) status = qg_sample_set_check_room(path, needed, error);
    free(path);
    return status;
}

qg_status qg_distiller_create_samples(qg_distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_teacher *t = &d->teachers[k];
        if (t->samples) continue;
        char *path = qg_distiller_samples_path(d, k);
        if (!path) return qg_fail_memory(error, "a path", strlen(d->options->run.folder));
        const qg_sample_form form = qg_distiller_form(d, k);
        status = qg_sample_set_create(path, &t->source, &form, &t->samples, error);
        free(path);
    }
    return status;
}

/* ------------------------------------------------------------------------------------ play */

/* The next teacher plays until its set is complete. */
static qg_status play_samples(qg_distiller *d, qg_error *error)
{
    const qg_teacher *t = &d->teachers[d->played];
    double told = 0;
    qg_status status = QG_OK;
    while (!status && qg_sample_set_added(t->samples) < t->source.count) {
        const int64_t done = qg_sample_set_added(t->samples);
        if (qg_run_is_stopped(&d->run))
            return qg_fail(error, QG_STOPPED,
                           "stopped while the teacher played, after %lld samples", (long long)done);
        if (qg_clock_tells(done, &told))
            qg_distiller_report(d, QG_PHASE_PLAYING, done, t->source.count);
        status = qg_play_step(&d->play, error);
        if (!status && qg_run_checkpoint_due(&d->run)) status = qg_run_checkpoint(&d->run, error);
    }
    return status ? status : qg_sample_set_finish(t->samples, error);
}

qg_status qg_distiller_play(qg_distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (; d->played < d->tasks && !status; d->played += !status) {
        qg_teacher *t = &d->teachers[d->played];
        const bool complete = qg_sample_set_added(t->samples) == t->source.count;
        if (!complete && !d->play.teacher) status = qg_play_open(t, &d->play, error);
        if (!status && !t->reused) status = play_samples(d, error);
        if (!status) qg_play_close(&d->play);
    }
    return status;
}
