/* The check of a ROM before the emulator sees it. */
#include "domain/atari/rom.h"

#include "base/file.h"

#include <errno.h>
#include <md5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LARGEST_ROM (64 * 1024) /* the largest of the known ones has 16 KiB */

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
    if (info.st_size == 0 || info.st_size > LARGEST_ROM)
        return qg_fail(error, QG_ERROR_DATA,
                       "%.200s: has %lld bytes; expected the ROM of %s with MD5 %s", path,
                       (long long)info.st_size, game, md5);

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
    if (strcmp(found, md5) != 0)
        return qg_fail(error, QG_ERROR_DATA,
                       "%.200s: has %zu bytes and MD5 %s; expected the ROM of %s with MD5 %s", path,
                       size, found, game, md5);
    return QG_OK;
}
