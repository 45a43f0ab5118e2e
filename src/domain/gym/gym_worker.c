#include "domain/gym/gym_worker.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PATIENCE = 60, /* seconds for an answer */
    STARTING = 5, /* times as long for an environment to be made: Python is started, modules read */
    MOST_TEXT = 1 << 20,
    TAIL = 4096, /* bytes that are kept of what it prints */
    MOST_RESTING = 8,
    NO_PROGRAM = -1, /* status: it was no Python that could be run; `flags` is errno */
    NO_FOLDER = -2,  /* status: there is no folder to start it in; `flags` is errno */
};

static const char program[] =
#include "domain/gym_worker_text.h"
    ;

typedef struct request {
    int32_t what, argument;
} request;

typedef struct reply_head {
    int32_t status;
    uint32_t size;
    double reward;
    uint32_t flags, nanoseconds;
} reply_head;

_Static_assert(sizeof(reply_head) == 24, "as worker.py packs it");

struct qg_worker {
    char *name; /* the domain's */
    pid_t owner, process;
    int control, life, printed, file; /* -1: none */
    uint8_t *memory;
    size_t mapped;
    char *text; /* of the last reply */
    char tail[TAIL];
    size_t tail_size;
    bool failed; /* it is of no use any more */
    qg_worker *next;
};

static const char *interpreter(void)
{
    const char *named = getenv("QGRAFT_PYTHON");
    return named && *named ? named : "python3";
}

/* Where the command was given, when its runs are in other folders (study/process.c); NULL: here. */
static const char *start_folder(void)
{
    const char *folder = getenv("QGRAFT_START_FOLDER");
    return folder && *folder ? folder : NULL;
}

static qg_status read_patience(double *seconds, qg_error *error)
{
    const char *told = getenv("QGRAFT_PYTHON_TIMEOUT");
    *seconds = PATIENCE;
    if (!told || !*told || (qg_text_to_real(told, seconds) && *seconds > 0)) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE,
                   "QGRAFT_PYTHON_TIMEOUT is a number of seconds above 0, not '%.40s'", told);
}

/* ------------------------------------------------------------------------------ its beginning */

/* In the child: what the program needs, and nothing of ours. Only calls that are safe after a fork
 * of a process with threads. */
static _Noreturn void become_worker(char *const arguments[], char *const environment[],
                                    const char *folder, const int kept[3], int life, int printed,
                                    int control)
{
    setsid();
    const int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    dup2(printed, STDOUT_FILENO);
    dup2(printed, STDERR_FILENO);
    for (int i = 0; i < 3; i++)
        fcntl(kept[i], F_SETFD, 0);
    /* The kernel's signal when the last end that could write to `life` is closed. */
    fcntl(life, F_SETFD, 0);
    fcntl(life, F_SETOWN, -getpid()); /* the group: what the environment starts ends with it */
    fcntl(life, F_SETSIG, SIGKILL);
    fcntl(life, F_SETFL, O_ASYNC | O_NONBLOCK);
    char byte;
    if (read(life, &byte, 1) == 0) _exit(1); /* it has been closed already */
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const bool there = !folder || chdir(folder) == 0;
    if (there) execvpe(arguments[0], arguments, environment);
    const reply_head failed = {.status = there ? NO_PROGRAM : NO_FOLDER, .flags = (uint32_t)errno};
    _exit(write(control, &failed, sizeof failed) == sizeof failed ? 127 : 126);
}

/* The worker's program as a file that an interpreter can be given. */
static int open_program(void)
{
    const int file = memfd_create("qgraft-worker", MFD_CLOEXEC);
    if (file >= 0 && write(file, program, sizeof program - 1) == sizeof program - 1) return file;
    if (file >= 0) close(file);
    return -1;
}

typedef struct ends {
    int control[2], life[2], printed[2], program;
} ends;

static void close_ends(ends *e, bool all)
{
    int *const theirs[] = {&e->control[1], &e->life[0], &e->printed[1], &e->program};
    int *const ours[] = {&e->control[0], &e->life[1], &e->printed[0]};
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        if (*theirs[i] >= 0) close(*theirs[i]);
    for (size_t i = 0; all && i < sizeof ours / sizeof *ours; i++)
        if (*ours[i] >= 0) close(*ours[i]);
}

static bool open_ends(qg_worker *w, ends *e)
{
    *e = (ends){{-1, -1}, {-1, -1}, {-1, -1}, open_program()};
    w->file = memfd_create("qgraft-observation", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return e->program >= 0 && w->file >= 0 && !fcntl(w->file, F_ADD_SEALS, F_SEAL_SHRINK) &&
           !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->control) &&
           !pipe2(e->life, O_CLOEXEC) && !pipe2(e->printed, O_CLOEXEC) &&
           !fcntl(e->printed[0], F_SETFL, O_NONBLOCK);
}

