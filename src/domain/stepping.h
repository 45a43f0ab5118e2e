/* An open domain: what lies between the frames of a game and the steps of an agent. */
#ifndef QG_STEPPING_H
#define QG_STEPPING_H

#include "domain/provider.h"

#include "base/random.h"

/* What goes on from step to step, beside the game's own state. */
typedef struct qg_stepping {
    int64_t frames;   /* of the game so far */
    int32_t last;     /* the action of the last frame, after the sticky draw */
    int32_t over;     /* 1: the next reset starts a game */
    qg_random random; /* of sticky actions */
} qg_stepping;

typedef struct qg_open_domain {
    qg_domain domain; /* the first member: what its user sees */
    int frame_skip;
    double sticky; /* 0: none, or the game draws them itself */
    bool break_on_life;
    int64_t max_frames; /* of a game; INT64_MAX: no limit */
    qg_stepping stepping;
} qg_open_domain;

/* Before the first game; domain->game and domain->name are set. QG_ERROR_USAGE: an option is out of
 * range. */
qg_status qg_stepping_begin(qg_open_domain *domain, const qg_domain_provider *provider,
                            const qg_domain_options *options, qg_error *error);

#endif
