#include "cli/train_arguments.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct argp_option argp_options[] = {
    {"steps", 'n', "N", 0,
     "agent steps, as 250k or 25M (default: 25M for Atari, 1M for grids, 40k for vectors); 0 "
     "writes the network "
     "and evaluates nothing",
     0},
    {"seed", 's', "S", 0, "seed of everything random (default 1)", 0},
    {"out", 'o', "FOLDER", 0,
     "run folder (default runs/DOMAIN-sSEED, of a graft runs/graft-CHOICE-DOMAIN-sSEED)", 0},
    {"set", 'S', "KEY=VALUE", 0, "change a setting; may be repeated", 0},
    {"config", OPTION_CONFIG, "FILE", 0, "settings from a YAML file, before any --set", 0},
    {"preset", OPTION_PRESET, "NAME", 0,
     "dqn3, machado, grid, cleanrl, sb3 or vector (default: what suits the domain)", 0},
    {"settings", OPTION_SETTINGS, NULL, 0, "print the resolved settings as YAML and end", 0},
    {"snapshot", OPTION_SNAPSHOT, "N[,N...]", 0,
     "keep the networks of these steps, as step-N.safetensors", 0},
    {"also-evaluate", OPTION_ALSO_EVALUATE, "GAME", 0,
     "play this game too at every evaluation, actions by meaning; may be repeated", 0},
    KEEP_REPLAY_OPTION,
    RUN_OPTIONS,
    {0}};

/* "10k,250k,1M" */
static void parse_snapshots(train_arguments *a, const char *text, struct argp_state *state)
{
    qg_error error;
    for (bool more = true; more; text++) {
        const size_t length = strcspn(text, ",");
        char number[32];
        snprintf(number, sizeof number, "%.*s", (int)(length < 31 ? length : 31), text);
        if (a->snapshot_count == sizeof a->snapshots / sizeof *a->snapshots)
            cli_bad_arguments(state, "too many steps in --snapshot");
        if (qg_parse_count("--snapshot", number, 0, INT64_MAX, &a->snapshots[a->snapshot_count++],
                           &error))
            cli_bad_arguments(state, "%s", cli_message(&error));
        text += length;
        more = *text;
    }
}