/* Ours; sets of strings have the same order in every process, unless ours says otherwise. NULL: no
 * memory; to be freed. */
static char **make_environment(void)
{
    static char same_order[] = "PYTHONHASHSEED=0";
    size_t count = 0;
    while (environ[count])
        count++;
    char **const list = calloc(count + 2, sizeof *list);
    if (!list) return NULL;
    memcpy(list, environ, count * sizeof *list);
    if (!getenv("PYTHONHASHSEED")) list[count] = same_order;
    return list;
}

static bool start(qg_worker *w)
{
    ends e;
    char path[32], control[16], memory[16], python[] = "python3", *named = strdup(interpreter());
    const char *const folder = start_folder();
    char **const environment = make_environment();
    bool good = open_ends(w, &e) && named && environment;
    snprintf(path, sizeof path, "/proc/self/fd/%d", e.program);
    snprintf(control, sizeof control, "%d", e.control[1]);
    snprintf(memory, sizeof memory, "%d", w->file);
    char *const arguments[] = {named ? named : python, path, control, memory, w->name, NULL};
    const int kept[3] = {e.program, e.control[1], w->file};
    if (good) w->process = fork();
    if (good && w->process == 0)
        become_worker(arguments, environment, folder, kept, e.life[0], e.printed[1], e.control[1]);
    good = good && w->process > 0;
    const int problem = errno;
    close_ends(&e, !good);
    free(named);
    free(environment);
    if (good) {
        w->control = e.control[0];
        w->life = e.life[1];
        w->printed = e.printed[0];
    }
    errno = problem;
    return good;
}

static qg_status make(const char *name, qg_worker **result, qg_error *error)
{
    qg_worker *w = calloc(1, sizeof *w);
    if (!w) return qg_fail_memory(error, "a worker", sizeof *w);
    w->control = w->life = w->printed = w->file = -1;
    w->owner = getpid();
    w->name = strdup(name);
    const qg_status status = !w->name    ? qg_fail_memory(error, "a name", strlen(name))
                             : !start(w) ? qg_fail_errno(error, "%s: no process for it", name)
                                         : QG_OK;
    if (status)
        qg_worker_end(w);
    else
        *result = w;
    return status;
}

/* ------------------------------------------------------------------------------------ its end */

/* Keeps the end of what it has printed so far; it may print as fast as it is read. */
static void read_printed(qg_worker *w)
{
    enum { MOST = 1 << 20 };
    char piece[TAIL];
    ssize_t size;
    for (size_t all = 0; all < MOST && (size = read(w->printed, piece, sizeof piece)) > 0;
         all += (size_t)size) {
        const size_t more = (size_t)size, room = TAIL - more;
        const size_t kept = w->tail_size < room ? w->tail_size : room;
        memmove(w->tail, w->tail + w->tail_size - kept, kept);
        memcpy(w->tail + kept, piece, more);
        w->tail_size = kept + more;
    }
}

/* The last line that is not empty; "": there is none. */
static void last_line(const qg_worker *w, char line[300])
{
    size_t end = w->tail_size;
    while (end > 0 && strchr("\n\r \t", w->tail[end - 1]))
        end--;
    size_t begin = end;
    while (begin > 0 && w->tail[begin - 1] != '\n')
        begin--;
    snprintf(line, 300, "%.*s", (int)(end - begin), w->tail + begin);
}

/* What a message can hold: one line, without the quotes that stand for options. */
static void make_line(char *text)
{
    qg_text_make_safe(text);
    for (char *c = text; *c; c++)
        if (*c == '`') *c = '\'';
}

static void kill_group(const qg_worker *w)
{
    if (w->process > 0 && w->owner == getpid()) {
        kill(-w->process, SIGKILL);
        kill(w->process, SIGKILL); /* before it has a group */
    }
}

static int reap(qg_worker *w)
{
    int status = 0;
    if (w->process > 0 && w->owner == getpid())
        while (waitpid(w->process, &status, 0) < 0 && errno == EINTR)
            continue;
    w->process = 0;
    return status;
}

void qg_worker_end(qg_worker *w)
{
    if (!w) return;
    const int all[] = {w->control, w->life, w->printed, w->file};
    kill_group(w);
    reap(w);
    if (w->memory) munmap(w->memory, w->mapped);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] >= 0) close(all[i]);
    free(w->text);
    free(w->name);
    free(w);
}

