/* What goes on inside a network while it learns, layer by layer: what became of copied layers, how
 * much of a layer is alive, what its updates are made of. docs/diagnostics.md has the formulas,
 * their sources, and what they cannot say. */
#ifndef QGRAFT_DIAGNOSIS_H
#define QGRAFT_DIAGNOSIS_H

#include <qgraft/agent.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is measured of a weighted layer; the columns of layers.csv in their order. */
typedef enum qg_layer_measure {
    QG_START_DISTANCE,  /* |w - w0| / |w0|, w0 what the run began with; weights and biases */
    QG_START_COSINE,    /* w w0 / (|w| |w0|) */
    QG_SOURCE_DISTANCE, /* the same of what was copied, from what it was in the source */
    QG_SOURCE_COSINE,
    QG_SOURCE_CKA,     /* debiased linear CKA with the source's layer, on fixed states */
    QG_DORMANT,        /* share of the units whose score is at most 0.025 (Sokar et al. 2023) */
    QG_DEAD,           /* ... at most 0 */
    QG_EFFECTIVE_RANK, /* of the features (Roy & Vetterli 2007) */
    QG_SRANK,          /* of the features, delta 0.01 (Kumar et al. 2021) */
    QG_UPDATE_SIZE,    /* |step| / |w| of the step that would come next */
    QG_GRADIENT_NOISE, /* noise's share of a minibatch's squared gradient */
    QG_CLIPPED_ERRORS, /* share of the TD errors at the limit; the same for all layers */
    QG_LAYER_COLUMNS,
    QG_BASELINE_CKA = QG_LAYER_COLUMNS, /* as with the source's layer, with the baseline's */
    QG_LAYER_MEASURES,
} qg_layer_measure;

#define QG_DORMANT_SCORE 0.025
#define QG_SRANK_DELTA   0.01

/* "start_distance", ...; static. */
const char *qg_layer_measure_name(qg_layer_measure measure);

/* One layer at one step; NaN: does not apply, or cannot be told. */
typedef struct qg_layer_row {
    double values[QG_LAYER_MEASURES];
} qg_layer_row;

/* ------------------------------------------------------------------------- of finished runs */

/* A network that a run has kept. What only the training could tell is NaN: update_size,
 * gradient_noise, clipped_errors. */
typedef struct qg_diagnosis {
    char name[32]; /* "step-1000", "best", "last" */
    int64_t step;
    int layer_count;
    char layers[QG_MAX_LAYERS][12];
    qg_layer_row rows[QG_MAX_LAYERS];
} qg_diagnosis;

typedef struct qg_diagnosis_options {
    const char *baseline; /* a network file whose layers the run's are compared with; NULL: none */
    const volatile sig_atomic_t *stop;             /* becomes non-zero: QG_STOPPED; may be NULL */
    void (*warn)(void *context, const char *line); /* of what cannot be told; the rest is */
    void *context;
} qg_diagnosis_options;

/* Looks into the networks of the training or graft in `folder`: its snapshots in the order of their
 * steps, the best, the last. The caller frees *list [*count]. What the run began with is made
 * again from its run.yaml, and the source read from its file; where that is lost, step-0 is what it
 * began with, if it was kept. QG_ERROR_USAGE: no such run, or none of its networks is there; as
 * qg_domain_open; QG_ERROR_IO, QG_ERROR_MEMORY. */
qg_status qg_diagnose(const char *folder, const qg_diagnosis_options *options, qg_diagnosis **list,
                      size_t *count, qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
