/* run.yaml: everything that determines the result of a run, one line a value. */
#ifndef QG_RUN_YAML_H
#define QG_RUN_YAML_H

#include <qgraft/agent.h>

#include <stdio.h>

/* "text" between quotes, as YAML reads it back to the same bytes (of UTF-8). */
void qg_yaml_string(FILE *out, const char *text);

/* A line with a text between quotes. */
void qg_run_yaml_text(FILE *out, const char *key, const char *value);

/* What a file that describes a run begins with (qgraft/run_file.h); domain NULL: no line of it. */
void qg_run_yaml_begin(FILE *out, const char *kind, const char *domain, uint64_t seed,
                       int64_t steps);

/* The steps whose networks are kept, if there are any: no result depends on them. */
void qg_run_yaml_snapshots(FILE *out, const int64_t *snapshots, size_t count);

/* The other games that are evaluated, if there are any. */
void qg_run_yaml_other_games(FILE *out, const char *const *games, int count);

/* The settings as a mapping under "settings:". */
qg_status qg_run_yaml_settings(FILE *out, const qg_settings *settings, qg_error *error);

/* A run.yaml that is being written. */
typedef struct qg_run_yaml {
    FILE *out; /* where the kind of run adds its lines, between open and close */
    char *text;
    size_t size;
} qg_run_yaml;

/* `what` it is, for the comment in front. */
qg_status qg_run_yaml_open(qg_run_yaml *yaml, const char *what, qg_error *error);

/* Adds notes, such as the pedigree, and the settings; the text in *text, the caller frees it. */
qg_status qg_run_yaml_close(qg_run_yaml *yaml, const qg_note *notes, size_t note_count,
                            const qg_settings *settings, char **text, qg_error *error);

/* Whether the run `there`, in `folder`, is the one that `ours` describes; QG_ERROR_USAGE names the
 * first value that differs. */
qg_status qg_run_yaml_compare(const char *folder, const char *there, const char *ours,
                              qg_error *error);

#endif
