/* A study: its making and its end, and the states of its tasks by name. */
#include <qgraft/study.h>

#include <stdlib.h>

void qg_arguments_free(char **arguments)
{
    for (char **argument = arguments; argument && *argument; argument++)
        free(*argument);
    free(arguments);
}

const char *qg_task_state_name(qg_task_state state)
{
    static const char *const names[] = {
        [QG_TASK_WAITING] = "waiting",   [QG_TASK_STALE] = "stale",
        [QG_TASK_RUNNING] = "running",   [QG_TASK_STOPPED] = "stopped",
        [QG_TASK_FINISHED] = "finished", [QG_TASK_FAILED] = "failed",
        [QG_TASK_BLOCKED] = "blocked"};
    return names[state];
}
