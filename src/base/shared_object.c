#include "base/shared_object.h"

#include "base/file_kind.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Whether the file lacks some of what its header says is to be mapped. False, too, for what is no
 * shared object of this machine: the dynamic linker says what is wrong with that. */
static bool is_cut_off(FILE *file, size_t size)
{
    ElfW(Ehdr) header;
    if (fread(&header, sizeof header, 1, file) != 1 ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(ElfW(Phdr)) ||
        header.e_phoff > size || fseek(file, (long)header.e_phoff, SEEK_SET) != 0)
        return false;
    for (int i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) segment;
        if (fread(&segment, sizeof segment, 1, file) != 1) return true;
        if (segment.p_type == PT_LOAD &&
            (segment.p_offset > size || segment.p_filesz > size - segment.p_offset))
            return true;
    }
    return false;
}

/* What the dynamic linker says of a file that is something else ("invalid ELF header") helps
 * nobody. */
static qg_status check_kind(const char *path, FILE *file, qg_error *error)
{
    char begin[QG_FILE_KIND_BYTES];
    rewind(file);
    const qg_file_kind kind = qg_file_kind_of(begin, fread(begin, 1, sizeof begin, file));
    if (kind == QG_FILE_OTHER || kind == QG_FILE_PROGRAM) return QG_OK;
    const bool source = qg_file_kind_is_text(kind) || kind == QG_FILE_ARCHIVE;
    return qg_fail_kind(error, QG_ERROR_DATA, path, "a shared object", kind,
                        source ? "make one of it: cc -shared -fPIC (docs/api.md)" : NULL);
}

static qg_status check_file(const char *path, qg_error *error)
{
    struct stat info;
    if (stat(path, &info) != 0) return qg_fail_errno(error, "%s", path);
    if (!S_ISREG(info.st_mode)) return qg_fail(error, QG_ERROR_DATA, "%s: not a file", path);
    FILE *file = fopen(path, "rbe");
    if (!file) return qg_fail_errno(error, "%s", path);
    const bool cut_off = is_cut_off(file, (size_t)info.st_size);
    const qg_status status = check_kind(path, file, error);
    fclose(file);
    if (status != QG_OK) return status;
    if (cut_off)
        return qg_fail(error, QG_ERROR_DATA, "%s: cannot be loaded: cut off at %lld bytes", path,
                       (long long)info.st_size);
    return QG_OK;
}

/* The dynamic linker's words without the path that they begin with. */
static qg_status fail_link(const char *path, qg_error *error)
{
    const char *words = dlerror();
    if (!words) words = "the dynamic linker does not say why";
    const char *colon = strstr(words, ": ");
    if (colon && words[0] != '/' && words[0] != '.') colon = NULL;
    return qg_fail(error, QG_ERROR_DATA, "%s: cannot be loaded: %s", path,
                   colon ? colon + 2 : words);
}

qg_status qg_shared_object_open(const char *path, void **handle, qg_error *error)
{
    const qg_status status = check_file(path, error);
    if (status != QG_OK) return status;
    char *absolute = realpath(path, NULL); /* a bare name would be searched for elsewhere */
    if (!absolute) return qg_fail_errno(error, "%s", path);
    *handle = dlopen(absolute, RTLD_NOW | RTLD_LOCAL);
    free(absolute);
    return *handle ? QG_OK : fail_link(path, error);
}
