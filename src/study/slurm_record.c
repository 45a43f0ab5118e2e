/* What a submission leaves behind, so that Slurm's words can be told to which task they belong:
 * which job is a run's array, under which name, and which index a task has in it. */
#include "study/slurm_parts.h"

#include "base/file.h"
#include "base/json_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORD_LIMIT ((size_t)1 << 24)

/* --------------------------------------------------------------------------- names and seeds */

static int compare_seeds(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

uint64_t *qg_slurm_seeds(const qg_study *study, int *count)
{
    uint64_t *seeds = malloc(((size_t)study->task_count + 1) * sizeof *seeds);
    if (!seeds) return NULL;
    for (int t = 0; t < study->task_count; t++)
        seeds[t] = study->tasks[t].seed;
    qsort(seeds, (size_t)study->task_count, sizeof *seeds, compare_seeds);
    *count = 0;
    for (int t = 0; t < study->task_count; t++)
        if (*count == 0 || seeds[*count - 1] != seeds[t]) seeds[(*count)++] = seeds[t];
    return seeds;
}

char *qg_slurm_name(const qg_study *study, int run)
{
    char *name;
    const int length =
        asprintf(&name, "%s/%s", study->name, run < 0 ? "report" : study->runs[run].id);
    return length < 0 ? NULL : name;
}

/* ---------------------------------------------------------------- the numbers of a submission */

static json_t *numbers_to_json(const qg_study *study, const int64_t *numbers)
{
    char when[32] = "";
    const time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_t *arrays = json_object();
    for (int r = 0; r < study->run_count; r++)
        if (numbers[r]) json_object_set_new(arrays, study->runs[r].id, json_integer(numbers[r]));
    return json_pack("{s:s, s:s, s:o, s:I}", "study", study->name, "submitted", when, "arrays",
                     arrays, "report", (json_int_t)numbers[study->run_count]);
}

qg_status qg_slurm_write_numbers(const qg_study *study, const char *folder, const int64_t *numbers,
                                 qg_error *error)
{
    json_t *root = numbers_to_json(study, numbers);
    char *text = root ? qg_json_text(root, JSON_INDENT(2)) : NULL;
    char *path = qg_path_join(folder, "slurm.json");
    const qg_piece pieces[] = {{text, text ? strlen(text) : 0}, {"\n", 1}};
    const qg_status status = text && path ? qg_file_replace(path, pieces, 2, error)
                                          : qg_fail_memory(error, "slurm.json", 0);
    free(path);
    free(text);
    json_decref(root);
    return status;
}

static qg_status parse_numbers(const qg_study *study, const json_t *root, const char *path,
                               int64_t *numbers, qg_error *error)
{
    json_t *arrays = json_object_get(root, "arrays"), *report = json_object_get(root, "report");
    if (!json_is_object(arrays) || !json_is_integer(report))
        return qg_fail(error, QG_ERROR_DATA, "%s: not a record of submitted jobs", path);
    for (int r = 0; r < study->run_count; r++)
        numbers[r] = json_integer_value(json_object_get(arrays, study->runs[r].id));
    numbers[study->run_count] = json_integer_value(report);
    return QG_OK;
}

qg_status qg_slurm_read_numbers(const qg_study *study, const char *folder, int64_t **numbers,
                                qg_error *error)
{
    *numbers = NULL;
    char *path = qg_path_join(folder, "slurm.json");
    if (!path) return qg_fail_memory(error, "slurm.json", 0);
    json_t *root;
    qg_status status = qg_json_read_object(path, RECORD_LIMIT, &root, error);
    const size_t count = (size_t)study->run_count + 1;
    if (root) *numbers = calloc(count, sizeof **numbers);
    if (root && !*numbers) status = qg_fail_memory(error, "job numbers", count * 8);
    if (root && !status) status = parse_numbers(study, root, path, *numbers, error);
    if (status) {
        free(*numbers);
        *numbers = NULL;
    }
    json_decref(root);
    free(path);
    return status;
}
