/* What is said of an option that a command does not have, the one that does it here, if it is known
 * by another program's name, or the nearest one; and of one that lacks its value, has one too many,
 * or is cut short so that it may be several. getopt would say it in two lines. */
#ifndef QG_BAD_OPTION_H
#define QG_BAD_OPTION_H

#include "cli/cli.h"

/* Looks at the words of a command as getopt does. True: one of them is no option that the command
 * can take, and `error` says why. */
bool cli_find_bad_option(const struct argp *argp, int argc, char **argv, qg_error *error);

#endif
