#include <qgraft/graft.h>

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Layers of a part; layers of no part are none. */
static int count_part(const qg_architecture *a, const char *part)
{
    int count = 0;
    for (int l = 0; l < a->layer_count; l++)
        count += part[0] && strcmp(a->layers[l].part, part) == 0;
    return count;
}

static qg_status check_part(const qg_architecture *source, const qg_architecture *target,
                            const char *part, qg_error *error)
{
    const int from = count_part(source, part), to = count_part(target, part);
    if (from == 0 || to == 0)
        return qg_fail(error, QG_ERROR_USAGE,
                       "the %s network has no part '%.60s': parts are those of a split network "
                       "(such as network=grid-split:32)",
                       to == 0 ? "new" : "source", part);
    if (from != to)
        return qg_fail(error, QG_ERROR_USAGE,
                       "the part '%.60s' has %d layers in the source and %d in the target", part,
                       from, to);
    return QG_OK;
}

/* That every layer that is asked for is there. */
static qg_status check_choice(const qg_architecture *source, const qg_architecture *target,
                              const qg_graft_choice *choice, qg_error *error)
{
    const int most =
        source->layer_count < target->layer_count ? source->layer_count : target->layer_count;
    int wrong = 0; /* the number that is out of range */
    if (choice->way == QG_CHOOSE_NONE && qg_graft_reuses(choice)) return QG_OK;
    if (choice->way == QG_CHOOSE_NONE || (choice->way == QG_CHOOSE_LAYERS && !choice->layers))
        return qg_fail(error, QG_ERROR_USAGE, "no layer to copy is named");
    if (choice->way == QG_CHOOSE_PART) return check_part(source, target, choice->part, error);
    if (choice->way != QG_CHOOSE_LAYERS) {
        if (choice->count >= 1 && choice->count <= most) return QG_OK;
        wrong = choice->count;
    } else {
        for (wrong = most; wrong < 32 && !(choice->layers >> wrong & 1);)
            wrong++;
        if (wrong++ == 32) return QG_OK;
    }
    return qg_fail(error, QG_ERROR_USAGE,
                   "`%s` %d: the networks have %d and %d weighted layers; 1 to %d can be copied",
                   qg_graft_way_name(choice->way), wrong, source->layer_count, target->layer_count,
                   most);
}

/* The source's layer that layer t of the target is copied from, -1: none; `next` is the number of
 * source layers that have been looked through for a part. */
static int find_source(const qg_architecture *source, const qg_architecture *target,
                       const qg_graft_choice *choice, int t, int *next)
{
    const int from_end = target->layer_count - t; /* 1: the last layer */
    switch (choice->way) {
    case QG_CHOOSE_NONE:
        break;
    case QG_CHOOSE_FIRST:
        return t < choice->count ? t : -1;
    case QG_CHOOSE_LAST:
        return from_end <= choice->count ? source->layer_count - from_end : -1;
    case QG_CHOOSE_LAYERS:
        return choice->layers >> t & 1 ? t : -1;
    case QG_CHOOSE_PART:
        if (strcmp(target->layers[t].part, choice->part) != 0) return -1;
        while (strcmp(source->layers[*next].part, choice->part) != 0)
            ++*next;
        return (*next)++;
    }
    return -1;
}

/* Pairs layers of the target with layers of the source: grafted[target].source. */
static qg_status pair_layers(const qg_architecture *source, const qg_architecture *target,
                             const qg_graft_choice *choice, qg_grafted_layer grafted[QG_MAX_LAYERS],
                             qg_error *error)
{
    const qg_status status = check_choice(source, target, choice, error);
    if (status) return status;
    int next = 0;
    for (int t = 0; t < target->layer_count; t++)
        grafted[t] = (qg_grafted_layer){.source = find_source(source, target, choice, t, &next)};
    return QG_OK;
}

/* "conv 16x10x3x3" or "linear 128x256". */
static void shape_text(const qg_layer *layer, char *text, size_t size)
{
    if (layer->kind == QG_CONV)
        snprintf(text, size, "conv %dx%dx%dx%d", layer->outputs, layer->in_channels, layer->kernel,
                 layer->kernel);
    else
        snprintf(text, size, "linear %dx%zu", layer->outputs, qg_layer_fan_in(layer));
}

/* One output: its weights and its bias. */
static void copy_row(const qg_network *source, int s, int from, qg_network *target, int t, int to)
{
    const size_t row = qg_layer_fan_in(&target->architecture.layers[t]);
    memcpy(target->weights[t] + (size_t)to * row, source->weights[s] + (size_t)from * row,
           row * sizeof(float));
    target->biases[t][to] = source->biases[s][from];
}

