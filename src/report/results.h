/* The results of a study: what its folder holds, compared and judged.
 *
 * An experiment is a listed graft beside its baseline, seed by seed. Everything that the report
 * shows or metrics.csv holds is taken from here. */
#ifndef QG_REPORT_RESULTS_H
#define QG_REPORT_RESULTS_H

#include <qgraft/similarity.h>
#include <qgraft/statistics.h>
#include <qgraft/study.h>

#include "report/continual.h"
#include "report/copied_layers.h"
#include "report/game_map.h"
#include "report/run_curves.h"
#include "report/run_facts.h"

#define QG_REPORT_SEED 1 /* of all draws of a report: the same results, the same numbers */

/* The scores between which those of a game are normalised, and where they come from. */
typedef struct qg_game_scale {
    qg_scale scale;
    bool random_given, reference_given, threshold_given; /* in the study file */
    char problem[192]; /* why scores of this game cannot be normalised; empty: they can */
} qg_game_scale;

/* The runs of one side of an experiment. */
typedef struct qg_side {
    int run;
    size_t count, points;          /* seeds; evaluations that were measured */
    const uint64_t *seeds;         /* [count] */
    double (*levels)[QG_MEASURES]; /* [count] in the game's points */
    size_t learned;                /* how many did */
} qg_side;

/* A listed graft. */
typedef struct qg_experiment {
    int run;
    const qg_game_scale *game;
    char source_game[QG_DOMAIN_NAME]; /* empty: not known, or random layers */
    bool control;                     /* random layers, or onto the source's own game */
    char problem[512];                /* why there is no comparison; empty: there is one */
    bool complete;                    /* all its seeds and its baseline's have finished */
    qg_side transfer, baseline;       /* empty without a comparison */
    qg_pair *pairs;                   /* [pair_count] those with the same seed */
    size_t pair_count;
    qg_verdict verdict;               /* on the normalised area */
    qg_estimate effects[QG_MEASURES]; /* normalised, with the unadjusted interval */
    qg_estimate probability;          /* that the area of a transfer is above that of a baseline */
    qg_threshold_times times;
    qg_run_facts facts;      /* of its first seed */
    qg_copied_layer *layers; /* [layer_count] those that were copied, in their order */
    int layer_count;         /* 0 also where no run of it tells */
    bool has_similarity;
    qg_similarity similarity; /* of the source's game and the target's */
} qg_experiment;

/* Means over the seeds of a source. */
typedef struct qg_source_score {
    size_t seeds;     /* of how many the following are known */
    double score;     /* of the evaluation whose network is taken */
    double confirmed; /* when it was played again: best networks; NaN: not all were */
} qg_source_score;

/* Advantages of more than so many times the teacher's, or as much less, are of another scale. */
#define QG_SCALE_IS_OFF 2.0

/* The same of a student and one of its teachers; NaN what not all seeds tell. */
typedef struct qg_student_score {
    size_t seeds;          /* of how many something is known */
    double score, teacher; /* of the evaluation whose network is taken; the teacher's */
    qg_likeness likeness;  /* then, on samples held out */
} qg_student_score;

/* How a source's run went, where no source before it has the same run. */
typedef struct qg_source_curves {
    qg_run_curves score;
    qg_run_curves divergence, agreement; /* of students of one teacher, over samples */
} qg_source_curves;

/* What was found of a claim. */
typedef enum qg_finding { QG_OPEN, QG_HOLDS, QG_FAILS } qg_finding;

/* An effect over several experiments, seed by seed: seeds are independent, experiments are not. */
typedef struct qg_pooled {
    qg_effect effect;
    size_t seeds, baseline_seeds; /* baseline_seeds 0: paired by seed */
    double p, permutation_p;
    qg_estimate raw; /* the 95 % interval */
} qg_pooled;

/* How many experiments of a kind there are, how many of them went up and down, and their mean
 * effect. */
typedef struct qg_stratum_count {
    size_t experiments, up, down;
    double effect;
} qg_stratum_count;

