/* Files, folders and locks: what they do, and what they do when the system says no. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

static qg_error error;

static void assert_message(const char *path, const char *text)
{
    if (strncmp(error.message, path, strlen(path)) != 0 || !strstr(error.message, text))
        fail_msg("'%s' does not begin with '%s' and hold '%s'", error.message, path, text);
}

static void assert_content(const char *path, const char *text)
{
    uint8_t *data;
    size_t size;
    assert_int_equal(qg_file_read(path, 1 << 20, &data, &size, &error), QG_OK);
    assert_string_equal((char *)data, text);
    assert_int_equal(size, strlen(text));
    free(data);
}

static int files_in_scratch(void)
{
    DIR *folder = opendir(scratch);
    assert_non_null(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static qg_status replace(const char *path, const char *text)
{
    const qg_piece pieces[] = {{text, strlen(text) / 2},
                               {NULL, 0},
                               {text + strlen(text) / 2, strlen(text) - strlen(text) / 2}};
    return qg_file_replace(path, pieces, 3, &error);
}

/* ---- Reading ---- */

static void test_read(void **state)
{
    (void)state;
    const char *path = scratch_path("a");
    scratch_write(path, "", 0);
    assert_content(path, "");
    scratch_write(path, "hello", 5);
    assert_content(path, "hello");

    uint8_t *data;
    size_t size;
    assert_int_equal(qg_file_read(path, 5, &data, &size, &error), QG_OK);
    free(data);
    assert_int_equal(qg_file_read(path, 4, &data, &size, &error), QG_ERROR_DATA);
    assert_message(path, "5 bytes, at most 4");
    assert_null(data);
}

static void test_read_refuses(void **state)
{
    (void)state;
    uint8_t *data;
    size_t size;
    assert_int_equal(qg_file_read(scratch_path("none"), 9, &data, &size, &error), QG_ERROR_IO);
    assert_message(scratch, "No such file");
    assert_int_equal(qg_file_read(scratch, 9, &data, &size, &error), QG_ERROR_IO);
    assert_message(scratch, "folder");
    const char *fifo = scratch_path("fifo");
    assert_int_equal(mkfifo(fifo, 0666), 0);
    assert_int_equal(qg_file_read(fifo, 9, &data, &size, &error), QG_ERROR_IO); /* and no hang */
    assert_message(fifo, "pipe");
    assert_int_equal(qg_file_read("/dev/zero", 9, &data, &size, &error), QG_ERROR_IO);
    assert_message("/dev/zero", "not a regular file");
}

static void test_sparse_file_over_the_limit(void **state)
{
    (void)state;
    const char *path = scratch_path("sparse");
    scratch_write(path, "", 0);
    if (truncate(path, (off_t)1 << 42) != 0) skip(); /* not on every file system */
    uint8_t *data;
    size_t size;
    assert_int_equal(qg_file_read(path, 1 << 20, &data, &size, &error), QG_ERROR_DATA);
}

static void test_sha256(void **state)
{
    (void)state;
    char hex[65];
    const char *path = scratch_path("abc");
    scratch_write(path, "abc", 3); /* the example of FIPS 180 */
    assert_int_equal(qg_sha256_file(path, hex, &error), QG_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");

    char *million = malloc(1000000);
    assert_non_null(million);
    memset(million, 'a', 1000000);
    scratch_write(path, million, 1000000);
    free(million);
    assert_int_equal(qg_sha256_file(path, hex, &error), QG_OK);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");

    assert_int_equal(qg_sha256_file(scratch_path("none"), hex, &error), QG_ERROR_IO);
}

/* ---- Writing ---- */

static void test_replace(void **state)
{
    (void)state;
    const char *path = scratch_path("a");
    assert_int_equal(replace(path, "first"), QG_OK);
    assert_content(path, "first");
    assert_int_equal(replace(path, "second, and longer"), QG_OK);
    assert_content(path, "second, and longer");
    assert_int_equal(replace(path, ""), QG_OK);
    assert_content(path, "");
    assert_int_equal(files_in_scratch(), 1);

    struct stat status;
    const mode_t mask = umask(022);
    umask(mask);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0666 & ~mask);
}

static void test_replace_passes_a_left_temporary(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "a.tmp-%ld-0", (long)getpid());
    const char *left = scratch_path(name);
    scratch_write(left, "left", 4);
    assert_int_equal(replace(scratch_path("a"), "new"), QG_OK);
    assert_content(left, "left");
}

