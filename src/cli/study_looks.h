/* --until-decided: the looks of a study, of `run` and `submit`. */
#ifndef QG_STUDY_LOOKS_H
#define QG_STUDY_LOOKS_H

#include <qgraft/report.h>
#include <qgraft/study.h>

#include <argp.h>

/* What was typed; NULL: nothing. */
typedef struct study_looks_arguments {
    bool until_decided;
    const char *max_seeds, *spending;
} study_looks_arguments;

enum { OPTION_UNTIL_DECIDED = 0x800, OPTION_MAX_SEEDS, OPTION_SPENDING };

/* Options of a table of argp, in the group. */
/* clang-format off */
#define STUDY_LOOKS_OPTIONS(group) \
    {"until-decided", OPTION_UNTIL_DECIDED, NULL, 0, \
     "then look, and give as many seeds again to what is not decided, up to --max-seeds", group}, \
    {"max-seeds", OPTION_MAX_SEEDS, "N", 0, "with --until-decided: of an arm, at most", group}, \
    {"spending", OPTION_SPENDING, "NAME", 0, "with --until-decided: obrien-fleming (default; " \
     "little error is spent early) or pocock", group}
/* clang-format on */

/* Whether the key is one of them. */
bool study_looks_parse(study_looks_arguments *arguments, int key, const char *text);

/* QG_ERROR_USAGE: one of them stands there without --until-decided. */
qg_status study_looks_check(const study_looks_arguments *arguments, qg_error *error);

/* The rule is fixed before the first run, and no later command changes it. */
qg_status study_looks_begin(const study_looks_arguments *arguments, qg_study *study,
                            const char *folder, qg_error *error);

/* Looks at a study whose runs are finished and says on stderr what it saw. */
qg_status study_looks_look(const char *folder, bool quiet, qg_report_look *look, qg_error *error);

#endif
