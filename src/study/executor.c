#include "study/executor.h"

#include <qgraft/agent.h>

#include "base/clock.h"
#include "base/text.h"
#include "study/estimate.h"
#include "study/lost_networks.h"
#include "study/process.h"
#include "study/schedule.h"
#include "study/task_file.h"
#include "study/task_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEGABYTE 1e6

#define DOUBT_SECONDS 5.0
#define NOTE_SECONDS  60.0

enum { STOPPED = 130 }; /* exit code of a run that was asked to end */

typedef struct worker {
    qg_process process;
    int task;
    double before; /* seconds that earlier processes worked on the task */
    double silent; /* since when it is known to be silent for too long; 0: it is not */
    bool stalled;
} worker;

typedef struct executor {
    const qg_study *study;
    const char *folder;
    const qg_study_options *options;
    const qg_study_outlook *outlook;
    qg_task_state *states;    /* of the schedule; the below are for people */
    qg_task_state *begun;     /* the same, of those not begun as if they were not to be run */
    qg_task_status *seen;     /* what the folder said last */
    qg_task_status *statuses; /* the same with what this execution knows better */
    qg_task_load *left;       /* what is left of each task's load, for the forecast */
    double *urgency;
    bool *anew;      /* begins anew: a network that another task begins from is not there */
    worker *workers; /* [task_count], the first `running` */
    int running, failed;
    double looked, noted; /* seconds of the monotonic clock */
    struct {
        double made, took, left; /* seconds: of the clock, its own, until the end */
    } forecast;
    char waits[512];
    qg_error problem; /* of the executor itself: nothing more is started */
} executor;

static bool is_stopping(const executor *e)
{
    return e->problem.code || (e->options->stop && *e->options->stop);
}

/* ------------------------------------------------------------------------------- the states */

/* What waits for a task that failed never starts. */
static void block(executor *e)
{
    for (int t = 0; t < e->study->task_count; t++) {
        const qg_study_task *task = &e->study->tasks[t];
        for (int p = 0; p < task->parent_count && e->states[t] == QG_TASK_WAITING; p++) {
            const qg_task_state parent = e->states[task->parents[p]];
            if (parent == QG_TASK_FAILED || parent == QG_TASK_BLOCKED)
                e->states[t] = QG_TASK_BLOCKED;
        }
    }
}

/* What the tasks take now: less where a part is done, by as much as the work so far was slower or
 * faster than foreseen. */
static void weigh(executor *e)
{
    double foreseen = 0, taken = 0;
    for (int t = 0; t < e->study->task_count; t++) {
        const qg_task_status *s = &e->statuses[t];
        double done = s->steps > 0 ? fmin(1, (double)s->step / (double)s->steps) : 0;
        if (e->states[t] == QG_TASK_FINISHED) done = 1;
        e->left[t] = e->outlook->loads[t];
        e->left[t].seconds *= 1 - done;
        if (done < 0.02 || e->outlook->loads[t].seconds <= 0) continue; /* too early to tell */
        foreseen += done * e->outlook->loads[t].seconds;
        taken += s->seconds;
    }
    for (int t = 0; t < e->study->task_count && foreseen > 0 && taken > 0; t++)
        e->left[t].seconds *= taken / foreseen;
}

static const worker *find_worker(const executor *e, int task)
{
    for (int w = 0; w < e->running; w++)
        if (e->workers[w].task == task) return &e->workers[w];
    return NULL;
}

static double seconds_of(const worker *w)
{
    return w->before + qg_clock_seconds() - w->process.started;
}

/* The state of a task that this execution does not run itself. */
static qg_task_state take_over(qg_task_state seen, bool begin)
{
    if (seen == QG_TASK_FINISHED || seen == QG_TASK_RUNNING) return seen;
    return seen == QG_TASK_FAILED && !begin ? seen : QG_TASK_WAITING;
}

/* Looks at the folder. `begin`: takes over what is finished and what other processes are at, and
 * tries all else again. */
