/* What the commands share: their list, error output, tables, Ctrl-C.
 *
 * A command is one file with one function cmd_NAME(argc, argv), argv[0] being "qgraft NAME", that
 * returns the exit code: 0, 1 (failed) or 2 (wrong usage). A new command is its file, its
 * declaration here and its row in main.c. */
#ifndef QG_CLI_H
#define QG_CLI_H

#include <qgraft/agent.h>
#include <qgraft/settings.h>

#include <argp.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

int cmd_bench(int argc, char **argv);
int cmd_diagnose(int argc, char **argv);
int cmd_distill(int argc, char **argv);
int cmd_games(int argc, char **argv);
int cmd_evaluate(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_graft(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_perform(int argc, char **argv);
int cmd_play(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_rollout(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_similarity(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_stitch(int argc, char **argv);
int cmd_submit(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_update(int argc, char **argv);

/* The message of an error of the library, with what it names in backquotes as it is said on the
 * command line: `overwrite` is --overwrite. */
const char *cli_message(qg_error *error);

/* The option of a key, key[0 ... length-1]: `thaw_every` is --thaw-every. */
void cli_name_option(const char *key, size_t length, char *name, size_t size);

/* Says on stderr what a user should know of a domain, if there is something. */
void cli_show_note(const char *domain);

/* Warns on stderr of a network whose game means another one by now. */
void cli_warn_of_network(const qg_network_info *info);

/* qg_settings_set_value for an option that stands for a setting: a message names --OPTION. */
qg_status cli_set(qg_settings *settings, const char *key, const char *option, const char *value,
                  qg_error *error);

/* Prints "qgraft: MESSAGE" to stderr; the exit code that belongs to the error. */
int cli_fail(const qg_error *error);

/* The same for a message of the command's own; always a usage error, 2. */
int cli_fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* QG_ERROR_USAGE where the file `written` (NULL: none) is `read`, which would be lost. */
qg_status cli_spare(const char *read, const char *written, qg_error *error);

/* What went wrong with the last picture of a domain (qg_domain_picture), which its next call says.
 */
qg_status cli_check_picture(qg_domain *domain, qg_error *error);

/* For argp parsers, instead of argp_error, whose message has two lines: a usage error of one, and
 * the end of the process. */
_Noreturn void cli_bad_arguments(const struct argp_state *state, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For argp parsers: argp_parse with the conventions of this program. An option that is wrong by
 * itself ends the process with exit code 2, a lack of memory with 1; a parser that fills a qg_error
 * returns EINVAL, which comes back as non-zero. */
int cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/* True where colour is welcome: a terminal, and NO_COLOR is not set. */
bool cli_colour(FILE *stream);

/* Ctrl-C and SIGTERM only set a flag from here on, so that a command can end in order; the second
 * Ctrl-C ends the process as usual. */
void cli_catch_interrupt(void);
bool cli_interrupted(void);
const volatile sig_atomic_t *cli_interrupt_flag(void); /* what the library's loops look at */

typedef struct cli_column {
    const char *title;
    bool number; /* to the right */
} cli_column;

/* Prints rows under titles. `cell` writes the text of one cell (it is called twice for each); what
 * could command a terminal is replaced. */
typedef void cli_cell(const void *context, size_t row, size_t column, char *text, size_t size);
void cli_print_table(const cli_column *columns, size_t column_count, size_t rows, cli_cell *cell,
                     const void *context);

/* Writes the character that `text` begins with, '?' for a byte that is none or a control character;
 * what stands behind it. */
const char *cli_put_character(FILE *out, const char *text);

/* `text` with control characters replaced by '?', to stdout. */
void cli_print_safe(const char *text);

/* A JSON number, null for NaN. */
json_t *cli_real_to_json(double value);

/* Prints the value with a newline to stdout and releases it; NULL (no memory) gives exit code 1. */
int cli_print_json(json_t *value);

#endif
