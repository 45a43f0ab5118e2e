/* Studies: many runs with several seeds, described in one file.
 *
 * A study file (docs/studies.md) lists sources (networks to copy from) and runs; lists in a field
 * multiply. Planning it gives a directed graph of tasks, one per run and seed: a task needs the
 * networks that its parents make. A study lies in a folder:
 *
 *     study.yaml       the study file as it was run
 *     study.json       where it came from, its scale
 *     runs/ID/sSEED/   the run folder of a task, with task.yaml (its run file), task.json (its
 * hash, how it went), progress.json (now and then from the run) and log.txt (what it printed)
 * beside what the run writes runs/stale/      run folders whose settings have been changed since
 *
 * All strings and arrays belong to the study. */
#ifndef QGRAFT_STUDY_H
#define QGRAFT_STUDY_H

#include <qgraft/run_file.h>
#include <qgraft/statistics.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QG_STUDY_NAME 96 /* bytes of the name of a study, source, run or group, with the NUL */

/* A network, or one for each seed, that others begin from. */
typedef struct qg_study_source {
    char name[QG_STUDY_NAME];
    int line; /* in the study file */
    int run;  /* the run that makes it; -1: `files` */
    /* Which network of the run: of its best evaluation (as in the paper), the last one, or that of
     * a step. */
    enum { QG_TAKE_BEST, QG_TAKE_LAST, QG_TAKE_STEP } take;
    int64_t at;   /* QG_TAKE_STEP */
    char **files; /* absolute paths: one for all seeds, or one for each of the study's */
    int file_count;
    char file_game[QG_DOMAIN_NAME]; /* what the files say: "" unknown */
    int64_t file_step;              /* what the first says, 0: nothing */
    int file_history;               /* ... */
    qg_architecture file_architecture;
} qg_study_source;

#define QG_SOURCE_NONE   (-1)
#define QG_SOURCE_RANDOM (-2) /* fresh layers instead of copied ones: a control */

/* Runs that differ in nothing but the seed. */
typedef struct qg_study_run {
    char id[QG_STUDY_NAME]; /* unique; names the folder: letters, digits, '-', '_', '.' */
    int line;               /* in the study file */
    qg_run_kind kind;
    bool listed;               /* under `runs`, not only made for a source */
    int place;                 /* among what `runs` lists, from 1; 0: it is not written there */
    char game[QG_DOMAIN_NAME]; /* resolved; of a distillation, the first teacher's */
    char other_game[QG_DOMAIN_NAME]; /* similarities: the second one */
    char group[QG_STUDY_NAME];       /* the figure it is drawn in; "" for a baseline */
    qg_settings settings;            /* resolved and scaled */
    int64_t steps;                   /* agent steps; of a distillation, samples of a teacher */
    int source;                      /* grafts: an index into `sources`, or QG_SOURCE_RANDOM */
    qg_graft_choice choice;          /* grafts */
    int teachers[QG_MAX_TEACHERS];   /* distillations: indices into `sources` */
    int teacher_count;
    char temperature[64];        /* distillations, for qg_temperatures_parse */
    qg_distillation_order order; /* distillations */
    qg_distillation_loss loss;   /* distillations */
    double epsilon;              /* distillations: of the teachers' play */
    uint64_t *seeds;             /* rising */
    int seed_count;
    uint64_t *file_seeds; /* those of the file, where looks have added to `seeds`; else NULL */
    int file_seed_count;
    int baseline; /* grafts: the training from fresh weights with the same game, steps and settings;
                  -1: the study has none */
    int long_run; /* baselines of a study with `long_baseline`: the training that does the same for
                     more steps; -1: none */
    int64_t *snapshots; /* steps whose networks others begin from, rising */
    int snapshot_count;
    char also_evaluate[QG_MAX_OTHER_GAMES][QG_DOMAIN_NAME]; /* trainings and grafts; resolved */
    int also_evaluate_count;
} qg_study_run;

