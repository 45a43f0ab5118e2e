/* qgraft evaluate: how well a network plays. */
#include "cli/cli.h"

#include <qgraft/agent.h>
#include <qgraft/settings.h>

#include "base/random.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_JSON = 256, OPTION_NOOPS, OPTION_STICKY, OPTION_ISA };

static const char documentation[] =
    "Plays a network's game (or DOMAIN, which must have as many actions) and prints the mean "
    "return of the complete episodes; a lost life does not end one.\v"
    "Examples:\n"
    "  qgraft evaluate runs/breakout-s1/best.safetensors --steps 125k\n"
    "  qgraft evaluate best.safetensors breakout:mode=12 --json";

static const struct argp_option argp_options[] = {
    {"steps", 'n', "N", 0, "agent steps (default: 125k for Atari, 20k for grids)", 0},
    {"epsilon", 'e', "E", 0, "share of random actions (default 0.05)", 0},
    {"seed", 's', "S", 0, "seed of policy, starts and game (default 1)", 0},
    {"noop-max", OPTION_NOOPS, "N", 0, "at most N no-ops begin an episode (default: 30, grids 0)",
     0},
    {"sticky", OPTION_STICKY, "P", 0, "probability of a repeated action (default 0, grids 0.1)", 0},
    {"isa", OPTION_ISA, "NAME", 0, "instruction set: avx2 or portable (default: the best)", 0},
    {"json", OPTION_JSON, NULL, 0, "print the result as JSON", 0},
    {0}};

typedef struct evaluate_arguments {
    const char *network, *domain, *steps, *epsilon, *seed, *noop_max, *sticky, *isa;
    bool json;
} evaluate_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    evaluate_arguments *a = state->input;
    switch (key) {
    case 'n':
        a->steps = text;
        break;
    case 'e':
        a->epsilon = text;
        break;
    case 's':
        a->seed = text;
        break;
    case OPTION_NOOPS:
        a->noop_max = text;
        break;
    case OPTION_STICKY:
        a->sticky = text;
        break;
    case OPTION_ISA:
        a->isa = text;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    case ARGP_KEY_ARG:
        if (!a->network)
            a->network = text;
        else if (!a->domain)
            a->domain = text;
        else
            argp_error(state, "one network and at most one domain");
        break;
    case ARGP_KEY_END:
        if (!a->network) argp_error(state, "name a network (a .safetensors file)");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* The numbers go through the settings' table: the same ranges and messages as in training. */
static qg_status resolve(const evaluate_arguments *a, qg_settings *settings, int64_t *seed,
                         qg_error *error)
{
    const struct {
        const char *key, *value;
    } given[] = {{"eval_steps", a->steps},
                 {"eval_epsilon", a->epsilon},
                 {"noop_max", a->noop_max},
                 {"sticky", a->sticky}};
    qg_status status = qg_settings_preset(settings, qg_settings_preset_for(a->domain), error);
    for (size_t i = 0; i < sizeof given / sizeof *given && !status; i++)
        if (given[i].value)
            status = qg_settings_set_value(settings, given[i].key, given[i].value, error);
    *seed = 1;
    if (!status && a->seed) status = qg_parse_count("--seed", a->seed, 0, INT64_MAX, seed, error);
    return status;
}

static void show(void *context, int64_t step)
{
    const qg_settings *settings = context;
    if (isatty(STDERR_FILENO) != 1) return;
    fprintf(stderr, "\r\033[Kevaluating %.0f %%",
            100 * (double)step / (double)settings->eval_steps);
}

static qg_status play(const qg_network *network, const evaluate_arguments *a,
                      const qg_settings *settings, int64_t seed, qg_evaluation *evaluation,
                      qg_error *error)
{
    qg_random random = qg_random_stream((uint64_t)seed, "evaluate");
    const qg_domain_options domain_options = {.seed = (uint32_t)qg_random_u64(&random),
                                              .frame_skip = settings->frame_skip,
                                              .sticky = settings->sticky};
    qg_domain *domain;
    qg_status status = qg_domain_open(a->domain, &domain_options, &domain, error);
    if (status) return status;
    /* A grid network's input may have more channels than its game. */
    int history = network->architecture.channels / domain->shape.channels;
    if (domain->shape.max == 1) history = 1;
    const qg_evaluation_options options = {.steps = settings->eval_steps,
                                           .epsilon = settings->eval_epsilon,
                                           .noop_max = settings->noop_max,
                                           .history = history,
                                           .seed = qg_random_u64(&random),
                                           .progress = show,
                                           .context = (void *)settings,
                                           .stop = cli_interrupt_flag()};
    qg_engine *engine = NULL;
    if (history < 1 || history > QG_MAX_HISTORY)
        status = qg_fail(error, QG_ERROR_USAGE, "%s: its input of %d channels does not fit %s",
                         a->network, network->architecture.channels, domain->name);
    if (!status) status = qg_network_fits(&network->architecture, domain, history, error);
    if (!status) status = qg_engine_create(&network->architecture, 1, 1, a->isa, &engine, error);
    if (!status) {
        qg_engine_write(engine, QG_ONLINE, network);
        status = qg_evaluate(engine, domain, &options, evaluation, error);
    }
    if (isatty(STDERR_FILENO) == 1) fputs("\r\033[K", stderr);
    qg_engine_destroy(engine);
    qg_domain_close(domain);
    return status;
}

static int print_result(const evaluate_arguments *a, const qg_evaluation *e, int64_t seed)
{
    if (a->json)
        return cli_print_json(
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "network", a->network,
                      "domain", a->domain, "seed", (json_int_t)seed, "steps", (json_int_t)e->steps,
                      "episodes", (json_int_t)e->episodes, "score", e->score, "deviation",
                      e->deviation, "minimum", e->minimum, "maximum", e->maximum));
    if (e->episodes == 0)
        printf("%.4g so far; no episode ended in %" PRId64 " steps (--steps)\n", e->score,
               e->steps);
    else
        printf("%.4g +- %.3g over %" PRId64 " episodes (%.4g to %.4g), %" PRId64 " steps of %s\n",
               e->score, e->deviation, e->episodes, e->minimum, e->maximum, e->steps, a->domain);
    return 0;
}

int cmd_evaluate(int argc, char **argv)
{
    evaluate_arguments arguments = {0};
    const struct argp argp = {
        argp_options, parse_option, "NETWORK [DOMAIN]", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    qg_error error;
    qg_network network;
    qg_network_info info;
    if (qg_network_load(arguments.network, &network, &info, &error)) return cli_fail(&error);
    if (!arguments.domain) arguments.domain = info.domain;
    cli_catch_interrupt();
    qg_settings settings;
    int64_t seed;
    qg_evaluation evaluation;
    qg_status status =
        arguments.domain[0]
            ? resolve(&arguments, &settings, &seed, &error)
            : qg_fail(&error, QG_ERROR_USAGE, "%s: does not say its game: name a domain behind it",
                      arguments.network);
    if (!status) status = play(&network, &arguments, &settings, seed, &evaluation, &error);
    qg_network_free(&network);
    if (status == QG_STOPPED) return 130;
    return status ? cli_fail(&error) : print_result(&arguments, &evaluation, seed);
}
