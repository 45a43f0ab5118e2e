#include "domain/gym/gym_game.h"

#include "base/json_text.h"
#include "base/text.h"
#include "domain/gym/gym_name.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_VALUES = 8192, /* of a vector */
    MOST_SIDE = 1024,
    MOST_PIXELS = 1 << 22,
    MOST_ACTION_NAME = 23,
    SMALL = 36, /* images below this are too small for the Atari network */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list */
/* Of the descriptions of one name the newest comes first; domains may have others. */
static qg_gym_game *known;

/* ---------------------------------------------------------------------------- what a worker says
 */

static qg_status fail_answer(const char *name, const char *what, qg_error *error)
{
    return qg_fail(error, QG_ERROR_DATA, "%s: its process says something impossible of its %s",
                   name, what);
}

static bool read_shape(const json_t *told, qg_observation_shape *shape)
{
    const json_t *list = json_object_get(told, "shape"), *max = json_object_get(told, "max");
    int sides[3];
    for (size_t i = 0; i < 3; i++) {
        const json_t *side = json_array_get(list, i);
        const json_int_t number = json_is_integer(side) ? json_integer_value(side) : 0;
        if (number < 1 || number > MOST_VALUES) return false;
        sides[i] = (int)number;
    }
    const json_int_t most = json_is_integer(max) ? json_integer_value(max) : -1;
    *shape = (qg_observation_shape){sides[0], sides[1], sides[2], (int)most};
    const bool row = sides[0] == 1 && sides[1] == 1;
    const bool image = sides[0] <= MOST_SIDE && sides[1] <= MOST_SIDE && sides[2] <= MOST_SIDE &&
                       (int64_t)sides[0] * sides[1] * sides[2] <= MOST_PIXELS;
    return json_array_size(list) == 3 && (row || (image && most > 0)) &&
           (most == 0 || most == 1 || most == 255);
}

static bool is_name(const char *text)
{
    const size_t length = text ? strlen(text) : 0;
    return length >= 1 && length <= MOST_ACTION_NAME && *text >= 'a' && *text <= 'z' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

static qg_status read_actions(const char *name, const json_t *told, qg_gym_game *g, qg_error *error)
{
    const json_t *list = json_object_get(told, "actions");
    const size_t count = json_array_size(list);
    size_t length = 0;
    if (count < 1 || count > QG_MAX_ACTIONS) return fail_answer(name, "actions", error);
    g->actions = calloc(count, sizeof *g->actions);
    if (!g->actions) return qg_fail_memory(error, "names of actions", count);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!is_name(text)) return fail_answer(name, "actions", error);
        g->actions[i] = strdup(text);
        if (!g->actions[i]) return qg_fail_memory(error, "names of actions", count);
        g->game.action_count++;
        length += strlen(text) + 1;
    }
    if (length > 4096)
        return qg_fail(
            error, QG_ERROR_USAGE,
            "%s: the names of its actions have %zu characters together; at most 4096 are "
            "possible",
            name, length);
    g->game.actions = (const char *const *)g->actions;
    return QG_OK;
}

static char *read_text(const json_t *told, const char *key)
{
    const char *text = json_string_value(json_object_get(told, key));
    char *copy = strdup(text ? text : "");
    if (copy) qg_text_make_safe(copy);
    return copy;
}

/* What suits its observations. */
static void choose_defaults(const qg_observation_shape *s, double fps, qg_game_defaults *defaults)
{
    const bool row = s->height == 1 && s->width == 1;
    *defaults =
        row || s->height < SMALL || s->width < SMALL ? qg_grid_defaults : qg_screen_defaults;
    if (row) {
        defaults->preset = "vector";
        defaults->steps = 40000;
    }
    defaults->fps = fps >= 0.01 && fps <= 1000 ? fps : 30;
}

static qg_status describe(const char *name, const json_t *told, qg_gym_game *g, qg_error *error)
{
    if (!read_shape(told, &g->game.shape)) return fail_answer(name, "observations", error);
    const qg_status status = read_actions(name, told, g, error);
    if (status) return status;
    g->note = read_text(told, "note");
    if (!g->note) return qg_fail_memory(error, "a game", sizeof *g);
    g->draws = json_is_true(json_object_get(told, "picture"));
    choose_defaults(&g->game.shape, json_number_value(json_object_get(told, "fps")), &g->defaults);
    return QG_OK;
}

/* Frees what `describe` made. */
static void forget(qg_gym_game *g)
{
    for (int i = 0; i < g->game.action_count; i++)
        free(g->actions[i]);
    free(g->actions);
    free(g->note);
}

static bool is_same(const qg_gym_game *a, const qg_gym_game *b)
{
    const qg_observation_shape *s = &a->game.shape, *t = &b->game.shape;
    bool same = memcmp(s, t, sizeof *s) == 0 && a->game.action_count == b->game.action_count &&
                a->draws == b->draws;
    for (int i = 0; same && i < a->game.action_count; i++)
        same = strcmp(a->actions[i], b->actions[i]) == 0;
    return same;
}

