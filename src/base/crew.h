/* A crew: threads that do the pieces of a job beside their user, who goes on with something else
 * until the job is needed. For work of some ten microseconds a piece. */
#ifndef QG_CREW_H
#define QG_CREW_H

#include <qgraft/error.h>

typedef struct qg_crew qg_crew;

/* `members`: with the user, who is member 0; 1: no thread is started. */
qg_status qg_crew_create(int members, qg_crew **crew, qg_error *error);
void qg_crew_destroy(qg_crew *crew); /* finishes the job; NULL is allowed */

/* Begins a job, none being begun: work(context, member, piece) for each piece of 0 ... pieces - 1,
 * by the members that come first. The user does none of it before qg_crew_finish. */
void qg_crew_begin(qg_crew *crew, void (*work)(void *context, int member, int piece), void *context,
                   int pieces);

/* Does what is left of the job and waits for the rest; its writes are seen from here on. Without a
 * job it does nothing. */
void qg_crew_finish(qg_crew *crew);

#endif
