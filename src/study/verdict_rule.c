/* `verdicts` of a study file: the rule by which they are found, fixed before anybody looks. */
#include "study/reader.h"

#include <string.h>

static const char *const rule_keys[] = {"compare", "adjust", "margin", "deviation", NULL};
static const char *const compares[] = {[QG_COMPARE_MODERATED] = "moderated",
                                       [QG_COMPARE_WELCH] = "welch",
                                       [QG_COMPARE_PAIRED] = "paired"};
static const char *const adjusts[] = {
    [QG_ADJUST_BH] = "bh", [QG_ADJUST_DUNNETT] = "dunnett", [QG_ADJUST_NONE] = "none"};
enum { WORDS = 3 }; /* of each */

const char *qg_compare_name(qg_compare compare)
{
    return compares[compare];
}

static const char *const spendings[] = {
    [QG_SPEND_OBRIEN_FLEMING] = "obrien-fleming", [QG_SPEND_POCOCK] = "pocock"};

const char *qg_spending_name(qg_spending spending)
{
    return spendings[spending];
}

bool qg_spending_parse(const char *name, qg_spending *spending)
{
    for (int i = QG_SPEND_OBRIEN_FLEMING; i <= QG_SPEND_POCOCK; i++) {
        if (strcmp(name, spendings[i]) != 0) continue;
        *spending = (qg_spending)i;
        return true;
    }
    return false;
}

const char *qg_adjust_name(qg_adjust adjust)
{
    return adjusts[adjust];
}

static qg_status read_word(const study_reader *reader, const qg_yaml *mapping, const char *key,
                           const char *const words[WORDS], int *choice)
{
    const char *text = NULL;
    const qg_status status = qg_study_text(reader, mapping, key, &text);
    if (status || !text) return status;
    for (int i = 0; i < WORDS; i++)
        if (strcmp(text, words[i]) == 0) {
            *choice = i;
            return QG_OK;
        }
    return qg_study_fail(reader, qg_yaml_get(mapping, key)->line,
                         "%s: one of %s, %s, %s, not '%.60s'", key, words[0], words[1], words[2],
                         text);
}

qg_status qg_study_read_rule(const study_reader *reader)
{
    const qg_yaml *const node = qg_yaml_get(reader->root, "verdicts");
    qg_rule *const rule = &reader->study->rule;
    int compare = QG_COMPARE_MODERATED, adjust = QG_ADJUST_BH;
    *rule = (qg_rule){.margin = QG_MARGIN};
    if (!node) return QG_OK;
    qg_status status = qg_study_check_keys(reader, node, "verdicts", rule_keys);
    if (!status) status = read_word(reader, node, "compare", compares, &compare);
    if (!status) status = read_word(reader, node, "adjust", adjusts, &adjust);
    if (!status) status = qg_study_real(reader, node, "margin", &rule->margin);
    if (!status && !(rule->margin > 0 && rule->margin <= 1000))
        status = qg_study_fail(reader, qg_yaml_get(node, "margin")->line,
                               "margin: is more than 0, at most 1000, of normalised scores");
    if (!status) status = qg_study_real(reader, node, "deviation", &reader->study->deviation);
    if (!status && qg_yaml_get(node, "deviation") && !(reader->study->deviation > 0))
        status = qg_study_fail(reader, qg_yaml_get(node, "deviation")->line,
                               "deviation: is more than 0, of normalised scores");
    rule->compare = (qg_compare)compare;
    rule->adjust = (qg_adjust)adjust;
    return status;
}
