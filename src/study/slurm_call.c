/* Slurm's commands, without a shell between. */
#include "study/slurm_parts.h"

#include "base/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "sbatch: error: a\nsbatch: error: b\n" to "a; b". */
static void join_messages(const char *command, char *messages, char *line, size_t size)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s: error: ", command);
    snprintf(line, size, "failed without a word");
    size_t used = 0;
    for (char *next; (next = strsep(&messages, "\n")) && used < size;) {
        const size_t length = strlen(prefix);
        if (strncmp(next, prefix, length) == 0) next += length;
        if (*next)
            used += (size_t)snprintf(line + used, size - used, "%s%s", used ? "; " : "", next);
    }
}

qg_status qg_slurm_call(char *const *arguments, const char *input, char **output, qg_error *error)
{
    char line[400];
    qg_program_result result;
    *output = NULL;
    const qg_status status = qg_program_run(arguments, input, &result, error);
    if (status == QG_ERROR_IO && errno == ENOENT)
        return qg_fail(error, QG_ERROR_IO,
                       "%s, a command of Slurm, is not installed here: call qgraft on a machine "
                       "from which jobs are submitted",
                       arguments[0]);
    if (status) return status;
    if (result.code) {
        join_messages(arguments[0], result.messages, line, sizeof line);
        qg_program_result_free(&result);
        return qg_fail(error, QG_ERROR_IO, "%s: %s", arguments[0], line);
    }
    *output = result.output;
    free(result.messages);
    return QG_OK;
}
