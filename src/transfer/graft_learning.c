#include "transfer/graft_learning.h"

#include <qgraft/settings.h>

#include "base/text.h"
#include "transfer/graft_reuse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_STEPS INT64_C(1000000000000)

/* -------------------------------------------------------------------------------- as text */

static void add_count(char *text, const char *separator, const char *key, int64_t value)
{
    if (value)
        qg_text_add(text, QG_GRAFT_CHOICE_TEXT, "%s%s=%" PRId64, *text ? separator : "", key,
                    value);
}

static void add_real(char *text, const char *separator, const char *key, double value)
{
    char number[32];
    if (value > 0)
        qg_text_add(text, QG_GRAFT_CHOICE_TEXT, "%s%s=%s", *text ? separator : "", key,
                    qg_text_from_real(value, number));
}

static void add_rates(const qg_graft_learning *learning, const char *separator, char *text)
{
    const char *between = "lr_scale=";
    for (int l = 0; l < QG_MAX_LAYERS; l++) {
        char number[32];
        if (!(learning->scaled >> l & 1)) continue;
        qg_text_add(text, QG_GRAFT_CHOICE_TEXT, "%s%s%d:%s",
                    *between == 'l' && *text ? separator : "", between, l + 1,
                    qg_text_from_real(learning->lr_scale[l], number));
        between = ",";
    }
}

void qg_graft_learning_format(const qg_graft_learning *learning, const char *separator,
                              char text[QG_GRAFT_CHOICE_TEXT])
{
    text[0] = '\0';
    add_count(text, separator, "thaw", learning->thaw);
    add_count(text, separator, "thaw_every", learning->thaw_every);
    add_rates(learning, separator, text);
    add_real(text, separator, "l2_sp", learning->l2_sp);
    add_real(text, separator, "ewc", learning->ewc);
    add_count(text, separator, "ewc_samples", learning->ewc_samples);
}

static qg_status set_rates(qg_graft_learning *learning, const char *value, qg_error *error)
{
    qg_graft_learning changed = *learning;
    changed.scaled = 0;
    memset(changed.lr_scale, 0, sizeof changed.lr_scale);
    char copy[QG_GRAFT_CHOICE_TEXT], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", value);
    const size_t length = strlen(value);
    bool sound = length && length < sizeof copy && *value != ',' && value[length - 1] != ',' &&
                 !strstr(value, ",,");
    for (char *pair = strtok_r(copy, ",", &rest); pair && sound;
         pair = strtok_r(NULL, ",", &rest)) {
        char *end;
        double rate = 0;
        const long layer = strtol(pair, &end, 10);
        sound = end > pair && *end == ':' && layer >= 1 && layer <= QG_MAX_LAYERS &&
                qg_text_to_real(end + 1, &rate) && rate >= 1e-6 && rate <= 1e6 &&
                !(changed.scaled >> (layer - 1) & 1);
        if (!sound) break;
        changed.scaled |= UINT32_C(1) << (layer - 1);
        changed.lr_scale[layer - 1] = rate;
    }
    if (!sound)
        return qg_fail(error, QG_ERROR_USAGE,
                       "lr_scale: '%.60s' is not of the form \"1:0.1,2:0.3\": layers from 1 to %d, "
                       "each once, and factors from 1e-6 to 1e6",
                       value, QG_MAX_LAYERS);
    *learning = changed;
    return QG_OK;
}

static qg_status set_strength(const char *key, const char *value, double *strength, qg_error *error)
{
    double real = 0;
    if (!qg_text_to_real(value, &real) || !(real > 0 && real <= 1e15))
        return qg_fail(error, QG_ERROR_USAGE, "%s: '%.60s' is not a number above 0, to 1e15", key,
                       value);
    *strength = real;
    return QG_OK;
}

qg_status qg_graft_learning_set(qg_graft_learning *learning, const char *key, const char *value,
                                qg_error *error)
{
    if (strcmp(key, "thaw") == 0)
        return qg_parse_count(key, value, 1, MOST_STEPS, &learning->thaw, error);
    if (strcmp(key, "thaw_every") == 0)
        return qg_parse_count(key, value, 1, MOST_STEPS, &learning->thaw_every, error);
    if (strcmp(key, "lr_scale") == 0) return set_rates(learning, value, error);
    if (strcmp(key, "l2_sp") == 0) return set_strength(key, value, &learning->l2_sp, error);
    if (strcmp(key, "ewc") == 0) return set_strength(key, value, &learning->ewc, error);
    if (strcmp(key, "ewc_samples") == 0)
        return qg_parse_count(key, value, 1, 10000000, &learning->ewc_samples, error);
    return qg_fail(
        error, QG_ERROR_USAGE,
        "'%.60s' says nothing about layers: first, last, layers, part, freeze, match, "
        "thaw, thaw_every, lr_scale, l2_sp, ewc, ewc_samples do, and of the source's policy "
        "kickstart, distill_weight, distill_tau, warm_replay, qdagger, policy_reuse, "
        "policy_reuse_decay",
        key);
}

