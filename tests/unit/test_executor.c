/* The executor, with a shell script for the program: what runs when, how runs end, what is made of
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scratch.h"

#include "study/executor.h"
#include "study/study_folder.h"

#include <errno.h>
#include <math.h>

/* Two seeds of a source, two grafts that begin from it, their baseline; nothing to be measured. */
static const char study_text[] = "study: s\nseeds: 2\nsteps: 1k\nsources:\n"
                                 "  src: {game: minatar/asterix, steps: 500}\n"
                                 "runs:\n"
                                 "  - {name: base, game: minatar/asterix}\n"
                                 "  - {name: graft, game: minatar/asterix, from: src, first: 1}\n"
                                 "games: {minatar/asterix: {random: 0}}\n";
enum { TASKS = 6 };

/* Does what a run does to its folder, after what the file SCRATCH/runs-ID-sSEED says, which is
 * sourced where it is there. */
static const char program_text[] = "#!/bin/sh\n"
                                   "[ \"$1\" = perform ] || exit 9\n"
                                   "folder=${2%/task.yaml}\n"
                                   "echo $folder >>../order\n"
                                   "grep -q '^kind: ' $2 || exit 8\n"
                                   "more=../$(echo $folder | tr / -)\n"
                                   "if [ -e $more ]; then . $more; fi\n"
                                   "echo 'steps: 1000' >$folder/run.yaml\n"
                                   "touch $folder/best.safetensors\n"
                                   "printf 'pid: 1\\nstate: finished\\n' >$folder/process.yaml\n";

typedef struct fixture {
    qg_study *study;
    char folder[512], program[512];
    qg_study_options options;
    qg_study_outlook outlook;
    qg_task_load loads[TASKS];
    qg_study_result result;
    qg_error error;
    qg_task_status statuses[TASKS]; /* as seen at the end */
    int most;                       /* tasks that ran at one time */
    volatile sig_atomic_t stop;
    bool stops; /* as soon as both seeds of the source are at work */
} fixture;

static void watch(void *context, const qg_study_moment *now, int task)
{
    fixture *f = context;
    int running = 0;
    for (int t = 0; t < TASKS; t++)
        running += now->statuses[t].state == QG_TASK_RUNNING;
    f->most = running > f->most ? running : f->most;
    (void)task;
    if (f->stops && access(scratch_path("ready-1"), F_OK) == 0 &&
        access(scratch_path("ready-2"), F_OK) == 0)
        f->stop = 1;
}

static int set_up(void **state)
{
    if (scratch_setup(state)) return -1;
    fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    *state = f;
    snprintf(f->folder, sizeof f->folder, "%s", scratch_path("study"));
    snprintf(f->program, sizeof f->program, "%s", scratch_path("program"));
    scratch_write(f->program, program_text, strlen(program_text));
    scratch_write(scratch_path("s.yaml"), study_text, strlen(study_text));
    if (chmod(f->program, 0755) != 0 ||
        qg_study_load(scratch_path("s.yaml"), 1, &f->study, &f->error) ||
        qg_study_save(f->study, f->folder, &f->error))
        return -1;
    for (int t = 0; t < TASKS; t++)
        f->loads[t] = (qg_task_load){.seconds = 1, .memory = 1, .disk = 1, .kept = 1};
    f->options = (qg_study_options){
        .program = f->program, .stall_seconds = 60, .watch = watch, .context = f, .stop = &f->stop};
    f->outlook = (qg_study_outlook){
        .loads = f->loads, .only = -1, .limits = {.jobs = 2, .memory = INFINITY}};
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    qg_study_free(f->study);
    free(f);
    return scratch_teardown(state);
}

/* What the program does for a task, beside what it always does. */
static void script(const char *task, const char *text)
{
    scratch_write(scratch_path(task), text, strlen(text));
}

static qg_status execute(fixture *f)
{
    const qg_status status =
        qg_executor_run(f->study, f->folder, &f->options, &f->outlook, &f->result, &f->error);
    qg_error error;
    assert_int_equal(qg_study_look(f->study, f->folder, f->statuses, &error), QG_OK);
    return status;
}