static qg_status look(executor *e, bool begin, qg_error *error)
{
    /* Others look at the others, on a cluster all at once. */
    const int only = begin ? -1 : e->outlook->only;
    const qg_status status = only < 0 ? qg_study_look(e->study, e->folder, e->seen, error)
                                      : qg_task_look(e->study, only, e->folder, e->seen, error);
    if (status) return status;
    for (int t = 0; t < e->study->task_count; t++) {
        const worker *ours = find_worker(e, t);
        if (begin || (e->states[t] == QG_TASK_RUNNING && !ours))
            e->states[t] = take_over(e->seen[t].state, begin);
        e->statuses[t] = e->seen[t];
        if (e->states[t] == QG_TASK_WAITING) e->statuses[t].message[0] = 0;
        if (ours) e->statuses[t].seconds = seconds_of(ours);
    }
    block(e);
    for (int t = 0; t < e->study->task_count; t++)
        e->statuses[t].state = e->states[t];
    weigh(e);
    e->looked = qg_clock_seconds();
    return QG_OK;
}

/* Until the end. A forecast of many tasks takes long: it is made as seldom as needed to be a
 * fiftieth of the time, and the clock goes on from it. */
static double seconds_left(executor *e)
{
    const double now = qg_clock_seconds(), since = now - e->forecast.made;
    qg_study_forecast forecast;
    qg_error ignored;
    if (e->forecast.made > 0 && since < 50 * e->forecast.took)
        return isnan(e->forecast.left) ? NAN : fmax(0, e->forecast.left - since);
    const qg_status status = qg_schedule_forecast(e->study, e->states, e->left, &e->outlook->limits,
                                                  &forecast, &ignored);
    e->forecast.made = qg_clock_seconds();
    e->forecast.took = e->forecast.made - now;
    e->forecast.left = status ? NAN : forecast.seconds;
    return e->forecast.left;
}

static void tell(executor *e, int task)
{
    const qg_study_options *o = e->options;
    qg_study_moment now = {.study = e->study, .statuses = e->statuses, .waits = e->waits};
    if (!o->watch) return;
    now.seconds_left = seconds_left(e);
    o->watch(o->context, &now, task);
}

/* ------------------------------------------------------------------------------------ disk */

/* Bytes that a task's folder has on the disk already. */
static double folder_bytes(const executor *e, int task)
{
    char *path = qg_task_path(e->study, task, e->folder, NULL);
    DIR *folder = path ? opendir(path) : NULL;
    double bytes = 0;
    free(path);
    if (!folder) return 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        struct stat file;
        if (fstatat(dirfd(folder), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(file.st_mode))
            bytes += 512.0 * (double)file.st_blocks;
    }
    closedir(folder);
    return bytes;
}

/* Bytes that a task will still write. */
static double bytes_to_come(const executor *e, int task)
{
    return fmax(0, e->outlook->loads[task].disk - folder_bytes(e, task));
}

/* Whether the disk has room for a task beside what the running ones will still write. */
static bool has_room(executor *e, int task)
{
    const double room = qg_study_disk(e->folder);
    double needed = bytes_to_come(e, task) + MEGABYTE;
    for (int w = 0; w < e->running; w++)
        needed += bytes_to_come(e, e->workers[w].task);
    e->waits[0] = 0;
    if (needed <= room) return true;
    char name[QG_TASK_NAME], left[32], wanted[32];
    qg_task_name(e->study, task, name, sizeof name);
    snprintf(e->waits, sizeof e->waits,
             "%s: the disk has %s left, %s%s needs %s: make room, then the same command goes on",
             e->folder, qg_text_from_bytes(room, left), name, e->running ? " beside what runs" : "",
             qg_text_from_bytes(needed, wanted));
    return false;
}

/* ---------------------------------------------------------------------------- start and end */

static void note(executor *e, int task, qg_task_state state, double seconds, const char *message)
{
    qg_task_status s = e->statuses[task];
    qg_error problem;
    s.state = state;
    s.seconds = seconds;
    if (gethostname(s.host, sizeof s.host - 1)) s.host[0] = 0;
    snprintf(s.message, sizeof s.message, "%s", message);
    e->states[task] = state;
    e->statuses[task] = s;
    if (qg_task_note(e->study, task, e->folder, &s, &problem) && !e->problem.code)
        e->problem = problem;
}

/* Makes the folder of a task ready and becomes the one that watches over its run. */
static qg_status open_process(executor *e, int task, qg_process *process, qg_error *error)
{
    const qg_status status = qg_task_prepare(e->study, task, e->folder, error);
    return status
               ? status
               : qg_process_open(process, qg_task_path(e->study, task, e->folder, "log.txt"),
                                 qg_task_path(e->study, task, e->folder, "progress.json"), error);
}

