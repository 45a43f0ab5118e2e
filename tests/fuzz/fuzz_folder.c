/* Feeds the readers of the small files in a study's folder, and lets them prepare a task: nothing
 * beside the folder may change. */
#include "fuzz.h"

#include <qgraft/slurm.h>
#include "study/task_folder.h"

#include <dirent.h>
#include <limits.h>

static const char text[] = "study: small\nseeds: 1\nsteps: 100\nruns:\n"
                           "  - game: minatar/breakout\n    name: one\n";
static const char *const names[] = {"study/study.json", "study/runs/one/s1/task.json",
                                    "study/runs/one/s1/progress.json", "study/slurm.json",
                                    "study/looks.json"};
static qg_study *small;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    qg_error error;
    make_scratch();
    setenv("PATH", "/nonexistent", 1); /* no command of Slurm is called */
    scratch_write(scratch_path("small.yaml"), text, strlen(text));
    CHECK(qg_study_load(scratch_path("small.yaml"), 1, &small, &error) == QG_OK);
    unlink(scratch_path("small.yaml"));
    return 0;
}

static void check_neighbours(void)
{
    DIR *folder = opendir(scratch);
    CHECK(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        CHECK(entry->d_name[0] == '.' || strcmp(entry->d_name, "study") == 0);
    closedir(folder);
}

static void use(const qg_study *study, const char *folder)
{
    qg_error error;
    bool submitted;
    qg_task_status *statuses = calloc((size_t)study->task_count, sizeof *statuses);
    qg_slurm_state *states = calloc((size_t)study->task_count, sizeof *states);
    CHECK(statuses && states);
    check_said(qg_study_look(study, folder, statuses, &error), &error);
    for (int t = 0; t < study->task_count; t++)
        CHECK(statuses[t].step >= 0 && statuses[t].steps >= 0);
    check_said(qg_slurm_states(study, folder, &submitted, states, &error), &error);
    const qg_status prepared = qg_task_prepare(study, 0, folder, &error);
    check_said(prepared, &error);
    if (!prepared) check_said(qg_task_note(study, 0, folder, &statuses[0], &error), &error);
    free(statuses);
    free(states);
}

/* The first byte says which file the rest is. runs/stale/one-s1- is there for a hash that begins
 * with
 * "/../", which would lead through it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    char folder[PATH_MAX]; /* scratch_path serves a few calls only */
    snprintf(folder, sizeof folder, "%s", scratch_path("study"));
    const size_t name = data[0] % (sizeof names / sizeof *names);
    qg_error error;
    nftw(folder, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
    CHECK(mkdir(folder, 0755) == 0 && qg_study_save(small, folder, &error) == QG_OK);
    CHECK(mkdir(scratch_path("study/runs"), 0755) == 0 &&
          mkdir(scratch_path("study/runs/one"), 0755) == 0 &&
          mkdir(scratch_path("study/runs/one/s1"), 0755) == 0 &&
          mkdir(scratch_path("study/runs/stale"), 0755) == 0 &&
          mkdir(scratch_path("study/runs/stale/one-s1-"), 0755) == 0);
    scratch_write(scratch_path(names[name]), data + 1, size - 1);
    qg_study *study;
    const qg_status status = qg_study_open(folder, &study, &error);
    check_said(status, &error);
    CHECK(name == 0 || name == 4 || status == QG_OK); /* its own head is good */
    if (status == QG_OK) use(study, folder);
    qg_study_free(study);
    check_neighbours();
    return 0;
}
