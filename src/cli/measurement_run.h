/* A measurement for people: its progress and its result. */
#ifndef QG_MEASUREMENT_RUN_H
#define QG_MEASUREMENT_RUN_H

#include "cli/train_arguments.h"

#include <qgraft/run_file.h>

/* Does the measurement of a run file with progress and prints the result; the exit code. Of the
 * arguments count those about what is printed. */
int measurement_run(const train_arguments *arguments, const qg_run_file *file,
                    const qg_run_options *options);

#endif
