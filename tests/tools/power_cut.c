/* Preloaded before a program (LD_PRELOAD, behind kill_at.so), notes what of the folder POWER_FOLDER
 * is on the disk for sure, so that a test can take away all else, as a loss of power may:
 * POWER_DISK gets a file KEY (inode and time of birth) with the content of each file at its last
 * fsync or fdatasync, and the file `folder-0` with a line "KEY NAME" for each entry at the last
 * fsync of the folder; `folder-1`, ... are the same after each rename or unlink since, any of which
 * may be on the disk. What is there at the start counts as on the disk. Its own calls are none of
 * those that kill_at.c counts. */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int disk = -1, folder = -1, states = 0; /* of the folder, noted since its last fsync */
static char folder_key[64];

static void fail(const char *what)
{
    perror(what);
    abort();
}

static mode_t find_key(int at, const char *name, char key[64])
{
    struct statx s;
    if (statx(at, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &s) !=
        0)
        return 0;
    snprintf(key, 64, "%llu-%lld.%u", (unsigned long long)s.stx_ino, (long long)s.stx_btime.tv_sec,
             s.stx_btime.tv_nsec);
    return s.stx_mode;
}

/* Under its name only when it is whole: another thread may be killed meanwhile. */
static int begin_entry(void)
{
    const int out = openat(disk, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0) fail("POWER_DISK");
    return out;
}

static void end_entry(int out, const char *name)
{
    if (close(out) != 0 || syscall(SYS_renameat2, disk, "new", disk, name, 0) != 0) fail(name);
}

static void remember_file(int at, const char *name, const char *key)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", at);
    const int in =
        *name ? openat(at, name, O_RDONLY | O_CLOEXEC) : open(path, O_RDONLY | O_CLOEXEC);
    if (in < 0) return;
    const int out = begin_entry();
    ssize_t sent;
    while ((sent = sendfile(out, in, NULL, 1 << 30)) > 0) {
    }
    if (sent < 0) fail(key);
    end_entry(out, key);
    close(in);
}

static void remember_contents(DIR *directory)
{
    char key[64];
    for (struct dirent *entry; (entry = readdir(directory));)
        if (S_ISREG(find_key(folder, entry->d_name, key)))
            remember_file(folder, entry->d_name, key);
    rewinddir(directory);
}

static void remember_folder(int contents)
{
    char key[64], name[32];
    const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (!directory) fail("POWER_FOLDER");
    if (contents) remember_contents(directory);
    const int out = begin_entry();
    for (struct dirent *entry; (entry = readdir(directory));)
        if (S_ISREG(find_key(folder, entry->d_name, key)))
            dprintf(out, "%s %s\n", key, entry->d_name);
    snprintf(name, sizeof name, "folder-%d", states++);
    end_entry(out, name);
    closedir(directory);
}

/* The folder is synced: what it was before cannot come back. */
static void sync_folder(void)
{
    char name[32];
    while (states > 0) {
        snprintf(name, sizeof name, "folder-%d", --states);
        if (states > 0) syscall(SYS_unlinkat, disk, name, 0); /* the first is replaced */
    }
    remember_folder(0);
}

static void change_folder(void)
{
    if (disk < 0) return;
    pthread_mutex_lock(&lock);
    remember_folder(0);
    pthread_mutex_unlock(&lock);
}

static void remember(int file)
{
    char key[64];
    if (disk < 0) return;
    pthread_mutex_lock(&lock);
    const mode_t mode = find_key(file, "", key);
    if (S_ISREG(mode)) remember_file(file, "", key);
    if (S_ISDIR(mode) && strcmp(key, folder_key) == 0) sync_folder();
    pthread_mutex_unlock(&lock);
}

#define INTERPOSE(name, parameters, arguments, noted)                                              \
    int name parameters                                                                            \
    {                                                                                              \
        typedef int function parameters;                                                           \
        const int result = ((function *)dlsym(RTLD_NEXT, #name))arguments;                         \
        if (result == 0) noted;                                                                    \
        return result;                                                                             \
    }

INTERPOSE(fsync, (int file), (file), remember(file))
INTERPOSE(fdatasync, (int file), (file), remember(file))
INTERPOSE(rename, (const char *from, const char *to), (from, to), change_folder())
INTERPOSE(unlink, (const char *path), (path), change_folder())
INTERPOSE(unlinkat, (int at, const char *path, int flags), (at, path, flags), change_folder())

__attribute__((constructor)) static void begin(void)
{
    const char *to = getenv("POWER_DISK"), *of = getenv("POWER_FOLDER");
    if (!to || !of) return;
    disk = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    folder = open(of, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk < 0 || folder < 0 || !find_key(folder, "", folder_key))
        fail("POWER_DISK, POWER_FOLDER");
    remember_folder(1);
}
