/* A team of threads that work on one thing together, in phases.
 *
 * The team's members run the same function and meet at barriers. A barrier spins for a few
 * microseconds (phases of an update are about a millisecond) and then yields the core. The work of
 * a phase is handed out piece by piece, so that a member whose core has other work too does less of
 * it, and the others wait for no more than its last piece. */
#ifndef QG_TEAM_H
#define QG_TEAM_H

#include <qgraft/error.h>

#include <stdbool.h>

typedef struct qg_team qg_team;

#define QG_MAX_THREADS 256

/* A team of `threads` members (1 ... QG_MAX_THREADS), the caller among them. */
qg_status qg_team_create(int threads, qg_team **team, qg_error *error);
void qg_team_destroy(qg_team *team); /* NULL is allowed */
int qg_team_size(const qg_team *team);

/* Every member runs `work(context, member)`, member 0 being the caller; returns when all have. */
void qg_team_run(qg_team *team, void (*work)(void *context, int member), void *context);

/* Inside `work`: returns when every member has come here. Writes before it are seen behind it. */
void qg_team_barrier(qg_team *team);

/* Inside `work`: the next piece of a phase, items *begin ... *end - 1 of `count`, which are cut
 * into `pieces`. False: all of them are given away, and the member's next call is about the next
 * phase. Every member must go through the same phases (at most QG_TEAM_PHASES in a run) to the end.
 */
enum { QG_TEAM_PHASES = 256 };
bool qg_team_take(qg_team *team, int member, int count, int pieces, int *begin, int *end);

/* The part of `count` items that `member` of `size` owns: *begin ... *end - 1, in order, sizes as
 * equal as they can be. */
void qg_team_share(int count, int member, int size, int *begin, int *end);

#endif
