/* qgraft rollout: plays actions and writes all that was seen, so that any language can check the
 * games against its own. */
#include "cli/cli.h"

#include <qgraft/agent.h>

#include "base/file.h"
#include "base/text.h"
#include "base/random.h"
#include "cli/actions.h"
#include "network/safetensors.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_STEPS ((int64_t)1 << 40)

typedef struct rollout_options {
    const char *domain, *actions, *random, *seed, *out;
    bool raw;
    const char *assignments[32];
    size_t assignment_count;
} rollout_options;

static const char documentation[] =
    "Plays DOMAIN with the actions of a file or with N random ones and writes FILE.safetensors: "
    "`actions` I64 [N], `observations` U8 [N, ...] (of vectors F32) after each action, `rewards` "
    "F32 [N], `ends` and `truncations` U8 [N]. After both the game is reset; that screen is not "
    "recorded.\v"
    "Examples:\n"
    "  qgraft rollout minatar/breakout --random 1000 --seed 1 --out play.safetensors\n"
    "  qgraft rollout qbert:level=2 --actions moves.txt --seed 39 --raw --out q.safetensors\n"
    "\nAn actions file has one index or name per line ('#' begins a comment), or is a .safetensors "
    "file with an I64 tensor `actions`. Settings: sticky, frame_skip, life_loss_terminal (a lost "
    "life breaks the repeat of frames), actions, max_episode_frames (else there is no limit).";

static const struct argp_option argp_options[] = {
    {"actions", 'a', "FILE", 0, "play the actions of FILE", 0},
    {"random", 'n', "N", 0, "play N actions at random (10k, 1M)", 0},
    {"seed", 's', "S", 0, "seed of the game and of the random actions, 0 to 2^32 - 1", 0},
    {"out", 'o', "FILE", 0, "the file to write", 0},
    {"raw", 'r', NULL, 0, "write `screens` (palette indices) and, on Atari, `ram` too", 0},
    {"set", 'S', "KEY=VALUE", 0, "change a setting of the game", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    rollout_options *options = state->input;
    switch (key) {
    case 'a':
        options->actions = argument;
        return 0;
    case 'n':
        options->random = argument;
        return 0;
    case 's':
        options->seed = argument;
        return 0;
    case 'o':
        options->out = argument;
        return 0;
    case 'r':
        options->raw = true;
        return 0;
    case 'S':
        if (options->assignment_count == sizeof options->assignments / sizeof(char *))
            cli_bad_arguments(state, "too many settings");
        options->assignments[options->assignment_count++] = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) cli_bad_arguments(state, "one DOMAIN only");
        options->domain = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* What is recorded, N steps of everything. All arrays are owned; screens and ram may be NULL. */
typedef struct record {
    size_t steps;
    int64_t *actions;      /* [N] */
    uint8_t *observations; /* [N][observation_size] */
    float *rewards;        /* [N] */
    uint8_t *ends;         /* [N] */
    uint8_t *truncations;  /* [N] */
    uint8_t *screens;      /* [N][screen_height][screen_width] */
    uint8_t *ram;          /* [N][ram_size] */
    size_t observation_size, screen_height, screen_width, ram_size;
} record;

static void recording_free(record *r)
{
    free(r->actions);
    free(r->observations);
    free(r->rewards);
    free(r->ends);
    free(r->truncations);
    free(r->screens);
    free(r->ram);
}

/* The sizes are known once the game is open. Refused before the first allocation when the whole
 * cannot fit, since Linux grants memory that it does not have. */
static qg_status recording_allocate(record *r, qg_domain *domain, bool raw, qg_error *error)
{
    assert(r->steps > 0);
    r->observation_size = qg_observation_size(&domain->shape);
    if (raw && !qg_domain_has_picture(domain))
        return qg_fail(error, QG_ERROR_USAGE, "`raw`: %s has no pictures of itself", domain->name);
    if (raw) {
        qg_picture picture;
        qg_domain_picture(domain, &picture);
        r->screen_height = (size_t)picture.height;
        r->screen_width = (size_t)picture.width;
        if (!qg_domain_ram(domain, &r->ram_size)) r->ram_size = 0;
    }
    const size_t screen_size = r->screen_height * r->screen_width;
    const size_t per_step = sizeof *r->actions + sizeof *r->rewards + 2 * sizeof *r->ends +
                            r->observation_size + screen_size + r->ram_size;
    const size_t memory = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes;
    if (__builtin_mul_overflow(r->steps, per_step, &bytes)) bytes = SIZE_MAX;
    if (bytes > memory)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%zu steps of %zu bytes each do not fit into the memory of this machine "
                       "(%zu bytes): play fewer",
                       r->steps, per_step, memory);
    if (!r->actions) r->actions = calloc(r->steps, sizeof *r->actions);
    r->observations = malloc(r->steps * r->observation_size);
    r->rewards = malloc(r->steps * sizeof *r->rewards);
    r->ends = malloc(r->steps);
    r->truncations = malloc(r->steps);
    if (raw) r->screens = malloc(r->steps * screen_size);
    if (r->ram_size) r->ram = malloc(r->steps * r->ram_size);
    if (!r->actions || !r->observations || !r->rewards || !r->ends || !r->truncations ||
        (raw && !r->screens) || (r->ram_size && !r->ram))
        return qg_fail_memory(error, "the steps", bytes);
    return QG_OK;
}

static qg_status record_screen(qg_domain *domain, record *r, size_t i, qg_error *error)
{
    const size_t size = r->screen_height * r->screen_width;
    qg_picture picture;
    qg_domain_picture(domain, &picture);
    if ((size_t)picture.height != r->screen_height || (size_t)picture.width != r->screen_width)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: its picture is %d x %d pixels after step %zu, before %zu x %zu: "
                       "`raw` needs pictures of one size",
                       domain->name, picture.height, picture.width, i + 1, r->screen_height,
                       r->screen_width);
    memcpy(r->screens + i * size, picture.pixels, size);
    return QG_OK;
}