/* One process's work: a run with a seed. Tasks stand behind all their parents in the array. */
typedef struct qg_study_task {
    int run;
    uint64_t seed;
    int parents[QG_MAX_TEACHERS]; /* tasks */
    int parent_count;
    char hash[65]; /* SHA-256 of all that determines the result, that of the parents included */
    char network_hash[65]; /* the same, but that it knows a given file by the network in it */
    /* Both without the games that it is evaluated on, too: what that begins from it is known by. */
    char result_hash[65], result_network_hash[65];
    char *folder; /* "runs/ID/sSEED", within the study's folder */
} qg_study_task;

/* A score that a learner of the game should reach (time to threshold), and the two scores between
 * which those of the game are normalised. NaN: not given. */
typedef struct qg_study_game {
    char name[QG_DOMAIN_NAME];
    double threshold, random, reference;
} qg_study_game;

typedef enum qg_claim_kind {
    QG_CLAIM_POSITIVE, /* `of` is better than its baseline */
    QG_CLAIM_NEGATIVE, /* ... worse than its baseline */
    QG_CLAIM_BETTER,   /* `of` gains more over its baseline than `than` */
    QG_CLAIM_WORSE,
    QG_CLAIM_LITTLE, /* `of` differs from its baseline by less than `margin` */
} qg_claim_kind;

/* What somebody said, in a form that the results can be held against. */
typedef struct qg_study_claim {
    char *says;   /* in words */
    char *source; /* who said it; may be NULL */
    int line;
    qg_claim_kind kind;
    qg_measure metric; /* not QG_ZERO_SHOT */
    double margin;     /* QG_CLAIM_LITTLE: of normalised scores */
    int *of, *than;    /* runs, all of them grafts, in rising order */
    int of_count, than_count;
} qg_study_claim;

/* The words of a study file: "positive", ... */
const char *qg_claim_kind_name(qg_claim_kind kind);
const char *qg_compare_name(qg_compare compare);                 /* "moderated", ... */
const char *qg_adjust_name(qg_adjust adjust);                    /* "bh", ... */
const char *qg_spending_name(qg_spending spending);              /* "obrien-fleming", "pocock" */
bool qg_spending_parse(const char *name, qg_spending *spending); /* false: no such name */

/* What was seen of an arm (a listed graft) at a look. */
typedef struct qg_look_arm {
    int seeds, baseline_seeds;
    double effect, p, adjusted_p; /* as in the verdict then; NaN: none */
    qg_decision decision;         /* once it is one, it stays */
} qg_look_arm;

typedef struct qg_seed_look {
    int seeds;              /* that arms which were open then have */
    double fraction, level; /* of the information; what adjusted p were held against */
    qg_look_arm *arms;      /* [arm_count] in the order of the runs */
} qg_seed_look;

/* Of a study that looks several times, each time as many seeds later as its file has. */
typedef struct qg_study_looks {
    int max_seeds; /* 0: it looks once, at its end */
    qg_spending spending;
    qg_seed_look *items;
    int count, arm_count;
} qg_study_looks;

typedef struct qg_study {
    char name[QG_STUDY_NAME];
    char *question;  /* what it asks, one line; may be NULL */
    char *path;      /* of the file */
    char *base;      /* absolute: the folder that file names in it start from */
    char *file;      /* in `base`: the file that was run; NULL: not known */
    double scale;    /* 1: as in the file */
    uint64_t *seeds; /* of the runs that name none, rising */
    int seed_count;
    uint64_t *baseline_seeds; /* of listed trainings that name none; NULL: as the others */
    int baseline_seed_count;
    int threads;       /* of each run: 1 ... 256 */
    bool plain_replay; /* screens in replay memories and sample sets are not compressed */
    qg_study_source *sources;
    int source_count;
    qg_study_run *runs;
    int run_count;
    qg_study_task *tasks;
    int task_count;
    qg_study_game *games; /* every game of a listed run, in order of appearance */
    int game_count;
    qg_study_claim *claims;
    int claim_count;
    qg_rule rule;     /* of verdicts */
    double deviation; /* of single runs, for the plan; 0: not given */
    qg_study_looks looks;
    uint8_t *text; /* the file's bytes */
    size_t text_size;
} qg_study;