static void test_replace_follows_links(void **state)
{
    (void)state;
    const char *target = scratch_path("target"), *link = scratch_path("link");
    scratch_write(target, "old", 3);
    assert_int_equal(symlink("target", link), 0);
    assert_int_equal(replace(link, "new"), QG_OK);
    assert_content(target, "new");
    assert_int_equal(files_in_scratch(), 2);
    /* Also to what is not there yet, over several and relative to where each lies. */
    const char *folder = scratch_path("folder"), *far = scratch_path("far");
    assert_int_equal(mkdir(folder, 0777), 0);
    assert_int_equal(symlink("folder/near", far), 0);
    assert_int_equal(symlink("made", scratch_path("folder/near")), 0);
    assert_int_equal(replace(far, "made"), QG_OK);
    assert_content(scratch_path("folder/made"), "made");
    struct stat status;
    assert_true(lstat(far, &status) == 0 && S_ISLNK(status.st_mode));
}

static void test_replace_refuses(void **state)
{
    (void)state;
    const char *folder = scratch_path("folder"), *fifo = scratch_path("fifo");
    assert_int_equal(mkdir(folder, 0777), 0);
    assert_int_equal(replace(folder, "x"), QG_ERROR_IO);
    assert_message(folder, "folder");
    assert_int_equal(mkfifo(fifo, 0666), 0);
    assert_int_equal(replace(fifo, "x"), QG_ERROR_IO); /* as /dev/null would be */
    assert_message(fifo, "not replaced");
    assert_int_equal(replace(scratch_path("none/a"), "x"), QG_ERROR_IO);
    assert_message(scratch, "No such file");
    assert_int_equal(replace("", "x"), QG_ERROR_IO);
    assert_int_equal(files_in_scratch(), 2);
}

/* What is more than the disk takes nothing of it away from others, not for a moment. */
static void test_reserve(void **state)
{
    (void)state;
    const int file = open(scratch_path("reserved"), O_RDWR | O_CREAT, 0644);
    assert_true(file >= 0);
    struct stat status;
    assert_int_equal(qg_file_reserve(file, 0, (size_t)1 << 60), ENOSPC);
    assert_int_equal(fstat(file, &status), 0);
    assert_true(status.st_size == 0 && status.st_blocks == 0);
    assert_int_equal(qg_file_reserve(file, 4096, 8192), 0);
    assert_int_equal(fstat(file, &status), 0);
    assert_true(status.st_size == 12288 && status.st_blocks * 512 >= 8192);
    close(file);
}

static void test_replace_on_a_full_disk(void **state)
{
    (void)state;
    const char *path = scratch_path("a");
    assert_int_equal(replace(path, "old"), QG_OK);
    static char text[10000];
    memset(text, 'x', sizeof text - 1);
    scratch_limit(4096);
    const qg_status status = replace(path, text);
    scratch_limit(RLIM_INFINITY);
    assert_int_equal(status, QG_ERROR_IO);
    assert_message(path, "cannot write");
    assert_content(path, "old");
    assert_int_equal(files_in_scratch(), 1);
}

static void test_write_to_a_full_device(void **state)
{
    (void)state;
    const int fd = open("/dev/full", O_WRONLY);
    if (fd < 0) skip();
    assert_int_equal(qg_file_write_all(fd, "x", 1, "full", &error), QG_ERROR_IO);
    assert_message("full", "No space left");
    assert_int_equal(qg_file_write_all(fd, "", 0, "full", &error), QG_OK);
    close(fd);
}

static void test_append_takes_back(void **state)
{
    (void)state;
    const char *path = scratch_path("log");
    const int fd = open(path, O_WRONLY | O_CREAT, 0666);
    assert_int_equal(qg_file_append(fd, "one\n", 4, path, &error), QG_OK);
    scratch_limit(6);
    const qg_status status = qg_file_append(fd, "two\n", 4, path, &error);
    scratch_limit(RLIM_INFINITY);
    assert_int_equal(status, QG_ERROR_IO);
    assert_message(path, "cannot write");
    assert_int_equal(qg_file_append(fd, "three\n", 6, path, &error), QG_OK);
    close(fd);
    assert_content(path, "one\nthree\n");
}

/* ---- Folders ---- */

static void test_create_folders(void **state)
{
    (void)state;
    struct stat status;
    assert_int_equal(qg_folder_create(scratch_path("a//b/c/"), &error), QG_OK);
    assert_int_equal(stat(scratch_path("a/b/c"), &status), 0);
    assert_int_equal(qg_folder_create(scratch_path("a/b/c"), &error), QG_OK);
    assert_int_equal(qg_folder_create("/", &error), QG_OK);
    assert_int_equal(qg_folder_create(".", &error), QG_OK);

    scratch_write(scratch_path("file"), "", 0);
    assert_int_equal(qg_folder_create(scratch_path("file"), &error), QG_ERROR_IO);
    assert_message(scratch, "Not a directory");
    assert_int_equal(qg_folder_create(scratch_path("file/x"), &error), QG_ERROR_IO);
    assert_int_equal(symlink("nowhere", scratch_path("dangling")), 0);
    assert_int_equal(qg_folder_create(scratch_path("dangling/x"), &error), QG_ERROR_IO);
    assert_int_equal(qg_folder_create("", &error), QG_ERROR_IO);
}