static qg_status record_ram(qg_domain *domain, record *r, size_t i, qg_error *error)
{
    size_t size = 0;
    const uint8_t *const ram = qg_domain_ram(domain, &size);
    if (!ram || size != r->ram_size)
        return qg_fail(
            error, QG_ERROR_DATA,
            "%s: its RAM is %zu bytes after step %zu, before %zu: `raw` needs RAM of one "
            "size",
            domain->name, ram ? size : 0, i + 1, r->ram_size);
    memcpy(r->ram + i * r->ram_size, ram, r->ram_size);
    return QG_OK;
}

static qg_status play(qg_domain *domain, record *r, qg_error *error)
{
    uint8_t *const reset_screen = malloc(r->observation_size);
    if (!reset_screen) return qg_fail_memory(error, "a screen", r->observation_size);
    qg_status status = QG_OK;
    bool ended = false; /* the game is open and reset already */
    for (size_t i = 0; i < r->steps && status == QG_OK; i++) {
        if (ended) status = qg_domain_reset(domain, 0, reset_screen, error);
        if (status != QG_OK) break;
        qg_step step;
        status = qg_domain_step(domain, (int)r->actions[i], &step,
                                r->observations + i * r->observation_size, error);
        if (status != QG_OK) break;
        r->rewards[i] = step.reward;
        r->ends[i] = step.end;
        r->truncations[i] = step.truncated;
        ended = qg_step_is_last(&step);
        if (r->screens) status = record_screen(domain, r, i, error);
        if (r->ram && !status) status = record_ram(domain, r, i, error);
    }
    free(reset_screen);
    return status || !r->screens ? status : cli_check_picture(domain, error);
}

static qg_status add_metadata(qg_tensors *tensors, const qg_domain *domain,
                              const qg_domain_options *options, qg_error *error)
{
    char seed[16];
    snprintf(seed, sizeof seed, "%u", (unsigned)options->seed);
    char names[QG_ACTION_NAMES];
    qg_text_join(domain->actions, domain->action_count, names, sizeof names);
    qg_status status = qg_tensors_set_metadata(tensors, "domain", domain->name, error);
    if (status == QG_OK) status = qg_tensors_set_metadata(tensors, "seed", seed, error);
    if (status == QG_OK) status = qg_tensors_set_metadata(tensors, "action_names", names, error);
    return status;
}

static qg_status write_recording(const record *r, const qg_domain *domain,
                                 const qg_domain_options *options, const char *path,
                                 qg_error *error)
{
    qg_tensors *tensors = qg_tensors_new();
    if (!tensors) return qg_fail_memory(error, "the tensors", sizeof *r);
    const size_t n = r->steps, height = (size_t)domain->shape.height,
                 width = (size_t)domain->shape.width, channels = (size_t)domain->shape.channels;
    /* A single channel (Atari's grey screens) has no axis of its own. */
    const int rank = channels == 1 ? 3 : 4;
    const bool vector = qg_observation_is_vector(&domain->shape);
    const struct {
        const char *name;
        qg_dtype dtype;
        int rank;
        size_t shape[4];
        const void *data;
    } all[] = {
        {"actions", QG_I64, 1, {n}, r->actions},
        {"observations",
         QG_U8,
         rank,
         {n, height, width, channels},
         vector ? NULL : r->observations},
        {"observations", QG_F32, 2, {n, channels}, vector ? r->observations : NULL},
        {"rewards", QG_F32, 1, {n}, r->rewards},
        {"ends", QG_U8, 1, {n}, r->ends},
        {"truncations", QG_U8, 1, {n}, r->truncations},
        {"screens", QG_U8, 3, {n, r->screen_height, r->screen_width}, r->screens},
        {"ram", QG_U8, 2, {n, r->ram_size}, r->ram},
    };
    qg_status status = add_metadata(tensors, domain, options, error);
    for (size_t i = 0; i < sizeof all / sizeof *all && status == QG_OK; i++)
        if (all[i].data)
            status = qg_tensors_add(tensors, all[i].name, all[i].dtype, all[i].rank, all[i].shape,
                                    all[i].data, error);
    if (status == QG_OK) status = qg_tensors_save(tensors, path, error);
    qg_tensors_free(tensors);
    return status;
}