/* Reads and plans a study file. `scale` shrinks every budget (steps, evaluations, exploration,
 * samples, snapshots); 1 leaves them. Messages begin with FILE:LINE and name the key.
 * QG_ERROR_USAGE (the file is wrong), QG_ERROR_IO, QG_ERROR_DATA, QG_ERROR_MEMORY. */
qg_status qg_study_load(const char *path, double scale, qg_study **study, qg_error *error);

/* The study of a folder that qg_study_save wrote. QG_ERROR_USAGE: there is none. */
qg_status qg_study_open(const char *folder, qg_study **study, qg_error *error);

/* Creates the folder and writes study.yaml and study.json, from which qg_study_open makes the same
 * tasks. QG_ERROR_USAGE: the folder holds a study of another name, or something else. */
qg_status qg_study_save(const qg_study *study, const char *folder, qg_error *error);

/* Tells, a line each, what the study is too small for: runs that end before they learn or before
 * epsilon has fallen, with fewer than 10 evaluations or windows of one, with fewer than six seeds.
 */
void qg_study_adequacy(const qg_study *study, void (*tell)(void *context, const char *line),
                       void *context);

/* Tells, a line each, which lists of the file are several experiments where one might be meant:
 * `layers: [1,3]` copies layer 1 in one and layer 3 in another. */
void qg_study_explain_lists(const qg_study *study, void (*tell)(void *context, const char *line),
                            void *context);

void qg_study_free(qg_study *study); /* NULL is allowed */

/* ------------------------------------------------------------------- looking several times */

/* Fixes that the study looks at every so many seeds as its file has, up to max_seeds, and gives
 * more to arms that are not decided. QG_ERROR_USAGE for what cannot be: no graft, one seed, arms
 * with seeds of their own, no more seeds than there are. */
qg_status qg_study_begin_looks(qg_study *study, int64_t max_seeds, qg_spending spending,
                               qg_error *error);

/* Takes from FOLDER/looks.json, if there is one, what was looked at, and gives all runs the seeds
 * that follow from it, as qg_study_open does, too. For a study that was just loaded. QG_ERROR_DATA:
 * it is damaged, or of other runs, or of another rule (`verdicts`, seeds, given scales). */
qg_status qg_study_take_looks(qg_study *study, const char *folder, qg_error *error);

/* qg_study_begin_looks, and writes the folder as qg_study_save does, with looks.json: the rule,
 * which no later command changes. QG_ERROR_USAGE: runs that it lists have finished; QG_ERROR_BUSY:
 * another process runs the study. Neither changes the folder. */
qg_status qg_study_start_looks(qg_study *study, const char *folder, int64_t max_seeds,
                               qg_spending spending, qg_error *error);

/* Writes FOLDER/looks.json, which its caller has locked. */
qg_status qg_study_write_looks(const qg_study *study, const char *folder, qg_error *error);

/* Adds a look with its number of seeds, to be filled; NULL: no memory. */
qg_seed_look *qg_study_add_look(qg_study *study, qg_error *error);

/* Whether the run has the seed by the file, not by a look. */
bool qg_looks_first_seed(const qg_study_run *run, uint64_t seed);

/* Whether the run is an arm; the seeds of look number `look` (from 0); whether nothing is open, or
 * the last look was made. */
bool qg_looks_arm(const qg_study_run *run);
int qg_looks_seeds(const qg_study *study, int look);
bool qg_looks_done(const qg_study *study);

#define QG_TASK_NAME (QG_STUDY_NAME + 32) /* bytes of the name of a task, with the NUL */