error_t train_parse_option(int key, char *text, struct argp_state *state, train_arguments *a)
{
    switch (key) {
    case 'n':
        a->steps = text;
        break;
    case 's':
        a->seed = text;
        break;
    case 'o':
        a->out = text;
        break;
    case 'S':
        if (a->set_count == sizeof a->sets / sizeof *a->sets)
            cli_bad_arguments(state, "too many --set");
        a->sets[a->set_count++] = text;
        break;
    case 't':
        a->threads = text;
        break;
    case 'q':
        a->quiet = true;
        break;
    case OPTION_CONFIG:
        a->config = text;
        break;
    case OPTION_PRESET:
        a->preset = text;
        break;
    case OPTION_ISA:
        a->isa = text;
        break;
    case OPTION_OVERWRITE:
        a->overwrite = true;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    case OPTION_RESUME:
        a->resume = true;
        break;
    case OPTION_CHECKPOINT_MINUTES:
        a->checkpoint_minutes = text;
        break;
    case OPTION_SNAPSHOT:
        parse_snapshots(a, text, state);
        break;
    case OPTION_REPLAY_COMPRESSION:
        if (strcmp(text, "zstd") != 0 && strcmp(text, "none") != 0)
            cli_bad_arguments(state, "--replay-compression is 'zstd' or 'none', not '%.60s'", text);
        a->plain_replay = strcmp(text, "none") == 0;
        break;
    case OPTION_ALSO_EVALUATE:
        if (a->also_evaluate_count == QG_MAX_OTHER_GAMES)
            cli_bad_arguments(state, "--also-evaluate: at most %d games", QG_MAX_OTHER_GAMES);
        a->also_evaluate[a->also_evaluate_count++] = text;
        break;
    case OPTION_KEEP_REPLAY:
        a->keep_replay = true;
        break;
    case OPTION_SETTINGS:
        a->settings = true;
        break;
    case OPTION_PROGRESS_FILE:
        a->progress_file = text;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    return train_parse_option(key, text, state, state->input);
}

const struct argp train_argp = {argp_options, parse_option, NULL, NULL, NULL, NULL, NULL};

static qg_status parse_number(const char *what, const char *text, int64_t fallback, int64_t min,
                              int64_t max, int64_t *value, qg_error *error)
{
    *value = fallback;
    return text ? qg_parse_count(what, text, min, max, value, error) : QG_OK;
}

static qg_status parse_steps(const train_arguments *a, int64_t *steps, qg_error *error)
{
    return parse_number("--steps", a->steps, *steps, 0, INT64_C(1000000000000), steps, error);
}

/* Preset, file, --set: the later changes the earlier. */
qg_status train_read_settings(const train_arguments *a, const char *network, qg_settings *settings,
                              qg_error *error)
{
    qg_train_options usual = {0};
    qg_status status = a->domain ? qg_train_options_for(a->domain, &usual, error)
                                 : qg_settings_preset(&usual.settings, "dqn3", error);
    if (!status && a->preset) status = qg_settings_preset(&usual.settings, a->preset, error);
    if (!status) status = parse_steps(a, &usual.steps, error);
    if (status) return status;
    *settings = usual.settings;
    if (network) status = qg_settings_set_value(settings, "network", network, error);
    if (!status && a->config) status = qg_settings_load_yaml(settings, a->config, error);
    for (size_t i = 0; i < a->set_count && !status; i++)
        status = qg_settings_set(settings, a->sets[i], error);
    qg_settings_shorten_evaluations(settings, usual.steps);
    return status;
}

qg_status train_resolve_settings(const train_arguments *a, const char *network,
                                 qg_settings *settings, qg_error *error)
{
    const qg_status status = train_read_settings(a, network, settings, error);
    return status ? status : qg_settings_check(settings, error);
}

/* 0: not given. */
static qg_status parse_minutes(const char *text, double *minutes, qg_error *error)
{
    char *end = NULL;
    *minutes = text ? strtod(text, &end) : 0;
    if (!text || (end != text && !*end && *minutes > 0 && *minutes <= 1e6)) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE, "--checkpoint-minutes: '%.60s' is no number above 0",
                   text);
}

/* "runs/PREFIXDOMAIN-sSEED", one folder deep, without ':' and '='. */
static qg_status name_folder(const qg_train_options *options, const char *prefix, char *folder,
                             size_t size, qg_error *error)
{
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    const qg_status status = qg_domain_resolve(options->domain, &game, name, error);
    if (status) return status;
    for (char *c = name; *c; c++)
        if (strchr("/:,=[]{}\"", *c)) *c = '-';
    snprintf(folder, size, "runs/%s%s-s%" PRIu64, prefix, name, options->run.seed);
    return QG_OK;
}

qg_status train_resolve(const train_arguments *a, const char *prefix, qg_train_options *options,
                        char *folder, size_t size, qg_error *error)
{
    const qg_settings settings = options->settings;
    int64_t seed, threads;
    qg_status status = qg_train_options_for(a->domain, options, error);
    options->settings = settings;
    if (status || (status = parse_steps(a, &options->steps, error)) ||
        (status = parse_number("--seed", a->seed, (int64_t)options->run.seed, 0, INT64_MAX, &seed,
                               error)) ||
        (status = parse_number("--threads", a->threads, options->run.machine.threads, 1, 256,
                               &threads, error)) ||
        (status = parse_minutes(a->checkpoint_minutes, &options->run.checkpoint_minutes, error)))
        return status;
    options->snapshots = a->snapshots;
    options->snapshot_count = a->snapshot_count;
    options->also_evaluate = a->also_evaluate;
    options->also_evaluate_count = a->also_evaluate_count;
    options->run.seed = (uint64_t)seed;
    options->run.machine = (qg_machine){(int)threads, a->isa};
    options->run.folder = a->out ? a->out : folder;
    options->run.overwrite = a->overwrite;
    options->run.resume = a->resume;
    options->run.plain_replay = a->plain_replay;
    options->run.keep_replay = a->keep_replay;
    return name_folder(options, prefix, folder, size, error);
}

