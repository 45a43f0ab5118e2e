/* What is said of an option that a command does not have: the one that does it here, if it is known
 * by another program's name, or the nearest one. */
#ifndef QG_UNKNOWN_OPTION_H
#define QG_UNKNOWN_OPTION_H

#include "cli/cli.h"

/* Looks at the words of a command as getopt does. True: one of them is a long option that the
 * command lacks, and `error` says what there is instead. */
bool cli_find_unknown_option(const struct argp *argp, int argc, char **argv, qg_error *error);

#endif