/* "ID:SEED". */
void qg_task_name(const qg_study *study, int task, char *text, size_t size);

/* What the report needs to know of games is measured by runs of the study's own, which stand behind
 * all others: what random play of each game scores that the study file does not say it of, and how
 * alike the two games of each listed graft are. Whether a run is one; and the run that measures a
 * game (other_game "") or two, in either order; -1: none does. */
bool qg_study_is_measurement(const qg_study_run *run);
int qg_study_measurement(const qg_study *study, qg_run_kind kind, const char *game,
                         const char *other_game);

/* What a run takes, in agent steps. Updates without steps count as the steps in which a training by
 * the same settings makes as many (`update_every` each). */
typedef struct qg_study_budget {
    double training; /* of networks that it begins from, each run once, however often it is used;
                        of given files the step that they say */
    double distillation; /* play of teachers, and the students' updates */
    double offline;      /* its own updates without steps and play for EWC, and its sources' */
    double steps;        /* its own */
} qg_study_budget;

/* QG_ERROR_MEMORY. */
qg_status qg_study_budget_of(const qg_study *study, int run, qg_study_budget *budget,
                             qg_error *error);
double qg_study_budget_before(const qg_study_budget *budget); /* all but its own steps */

/* Whether a graft is a control: of random layers, or onto the game that its source plays. */
bool qg_study_is_control(const qg_study *study, const qg_study_run *run);

/* What a run is, for people: "first 2 of si, frozen, to demon_attack". */
void qg_study_run_title(const qg_study *study, const qg_study_run *run, char *text, size_t size);

/* The run file of a task, for qg_run_file_free. File names in it start from the study's folder, so
 * that nothing in the results depends on where it lies. QG_ERROR_MEMORY. */
qg_status qg_task_run_file(const qg_study *study, int task, qg_run_file *file, qg_error *error);

/* ------------------------------------------------------------------- the state of a task */

typedef enum qg_task_state {
    QG_TASK_WAITING, /* not begun, or its parents are not finished */
    QG_TASK_STALE,   /* its folder holds a run with other settings */
    QG_TASK_RUNNING, /* a process holds its folder */
    QG_TASK_STOPPED, /* begun, and nobody works on it: goes on from its checkpoint */
    QG_TASK_FINISHED,
    QG_TASK_FAILED,
    QG_TASK_BLOCKED, /* an ancestor failed */
} qg_task_state;

typedef struct qg_task_status {
    qg_task_state state;
    int64_t step, steps; /* of distillations: samples learned from, at all temperatures */
    double rate;         /* steps per second of late; 0: not known */
    double score;        /* of the last evaluation; NaN: none */
    double seconds;      /* of work so far, all processes that worked on it together */
    char phase[16];      /* "training", "evaluating", "playing", ... */
    char host[64];       /* where it runs or ran */
    char message[256];   /* why it failed, or the task that blocks it */
} qg_task_status;

/* What the folder says of every task: statuses [task_count]. A file that is cut off or damaged
 * counts as not there. QG_ERROR_IO, QG_ERROR_MEMORY. */
qg_status qg_study_look(const qg_study *study, const char *folder, qg_task_status *statuses,
                        qg_error *error);

const char *qg_task_state_name(qg_task_state state); /* "waiting", ... */

/* -------------------------------------------------------------------------------- running it */

/* What a task takes. */
typedef struct qg_task_load {
    double seconds; /* of work that are left */
    double memory;  /* bytes while it runs */
    double disk;    /* bytes while it runs, with those that it leaves */
    double kept;    /* bytes that it leaves */
    bool first;     /* before all that are not: it is short, and there is use for it meanwhile */
} qg_task_load;

/* What there is for the tasks that run at one time. */
typedef struct qg_study_limits {
    int jobs;
    double memory; /* bytes */
} qg_study_limits;

