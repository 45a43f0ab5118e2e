/* qgraft replay: the replay memory that a training kept, told or exported. */
#include "cli/cli.h"

#include "agent/replay_ring.h"
#include "base/file.h"
#include "base/text.h"
#include "network/safetensors.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char documentation[] =
    "Shows what the replay memory in FILE holds, which a training kept (--keep-replay), or writes "
    "it "
    "as OUT.safetensors: `observations` U8 [N, height, width(, channels)], of vectors F32 [N, "
    "values], `actions` I64 [N], "
    "`rewards` F32 [N] (as they were learned from) and `ends` U8 [N] (1: terminal, 2: truncated). "
    "Action and reward i follow observation i; behind an end an episode begins. Where the training "
    "came from stands in the metadata.\v"
    "Examples:\n"
    "  qgraft train pong --keep-replay --out runs/pong\n"
    "  qgraft replay runs/pong/replay.data\n"
    "  qgraft replay runs/pong/replay.data --last 100k --export pong.safetensors";

enum { OPTION_EXPORT = 256, OPTION_LAST, OPTION_INFO };

static const struct argp_option argp_options[] = {
    {"info", OPTION_INFO, NULL, 0, "show what it holds (what is done without --export)", 0},
    {"export", OPTION_EXPORT, "OUT", 0, "write it as a safetensors file", 0},
    {"last", OPTION_LAST, "N", 0, "only the newest N screens", 0},
    {"json", 'j', NULL, 0, "print JSON", 0},
    {0},
};

typedef struct replay_arguments {
    const char *path, *out, *last;
    bool info, json;
} replay_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    replay_arguments *a = state->input;
    switch (key) {
    case OPTION_INFO:
        a->info = true;
        return 0;
    case OPTION_EXPORT:
        a->out = text;
        return 0;
    case OPTION_LAST:
        a->last = text;
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->path) cli_bad_arguments(state, "only one file, not also '%.60s'", text);
        a->path = text;
        return 0;
    case ARGP_KEY_END:
        if (!a->path) cli_bad_arguments(state, "name a file, as runs/a/replay.data");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Entries first ... ring->count - 1. */
typedef struct replay_part {
    const qg_replay_ring *ring;
    int64_t first;
    size_t count, screen; /* bytes of one */
} replay_part;

/* "key: value" lines, one after the other; false: there is none left. Cuts them up. */
static bool next_line(char **text, const char **key, const char **value)
{
    char *line = strsep(text, "\n"), *colon = line ? strstr(line, ": ") : NULL;
    if (!colon) return false;
    qg_text_make_safe(line);
    *colon = 0;
    *key = line;
    *value = colon + 2;
    return true;
}

/* ------------------------------------------------------------------------------------ info */

static void count_ends(const replay_part *p, int64_t ends[3], double *rewards)
{
    for (int64_t entry = p->first; entry < p->ring->count; entry++) {
        const size_t at = qg_replay_ring_slot(p->ring, entry);
        ends[p->ring->ends[at]]++;
        *rewards += (double)p->ring->rewards[at];
    }
}

static int print_json(const replay_part *p, const int64_t ends[3], double rewards, char *about)
{
    const qg_observation_shape *s = &p->ring->plan.shape;
    const char *key, *value;
    json_t *told = json_object();
    while (next_line(&about, &key, &value))
        json_object_set_new(told, key, json_string(value));
    return cli_print_json(json_pack(
        "{s:I, s:I, s:[i,i,i,i], s:i, s:I, s:I, s:o, s:f, s:o}", "first", (json_int_t)p->first,
        "screens", (json_int_t)p->count, "shape", s->height, s->width, s->channels, s->max,
        "history", p->ring->plan.history, "terminal", (json_int_t)ends[QG_REPLAY_TERMINAL],
        "truncated", (json_int_t)ends[QG_REPLAY_TRUNCATED], "rewards", cli_real_to_json(rewards),
        "bytes_per_screen", qg_replay_ring_screen_bytes(p->ring), "about", told));
}

static int print_info(const replay_part *p, bool json, char *about)
{
    int64_t ends[3] = {0};
    double rewards = 0;
    count_ends(p, ends, &rewards);
    if (json) return print_json(p, ends, rewards, about);
    const qg_observation_shape *s = &p->ring->plan.shape;
    const double bytes = qg_replay_ring_screen_bytes(p->ring);
    const char *key, *value;
    while (next_line(&about, &key, &value)) {
        printf("%-20s", key);
        cli_print_safe(value);
        putchar('\n');
    }
    printf("%-20s%zu of %d x %d x %d, number %" PRId64 " to %" PRId64 " of the run\n", "screens",
           p->count, s->height, s->width, s->channels, p->first, p->ring->count - 1);
    printf("%-20s%" PRId64 ", and %" PRId64 " that were cut off\n", "episodes that end",
           ends[QG_REPLAY_TERMINAL], ends[QG_REPLAY_TRUNCATED]);
    printf("%-20s%g\n", "sum of rewards", rewards);
    printf("%-20s%.4g in the mean, 1 / %.3g of it\n", "bytes of a screen", bytes,
           (double)p->screen / bytes);
    return 0;
}

/* ---------------------------------------------------------------------------------- export */

typedef struct export_columns {
    uint8_t *observations; /* mapped: more than memory may hold */
    size_t bytes;
    int64_t *actions;
    float *rewards;
    uint8_t *ends;
} export_columns;

