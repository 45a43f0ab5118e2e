/* The options of training, shared by the commands that train: parsed as an argp child, then
 * resolved against the domain. */
#ifndef QG_TRAIN_ARGUMENTS_H
#define QG_TRAIN_ARGUMENTS_H

#include "cli/cli.h"
#include "cli/progress.h"

#include <qgraft/graft.h>

/* Options without a letter; a command's own begin at OPTION_TRAIN_END. */
enum {
    OPTION_CONFIG = 256,
    OPTION_PRESET,
    OPTION_ISA,
    OPTION_OVERWRITE,
    OPTION_JSON,
    OPTION_SETTINGS,
    OPTION_PROGRESS_FILE,
    OPTION_RESUME,
    OPTION_CHECKPOINT_MINUTES,
    OPTION_SNAPSHOT,
    OPTION_REPLAY_COMPRESSION,
    OPTION_KEEP_REPLAY,
    OPTION_ALSO_EVALUATE,
    OPTION_TRAIN_END,
};

/* Rows of an argp table: how any run is done, whatever it is. */
/* clang-format off */
#define RUN_OPTIONS \
    {"threads", 't', "N", 0, "threads (default: the usable cores for large screens, else 1)", 0}, \
    {"isa", OPTION_ISA, "NAME", 0, "instruction set: amx (bf16), avx512, avx2 or portable (default: the best)", 0}, \
    {"overwrite", OPTION_OVERWRITE, NULL, 0, "replace a run that is in the folder", 0}, \
    {"resume", OPTION_RESUME, NULL, 0, "go on with the run that is in the folder, if there is one", 0}, \
    {"checkpoint-minutes", OPTION_CHECKPOINT_MINUTES, "N", 0, \
     "minutes between two checkpoints at most (default 10)", 0}, \
    {"replay-compression", OPTION_REPLAY_COMPRESSION, "zstd|none", 0, \
     "how screens are kept; the results are the same (default: zstd)", 0}, \
    {"quiet", 'q', NULL, 0, "no progress", 0}, \
    {"progress-file", OPTION_PROGRESS_FILE, "FILE", 0, \
     "keep a line of JSON about the progress there", 0}, \
    {"json", OPTION_JSON, NULL, 0, "print the result as JSON", 0}
#define KEEP_REPLAY_OPTION \
    {"keep-replay", OPTION_KEEP_REPLAY, NULL, 0, \
     "keep a training's replay memory, as replay.data (see 'qgraft replay')", 0}
/* clang-format on */

/* As given; NULL: not given. --set and --config are applied after the preset is known, so they are
 * kept. */
typedef struct train_arguments {
    const char *domain, *config, *preset, *isa, *out, *steps, *seed, *threads, *progress_file;
    const char *checkpoint_minutes;
    int64_t snapshots[256];
    size_t snapshot_count;
    const char *also_evaluate[QG_MAX_OTHER_GAMES];
    int also_evaluate_count;
    const char *sets[256];
    size_t set_count;
    bool overwrite, resume, quiet, json, settings, plain_replay, keep_replay;
} train_arguments;

/* Takes one option into `arguments`; ARGP_ERR_UNKNOWN when it is none of training's. For commands
 * that list some of the options as their own. */
error_t train_parse_option(int key, char *text, struct argp_state *state,
                           train_arguments *arguments);

/* The options; give it a train_arguments as child input. Positional arguments are the parent's. */
extern const struct argp train_argp;

/* Preset, then `network` (NULL: the preset's), then the file, then each --set; a short run's
 * evaluations are shortened. train_read_settings leaves what comes of it to be checked. */
qg_status train_read_settings(const train_arguments *arguments, const char *network,
                              qg_settings *settings, qg_error *error);
qg_status train_resolve_settings(const train_arguments *arguments, const char *network,
                                 qg_settings *settings, qg_error *error);

/* Everything but the settings, which stay; `options` borrow from `arguments`. `folder` gets the
 * name of the default folder, runs/PREFIXDOMAIN-sSEED. */
qg_status train_resolve(const train_arguments *arguments, const char *prefix,
                        qg_train_options *options, char *folder, size_t size, qg_error *error);

/* What --settings asks for: every setting with its value, meaning and range; the exit code. */
int train_print_settings(const qg_settings *settings);

/* What trains: qg_train, with options of its own in `context`. */
typedef qg_status train_call(void *context, const qg_train_options *options, qg_run_result *result,
                             qg_error *error);

/* The call that grafts before: `context` is a qg_graft_options, whose `train` is passed over. */
train_call train_call_graft;

/* Trains with progress and prints the result; the exit code. `call` NULL: by qg_train itself. */
int train_run(const train_arguments *arguments, const qg_train_options *options, train_call *call,
              void *context);

#endif