/* The program on the task's run file, from within the study's folder. */
static qg_status start_process(executor *e, int task, qg_process *process, qg_error *error)
{
    const char *const folder = e->study->tasks[task].folder;
    char file[QG_STUDY_NAME + 64], sign[QG_STUDY_NAME + 64], threads[16];
    const qg_status status = qg_task_write_file(e->study, task, e->folder, error);
    if (status) return status;
    snprintf(file, sizeof file, "%s/" QG_TASK_FILE, folder);
    snprintf(sign, sizeof sign, "%s/progress.json", folder);
    snprintf(threads, sizeof threads, "%d", e->study->threads);
    const char *const form = e->study->plain_replay ? "none" : "zstd";
    const char *const command[] = {"qgraft",  "perform",
                                   file,      "--resume",
                                   "--quiet", "--progress-file",
                                   sign,      "--threads",
                                   threads,   "--replay-compression",
                                   form,      NULL};
    qg_process_start(process, e->options->program, e->folder, command, error);
    return process->pid ? QG_OK : error->code;
}

/* Whether the folder holds the finished run already: it came back from runs/stale/, or another
 * process was there before. */
static bool is_done(executor *e, int task)
{
    qg_error ignored;
    return !qg_task_look(e->study, task, e->folder, e->seen, &ignored) && !e->anew[task] &&
           e->seen[task].state == QG_TASK_FINISHED;
}

/* A task that begins anew has done nothing yet. In its folder, too: killed from here on, it must
 * not be taken for a finished one whose network is missing. */
static qg_status forget_task(executor *e, int task, const char *sign, qg_error *error)
{
    char *folder = qg_task_path(e->study, task, e->folder, NULL);
    if (!folder) return qg_fail_memory(error, "a path", strlen(e->folder));
    qg_run_forget(folder);
    free(folder);
    unlink(sign);
    e->seen[task].seconds = 0;
    e->statuses[task].step = 0;
    e->statuses[task].score = NAN;
    return QG_OK;
}

/* Starts a task, or finds out that it runs elsewhere or is done. A folder that cannot be written is
 * a problem of the executor, not of the task. */
static void start(executor *e, int task)
{
    qg_error problem;
    worker *w = &e->workers[e->running];
    *w = (worker){.task = task, .process = {.log_file = -1}};
    qg_status status = open_process(e, task, &w->process, &problem);
    if (!status && qg_study_has_passed(e->study, task, e->folder)) e->anew[task] = true;
    const bool done = !status && is_done(e, task);
    if (!status && e->anew[task]) status = forget_task(e, task, w->process.sign, &problem);
    if (!status && !done) {
        w->before = e->seen[task].seconds;
        note(e, task, QG_TASK_RUNNING, w->before, "");
        if (!e->problem.code) status = start_process(e, task, &w->process, &problem);
        if (w->process.pid) {
            e->running++;
            tell(e, task);
            return;
        }
    } else if (!status) {
        e->states[task] = QG_TASK_FINISHED;
        e->statuses[task] = e->seen[task];
        tell(e, task);
    }
    if (status == QG_ERROR_BUSY) /* is waited for */
        e->states[task] = QG_TASK_RUNNING;
    else if (status && !e->problem.code)
        e->problem = problem;
    qg_process_free(&w->process);
}

static int next_of(const executor *e, const qg_task_state *states)
{
    return qg_schedule_next(e->study, states, e->outlook->loads, e->urgency, &e->outlook->limits);
}

/* Of the tasks that were begun the most urgent one: its memory of screens is on the disk already,
 * and will be gone when it is finished. -1: there is none, or no room for it. */
static int next_of_begun(executor *e)
{
    for (int t = 0; t < e->study->task_count; t++) {
        const qg_task_state seen = e->seen[t].state;
        const bool begun = seen == QG_TASK_STOPPED || seen == QG_TASK_FAILED;
        e->begun[t] = e->states[t] == QG_TASK_WAITING && !begun ? QG_TASK_STOPPED : e->states[t];
    }
    const int task = next_of(e, e->begun);
    return task >= 0 && has_room(e, task) ? task : -1;
}

