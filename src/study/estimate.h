/* What a study takes: the seconds, memory and disk of its tasks, from a short measurement on this
 * machine; and what the machine has. */
#ifndef QG_ESTIMATE_H
#define QG_ESTIMATE_H

#include "study/schedule.h"

/* What this machine has for the runs. */
typedef struct qg_capacity {
    int cores;     /* that this process may use */
    double memory; /* bytes, of the machine or of the group that this process belongs to */
    double disk;   /* bytes that are free where the runs are or will be */
} qg_capacity;

void qg_capacity_look(const char *folder, qg_capacity *capacity);

/* Bytes that are free on the disk of a study's runs: `runs` in its folder may be a link to another
 * one. Infinite where that cannot be seen. */
double qg_study_disk(const char *folder);

/* loads [task_count] of whole tasks. Runs that are not finished with every seed by `states` are
 * measured: their games are played and their networks learn for a fraction of a second; others get
 * 0 seconds. NULL: nothing is measured, seconds are steps, which are good for an order only. Fails
 * as qg_domain_open and qg_engine_create do. */
qg_status qg_study_estimate(const qg_study *study, const qg_task_state *states, qg_task_load *loads,
                            qg_error *error);

#endif
