/* Slurm's commands, without a shell between. */
#include "study/slurm_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

qg_status qg_slurm_try(char *const *arguments, const char *input, qg_program_result *result,
                       qg_error *error)
{
    const qg_status status = qg_program_run(arguments, input, result, error);
    if (status == QG_ERROR_IO && errno == ENOENT)
        return qg_fail(error, QG_ERROR_IO,
                       "%s, a command of Slurm, is not installed here: call qgraft on a machine "
                       "from which jobs are submitted",
                       arguments[0]);
    return status;
}

/* Adds the lines of `text` to `line`, with "; " between; only those that begin with `prefix`, which
 * is left out. */
static void join_lines(const char *text, const char *prefix, char *line, size_t size)
{
    size_t used = strlen(line);
    const size_t cut = strlen(prefix);
    while (*text && used < size) {
        const size_t length = strcspn(text, "\r\n");
        if (length > cut && strncmp(text, prefix, cut) == 0)
            used += (size_t)snprintf(line + used, size - used, "%s%.*s", used ? "; " : "",
                                     (int)(length - cut), text + cut);
        text += length;
        text += strspn(text, "\r\n");
    }
}

qg_status qg_slurm_fail(const char *command, const qg_program_result *result, qg_error *error)
{
    char prefix[64], line[400] = "";
    snprintf(prefix, sizeof prefix, "%s: error: ", command);
    join_lines(result->messages, prefix, line, sizeof line);
    if (!*line) join_lines(result->messages, "", line, sizeof line);
    if (!*line) join_lines(result->output, "", line, sizeof line);
    return qg_fail(error, QG_ERROR_IO, "%s: %s", command, *line ? line : "failed without a word");
}

qg_status qg_slurm_call(char *const *arguments, const char *input, char **output, qg_error *error)
{
    qg_program_result result;
    *output = NULL;
    qg_status status = qg_slurm_try(arguments, input, &result, error);
    if (status) return status;
    if (result.code) {
        status = qg_slurm_fail(arguments[0], &result, error);
        qg_program_result_free(&result);
        return status;
    }
    *output = result.output;
    free(result.messages);
    return QG_OK;
}
