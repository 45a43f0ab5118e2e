/* The command that does a task: what a person would type. */
#include <qgraft/study.h>

#include "study/reader.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
    char **items; /* [count] and a NULL */
    int count;
    bool failed; /* no memory */
} arguments;

static void add(arguments *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(arguments *a, const char *format, ...)
{
    if (a->failed) return;
    char **const items = realloc(a->items, ((size_t)a->count + 2) * sizeof *items);
    if (!items) {
        a->failed = true;
        return;
    }
    a->items = items;
    va_list list;
    va_start(list, format);
    if (vasprintf(&items[a->count], format, list) < 0) {
        items[a->count] = NULL;
        a->failed = true;
    } else {
        items[++a->count] = NULL;
    }
    va_end(list);
}

static void add_network(arguments *a, const qg_study *study, const qg_study_task *task,
                        const char *folder, int source, int *parent)
{
    const qg_study_source *const s = &study->sources[source];
    if (s->run < 0) {
        int file = 0;
        while (s->file_count > 1 && study->seeds[file] != task->seed)
            file++;
        add(a, "%s", s->files[file]);
        return;
    }
    const char *const maker = study->tasks[task->parents[(*parent)++]].folder;
    if (s->take == QG_TAKE_STEP)
        add(a, "%s%s/step-%" PRId64 ".safetensors", folder, maker, s->at);
    else
        add(a, "%s%s/%s.safetensors", folder, maker, s->take == QG_TAKE_LAST ? "last" : "best");
}

/* What differs from the preset. The network is always said where the command would otherwise take
 * it from a source. */
static void add_settings(arguments *a, const qg_study_run *run, const char *preset)
{
    size_t count;
    const qg_setting *const table = qg_settings_table(&count);
    qg_settings base;
    qg_error error;
    qg_settings_preset(&base, preset, &error);
    for (size_t i = 0; i < count; i++) {
        char value[sizeof base.network], usual[sizeof base.network];
        qg_setting_format(&run->settings, &table[i], value, sizeof value);
        qg_setting_format(&base, &table[i], usual, sizeof usual);
        const bool network = strcmp(table[i].name, "network") == 0;
        const bool said = network && run->kind != QG_RUN_TRAIN;
        if (strcmp(table[i].name, "preset") == 0 || (!said && strcmp(value, usual) == 0)) continue;
        if (network && run->kind == QG_RUN_DISTILL) {
            add(a, "--network");
            add(a, "%s", value);
        } else {
            add(a, "--set");
            add(a, "%s=%s", table[i].name, value);
        }
    }
}

static void add_choice(arguments *a, const qg_graft_choice *choice)
{
    char what[QG_GRAFT_CHOICE_TEXT];
    qg_graft_choice_what(choice, what);
    add(a, "--%s=%s", qg_graft_way_name(choice->way), what);
    if (choice->match == QG_MATCH_INDEX) add(a, "--match=index");
    if (choice->frozen) add(a, "--freeze");
}

static void add_graft(arguments *a, const qg_study *study, const qg_study_task *task,
                      const char *folder)
{
    const qg_study_run *const run = &study->runs[task->run];
    int parent = 0;
    add(a, "graft");
    if (run->source < 0)
        add(a, "random");
    else
        add_network(a, study, task, folder, run->source, &parent);
    add(a, "--to");
    add(a, "%s", run->game);
    add_choice(a, &run->choice);
}

static void add_distill(arguments *a, const qg_study *study, const qg_study_task *task,
                        const char *folder)
{
    const qg_study_run *const run = &study->runs[task->run];
    int parent = 0;
    add(a, "distill");
    for (int i = 0; i < run->teacher_count; i++)
        add_network(a, study, task, folder, run->teachers[i], &parent);
    add(a, "--temperature=%s", run->temperature);
    if (run->order == QG_ORDER_SAMPLE) add(a, "--order=sample");
    add(a, "--samples=%" PRId64, run->steps);
    add(a, "--epsilon=%.17g", run->epsilon);
}

/* --snapshot=5000000,10000000 */
static void add_snapshots(arguments *a, const qg_study_run *run)
{
    char *text = NULL;
    size_t size;
    FILE *const out = qg_text_stream(&text, &size);
    for (int i = 0; out && i < run->snapshot_count; i++)
        fprintf(out, "%s%" PRId64, i ? "," : "", run->snapshots[i]);
    if (out && fclose(out) == 0)
        add(a, "--snapshot=%s", text);
    else
        a->failed = true;
    free(text);
}

qg_status qg_task_command(const qg_study *study, int task_index, const char *folder,
                          char ***command, qg_error *error)
{
    const qg_study_task *const task = &study->tasks[task_index];
    const qg_study_run *const run = &study->runs[task->run];
    arguments a = {0};
    const char *preset = run->settings.preset;
    char *prefix = NULL; /* of what lies in the folder */
    if (asprintf(&prefix, "%s%s", folder ? folder : "", folder ? "/" : "") < 0)
        return qg_fail_memory(error, "a command", 0);
    if (run->kind == QG_RUN_GRAFT) add_graft(&a, study, task, prefix);
    if (run->kind == QG_RUN_DISTILL) {
        add_distill(&a, study, task, prefix);
        preset = qg_study_preset_for(run->game); /* distill has no --preset */
    }
    if (run->kind == QG_RUN_TRAIN) {
        add(&a, "train");
        add(&a, "%s", run->game);
    }
    if (run->kind != QG_RUN_DISTILL) {
        add(&a, "--preset=%s", preset);
        add(&a, "--steps=%" PRId64, run->steps);
    }
    add(&a, "--seed=%" PRIu64, task->seed);
    add_settings(&a, run, preset);
    if (run->snapshot_count) add_snapshots(&a, run);
    add(&a, "--out=%s%s", prefix, task->folder);
    free(prefix);
    *command = a.items;
    if (!a.failed) return QG_OK;
    qg_arguments_free(a.items);
    return qg_fail_memory(error, "a command", 0);
}

void qg_arguments_free(char **items)
{
    for (char **item = items; item && *item; item++)
        free(*item);
    free(items);
}
