/* Feeds the reader of a training's checkpoints, with checksums that fit, and trains on from what it
 * takes; with priorities, whose memory holds all that one without them does and more. */
#include "checkpoint.h"

#include <qgraft/agent.h>

static volatile sig_atomic_t stop;

static const char settings[] =
    "network: [{\"conv\": 1, \"kernel\": 5, \"stride\": 5}]\nhistory: 1\nlearn_start: 30\n"
    "replay: 400\nminibatch: 4\nupdate_every: 16\ntarget_every: 40\nepsilon_steps: 200\n"
    "eval_every: 290\neval_steps: 12\nlog_every: 100\nvalidation_size: 2\nnoop_max: 2\n"
    "prioritised: true\nn_step: 2\n";

static void note_progress(void *context, const qg_progress *progress)
{
    (void)context;
    stop = progress->step >= 256; /* as in the corpus */
}

static void train(bool resume)
{
    qg_train_options options = {.run = {.seed = 1,
                                        .machine = {1, "portable"},
                                        .folder = scratch,
                                        .resume = resume,
                                        .stop = &stop},
                                .domain = "minatar/breakout",
                                .steps = 300,
                                .progress = resume ? NULL : note_progress};
    qg_run_result result;
    qg_error error;
    CHECK(qg_settings_preset(&options.settings, "grid", &error) == QG_OK);
    CHECK(qg_settings_parse_yaml(&options.settings, "fuzz", settings, strlen(settings), &error) ==
          QG_OK);
    const qg_status status = qg_train(&options, &result, &error);
    check_said(status, &error);
    CHECK(resume || status == QG_STOPPED);
    stop = 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    train(false);
    remember_folder();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int fits = 0; fits < 2; fits++) {
        put_back(data, size);
        write_checkpoint(data, size, fits);
        train(true);
    }
    return 0;
}
