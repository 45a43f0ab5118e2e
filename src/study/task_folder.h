/* The folder of a task: what its supervisor notes in it, and the folders of changed settings. */
#ifndef QG_TASK_FOLDER_H
#define QG_TASK_FOLDER_H

#include <qgraft/study.h>

/* Makes the folder of a task ready for its run: one with other settings is moved to runs/stale/,
 * one with these settings comes back from there, or from under a name that no run of the study has
 * any more; otherwise it is created. QG_ERROR_BUSY: another process works in it. QG_ERROR_DATA: it
 * is a link. */
qg_status qg_task_prepare(const qg_study *study, int task, const char *folder, qg_error *error);

/* As qg_study_look, of one task and those that it begins from; the others' statuses stay. */
qg_status qg_task_look(const qg_study *study, int task, const char *folder,
                       qg_task_status *statuses, qg_error *error);

/* Folders in `runs` that are of no run of the study: the names that we give to runs tell what sets
 * them apart, and change with the other runs. */
typedef struct qg_other_runs {
    char **paths; /* [count] */
    size_t count;
} qg_other_runs;

qg_status qg_other_runs_find(const qg_study *study, const char *folder, qg_other_runs *others,
                             qg_error *error);
void qg_other_runs_free(qg_other_runs *others);

/* What comes back from runs/stale/, or from one of `others`, when the task's turn comes;
 * QG_TASK_WAITING: nothing does. Writes nothing. */
qg_status qg_task_look_back(const qg_study *study, int task, const char *folder,
                            const qg_other_runs *others, qg_task_status *status, qg_error *error);

/* Writes task.json: the task's hash and of `status` the state, seconds, host and message. */
qg_status qg_task_note(const qg_study *study, int task, const char *folder,
                       const qg_task_status *status, qg_error *error);

/* "FOLDER/runs/ID/sSEED/NAME", or the folder itself where name is NULL; malloc'ed, NULL: none. */
char *qg_task_path(const qg_study *study, int task, const char *folder, const char *name);

#endif