/* ---------------------------------------------------------------------------------------- asking
 */

/* What a worker says of the environment that it has made; the caller's to json_decref. */
static qg_status ask(const char *name, const char *request, qg_worker *worker, json_t **told,
                     qg_error *error)
{
    qg_worker_reply reply;
    qg_error inner;
    const qg_status status = qg_worker_ask(worker, QG_WORKER_MAKE, 0, request, &reply, &inner);
    if (status) return qg_fail(error, status, "%s: %s", name, inner.message);
    *told = qg_json_parse("the description", reply.text, reply.size, &inner);
    if (!*told || !json_is_object(*told)) {
        json_decref(*told);
        *told = NULL;
        return fail_answer(name, "description", error);
    }
    return QG_OK;
}

static void count_user(const qg_gym_game *game, int change)
{
    pthread_mutex_lock(&lock);
    ((qg_gym_game *)(uintptr_t)game)->users += change;
    pthread_mutex_unlock(&lock);
}

void qg_gym_close(const qg_gym_game *game, qg_worker *worker)
{
    qg_worker_close(worker);
    count_user(game, -1);
}

qg_status qg_gym_open(const qg_gym_game *game, qg_worker **worker, qg_error *error)
{
    json_t *told = NULL;
    qg_gym_game now = {0};
    const qg_game *g = &game->game;
    qg_status status = qg_worker_take(g->name, worker, error);
    if (status) return status;
    status = ask(g->name, game->request, *worker, &told, error);
    if (!status) status = describe(g->name, told, &now, error);
    if (!status && !is_same(&now, game))
        status =
            qg_fail(error, QG_ERROR_DATA,
                    "%s: its spaces or actions are others than when it was made before", g->name);
    json_decref(told);
    forget(&now);
    if (!status) {
        count_user(game, 1);
        return QG_OK;
    }
    qg_worker_end(*worker);
    *worker = NULL;
    return status;
}

/* ------------------------------------------------------------------------------------ the list */

static void free_game(qg_gym_game *g)
{
    if (!g) return;
    forget(g);
    free(g->name);
    free(g->family);
    free(g->request);
    free(g);
}

/* A game that is not in the list yet. Takes over read->request. */
static qg_status make(qg_gym_name *read, qg_gym_game **result, qg_error *error)
{
    qg_worker *worker = NULL;
    json_t *told = NULL;
    qg_gym_game *g = calloc(1, sizeof *g);
    if (!g) return qg_fail_memory(error, "a game", sizeof *g);
    g->request = read->request;
    read->request = NULL;
    g->name = strdup(read->normalised);
    g->family = strdup(read->family);
    qg_status status = g->name && g->family ? qg_worker_take(read->normalised, &worker, error)
                                            : qg_fail_memory(error, "a game", sizeof *g);
    if (!status) status = ask(g->name, g->request, worker, &told, error);
    if (!status) status = describe(g->name, told, g, error);
    json_decref(told);
    if (status) {
        qg_worker_end(worker);
        free_game(g);
        return status;
    }
    qg_worker_rest(worker);
    g->game.name = g->name;
    g->game.family = g->family;
    g->game.family_source = "the environment's name";
    g->game.levels = 1;
    g->game.note = g->note;
    g->game.defaults = &g->defaults;
    *result = g;
    return QG_OK;
}

/* Under the lock. */
static qg_status find(qg_gym_name *read, const qg_game **found, qg_error *error)
{
    qg_gym_game *old = known, *made = NULL;
    while (old && strcmp(old->name, read->normalised) != 0)
        old = old->next;
    if (old && (old->fresh || old->users > 0)) {
        *found = &old->game;
        return QG_OK;
    }
    const qg_status status = make(read, &made, error);
    if (status) return status;
    made->fresh = true;
    if (old && is_same(old, made)) {
        free_game(made);
        old->fresh = true;
        *found = &old->game;
        return QG_OK;
    }
    made->next = known;
    known = made;
    *found = &made->game;
    return QG_OK;
}

void qg_gym_release(void)
{
    qg_worker_end_resting();
    pthread_mutex_lock(&lock);
    for (qg_gym_game *g = known; g; g = g->next)
        g->fresh = false;
    pthread_mutex_unlock(&lock);
}

qg_status qg_gym_resolve(const char *name, qg_named_domain *named, qg_error *error)
{
    qg_gym_name read;
    qg_status status = qg_gym_name_read(name, &read, error);
    if (!status) {
        pthread_mutex_lock(&lock);
        status = find(&read, &named->game, error);
        pthread_mutex_unlock(&lock);
    }
    if (!status) strcpy(named->name, read.normalised);
    free(read.request);
    return status;
}
