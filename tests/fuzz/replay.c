/* Stands in for libFuzzer where there is none: feeds a target with all files of its corpus, so that
 * what was found once is looked for in every test run. Usage: TARGET FOLDER */
#include "fuzz.h"

#include <dirent.h>

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static void feed(const char *path)
{
    FILE *file = fopen(path, "rb");
    CHECK(file && fseek(file, 0, SEEK_END) == 0);
    const long size = ftell(file);
    CHECK(size >= 0);
    rewind(file);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1); /* exact, for the sanitizer */
    CHECK(data && fread(data, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    DIR *folder = opendir(argv[1]);
    CHECK(folder);
    if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&argc, &argv);
    int files = 0;
    fuzz_taken = 0; /* what the target makes itself is none of the corpus */
    for (struct dirent *entry; (entry = readdir(folder)); files++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (entry->d_name[0] != '.') feed(path);
    }
    closedir(folder);
    CHECK(files > 2 && fuzz_taken > 0);
    return 0;
}