/* Some settings, in their words and ranges. */
static qg_status read_domain_options(const rollout_options *options, qg_domain_options *domain,
                                     qg_error *error)
{
    int64_t seed;
    qg_status status = qg_parse_count("--seed", options->seed, 0, UINT32_MAX, &seed, error);
    if (status != QG_OK) return status;
    *domain = (qg_domain_options){.seed = (uint32_t)seed, .sticky = -1};
    qg_settings settings;
    status = qg_settings_preset(&settings, "dqn3", error);
    for (size_t i = 0; i < options->assignment_count && status == QG_OK; i++) {
        const char *const text = options->assignments[i];
        status = qg_settings_set(&settings, text, error);
        if (status != QG_OK) break;
        if (strncmp(text, "sticky=", 7) == 0)
            domain->sticky = settings.sticky;
        else if (strncmp(text, "frame_skip=", 11) == 0)
            domain->frame_skip = settings.frame_skip;
        else if (strncmp(text, "life_loss_terminal=", 19) == 0)
            domain->break_on_life = settings.life_loss_terminal;
        else if (strncmp(text, "actions=", 8) == 0)
            domain->actions = qg_domain_options_of(&settings).actions;
        else if (strncmp(text, "max_episode_frames=", 19) == 0)
            domain->max_episode_frames = qg_domain_options_of(&settings).max_episode_frames;
        else
            status = qg_fail(error, QG_ERROR_USAGE,
                             "'%.60s' has no effect here; allowed: sticky, frame_skip, "
                             "life_loss_terminal, actions, max_episode_frames",
                             text);
    }
    return status;
}

static void draw_actions(record *r, uint32_t seed, int action_count)
{
    qg_random random = qg_random_stream(seed, "rollout");
    for (size_t i = 0; i < r->steps; i++)
        r->actions[i] = (int64_t)qg_random_below(&random, (uint64_t)action_count);
}

/* Everything between the options and the end; the caller frees what is in `r` and `domain`. */
static qg_status roll_out(const rollout_options *options, record *r, qg_domain **domain,
                          qg_error *error)
{
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    qg_domain_options domain_options;
    qg_status status = qg_domain_resolve(options->domain, &game, name, error);
    if (status == QG_OK && options->actions)
        status = cli_spare(options->actions, options->out, error);
    if (status == QG_OK) status = read_domain_options(options, &domain_options, error);
    if (status != QG_OK) return status;
    int64_t count = 0;
    int action_count;
    /* A list that is wrong is found where the game cannot be opened, too. */
    if (options->random)
        status = qg_parse_count("--random", options->random, 1, MOST_STEPS, &count, error);
    else if (qg_game_actions(game, domain_options.actions, &action_count))
        status = cli_read_actions(options->actions, game, domain_options.actions, &r->actions,
                                  &r->steps, error);
    if (status != QG_OK) return status;
    if (options->random) r->steps = (size_t)count;

    status = qg_domain_open(name, &domain_options, domain, error);
    if (status != QG_OK) return status;
    uint8_t *first = malloc(qg_observation_size(&(*domain)->shape));
    if (!first) return qg_fail_memory(error, "a screen", qg_observation_size(&(*domain)->shape));
    status = qg_domain_reset(*domain, 0, first, error);
    free(first);
    if (status == QG_OK) status = recording_allocate(r, *domain, options->raw, error);
    if (status != QG_OK) return status;
    if (options->random) draw_actions(r, domain_options.seed, (*domain)->action_count);
    status = play(*domain, r, error);
    if (status != QG_OK) return status;
    return write_recording(r, *domain, &domain_options, options->out, error);
}

int cmd_rollout(int argc, char **argv)
{
    rollout_options options = {0};
    const struct argp argp = {argp_options, parse_option, "DOMAIN", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &options);
    if (!options.domain) return cli_fail_usage("DOMAIN is missing ('qgraft games' lists all)");
    if (!options.actions == !options.random)
        return cli_fail_usage("either --actions FILE or --random N is needed");
    if (!options.seed) return cli_fail_usage("--seed S is missing");
    if (!options.out) return cli_fail_usage("--out FILE is missing");

    qg_error error;
    qg_domain *domain = NULL;
    record recording = {0};
    const qg_status status = roll_out(&options, &recording, &domain, &error);
    if (status == QG_OK) {
        double reward = 0;
        size_t ends = 0, truncations = 0;
        for (size_t i = 0; i < recording.steps; i++) {
            reward += (double)recording.rewards[i];
            ends += recording.ends[i];
            truncations += recording.truncations[i];
        }
        printf("%s: %zu steps, %zu ends, ", domain->name, recording.steps, ends);
        if (truncations) printf("%zu truncated, ", truncations);
        printf("reward %g, written to ", reward);
        cli_print_safe(options.out);
        putchar('\n');
    }
    recording_free(&recording);
    qg_domain_close(domain);
    return status == QG_OK ? 0 : cli_fail(&error);
}