/* Room on the disk beside the file that is to be written, without a name. */
static qg_status map_room(const char *out, export_columns *e, qg_error *error)
{
    char *name;
    if (asprintf(&name, "%s.tmp-XXXXXX", out) < 0) return qg_fail_memory(error, out, strlen(out));
    const int file = mkstemp(name);
    if (file < 0) {
        qg_fail_errno(error, "%s: cannot create", out);
        free(name);
        return error->code;
    }
    unlink(name);
    free(name);
    const int problem = qg_file_reserve(file, 0, e->bytes);
    void *map =
        problem ? MAP_FAILED : mmap(NULL, e->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (problem) errno = problem;
    if (map == MAP_FAILED) {
        char bytes[32];
        qg_fail_errno(error, "%s: the screens need %s on the disk twice (give --last)", out,
                      qg_text_from_bytes((double)e->bytes, bytes));
    }
    close(file);
    if (map == MAP_FAILED) return error->code;
    e->observations = map;
    return QG_OK;
}

static qg_status fill(const replay_part *p, export_columns *e, qg_error *error)
{
    assert(e->observations); /* mapped before */
    uint8_t *room = malloc(qg_screen_store_room(p->ring->store));
    qg_status status = room ? QG_OK : qg_fail_memory(error, "a screen", p->screen);
    for (size_t i = 0; i < p->count && !status; i++) {
        const int64_t entry = p->first + (int64_t)i;
        const size_t at = qg_replay_ring_slot(p->ring, entry);
        memcpy(e->observations + i * p->screen, qg_screen_store_get(p->ring->store, entry, room),
               p->screen);
        e->actions[i] = p->ring->actions[at];
        e->rewards[i] = p->ring->rewards[at];
        e->ends[i] = p->ring->ends[at];
        if (cli_interrupted()) status = qg_fail(error, QG_STOPPED, "stopped");
    }
    free(room);
    return status;
}

static qg_status add_metadata(qg_tensors *tensors, char *about, qg_error *error)
{
    const char *key, *value;
    qg_status status = qg_tensors_set_metadata(tensors, "format", "qgraft replay 1", error);
    while (!status && next_line(&about, &key, &value))
        status = qg_tensors_set_metadata(tensors, key, value, error);
    return status;
}

static qg_status save(const replay_part *p, const export_columns *e, const char *out, char *about,
                      qg_error *error)
{
    const qg_observation_shape *s = &p->ring->plan.shape;
    const size_t shape[] = {p->count, (size_t)s->height, (size_t)s->width, (size_t)s->channels};
    qg_tensors *tensors = qg_tensors_new();
    if (!tensors) return qg_fail_memory(error, "the tensors", sizeof *e);
    qg_status status = add_metadata(tensors, about, error);
    if (!status) status = qg_tensors_add(tensors, "actions", QG_I64, 1, shape, e->actions, error);
    if (!status) status = qg_tensors_add(tensors, "rewards", QG_F32, 1, shape, e->rewards, error);
    const size_t vectors[] = {p->count, (size_t)s->channels};
    const bool vector = qg_observation_is_vector(s);
    if (!status)
        status = qg_tensors_add(tensors, "observations", vector ? QG_F32 : QG_U8,
                                vector             ? 2
                                : s->channels == 1 ? 3
                                                   : 4,
                                vector ? vectors : shape, e->observations, error);
    if (!status) status = qg_tensors_add(tensors, "ends", QG_U8, 1, shape, e->ends, error);
    if (!status) status = qg_tensors_save(tensors, out, error);
    qg_tensors_free(tensors);
    return status;
}

static qg_status export_part(const replay_part *p, const char *out, char *about, qg_error *error)
{
    export_columns e = {.bytes = p->count * p->screen,
                        .actions = malloc(p->count * sizeof *e.actions),
                        .rewards = malloc(p->count * sizeof *e.rewards),
                        .ends = malloc(p->count)};
    qg_status status = e.actions && e.rewards && e.ends
                           ? map_room(out, &e, error)
                           : qg_fail_memory(error, "the columns", p->count * 13);
    if (!status) status = fill(p, &e, error);
    if (!status) status = save(p, &e, out, about, error);
    if (e.observations) munmap(e.observations, e.bytes);
    free(e.actions);
    free(e.rewards);
    free(e.ends);
    return status;
}

/* The newest `last` entries (NULL: all). */
static qg_status choose_part(const qg_replay_ring *ring, const char *last, replay_part *p,
                             qg_error *error)
{
    int64_t most = INT64_MAX;
    const qg_status status =
        last ? qg_parse_count("--last", last, 1, INT64_MAX, &most, error) : QG_OK;
    const int64_t oldest = qg_replay_ring_oldest(ring), there = ring->count - oldest;
    const int64_t count = most < there ? most : there;
    *p = (replay_part){.ring = ring,
                       .first = ring->count - count,
                       .count = (size_t)count,
                       .screen = qg_observation_size(&ring->plan.shape)};
    return status;
}

int cmd_replay(int argc, char **argv)
{
    replay_arguments a = {0};
    const struct argp argp = {argp_options, parse_option, "FILE", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &a);
    cli_catch_interrupt();
    qg_replay_ring *ring = NULL;
    replay_part part = {0};
    char about[QG_REPLAY_ABOUT] = "";
    qg_error error;
    qg_status status = cli_spare(a.path, a.out, &error);
    if (!status) status = qg_replay_ring_read(a.path, cli_interrupt_flag(), &ring, about, &error);
    if (!status) status = choose_part(ring, a.last, &part, &error);
    char copy[QG_REPLAY_ABOUT];
    memcpy(copy, about, sizeof copy);
    if (!status && a.out) status = export_part(&part, a.out, copy, &error);
    int code = 0;
    if (status)
        code = cli_fail(&error);
    else if (!a.out || a.info || a.json)
        code = print_info(&part, a.json, about);
    qg_replay_ring_close(ring);
    return code;
}