static void test_path_join(void **state)
{
    (void)state;
    char *path = qg_path_join("a", "b");
    assert_string_equal(path, "a/b");
    free(path);
    path = qg_path_join("/", "b");
    assert_string_equal(path, "/b");
    free(path);
}

static void test_unwritable_folder(void **state)
{
    (void)state;
    /* For root every folder is writable; as nobody the test folder is not. */
    const uid_t uid = geteuid();
    if (uid == 0 && seteuid(65534) != 0) skip();
    if (uid != 0) assert_int_equal(chmod(scratch, 0555), 0);
    const qg_status written = replace(scratch_path("a"), "x");
    qg_lock lock;
    const qg_status locked = qg_lock_folder(scratch, &lock, &error);
    const qg_status created = qg_folder_create(scratch_path("b/c"), &error);
    if (uid == 0) assert_int_equal(seteuid(0), 0);
    if (uid != 0) assert_int_equal(chmod(scratch, 0755), 0);
    assert_int_equal(written, QG_ERROR_IO);
    assert_int_equal(locked, QG_ERROR_IO);
    assert_int_equal(lock.descriptor, -1);
    assert_int_equal(created, QG_ERROR_IO);
    assert_message(scratch, "Permission denied");
    assert_int_equal(files_in_scratch(), 0);
}

/* ---- The lock ---- */

/* A process that locks the test folder and then waits to be killed; returns when it has it. */
static pid_t fork_owner(void)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        qg_lock lock;
        const char done = qg_lock_folder(scratch, &lock, &error) == QG_OK ? 'y' : 'n';
        if (write(ready[1], &done, 1) != 1) _exit(1);
        for (;;)
            pause();
    }
    char done = 'n';
    assert_int_equal(read(ready[0], &done, 1), 1);
    assert_int_equal(done, 'y');
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void test_lock_between_processes(void **state)
{
    (void)state;
    const pid_t owner = fork_owner();
    qg_lock lock;
    assert_int_equal(qg_lock_folder(scratch, &lock, &error), QG_ERROR_BUSY);
    assert_int_equal(lock.descriptor, -1);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld on ", (long)owner);
    assert_message(scratch, pid);

    /* The lock goes with its owner; the file stays and is taken over. */
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    assert_int_equal(access(scratch_path("lock"), F_OK), 0);
    assert_int_equal(qg_lock_folder(scratch, &lock, &error), QG_OK);
    qg_lock second;
    assert_int_equal(qg_lock_folder(scratch, &second, &error), QG_ERROR_BUSY);
    qg_unlock_folder(&lock);
    assert_int_equal(lock.descriptor, -1);
    qg_unlock_folder(&lock); /* no harm */
    assert_content(scratch_path("lock"), "");
    assert_int_equal(qg_lock_folder(scratch, &second, &error), QG_OK);
    qg_unlock_folder(&second);
}

static void test_lock_text_is_not_trusted(void **state)
{
    (void)state;
    qg_lock lock, second;
    assert_int_equal(qg_lock_folder(scratch, &lock, &error), QG_OK);
    scratch_write(scratch_path("lock"), "\033[2J \033[31m", 10);
    assert_int_equal(qg_lock_folder(scratch, &second, &error), QG_ERROR_BUSY);
    assert_null(strchr(error.message, '\033'));
    scratch_write(scratch_path("lock"), "", 0);
    assert_int_equal(qg_lock_folder(scratch, &second, &error), QG_ERROR_BUSY);
    assert_message(scratch, "another process");
    qg_unlock_folder(&lock);
}

static void test_lock_outlives_neither_unlock_nor_fork(void **state)
{
    (void)state;
    qg_lock lock;
    assert_int_equal(qg_lock_folder(scratch, &lock, &error), QG_OK);
    const pid_t child = fork(); /* has the open descriptor, too */
    if (child == 0)
        for (;;)
            pause();
    qg_unlock_folder(&lock);
    const qg_status again = qg_lock_folder(scratch, &lock, &error);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(again, QG_OK);
    qg_unlock_folder(&lock);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read),
        TEST(test_read_refuses),
        TEST(test_sparse_file_over_the_limit),
        TEST(test_sha256),
        TEST(test_replace),
        TEST(test_replace_passes_a_left_temporary),
        TEST(test_replace_follows_links),
        TEST(test_replace_refuses),
        TEST(test_reserve),
        TEST(test_replace_on_a_full_disk),
        TEST(test_write_to_a_full_device),
        TEST(test_append_takes_back),
        TEST(test_create_folders),
        TEST(test_path_join),
        TEST(test_unwritable_folder),
        TEST(test_lock_between_processes),
        TEST(test_lock_text_is_not_trusted),
        TEST(test_lock_outlives_neither_unlock_nor_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
