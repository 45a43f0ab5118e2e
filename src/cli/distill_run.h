/* A distillation for people: its progress and its result. */
#ifndef QG_DISTILL_RUN_H
#define QG_DISTILL_RUN_H

#include "cli/train_arguments.h"

#include <qgraft/distillation.h>

/* Distils with progress and prints the result; the exit code. Of the arguments count those about
 * what is printed. */
int distill_run(const train_arguments *arguments, const qg_distillation_options *options);

#endif
