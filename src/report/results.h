/* The results of a study: what its folder holds, compared and judged.
 *
 * An experiment is a listed graft beside its baseline, seed by seed. Everything that the report
 * shows or metrics.csv holds is taken from here. */
#ifndef QG_REPORT_RESULTS_H
#define QG_REPORT_RESULTS_H

#include <qgraft/similarity.h>
#include <qgraft/statistics.h>
#include <qgraft/study.h>

#include "report/run_history.h"
#include "report/run_facts.h"

#define QG_REPORT_SEED 1 /* of every bootstrap of a report: the same results, the same numbers */

/* The scores between which those of a game are normalised, and where they come from. */
typedef struct qg_game_scale {
    qg_scale scale;
    bool random_given, reference_given, threshold_given; /* in the study file */
    char problem[192]; /* why scores of this game cannot be normalised; empty: they can */
} qg_game_scale;

/* The curves of a run's seeds, at the steps that all of them have. */
typedef struct qg_run_curves {
    bool shown;                    /* listed, or the baseline of one that is */
    qg_curve *read;                /* [curves.seed_count] as they are in the files */
    uint64_t *seeds;               /* [curves.seed_count] */
    double **scores;               /* [curves.seed_count], into `read` */
    qg_curves curves;              /* a view of the above; seed_count 0: nothing could be read */
    double (*levels)[QG_MEASURES]; /* [curves.seed_count] what each seed reached */
    qg_estimate *band;             /* [curves.point_count] mean over seeds */
} qg_run_curves;

/* A listed graft. */
typedef struct qg_experiment {
    int run;
    const qg_game_scale *game;
    char source_game[QG_DOMAIN_NAME]; /* empty: not known, or random layers */
    bool control;                     /* random layers, or onto the source's own game */
    char problem[512];                /* why there is no comparison; empty: there is one */
    qg_pair *pairs;                   /* [pair_count] */
    size_t pair_count, point_count;
    qg_verdict verdicts[QG_MEASURES]; /* of the differences; reason QG_NO_PAIRS where undefined */
    qg_estimate probability;          /* that the area of a transfer is above that of a baseline */
    qg_threshold_times times;
    qg_run_facts facts; /* of its first seed */
    bool has_similarity;
    qg_similarity similarity; /* of the source's game and the target's */
} qg_experiment;

/* What was found of a claim. */
typedef enum qg_finding { QG_OPEN, QG_HOLDS, QG_FAILS } qg_finding;

typedef struct qg_claim_result {
    qg_finding finding;
    qg_verdict verdict; /* of the effect that the claim speaks of */
    size_t experiments; /* that it rests on, `of` and `than` together */
} qg_claim_result;

typedef struct qg_results {
    const qg_study *study;
    const char *folder;
    bool partial;
    qg_task_status *statuses; /* [task_count] */
    qg_run_facts *facts;      /* [task_count] */
    qg_training *trainings;   /* [task_count] */
    qg_run_curves *runs;      /* [run_count] */
    qg_game_scale *games;     /* [game_count] */
    qg_experiment *experiments;
    size_t experiment_count, compared; /* all; those with a comparison */
    bool only_controls;                /* no experiment is more than a control */
    size_t pooled_count;               /* those that qg_results_pooled tells */
    size_t decided[3];                 /* of these, by qg_decision */
    qg_verdict pooled;                 /* area, over these */
    qg_estimate iqm;                   /* of their differences of the area; NaN: none */
    qg_claim_result *claims;           /* [claim_count] */
    qg_warnings warnings;
} qg_results;

void qg_results_free(qg_results *results); /* all but the study; zero bytes are allowed */

/* Whether the experiment was compared, and its layers were copied and not random ones. */
bool qg_results_copied(const qg_results *results, const qg_experiment *experiment);

/* Whether it belongs to what is pooled over the study, too: it is no control, unless the study has
 * nothing else. */
bool qg_results_pooled(const qg_results *results, const qg_experiment *experiment);

/* The experiment of a run, NULL when it is none. */
const qg_experiment *qg_results_experiment(const qg_results *results, int run);

/* Means over the pairs: of what the transfers, or the baselines, reached; of their area ratio. */
double qg_experiment_level(const qg_experiment *experiment, qg_measure measure, bool transfer);
double qg_experiment_ratio(const qg_experiment *experiment);

/* What was copied, for titles and tables: "first 2 frozen", "last 1 free"; "" for other runs. */
void qg_run_copied(const qg_study_run *run, char text[64]);

/* Where layers come from: the source's name, "random", or "" for no graft. */
const char *qg_run_source(const qg_study *study, const qg_study_run *run);

const char *qg_finding_name(qg_finding finding); /* "not decided", "holds", "does not hold" */

/* Why the finding is what it is, in words. */
const char *qg_claim_reason(const qg_study_claim *claim, const qg_claim_result *result);

#endif
