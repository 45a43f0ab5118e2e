/* For tests/python/test_formats.py: writes the formats that other programs read, and shows what
 * this library reads of theirs.
 *
 *   write_formats tensors FILE           a safetensors file with every dtype
 *   write_formats events FOLDER          event files of a run that was interrupted
 *   write_formats table FILE             a safetensors file as JSON: metadata, tensors in order */
#include "agent/tensorboard.h"
#include "network/safetensors.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qg_error error;

static void check(qg_status status)
{
    if (status == QG_OK) return;
    fprintf(stderr, "%s\n", error.message);
    exit(1);
}

static void write_tensors(const char *path)
{
    static const uint8_t board[] = {0, 1, 127, 128, 255};
    static const float weights[] = {0.0f, -0.0f, 0.1f, 1e-45f, -3.4028235e38f, 7};
    static const int64_t steps[] = {INT64_MIN, -1, INT64_MAX};
    const size_t five = 5, two_three[] = {2, 3}, three_one_one[] = {3, 1, 1}, empty[] = {0, 4};
    qg_tensors *tensors = qg_tensors_new();
    if (!tensors) abort();
    check(qg_tensors_set_metadata(tensors, "format", "pt", &error));
    check(qg_tensors_set_metadata(tensors, "text", "\"quoted\" \\ \n\t h\xc3\xa9", &error));
    check(qg_tensors_add(tensors, "steps", QG_I64, 3, three_one_one, steps, &error));
    check(qg_tensors_add(tensors, "scalar", QG_F32, 0, NULL, weights + 2, &error));
    check(qg_tensors_add(tensors, "conv.0/weight", QG_F32, 2, two_three, weights, &error));
    check(qg_tensors_add(tensors, "empty", QG_F32, 2, empty, NULL, &error));
    check(qg_tensors_add(tensors, "board h\xc3\xa9", QG_U8, 1, &five, board, &error));
    check(qg_tensors_save(tensors, path, &error));
    qg_tensors_free(tensors);
}

/* Steps 0 to 4 (times a number beyond 32 bits); killed after the checkpoint of step 2; steps 2 to 5
 * again. */
static void write_events(const char *folder)
{
    const double times[] = {1700000000.25, 1700000100.5};
    const int64_t unit = 1000000000000, first[] = {0, 2}, last[] = {4, 5};
    for (int run = 0; run < 2; run++) {
        qg_events *events;
        check(qg_events_open(folder, times[run], first[run] * unit, &events, &error));
        for (int64_t step = first[run]; step <= last[run]; step++) {
            const double time = times[run] + (double)step;
            const float value = (float)step * 0.1f + (float)run;
            check(qg_events_scalar(events, step * unit, time, "evaluation/score", value, &error));
            check(qg_events_scalar(events, step * unit, time, "loss", -value, &error));
        }
        qg_events_close(events);
    }
}

static void print_table(const char *path)
{
    qg_tensors *tensors;
    check(qg_tensors_load(path, &tensors, &error));
    json_t *metadata = json_object(), *rows = json_array();
    const char *key = NULL;
    while ((key = qg_tensors_next_key(tensors, key)) != NULL)
        json_object_set_new(metadata, key, json_string(qg_tensors_metadata(tensors, key)));
    for (size_t i = 0; i < qg_tensors_count(tensors); i++) {
        const qg_tensor *tensor = qg_tensors_at(tensors, i);
        json_t *shape = json_array(), *bytes = json_array();
        for (int d = 0; d < tensor->rank; d++)
            json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
        for (size_t b = 0; b < qg_tensor_bytes(tensor); b++)
            json_array_append_new(bytes, json_integer(((const uint8_t *)tensor->data)[b]));
        json_array_append_new(rows, json_pack("{s:s, s:s, s:o, s:o}", "name", tensor->name, "dtype",
                                              qg_dtype_name(tensor->dtype), "shape", shape, "bytes",
                                              bytes));
    }
    json_t *table = json_pack("{s:o, s:o}", "metadata", metadata, "tensors", rows);
    json_dumpf(table, stdout, JSON_COMPACT);
    json_decref(table);
    qg_tensors_free(tensors);
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "tensors") == 0)
        write_tensors(arguments[2]);
    else if (count == 3 && strcmp(arguments[1], "events") == 0)
        write_events(arguments[2]);
    else if (count == 3 && strcmp(arguments[1], "table") == 0)
        print_table(arguments[2]);
    else
        return fprintf(stderr, "usage: write_formats tensors|events|table PATH\n"), 2;
    return 0;
}
