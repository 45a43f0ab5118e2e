/* qgraft distill: a fresh student learns to act as trained teachers do. */
#include "cli/distill_run.h"

#include <string.h>

enum {
    OPTION_TEMPERATURE = OPTION_TRAIN_END,
    OPTION_ORDER,
    OPTION_LOSS,
    OPTION_SAMPLES,
    OPTION_EPSILON,
    OPTION_SET_FILE,
    OPTION_NETWORK,
    OPTION_EVAL_STEPS,
};

static const char documentation[] =
    "Teaches a fresh network to act as TEACHER (a .safetensors network) does: the teacher plays "
    "its game, and the student descends KL(softmax(q_teacher / temperature) || "
    "softmax(q_student)), or another loss, on what it saw. Several teachers make one student with "
    "a shared trunk. "
    "Writes a run folder as training does, with distillation.csv, held_out.csv, "
    "student.csv and teachers.csv.\v"
    "Examples:\n"
    "  qgraft distill runs/space_invaders-s1/best.safetensors --temperature 0.1 --samples 1M\n"
    "  qgraft distill si.safetensors --temperature 0.1:0.5:0.1         each sample five times\n"
    "  qgraft distill si.safetensors --set-file si.samples --network '[{\"conv\": 16, \"kernel\": "
    "8, \"stride\": 4}, {\"linear\": 128}]'\n"
    "  qgraft distill asterix.safetensors breakout.safetensors --samples 200k";

static const struct argp_option argp_options[] = {
    {"temperature", OPTION_TEMPERATURE, "T", 0,
     "0.1 (default): each sample once; FIRST:LAST:STEP: once at each, rising", 0},
    {"order", OPTION_ORDER, "HOW", 0,
     "several temperatures by 'pass' over the set (default) or by 'sample'", 0},
    {"loss", OPTION_LOSS, "LOSS", 0,
     "'kl' (default); 'kl-both': the temperature on both sides; 'mse': of the Q-values; 'nll': of "
     "the teacher's best action",
     0},
    {"samples", OPTION_SAMPLES, "N", 0,
     "a teacher's, to learn from (default: 1M, grids and vectors 100k)", 0},
    {"epsilon", OPTION_EPSILON, "E", 0, "share of random actions in the play (default 0.05)", 0},
    {"set-file", OPTION_SET_FILE, "FILE", 0,
     "keep the samples there, or use those that are there; one a teacher", 0},
    {"network", OPTION_NETWORK, "ARCH", 0, "the student's (default: the teacher's)", 0},
    {"eval-steps", OPTION_EVAL_STEPS, "N", 0, "as --set eval_steps=N", 0},
    {"preset", OPTION_PRESET, "NAME", 0, "whose settings (default: the game's)", 0},
    {"seed", 's', "S", 0, "seed of everything random (default 1)", 0},
    {"out", 'o', "FOLDER", 0, "run folder (default runs/distill-[LOSS-]tT-DOMAIN-sSEED)", 0},
    {"set", 'S', "KEY=VALUE", 0, "change a setting ('qgraft train --settings'); may be repeated",
     0},
    {"config", OPTION_CONFIG, "FILE", 0, "settings from a YAML file, before any --set", 0},
    RUN_OPTIONS,
    {0}};

typedef struct distill_arguments {
    train_arguments train; /* what it shares with training */
    const char *teachers[QG_MAX_TEACHERS], *set_files[QG_MAX_TEACHERS];
    int teacher_count, set_file_count;
    const char *temperature, *order, *loss, *samples, *epsilon, *network, *eval_steps;
} distill_arguments;

