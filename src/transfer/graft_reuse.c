#include "transfer/graft_reuse.h"

#include "base/text.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define MOST_STEPS INT64_C(1000000000000)

/* All that can be said of the reuse. A count is 0 and a real is 0 where it is not said. */
static const struct reuse_key {
    const char *name;
    size_t offset;
    double most;       /* of a real; 0: a count */
    const char *of[2]; /* without which it means nothing */
} keys[] = {
    {"kickstart", offsetof(qg_graft_reuse, kickstart), 0, {0}},
    {"distill_weight", offsetof(qg_graft_reuse, distill_weight), 1e6, {"kickstart"}},
    {"distill_tau", offsetof(qg_graft_reuse, distill_tau), 1e6, {"kickstart"}},
    {"warm_replay", offsetof(qg_graft_reuse, warm_replay), 0, {0}},
    {"qdagger", offsetof(qg_graft_reuse, qdagger), 0, {"warm_replay", "kickstart"}},
    {"policy_reuse", offsetof(qg_graft_reuse, policy_reuse), 1, {0}},
    {"policy_reuse_decay", offsetof(qg_graft_reuse, policy_reuse_decay), 1, {"policy_reuse"}},
};

enum { KEYS = sizeof keys / sizeof *keys };

static int64_t count_of(const qg_graft_reuse *reuse, const struct reuse_key *key)
{
    int64_t count;
    memcpy(&count, (const char *)reuse + key->offset, sizeof count);
    return count;
}

static double real_of(const qg_graft_reuse *reuse, const struct reuse_key *key)
{
    double real;
    memcpy(&real, (const char *)reuse + key->offset, sizeof real);
    return real;
}

static const struct reuse_key *find_key(const char *name)
{
    for (size_t i = 0; i < KEYS; i++)
        if (strcmp(keys[i].name, name) == 0) return &keys[i];
    return NULL;
}

static bool is_said(const qg_graft_reuse *reuse, const struct reuse_key *key)
{
    return key->most > 0 ? real_of(reuse, key) > 0 : count_of(reuse, key) > 0;
}

bool qg_graft_reuses(const qg_graft_choice *choice)
{
    for (size_t i = 0; i < KEYS; i++)
        if (is_said(&choice->reuse, &keys[i])) return true;
    return false;
}

void qg_graft_reuse_format(const qg_graft_reuse *reuse, const char *separator,
                           char text[QG_GRAFT_CHOICE_TEXT])
{
    text[0] = '\0';
    for (size_t i = 0; i < KEYS; i++) {
        char number[32];
        if (!is_said(reuse, &keys[i])) continue;
        if (keys[i].most > 0)
            qg_text_from_real(real_of(reuse, &keys[i]), number);
        else
            snprintf(number, sizeof number, "%" PRId64, count_of(reuse, &keys[i]));
        qg_text_add(text, QG_GRAFT_CHOICE_TEXT, "%s%s=%s", *text ? separator : "", keys[i].name,
                    number);
    }
}

bool qg_graft_reuse_knows(const char *key)
{
    return find_key(key);
}

qg_status qg_graft_reuse_set(qg_graft_reuse *reuse, const char *name, const char *value,
                             qg_error *error)
{
    const struct reuse_key *const key = find_key(name);
    char *const place = (char *)reuse + key->offset;
    if (key->most > 0) {
        double real = 0;
        if (!qg_text_to_real(value, &real) || !(real >= 1e-6 && real <= key->most))
            return qg_fail(error, QG_ERROR_USAGE, "%s: '%.60s' is not a number from 1e-6 to %g",
                           name, value, key->most);
        memcpy(place, &real, sizeof real);
        return QG_OK;
    }
    int64_t count = 0;
    const qg_status status = qg_parse_count(name, value, 1, MOST_STEPS, &count, error);
    if (!status) memcpy(place, &count, sizeof count);
    return status;
}

/* -------------------------------------------------------------------------------- its sense */

static qg_status check_company(const qg_graft_reuse *reuse, qg_error *error)
{
    for (size_t i = 0; i < KEYS; i++)
        for (size_t k = 0; k < 2 && keys[i].of[k] && is_said(reuse, &keys[i]); k++)
            if (!is_said(reuse, find_key(keys[i].of[k])))
                return qg_fail(error, QG_ERROR_USAGE, "`%s`: means nothing without `%s`",
                               keys[i].name, keys[i].of[k]);
    return QG_OK;
}

static qg_status check_warm_replay(const qg_graft_reuse *reuse, int64_t steps,
                                   const qg_settings *settings, qg_error *error)
{
    const int64_t played = reuse->warm_replay;
    const int64_t waited = settings ? settings->learn_start : 0;
    const int64_t start = played > waited ? played : waited;
    const int64_t first = settings ? qg_settings_first_update(settings, start) : start + 1;
    if (steps && (played || reuse->kickstart) && first >= steps)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`%s`: nothing would be learned in the %" PRId64
                       " steps of the run: %s the first %" PRId64 ": make `steps` larger",
                       played ? "warm_replay" : "kickstart", steps,
                       played > waited ? "the source plays" : "'learn_start' waits for", start);
    if (reuse->qdagger && played < waited)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`qdagger`: its updates begin behind 'learn_start' (%" PRId64
                       "), and the source plays %" PRId64
                       " of these steps: make `warm_replay` as large",
                       waited, played);
    if (settings && played > settings->replay)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`warm_replay`: the memory has room for %" PRId64 " of %" PRId64
                       " steps: make it larger with the setting 'replay'",
                       (int64_t)settings->replay, played);
    return QG_OK;
}

/* What is said of copied layers where none is. */
static qg_status check_nothing_copied(const qg_graft_choice *choice, qg_error *error)
{
    const qg_graft_learning *const l = &choice->learning;
    const char *const said = choice->frozen   ? "freeze"
                             : l->thaw        ? "thaw"
                             : l->thaw_every  ? "thaw_every"
                             : l->l2_sp > 0   ? "l2_sp"
                             : l->ewc > 0     ? "ewc"
                             : l->ewc_samples ? "ewc_samples"
                                              : NULL;
    if (!said) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE,
                   "`%s`: no layer is copied: name some with `first`, `last`, `layers` or `part`",
                   said);
}

qg_status qg_graft_reuse_check(const qg_graft_choice *choice, bool random, int64_t steps,
                               const qg_settings *settings, qg_error *error)
{
    const qg_graft_reuse *const reuse = &choice->reuse;
    char said[QG_GRAFT_CHOICE_TEXT];
    if (!qg_graft_reuses(choice)) return QG_OK;
    qg_graft_reuse_format(reuse, " ", said);
    if (random)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`%.*s`: random layers have no policy: name a network as the source",
                       (int)strcspn(said, "="), said);
    qg_status status = check_company(reuse, error);
    if (!status) status = check_warm_replay(reuse, steps, settings, error);
    if (!status && choice->way == QG_CHOOSE_NONE) status = check_nothing_copied(choice, error);
    if (status || reuse->policy_reuse < 1 || reuse->policy_reuse_decay < 1) return status;
    return qg_fail(error, QG_ERROR_USAGE,
                   "`policy_reuse`: with 1 and `policy_reuse_decay` 1 the new network would never "
                   "act: make one of them smaller");
}
