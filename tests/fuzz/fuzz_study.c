/* Feeds the reader of study files. Whatever it accepts stays within the study's folder. */
#include "fuzz.h"

#include "study/reader.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    return 0;
}

/* One component of a path that leads nowhere else. */
static void check_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    CHECK(*name && *name != '.' && *name != '-' && strlen(name) < QG_STUDY_NAME);
    CHECK(strspn(name, allowed) == strlen(name));
}

static void check_task(const qg_study *study, int t)
{
    const qg_study_task *task = &study->tasks[t];
    char folder[QG_STUDY_NAME + 40], *text, *more;
    qg_run_file file, again;
    qg_error error;
    snprintf(folder, sizeof folder, "runs/%s/s%llu", study->runs[task->run].id,
             (unsigned long long)task->seed);
    CHECK(strcmp(task->folder, folder) == 0);
    CHECK(strlen(task->hash) == 64);
    for (int p = 0; p < task->parent_count; p++)
        CHECK(task->parents[p] >= 0 && task->parents[p] < t);
    CHECK(qg_task_run_file(study, t, &file, &error) == QG_OK);
    CHECK(qg_run_file_format(&file, &text, &error) == QG_OK);
    CHECK(qg_run_file_parse("task.yaml", text, strlen(text), &again, &error) == QG_OK);
    CHECK(qg_run_file_format(&again, &more, &error) == QG_OK);
    CHECK(strcmp(text, more) == 0);
    qg_run_file_free(&file);
    qg_run_file_free(&again);
    free(text);
    free(more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = scratch_path("study.yaml");
    qg_study *study;
    qg_error error;
    scratch_write(path, data, size);
    const double scale = size % 2 ? 1 : 0.001;
    const qg_status status = qg_study_load_from(path, "/nowhere", scale, &study, &error);
    check_said(status, &error);
    CHECK((status == QG_OK) == (study != NULL));
    if (status) return 0;
    check_name(study->name);
    for (int r = 0; r < study->run_count; r++)
        check_name(study->runs[r].id);
    for (int t = 0; t < study->task_count; t++)
        check_task(study, t);
    qg_study_free(study);
    return 0;
}
