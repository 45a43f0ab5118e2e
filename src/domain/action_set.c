/* The names of the action sets. */
#include <qgraft/domain.h>

#include <string.h>

static const char *const set_names[] = {"minimal", "full", "xitari"};
enum { SETS = sizeof set_names / sizeof *set_names };

const char *qg_action_set_name(qg_action_set set)
{
    return set_names[set];
}

bool qg_action_set_find(const char *name, qg_action_set *set)
{
    for (int i = 0; i < SETS; i++)
        if (strcmp(name, set_names[i]) == 0) {
            *set = (qg_action_set)i;
            return true;
        }
    return false;
}
