/* Policy distillation: a fresh student learns to act as trained teachers do (Rusu et al. 2015).
 *
 * A teacher plays its domain; every state is stored once with the teacher's Q-values in a sample
 * set. The student descends KL(softmax(q_T / tau) || softmax(q_S)) on it, or another loss: each
 * sample once at a fixed temperature tau, or once at each of several rising ones. Several teachers
 * make one student with a shared trunk, whose outputs are the union of their actions by name.
 *
 * The run is a folder like training's: run.yaml, distillation.csv, held_out.csv, student.csv,
 * teachers.csv, evaluations.csv, best.safetensors, last.safetensors, TensorBoard events. */
#ifndef QGRAFT_DISTILLATION_H
#define QGRAFT_DISTILLATION_H

#include <qgraft/agent.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QG_MAX_TEMPERATURES 64
#define QG_MAX_TEACHERS     8
#define QG_MOST_HELD_OUT    5000

typedef struct qg_temperatures {
    double values[QG_MAX_TEMPERATURES]; /* rising */
    int count;
} qg_temperatures;

/* "0.1", or "0.1:0.5:0.1": first, last, step. Value i is first + i * step rounded to 12 decimal
 * digits, so that no drift adds up; `last` is among them when a step meets it. Temperatures are
 * from 1e-3 to 1e6; anything else is QG_ERROR_USAGE. */
qg_status qg_temperatures_parse(const char *text, qg_temperatures *temperatures, qg_error *error);

/* What a student descends. The first is the default; the KL of the second, and of the third the
 * outputs themselves, give it the teacher's scale. */
typedef enum qg_distillation_loss {
    QG_LOSS_KL,      /* KL(p_T || softmax(q_S)) (Rusu et al. 2015) */
    QG_LOSS_KL_BOTH, /* KL(p_T || softmax(q_S / tau)) (Hinton et al. 2015) */
    QG_LOSS_MSE,     /* sum over actions of (q_T - q_S)^2 (Rusu) */
    QG_LOSS_NLL, /* -log softmax(q_S) of the teacher's best action, of several the first (Rusu) */
} qg_distillation_loss;

#define QG_USUAL_LOSS "kl"

/* "kl", "kl-both", "mse", "nll"; anything else is QG_ERROR_USAGE. */
qg_status qg_distillation_loss_parse(const char *text, qg_distillation_loss *loss, qg_error *error);
const char *qg_distillation_loss_name(qg_distillation_loss loss);

/* What a state says at temperature tau, computed in doubles by log-sum-exp, in nats:
 *   p_T = softmax(teacher / tau), entropy = -sum over actions of p_T log p_T
 *   p_S = softmax(student), of QG_LOSS_KL_BOTH and QG_LOSS_MSE softmax(student / tau)
 *   kl  = sum over actions of p_T (log p_T - log p_S) */
typedef struct qg_state_loss {
    double loss; /* the chosen one */
    double kl, entropy;
} qg_state_loss;

/* teacher, student [actions], 1 ... QG_MAX_ACTIONS; temperature > 0. gradient [actions] gets
 * -dloss/dstudent and may be NULL. */
qg_state_loss qg_distillation_state(qg_distillation_loss loss, const float *teacher,
                                    const float *student, int actions, double temperature,
                                    float *gradient);

typedef enum qg_distillation_order {
    QG_ORDER_PASS,   /* passes over the whole set, one temperature a pass */
    QG_ORDER_SAMPLE, /* one pass; each minibatch at all temperatures, one after the other */
} qg_distillation_order;

typedef enum qg_distillation_phase {
    QG_PHASE_PLAYING,    /* a teacher plays: samples stored, of all */
    QG_PHASE_READING,    /* a kept sample set is checked */
    QG_PHASE_EVALUATING, /* steps */
    QG_PHASE_LEARNING,   /* samples learned from, of all */
} qg_distillation_phase;

