/* qgraft export: writes a network as CleanRL or Stable-Baselines3 name its tensors. */
#include "cli/cli.h"

#include <qgraft/network.h>

#include "network/foreign.h"

enum { OPTION_FORMAT = 256 };

typedef struct export_arguments {
    const char *path, *out;
    qg_foreign_format format;
} export_arguments;

static const char documentation[] =
    "Writes a network as a DQN state dict of CleanRL or Stable-Baselines3 (CnnPolicy), as "
    "safetensors; every bit of the parameters is kept. The network must be nature-pad0 on 4 "
    "screens of 84x84. For sb3 the target network is written too, as a copy.\v"
    "In Python: model.policy.load_state_dict(safetensors.torch.load_file(\"sb3.safetensors\"))\n"
    "Examples:\n"
    "  qgraft export pong.safetensors --format sb3 --out sb3.safetensors\n"
    "  qgraft export pong.safetensors --format cleanrl --out cleanrl.safetensors";

static const struct argp_option argp_options[] = {
    {"format", OPTION_FORMAT, "NAME", 0, "cleanrl or sb3", 0},
    {"out", 'o', "FILE", 0, "the state dict to be written", 0},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    export_arguments *a = state->input;
    switch (key) {
    case 'o':
        a->out = text;
        break;
    case OPTION_FORMAT:
        a->format = qg_foreign_find(text);
        if (!a->format)
            cli_bad_arguments(state, "--format is 'cleanrl' or 'sb3', not '%.60s'", text);
        break;
    case ARGP_KEY_ARG:
        if (a->path) cli_bad_arguments(state, "one NETWORK only");
        a->path = text;
        break;
    case ARGP_KEY_END:
        if (!a->path) cli_bad_arguments(state, "NETWORK is missing");
        if (!a->format) cli_bad_arguments(state, "--format is missing: cleanrl or sb3");
        if (!a->out) cli_bad_arguments(state, "--out is missing: the file to be written");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int cmd_export(int argc, char **argv)
{
    export_arguments arguments = {0};
    const struct argp argp = {argp_options, parse_option, "NETWORK", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    qg_network network = {0};
    qg_network_info info;
    qg_error error;
    qg_status status = cli_spare(arguments.path, arguments.out, &error);
    if (!status) status = qg_network_load(arguments.path, &network, &info, &error);
    if (!status) status = qg_foreign_save(arguments.out, arguments.format, &network, &error);
    qg_network_free(&network);
    return status ? cli_fail(&error) : 0;
}