static qg_status fail_silent(qg_worker *w, double seconds, qg_error *error)
{
    char text[32];
    w->failed = true;
    kill_group(w);
    reap(w);
    return qg_fail(error, QG_ERROR_IO,
                   "no answer for %s seconds, so it was ended (QGRAFT_PYTHON_TIMEOUT sets how long "
                   "is waited)",
                   qg_text_from_real(seconds, text));
}

static qg_status fail_dead(qg_worker *w, qg_error *error)
{
    char line[300];
    w->failed = true;
    const struct timespec moment = {.tv_nsec = 20 * 1000 * 1000};
    for (int i = 0; i < 50 && w->process > 0; i++) { /* it may be about to end by itself */
        siginfo_t how = {0};
        if (!waitid(P_PID, (id_t)w->process, &how, WEXITED | WNOHANG | WNOWAIT) && how.si_pid)
            break;
        nanosleep(&moment, NULL);
    }
    kill_group(w);
    const int status = reap(w);
    read_printed(w);
    last_line(w, line);
    make_line(line);
    const char *const between = *line ? "; it said last: " : "";
    if (WIFSIGNALED(status))
        return qg_fail(error, QG_ERROR_IO, "its process was ended by signal %d (%s)%s%s",
                       WTERMSIG(status), strsignal(WTERMSIG(status)), between, line);
    return qg_fail(error, QG_ERROR_IO, "its process ended by itself with exit code %d%s%s",
                   WEXITSTATUS(status), between, line);
}

/* ------------------------------------------------------------------------------------- asking */

