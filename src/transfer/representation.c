/* Two networks, layer by layer, on the states of both games. */
#include <qgraft/agent.h>
#include <qgraft/similarity.h>

#include "agent/cka.h"
#include "agent/fixed_states.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 32 }; /* states that go through a network together */

/* --------------------------------------------------------------------------------- states */

/* Which states of a domain are looked at: in the form of the networks' input, zeros for the
 * channels that its screens do not have. */
static qg_status plan_states(const char *name, const qg_architecture *a,
                             const qg_network_info *info, int64_t frames, uint32_t seed,
                             qg_fixed_states_plan *plan, qg_error *error)
{
    const qg_game *game;
    char normalised[QG_DOMAIN_NAME];
    qg_domain *domain;
    qg_status status = qg_domain_resolve(name, &game, normalised, error);
    if (status) return status;
    const qg_domain_options options = {
        .seed = 1, .sticky = -1, .actions = qg_network_action_set(info, a, game)};
    status = qg_domain_open(name, &options, &domain, error);
    if (status) return status;
    const int parts = qg_network_history(info, a, domain);
    if (parts > 1 && a->channels != parts * domain->shape.channels)
        status =
            qg_fail(error, QG_ERROR_USAGE,
                    "the network sees %d screens of %s: networks of grids and small images are "
                    "compared if they see one",
                    parts, name);
    else if (parts < 1 || parts > QG_MAX_HISTORY || a->channels % parts)
        status = qg_fail(error, QG_ERROR_USAGE,
                         "the network's input of %d channels does not fit %s", a->channels, name);
    if (!status) status = qg_network_fits(a, domain, parts, error);
    qg_domain_close(domain);
    if (status) return status;
    *plan = (qg_fixed_states_plan){
        .domain = name,
        .parts = parts,
        .part_channels = a->channels / parts,
        .count = frames < QG_REPRESENTATION_STATES ? (int)frames : QG_REPRESENTATION_STATES,
        .steps = frames,
        .seed = seed};
    return QG_OK;
}

/* ------------------------------------------------------------------------------ comparing */

static qg_status check_pair(const qg_architecture *a, const qg_architecture *b, qg_error *error)
{
    if (a->channels != b->channels || a->height != b->height || a->width != b->width ||
        a->input_max != b->input_max)
        return qg_fail(error, QG_ERROR_USAGE,
                       "the networks cannot see the same states: the first one's input is %dx%dx%d "
                       "(max %d), the second one's %dx%dx%d (max %d)",
                       a->channels, a->height, a->width, a->input_max, b->channels, b->height,
                       b->width, b->input_max);
    if (a->layer_count != b->layer_count)
        return qg_fail(
            error, QG_ERROR_USAGE,
            "the networks have %d and %d weighted layers: layers are compared one by one",
            a->layer_count, b->layer_count);
    return QG_OK;
}

/* of[side][layer]: the features of both networks. */
static qg_status compare_layers(const qg_network *const networks[2],
                                float *const of[2][QG_MAX_LAYERS], size_t n, qg_representation *r,
                                qg_error *error)
{
    const size_t count = n * n, split = (size_t)r->states[0];
    double *memory = malloc((2 * count + 2 * n) * sizeof *memory);
    if (!memory) return qg_fail_memory(error, "Gram matrices", 2 * count * sizeof *memory);
    double *const a = memory, *const b = memory + count, *const scratch = memory + 2 * count;
    for (int i = 0; i < r->layer_count; i++) {
        qg_gram(of[0][i], n, qg_layer_width(&networks[0]->architecture.layers[i]), a);
        qg_gram(of[1][i], n, qg_layer_width(&networks[1]->architecture.layers[i]), b);
        r->layers[i].both = qg_debiased_cka(a, b, n, 0, n, scratch);
        r->layers[i].on[0] = qg_debiased_cka(a, b, n, 0, split, scratch);
        r->layers[i].on[1] = qg_debiased_cka(a, b, n, split, n, scratch);
    }
    free(memory);
    return QG_OK;
}