/* -------------------------------------------------------------------------------- its sense */

/* The step at which the first frozen layer thaws; 0: none does. */
static int64_t first_thaw(const qg_graft_learning *learning)
{
    return learning->thaw ? learning->thaw : learning->thaw_every;
}

bool qg_graft_learning_pulls(const qg_graft_learning *learning)
{
    return learning->l2_sp > 0 || learning->ewc > 0;
}

static qg_status check_rates(const qg_graft_learning *learning, int layers, qg_error *error)
{
    for (int l = layers; l < QG_MAX_LAYERS && layers > 0; l++)
        if (learning->scaled >> l & 1)
            return qg_fail(error, QG_ERROR_USAGE, "`lr_scale`: layer %d of a network that has %d",
                           l + 1, layers);
    return QG_OK;
}

/* The step of the first one; offline ones come as soon as there is enough to learn from. */
static int64_t first_update(const qg_graft_choice *choice, const qg_settings *settings)
{
    const int64_t own = settings ? settings->learn_start : 0, warm = choice->reuse.warm_replay,
                  start = warm > own ? warm : own;
    return settings && !choice->reuse.qdagger ? qg_settings_first_update(settings, start)
                                              : start + 1;
}

qg_status qg_graft_choice_check(const qg_graft_choice *choice, bool random, int64_t steps,
                                const qg_settings *settings, int layers, qg_error *error)
{
    const qg_graft_learning *const it = &choice->learning;
    const qg_status status = qg_graft_reuse_check(choice, random, steps, settings, error);
    if (status) return status;
    const int64_t thaw = first_thaw(it);
    const char *const thaws = it->thaw ? "thaw" : "thaw_every";
    const char *const pull = it->ewc > 0 ? "ewc" : "l2_sp";
    if (thaw && !choice->frozen)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`%s`: the copied layers learn from the beginning: it is for those that "
                       "`freeze` freezes",
                       thaws);
    if (thaw && steps && thaw >= steps)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`%s`: step %" PRId64 " is not within the %" PRId64 " steps of the run",
                       thaws, thaw, steps);
    const int64_t first = first_update(choice, settings);
    if (thaw && thaw <= first)
        return qg_fail(
            error, QG_ERROR_USAGE,
            "`%s`: at step %" PRId64 " nothing has learned yet, so that the layers would "
            "never be frozen: the first update is at step %" PRId64 "; leave `freeze` out",
            thaws, thaw, first);
    if (qg_graft_learning_pulls(it) && choice->frozen && !thaw)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`%s`: frozen layers need no pull: leave `freeze` out, or `thaw` them",
                       pull);
    if (it->ewc > 0 && random)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`ewc`: random layers have no game on whose play the Fisher information is "
                       "measured");
    if (it->ewc_samples && !(it->ewc > 0))
        return qg_fail(error, QG_ERROR_USAGE, "`ewc_samples`: means nothing without `ewc`");
    return check_rates(it, layers, error);
}

qg_status qg_graft_learning_apply(const qg_graft_learning *learning, int layers, int64_t steps,
                                  qg_grafted_layer grafted[QG_MAX_LAYERS], qg_error *error)
{
    int64_t thaw = first_thaw(learning);
    for (int l = layers - 1; l >= 0; l--) {
        const bool scaled = learning->scaled >> l & 1;
        grafted[l].lr_scale = scaled ? learning->lr_scale[l] : 1;
        const bool thaws = thaw && thaw < steps;
        if (grafted[l].frozen && !thaws && scaled)
            return qg_fail(error, QG_ERROR_USAGE,
                           "`lr_scale`: layer %d is frozen to the end and has no learning rate: "
                           "leave it out, or `thaw` it before",
                           l + 1);
        if (!grafted[l].frozen || !thaw) continue;
        grafted[l].thaw = thaws ? thaw : 0;
        thaw += learning->thaw_every;
    }
    return check_rates(learning, layers, error);
}
