/* Preloaded before a program (LD_PRELOAD), kills it at the KILL_AT-th call that changes a file:
 * before it, after it, or, for a write, in its middle. For the tests of going on after a kill.
 * KILL_AT_COUNT names a file that gets the number of such calls when the program ends by itself. */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long calls;

static void kill_now(void)
{
    raise(SIGKILL);
}

/* Whether this is the call; if it is to die before it, it dies here. */
static int is_the_call(void)
{
    const char *text = getenv("KILL_AT"), *when = getenv("KILL_AT_WHEN");
    const long number = atomic_fetch_add(&calls, 1) + 1;
    if (!text || number != atol(text)) return 0;
    if (when && strcmp(when, "before") == 0) kill_now();
    return 1;
}

#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

ssize_t write(int file, const void *data, size_t size)
{
    typedef ssize_t function(int, const void *, size_t);
    const int the_call = is_the_call();
    const char *when = getenv("KILL_AT_WHEN");
    if (the_call && when && strcmp(when, "middle") == 0) size /= 2;
    const ssize_t result = REAL(function *, "write")(file, data, size);
    if (the_call) kill_now();
    return result;
}

#define INTERPOSE(name, parameters, arguments)                                                     \
    int name parameters                                                                            \
    {                                                                                              \
        typedef int function parameters;                                                           \
        const int the_call = is_the_call();                                                        \
        const int result = REAL(function *, #name) arguments;                                      \
        if (the_call) kill_now();                                                                  \
        return result;                                                                             \
    }

INTERPOSE(fsync, (int file), (file))
INTERPOSE(fdatasync, (int file), (file))
INTERPOSE(ftruncate, (int file, off_t size), (file, size))
INTERPOSE(rename, (const char *from, const char *to), (from, to))
INTERPOSE(unlink, (const char *path), (path))
INTERPOSE(unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
INTERPOSE(msync, (void *address, size_t size, int flags), (address, size, flags))
INTERPOSE(posix_fallocate, (int file, off_t begin, off_t size), (file, begin, size))
INTERPOSE(sync_file_range, (int file, off64_t begin, off64_t size, unsigned flags),
          (file, begin, size, flags))

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("KILL_AT_COUNT");
    FILE *out = path ? fopen(path, "w") : NULL;
    if (out) fprintf(out, "%ld\n", (long)calls);
    if (out) fclose(out);
}