static int find(const fixture *f, const char *name)
{
    char text[QG_TASK_NAME];
    for (int t = 0; t < TASKS; t++) {
        qg_task_name(f->study, t, text, sizeof text);
        if (strcmp(text, name) == 0) return t;
    }
    fail_msg("no task %s", name);
    return -1;
}

static void assert_state(const fixture *f, const char *name, qg_task_state state)
{
    const qg_task_status *s = &f->statuses[find(f, name)];
    if (s->state != state)
        fail_msg("%s: %s, not %s: %s", name, qg_task_state_name(s->state),
                 qg_task_state_name(state), s->message);
}

/* The folders that the program was started for, in order; they are forgotten. */
static int read_order(char order[64][64])
{
    int count = 0;
    FILE *file = fopen(scratch_path("order"), "r");
    while (file && count < 64 && fgets(order[count], sizeof order[0], file)) {
        order[count][strcspn(order[count], "\n")] = '\0';
        count++;
    }
    if (file) fclose(file);
    unlink(scratch_path("order"));
    return count;
}

static int place_of(char order[64][64], int count, const char *folder)
{
    for (int i = 0; i < count; i++)
        if (strcmp(order[i], folder) == 0) return i;
    fail_msg("%s was not run", folder);
    return -1;
}

/* ------------------------------------------------------------------------------------- tests */

static void test_everything_once(void **state)
{
    fixture *f = *state;
    char order[64][64];
    if (execute(f)) fail_msg("%s", f->error.message);
    assert_int_equal(f->result.tasks[QG_TASK_FINISHED], TASKS);
    assert_int_equal(f->result.failed, -1);
    int count = read_order(order);
    assert_int_equal(count, TASKS);
    assert_true(place_of(order, count, "runs/src/s2") < place_of(order, count, "runs/graft/s2"));
    assert_int_equal(f->most, 2);
    assert_int_equal(execute(f), QG_OK); /* again: there is nothing to do */
    assert_int_equal(f->result.tasks[QG_TASK_FINISHED], TASKS);
    assert_int_equal(read_order(order), 0);
}

static void test_one_at_a_time(void **state)
{
    fixture *f = *state;
    f->outlook.limits = (qg_study_limits){.jobs = 8, .memory = 1.5}; /* each takes 1 */
    assert_int_equal(execute(f), QG_OK);
    assert_int_equal(f->result.tasks[QG_TASK_FINISHED], TASKS);
    assert_int_equal(f->most, 1);
}

static void test_a_lost_network_is_made_again(void **state)
{
    fixture *f = *state;
    char order[64][64], path[1024];
    assert_int_equal(execute(f), QG_OK);
    read_order(order);
    snprintf(path, sizeof path, "%s/runs/src/s1/best.safetensors", f->folder);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/runs/graft/s1/task.json", f->folder);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/runs/graft/s1/run.yaml", f->folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(execute(f), QG_OK);
    assert_int_equal(read_order(order), 2);
    assert_string_equal(order[0], "runs/src/s1");
    assert_string_equal(order[1], "runs/graft/s1");
}

static void test_failures(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *script, *message;
    } cases[] = {
        {"echo 'qgraft perform: no luck' >&2\necho other words >&2\nexit 1\n", "no luck"},
        {"exit 3\n", "exit code 3: see log.txt"},
        {"kill -ABRT $$\n", "killed by SIGABRT: see log.txt"},
        {"exit 0\n", "ended with exit code 0 before it was done"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        script("runs-src-s1", cases[i].script);
        assert_int_equal(execute(f), QG_OK);
        assert_state(f, "src:1", QG_TASK_FAILED);
        assert_state(f, "graft:1", QG_TASK_BLOCKED);
        assert_state(f, "graft:2", QG_TASK_FINISHED);
        assert_state(f, "base:1", QG_TASK_FINISHED);
        assert_int_equal(f->result.tasks[QG_TASK_FAILED], 1);
        assert_int_equal(f->result.tasks[QG_TASK_BLOCKED], 1);
        assert_int_equal(f->result.failed, find(f, "src:1"));
        const char *message = f->statuses[find(f, "src:1")].message;
        if (!strstr(message, cases[i].message))
            fail_msg("'%s' has no '%s'", message, cases[i].message);
    }
    assert_int_equal(unlink(scratch_path("runs-src-s1")), 0);
    assert_int_equal(execute(f), QG_OK); /* what failed is tried again */
    assert_int_equal(f->result.tasks[QG_TASK_FINISHED], TASKS);
}