/* The last layer, row by row; behind a value head, which is one whatever the actions are. */
static qg_status copy_by_meaning(const qg_network *source, int s, const char *source_actions,
                                 qg_network *target, int t, const char *target_actions,
                                 qg_grafted_layer *grafted, qg_error *error)
{
    const int outputs = source->architecture.layers[s].outputs;
    const int heads = source->architecture.layers[s].heads;
    const char *name = target_actions;
    for (int to = 0; to < target->architecture.actions && *name; to++) {
        const size_t length = strcspn(name, ",");
        const int from = qg_text_find_name(source_actions, name, length);
        if (from >= 0 && from + heads < outputs) {
            copy_row(source, s, from + heads, target, t, to + heads);
            grafted->rows++;
        }
        name += length + (name[length] == ',');
    }
    if (grafted->rows) {
        if (heads) copy_row(source, s, 0, target, t, 0);
        grafted->rows += heads;
        return QG_OK;
    }
    return qg_fail(error, QG_ERROR_USAGE,
                   "last layer: no action of the target (%s) is one of the source (%s); "
                   "`match` index copies by position",
                   target_actions, source_actions[0] ? source_actions : "unknown");
}

/* Rows of last layers go by the meaning of their actions, unless the choice says otherwise. */
static bool goes_by_meaning(const qg_architecture *source, int s, const qg_architecture *target,
                            int t, const qg_graft_choice *choice)
{
    return s + 1 == source->layer_count && t + 1 == target->layer_count &&
           choice->match == QG_MATCH_MEANING;
}

/* Whether layer s of the source can stand for layer t of the target. */
static qg_status check_pair(const qg_architecture *source, int s, const qg_architecture *target,
                            int t, const qg_graft_choice *choice, qg_error *error)
{
    const qg_layer *from = &source->layers[s], *to = &target->layers[t];
    const bool last = s + 1 == source->layer_count && t + 1 == target->layer_count;
    const bool by_meaning = goes_by_meaning(source, s, target, t, choice);
    const bool fits = from->kind == to->kind && qg_layer_fan_in(from) == qg_layer_fan_in(to) &&
                      from->in_channels == to->in_channels && from->kernel == to->kernel;
    if (from->heads != to->heads)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s of the source %s and %s of the target %s: a value and advantages are no "
                       "q-values; copy the layers below, or set the same network for both",
                       from->name, from->heads ? "has a value and an advantage head" : "has none",
                       to->name, to->heads ? "has a value and an advantage head" : "has none");
    if (from->norm != to->norm)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s of the source %s and %s of the target %s: what it outputs would not be "
                       "the same; copy other layers, or set the same network for both",
                       from->name, from->norm ? "has layer normalisation" : "has none", to->name,
                       to->norm ? "has layer normalisation" : "has none");
    if (!fits || (!by_meaning && from->outputs != to->outputs)) {
        char from_shape[64], to_shape[64];
        shape_text(from, from_shape, sizeof from_shape);
        shape_text(to, to_shape, sizeof to_shape);
        return qg_fail(
            error, QG_ERROR_USAGE, "%s of the source (%s) does not fit %s of the target (%s)%s",
            from->name, from_shape, to->name, to_shape,
            fits && last ? ": the numbers of actions differ; leave `match` index out" : "");
    }
    return QG_OK;
}

static qg_status copy_layer(const qg_network *source, const char *source_actions,
                            qg_network *target, int t, const char *target_actions,
                            const qg_graft_choice *choice, qg_grafted_layer *grafted,
                            qg_error *error)
{
    const int s = grafted->source;
    const qg_layer *to = &target->architecture.layers[t];
    if (goes_by_meaning(&source->architecture, s, &target->architecture, t, choice))
        return copy_by_meaning(source, s, source_actions, target, t, target_actions, grafted,
                               error);
    for (int row = 0; row < to->outputs; row++)
        copy_row(source, s, row, target, t, row);
    grafted->rows = to->outputs;
    return QG_OK;
}

qg_status qg_graft_pair(const qg_architecture *source, const qg_architecture *target,
                        const qg_graft_choice *choice, qg_grafted_layer grafted[QG_MAX_LAYERS],
                        qg_error *error)
{
    qg_status status = pair_layers(source, target, choice, grafted, error);
    for (int t = 0; t < target->layer_count && !status; t++) {
        if (grafted[t].source < 0) continue;
        grafted[t].frozen = choice->frozen;
        status = check_pair(source, grafted[t].source, target, t, choice, error);
    }
    return status;
}

qg_status qg_graft(const qg_network *source, const char *source_actions, qg_network *target,
                   const char *target_actions, const qg_graft_choice *choice,
                   qg_grafted_layer grafted[QG_MAX_LAYERS], qg_error *error)
{
    qg_status status =
        qg_graft_pair(&source->architecture, &target->architecture, choice, grafted, error);
    /* The last layer first: it alone may have nothing to copy, and then no layer is. */
    for (int t = target->architecture.layer_count - 1; t >= 0 && !status; t--) {
        if (grafted[t].source < 0) continue;
        status = copy_layer(source, source_actions, target, t, target_actions, choice, &grafted[t],
                            error);
    }
    return status;
}
