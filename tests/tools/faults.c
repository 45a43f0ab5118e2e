/* Preloaded before a program (LD_PRELOAD), lets one call fail as memory, disks and signals do.
 *
 *   FAULT        memory: the call gives no memory; ENOSPC, EIO, EINTR: a call on files fails so;
 *                short: a read or write moves half of what it could; clock: each look at the wall
 *                clock finds it a day further back
 *   FAULT_AT     the number of the call, from 1, counted among those of its kind
 *   FAULT_LASTS  set: all calls after it fail, too
 *   FAULT_IN     to which command of qgraft all this applies: its name, or the argument behind it
 *   FAULT_COUNT  a file that gets the numbers of calls for memory and on files
 *
 * A short read or write is one of regular files only: pipes are left alone. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

/* Glibc's own, which need no dlsym (that may allocate). */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool active, memory, lasts, is_short, backwards;
static int problem; /* of a call on files */
static long at;
static atomic_long memory_calls, file_calls;

static bool is_our_command(void)
{
    const char *wanted = getenv("FAULT_IN");
    char line[4096];
    if (!wanted) return true;
    FILE *file = fopen("/proc/self/cmdline", "r");
    const size_t size = file ? fread(line, 1, sizeof line - 1, file) : 0;
    if (file) fclose(file);
    line[size] = 0;
    const char *word = line, *const end = line + size;
    for (int i = 0; i < 2; i++) {
        word += strlen(word) + 1;
        if (word >= end) return false;
        if (strcmp(word, wanted) == 0) return true;
    }
    return false;
}

__attribute__((constructor)) static void begin(void)
{
    const char *fault = getenv("FAULT"), *number = getenv("FAULT_AT");
    if (!is_our_command()) return;
    at = number ? atol(number) : 0;
    lasts = getenv("FAULT_LASTS") != NULL;
    memory = fault && strcmp(fault, "memory") == 0;
    backwards = fault && strcmp(fault, "clock") == 0;
    is_short = fault && strcmp(fault, "short") == 0;
    if (fault && strcmp(fault, "ENOSPC") == 0) problem = ENOSPC;
    if (fault && strcmp(fault, "EIO") == 0) problem = EIO;
    if (fault && strcmp(fault, "EINTR") == 0) problem = EINTR;
    active = true;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = active ? getenv("FAULT_COUNT") : NULL;
    active = false;
    FILE *out = path ? fopen(path, "w") : NULL;
    if (out) fprintf(out, "%ld %ld\n", (long)memory_calls, (long)file_calls);
    if (out) fclose(out);
}

/* Counts a call, and says whether it is one that meets its fault. */
static bool is_the_call(atomic_long *calls)
{
    if (!active) return false;
    const long number = atomic_fetch_add(calls, 1) + 1;
    return at > 0 && (number == at || (lasts && number > at));
}

/* ------------------------------------------------------------------------------- memory */

static bool lacks_memory(void)
{
    if (!is_the_call(&memory_calls) || !memory) return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return lacks_memory() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return lacks_memory() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return lacks_memory() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return lacks_memory() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **place, size_t alignment, size_t size)
{
    if (lacks_memory()) return ENOMEM;
    *place = __libc_memalign(alignment, size);
    return *place ? 0 : ENOMEM;
}

void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    typedef void *function(void *, size_t, int, int, int, off_t);
    return lacks_memory()
               ? MAP_FAILED
               : REAL(function *, "mmap")(address, size, protection, flags, file, offset);
}

/* -------------------------------------------------------------------------------- files */

static bool fails(void)
{
    if (!is_the_call(&file_calls) || !problem) return false;
    errno = problem;
    return true;
}

static bool is_regular(int file)
{
    struct stat status;
    return fstat(file, &status) == 0 && S_ISREG(status.st_mode);
}

/* A call that moves bytes: it may fail, or be cut short. */
static bool meets(int file, size_t *size)
{
    if (!is_regular(file) || !is_the_call(&file_calls)) return false;
    errno = problem;
    if (is_short && *size > 1) *size /= 2;
    return problem != 0;
}

ssize_t write(int file, const void *data, size_t size)
{
    typedef ssize_t function(int, const void *, size_t);
    return meets(file, &size) ? -1 : REAL(function *, "write")(file, data, size);
}

ssize_t read(int file, void *data, size_t size)
{
    typedef ssize_t function(int, void *, size_t);
    return meets(file, &size) ? -1 : REAL(function *, "read")(file, data, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset)
{
    typedef ssize_t function(int, const void *, size_t, off_t);
    return meets(file, &size) ? -1 : REAL(function *, "pwrite")(file, data, size, offset);
}

ssize_t pread(int file, void *data, size_t size, off_t offset)
{
    typedef ssize_t function(int, void *, size_t, off_t);
    return meets(file, &size) ? -1 : REAL(function *, "pread")(file, data, size, offset);
}

int open(const char *path, int flags, ...)
{
    typedef int function(const char *, int, ...);
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails() ? -1 : REAL(function *, "open")(path, flags, mode);
}

#define INTERPOSE(name, parameters, arguments)                                                     \
    int name parameters                                                                            \
    {                                                                                              \
        typedef int function parameters;                                                           \
        return fails() ? -1 : REAL(function *, #name) arguments;                                   \
    }

INTERPOSE(fsync, (int file), (file))
INTERPOSE(fdatasync, (int file), (file))
INTERPOSE(ftruncate, (int file, off_t size), (file, size))
INTERPOSE(rename, (const char *from, const char *to), (from, to))
INTERPOSE(mkdir, (const char *path, mode_t mode), (path, mode))
INTERPOSE(msync, (void *address, size_t size, int flags), (address, size, flags))

int posix_fallocate(int file, off_t start, off_t size)
{
    typedef int function(int, off_t, off_t);
    return fails() ? problem : REAL(function *, "posix_fallocate")(file, start, size);
}

FILE *tmpfile(void)
{
    typedef FILE *function(void);
    return fails() ? NULL : REAL(function *, "tmpfile")();
}

/* -------------------------------------------------------------------------------- clock */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    typedef int function(clockid_t, struct timespec *);
    static atomic_long looks;
    const int result = REAL(function *, "clock_gettime")(clock, now);
    if (active && backwards && clock == CLOCK_REALTIME)
        now->tv_sec -= 86400 * (atomic_fetch_add(&looks, 1) + 1);
    return result;
}

time_t time(time_t *place)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}
