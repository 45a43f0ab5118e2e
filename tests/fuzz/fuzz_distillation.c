/* Feeds the reader of a distillation's checkpoints, with checksums that fit, and teaches on from
 * what it takes. */
#include "checkpoint.h"

#include <qgraft/distillation.h>

#include <math.h>

static volatile sig_atomic_t stop;
static char teacher[300];

static const char settings[] =
    "network: [{\"conv\": 1, \"kernel\": 5, \"stride\": 5}]\nminibatch: 4\nlog_every: 16\n"
    "eval_every: 32\neval_steps: 12\nnoop_max: 2\n";

/* Stopped in the first lesson that is told of. */
static void note_progress(void *context, const qg_distillation_progress *progress)
{
    (void)context;
    stop = progress->phase == QG_PHASE_LEARNING && progress->done > 0;
}

static void make_teacher(void)
{
    qg_architecture architecture;
    qg_network network;
    qg_error error;
    qg_network_info info = {.domain = "minatar/breakout", .score = NAN, .history = 1};
    snprintf(teacher, sizeof teacher, "%s.teacher", scratch);
    CHECK(qg_architecture_make("[{\"conv\": 1, \"kernel\": 5, \"stride\": 5}]", 4, 10, 10, 1, 3,
                               &architecture, &error) == QG_OK);
    CHECK(qg_network_create(&architecture, &network, &error) == QG_OK);
    qg_network_initialise(&network, 1);
    CHECK(qg_network_save(teacher, &network, &info, &error) == QG_OK);
    qg_network_free(&network);
}

static void remove_teacher(void)
{
    unlink(teacher);
}

static void distill(bool resume)
{
    const char *const teachers[] = {teacher};
    qg_distillation_options options = {.run = {.seed = 1,
                                               .machine = {1, "portable"},
                                               .folder = scratch,
                                               .resume = resume,
                                               .stop = &stop},
                                       .teachers = teachers,
                                       .teacher_count = 1,
                                       .samples = 40,
                                       .epsilon = 0.05,
                                       .progress = resume ? NULL : note_progress};
    static qg_distillation_result result;
    qg_error error;
    CHECK(qg_settings_preset(&options.settings, "grid", &error) == QG_OK);
    CHECK(qg_settings_parse_yaml(&options.settings, "fuzz", settings, strlen(settings), &error) ==
          QG_OK);
    CHECK(qg_temperatures_parse("0.1:0.2:0.1", &options.temperatures, &error) == QG_OK);
    const qg_status status = qg_distill(&options, &result, &error);
    check_said(status, &error);
    CHECK(resume || status == QG_STOPPED);
    stop = 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    make_teacher();
    atexit(remove_teacher);
    distill(false);
    remember_folder();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int fits = 0; fits < 2; fits++) {
        put_back(data, size);
        write_checkpoint(data, size, fits);
        distill(true);
    }
    return 0;
}
