/* What the readers of a study file share: fields with their messages, and lists that multiply. */
#ifndef QG_STUDY_READER_H
#define QG_STUDY_READER_H

#include <qgraft/study.h>

#include "base/yaml_tree.h"

typedef struct study_reader {
    qg_study *study;
    const char *name;    /* of the file, for messages */
    const qg_yaml *root; /* a mapping */
    qg_error *error;
} study_reader;

/* Fails with "FILE:LINE: " before the message; always QG_ERROR_USAGE. */
qg_status qg_study_fail(const study_reader *reader, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "FILE:LINE: " before the message that reader->error holds; its code. */
qg_status qg_study_locate(const study_reader *reader, int line);

/* Fails unless `node` is a mapping whose keys are all among `keys`, which ends with NULL; `what`
 * names the mapping. */
qg_status qg_study_check_keys(const study_reader *reader, const qg_yaml *node, const char *what,
                              const char *const *keys);

/* The fields of a mapping; each leaves *value as it was where the mapping has no such key. Texts
 * are borrowed from the tree. */
qg_status qg_study_text(const study_reader *reader, const qg_yaml *mapping, const char *key,
                        const char **value);
qg_status qg_study_count(const study_reader *reader, const qg_yaml *mapping, const char *key,
                         int64_t minimum, int64_t maximum, int64_t *value);
qg_status qg_study_real(const study_reader *reader, const qg_yaml *mapping, const char *key,
                        double *value);

/* `key`: a number n (seeds 1 ... n) or a list, given back in rising order in malloc'ed memory. */
qg_status qg_study_seeds(const study_reader *reader, const qg_yaml *mapping, const char *key,
                         uint64_t **seeds, int *count);

/* `count` with the study's scale: at least 1. */
int64_t qg_study_scaled(const qg_study *study, int64_t count);

enum { QG_MOST_LISTS = 16 }; /* of two items each: more than qg_run_variant_total allows */

/* One of the combinations of a mapping's lists: a mapping whose fields hold one value each. Its
 * items are borrowed from the tree, so nothing but qg_run_variant_free may free it. */
typedef struct qg_run_variant {
    qg_yaml mapping;
    /* The keys that had several values; of settings their names. */
    const char *multiplied[QG_MOST_LISTS];
    int multiplied_count;
} qg_run_variant;

/* How many combinations the lists in `mapping` make; a list stands for itself in `seeds`,
 * `also_evaluate` and `distill`, and in a `network` of layers. QG_ERROR_USAGE for an empty list or
 * too many combinations. */
qg_status qg_run_variant_total(const study_reader *reader, const qg_yaml *mapping, int64_t *total);

/* Combination number `index`, the last key changing first. */
qg_status qg_run_variant_make(const study_reader *reader, const qg_yaml *mapping, int64_t index,
                              qg_run_variant *variant);
void qg_run_variant_free(qg_run_variant *variant);

/* Adds a cleared element behind the last one of an array, whose pointer `array` points to; NULL: no
 * memory (reader->error says so). The array's room doubles when *count is a power of two. */
void *qg_study_append(const study_reader *reader, void *array, int *count, size_t size);

/* qg_study_load with another folder than the file's own for the file names in it; NULL: its own. */
qg_status qg_study_load_from(const char *path, const char *base, double scale, qg_study **study,
                             qg_error *error);

/* The parts of a study file, in the order in which they are read: sources make runs, listed runs
 * look for their sources and baselines, claims for the runs they speak of. */
qg_status qg_study_read_sources(const study_reader *reader);
qg_status qg_study_read_runs(const study_reader *reader);
qg_status qg_study_read_claims(const study_reader *reader);

/* `long_baseline`: adds trainings behind all others. */
qg_status qg_study_add_long_baselines(const study_reader *reader);

/* `verdicts`: by what rule they are found. */
qg_status qg_study_read_rule(const study_reader *reader);

/* Adds the measurements of games that the report needs, behind all runs. */
qg_status qg_study_add_measurements(const study_reader *reader);

/* Makes the tasks of all runs, with parents and hashes. */
qg_status qg_study_plan(const study_reader *reader);

/* `game` (which must be there) and `steps` of a mapping: run->game, resolved, and run->steps,
 * scaled; without `steps` those of the study, or the game's usual ones. */
qg_status qg_study_game_and_steps(const study_reader *reader, const qg_yaml *mapping,
                                  qg_study_run *run);

/* The preset that suits a game whose name is known to be right. */
const char *qg_study_preset_for(const char *game);

/* Preset, then the study's settings, then the mapping's own; scaled, with shorter evaluations where
 * `steps`, those of the run, are few. A mapping without `network` gets `network`, unless that is
 * NULL. */
qg_status qg_study_settings(const study_reader *reader, const qg_yaml *mapping, const char *game,
                            const char *network, int64_t steps, qg_settings *settings);

/* The same, checked as those of a training or graft (qg_settings_check). */
qg_status qg_study_training_settings(const study_reader *reader, const qg_yaml *mapping,
                                     const char *game, const char *network, int64_t steps,
                                     qg_settings *settings);

/* Whether the source of a graft, whose policy may be reused, can play the run's game, as far as
 * that is known; QG_ERROR_USAGE says why it cannot. */
qg_status qg_study_check_reuse(const qg_study *study, const qg_study_run *run, qg_error *error);

/* `also_evaluate` of a mapping, or the study's: run->also_evaluate, without the run's own game. */
qg_status qg_study_other_games(const study_reader *reader, const qg_yaml *mapping,
                               qg_study_run *run);

/* `from`, whose source is known, and what is copied how: makes *run a graft. */
qg_status qg_study_graft(const study_reader *reader, const qg_yaml *mapping, qg_study_run *run);

/* Of a study that is scaled down, whose settings shrink only so far: offline updates have as much
 * of the source's play as `learn_start` wants. */
void qg_study_keep_warm(const qg_study *study, qg_study_run *run);

/* Layers that the networks do not have or that do not fit, and what contradicts itself; the
 * settings are read. */
qg_status qg_study_check_graft(const study_reader *reader, const qg_yaml *mapping,
                               const qg_study_run *run);

/* qg_study_check_keys of a mapping that may be a graft: `keys`, at most 16, and what says how one
 * is made, beside `from`. */
qg_status qg_study_check_graft_keys(const study_reader *reader, const qg_yaml *mapping,
                                    const char *what, const char *const *keys);

/* The networks that a run whose settings are read, and a source, will have; false: not known. */
bool qg_study_run_network(const qg_study *study, const qg_study_run *run,
                          qg_architecture *architecture);
bool qg_study_source_network(const qg_study *study, const qg_study_source *source,
                             qg_architecture *architecture);

/* How many screens at a time a source sees; 0: not known. */
int qg_study_source_history(const qg_study *study, const qg_study_source *source);

/* `seeds` of a mapping, or those that the study has for such a run. */
qg_status qg_study_run_seeds(const study_reader *reader, const qg_yaml *mapping, qg_study_run *run);

/* Adds a run, or finds the one that is the same but for its seeds, which it then gets too; *index
 * is where it stands. `run` gives its memory away in either case. */
qg_status qg_study_add_run(const study_reader *reader, qg_study_run *run, int *index);

/* The source of that name, -1: none. */
int qg_study_find_source(const qg_study *study, const char *name);

#define QG_MOST_LOOKS 64

/* Gives all runs the seeds that follow from the looks, and plans anew: once for each study. */
qg_status qg_study_extend(qg_study *study, qg_error *error);

/* Frees what a source, a run or the looks hold. */
void qg_study_free_source(qg_study_source *source);
void qg_study_free_run(qg_study_run *run);
void qg_study_free_looks(qg_study_looks *looks);

/* The game that a source's network plays; its architecture as text. */
const char *qg_source_game(const qg_study *study, const qg_study_source *source);
const char *qg_source_network(const qg_study *study, const qg_study_source *source);

/* `text` with all but letters, digits, '.', '_' and '-' made '-', appended to an id; false when it
 * does not fit. */
bool qg_study_append_id(char id[QG_STUDY_NAME], const char *text);

#endif
