/* Random play: what a domain shows when its actions are drawn uniformly. */
#ifndef QG_RANDOM_PLAY_H
#define QG_RANDOM_PLAY_H

#include <qgraft/domain.h>

#include <signal.h>

/* Called for the first screen of every episode with `step` -1 and after each step with its number
 * from 0. A failure ends the play and is what qg_random_play returns. */
typedef qg_status qg_random_play_visit(void *context, qg_domain *domain, int64_t step,
                                       const uint8_t *observation, qg_error *error);

/* Who watches a play. */
typedef struct qg_play_watch {
    void (*progress)(void *context, int64_t step); /* called now and then; may be NULL */
    void *context;
    const volatile sig_atomic_t *stop; /* becomes non-zero: QG_STOPPED; may be NULL */
} qg_play_watch;

/* Plays `steps` steps of `name` with its default settings; the actions and screens are those of
 * `qgraft rollout NAME --random STEPS --seed SEED`. `watch` may be NULL. */
qg_status qg_random_play(const char *name, int64_t steps, uint32_t seed, const qg_play_watch *watch,
                         qg_random_play_visit *visit, void *context, qg_error *error);

#endif