static bool send_all(qg_worker *w, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        const ssize_t sent = send(w->control, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* How long is waited for an answer. */
typedef struct patience {
    double seconds, left;
} patience;

enum { SLICE = 1 }; /* seconds */

/* All `size` bytes; what it prints meanwhile is read. A second at a time, and none counts for more:
 * while we are stopped ourselves, as by a suspended job, the worker is, too. */
static qg_status receive(qg_worker *w, void *data, size_t size, patience *p, qg_error *error)
{
    uint8_t *at = data;
    double before = qg_clock_seconds();
    while (size > 0) {
        struct pollfd waits[] = {{.fd = w->control, .events = POLLIN},
                                 {.fd = w->printed, .events = POLLIN}};
        const int ready = poll(waits, 2, (int)(fmax(0, fmin(p->left, SLICE)) * 1000 + 1));
        const double now = qg_clock_seconds();
        p->left -= fmin(now - before, SLICE);
        before = now;
        const bool answers = ready > 0 && waits[0].revents & (POLLIN | POLLHUP | POLLERR);
        if (p->left <= 0 && !answers) return fail_silent(w, p->seconds, error);
        if (ready <= 0) continue;
        if (waits[1].revents & POLLIN) read_printed(w);
        if (!answers) {
            /* What is not open any more would be ready for ever. */
            if (waits[1].revents & POLLHUP && !(waits[1].revents & POLLIN)) {
                const struct timespec moment = {.tv_nsec = 1000 * 1000};
                nanosleep(&moment, NULL);
            }
            continue;
        }
        const ssize_t got = recv(w->control, at, size, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got <= 0) return fail_dead(w, error);
        at += got;
        size -= (size_t)got;
    }
    return QG_OK;
}

/* The text behind the head of a reply. */
static qg_status receive_text(qg_worker *w, size_t size, patience *p, qg_error *error)
{
    if (size > MOST_TEXT) {
        w->failed = true;
        return qg_fail(error, QG_ERROR_DATA, "its process does not speak as qgraft's worker does");
    }
    free(w->text);
    w->text = malloc(size + 1);
    if (!w->text) {
        w->failed = true; /* the answer would be taken for the next one's */
        return qg_fail_memory(error, "an answer", size);
    }
    w->text[size] = '\0';
    return receive(w, w->text, size, p, error);
}

static qg_status judge(qg_worker *w, const reply_head *head, qg_error *error)
{
    if (head->status == 0) return QG_OK;
    if (head->status == NO_PROGRAM) {
        errno = (int)head->flags;
        w->failed = true;
        return qg_fail_errno(error, "no Python '%s' (name another by `python` or QGRAFT_PYTHON)",
                             interpreter());
    }
    if (head->status == NO_FOLDER) {
        errno = (int)head->flags;
        w->failed = true;
        return qg_fail_errno(error, "no folder '%.200s' to start it in (QGRAFT_START_FOLDER)",
                             start_folder() ? start_folder() : "");
    }
    make_line(w->text);
    return qg_fail(error, head->status == 2 ? QG_ERROR_USAGE : QG_ERROR_DATA, "%s", w->text);
}

qg_status qg_worker_ask(qg_worker *w, qg_worker_request what, int32_t argument, const char *text,
                        qg_worker_reply *reply, qg_error *error)
{
    if (w->failed) return qg_fail(error, QG_ERROR_DATA, "its process has ended");
    if (w->owner != getpid())
        return qg_fail(error, QG_ERROR_DATA,
                       "it was made before this process was forked: make it in this one");
    const request r = {(int32_t)what, text ? (int32_t)strlen(text) : argument};
    patience p;
    if (read_patience(&p.seconds, error)) return error->code;
    if (what == QG_WORKER_MAKE) p.seconds *= STARTING;
    p.left = p.seconds;
    reply_head head;
    if (!send_all(w, &r, sizeof r) || (text && !send_all(w, text, strlen(text)))) {
        struct pollfd told = {.fd = w->control, .events = POLLIN};
        if (poll(&told, 1, 0) <= 0) return fail_dead(w, error);
    }
    qg_status status = receive(w, &head, sizeof head, &p, error);
    if (!status && (head.size > 0 || head.status != 0))
        status = receive_text(w, head.size, &p, error);
    if (!status) status = judge(w, &head, error);
    if (!status)
        *reply = (qg_worker_reply){head.reward, head.flags, head.nanoseconds,
                                   head.size ? w->text : "", head.size};
    return status;
}

qg_status qg_worker_map(qg_worker *w, size_t size, bool grow, const uint8_t **memory,
                        qg_error *error)
{
    struct stat file;
    if (fstat(w->file, &file)) return qg_fail_errno(error, "the observations' memory");
    if ((size_t)file.st_size < size && !grow)
        return qg_fail(error, QG_ERROR_DATA, "its process gave less than it said");
    if ((size_t)file.st_size < size && ftruncate(w->file, (off_t)size))
        return qg_fail_errno(error, "the observations' memory");
    if (w->mapped < size) {
        void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, w->file, 0);
        if (map == MAP_FAILED) return qg_fail_errno(error, "the observations' memory");
        if (w->memory) munmap(w->memory, w->mapped);
        w->memory = map;
        w->mapped = size;
    }
    *memory = w->memory;
    return QG_OK;
}

bool qg_worker_lives(const qg_worker *w)
{
    return !w->failed;
}

/* What the environment does at its end is done before the process is killed. */
static void close_environment(qg_worker *w)
{
    qg_worker_reply reply;
    qg_error ignored;
    if (!w->failed && w->owner == getpid())
        w->failed = qg_worker_ask(w, QG_WORKER_CLOSE, 0, NULL, &reply, &ignored) != QG_OK;
}

void qg_worker_close(qg_worker *w)
{
    if (w) close_environment(w);
    qg_worker_end(w);
}

/* --------------------------------------------------------------------------------- those that rest
 */

/* Each has described its domain and waits for that to be opened: Python is not started twice. */
static pthread_mutex_t resting_lock = PTHREAD_MUTEX_INITIALIZER;
static qg_worker *resting; /* of this process, or of the one that it was forked from */

qg_status qg_worker_take(const char *name, qg_worker **worker, qg_error *error)
{
    qg_worker *found = NULL;
    pthread_mutex_lock(&resting_lock);
    for (qg_worker **at = &resting; *at && !found; at = &(*at)->next)
        if (strcmp((*at)->name, name) == 0 && (*at)->owner == getpid()) {
            found = *at;
            *at = found->next;
            break;
        }
    pthread_mutex_unlock(&resting_lock);
    if (!found) return make(name, worker, error);
    *worker = found;
    return QG_OK;
}

void qg_worker_rest(qg_worker *w)
{
    int count = 0;
    close_environment(w);
    pthread_mutex_lock(&resting_lock);
    for (const qg_worker *other = resting; other; other = other->next)
        count++;
    const bool rests = !w->failed && count < MOST_RESTING;
    if (rests) {
        w->next = resting;
        resting = w;
    }
    pthread_mutex_unlock(&resting_lock);
    if (!rests) qg_worker_end(w);
}

void qg_worker_end_resting(void)
{
    pthread_mutex_lock(&resting_lock);
    qg_worker *next, *first = resting;
    resting = NULL;
    pthread_mutex_unlock(&resting_lock);
    for (qg_worker *w = first; w; w = next) {
        next = w->next;
        qg_worker_end(w);
    }
}
