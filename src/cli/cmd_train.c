/* qgraft train: deep Q-learning on one domain. */
#include "cli/train_arguments.h"

static const char documentation[] =
    "Trains a deep Q-network on DOMAIN (game[:mode=M,difficulty=D,level=L], see 'qgraft games') "
    "and writes a run folder: run.yaml, evaluations.csv, training.csv, layers.csv, "
    "best.safetensors, last.safetensors, process.yaml, TensorBoard events.\v"
    "Examples:\n"
    "  qgraft train minatar/breakout --steps 1M\n"
    "  qgraft train breakout --steps 25M --seed 3 --out runs/breakout-3\n"
    "  qgraft train qbert:level=2 --set learn_start=10k --set network=nature-pad0\n"
    "  qgraft train --settings            every setting, its range and its value";

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    train_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = a;
        break;
    case ARGP_KEY_ARG:
        if (a->domain) cli_bad_arguments(state, "only one domain, not also '%.60s'", text);
        a->domain = text;
        break;
    case ARGP_KEY_END:
        if (!a->domain && !a->settings) cli_bad_arguments(state, "name a domain ('qgraft games')");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int cmd_train(int argc, char **argv)
{
    train_arguments arguments = {0};
    const struct argp_child children[] = {{&train_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {NULL, parse_option, "DOMAIN", documentation, children, NULL, NULL};
    cli_parse(&argp, argc, argv, &arguments);
    qg_train_options options = {0};
    qg_error error;
    char folder[256];
    if (arguments.settings && arguments.json)
        return cli_fail_usage("--settings prints YAML, which --json does not change: give one");
    if (train_resolve_settings(&arguments, NULL, &options.settings, &error))
        return cli_fail(&error);
    if (arguments.settings) return train_print_settings(&options.settings);
    if (train_resolve(&arguments, "", &options, folder, sizeof folder, &error))
        return cli_fail(&error);
    return train_run(&arguments, &options, NULL, NULL);
}
