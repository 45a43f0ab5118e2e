#include "study/process.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char start_folder[] = "QGRAFT_START_FOLDER";

/* ---------------------------------------------------------------------------------- start */

/* "$ qgraft train ...": what the log's next lines come from. */
static qg_status write_command(int log, const char *const *arguments, const char *path,
                               qg_error *error)
{
    char *line = NULL;
    size_t size = 0;
    FILE *out = qg_text_stream(&line, &size);
    if (!out) return qg_fail_memory(error, "a command", 4096);
    fputc('$', out);
    for (; *arguments; arguments++)
        fprintf(out, strpbrk(*arguments, " \t\n\"$&;|<>()*?[]{}") ? " '%s'" : " %s", *arguments);
    fputc('\n', out);
    qg_status status = fclose(out) == 0 ? QG_OK : qg_fail_memory(error, "a command", 4096);
    if (!status) status = qg_file_append(log, line, size, path, error);
    free(line);
    return status;
}

/* Our environment, and in QGRAFT_START_FOLDER where we were started, unless another process that
 * started us says so: what is named from there is found by a run that is in another folder. The
 * first word is to be freed, and the list. NULL: errno says why. */
static char **make_environment(void)
{
    size_t count = 0;
    char *start = NULL, *folder = getenv(start_folder) ? NULL : getcwd(NULL, 0);
    while (environ[count])
        count++;
    char **list = calloc(count + 2, sizeof *list);
    const char *from = folder ? folder : getenv(start_folder);
    if (!list || !from || asprintf(&start, "%s=%s", start_folder, from) < 0) start = NULL;
    free(folder);
    if (!start) {
        free(list);
        return NULL;
    }
    list[0] = start;
    for (size_t i = 0, used = 1; i < count; i++)
        if (strncmp(environ[i], start, sizeof start_folder) != 0) list[used++] = environ[i];
    return list;
}

/* In the child: becomes the program. A group of its own keeps the terminal's Ctrl-C away, so that
 * the parent alone says when to stop. */
static _Noreturn void become(const char *program, const char *folder, const char *const *arguments,
                             char **environment, int log, pid_t parent, const sigset_t *mask)
{
    signal(SIGTERM, SIG_DFL); /* not into a flag that is gone with the next program */
    sigprocmask(SIG_SETMASK, mask, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(130); /* it died before it could be watched */
    const int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    if (chdir(folder) == 0) execve(program, (char *const *)(uintptr_t)arguments, environment);
    dprintf(STDERR_FILENO, "qgraft: %s: cannot start in %s: %s\n", program, folder,
            strerror(errno));
    _exit(127);
}

qg_status qg_process_open(qg_process *process, char *log, char *sign, qg_error *error)
{
    *process = (qg_process){.log = log, .sign = sign, .log_file = -1};
    if (!log || !sign) return qg_fail_memory(error, "a path", 4096);
    process->log_file = open(log, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (process->log_file < 0) return qg_fail_errno(error, "%s: cannot open", log);
    if (flock(process->log_file, LOCK_EX | LOCK_NB) == 0) return QG_OK;
    if (errno != EWOULDBLOCK) return qg_fail_errno(error, "%s: cannot lock", log);
    return qg_fail(error, QG_ERROR_BUSY, "%s: another process watches over this run", log);
}

qg_status qg_process_start(qg_process *process, const char *program, const char *folder,
                           const char *const *arguments, qg_error *error)
{
    struct stat file;
    const qg_status status = write_command(process->log_file, arguments, process->log, error);
    if (status) return status;
    char **const environment = make_environment();
    if (!environment) return qg_fail_errno(error, "the environment of a run");
    if (fstat(process->log_file, &file) == 0) process->begun = file.st_size;
    const pid_t parent = getpid();
    process->started = process->moved = qg_clock_seconds();
    sigset_t all, mask;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask); /* what is sent to the child waits until it is one */
    process->pid = fork();
    if (process->pid == 0)
        become(program, folder, arguments, environment, process->log_file, parent, &mask);
    const int problem = errno;
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    errno = problem;
    free(environment[0]);
    free(environment);
    if (process->pid > 0) return QG_OK;
    process->pid = 0;
    return qg_fail_errno(error, "%s: cannot start a process", program);
}

/* ------------------------------------------------------------------------- life and the end */

bool qg_process_ended(qg_process *process, int *how)
{
    const pid_t ended = waitpid(process->pid, how, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
    if (ended < 0) *how = 1 << 8; /* somebody else has waited for it: as exit code 1 */
    process->pid = 0;
    return true;
}

void qg_process_end(qg_process *process, double grace)
{
    const double now = qg_clock_seconds();
    if (process->asked <= 0) {
        process->asked = now;
        kill(process->pid, SIGTERM);
    } else if (now - process->asked > grace)
        kill(process->pid, SIGKILL);
}

bool qg_process_obeyed(const qg_process *process, int how, bool killed)
{
    return process->asked > 0 && WIFSIGNALED(how) &&
           (WTERMSIG(how) == SIGTERM || (killed && WTERMSIG(how) == SIGKILL));
}

double qg_process_silence(qg_process *process)
{
    struct stat file;
    const double now = qg_clock_seconds();
    if (stat(process->sign, &file) == 0 && (file.st_mtim.tv_sec != process->touched.tv_sec ||
                                            file.st_mtim.tv_nsec != process->touched.tv_nsec)) {
        process->touched = file.st_mtim;
        process->moved = now;
    }
    return now - process->moved;
}

/* What stands behind "qgraft: " or "qgraft COMMAND: " at the line's begin; NULL: neither does. */
static char *message_of(char *line)
{
    static const char name[] = "qgraft";
    char *rest = line + sizeof name - 1;
    if (strncmp(line, name, sizeof name - 1) != 0) return NULL;
    if (*rest == ' ') rest += 1 + strspn(rest + 1, "abcdefghijklmnopqrstuvwxyz");
    return strncmp(rest, ": ", 2) == 0 ? rest + 2 : NULL;
}

/* The last message in the process's own part of the log. */
static bool find_message(const qg_process *process, char *message, size_t size)
{
    char tail[8192], *found = NULL;
    const off_t end = lseek(process->log_file, 0, SEEK_END), most = (off_t)sizeof tail - 1;
    const off_t begin = end - process->begun > most ? end - most : process->begun;
    const ssize_t length = pread(process->log_file, tail, sizeof tail - 1, begin);
    tail[length > 0 ? length : 0] = 0;
    for (char *line = tail, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        char *words = message_of(line);
        if (words) found = words;
    }
    if (found) snprintf(message, size, "%s", found);
    return found != NULL;
}

void qg_process_explain(const qg_process *process, int how, char *message, size_t size)
{
    if (WIFSIGNALED(how)) {
        const char *name = sigabbrev_np(WTERMSIG(how));
        snprintf(message, size, "killed by SIG%s%s: see log.txt", name ? name : "?",
                 WTERMSIG(how) == SIGKILL ? " (by somebody, or for want of memory)" : "");
    } else if (!find_message(process, message, size))
        snprintf(message, size, "exit code %d: see log.txt", WEXITSTATUS(how));
}

void qg_process_free(qg_process *process)
{
    if (process->log_file >= 0) {
        flock(process->log_file, LOCK_UN); /* a forked child may still have the descriptor open */
        close(process->log_file);
    }
    free(process->log);
    free(process->sign);
    *process = (qg_process){.log_file = -1};
}
