/* What a run's folder says of how it was made: run.yaml and process.yaml. */
#ifndef QG_REPORT_RUN_FACTS_H
#define QG_REPORT_RUN_FACTS_H

#include <qgraft/error.h>
#include <qgraft/network.h>

#include <stdbool.h>

/* Empty where the files do not say it. */
typedef struct qg_run_facts {
    char version[32], instruction_set[32];
    char host[64], started[32];
    int threads;
    int inexact_resumes;    /* how often it went on otherwise than without interruption */
    char parent_domain[96]; /* of a graft */
    bool random;            /* of a graft: no layers of another network */
    char copied[512];       /* "conv1,fc2(3 of 6 rows)" */
    char frozen[256];       /* "conv1,fc2" */
    bool frozen_unchanged;
} qg_run_facts;

/* Files that are missing, or are no YAML, leave their facts empty. */
void qg_run_facts_read(const char *folder, qg_run_facts *facts);

/* What the best network of a run scored when it was played again; NaN where its file does not say
 * it. */
double qg_confirmed_score(const char *folder);

/* One layer of a grafted network. */
typedef struct qg_layer_fact {
    char name[12], shape[48], origin[48]; /* "fresh", "copied", "copied, 3 of 6 rows" */
    bool frozen;
    size_t parameters;
} qg_layer_fact;

/* The layers of the network in `folder`, with what `facts` says of them; 0 when the folder has no
 * network that can be read. */
int qg_layer_facts(const char *folder, const qg_run_facts *facts,
                   qg_layer_fact layers[QG_MAX_LAYERS]);

#endif
