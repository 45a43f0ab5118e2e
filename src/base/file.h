/* Files: whole-file reads with a limit, writes that appear complete or not at all, and the lock of
 * a run folder. Every call handles EINTR and short reads and writes; every message begins with the
 * path. */
#ifndef QG_FILE_H
#define QG_FILE_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the whole regular file `path` (a FIFO, device or folder is refused, so that nothing hangs),
 * at most `limit` bytes (larger: QG_ERROR_DATA, which also says what it is if that is known). The
 * caller frees *data, which has one NUL byte behind its `*size` bytes. */
qg_status qg_file_read(const char *path, size_t limit, uint8_t **data, size_t *size,
                       qg_error *error);

/* The first bytes of a regular file, at most `size`: how many there are; 0, too, when it cannot be
 * read. What qg_file_kind_of is asked about where only the path is at hand. */
size_t qg_file_begin(const char *path, void *data, size_t size);

/* SHA-256 of a regular file in 64 lower-case hex digits, of any size, read piece by piece. */
qg_status qg_sha256_file(const char *path, char hex[65], qg_error *error);

/* A piece of a file to be written: gathered writes without joining the pieces first. */
typedef struct qg_piece {
    const void *data;
    size_t size;
} qg_piece;

/* Writes `path` anew: a temporary file in the same folder (PATH.tmp-PID-N), fsync, rename, fsync of
 * the folder. When it fails the old file is untouched and the temporary one is gone; the one
 * exception is a failed fsync of the folder, when the new file is there but may not survive a loss
 * of power. A symbolic link is followed; anything but a regular file (/dev/null, a folder) is
 * refused, as the rename would take its place. */
qg_status qg_file_replace(const char *path, const qg_piece *pieces, size_t count, qg_error *error);

/* Writes all of data to a file descriptor; `path` is for the message only. */
qg_status qg_file_write_all(int descriptor, const void *data, size_t size, const char *path,
                            qg_error *error);

/* Waits until what was written is on the disk, whatever signals come; without `all` only the data
 * and what is needed to read it (fdatasync). 0, or -1 with errno. */
int qg_file_sync(int descriptor, bool all);

/* Writes all of data to the end of a file, or, when that fails (a full disk), takes back what it
 * wrote, so that a later record does not follow half of an earlier one. */
qg_status qg_file_append(int descriptor, const void *data, size_t size, const char *path,
                         qg_error *error);

/* Gives the bytes from `begin` on their places on the disk (posix_fallocate), so that no later
 * write into them lacks room: 0 or an errno. What the disk has no room for is refused before it is
 * begun: the call would fill the disk first, for everybody who writes at that moment. */
int qg_file_reserve(int descriptor, size_t begin, size_t bytes);

/* Creates the folder and its parents where they do not exist. */
qg_status qg_folder_create(const char *path, qg_error *error);

/* QG_ERROR_DATA when the folder holds a symbolic link, but for one called `allowed` (NULL: none): a
 * file of that name would be written where it leads. For folders in which only we make files; one
 * that is not there holds none. */
qg_status qg_folder_refuse_links(const char *folder, const char *allowed, qg_error *error);

/* "FOLDER/NAME" in malloc'ed memory, NULL when there is none. */
char *qg_path_join(const char *folder, const char *name);

/* The lock of a folder: the file `lock` in it, held with flock by an open descriptor, so that a
 * killed process leaves no stale lock; it holds the owner's pid and host for messages. The file
 * stays when the lock is given back (to remove it would race with the next owner), but empty. */
typedef struct qg_lock {
    int descriptor; /* -1: not held */
} qg_lock;

/* QG_ERROR_BUSY with the pid of the owner when another process holds the folder; lock->descriptor
 * is -1 after every failure. The lock is not passed on through exec. */
qg_status qg_lock_folder(const char *folder, qg_lock *lock, qg_error *error);
bool qg_folder_is_locked(const char *folder); /* whether a process holds its lock at the moment */
void qg_unlock_folder(qg_lock *lock);         /* a lock that is not held is allowed */

#endif
