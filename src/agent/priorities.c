#include "agent/priorities.h"

#include "base/exact_power.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static size_t leaves_of(size_t places)
{
    size_t leaves = 1;
    while (leaves < places)
        leaves *= 2;
    return leaves;
}

size_t qg_priorities_bytes(size_t places)
{
    return 2 * leaves_of(places) * sizeof(double);
}

qg_status qg_priorities_create(size_t places, double alpha, double epsilon,
                               qg_priorities *priorities, qg_error *error)
{
    *priorities = (qg_priorities){.alpha = alpha,
                                  .epsilon = epsilon,
                                  .most = 1,
                                  .places = places,
                                  .leaves = leaves_of(places)};
    priorities->nodes = calloc(2 * priorities->leaves, sizeof *priorities->nodes);
    return priorities->nodes ? QG_OK
                             : qg_fail_memory(error, "the priorities", qg_priorities_bytes(places));
}

void qg_priorities_free(qg_priorities *priorities)
{
    free(priorities->nodes);
    *priorities = (qg_priorities){0};
}

/* ------------------------------------------------------------------------- weights */

static void set(qg_priorities *p, size_t place, double weight)
{
    assert(place < p->places);
    size_t node = p->leaves + place;
    p->nodes[node] = weight;
    while (node /= 2)
        p->nodes[node] = p->nodes[2 * node] + p->nodes[2 * node + 1];
}

void qg_priorities_admit(qg_priorities *priorities, size_t place)
{
    set(priorities, place, priorities->most);
}

void qg_priorities_remove(qg_priorities *priorities, size_t place)
{
    set(priorities, place, 0);
}

void qg_priorities_learned(qg_priorities *priorities, size_t place, double td_error)
{
    const double size = fabs(td_error) + priorities->epsilon;
    /* Of a network that is no longer finite, the largest: a sum must stay one. */
    const double weight = isfinite(size) ? qg_power(size, priorities->alpha) : priorities->most;
    if (weight > priorities->most) priorities->most = weight;
    set(priorities, place, weight);
}

double qg_priorities_total(const qg_priorities *priorities)
{
    return priorities->nodes[1];
}

double qg_priorities_weight(const qg_priorities *priorities, size_t place)
{
    return priorities->nodes[priorities->leaves + place];
}

size_t qg_priorities_find(const qg_priorities *p, double share)
{
    double left = share * p->nodes[1];
    size_t node = 1;
    while (node < p->leaves) {
        node *= 2;
        /* What rounding carries behind the last weight belongs to it. */
        if (left < p->nodes[node] || p->nodes[node + 1] == 0) continue;
        left -= p->nodes[node++];
    }
    assert(p->nodes[node] > 0);
    return node - p->leaves;
}

void qg_priorities_pass(qg_priorities *p, qg_tape *tape)
{
    QG_TAPE_PASS(tape, p->most);
    qg_tape_pass(tape, p->nodes + p->leaves, p->places * sizeof *p->nodes);
    if (!tape->reading) return;
    qg_tape_require(tape, isfinite(p->most) && p->most >= 1);
    for (size_t i = p->leaves; i < p->leaves + p->places; i++)
        qg_tape_require(tape, p->nodes[i] >= 0 && p->nodes[i] <= p->most);
    for (size_t node = p->leaves - 1; node >= 1 && tape->good; node--)
        p->nodes[node] = p->nodes[2 * node] + p->nodes[2 * node + 1];
}
