/* Feeds the reader of settings. */
#include "fuzz.h"

#include <qgraft/settings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qg_settings settings, again;
    qg_error error;
    CHECK(qg_settings_preset(&settings, "grid", &error) == QG_OK);
    qg_status status = qg_settings_parse_yaml(&settings, "fuzz", data, size, &error);
    check_said(status, &error);
    if (status == QG_OK) {
        status = qg_settings_check(&settings, &error);
        check_said(status, &error);
    }
    if (status) return 0;
    /* What was accepted is written so that it reads back as the same. */
    char *text, *text_again;
    CHECK(qg_settings_format_yaml(&settings, &text, &error) == QG_OK);
    CHECK(qg_settings_preset(&again, "dqn3", &error) == QG_OK);
    CHECK(qg_settings_parse_yaml(&again, "again", text, strlen(text), &error) == QG_OK);
    CHECK(qg_settings_format_yaml(&again, &text_again, &error) == QG_OK);
    CHECK(strcmp(text, text_again) == 0);
    free(text);
    free(text_again);
    return 0;
}
