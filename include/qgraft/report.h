/* The report of a study: one page with figures, tables and verdicts.
 *
 * In the study's folder are written report.html (self-contained: it opens from disk and loads
 * nothing; its only script sorts tables), figures/NAME.svg, .png and .csv (what it shows; older
 * ones that the study no longer has are removed), metrics.csv and claims.csv. Nothing is played:
 * what random play scores and how alike two games are is read from the study's measurements, and
 * left out, with a warning, where these have not been made. docs/studies.md says how to read it
 * all. */
#ifndef QGRAFT_REPORT_H
#define QGRAFT_REPORT_H

#include <qgraft/statistics.h>

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qg_report_options {
    bool partial; /* report what there is of a study that is not finished */
    /* Says what takes a while ("drawing"); NULL: nobody listens. */
    void (*progress)(void *context, const char *what);
    void *context;
    const volatile sig_atomic_t *stop; /* becomes non-zero: QG_STOPPED; may be NULL */
} qg_report_options;

typedef struct qg_report {
    char path[4096];    /* of report.html */
    char summary[1024]; /* two sentences */
    size_t experiments; /* that were compared with a baseline, controls left out */
    size_t positive, negative, no_effect, not_decided;
    double effect, low, high; /* pooled: normalised area, unadjusted 95 % interval; NaN: none */
    size_t claims, claims_hold, claims_fail;
    size_t warnings; /* lines in the report that tell what is missing or odd */
} qg_report;

/* Writes the report of the study in `folder`. QG_ERROR_USAGE: no study, or one that is not finished
 * while `partial` is not set; QG_ERROR_DATA (a damaged file: named with its line), QG_ERROR_IO
 * (also: gnuplot is missing), QG_ERROR_MEMORY, QG_STOPPED. An older report.html stays when it
 * fails. */
qg_status qg_report_write(const char *folder, const qg_report_options *options, qg_report *report,
                          qg_error *error);

/* How much the runs of a study that differ in nothing but the seed scatter: the pooled standard
 * deviation of their normalised areas in each stratum; NaN for one without two such runs. Of a
 * study that is not finished what there is counts. Writes nothing. Errors as of qg_report_write. */
qg_status qg_report_spread(const char *folder, double deviations[QG_STRATA], qg_error *error);

/* What a look at a study that goes on until it is decided has found. */
typedef struct qg_report_look {
    int number, seeds; /* from 1; of arms that were open */
    double level;      /* that adjusted p were held against */
    int arms, decided; /* by this look and those before it */
    bool done;         /* nothing is open, or all seeds are there */
} qg_report_look;

/* Makes the next look at the study in `folder`, of which all runs are finished, and writes it into
 * looks.json; of one that is done it tells the last. QG_ERROR_USAGE: runs are not finished, or the
 * study looks once; otherwise as qg_report_write. */
qg_status qg_report_look_at(const char *folder, qg_report_look *look, qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