static void check_complete(const distill_arguments *a, struct argp_state *state)
{
    if (a->teacher_count == 0) cli_bad_arguments(state, "name a teacher: a .safetensors network");
    if (a->set_file_count && a->set_file_count != a->teacher_count)
        cli_bad_arguments(state, "%d --set-file for %d teachers: one each is needed",
                          a->set_file_count, a->teacher_count);
    if (a->order && strcmp(a->order, "pass") != 0 && strcmp(a->order, "sample") != 0)
        cli_bad_arguments(state, "--order is 'pass' or 'sample', not '%.60s'", a->order);
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    distill_arguments *a = state->input;
    switch (key) {
    case OPTION_TEMPERATURE:
        a->temperature = text;
        break;
    case OPTION_ORDER:
        a->order = text;
        break;
    case OPTION_LOSS:
        a->loss = text;
        break;
    case OPTION_SAMPLES:
        a->samples = text;
        break;
    case OPTION_EPSILON:
        a->epsilon = text;
        break;
    case OPTION_SET_FILE:
        if (a->set_file_count == QG_MAX_TEACHERS) cli_bad_arguments(state, "too many --set-file");
        a->set_files[a->set_file_count++] = text;
        break;
    case OPTION_NETWORK:
        a->network = text;
        break;
    case OPTION_EVAL_STEPS:
        a->eval_steps = text;
        break;
    case ARGP_KEY_ARG:
        if (a->teacher_count == QG_MAX_TEACHERS)
            cli_bad_arguments(state, "at most %d teachers", QG_MAX_TEACHERS);
        a->teachers[a->teacher_count++] = text;
        break;
    case ARGP_KEY_END:
        check_complete(a, state);
        break;
    default:
        return train_parse_option(key, text, state, &a->train);
    }
    return 0;
}

/* ---------------------------------------------------------------------------------- options */

static qg_status parse_epsilon(const char *text, double *epsilon, qg_error *error)
{
    qg_settings number = {0}; /* the range and messages of a setting of this kind */
    if (!text) return QG_OK;
    const qg_status status = cli_set(&number, "eval_epsilon", "epsilon", text, error);
    if (!status) *epsilon = number.eval_epsilon;
    return status;
}

/* runs/distill-tT-DOMAIN-sSEED: train_resolve's name with the temperatures in it, and with a loss
 * that is not the usual one. */
static void name_folder(const distill_arguments *a, char *prefix, size_t size)
{
    const bool usual = !a->loss || strcmp(a->loss, QG_USUAL_LOSS) == 0;
    snprintf(prefix, size, "distill-%s%st%.40s-", usual ? "" : a->loss, usual ? "" : "-",
             a->temperature ? a->temperature : QG_USUAL_TEMPERATURE);
    for (char *c = prefix; *c; c++)
        if (strchr("/:,=", *c)) *c = '-';
}

static qg_status resolve(distill_arguments *a, qg_distillation_options *options, char *folder,
                         size_t size, qg_error *error)
{
    qg_network_info info;
    qg_architecture teacher;
    char prefix[64];
    qg_train_options training = {0};
    qg_status status = qg_network_look(a->teachers[0], &teacher, &info, error);
    if (!status && !info.domain[0])
        status = qg_fail(error, QG_ERROR_USAGE, "%s: does not say its game, so it cannot play",
                         a->teachers[0]);
    if (!status) status = qg_distillation_options_for(info.domain, options, error);
    if (!status && a->temperature)
        status = qg_temperatures_parse(a->temperature, &options->temperatures, error);
    if (!status && a->loss) status = qg_distillation_loss_parse(a->loss, &options->loss, error);
    if (!status) status = parse_epsilon(a->epsilon, &options->epsilon, error);
    if (!status && a->samples)
        status = qg_parse_count("--samples", a->samples, 1, 1000000000, &options->samples, error);
    if (status) return status;
    a->train.domain = info.domain; /* outlives neither: cleared below */
    name_folder(a, prefix, sizeof prefix);
    status = train_read_settings(&a->train, teacher.text, &options->settings, error);
    if (!status && a->network)
        status = cli_set(&options->settings, "network", "network", a->network, error);
    if (!status && a->eval_steps)
        status = cli_set(&options->settings, "eval_steps", "eval-steps", a->eval_steps, error);
    if (!status) status = train_resolve(&a->train, prefix, &training, folder, size, error);
    a->train.domain = NULL;
    if (status) return status;
    options->order = a->order && strcmp(a->order, "sample") == 0 ? QG_ORDER_SAMPLE : QG_ORDER_PASS;
    options->teachers = a->teachers;
    options->teacher_count = a->teacher_count;
    qg_settings_shorten_evaluations(
        &options->settings, options->samples * options->temperatures.count * a->teacher_count);
    options->set_files = a->set_file_count ? a->set_files : NULL;
    options->run = training.run;
    return QG_OK;
}

int cmd_distill(int argc, char **argv)
{
    distill_arguments arguments = {0};
    const struct argp argp = {argp_options, parse_option, "TEACHER...", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    qg_distillation_options options = {0};
    qg_error error;
    char folder[320];
    if (resolve(&arguments, &options, folder, sizeof folder, &error)) return cli_fail(&error);
    return distill_run(&arguments.train, &options);
}
