/* A look at a study that goes on until it is decided: what its arms are at, by the level of the
 * look, and what earlier looks have decided. */
#include "report/stages.h"

#include <math.h>
#include <stdlib.h>

/* The level of the next look, which is number looks->count. */
static qg_status find_level(const qg_study *study, double *fraction, double *level, qg_error *error)
{
    const size_t count = (size_t)study->looks.count + 1;
    double *room = calloc(2 * count, sizeof *room);
    if (!room) return qg_fail_memory(error, "levels", 2 * count * sizeof *room);
    for (size_t i = 0; i < count; i++)
        room[i] = (double)qg_looks_seeds(study, (int)i) / study->looks.max_seeds;
    const qg_status status =
        qg_spending_levels(study->looks.spending, room, count, QG_ALPHA, room + count, error);
    *fraction = room[count - 1];
    *level = room[2 * count - 1];
    free(room);
    return status;
}

static double adjusted_p(const qg_rule *rule, const qg_verdict *v)
{
    return rule->adjust == QG_ADJUST_BH        ? v->q
           : rule->adjust == QG_ADJUST_DUNNETT ? v->family_p
                                               : v->p;
}

qg_status qg_results_look(const qg_results *r, qg_study *study, double fraction, qg_error *error)
{
    qg_seed_look *look = qg_study_add_look(study, error);
    if (!look) return error->code;
    const qg_seed_look *before = study->looks.count > 1 ? look - 1 : NULL;
    look->fraction = fraction;
    look->level = study->rule.level;
    for (size_t i = 0; i < r->experiment_count; i++) { /* the arms, in their order */
        const qg_verdict *v = &r->experiments[i].verdict;
        const bool decided = before && before->arms[i].decision != QG_NOT_DECIDED;
        look->arms[i] = (qg_look_arm){(int)v->seeds,
                                      (int)v->baseline_seeds,
                                      v->effect.value,
                                      v->p,
                                      adjusted_p(&study->rule, v),
                                      decided ? before->arms[i].decision : v->decision};
    }
    return QG_OK;
}

qg_status qg_results_begin_look(qg_study *study, double *fraction, qg_error *error)
{
    return find_level(study, fraction, &study->rule.level, error);
}

void qg_results_apply_looks(qg_results *r)
{
    const qg_study_looks *looks = &r->study->looks;
    if (looks->max_seeds == 0) return;
    for (size_t i = 0; i < r->experiment_count; i++) {
        qg_verdict *v = &r->experiments[i].verdict;
        v->decision =
            looks->count > 0 ? looks->items[looks->count - 1].arms[i].decision : QG_NOT_DECIDED;
        v->reason = v->decision == QG_NOT_DECIDED ? QG_NOT_AT_ANY_LOOK : QG_DECIDED_AT_LOOK;
    }
}