static void test_no_program(void **state)
{
    fixture *f = *state;
    f->options.program = "/nowhere/qgraft";
    assert_int_equal(execute(f), QG_OK);
    assert_int_equal(f->result.tasks[QG_TASK_FAILED], 4);
    assert_int_equal(f->result.tasks[QG_TASK_BLOCKED], 2);
    assert_non_null(strstr(f->statuses[find(f, "src:1")].message, "cannot start"));
}

static void test_a_stalled_run_is_ended(void **state)
{
    fixture *f = *state;
    f->options.stall_seconds = 4; /* much longer than a busy machine takes for a line below */
    script("runs-base-s1", "trap '' TERM\nwhile :; do sleep 0.05; done\n");
    /* This one is slow, but moves. */
    script("runs-base-s2",
           "for i in $(seq 25); do echo $i >$folder/progress.json; sleep 0.2; done\n");
    assert_int_equal(execute(f), QG_OK);
    assert_state(f, "base:1", QG_TASK_FAILED);
    assert_state(f, "base:2", QG_TASK_FINISHED);
    assert_non_null(strstr(f->statuses[find(f, "base:1")].message, "no progress for 4 s"));
}

/* A run that has not yet come to listen dies of the signal, and has failed at nothing. */
static void test_stop_of_a_run_that_begins(void **state)
{
    fixture *f = *state;
    f->stops = true;
    script("runs-src-s1", "touch ../ready-1\nexec sleep 60\n");
    script("runs-src-s2", "touch ../ready-2\nexec sleep 60\n");
    assert_int_equal(execute(f), QG_STOPPED);
    assert_state(f, "src:1", QG_TASK_STOPPED);
    assert_int_equal(f->result.tasks[QG_TASK_FAILED], 0);
}

/* A run that is asked to end has time to, and counts as stopped. */
static void test_stop(void **state)
{
    fixture *f = *state;
    char order[64][64];
    f->stops = true;
    for (int seed = 1; seed <= 2; seed++) {
        char name[64], text[256];
        snprintf(name, sizeof name, "runs-src-s%d", seed);
        snprintf(text, sizeof text,
                 "trap 'touch $folder/checkpoint; exit 130' TERM\n"
                 "touch ../ready-%d\nwhile :; do sleep 0.02; done\n",
                 seed);
        script(name, text);
    }
    assert_int_equal(execute(f), QG_STOPPED);
    assert_state(f, "src:1", QG_TASK_STOPPED);
    assert_true(f->result.tasks[QG_TASK_STOPPED] >= 1);
    assert_int_equal(f->result.tasks[QG_TASK_FAILED], 0);
    assert_int_equal(f->result.tasks[QG_TASK_RUNNING], 0);
    assert_int_equal(access(scratch_path("study/runs/src/s1/checkpoint"), F_OK), 0);
    /* It goes on. */
    f->stops = false;
    f->stop = 0;
    script("runs-src-s1", "");
    script("runs-src-s2", "");
    read_order(order);
    assert_int_equal(execute(f), QG_OK);
    assert_int_equal(f->result.tasks[QG_TASK_FINISHED], TASKS);
}

static void test_one_task(void **state)
{
    fixture *f = *state;
    char order[64][64];
    f->outlook.only = find(f, "graft:2");
    assert_int_equal(execute(f), QG_ERROR_USAGE);
    assert_non_null(strstr(f->error.message, "graft:2 begins from src:2, which is not finished"));
    f->outlook.only = find(f, "src:2");
    assert_int_equal(execute(f), QG_OK);
    f->outlook.only = find(f, "graft:2");
    assert_int_equal(execute(f), QG_OK);
    assert_int_equal(read_order(order), 2);
    assert_int_equal(f->result.tasks[QG_TASK_FINISHED], 2);
    assert_state(f, "base:1", QG_TASK_WAITING);
}

/* The disk that a task needs is not there: nothing is begun. */
static void test_no_room(void **state)
{
    fixture *f = *state;
    char order[64][64];
    for (int t = 0; t < TASKS; t++)
        f->loads[t].disk = 1e18;
    assert_int_equal(execute(f), QG_ERROR_IO);
    assert_non_null(strstr(f->error.message, "make room"));
    assert_int_equal(read_order(order), 0);
}