int train_print_settings(const qg_settings *settings)
{
    size_t count;
    const qg_setting *table = qg_settings_table(&count);
    for (size_t i = 0; i < count; i++) {
        char text[1100];
        qg_setting_format(settings, &table[i], text, sizeof text);
        const int pad = 30 - (int)strlen(table[i].name) - (int)strlen(text);
        printf("%s: %s%*s # %s", table[i].name, text, pad > 0 ? pad : 0, "", table[i].help);
        if (table[i].type != QG_SETTING_TEXT && table[i].type != QG_SETTING_BOOLEAN)
            printf(" (%.9g to %.9g)", table[i].minimum, table[i].maximum);
        putchar('\n');
    }
    return 0;
}

static int print_result(const qg_train_options *options, const qg_run_result *result)
{
    return cli_print_json(json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:I, s:o, s:f, s:f}", "domain", options->domain,
        "folder", options->run.folder, "seed", (json_int_t)options->run.seed, "begun_at",
        (json_int_t)result->begun_at, "step", (json_int_t)result->step, "best_score",
        cli_real_to_json(result->best_score), "confirmed_score",
        cli_real_to_json(result->confirmed_score), "best_step", (json_int_t)result->best_step,
        "last_score", cli_real_to_json(result->last_score), "seconds", result->seconds,
        "learning_steps_per_second", result->steps_per_second));
}

static void print_summary(const qg_train_options *options, const qg_run_result *result)
{
    fprintf(stderr, "%s: ", options->run.folder);
    if (!isnan(result->best_score))
        fprintf(stderr, "best score %.4g at step %" PRId64, result->best_score, result->best_step);
    if (!isnan(result->confirmed_score))
        fprintf(stderr, " (%.4g when played again)", result->confirmed_score);
    if (!isnan(result->best_score)) fprintf(stderr, ", last %.4g, ", result->last_score);
    if (result->begun_at > 0)
        fprintf(stderr, "%" PRId64 " steps, %" PRId64 " of them in %.0f s\n", result->step,
                result->step - result->begun_at, result->seconds);
    else
        fprintf(stderr, "%" PRId64 " steps in %.0f s\n", result->step, result->seconds);
}

qg_status train_call_graft(void *context, const qg_train_options *train, qg_run_result *result,
                           qg_error *error)
{
    qg_graft_options options = *(const qg_graft_options *)context;
    options.train = *train;
    return qg_graft_run(&options, result, error);
}

int train_run(const train_arguments *arguments, const qg_train_options *options, train_call *call,
              void *context)
{
    cli_progress progress = {.quiet = arguments->quiet, .settings = &options->settings};
    qg_train_options watched = *options;
    qg_run_result result;
    qg_error error;
    cli_catch_interrupt();
    cli_progress_file_open(&progress.file, arguments->progress_file);
    watched.run.stop = cli_interrupt_flag();
    watched.progress = cli_show_progress;
    watched.context = &progress;
    if (!arguments->quiet) cli_show_note(options->domain);
    const qg_status status =
        call ? call(context, &watched, &result, &error) : qg_train(&watched, &result, &error);
    cli_end_progress(&progress);
    cli_progress_file_end(
        &progress.file, status,
        (cli_record){NULL, result.step, options->steps, result.last_score, result.seconds});
    const int code = cli_end_run(status, &error, &options->run, &result, arguments->quiet);
    if (code) return code;
    if (arguments->json) return print_result(options, &result);
    if (!arguments->quiet) print_summary(options, &result);
    return 0;
}
