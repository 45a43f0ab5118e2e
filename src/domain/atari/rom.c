/* The check of a ROM before the emulator sees it. */
#include "domain/atari/rom.h"

#include "base/file.h"
#include "base/file_kind.h"

#include <errno.h>
#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LARGEST_ROM (64 * 1024) /* the largest of the known ones has 16 KiB */

/* Of a file that is not the ROM: what it `has`, and what it is where that is known. */
static qg_status fail_other_file(const char *path, const char *game, const char *md5,
                                 const char *has, qg_error *error)
{
    char begin[QG_FILE_KIND_BYTES], is[256] = "";
    const qg_file_kind kind = qg_file_kind_of(begin, qg_file_begin(path, begin, sizeof begin));
    const char *mend = qg_file_kind_mend(kind);
    if (kind != QG_FILE_OTHER)
        snprintf(is, sizeof is, ", is %s%s%s", qg_file_kind_name(kind), mend ? ": " : "",
                 mend ? mend : "");
    return qg_fail(error, QG_ERROR_DATA, "%.200s: %s%s; expected the ROM of %s with MD5 %s", path,
                   has, is, game, md5);
}

qg_status qg_rom_check(const char *path, const char *game, const char *md5, qg_error *error)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return qg_fail(error, QG_ERROR_IO,
                       "no ROM of %s: %.200s: %s: run 'make atari' or set QGRAFT_ATARI", game, path,
                       strerror(errno));
    if (!S_ISREG(info.st_mode))
        return qg_fail(error, QG_ERROR_DATA,
                       "%.200s: is not a file; expected the ROM of %s with MD5 %s", path, game,
                       md5);
    char has[128];
    if (info.st_size == 0 || info.st_size > LARGEST_ROM) {
        snprintf(has, sizeof has, "has %lld bytes", (long long)info.st_size);
        return fail_other_file(path, game, md5, has, error);
    }
    uint8_t *data;
    size_t size;
    const qg_status status = qg_file_read(path, LARGEST_ROM, &data, &size, error);
    if (status != QG_OK) return status;
    MD5_CTX context;
    char found[MD5_DIGEST_STRING_LENGTH];
    MD5Init(&context);
    MD5Update(&context, data, size);
    MD5End(&context, found);
    free(data);
    if (strcmp(found, md5) == 0) return QG_OK;
    snprintf(has, sizeof has, "has %zu bytes and MD5 %s", size, found);
    return fail_other_file(path, game, md5, has, error);
}
