/* Claims: what somebody said of transfer, in a form that results can be held against. */
#include "study/reader.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const claim_keys[] = {"says",   "source", "expect", "metric",
                                         "margin", "of",     "than",   NULL};
static const char *const filter_keys[] = {"game", "from",   "group", "name", "first",
                                          "last", "freeze", "self",  NULL};

static const char *const kinds[] = {[QG_CLAIM_POSITIVE] = "positive",
                                    [QG_CLAIM_NEGATIVE] = "negative",
                                    [QG_CLAIM_BETTER] = "better",
                                    [QG_CLAIM_WORSE] = "worse",
                                    [QG_CLAIM_LITTLE] = "little"};

/* The measures that a claim may speak of: what scores before any training is no effect of it. */
static const char *const metrics[QG_MEASURES] = {
    [QG_AREA] = "area",           [QG_EARLY] = "early",         [QG_LATE] = "late",
    [QG_ASYMPTOTE] = "asymptote", [QG_JUMPSTART] = "jumpstart", [QG_MAXIMUM] = "maximum"};

const char *qg_claim_kind_name(qg_claim_kind kind)
{
    return kinds[kind];
}

/* The value of `key` of a run, as it would be written in a filter. */
static void describe(const qg_study *study, const qg_study_run *run, const char *key,
                     char text[QG_STUDY_NAME])
{
    const qg_study_source *const source = run->source >= 0 ? &study->sources[run->source] : NULL;
    const bool self = source && qg_study_is_control(study, run);
    if (strcmp(key, "game") == 0) snprintf(text, QG_STUDY_NAME, "%s", run->game);
    if (strcmp(key, "from") == 0)
        snprintf(text, QG_STUDY_NAME, "%s", source ? source->name : "random");
    if (strcmp(key, "group") == 0) snprintf(text, QG_STUDY_NAME, "%s", run->group);
    if (strcmp(key, "name") == 0) snprintf(text, QG_STUDY_NAME, "%s", run->id);
    if (strcmp(key, "first") == 0 || strcmp(key, "last") == 0) {
        const bool way = strcmp(key, qg_graft_way_name(run->choice.way)) == 0;
        snprintf(text, QG_STUDY_NAME, "%d", way ? run->choice.count : 0);
    }
    if (strcmp(key, "freeze") == 0)
        snprintf(text, QG_STUDY_NAME, run->choice.frozen ? "true" : "false");
    if (strcmp(key, "self") == 0) snprintf(text, QG_STUDY_NAME, self ? "true" : "false");
}

/* `text` as a run's value would be: a game's name has several forms. */
static void normalise(const char *key, const char *text, char wanted[QG_STUDY_NAME])
{
    char name[QG_DOMAIN_NAME];
    const qg_game *game;
    qg_error ignored;
    const bool is_game = strcmp(key, "game") == 0;
    const bool known = is_game && qg_domain_resolve(text, &game, name, &ignored) == QG_OK;
    snprintf(wanted, QG_STUDY_NAME, "%s", known ? name : text);
}

static bool has_value(const qg_study *study, const qg_study_run *run, const char *key,
                      const char *wanted)
{
    bool a, b;
    char value[QG_STUDY_NAME] = "";
    describe(study, run, key, value);
    if (qg_text_to_boolean(value, &a) && qg_text_to_boolean(wanted, &b)) return a == b;
    return strcmp(value, wanted) == 0;
}

/* Claims speak of them: a chain's link has no verdict. */
static bool is_experiment(const qg_study_run *run)
{
    return run->kind == QG_RUN_GRAFT && run->listed;
}

/* The values of a filter's key: one, or those of a list. */
static const qg_yaml *values_of(const qg_yaml *item, size_t *count)
{
    *count = item->kind == QG_YAML_LIST ? item->count : 1;
    return item->kind == QG_YAML_LIST ? item->items : item;
}

static bool item_fits(const qg_study *study, const qg_study_run *run, const qg_yaml *item)
{
    size_t count;
    const qg_yaml *const values = values_of(item, &count);
    for (size_t i = 0; i < count; i++) {
        char wanted[QG_STUDY_NAME];
        normalise(item->key, values[i].text, wanted);
        if (has_value(study, run, item->key, wanted)) return true;
    }
    return false;
}

static bool run_fits(const qg_study *study, const qg_study_run *run, const qg_yaml *filter)
{
    if (!is_experiment(run)) return false;
    for (size_t i = 0; i < filter->count; i++)
        if (!item_fits(study, run, &filter->items[i])) return false;
    return true;
}

/* A value that fits nothing is a slip: without it the claim would rest on fewer runs. */
static qg_status check_values(const study_reader *reader, const qg_yaml *item)
{
    const qg_study *const study = reader->study;
    size_t count;
    const qg_yaml *const values = values_of(item, &count);
    for (size_t i = 0; i < count; i++) {
        char wanted[QG_STUDY_NAME];
        int run = 0;
        if (values[i].kind != QG_YAML_SCALAR)
            return qg_study_fail(reader, values[i].line,
                                 "%s: a value or a list of values is needed", item->key);
        normalise(item->key, values[i].text, wanted);
        while (run < study->run_count && !(is_experiment(&study->runs[run]) &&
                                           has_value(study, &study->runs[run], item->key, wanted)))
            run++;
        if (run == study->run_count)
            return qg_study_fail(reader, values[i].line, "%s: '%.60s' fits no graft of this study",
                                 item->key, values[i].text);
    }
    return QG_OK;
}

