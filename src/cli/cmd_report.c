/* qgraft report: the report of a study, finished or not. */
#include "cli/cli.h"

#include <qgraft/report.h>

#include <unistd.h>

enum { OPTION_PARTIAL = 256, OPTION_JSON };

static const char documentation[] =
    "Writes the report of the study in the folder DIR: DIR/report.html (one file, opens from "
    "disk), "
    "DIR/figures/*.svg and *.png, DIR/metrics.csv and claims.csv. It says of every experiment what "
    "the copied "
    "layers did, with intervals and a verdict, and holds the study's claims against it.\v"
    "Examples:\n"
    "  qgraft report runs/demo\n"
    "  qgraft report runs/demo --partial       while the study still runs";

static const struct argp_option argp_options[] = {
    {"partial", OPTION_PARTIAL, NULL, 0,
     "report what there is, up to the last evaluation that all seeds of a run have", 0},
    {"json", OPTION_JSON, NULL, 0, "print the result as JSON", 0},
    {"quiet", 'q', NULL, 0, "print only the path of the report", 0},
    {0}};

typedef struct report_arguments {
    const char *folder;
    bool partial, json, quiet;
} report_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    report_arguments *a = state->input;
    switch (key) {
    case OPTION_PARTIAL:
        a->partial = true;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    case 'q':
        a->quiet = true;
        break;
    case ARGP_KEY_ARG:
        if (a->folder) cli_bad_arguments(state, "only one folder, not also '%.60s'", text);
        a->folder = text;
        break;
    case ARGP_KEY_NO_ARGS:
        cli_bad_arguments(state, "name the folder of a study");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void show(void *context, const char *what)
{
    (void)context;
    fprintf(stderr, "\r\033[K%s", what);
}

static int print_json(const qg_report *r)
{
    return cli_print_json(
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I}",
                  "report", r->path, "summary", r->summary, "experiments",
                  (json_int_t)r->experiments, "positive", (json_int_t)r->positive, "negative",
                  (json_int_t)r->negative, "no_effect", (json_int_t)r->no_effect, "not_decided",
                  (json_int_t)r->not_decided, "effect", cli_real_to_json(r->effect), "low",
                  cli_real_to_json(r->low), "high", cli_real_to_json(r->high), "claims",
                  (json_int_t)r->claims, "claims_hold", (json_int_t)r->claims_hold, "claims_fail",
                  (json_int_t)r->claims_fail, "warnings", (json_int_t)r->warnings));
}

static void print(const report_arguments *a, const qg_report *r)
{
    cli_print_safe(r->path);
    putchar('\n');
    if (a->quiet) return;
    cli_print_safe(r->summary);
    putchar('\n');
    if (r->claims > 0)
        printf("Of %zu claim%s %zu hold%s, %zu do%s not, %zu %s not decided.\n", r->claims,
               r->claims == 1 ? "" : "s", r->claims_hold, r->claims_hold == 1 ? "s" : "",
               r->claims_fail, r->claims_fail == 1 ? "es" : "",
               r->claims - r->claims_hold - r->claims_fail,
               r->claims - r->claims_hold - r->claims_fail == 1 ? "is" : "are");
    if (r->warnings > 0)
        printf("%zu warning%s on top of the report.\n", r->warnings, r->warnings == 1 ? "" : "s");
}

int cmd_report(int argc, char **argv)
{
    report_arguments arguments = {0};
    const struct argp argp = {argp_options, parse_option, "DIR", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    const bool watched = isatty(STDERR_FILENO) == 1 && !arguments.quiet;
    const qg_report_options options = {.partial = arguments.partial,
                                       .progress = watched ? show : NULL,
                                       .stop = cli_interrupt_flag()};
    qg_report report;
    qg_error error;
    cli_catch_interrupt();
    const qg_status status = qg_report_write(arguments.folder, &options, &report, &error);
    if (watched) show(NULL, "");
    if (status) return cli_fail(&error);
    if (arguments.json) return print_json(&report);
    print(&arguments, &report);
    return 0;
}
