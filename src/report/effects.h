/* The effect of two means whose variances are known, or assumed. */
#ifndef QG_EFFECTS_H
#define QG_EFFECTS_H

#include <qgraft/statistics.h>

/* As qg_effect_of_groups. The value of both is the squared error of a mean: a variance by its runs.
 */
qg_effect qg_effect_of_means(double value, qg_variance baseline, qg_variance arm);

#endif