static qg_status read_filter(const study_reader *reader, const qg_yaml *claim, const char *key,
                             int **runs, int *count)
{
    const qg_study *const study = reader->study;
    const qg_yaml *const filter = qg_yaml_get(claim, key);
    const qg_yaml all = {.kind = QG_YAML_MAPPING, .line = claim->line};
    qg_status status = qg_study_check_keys(reader, filter ? filter : &all, key, filter_keys);
    for (size_t i = 0; filter && i < filter->count && !status; i++)
        status = check_values(reader, &filter->items[i]);
    if (status) return status;
    for (int i = 0; i < study->run_count; i++) {
        if (!run_fits(study, &study->runs[i], filter ? filter : &all)) continue;
        int *const place = qg_study_append(reader, runs, count, sizeof *place);
        if (!place) return QG_ERROR_MEMORY;
        *place = i;
    }
    if (*count) return QG_OK;
    return qg_study_fail(reader, filter ? filter->line : claim->line,
                         "%s: no graft of this study fits", key);
}

static qg_status read_kind(const study_reader *reader, const qg_yaml *node, qg_study_claim *claim)
{
    const char *expect = NULL, *metric = "area";
    qg_status status = qg_study_text(reader, node, "expect", &expect);
    if (!status) status = qg_study_text(reader, node, "metric", &metric);
    if (status) return status;
    size_t k = 0, m = 0;
    while (expect && k < sizeof kinds / sizeof *kinds && strcmp(kinds[k], expect) != 0)
        k++;
    if (!expect || k == sizeof kinds / sizeof *kinds)
        return qg_study_fail(reader, node->line,
                             "expect: one of positive, negative, better, worse, little is needed");
    while (m < QG_MEASURES && (!metrics[m] || strcmp(metrics[m], metric) != 0))
        m++;
    if (m == QG_MEASURES)
        return qg_study_fail(reader, qg_yaml_get(node, "metric")->line,
                             "metric: '%.60s' is none of area, early, late, asymptote, jumpstart, "
                             "maximum",
                             metric);
    claim->kind = (qg_claim_kind)k;
    claim->metric = (qg_measure)m;
    const bool compares = claim->kind == QG_CLAIM_BETTER || claim->kind == QG_CLAIM_WORSE;
    if (compares != (qg_yaml_get(node, "than") != NULL))
        return qg_study_fail(reader, node->line, "than: belongs to better and worse, and to both");
    if (claim->kind != QG_CLAIM_LITTLE && qg_yaml_get(node, "margin"))
        return qg_study_fail(reader, qg_yaml_get(node, "margin")->line,
                             "margin: belongs to 'little' only");
    claim->margin = 0.1;
    status = qg_study_real(reader, node, "margin", &claim->margin);
    if (!status && !(claim->margin > 0))
        status = qg_study_fail(reader, qg_yaml_get(node, "margin")->line, "margin: is more than 0");
    return status     ? status
           : compares ? read_filter(reader, node, "than", &claim->than, &claim->than_count)
                      : QG_OK;
}

static qg_status read_claim(const study_reader *reader, const qg_yaml *node, qg_study_claim *claim)
{
    const char *says = NULL, *source = NULL;
    qg_status status = qg_study_check_keys(reader, node, "claims", claim_keys);
    if (!status) status = qg_study_text(reader, node, "says", &says);
    if (!status) status = qg_study_text(reader, node, "source", &source);
    if (status) return status;
    if (!says) return qg_study_fail(reader, node->line, "claims: 'says' is missing");
    claim->says = strdup(says);
    if (source) claim->source = strdup(source);
    if (!claim->says || (source && !claim->source))
        return qg_fail_memory(reader->error, "a claim", strlen(says));
    status = read_kind(reader, node, claim);
    return status ? status : read_filter(reader, node, "of", &claim->of, &claim->of_count);
}

qg_status qg_study_read_claims(const study_reader *reader)
{
    qg_study *const study = reader->study;
    const qg_yaml *const claims = qg_yaml_get(reader->root, "claims");
    if (!claims) return QG_OK;
    if (claims->kind != QG_YAML_LIST)
        return qg_study_fail(reader, claims->line, "claims: a list of `- {says: ...}` is needed");
    for (size_t i = 0; i < claims->count; i++) {
        qg_study_claim *const claim =
            qg_study_append(reader, &study->claims, &study->claim_count, sizeof *claim);
        if (!claim) return QG_ERROR_MEMORY;
        claim->line = claims->items[i].line;
        const qg_status status = read_claim(reader, &claims->items[i], claim);
        if (status) return status;
    }
    return QG_OK;
}
