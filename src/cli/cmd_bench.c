/* qgraft bench: how fast games, replay, updates and training are on this machine. */
#include "cli/bench.h"

#include <string.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/team.h"
#include "base/text.h"

enum { OPTION_PRESET = 256, OPTION_SECONDS, OPTION_ISA, OPTION_SCREENS, OPTION_PRECISION };

static const char documentation[] =
    "Measures the speed of a SUBJECT (update, act, games, replay, train, study; default: all) on "
    "this "
    "machine. Other work on it spoils the figures; the minimum suffers least. The network's speed "
    "is given in percent of the fused multiply-adds that the machine does in the same minute.\v"
    "Examples:\n"
    "  qgraft bench\n"
    "  qgraft bench update --preset nature --threads 1 --set double=true\n"
    "  qgraft bench games replay --seconds 5 --json\n"
    "  qgraft bench games gym:CartPole-v1              the steps of one domain\n"
    "  qgraft bench replay --screens 1M                7.1 GB in $TMPDIR or /tmp";

#define CHANGED                                                                                    \
    "double, optimiser, loss, reduction, max_grad_norm, l2, dropout_conv, dropout_linear; for "    \
    "train "                                                                                       \
    "and study also n_step, prioritised, target_update, target_every"

static const struct argp_option argp_options[] = {
    {"preset", OPTION_PRESET, "NAME", 0,
     "network for update and act: nature, nature-pad0 or grid, each also NAME-dueling or "
     "NAME-norm (default: nature and grid)",
     0},
    {"set", 'S', "KEY=VALUE", 0,
     "change what learns, for update, train and study: " CHANGED "; may be repeated", 0},
    {"threads", 't', "N", 0, "threads (default: 1 and the usable cores)", 0},
    {"seconds", OPTION_SECONDS, "S", 0, "time for one measurement (default 1.5)", 0},
    {"isa", OPTION_ISA, "NAME", 0,
     "instruction set: amx (bf16), avx512, avx2 or portable (default: the best)", 0},
    {"precision", OPTION_PRECISION, "NAME", 0,
     "what networks are computed in: float32 or bf16 (default: float32)", 0},
    {"screens", OPTION_SCREENS, "N", 0, "screens that the replay memory holds (default 100k)", 0},
    {"json", 'j', NULL, 0, "print JSON", 0},
    {0}};

enum { UPDATE, ACT, GAMES, REPLAY, TRAIN, STUDY, SUBJECTS };

static const struct {
    const char *name;
    qg_status (*run)(bench_session *bench, qg_error *error);
} subjects[] = {[UPDATE] = {"update", bench_update}, [ACT] = {"act", bench_act},
                [GAMES] = {"games", bench_games},    [REPLAY] = {"replay", bench_replay},
                [TRAIN] = {"train", bench_train},    [STUDY] = {"study", bench_study}};

typedef struct bench_arguments {
    bool wanted[SUBJECTS], some; /* subjects that were named */
    const char *domain;
    const char *preset, *threads, *seconds, *isa, *precision, *screens;
    const char *sets[8];
    int set_count;
    bool json;
} bench_arguments;

/* What changes an update, and behind it what changes a training only. */
static const char *const changed[] = {
    "double",         "optimiser",    "loss",   "reduction",   "max_grad_norm", "l2",
    "dropout_linear", "dropout_conv", "n_step", "prioritised", "target_update", "target_every"};
enum { CHANGED_COUNT = sizeof changed / sizeof *changed, OF_UPDATE = 8 };

static int find_changed(const char *text)
{
    const size_t length = strcspn(text, "=");
    int i = 0;
    while (i < CHANGED_COUNT &&
           (strncmp(text, changed[i], length) != 0 || strlen(changed[i]) != length))
        i++;
    return i;
}

static void parse_set(bench_arguments *a, const char *text, struct argp_state *state)
{
    enum { MOST = sizeof a->sets / sizeof *a->sets };
    qg_settings settings;
    qg_error error;
    if (qg_settings_preset(&settings, "dqn3", &error) || qg_settings_set(&settings, text, &error))
        cli_bad_arguments(state, "%s", cli_message(&error));
    if (find_changed(text) == CHANGED_COUNT)
        cli_bad_arguments(state, "--set: no figure depends on '%.*s', but on " CHANGED,
                          (int)strcspn(text, "="), text);
    if (a->set_count == MOST) cli_bad_arguments(state, "too many --set");
    a->sets[a->set_count++] = text;
}

/* Refuses what no subject that is named depends on. */
static void check_sets(const bench_arguments *a, struct argp_state *state)
{
    const bool trains = !a->some || a->wanted[TRAIN] || a->wanted[STUDY];
    const bool updates = trains || a->wanted[UPDATE];
    for (int i = 0; i < a->set_count; i++)
        if (!(find_changed(a->sets[i]) < OF_UPDATE ? updates : trains))
            cli_bad_arguments(state, "--set %s: changes nothing that is measured: name '%s', too",
                              a->sets[i],
                              find_changed(a->sets[i]) < OF_UPDATE ? "update" : "train");
}

