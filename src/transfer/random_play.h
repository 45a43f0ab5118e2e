/* Random play: what a domain shows when its actions are drawn uniformly. */
#ifndef QG_RANDOM_PLAY_H
#define QG_RANDOM_PLAY_H

#include <qgraft/domain.h>

/* Called for the first screen of every episode with `step` -1 and after each step with its number
 * from 0. A failure ends the play and is what qg_random_play returns. */
typedef qg_status qg_random_play_visit(void *context, qg_domain *domain, int64_t step,
                                       const uint8_t *observation, qg_error *error);

/* Plays `steps` steps of `name` with its default settings; the actions and screens are those of
 * `qgraft rollout NAME --random STEPS --seed SEED`. */
qg_status qg_random_play(const char *name, int64_t steps, uint32_t seed,
                         qg_random_play_visit *visit, void *context, qg_error *error);

#endif
