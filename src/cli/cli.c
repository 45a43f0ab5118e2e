#include "cli/cli.h"

#include "cli/bad_option.h"

#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CELL 512

/* One line on stderr. */
static void print_failure(const char *message)
{
    const bool colour = cli_colour(stderr);
    fflush(stdout);
    fprintf(stderr, "%sqgraft:%s %s\n", colour ? "\033[1;31m" : "", colour ? "\033[0m" : "",
            message);
}

void cli_name_option(const char *key, size_t length, char *name, size_t size)
{
    snprintf(name, size, "--%.*s", (int)length, key);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';
}

/* What a command calls a thing that the library calls `word`: mostly an option of that name. */
static void name_word(const char *word, size_t length, char *name, size_t size)
{
    static const char *const others[][2] = {
        {"folder", "--out"},           {"games", "'qgraft games'"},
        {"import", "'qgraft import'"}, {"replay", "'qgraft replay'"},
        {"run", "'qgraft run'"},       {"settings", "'qgraft train --settings'"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strlen(others[i][0]) == length && memcmp(others[i][0], word, length) == 0) {
            snprintf(name, size, "%s", others[i][1]);
            return;
        }
    cli_name_option(word, length, name, size);
}

const char *cli_message(qg_error *error)
{
    const qg_error said = *error;
    size_t used = 0;
    for (const char *c = said.message; *c && used + 1 < sizeof error->message;) {
        const size_t length =
            *c == '`' ? strspn(c + 1, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
        char name[64] = {*c};
        const bool word = length && c[1 + length] == '`';
        if (word) name_word(c + 1, length, name, sizeof name);
        c += word ? length + 2 : 1;
        used += (size_t)snprintf(error->message + used, sizeof error->message - used, "%s", name);
    }
    qg_text_make_safe(error->message); /* the cut may go through a character */
    return error->message;
}

void cli_show_note(const char *domain)
{
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    qg_error ignored; /* who opens it says what is wrong */
    if (qg_domain_resolve(domain, &game, name, &ignored) == QG_OK && game->note && *game->note)
        fprintf(stderr, "qgraft: note: %s: %s\n", name, game->note);
}

void cli_warn_of_network(const qg_network_info *info)
{
    char text[256];
    if (qg_network_caution(info, text)) fprintf(stderr, "qgraft: warning: %s\n", text);
}

qg_status cli_set(qg_settings *settings, const char *key, const char *option, const char *value,
                  qg_error *error)
{
    const size_t length = strlen(key);
    qg_error said;
    const qg_status status = qg_settings_set_value(settings, key, value, &said);
    if (!status) return QG_OK;
    const bool named = strncmp(said.message, key, length) == 0 && said.message[length] == ':';
    return qg_fail(error, status, "--%s%s%s", option, named ? "" : ": ",
                   said.message + (named ? length : 0));
}

int cli_fail(const qg_error *error)
{
    qg_error said = *error;
    print_failure(cli_message(&said));
    return error->code == QG_ERROR_USAGE ? 2 : error->code == QG_STOPPED ? 130 : 1;
}

qg_status cli_check_picture(qg_domain *domain, qg_error *error)
{
    const size_t size = qg_observation_size(&domain->shape);
    uint8_t *screen = malloc(size);
    if (!screen) return qg_fail_memory(error, "a screen", size);
    const qg_status status = domain->methods->observe(domain->self, screen, error);
    free(screen);
    return status;
}

qg_status cli_spare(const char *read, const char *written, qg_error *error)
{
    struct stat a, b;
    if (!written || stat(read, &a) != 0 || stat(written, &b) != 0 || !S_ISREG(a.st_mode) ||
        a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE,
                   "%s: is read, and would be lost: choose another name for what is written",
                   written);
}

int cli_fail_usage(const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    qg_error error;
    qg_fail(&error, QG_ERROR_USAGE, "%s", message); /* makes it safe to print */
    return cli_fail(&error);
}

void cli_bad_arguments(const struct argp_state *state, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    exit(cli_fail_usage("%s ('%s --help' says how)", message, state->name));
}

int cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    argp_err_exit_status = 2;
    setenv("ARGP_HELP_FMT", "rmargin=99", 0); /* so that the examples stay on one line */
    qg_error error;
    if (cli_find_bad_option(argp, argc, argv, &error)) exit(cli_fail(&error));
    const int result = argp_parse(argp, argc, argv, 0, NULL, input);
    if (result != ENOMEM) return result;
    print_failure("not enough memory for the arguments");
    exit(1);
}

bool cli_colour(FILE *stream)
{
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if ((none && *none) || !terminal || strcmp(terminal, "dumb") == 0) return false;
    return isatty(fileno(stream)) == 1;
}

static volatile sig_atomic_t interrupted;

static void note_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void cli_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);    /* may come twice: from Slurm and from the parent */
    action.sa_flags |= (int)SA_RESETHAND; /* the second one is the system's */
    sigaction(SIGINT, &action, NULL);
}

const volatile sig_atomic_t *cli_interrupt_flag(void)
{
    return &interrupted;
}

bool cli_interrupted(void)
{
    return interrupted != 0;
}

/* Columns that a text takes on a terminal; bytes that go on a UTF-8 character take none. */
static size_t width(const char *text)
{
    size_t columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

static void print_cell(const char *text, size_t columns, bool number, bool last)
{
    const size_t used = width(text);
    const int padding = used < columns ? (int)(columns - used) : 0;
    if (number)
        printf("%*s%s", padding, "", text);
    else
        printf("%s%*s", text, last ? 0 : padding, "");
    fputs(last ? "\n" : "  ", stdout);
}

void cli_print_table(const cli_column *columns, size_t column_count, size_t rows, cli_cell *cell,
                     const void *context)
{
    char text[CELL];
    size_t widths[16];
    if (column_count > sizeof widths / sizeof *widths)
        column_count = sizeof widths / sizeof *widths;
    for (size_t c = 0; c < column_count; c++) {
        widths[c] = width(columns[c].title);
        for (size_t r = 0; r < rows; r++) {
            cell(context, r, c, text, sizeof text);
            if (width(text) > widths[c]) widths[c] = width(text);
        }
    }
    const bool colour = cli_colour(stdout);
    fputs(colour ? "\033[1m" : "", stdout);
    for (size_t c = 0; c < column_count; c++)
        print_cell(columns[c].title, widths[c], columns[c].number, c + 1 == column_count);
    fputs(colour ? "\033[0m" : "", stdout);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < column_count; c++) {
            cell(context, r, c, text, sizeof text);
            qg_text_make_safe(text);
            print_cell(text, widths[c], columns[c].number, c + 1 == column_count);
        }
}

const char *cli_put_character(FILE *out, const char *text)
{
    const size_t size = qg_text_character(text);
    fwrite(size ? text : "?", 1, size ? size : 1, out);
    return text + (size ? size : 1);
}

void cli_print_safe(const char *text)
{
    while (*text)
        text = cli_put_character(stdout, text);
}

json_t *cli_real_to_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

int cli_print_json(json_t *value)
{
    const int failed = !value || json_dumpf(value, stdout, JSON_INDENT(2)) != 0;
    json_decref(value);
    if (failed) {
        qg_error error;
        qg_fail(&error, QG_ERROR_MEMORY, "the JSON could not be written");
        return cli_fail(&error);
    }
    putchar('\n');
    return 0;
}
