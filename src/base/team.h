/* A team of threads that work on one thing together, in phases.
 *
 * The team's members run the same function and meet at barriers. A barrier spins for a few
 * microseconds (phases of an update are about a millisecond) and then yields the core, so that a
 * team on a machine with more work than cores loses its share and no more. */
#ifndef QG_TEAM_H
#define QG_TEAM_H

#include <qgraft/error.h>

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

/* The part of `count` items that `member` of `size` owns: *begin ... *end - 1, in order, sizes as
 * equal as they can be. */
void qg_team_share(int count, int member, int size, int *begin, int *end);

#endif
