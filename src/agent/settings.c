/* The table of settings. Everything that reads, writes, checks or lists settings goes over it, so
 * that a new setting is one field, one row here and one value per preset (presets.c). */
#include <qgraft/domain.h>
#include <qgraft/engine.h>
#include <qgraft/settings.h>

#include "base/json_text.h"
#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTING(name, type, field, minimum, maximum, before, choices, help)                        \
    {                                                                                              \
        name, QG_SETTING_##type, offsetof(qg_settings, field), sizeof((qg_settings *)0)->field,    \
            minimum, maximum, before, choices, help                                                \
    }
#define ROW(type, field, minimum, maximum, help)                                                   \
    SETTING(#field, type, field, minimum, maximum, NULL, NULL, help)
/* One that is newer than studies; and one of a few words. */
#define NEW(type, field, minimum, maximum, before, help)                                           \
    SETTING(#field, type, field, minimum, maximum, before, NULL, help)
#define CHOICE(field, before, choices, help)                                                       \
    SETTING(#field, TEXT, field, 0, 0, before, choices, help)
#define STEPS 1e15 /* more steps than any run makes, and exact in a double */

static const qg_setting table[] = {
    ROW(TEXT, preset, 0, 0,
        "what all others start from: dqn3, machado, grid, cleanrl, sb3 or vector"),
    ROW(TEXT, network, 0, 0,
        "nature, nature-pad0, grid, vector, NAME-dueling, NAME-norm, NAME-split:WIDTH, or a list"),
    ROW(INT, history, 1, QG_MAX_HISTORY, "screens per state"),
    NEW(TEXT, precision, 0, 0, "float32",
        "what the network is computed in: float32 or bf16 (docs/precision.md)"),
    ROW(REAL, discount, 0, 1, "weight of the next step's value"),
    NEW(INT, n_step, 1, 1000, "1",
        "steps of a transition (Sutton & Barto 7.1): their rewards, then the next value"),
    CHOICE(optimiser, "rmsprop", "rmsprop, adam",
           "rmsprop (centred, Graves 2013) or adam (Kingma & Ba 2015, as PyTorch has it)"),
    ROW(REAL, learning_rate, 0, 10, "step size of the optimiser"),
    ROW(REAL, rms_decay, 0, 1, "decay of RMSProp's two moments"),
    ROW(REAL, rms_epsilon, 1e-12, 1e6, "added to RMSProp's variance under the root"),
    NEW(REAL, adam_beta1, 0, 0.999999, "0.9", "decay of Adam's mean of gradients"),
    NEW(REAL, adam_beta2, 0, 0.999999, "0.999", "decay of Adam's mean of their squares"),
    NEW(REAL, adam_epsilon, 1e-12, 1e6, "1e-08", "added to the root of Adam's mean of squares"),
    CHOICE(loss, "clipped", "clipped, huber, mse",
           "clipped (TD errors), huber (the same slope: docs/learners.md) or mse"),
    ROW(REAL, clip_error, 0, 1e6, "TD errors are clipped to +- this; 0, or mse: not clipped"),
    CHOICE(reduction, "sum", "sum, mean", "of a minibatch's gradient: sum, or mean as in PyTorch"),
    SETTING("double", BOOLEAN, double_q, 0, 0, "false", NULL,
            "double DQN (van Hasselt 2016): the online network chooses the target's action"),
    NEW(REAL, max_grad_norm, 0, 1e6, "0",
        "larger gradients are scaled to this norm (Pascanu 2013); 0: none"),
    ROW(REAL, l2, 0, 1e6, "weight decay, beside a gradient that is a sum; 0: none"),
    ROW(REAL, dropout_conv, 0, 0.99, "share of a hidden conv's outputs dropped while learning"),
    ROW(REAL, dropout_linear, 0, 0.99, "share of a hidden linear layer's outputs dropped"),
    ROW(INT, minibatch, 1, 4096, "transitions per update"),
    ROW(COUNT, replay, 1, 1e9, "steps that the replay holds"),
    NEW(BOOLEAN, prioritised, 0, 0, "false", "draw transitions by their TD errors (Schaul 2016)"),
    NEW(REAL, priority_alpha, 0, 2, "0.6", "exponent of priorities; 0: all are the same"),
    NEW(REAL, priority_beta, 0, 1, "0.4", "exponent of the weights of importance at first"),
    NEW(COUNT, priority_beta_steps, 0, STEPS, "0",
        "steps until priority_beta is 1, from learn_start on; 0: until the run's end"),
    NEW(REAL, priority_epsilon, 1e-12, 1, "1e-06", "added to the TD errors that make priorities"),
    ROW(COUNT, learn_start, 1, STEPS, "steps before the first update"),
    ROW(COUNT, update_every, 1, STEPS, "steps per update"),
    ROW(COUNT, target_every, 1, STEPS, "steps per update of the target network"),
    CHOICE(target_update, "copy", "copy, soft",
           "copy, or soft: a step of tau towards the online network (Lillicrap 2016)"),
    NEW(REAL, tau, 0, 1, "0.005", "of a soft target update"),
    ROW(REAL, epsilon_start, 0, 1, "exploration before its decay"),
    ROW(REAL, epsilon_end, 0, 1, "exploration at the end of its decay"),
    ROW(COUNT, epsilon_steps, 0, STEPS, "steps of exploration's linear decay"),
    CHOICE(epsilon_from, "learn_start", "learn_start, start",
           "where that decay begins: at learn_start, or at the start of the run"),
    ROW(COUNT, eval_every, 1, STEPS, "steps per evaluation"),
    ROW(COUNT, eval_steps, 1, STEPS,
        "steps that an evaluation plays; unless set, a short run's half"),
    ROW(REAL, eval_epsilon, 0, 1, "exploration in evaluations"),
    ROW(COUNT, validation_size, 1, 1e6, "transitions for the validation Q and TD error"),
    ROW(COUNT, log_every, 1, STEPS, "steps per row of training.csv"),
    NEW(INT, layer_states, 0, 2000, "128",
        "states on which evaluations look at the layers (layers.csv); 0: they do not"),
    ROW(INT, noop_max, 0, 10000, "episodes begin with 1 to this many no-op frames; 0: none"),
    ROW(INT, frame_skip, 1, 100, "frames per step"),
    ROW(REAL, sticky, 0, 1, "probability that a frame repeats the action before instead"),
    CHOICE(actions, "minimal", "minimal, full, xitari",
           "minimal, full (Atari 18, grids 6) or xitari (minimal; Pong 3)"),
    NEW(TEXT, max_episode_frames, 0, 0, "0",
        "frames after which a game is truncated; 0: none; xitari: 8 hours, Pong 65000"),
    ROW(BOOLEAN, clip_reward, 0, 0, "clip rewards to [-1, 1] in training"),
    ROW(BOOLEAN, life_loss_terminal, 0, 0, "a lost life ends an episode in training"),
};
#define ROWS (sizeof table / sizeof *table)

static const char *const network_names[] = {"nature", "nature-pad0", "grid", "vector"};
#define NETWORKS (sizeof network_names / sizeof *network_names)

const qg_setting *qg_settings_table(size_t *count)
{
    *count = ROWS;
    return table;
}

static const qg_setting *find_setting(const char *key)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(key, table[i].name) == 0) return &table[i];
    return NULL;
}

static qg_status fail_range(const qg_setting *setting, const char *value, qg_error *error)
{
    char minimum[32], maximum[32];
    qg_text_from_real(setting->minimum, minimum);
    qg_text_from_real(setting->maximum, maximum);
    return qg_fail(error, QG_ERROR_USAGE, "%s: '%.60s' is not a %s from %s to %s", setting->name,
                   value, setting->type == QG_SETTING_REAL ? "number" : "whole number", minimum,
                   maximum);
}

/* A list of layers in its canonical form, so that the same network is always the same text:
 * jansson's spacing, the order of the keys kept. What the layers mean is the network's to check. */
static qg_status canonical_layers(const char *value, char *text, size_t size, qg_error *error)
{
    qg_error inner;
    json_t *layers =
        qg_json_parse("network: not a list of layers in JSON", value, strlen(value), &inner);
    if (!layers)
        return qg_fail(error, inner.code == QG_ERROR_DATA ? QG_ERROR_USAGE : inner.code, "%s",
                       inner.message);
    bool sound = json_is_array(layers) && json_array_size(layers) > 0;
    for (size_t i = 0; sound && i < json_array_size(layers); i++)
        sound = json_is_object(json_array_get(layers, i));
    char *canonical = sound ? qg_json_text(layers, 0) : NULL;
    json_decref(layers);
    if (!sound)
        return qg_fail(error, QG_ERROR_USAGE,
                       "network: a list of layers is needed, each a "
                       "mapping such as {\"conv\": 32, \"kernel\": 8}");
    if (!canonical) return qg_fail_memory(error, "the list of layers", strlen(value));
    const size_t length = strlen(canonical);
    if (length < size) memcpy(text, canonical, length + 1);
    free(canonical);
    if (length >= size)
        return qg_fail(error, QG_ERROR_USAGE,
                       "network: the list of layers has %zu characters; at most %zu are allowed",
                       length, size - 1);
    return QG_OK;
}

static qg_status set_network(qg_settings *settings, const char *value, qg_error *error)
{
    char text[sizeof settings->network] = "";
    if (value[strspn(value, " ")] == '[') {
        const qg_status status = canonical_layers(value, text, sizeof text, error);
        if (status != QG_OK) return status;
    } else {
        /* A split network is a preset with the width of its bottleneck: grid-split:32. */
        const char *split = strstr(value, "-split:"), *kind = strrchr(value, '-');
        const bool is_kind = kind && (strcmp(kind, "-dueling") == 0 || strcmp(kind, "-norm") == 0);
        const size_t length = split     ? (size_t)(split - value)
                              : is_kind ? (size_t)(kind - value)
                                        : strlen(value);
        int64_t width = 1;
        size_t i = 0;
        while (i < NETWORKS &&
               (strncmp(value, network_names[i], length) != 0 || network_names[i][length] != 0))
            i++;
        if (i == NETWORKS ||
            (split && (!qg_text_to_count(split + 7, &width) || width < 1 || width > 8192)))
            return qg_fail(error, QG_ERROR_USAGE,
                           "network: there is no '%.60s'; allowed: nature, nature-pad0, grid, "
                           "vector, each also as NAME-dueling, NAME-norm or NAME-split:WIDTH (1 to "
                           "8192), or a list of layers",
                           value);
        if (split) /* one text for one network, however the width was written */
            snprintf(text, sizeof text, "%.*s-split:%lld", (int)length, value, (long long)width);
        else
            strcpy(text, value);
    }
    memcpy(settings->network, text, sizeof text);
    return QG_OK;
}

static qg_status set_precision(qg_settings *settings, const char *value, qg_error *error)
{
    const qg_engine_class *found;
    const qg_status status = qg_engine_find_class(value, &found, error);
    if (!status) strcpy(settings->precision, found->name);
    return status;
}

static qg_status set_max_episode_frames(qg_settings *settings, const char *value, qg_error *error)
{
    int64_t frames = 0;
    const bool number = qg_text_to_count(value, &frames);
    if (strcmp(value, "xitari") != 0 && (!number || frames < 0 || frames > (int64_t)STEPS))
        return qg_fail(error, QG_ERROR_USAGE,
                       "max_episode_frames: '%.60s' is neither a whole number from 0 to 1e15 nor "
                       "xitari",
                       value);
    if (number)
        snprintf(settings->max_episode_frames, sizeof settings->max_episode_frames, "%lld",
                 (long long)frames);
    else
        strcpy(settings->max_episode_frames, value);
    return QG_OK;
}

/* One of the words that a setting allows. */
static qg_status set_choice(char *field, const qg_setting *setting, const char *value,
                            qg_error *error)
{
    const size_t length = strlen(value);
    for (const char *word = setting->choices; *word; word += strspn(word, ", ")) {
        const size_t size = strcspn(word, ",");
        if (size == length && strncmp(word, value, size) == 0) {
            memset(field, 0, setting->size);
            memcpy(field, word, size);
            return QG_OK;
        }
        word += size;
    }
    return qg_fail(error, QG_ERROR_USAGE, "%s: there is no '%.60s'; allowed: %s", setting->name,
                   value, setting->choices);
}

static qg_status set_text(qg_settings *settings, const qg_setting *setting, const char *value,
                          qg_error *error)
{
    if (setting->choices)
        return set_choice((char *)settings + setting->offset, setting, value, error);
    if (strcmp(setting->name, "network") == 0) return set_network(settings, value, error);
    if (strcmp(setting->name, "precision") == 0) return set_precision(settings, value, error);
    if (strcmp(setting->name, "max_episode_frames") == 0)
        return set_max_episode_frames(settings, value, error);
    return qg_fail(error, QG_ERROR_USAGE,
                   "preset: cannot be set to '%.60s' here, since it fills all other settings; "
                   "give it first (`preset`, or the first key of a file)",
                   value);
}

static qg_status set_number(void *field, const qg_setting *setting, const char *value,
                            qg_error *error)
{
    double real = 0;
    int64_t count = 0;
    const bool is_real = setting->type == QG_SETTING_REAL;
    if (is_real ? !qg_text_to_real(value, &real) : !qg_text_to_count(value, &count))
        return fail_range(setting, value, error);
    if (!is_real) real = (double)count;
    if (real < setting->minimum || real > setting->maximum)
        return fail_range(setting, value, error);
    if (real > 0 && (float)real == 0) /* 0 means something else in many of them */
        return qg_fail(error, QG_ERROR_USAGE, "%s: '%.60s' is nearer to 0 than any float but 0",
                       setting->name, value);
    if (is_real) {
        real += 0.0; /* -0 becomes 0, so that equal settings are equal bytes */
        memcpy(field, &real, sizeof real);
    } else if (setting->type == QG_SETTING_COUNT) {
        memcpy(field, &count, sizeof count);
    } else {
        const int number = (int)count; /* the range of every INT row fits */
        memcpy(field, &number, sizeof number);
    }
    return QG_OK;
}

qg_status qg_settings_set_value(qg_settings *settings, const char *key, const char *value,
                                qg_error *error)
{
    const qg_setting *setting = find_setting(key);
    if (!setting) {
        const char *near = qg_setting_called(key);
        if (!near) near = qg_text_nearest(key, table, ROWS, sizeof *table);
        return qg_fail(error, QG_ERROR_USAGE, "there is no setting '%.60s'%s%s%s", key,
                       near ? "; did you mean '" : " (`settings` lists all)", near ? near : "",
                       near ? "'?" : "");
    }
    char *const field = (char *)settings + setting->offset;
    if (setting->type == QG_SETTING_TEXT) return set_text(settings, setting, value, error);
    if (setting->type != QG_SETTING_BOOLEAN) {
        const qg_status status = set_number(field, setting, value, error);
        if (!status && setting->offset == offsetof(qg_settings, eval_steps))
            settings->eval_steps_set = true;
        return status;
    }
    bool boolean;
    if (!qg_text_to_boolean(value, &boolean))
        return qg_fail(error, QG_ERROR_USAGE, "%s: '%.60s' is neither true nor false", key, value);
    memcpy(field, &boolean, sizeof boolean);
    return QG_OK;
}

qg_status qg_settings_set(qg_settings *settings, const char *assignment, qg_error *error)
{
    char key[64];
    const char *const equals = strchr(assignment, '=');
    if (!equals || equals == assignment || (size_t)(equals - assignment) >= sizeof key)
        return qg_fail(error, QG_ERROR_USAGE, "'%.60s' is not of the form KEY=VALUE", assignment);
    memcpy(key, assignment, (size_t)(equals - assignment));
    key[equals - assignment] = '\0';
    return qg_settings_set_value(settings, key, equals + 1, error);
}

void qg_setting_format(const qg_settings *settings, const qg_setting *setting, char *text,
                       size_t size)
{
    const char *const field = (const char *)settings + setting->offset;
    char real[32];
    switch (setting->type) {
    case QG_SETTING_TEXT:
        snprintf(text, size, "%s", field);
        break;
    case QG_SETTING_INT:
        snprintf(text, size, "%d", *(const int *)(const void *)field);
        break;
    case QG_SETTING_COUNT:
        snprintf(text, size, "%lld", (long long)*(const int64_t *)(const void *)field);
        break;
    case QG_SETTING_REAL:
        qg_text_from_real(*(const double *)(const void *)field, real);
        snprintf(text, size, "%s", real);
        break;
    case QG_SETTING_BOOLEAN:
        snprintf(text, size, "%s", *(const bool *)(const void *)field ? "true" : "false");
        break;
    }
}

bool qg_setting_is_old(const qg_setting *setting, const char *value)
{
    return setting->before && strcmp(value, setting->before) == 0;
}

bool qg_settings_equal(const qg_settings *a, const qg_settings *b)
{
    bool equal = true;
    for (size_t i = 1; i < ROWS && equal; i++) { /* without `preset`, the first */
        const char *const x = (const char *)a + table[i].offset;
        const char *const y = (const char *)b + table[i].offset;
        equal =
            table[i].type == QG_SETTING_TEXT ? strcmp(x, y) == 0 : memcmp(x, y, table[i].size) == 0;
    }
    return equal;
}

qg_status qg_settings_check(const qg_settings *s, qg_error *error)
{
    const struct {
        bool wrong;
        const char *small;
        int64_t low;
        const char *large;
        int64_t high;
    } rules[] = {
        {s->minibatch > s->learn_start, "minibatch", s->minibatch, "learn_start", s->learn_start},
        {s->minibatch > s->replay, "minibatch", s->minibatch, "replay", s->replay},
        {s->validation_size > s->learn_start, "validation_size", s->validation_size, "learn_start",
         s->learn_start},
        {s->validation_size > s->replay, "validation_size", s->validation_size, "replay",
         s->replay},
        {s->history >= s->replay, "history", s->history, "replay - 1", s->replay - 1},
        {s->n_step + s->history > s->replay, "n_step", s->n_step, "replay - history",
         s->replay - s->history},
        /* of the first learn_start steps so many have all that follows them */
        {s->n_step > s->learn_start - s->validation_size + 2, "n_step", s->n_step,
         "learn_start - validation_size + 2", s->learn_start - s->validation_size + 2},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].wrong)
            return qg_fail(error, QG_ERROR_USAGE, "%s: %lld is more than %s (%lld)", rules[i].small,
                           (long long)rules[i].low, rules[i].large, (long long)rules[i].high);
    if (s->clip_error == 0 && strcmp(s->loss, "huber") == 0)
        return qg_fail(error, QG_ERROR_USAGE,
                       "loss: huber needs a clip_error above 0, where its slope stops rising; "
                       "without one take mse");
    if (s->tau == 0 && strcmp(s->target_update, "soft") == 0)
        return qg_fail(error, QG_ERROR_USAGE,
                       "tau: with 0 a soft target_update leaves the target network as it is; set "
                       "one above 0");
    if (s->epsilon_end > s->epsilon_start)
        return qg_fail(error, QG_ERROR_USAGE, "epsilon_end: %g is more than epsilon_start (%g)",
                       s->epsilon_end, s->epsilon_start);
    return QG_OK;
}

int64_t qg_settings_first_update(const qg_settings *settings, int64_t start)
{
    return (start / settings->update_every + 1) * settings->update_every;
}

void qg_settings_shorten_evaluations(qg_settings *settings, int64_t steps)
{
    enum { SHORTEST = 1000 };
    const int64_t in_proportion = steps / 2 > SHORTEST ? steps / 2 : SHORTEST;
    if (!settings->eval_steps_set && steps > 0 && settings->eval_steps > in_proportion)
        settings->eval_steps = in_proportion;
}

qg_status qg_parse_count(const char *what, const char *text, int64_t minimum, int64_t maximum,
                         int64_t *value, qg_error *error)
{
    assert(minimum <= maximum);
    int64_t number;
    if (!qg_text_to_count(text, &number) || number < minimum || number > maximum)
        return qg_fail(error, QG_ERROR_USAGE, "%s: '%.60s' is not a whole number from %lld to %lld",
                       what, text, (long long)minimum, (long long)maximum);
    *value = number;
    return QG_OK;
}
