/* What benches see of Gymnasium's environments. */
#ifndef QG_GYM_H
#define QG_GYM_H

#include <qgraft/domain.h>

/* Seconds that the environment itself took for the steps so far; negative: it is no such domain. */
double qg_gym_seconds(const qg_domain *domain);

#endif
