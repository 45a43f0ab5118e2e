/* Names of Gymnasium's environments as domains:
 *
 *   gym:ID[KEY=VALUE,...]:SETTING,...
 *
 * ID as gymnasium.make takes it (`module:` may stand before it), keyword arguments (numbers, true,
 * false, none, lists in JSON, else text), and settings of qgraft's own: grey=1, size=HxW,
 * observe=KEY (a part of a Dict), actions=NAME+NAME+... */
#ifndef QG_GYM_NAME_H
#define QG_GYM_NAME_H

#include <qgraft/domain.h>

#define QG_GYM_PREFIX "gym:"

typedef struct qg_gym_name {
    char normalised[QG_DOMAIN_NAME]; /* arguments and settings in the order of the alphabet */
    char family[QG_DOMAIN_NAME];     /* the environment's name, without module and version */
    char *request;                   /* what the worker is to make, as JSON; free() */
} qg_gym_name;

/* `name` begins with QG_GYM_PREFIX and is shorter than QG_DOMAIN_NAME. QG_ERROR_USAGE,
 * QG_ERROR_MEMORY. */
qg_status qg_gym_name_read(const char *name, qg_gym_name *read, qg_error *error);

#endif