static error_t parse_subject(bench_arguments *a, const char *word, struct argp_state *state)
{
    qg_error ignored;
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    for (int i = 0; i < SUBJECTS; i++)
        if (strcmp(word, subjects[i].name) == 0) {
            a->wanted[i] = a->some = true;
            return 0;
        }
    if (strncmp(word, "gym:", 4) == 0 || qg_domain_resolve(word, &game, name, &ignored) == QG_OK) {
        if (a->domain) cli_bad_arguments(state, "only one domain, not also '%.60s'", word);
        a->domain = word;
        return 0;
    }
    cli_bad_arguments(
        state, "there is no subject '%.60s': update, act, games, replay, train or study", word);
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    bench_arguments *a = state->input;
    switch (key) {
    case OPTION_PRESET:
        a->preset = text;
        break;
    case 't':
        a->threads = text;
        break;
    case OPTION_SECONDS:
        a->seconds = text;
        break;
    case OPTION_SCREENS:
        a->screens = text;
        break;
    case OPTION_ISA:
        a->isa = text;
        break;
    case OPTION_PRECISION:
        a->precision = text;
        break;
    case 'S':
        parse_set(a, text, state);
        break;
    case 'j':
        a->json = true;
        break;
    case ARGP_KEY_ARG:
        return parse_subject(a, text, state);
    case ARGP_KEY_END:
        check_sets(a, state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* The processor's name as the system gives it. */
static void read_cpu_model(char *model, size_t size)
{
    snprintf(model, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file) return;
    char line[512];
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(model, size, "%.*s", (int)size - 1, colon + 1 + strspn(colon + 1, " "));
        break;
    }
    fclose(file);
}

/* The precision and the instruction set of an engine that is asked for them, or, with NULL,
 * chooses. */
static qg_status find_engine(const bench_arguments *a, bench_session *bench, qg_error *error)
{
    qg_architecture architecture;
    qg_engine *engine;
    qg_status status = qg_architecture_make("grid", 10, 10, 10, 1, 3, &architecture, error);
    const qg_engine_options one = {.architecture = &architecture,
                                   .precision = a->precision,
                                   .max_batch = 1,
                                   .machine = {1, a->isa}};
    if (!status) status = qg_engine_create(&one, &engine, error);
    if (status) return status;
    bench->isa = qg_engine_isa(engine); /* static, as */
    bench->precision = engine->methods->name;
    qg_engine_destroy(engine);
    return QG_OK;
}

static qg_status resolve(const bench_arguments *a, bench_session *bench, qg_error *error)
{
    const int cores = qg_machine_cores();
    int64_t threads = cores < QG_MAX_THREADS ? cores : QG_MAX_THREADS;
    *bench = (bench_session){.preset = a->preset,
                             .domain = a->domain,
                             .seconds = 1.5,
                             .json = a->json,
                             .sets = a->sets,
                             .set_count = a->set_count};
    if (a->domain && !(a->wanted[GAMES] && a->some))
        return qg_fail(error, QG_ERROR_USAGE, "%s: name the subject games before it", a->domain);
    static const char *const presets[] = {
        "nature",       "nature-pad0", "grid",      "nature-dueling",  "nature-pad0-dueling",
        "grid-dueling", "nature-norm", "grid-norm", "nature-pad0-norm"};
    enum { PRESETS = sizeof presets / sizeof *presets };
    int preset = 0;
    while (a->preset && preset < PRESETS && strcmp(a->preset, presets[preset]) != 0)
        preset++;
    if (preset == PRESETS)
        return qg_fail(error, QG_ERROR_USAGE,
                       "--preset: '%.60s' is not a network: nature, nature-pad0 or grid, each also "
                       "NAME-dueling or NAME-norm",
                       a->preset);
    if (a->seconds && !(qg_text_to_real(a->seconds, &bench->seconds) && bench->seconds >= 0.01 &&
                        bench->seconds <= 3600))
        return qg_fail(error, QG_ERROR_USAGE,
                       "--seconds: '%.40s' is not a number from 0.01 to 3600", a->seconds);
    bench->threads_given = a->threads;
    int64_t screens = 100000;
    qg_status status =
        a->threads ? qg_parse_count("--threads", a->threads, 1, QG_MAX_THREADS, &threads, error)
                   : QG_OK;
    if (!status && a->screens)
        status = qg_parse_count("--screens", a->screens, 1000, 100000000, &screens, error);
    bench->threads = (int)threads;
    bench->screens = (int)screens;
    bench->figures = json_array();
    bench->skipped = json_array();
    return status;
}

static qg_status run(const bench_arguments *a, bench_session *bench, qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0; i < SUBJECTS && !status; i++)
        if (a->wanted[i] || !a->some) status = subjects[i].run(bench, error);
    return status;
}

int cmd_bench(int argc, char **argv)
{
    bench_arguments arguments = {0};
    const struct argp argp = {
        argp_options, parse_option, "[SUBJECT... [DOMAIN]]", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    cli_catch_interrupt();
    bench_session bench;
    qg_error error;
    char model[256];
    qg_status status = resolve(&arguments, &bench, &error);
    if (!status) status = find_engine(&arguments, &bench, &error);
    if (!status) {
        read_cpu_model(model, sizeof model);
        if (!bench.json)
            printf("qgraft " QG_VERSION ", %s, %s, %s\n", model, bench.isa, bench.precision);
        status = run(&arguments, &bench, &error);
    }
    if (status) {
        json_decref(bench.figures);
        json_decref(bench.skipped);
        return cli_fail(&error);
    }
    if (!bench.json) {
        json_decref(bench.figures);
        json_decref(bench.skipped);
        return 0;
    }
    return cli_print_json(json_pack("{s:s, s:s, s:i, s:s, s:s, s:o, s:o}", "version", QG_VERSION,
                                    "cpu", model, "threads", bench.threads, "isa", bench.isa,
                                    "precision", bench.precision, "figures", bench.figures,
                                    "skipped", bench.skipped));
}