typedef struct qg_study_forecast {
    double seconds;      /* until the last task has finished */
    double memory, disk; /* bytes, at the highest; the disk with what finished tasks left */
} qg_study_forecast;

/* What goes on, for those who watch. */
typedef struct qg_study_moment {
    const qg_study *study;
    const qg_task_status *statuses; /* [task_count] */
    double seconds_left;            /* a forecast */
    const char *waits;              /* why no other task is started although one could; "": none */
} qg_study_moment;

typedef struct qg_study_options {
    const char *program;  /* of qgraft, for execv: each run is a process of it */
    int jobs;             /* runs at once; 0: what this machine's cores and memory allow */
    const char *only;     /* "ID:SEED": this one task, whose parents are finished; NULL: all */
    double stall_seconds; /* a run without progress for so long is ended and counts as failed; 0:
                             half an hour */
    /* Called when a task has begun or ended, and about once a second with task -1; may be NULL. */
    void (*watch)(void *context, const qg_study_moment *now, int task);
    void *context;
    /* Becomes 1: the runs are asked to end (QG_STOPPED); more: they are killed. May be NULL. */
    const volatile sig_atomic_t *stop;
} qg_study_options;

/* What a study will take here, with what its folder holds already. */
typedef struct qg_study_outlook {
    qg_task_status *statuses;  /* [task_count], as found; with `only` of it and its parents */
    qg_task_status *returning; /* [task_count], what comes back from runs/stale/ when the task's
                                  turn comes; waiting: nothing does */
    qg_task_load *loads;       /* [task_count], of whole tasks; finished ones have no seconds */
    int only;                  /* the task that is asked for; -1: all */
    double memory, disk;       /* bytes that the machine has, that are free where the folder is */
    qg_study_limits limits;
    qg_study_forecast forecast; /* of what will run: without what is finished, comes back, or was
                                   done before it was stopped; with `only` none is made */
} qg_study_outlook;

/* Looks at the folder, which need not be there, and at the machine; plays and learns for a fraction
 * of a second with each game and network that is still to be run. Writes nothing. QG_ERROR_USAGE:
 * `only` is no task of the study, `jobs` or the study's threads are out of range; otherwise as
 * qg_study_look, qg_domain_open and qg_engine_create. *outlook is for qg_study_outlook_free. */
qg_status qg_study_foresee(const qg_study *study, const char *folder,
                           const qg_study_options *options, qg_study_outlook *outlook,
                           qg_error *error);
void qg_study_outlook_free(qg_study_outlook *outlook);

/* Whether each task that is not finished fits into the machine by itself; QG_ERROR_USAGE names the
 * first that does not, by how much, and the way out. */
qg_status qg_study_check_room(const qg_study *study, const qg_study_outlook *outlook,
                              qg_error *error);

/* How many tasks are in each state at the end. */
typedef struct qg_study_result {
    bool begun; /* false: it was refused before */
    int tasks[QG_TASK_BLOCKED + 1];
    int failed; /* in this execution: the first failed task; -1: none */
} qg_study_result;

/* Runs the study in its folder, which is written as by qg_study_save and locked meanwhile, as
 * `qgraft run` does: each task that is not finished in a process of its own, as many at once as
 * fit. A task that was stopped goes on, one that failed is tried again, one at which another
 * process works is waited for. With `only` the folder is there already and is not locked. QG_OK
 * also when runs failed: see `result`. QG_STOPPED; QG_ERROR_BUSY: another process runs the study;
 * QG_ERROR_USAGE: as qg_study_foresee, qg_study_check_room and qg_study_save, or a parent of `only`
 * is not finished; QG_ERROR_IO: no room on the disk for any task, or the folder cannot be written:
 * the runs that were begun are waited for. QG_ERROR_MEMORY. */
qg_status qg_study_execute(const qg_study *study, const char *folder,
                           const qg_study_options *options, qg_study_result *result,
                           qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
