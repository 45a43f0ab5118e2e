/* Profiles of domains, made under the eyes of somebody. */
#ifndef QG_PROFILE_H
#define QG_PROFILE_H

#include <qgraft/similarity.h>

#include "agent/random_play.h"

/* qg_profile_create; `watch` may be NULL. `drawn`: whether a picture was asked for. */
qg_status qg_profile_play(const char *domain, int64_t frames, uint32_t seed,
                          const qg_play_watch *watch, qg_profile *profile, bool *drawn,
                          qg_error *error);

#endif
