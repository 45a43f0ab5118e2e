#include "cli/study_looks.h"

#include <inttypes.h>
#include <stdio.h>

bool study_looks_parse(study_looks_arguments *a, int key, const char *text)
{
    switch (key) {
    case OPTION_UNTIL_DECIDED:
        a->until_decided = true;
        return true;
    case OPTION_MAX_SEEDS:
        a->max_seeds = text;
        return true;
    case OPTION_SPENDING:
        a->spending = text;
        return true;
    default:
        return false;
    }
}

qg_status study_looks_check(const study_looks_arguments *a, qg_error *error)
{
    if (a->until_decided || (!a->max_seeds && !a->spending)) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE, "%s goes with --until-decided",
                   a->max_seeds ? "--max-seeds" : "--spending");
}

qg_status study_looks_begin(const study_looks_arguments *a, qg_study *study, const char *folder,
                            qg_error *error)
{
    const qg_study_looks *looks = &study->looks;
    qg_spending spending = QG_SPEND_OBRIEN_FLEMING;
    int64_t most = 0;
    if (a->spending && !qg_spending_parse(a->spending, &spending))
        return qg_fail(error, QG_ERROR_USAGE, "--spending: obrien-fleming or pocock, not '%.40s'",
                       a->spending);
    if (a->max_seeds && qg_parse_count("--max-seeds", a->max_seeds, 2, 1000, &most, error))
        return error->code;
    if (looks->max_seeds > 0) {
        if ((!a->max_seeds || most == looks->max_seeds) &&
            (!a->spending || spending == looks->spending))
            return QG_OK;
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s was begun with --max-seeds %d --spending %s: a rule that is changed "
                       "after a look keeps no error rate",
                       folder, looks->max_seeds, qg_spending_name(looks->spending));
    }
    if (!a->max_seeds) return qg_fail(error, QG_ERROR_USAGE, "--until-decided needs --max-seeds N");
    return qg_study_start_looks(study, folder, most, spending, error);
}

qg_status study_looks_look(const char *folder, bool quiet, qg_report_look *look, qg_error *error)
{
    const qg_status status = qg_report_look_at(folder, look, error);
    if (!status && !quiet)
        fprintf(stderr, "look %d, %d seeds, level %.2g: %d of %d decided%s\n", look->number,
                look->seeds, look->level, look->decided, look->arms,
                look->done ? "" : "; more seeds for the others");
    return status;
}