typedef struct qg_claim_result {
    qg_finding finding;
    qg_pooled pooled;
    double p, adjusted_p; /* that something else than what is found is true; Holm over the claims */
    qg_estimate adjusted; /* the interval of Holm's step */
    size_t experiments;   /* that it rests on, `of` and `than` together */
    size_t lacking;       /* experiments of the claim that are not compared, or not finished */
    size_t dropped;       /* of these, with fewer seeds than the others have: not in it */
    qg_stratum_count free, frozen; /* those of `of` */
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
    size_t experiment_count;
    bool only_controls;              /* no experiment is more than a control */
    size_t pooled_count;             /* those that qg_results_pooled tells */
    size_t dropped;                  /* of these, with fewer seeds than most: not in the mean */
    size_t decided[QG_DECISIONS];    /* of these, by qg_decision */
    qg_pooled pooled;                /* area, over these */
    qg_estimate iqm;                 /* of their differences of the area; NaN: none */
    qg_pairing pairing;              /* of the areas, seed by seed */
    qg_claim_result *claims;         /* [claim_count] */
    qg_source_score *source_scores;  /* [source_count] */
    qg_source_curves *source_curves; /* [source_count] */
    qg_student_score (*student_scores)[QG_MAX_TEACHERS]; /* [source_count], by teacher */
    qg_study_budget *budgets; /* [run_count]; NULL: nobody asks (qg_results_find_budgets) */
    qg_continual *continual;  /* [continual_count] of chains of grafts */
    size_t continual_count;
    qg_game_map map;
    qg_warnings warnings;
} qg_results;

void qg_results_free(qg_results *results); /* all but the study; zero bytes are allowed */

/* Whether the experiment was compared, and took something of a source: not random layers. */
bool qg_results_copied(const qg_results *results, const qg_experiment *experiment);

/* Whether it belongs to what is pooled over the study, too: it is no control, unless the study has
 * nothing else. */
bool qg_results_pooled(const qg_results *results, const qg_experiment *experiment);

/* What kind of copy an experiment is about: whether layers learn, or none are copied but only the
 * source's policy is used; and controls apart. */
typedef enum qg_copy_stratum {
    QG_COPY_FREE,
    QG_COPY_FROZEN,
    QG_COPY_POLICY,
    QG_COPY_SAME_FREE,
    QG_COPY_SAME_FROZEN,
    QG_COPY_SAME_POLICY,
    QG_COPY_RANDOM,
    QG_COPY_STRATA
} qg_copy_stratum;
qg_copy_stratum qg_experiment_stratum(const qg_results *results, const qg_experiment *experiment);
const char *qg_copy_stratum_name(qg_copy_stratum stratum);

/* Whether of any experiment it is known what became of its copied layers. */
bool qg_results_tell_layers(const qg_results *results);

/* What stands beside a listed graft over all steps. */
typedef struct qg_budget_row {
    int run, long_baseline;   /* -1: there is none */
    double all;               /* steps of the run, with those before */
    double score, long_score; /* means at the end, and of the long baseline at as many steps; NaN */
} qg_budget_row;

/* Of a run that is a listed graft with a curve; false: it is not. */
bool qg_results_budget(const qg_results *results, int run, qg_budget_row *row);

/* The run that does what a baseline does for more steps, -1: none. */
int qg_results_long_baseline(const qg_results *results, int baseline);
/* Whether a run is there for that alone: it is no listed graft's own baseline. */
bool qg_results_is_long(const qg_results *results, int run);

/* The experiment of a run, NULL when it is none. */
const qg_experiment *qg_results_experiment(const qg_results *results, int run);

double qg_normalised(const qg_scale *scale, double score);

/* Whether a run, or a source, that ends at this score has learned at all. */
bool qg_has_learned(const qg_scale *scale, double score);

/* Means: of what the transfers, or their baselines, reached, over the seeds that the effect rests
 * on (all, or, where it is paired, those of the pairs); over the pairs of their area ratio. */
double qg_experiment_level(const qg_results *results, const qg_experiment *experiment,
                           bool transfer, qg_measure measure);
double qg_experiment_ratio(const qg_experiment *experiment);

/* What was copied, for titles and tables: "first 2 frozen", "last 1 free"; "" for other runs. */
void qg_run_copied(const qg_study_run *run, char text[QG_GRAFT_CHOICE_TEXT]);

/* Where layers come from: the source's name, "random", or "" for no graft. */
const char *qg_run_source(const qg_study *study, const qg_study_run *run);

const char *qg_finding_name(qg_finding finding); /* "not decided", "holds", "does not hold" */

/* Why the finding is what it is, in words. */
const char *qg_claim_reason(const qg_study_claim *claim, const qg_claim_result *result);

#endif
