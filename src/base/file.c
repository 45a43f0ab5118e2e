#include "base/file.h"

#include "base/file_kind.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* Opens a regular file for reading. O_NONBLOCK keeps the open of a FIFO from waiting for a writer;
 * it has no effect on the regular files that pass. */
static qg_status open_regular(const char *path, int *descriptor, size_t *size, qg_error *error)
{
    int fd;
    do
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return qg_fail_errno(error, "%s: cannot open", path);
    struct stat status;
    if (fstat(fd, &status) != 0) {
        qg_fail_errno(error, "%s: cannot examine", path);
        close(fd);
        return error->code;
    }
    if (!S_ISREG(status.st_mode)) {
        close(fd);
        return qg_fail(error, QG_ERROR_IO, "%s: %s, not a regular file", path,
                       S_ISDIR(status.st_mode) ? "a folder" : "a device, pipe or socket");
    }
    *descriptor = fd;
    *size = (size_t)status.st_size;
    return QG_OK;
}

/* Up to `size` bytes, fewer only at the end of the file; -1 with errno. */
static ssize_t read_up_to(int descriptor, uint8_t *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t n = read(descriptor, data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

size_t qg_file_begin(const char *path, void *data, size_t size)
{
    int fd = -1;
    size_t whole = 0;
    qg_error ignored;
    if (open_regular(path, &fd, &whole, &ignored) != QG_OK) return 0;
    const ssize_t n = read_up_to(fd, data, size);
    close(fd);
    return n > 0 ? (size_t)n : 0;
}

/* People hand over another file sooner than one of the right kind that is too large. */
static qg_status fail_too_large(int descriptor, const char *path, size_t size, size_t limit,
                                qg_error *error)
{
    uint8_t begin[QG_FILE_KIND_BYTES];
    const ssize_t n = read_up_to(descriptor, begin, sizeof begin);
    const qg_file_kind kind = n > 0 ? qg_file_kind_of(begin, (size_t)n) : QG_FILE_OTHER;
    const char *mend = qg_file_kind_mend(kind);
    if (kind == QG_FILE_OTHER || qg_file_kind_is_text(kind))
        return qg_fail(error, QG_ERROR_DATA, "%s: too large (%zu bytes, at most %zu)", path, size,
                       limit);
    return qg_fail(error, QG_ERROR_DATA, "%s: too large (%zu bytes, at most %zu): it is %s%s%s",
                   path, size, limit, qg_file_kind_name(kind), mend ? ": " : "", mend ? mend : "");
}

qg_status qg_file_read(const char *path, size_t limit, uint8_t **data, size_t *size,
                       qg_error *error)
{
    assert(path && data && size);
    *data = NULL;
    *size = 0;
    int fd = -1;
    size_t expected = 0;
    if (open_regular(path, &fd, &expected, error) != QG_OK) return error->code;
    if (expected > limit || expected > SSIZE_MAX) {
        fail_too_large(fd, path, expected, limit, error);
        close(fd);
        return error->code;
    }
    uint8_t *buffer = malloc(expected + 1);
    if (!buffer) {
        close(fd);
        return qg_fail_memory(error, path, expected + 1);
    }
    const ssize_t n = read_up_to(fd, buffer, expected);
    if (n < 0)
        qg_fail_errno(error, "%s: cannot read", path);
    else if ((size_t)n < expected)
        qg_fail(error, QG_ERROR_IO, "%s: became shorter while it was read", path);
    close(fd);
    if (n < 0 || (size_t)n < expected) {
        free(buffer);
        return error->code;
    }
    buffer[expected] = 0;
    *data = buffer;
    *size = expected;
    return QG_OK;
}

qg_status qg_sha256_file(const char *path, char hex[65], qg_error *error)
{
    int fd = -1;
    size_t size = 0;
    if (open_regular(path, &fd, &size, error) != QG_OK) return error->code;
    SHA256_CTX context;
    SHA256_Init(&context);
    uint8_t buffer[1 << 15];
    ssize_t n;
    while ((n = read_up_to(fd, buffer, sizeof buffer)) > 0)
        SHA256_Update(&context, buffer, (size_t)n);
    if (n < 0) qg_fail_errno(error, "%s: cannot read", path);
    close(fd);
    if (n < 0) return error->code;
    SHA256_End(&context, hex);
    return QG_OK;
}

qg_status qg_file_write_all(int descriptor, const void *data, size_t size, const char *path,
                            qg_error *error)
{
    const uint8_t *bytes = data;
    while (size > 0) {
        const ssize_t n = write(descriptor, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO; /* no file system does this; it must not become an endless loop */
        if (n <= 0) return qg_fail_errno(error, "%s: cannot write", path);
        bytes += n;
        size -= (size_t)n;
    }
    return QG_OK;
}

int qg_file_sync(int descriptor, bool all)
{
    int result;
    do
        result = all ? fsync(descriptor) : fdatasync(descriptor);
    while (result != 0 && errno == EINTR);
    return result;
}

qg_status qg_file_append(int descriptor, const void *data, size_t size, const char *path,
                         qg_error *error)
{
    const off_t end = lseek(descriptor, 0, SEEK_END);
    if (end < 0) return qg_fail_errno(error, "%s: cannot write", path);
    if (qg_file_write_all(descriptor, data, size, path, error) == QG_OK) return QG_OK;
    if (ftruncate(descriptor, end) != 0) {
        /* Nothing better to report than the failed write, which stands in `error`. */
    }
    return error->code;
}

/* ---- Replacing a file ---- */

/* Where a path leads whose last part is not there: through links, of which there may be several. In
 * malloc'ed memory; NULL: errno. */
static char *follow_links(const char *path)
{
    char *at = strdup(path), text[PATH_MAX];
    for (ssize_t length; at && (length = readlink(at, text, sizeof text - 1)) >= 0;) {
        text[length] = 0;
        char *const slash = strrchr(at, '/');
        if (slash) slash[1] = 0;
        char *next;
        if (asprintf(&next, "%s%s", slash && *text != '/' ? at : "", text) < 0) next = NULL;
        free(at);
        at = next;
    }
    return at;
}

/* The file that a write to `path` means: links resolved, in malloc'ed memory; NULL: `error`. */
static char *resolve_target(const char *path, qg_error *error)
{
    char *target = realpath(path, NULL);
    if (!target && errno == ENOENT) target = follow_links(path); /* a new file */
    if (!target) {
        qg_fail_errno(error, "%s: cannot write", path);
        return NULL;
    }
    struct stat status;
    if (stat(target, &status) == 0 && !S_ISREG(status.st_mode)) {
        free(target);
        qg_fail(error, QG_ERROR_IO, "%s: %s, not replaced by a file", path,
                S_ISDIR(status.st_mode) ? "a folder" : "a device, pipe or socket");
        return NULL;
    }
    return target;
}

/* Creates TARGET.tmp-PID-N. Not mkstemp: its files are private (mode 0600), whatever the umask. */
static int create_temporary(const char *target, char **name)
{
    for (int n = 0; n < 100; n++) {
        if (asprintf(name, "%s.tmp-%ld-%d", target, (long)getpid(), n) < 0) {
            *name = NULL;
            errno = ENOMEM;
            return -1;
        }
        const int fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) return fd;
        const int saved = errno;
        free(*name);
        *name = NULL;
        errno = saved;
        /* Left by a killed process that had the same number, or another thread is at it. */
        if (errno != EEXIST && errno != EINTR) return -1;
    }
    return -1;
}

/* Makes the rename survive a loss of power. File systems that cannot do it, and folders that we may
 * write but not read, are no failure of the write. */
static qg_status sync_folder_of(const char *target, const char *path, qg_error *error)
{
    char *folder = strdup(target);
    if (!folder) return qg_fail_memory(error, path, strlen(target) + 1);
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder ? 1 : 0] = 0;
    const int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0) return QG_OK;
    qg_status status = QG_OK;
    if (qg_file_sync(fd, true) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        status = qg_fail_errno(error, "%s: written, but cannot sync its folder", path);
    close(fd);
    return status;
}

static qg_status write_temporary(int fd, const qg_piece *pieces, size_t count, const char *path,
                                 qg_error *error)
{
    qg_status status = QG_OK;
    for (size_t i = 0; i < count && status == QG_OK; i++)
        status = qg_file_write_all(fd, pieces[i].data, pieces[i].size, path, error);
    if (status == QG_OK && qg_file_sync(fd, true) != 0)
        status = qg_fail_errno(error, "%s: cannot sync", path);
    /* Network file systems report a full disk here. */
    if (close(fd) != 0 && status == QG_OK && errno != EINTR)
        status = qg_fail_errno(error, "%s: cannot write", path);
    return status;
}

qg_status qg_file_replace(const char *path, const qg_piece *pieces, size_t count, qg_error *error)
{
    assert(path && (pieces || count == 0));
    char *target = resolve_target(path, error), *temporary = NULL;
    if (!target) return error->code;
    const int fd = create_temporary(target, &temporary);
    if (fd < 0) {
        qg_fail_errno(error, "%s: cannot create", path);
        free(target);
        return error->code;
    }
    qg_status status = write_temporary(fd, pieces, count, path, error);
    if (status == QG_OK && rename(temporary, target) != 0)
        status = qg_fail_errno(error, "%s: cannot replace", path);
    if (status == QG_OK)
        status = sync_folder_of(target, path, error);
    else
        unlink(temporary);
    free(temporary);
    free(target);
    return status;
}

/* ---- Folders ---- */

int qg_file_reserve(int descriptor, size_t begin, size_t bytes)
{
    struct statvfs disk;
    if (fstatvfs(descriptor, &disk) == 0 &&
        (double)bytes > (double)disk.f_bavail * (double)disk.f_frsize)
        return ENOSPC;
    int problem;
    do
        problem = posix_fallocate(descriptor, (off_t)begin, (off_t)bytes);
    while (problem == EINTR);
    return problem;
}

/* Creates `path` (changed while it works, but given back as it was), parents first where the
 * system asks for them: an existing parent that we may not even look at is no obstacle. */
static int create_folders(char *path)
{
    if (mkdir(path, 0777) == 0) return 0;
    if (errno == EEXIST) {
        struct stat status;
        if (stat(path, &status) != 0) return -1;
        if (S_ISDIR(status.st_mode)) return 0;
        errno = ENOTDIR;
        return -1;
    }
    char *slash = strrchr(path, '/');
    if (errno != ENOENT || !slash || slash == path) return -1;
    *slash = 0;
    const int parent = create_folders(path);
    *slash = '/';
    if (parent != 0) return -1;
    return mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : -1;
}

qg_status qg_folder_create(const char *path, qg_error *error)
{
    assert(path);
    char *copy = strdup(path);
    if (!copy) return qg_fail_memory(error, path, strlen(path) + 1);
    for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
        copy[n - 1] = 0;
    const int result = create_folders(copy);
    if (result != 0) qg_fail_errno(error, "%s: cannot create the folder", path);
    free(copy);
    return result == 0 ? QG_OK : error->code;
}

qg_status qg_folder_refuse_links(const char *folder, const char *allowed, qg_error *error)
{
    qg_status status = QG_OK;
    DIR *directory = opendir(folder);
    if (!directory)
        return errno == ENOENT ? QG_OK : qg_fail_errno(error, "%s: cannot read", folder);
    for (struct dirent *entry; !status && (entry = readdir(directory));) {
        struct stat found;
        if (!(allowed && strcmp(entry->d_name, allowed) == 0) &&
            fstatat(dirfd(directory), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISLNK(found.st_mode))
            status = qg_fail(error, QG_ERROR_DATA,
                             "%s/%s: a link, through which a run would write elsewhere; remove it",
                             folder, entry->d_name);
    }
    closedir(directory);
    return status;
}

char *qg_path_join(const char *folder, const char *name)
{
    assert(folder && name);
    const size_t n = strlen(folder);
    char *path;
    if (asprintf(&path, "%s%s%s", folder, n > 0 && folder[n - 1] == '/' ? "" : "/", name) < 0)
        return NULL;
    return path;
}

/* ---- The lock of a folder ---- */

static qg_status fail_busy(int fd, const char *folder, qg_error *error)
{
    char owner[128];
    const ssize_t n = pread(fd, owner, sizeof owner - 1, 0);
    owner[n > 0 ? n : 0] = 0;
    char *end = strchr(owner, '\n');
    if (end) *end = 0;
    char *host = strchr(owner, ' ');
    if (!host) return qg_fail(error, QG_ERROR_BUSY, "%s: in use by another process", folder);
    *host++ = 0;
    return qg_fail(error, QG_ERROR_BUSY, "%s: in use by process %s on %s; wait for it or stop it",
                   folder, owner, host);
}

static qg_status write_owner(int fd, const char *path, qg_error *error)
{
    char host[65] = "", owner[128];
    gethostname(host, sizeof host - 1);
    const int n = snprintf(owner, sizeof owner, "%ld %s\n", (long)getpid(), host);
    if (ftruncate(fd, 0) != 0) return qg_fail_errno(error, "%s: cannot write", path);
    return qg_file_write_all(fd, owner, (size_t)n, path, error);
}

static qg_status lock_file(const char *path, const char *folder, int *descriptor, qg_error *error)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0666);
    if (fd < 0) return qg_fail_errno(error, "%s: cannot open", path);
    int result;
    /* Somebody who only looks (qg_folder_is_locked) holds it for a moment: not worth a refusal. */
    for (int tries = 0; (result = flock(fd, LOCK_EX | LOCK_NB)) != 0 && tries < 20; tries++)
        if (errno == EWOULDBLOCK)
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        else if (errno != EINTR)
            break;
    qg_status status = QG_OK;
    if (result != 0 && errno == EWOULDBLOCK)
        status = fail_busy(fd, folder, error);
    else if (result != 0)
        status = qg_fail_errno(error, "%s: cannot lock", path);
    else
        status = write_owner(fd, path, error);
    if (status == QG_OK)
        *descriptor = fd;
    else
        close(fd);
    return status;
}

qg_status qg_lock_folder(const char *folder, qg_lock *lock, qg_error *error)
{
    assert(folder && lock);
    lock->descriptor = -1;
    char *path = qg_path_join(folder, "lock");
    if (!path) return qg_fail_memory(error, folder, strlen(folder) + 6);
    const qg_status status = lock_file(path, folder, &lock->descriptor, error);
    free(path);
    return status;
}

bool qg_folder_is_locked(const char *folder)
{
    char *const path = qg_path_join(folder, "lock");
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
    free(path);
    if (fd < 0) return false;
    const bool locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd); /* gives a lock back, too */
    return locked;
}

void qg_unlock_folder(qg_lock *lock)
{
    if (lock->descriptor < 0) return;
    if (ftruncate(lock->descriptor, 0) != 0) {
        /* The owner's name stays in the file; the lock is free all the same. */
    }
    flock(lock->descriptor, LOCK_UN); /* a forked child may still have the descriptor open */
    close(lock->descriptor);
    lock->descriptor = -1;
}