static void test_log_and_file(void **state)
{
    fixture *f = *state;
    char line[512];
    qg_run_file file;
    assert_int_equal(execute(f), QG_OK);
    FILE *log = fopen(scratch_path("study/runs/graft/s2/log.txt"), "r");
    assert_non_null(log);
    assert_non_null(fgets(line, sizeof line, log));
    fclose(log);
    assert_string_equal(line, "$ qgraft perform runs/graft/s2/task.yaml --resume --quiet "
                              "--progress-file runs/graft/s2/progress.json --threads 1 "
                              "--replay-compression zstd\n");
    assert_int_equal(
        qg_run_file_load(scratch_path("study/runs/graft/s2/task.yaml"), &file, &f->error), QG_OK);
    assert_int_equal(file.kind, QG_RUN_GRAFT);
    assert_int_equal(file.seed, 2);
    assert_string_equal(file.parents[0], "runs/src/s2/best.safetensors");
    qg_run_file_free(&file);
}

/* ------------------------------------------------------------------------- the study as a whole */

static void test_whole_study(void **state)
{
    fixture *f = *state;
    qg_lock lock;
    f->options.jobs = 3;
    assert_int_equal(qg_study_hold(f->study, f->folder, NULL, &lock, &f->error), QG_OK);
    qg_status status = qg_study_execute(f->study, f->folder, &f->options, &f->result, &f->error);
    assert_int_equal(status, QG_ERROR_BUSY);
    assert_false(f->result.begun);
    qg_unlock_folder(&lock);
    f->options.only = "graft:3";
    status = qg_study_execute(f->study, f->folder, &f->options, &f->result, &f->error);
    assert_int_equal(status, QG_ERROR_USAGE);
    assert_non_null(strstr(f->error.message, "'graft:3' is no run of the study"));
    f->options.only = NULL;
    for (int wrong = 0; wrong < 3; wrong++) {
        f->options.jobs = wrong ? 3 : -1;
        f->study->threads = wrong == 1 ? 0 : wrong == 2 ? 257 : 1;
        status = qg_study_execute(f->study, f->folder, &f->options, &f->result, &f->error);
        assert_int_equal(status, QG_ERROR_USAGE);
        assert_non_null(strstr(f->error.message, wrong ? "`threads`" : "`jobs`"));
    }
    f->study->threads = 1;
    status = qg_study_execute(f->study, f->folder, &f->options, &f->result, &f->error);
    if (status) fail_msg("%s", f->error.message);
    assert_true(f->result.begun);
    assert_int_equal(f->result.tasks[QG_TASK_FINISHED], TASKS);
}

static void test_outlook(void **state)
{
    fixture *f = *state;
    qg_study_outlook outlook;
    f->options.jobs = 2;
    assert_int_equal(qg_study_foresee(f->study, f->folder, &f->options, &outlook, &f->error),
                     QG_OK);
    assert_int_equal(outlook.limits.jobs, 2);
    assert_true(outlook.forecast.seconds > 0 && outlook.forecast.memory > 1e6);
    assert_int_equal(qg_study_check_room(f->study, &outlook, &f->error), QG_OK);
    outlook.memory = 1e6;
    assert_int_equal(qg_study_check_room(f->study, &outlook, &f->error), QG_ERROR_USAGE);
    assert_non_null(strstr(f->error.message, "src: a run of it needs"));
    assert_non_null(strstr(f->error.message, "'replay'"));
    qg_study_outlook_free(&outlook);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_everything_once),
                                       TEST(test_one_at_a_time),
                                       TEST(test_a_lost_network_is_made_again),
                                       TEST(test_failures),
                                       TEST(test_no_program),
                                       TEST(test_a_stalled_run_is_ended),
                                       TEST(test_stop),
                                       TEST(test_stop_of_a_run_that_begins),
                                       TEST(test_one_task),
                                       TEST(test_no_room),
                                       TEST(test_log_and_file),
                                       TEST(test_whole_study),
                                       TEST(test_outlook)};
    return cmocka_run_group_tests_name("executor", tests, NULL, NULL);
}
