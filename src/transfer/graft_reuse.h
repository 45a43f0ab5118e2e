/* Rivals to copying: how the source's policy is reused, as text and against what makes sense. */
#ifndef QG_GRAFT_REUSE_H
#define QG_GRAFT_REUSE_H

#include <qgraft/graft.h>

/* "kickstart=100000 distill_tau=0.5", with `separator` between the words; "": nothing of it. */
void qg_graft_reuse_format(const qg_graft_reuse *reuse, const char *separator,
                           char text[QG_GRAFT_CHOICE_TEXT]);

/* Whether it is a key of the reuse; one for qg_graft_reuse_set, which works as qg_graft_choice_set.
 */
bool qg_graft_reuse_knows(const char *key);
qg_status qg_graft_reuse_set(qg_graft_reuse *reuse, const char *key, const char *value,
                             qg_error *error);

/* As qg_graft_choice_check, of the reuse. */
qg_status qg_graft_reuse_check(const qg_graft_choice *choice, bool random, int64_t steps,
                               const qg_settings *settings, qg_error *error);

#endif
