#include "cli/study_open.h"

#include "base/file.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool study_is_folder(const char *name)
{
    struct stat file;
    return stat(name, &file) == 0 && S_ISDIR(file.st_mode);
}

static qg_status parse_scale(const char *text, double *scale, qg_error *error)
{
    *scale = 1;
    if (!text || (qg_text_to_real(text, scale) && *scale > 0 && *scale <= 1)) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE, "--scale: '%.40s' is not a number above 0, at most 1",
                   text);
}

qg_status study_open(const char *name, const char *out, const char *scale, qg_study **study,
                     char **folder, qg_error *error)
{
    const bool is_folder = study_is_folder(name);
    double factor;
    qg_status status = parse_scale(scale, &factor, error);
    if (!status && is_folder && (out || scale))
        status = qg_fail(error, QG_ERROR_USAGE,
                         "%s is a study's folder, which says where it lies and its scale: --out "
                         "and --scale go with a study file",
                         name);
    if (!status)
        status = is_folder ? qg_study_open(name, study, error)
                           : qg_study_load(name, factor, study, error);
    if (status) return status;
    *folder =
        is_folder || out ? strdup(is_folder ? name : out) : qg_path_join("runs", (*study)->name);
    if (!*folder) return qg_fail_memory(error, "a path", strlen(name));
    return is_folder ? QG_OK : qg_study_take_looks(*study, *folder, error);
}
