/* Feeds the reader of run files. What it accepts is written, and read back as the same. */
#include "fuzz.h"

#include <qgraft/run_file.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qg_run_file file, again;
    qg_error error;
    char *first, *second;
    const qg_status status = qg_run_file_parse("run.yaml", data, size, &file, &error);
    check_said(status, &error);
    if (status) {
        CHECK(file.parent_count == 0 && !file.parents[0] && !file.snapshots);
        return 0;
    }
    CHECK(qg_run_file_format(&file, &first, &error) == QG_OK);
    CHECK(qg_run_file_parse("again", first, strlen(first), &again, &error) == QG_OK);
    CHECK(qg_run_file_format(&again, &second, &error) == QG_OK);
    CHECK(strcmp(first, second) == 0);
    CHECK(again.kind == file.kind && again.parent_count == file.parent_count);
    for (int i = 0; i < file.parent_count; i++)
        CHECK(strcmp(again.parents[i], file.parents[i]) == 0);
    CHECK(qg_settings_equal(&again.settings, &file.settings));
    qg_run_file_free(&file);
    qg_run_file_free(&again);
    free(first);
    free(second);
    return 0;
}