static void start_some(executor *e)
{
    int task;
    e->waits[0] = 0;
    while (!is_stopping(e) && (task = next_of(e, e->states)) >= 0) {
        if (!has_room(e, task)) {
            char waits[sizeof e->waits];
            memcpy(waits, e->waits, sizeof waits);
            task = next_of_begun(e);
            if (task < 0) {
                memcpy(e->waits, waits, sizeof waits);
                if (e->running == 0) qg_fail(&e->problem, QG_ERROR_IO, "%s", waits);
                return;
            }
        }
        start(e, task);
    }
}

/* A process that ended with 0: its task is finished if its folder holds all of the run. The
 * emulator's code, or that of a plugin, can call exit before. Not to be able to look is a problem
 * of the executor, not of the task. */
static qg_task_state judge_good_end(executor *e, int task, char *message, size_t size)
{
    qg_error problem;
    qg_run_state state = {0};
    char *folder = qg_task_path(e->study, task, e->folder, NULL);
    const qg_status status = folder ? qg_run_look(folder, &state, &problem)
                                    : qg_fail_memory(&problem, "a path", strlen(e->folder));
    free(folder);
    if (status) {
        if (!e->problem.code) e->problem = problem;
        return QG_TASK_STOPPED;
    }
    if (!state.complete)
        snprintf(message, size, "ended with exit code 0 before it was done: see log.txt");
    return state.complete ? QG_TASK_FINISHED : QG_TASK_FAILED;
}

/* Whether somebody has asked a second time to stop: then no run is waited for. */
static bool lost_patience(const executor *e)
{
    return e->options->stop && *e->options->stop > 1;
}

static qg_task_state judge(executor *e, const worker *w, int how, char *message, size_t size)
{
    if (w->stalled)
        snprintf(message, size, "ended: no progress for %.0f s", e->options->stall_seconds);
    else if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
        return judge_good_end(e, w->task, message, size);
    else if ((WIFEXITED(how) && WEXITSTATUS(how) == STOPPED) ||
             qg_process_obeyed(&w->process, how, lost_patience(e)))
        return QG_TASK_STOPPED;
    else
        qg_process_explain(&w->process, how, message, size);
    return QG_TASK_FAILED;
}

static void end(executor *e, worker *w, int how)
{
    char message[sizeof e->statuses->message] = "";
    const int task = w->task;
    const double seconds = seconds_of(w);
    const qg_task_state state = judge(e, w, how, message, sizeof message);
    qg_text_make_safe(message); /* it may come from a log, and the cut may go through a character */
    note(e, task, state, seconds, message);
    qg_process_free(&w->process); /* only now may another process take the task over */
    *w = e->workers[--e->running];
    if (state == QG_TASK_FAILED && e->failed < 0) e->failed = task;
    block(e);
    tell(e, task);
}

/* -------------------------------------------------------------------------------- the loop */

static void reap(executor *e)
{
    for (int w = e->running - 1; w >= 0; w--) {
        int how;
        if (!qg_process_ended(&e->workers[w].process, &how)) continue;
        qg_error problem;
        if (look(e, false, &problem) && !e->problem.code) e->problem = problem;
        end(e, &e->workers[w], how);
    }
}

/* A run that has been silent for too long is given some seconds more: all of us may have been
 * suspended (SIGSTOP, `scontrol suspend`), when it had no time to give a sign. */
static bool is_stalled(worker *w, double stall)
{
    const double now = qg_clock_seconds();
    if (qg_process_silence(&w->process) <= stall)
        w->silent = 0;
    else if (w->silent <= 0)
        w->silent = now;
    return w->silent > 0 && now - w->silent > DOUBT_SECONDS;
}

/* Ends what has stopped moving, and everything when it is time to stop: then a run has as much time
 * as its checkpoint takes, until somebody loses patience. */
static void watch(executor *e)
{
    const double stall = e->options->stall_seconds;
    const int stop = e->options->stop ? *e->options->stop : 0;
    for (int i = 0; i < e->running; i++) {
        worker *w = &e->workers[i];
        if (is_stalled(w, stall)) w->stalled = true;
        if (w->stalled)
            qg_process_end(&w->process, fmin(stall, 30));
        else if (stop)
            qg_process_end(&w->process, lost_patience(e) ? 0 : INFINITY);
    }
}