/* What is going on, for people who watch it. */
typedef struct qg_distillation_progress {
    qg_distillation_phase phase;
    int64_t done, total; /* of the phase */
    double seconds;      /* since the run started */
    double temperature;  /* learning: of the last minibatch */
    double kl;           /* learning: of the last row of distillation.csv; NaN: none yet */
    double agreement;
} qg_distillation_progress;

typedef struct qg_distillation_options {
    qg_run_options run;
    const char *const *teachers; /* [teacher_count] network files that name their domain */
    int teacher_count;           /* 1 ... QG_MAX_TEACHERS */
    /* Kept sample sets, one a teacher and each a file of its own: made when the file is not there,
     * otherwise used again, and refused when it is not what these options would make. NULL: a set
     * in the run folder that is gone when the run ends. */
    const char *const *set_files;
    /* Of the student `network`, optimiser, learning_rate, rms_*, adam_*, max_grad_norm, reduction,
     * minibatch, l2 and dropout; of the play noop_max, frame_skip and sticky; log_every and
     * eval_every count samples learned from. `history` is what the teacher's network says, but for
     * grids, where it does not say it.
     */
    qg_settings settings;
    qg_temperatures temperatures;
    qg_distillation_order order;
    qg_distillation_loss loss;
    int64_t samples; /* a teacher's, to learn from; 2 % more (at most 5,000) are held out */
    double epsilon;  /* share of the teachers' actions that are random */
    /* Called a few times a second from the caller's thread; NULL: not at all. */
    void (*progress)(void *context, const qg_distillation_progress *progress);
    void *context;
} qg_distillation_options;

/* Means over the samples that no student has learned from, at one temperature. */
typedef struct qg_agreement {
    double kl, teacher_entropy; /* nats */
    double agreement; /* share of states where the student's best action is one of the teacher's */
} qg_agreement;

/* How a student follows a teacher on them, at the last temperature. */
typedef struct qg_likeness {
    double loss; /* what the run descends, per sample */
    qg_agreement agreement;
    /* With the advantages A(a) = q(a) - mean of q: median over the states of the student's root of
     * the sum of A^2, divided by the teacher's. NaN: the teacher has none anywhere. A median, since
     * few states with large advantages would outweigh all others. */
    double advantage_scale;
    double value_correlation; /* Pearson's, of max q; NaN: one's is the same in all states */
} qg_likeness;

typedef struct qg_taught {
    char domain[QG_DOMAIN_NAME];
    double teacher_score, student_score; /* of evaluations in this run, the student's at the end */
    bool reused;                         /* the sample set was there already */
    qg_agreement held_out[QG_MAX_TEMPERATURES];
    qg_likeness likeness; /* at the end; NaN where a complete run of before does not tell */
} qg_taught;

#define QG_USUAL_TEMPERATURE "0.1"

/* A distillation of teachers that play `domain` as it usually is: QG_USUAL_TEMPERATURE, the samples
 * of the game's defaults (domain.h), 5 % of the play at random, otherwise as qg_train_options_for;
 * teachers and folder are not named, the rest is zero. QG_ERROR_USAGE: there is no such game. */
qg_status qg_distillation_options_for(const char *domain, qg_distillation_options *options,
                                      qg_error *error);

typedef struct qg_distillation_result {
    /* Its steps are samples, counted at every temperature and for every teacher; the score is the
     * student's, of several teachers the mean share of theirs. */
    qg_run_result run;
    int64_t updates;
    int64_t held_out; /* samples of a teacher */
    qg_taught taught[QG_MAX_TEACHERS];
} qg_distillation_result;

/* How many samples of a set are held out from learning. */
int64_t qg_held_out(int64_t samples);

/* Distils; returns when it is done, stopped or failed. When it is stopped a checkpoint is written
 * before. */
qg_status qg_distill(const qg_distillation_options *options, qg_distillation_result *result,
                     qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
