/* The kinds of runs that a study knows, in one table: all that differs between a training, a graft,
 * a distillation and a measurement. What a new kind is read from is its reader's business (runs.c,
 * sources.c, measurements.c); how it is done, that of its run file (qgraft/run_file.h). */
#ifndef QG_STUDY_KINDS_H
#define QG_STUDY_KINDS_H

#include "study/measure.h"
#include "study/schedule.h"

#include <stdio.h>

typedef struct qg_study_kind {
    /* The sources whose networks a run begins from, in order; how many they are. */
    int (*sources)(const qg_study_run *run, int sources[QG_MAX_TEACHERS]);
    /* Writes what determines the result besides game, steps, seed, settings and sources, for the
     * hash. A changed text makes the tasks of all studies stale. */
    void (*describe)(const qg_study_run *run, FILE *out);
    /* The same for the run file, whose settings, seed and parents are there. */
    qg_status (*fill)(const qg_study_run *run, qg_run_file *file, qg_error *error);
    /* For people: "first 2 of si, frozen, to demon_attack". */
    void (*title)(const qg_study *study, const qg_study_run *run, char *text, size_t size);
    /* What a task takes, by the times of its parts. */
    qg_status (*weigh)(const qg_study_run *run, const qg_run_times *times, qg_task_load *load,
                       qg_error *error);
    const char *size; /* the key of a study file that makes it smaller */
} qg_study_kind;

const qg_study_kind *qg_study_kind_of(const qg_study_run *run);

#endif
