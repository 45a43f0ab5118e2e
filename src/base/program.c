#include "base/program.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Starts the program on three files, as its input, output and messages, and waits for its end. */
static qg_status run_on(char *const *arguments, const int files[3], int *code, qg_error *error)
{
    posix_spawn_file_actions_t actions;
    int problem = posix_spawn_file_actions_init(&actions);
    if (problem) return qg_fail_memory(error, "a process", sizeof actions);
    for (int i = 0; i < 3 && !problem; i++)
        problem = posix_spawn_file_actions_adddup2(&actions, files[i], i);
    pid_t child = 0;
    if (!problem) problem = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    int state = 0;
    while (!problem && waitpid(child, &state, 0) < 0)
        if (errno != EINTR) problem = errno;
    if (problem) {
        errno = problem;
        return qg_fail_errno(error, "%s", arguments[0]);
    }
    *code = WIFEXITED(state) ? WEXITSTATUS(state) : 128;
    return QG_OK;
}

static qg_status write_all(int file, const char *text, qg_error *error)
{
    size_t left = text ? strlen(text) : 0;
    while (left > 0) {
        const ssize_t written = write(file, text, left);
        if (written < 0 && errno != EINTR) return qg_fail_errno(error, "a program's input");
        if (written < 0) continue;
        text += written;
        left -= (size_t)written;
    }
    return lseek(file, 0, SEEK_SET) == 0 ? QG_OK : qg_fail_errno(error, "a program's input");
}

/* All that was written to `file`, and a NUL. */
static qg_status read_all(int file, char **data, size_t *size, qg_error *error)
{
    struct stat information;
    if (fstat(file, &information) != 0) return qg_fail_errno(error, "a program's output");
    const size_t all = (size_t)information.st_size;
    *data = malloc(all + 1);
    if (!*data) return qg_fail_memory(error, "a program's output", all);
    size_t got = 0;
    while (got < all) {
        const ssize_t part = pread(file, *data + got, all - got, (off_t)got);
        if (part == 0) break;
        if (part < 0 && errno != EINTR) return qg_fail_errno(error, "a program's output");
        if (part > 0) got += (size_t)part;
    }
    (*data)[got] = '\0';
    *size = got;
    return QG_OK;
}

qg_status qg_program_run(char *const *arguments, const char *input, qg_program_result *result,
                         qg_error *error)
{
    int files[3];
    size_t ignored;
    *result = (qg_program_result){0};
    qg_status status = QG_OK;
    for (int i = 0; i < 3; i++) {
        files[i] = memfd_create(arguments[0], MFD_CLOEXEC);
        if (files[i] < 0 && !status) status = qg_fail_errno(error, "a file for %s", arguments[0]);
    }
    if (!status) status = write_all(files[0], input, error);
    if (!status) status = run_on(arguments, files, &result->code, error);
    const int problem = errno;
    if (!status) status = read_all(files[1], &result->output, &result->size, error);
    if (!status) status = read_all(files[2], &result->messages, &ignored, error);
    for (int i = 0; i < 3; i++)
        if (files[i] >= 0) close(files[i]);
    if (status) qg_program_result_free(result);
    errno = problem;
    return status;
}

void qg_program_result_free(qg_program_result *result)
{
    free(result->output);
    free(result->messages);
    *result = (qg_program_result){0};
}