static qg_status find_features(const qg_states *states, const qg_network *network,
                               const char *precision, float *of[QG_MAX_LAYERS], qg_error *error)
{
    const qg_engine_options options = {
        .architecture = &network->architecture, .precision = precision, .max_batch = BATCH};
    qg_engine *engine;
    qg_status status = qg_engine_create(&options, &engine, error);
    if (status) return status;
    status = qg_engine_write(engine, QG_ONLINE, network, error);
    if (!status) status = qg_layer_features(engine, states, of, error);
    qg_engine_destroy(engine);
    return status;
}

static qg_status compare_on(const qg_states *states, const qg_network *const networks[2],
                            const qg_network_info *const infos[2], qg_representation *r,
                            qg_error *error)
{
    float *of[2][QG_MAX_LAYERS];
    int found = 0;
    qg_status status = QG_OK;
    for (; found < 2 && !status; found += !status)
        status = find_features(states, networks[found],
                               infos[found] ? infos[found]->precision : NULL, of[found], error);
    if (!status) status = compare_layers(networks, of, (size_t)states->size, r, error);
    while (found > 0)
        free(of[--found][0]);
    return status;
}

/* On the states of both games, those of the first in front. */
static qg_status compare_on_both(const qg_fixed_states fixed[2],
                                 const qg_network *const networks[2],
                                 const qg_network_info *const infos[2], qg_representation *r,
                                 qg_error *error)
{
    qg_states states = fixed[0].states;
    const size_t parts = (size_t)states.parts, first = (size_t)states.size * parts,
                 second = (size_t)fixed[1].states.size * parts;
    const uint8_t **screens = malloc((first + second) * sizeof *screens);
    if (!screens) return qg_fail_memory(error, "states", (first + second) * sizeof *screens);
    memcpy(screens, fixed[0].screens, first * sizeof *screens);
    memcpy(screens + first, fixed[1].screens, second * sizeof *screens);
    states.screens = screens;
    states.size += fixed[1].states.size;
    const qg_status status = compare_on(&states, networks, infos, r, error);
    free(screens);
    return status;
}

qg_status qg_representation_compare(const char *const domains[2],
                                    const qg_network *const networks[2],
                                    const qg_network_info *const infos[2], int64_t frames,
                                    uint32_t seed, qg_representation *r, qg_error *error)
{
    const qg_architecture *a = &networks[0]->architecture, *b = &networks[1]->architecture;
    qg_fixed_states_plan plans[2];
    qg_fixed_states fixed[2] = {{.screens = NULL}, {.screens = NULL}};
    qg_status status = check_pair(a, b, error);
    for (int side = 0; side < 2 && !status; side++)
        status = plan_states(domains[side], side ? b : a, infos[side], frames, seed, &plans[side],
                             error);
    if (!status && plans[0].parts != plans[1].parts)
        status = qg_fail(error, QG_ERROR_USAGE, "%s gives the networks %d screens, %s gives %d",
                         domains[0], plans[0].parts, domains[1], plans[1].parts);
    for (int side = 0; side < 2 && !status; side++)
        status = qg_fixed_states_create(&plans[side], &fixed[side], error);
    if (!status) {
        *r = (qg_representation){.layer_count = a->layer_count,
                                 .states = {plans[0].count, plans[1].count}};
        for (int i = 0; i < a->layer_count; i++) {
            memcpy(r->layers[i].names[0], a->layers[i].name, sizeof a->layers[i].name);
            memcpy(r->layers[i].names[1], b->layers[i].name, sizeof b->layers[i].name);
        }
        status = compare_on_both(fixed, networks, infos, r, error);
    }
    qg_fixed_states_free(&fixed[0]);
    qg_fixed_states_free(&fixed[1]);
    return status;
}