static bool is_waiting_for_others(const executor *e)
{
    int running = 0;
    for (int t = 0; t < e->study->task_count; t++)
        running += e->states[t] == QG_TASK_RUNNING;
    return running > e->running;
}

/* How long the runs have taken, which is lost if this process dies. Where it cannot be written now,
 * it is later. */
static void note_times(executor *e)
{
    if (qg_clock_seconds() - e->noted < NOTE_SECONDS) return;
    e->noted = qg_clock_seconds();
    for (int i = 0; i < e->running; i++) {
        const int task = e->workers[i].task;
        qg_error ignored;
        qg_task_note(e->study, task, e->folder, &e->statuses[task], &ignored);
    }
}

static qg_status work(executor *e, qg_error *error)
{
    e->noted = qg_clock_seconds();
    for (;;) {
        reap(e);
        start_some(e);
        if (e->running == 0 && (is_stopping(e) || !is_waiting_for_others(e))) break;
        watch(e);
        nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL); /* ends early on a signal */
        if (qg_clock_seconds() - e->looked < 1) continue;
        qg_error problem;
        if (look(e, false, &problem) && !e->problem.code) e->problem = problem;
        note_times(e);
        tell(e, -1);
    }
    if (e->problem.code) {
        *error = e->problem;
        return error->code;
    }
    if (e->options->stop && *e->options->stop) return qg_fail(error, QG_STOPPED, "stopped");
    return QG_OK;
}

/* Leaves nothing to be run but one task. */
static qg_status choose(executor *e, int only, qg_error *error)
{
    const qg_study_task *task = &e->study->tasks[only];
    char name[QG_TASK_NAME], other[QG_TASK_NAME];
    qg_task_name(e->study, only, name, sizeof name);
    for (int p = 0; p < task->parent_count; p++) {
        const int parent = task->parents[p];
        if (e->states[parent] == QG_TASK_FINISHED || e->states[only] == QG_TASK_FINISHED) continue;
        qg_task_name(e->study, parent, other, sizeof other);
        return qg_fail(error, QG_ERROR_USAGE, "%s begins from %s, %s", name, other,
                       e->anew[parent] ? "whose network is lost: run that first"
                                       : "which is not finished");
    }
    for (int t = 0; t < e->study->task_count; t++)
        if (t != only && e->states[t] != QG_TASK_FINISHED) e->states[t] = QG_TASK_STOPPED;
    return QG_OK;
}

static qg_status create(executor *e, qg_error *error)
{
    const size_t count = (size_t)e->study->task_count + 1; /* never nothing */
    e->states = calloc(count, sizeof *e->states);
    e->begun = calloc(count, sizeof *e->begun);
    e->seen = calloc(count, sizeof *e->seen);
    e->statuses = calloc(count, sizeof *e->statuses);
    e->left = calloc(count, sizeof *e->left);
    e->urgency = calloc(count, sizeof *e->urgency);
    e->anew = calloc(count, sizeof *e->anew);
    e->workers = calloc(count, sizeof *e->workers);
    if (!e->states || !e->begun || !e->seen || !e->statuses || !e->left || !e->urgency ||
        !e->anew || !e->workers)
        return qg_fail_memory(error, "a study's tasks", count * sizeof *e->statuses);
    qg_schedule_urgency(e->study, e->outlook->loads, e->urgency);
    return QG_OK;
}

static void release(executor *e)
{
    free(e->states);
    free(e->begun);
    free(e->seen);
    free(e->statuses);
    free(e->left);
    free(e->urgency);
    free(e->anew);
    free(e->workers);
}

qg_status qg_executor_run(const qg_study *study, const char *folder,
                          const qg_study_options *options, const qg_study_outlook *outlook,
                          qg_study_result *result, qg_error *error)
{
    executor e = {
        .study = study, .folder = folder, .options = options, .outlook = outlook, .failed = -1};
    *result = (qg_study_result){.begun = true, .failed = -1};
    qg_status status = create(&e, error);
    if (!status) status = look(&e, true, error);
    if (!status) {
        qg_study_find_lost(study, folder, e.states, e.anew);
        if (outlook->only >= 0) status = choose(&e, outlook->only, error);
    }
    if (!status) status = work(&e, error);
    for (int t = 0; t < study->task_count && e.states; t++)
        result->tasks[e.states[t]]++;
    result->failed = e.failed;
    release(&e);
    return status;
}
