#include "agent/replay.h"

#include "agent/priorities.h"
#include "base/exact_power.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The minibatch that is drawn next, where that is known. */
typedef struct expected {
    qg_minibatch minibatch;
    bool drawn;
    qg_random before, after; /* of the draws */
    int64_t count;           /* entries when it is wanted */
} expected;

struct qg_replay {
    qg_replay_ring *ring;
    qg_screen_store *store; /* the ring's */
    qg_transition_form form;
    uint8_t *recent; /* [history][qg_screen_store_room]: the newest screens */
    const uint8_t *newest[QG_MAX_HISTORY];
    expected next;
    qg_priorities priorities; /* of the entries i at i % capacity; none: nodes are NULL */
};

/* ------------------------------------------------------------------------- open and close */

static qg_transition_form form_of(const qg_replay_plan *plan, size_t room)
{
    const int span = plan->n_step > 1 ? plan->n_step : 1;
    return (qg_transition_form){.history = plan->history,
                                .channels = plan->shape.channels,
                                .span = span,
                                .row = span > 1 ? 2 * plan->history : plan->history + 1,
                                .pixels = qg_observation_size(&plan->shape),
                                .room = room,
                                .is_mapped =
                                    qg_observation_is_vector(&plan->shape) ||
                                    (!qg_observation_is_grid(&plan->shape) && !plan->compressed)};
}

/* The memory of a ring, which it takes over. */
static qg_status make(qg_replay_ring *ring, qg_replay **result, qg_error *error)
{
    const qg_replay_plan *plan = &ring->plan;
    qg_replay *replay = calloc(1, sizeof *replay);
    const size_t recent = (size_t)plan->history * qg_screen_store_room(ring->store);
    if (replay) replay->recent = malloc(recent);
    if (!replay || !replay->recent) {
        free(replay);
        qg_replay_ring_close(ring);
        return qg_fail_memory(error, "the replay memory", recent);
    }
    if (plan->prioritised) {
        const qg_status status = qg_priorities_create((size_t)plan->capacity, plan->alpha,
                                                      plan->epsilon, &replay->priorities, error);
        if (status) {
            free(replay->recent);
            free(replay);
            qg_replay_ring_close(ring);
            return status;
        }
    }
    replay->ring = ring;
    replay->store = ring->store;
    replay->form = form_of(plan, qg_screen_store_room(ring->store));
    *result = replay;
    return QG_OK;
}

qg_status qg_replay_create(const char *path, const qg_replay_plan *plan, qg_replay **replay,
                           qg_error *error)
{
    assert(plan->history >= 1 && plan->history <= QG_MAX_HISTORY &&
           plan->capacity > plan->history && plan->slack >= 0);
    qg_replay_ring *ring = NULL;
    qg_status status = qg_replay_ring_create(path, plan, &ring, error);
    if (status) return status;
    status = make(ring, replay, error);
    if (status) unlink(path);
    return status;
}

qg_status qg_replay_open(const char *path, const qg_replay_plan *plan, qg_replay **replay,
                         qg_error *error)
{
    qg_replay_ring *ring = NULL;
    const qg_status status = qg_replay_ring_open(path, plan, &ring, error);
    return status ? status : make(ring, replay, error);
}

void qg_replay_close(qg_replay *replay)
{
    if (!replay) return;
    qg_screen_store_finish_reading(replay->store);
    qg_minibatch_destroy(&replay->next.minibatch);
    qg_replay_ring_close(replay->ring);
    qg_priorities_free(&replay->priorities);
    free(replay->recent);
    free(replay);
}

void qg_replay_destroy(qg_replay *replay)
{
    if (replay) unlink(replay->ring->path);
    qg_replay_close(replay);
}

const qg_replay_ring *qg_replay_file(const qg_replay *replay)
{
    return replay->ring;
}

const qg_transition_form *qg_replay_form(const qg_replay *replay)
{
    return &replay->form;
}

qg_status qg_replay_sync(qg_replay *replay, qg_error *error)
{
    return qg_screen_store_sync(replay->store, error);
}

qg_status qg_replay_finish(qg_replay *replay, const char *about, qg_error *error)
{
    qg_screen_store_finish_reading(replay->store);
    return qg_replay_ring_finish(replay->ring, about, error);
}

/* ------------------------------------------------------------------------------- screens */

static uint8_t *recent(const qg_replay *replay, int64_t entry)
{
    return replay->recent +
           (size_t)(entry % replay->form.history) * qg_screen_store_room(replay->store);
}

/* Of `count` entries the first one whose whole history is known: before the run's first screen
 * there is none to know, behind the ring's seam it has been overwritten. */
static int64_t first_state(const qg_replay *replay, int64_t count)
{
    return count > replay->ring->plan.capacity
               ? count - replay->ring->plan.capacity + replay->form.history - 1
               : 0;
}

static uint8_t end_of(const qg_replay *replay, int64_t entry)
{
    return replay->ring->ends[qg_replay_ring_slot(replay->ring, entry)];
}

bool qg_replay_at_end(const qg_replay *replay)
{
    const int64_t count = replay->ring->count;
    return count == 0 || end_of(replay, count - 1) != QG_REPLAY_GOES_ON;
}

static size_t leaf_of(const qg_replay *replay, int64_t entry)
{
    return (size_t)(entry % replay->ring->plan.capacity);
}

/* Behind a new screen: the transition that is complete now can be drawn, and what has lost screens
 * of its history can no longer. */
static void admit(qg_replay *replay)
{
    const int64_t count = replay->ring->count, complete = count - 1 - replay->form.span;
    const int64_t first = first_state(replay, count);
    for (int64_t lost = first_state(replay, count - 1); lost < first; lost++)
        qg_priorities_remove(&replay->priorities, leaf_of(replay, lost));
    if (complete < 0) return;
    if (end_of(replay, complete))
        qg_priorities_remove(&replay->priorities, leaf_of(replay, complete));
    else
        qg_priorities_admit(&replay->priorities, leaf_of(replay, complete));
}

qg_status qg_replay_add_screen(qg_replay *replay, const uint8_t *screen, qg_replay_end end,
                               qg_error *error)
{
    const qg_status status = qg_replay_ring_add(replay->ring, screen, end, error);
    if (status) return status;
    memcpy(recent(replay, replay->ring->count - 1), screen, replay->form.pixels);
    if (replay->priorities.nodes) admit(replay);
    return QG_OK;
}

void qg_replay_set_action(qg_replay *replay, int action, float reward)
{
    qg_replay_ring_set_action(replay->ring, action, reward);
}

/* The newest screens, as they were added. */
static void read_recent(const qg_replay *replay)
{
    const int64_t count = replay->ring->count;
    const int64_t first = count > replay->form.history ? count - replay->form.history : 0;
    for (int64_t entry = first; entry < count; entry++) {
        const uint8_t *screen = qg_screen_store_get(replay->store, entry, recent(replay, entry));
        if (screen != recent(replay, entry))
            memcpy(recent(replay, entry), screen, replay->form.pixels);
    }
}

/* What is drawn by its weight is in the ring, and something is where something can be drawn. */
static bool weights_fit(const qg_replay *replay)
{
    const int64_t count = replay->ring->count, first = first_state(replay, count);
    const int64_t capacity = replay->ring->plan.capacity;
    const int64_t oldest = count > capacity ? count - capacity : 0;
    for (int64_t entry = oldest; entry < oldest + capacity; entry++) {
        const bool can_be_drawn =
            entry >= first && entry < count - replay->form.span && !end_of(replay, entry);
        if (!can_be_drawn && qg_priorities_weight(&replay->priorities, leaf_of(replay, entry)) > 0)
            return false;
    }
    return qg_priorities_total(&replay->priorities) > 0 || !qg_replay_can_sample(replay);
}

qg_status qg_replay_pass(qg_replay *replay, qg_tape *tape, int64_t count, int actions,
                         const volatile sig_atomic_t *stop, qg_error *error)
{
    const qg_status status = qg_replay_ring_pass(replay->ring, tape, count, actions, stop, error);
    if (!status && replay->priorities.nodes) qg_priorities_pass(&replay->priorities, tape);
    if (status || !tape->reading || !tape->good) return status;
    if (replay->priorities.nodes) qg_tape_require(tape, weights_fit(replay));
    replay->next.drawn = false;
    read_recent(replay);
    return QG_OK;
}

/* The entries whose screens are those of state `entry`, oldest first; -1: zeros. */
static void list_state(const qg_replay *replay, int64_t entry, int64_t *wanted)
{
    bool cut = false; /* an end or the beginning of the run has been met */
    for (int h = replay->form.history - 1; h >= 0; h--, entry--) {
        if (h < replay->form.history - 1)
            cut = cut || entry < qg_replay_ring_oldest(replay->ring) || end_of(replay, entry);
        wanted[h] = cut ? -1 : entry;
    }
}

qg_states qg_replay_state(qg_replay *replay)
{
    assert(replay->ring->count > 0);
    int64_t wanted[QG_MAX_HISTORY];
    list_state(replay, replay->ring->count - 1, wanted);
    for (int h = 0; h < replay->form.history; h++)
        replay->newest[h] = wanted[h] < 0 ? NULL : recent(replay, wanted[h]);
    return (qg_states){1, replay->form.history, replay->form.channels, replay->newest};
}

/* ----------------------------------------------------------------------------- minibatches */

bool qg_replay_can_sample(const qg_replay *replay)
{
    /* Two ends never follow each other, so this looks at one or two entries. */
    for (int64_t entry = first_state(replay, replay->ring->count);
         entry < replay->ring->count - replay->form.span; entry++)
        if (!end_of(replay, entry)) return true;
    return false;
}

/* Draws for when there are `count` entries. False: it takes one that is not there yet. */
static bool draw(const qg_replay *replay, int64_t count, qg_random *random, qg_minibatch *minibatch)
{
    const int64_t first = first_state(replay, count);
    const uint64_t choices = (uint64_t)(count - replay->form.span - first);
    for (int i = 0; i < minibatch->batch.states.size; i++) {
        int64_t entry;
        do {
            entry = first + (int64_t)qg_random_below(random, choices);
            if (entry >= replay->ring->count - replay->form.span) return false;
        } while (end_of(replay, entry));
        minibatch->drawn[i] = entry;
    }
    return true;
}

/* Where a transition goes: to the entry behind its steps, or to the end before. */
static int64_t next_entry(const qg_replay *replay, int64_t entry)
{
    int64_t next = entry + 1;
    while (next < entry + replay->form.span && !end_of(replay, next))
        next++;
    return next;
}

/* The screens of state and next state: those of the state and, a step later, one more. */
static void begin_reading(const qg_replay *replay, qg_minibatch *minibatch)
{
    const int size = minibatch->batch.states.size, screens = replay->form.row;
    for (int i = 0; i < size; i++) {
        int64_t *wanted = minibatch->wanted + (size_t)i * (size_t)screens;
        const int64_t next = next_entry(replay, minibatch->drawn[i]);
        list_state(replay, minibatch->drawn[i], wanted);
        if (replay->form.span > 1)
            list_state(replay, next, wanted + replay->form.history);
        else
            wanted[replay->form.history] = next;
    }
    if (!replay->form.is_mapped)
        qg_screen_store_begin_reading(replay->store, minibatch->wanted, size * screens,
                                      minibatch->room);
}

/* The discounted sum of the rewards on the way from `entry` to `next`, and the discount there. */
static void sum_rewards(const qg_replay *replay, int64_t entry, int64_t next, float *sum,
                        float *discount)
{
    double rewards = 0, power = 1;
    for (; entry < next; entry++) {
        const size_t at = qg_replay_ring_slot(replay->ring, entry);
        rewards += power * (double)replay->ring->rewards[at];
        power *= replay->ring->plan.discount;
    }
    *sum = (float)rewards;
    *discount = (float)power;
}

/* The screen of place k in the list of those wanted; NULL: zeros. */
static const uint8_t *screen_at(const qg_replay *replay, const qg_minibatch *minibatch, size_t k)
{
    const int64_t entry = minibatch->wanted[k];
    if (entry < 0) return NULL;
    return replay->form.is_mapped ? qg_screen_store_get(replay->store, entry, NULL)
                                  : minibatch->room + k * replay->form.room;
}

/* What the learner takes, of a minibatch whose screens have been read. */
static void fill(const qg_replay *replay, qg_minibatch *minibatch)
{
    const size_t size = (size_t)minibatch->batch.states.size,
                 history = (size_t)replay->form.history;
    const size_t row = (size_t)replay->form.row,
                 behind = row - history; /* where the next state begins */
    for (size_t i = 0; i < size; i++) {
        const int64_t entry = minibatch->drawn[i], next = next_entry(replay, entry);
        minibatch->actions[i] = replay->ring->actions[qg_replay_ring_slot(replay->ring, entry)];
        sum_rewards(replay, entry, next, &minibatch->rewards[i], &minibatch->discounts[i]);
        minibatch->terminals[i] = end_of(replay, next) == QG_REPLAY_TERMINAL;
        for (size_t k = 0; k < row; k++) {
            const uint8_t *screen = screen_at(replay, minibatch, i * row + k);
            if (k < history) minibatch->screens[i * history + k] = screen;
            if (k >= behind) minibatch->screens[(size + i) * history + k - behind] = screen;
        }
    }
}

void qg_replay_expect(qg_replay *replay, const qg_random *random, int64_t steps, int size)
{
    expected *next = &replay->next;
    const int64_t count = replay->ring->count + steps;
    next->drawn = false;
    if (!qg_screen_store_reads_ahead(replay->store) ||
        count - replay->form.span <= first_state(replay, count))
        return;
    qg_screen_store_finish_reading(replay->store);
    qg_error ignored; /* without memory nothing is read ahead */
    if (next->minibatch.batch.states.size != size) {
        qg_minibatch_destroy(&next->minibatch);
        if (qg_minibatch_create(&replay->form, size, &next->minibatch, &ignored)) return;
    }
    next->before = next->after = *random;
    next->count = count;
    next->drawn = draw(replay, count, &next->after, &next->minibatch);
    if (next->drawn) begin_reading(replay, &next->minibatch);
}

/* Whether it is what was expected; then it is taken over. */
static bool take_expected(qg_replay *replay, qg_random *random, qg_minibatch *minibatch)
{
    expected *next = &replay->next;
    const bool is_it = next->drawn && next->count == replay->ring->count &&
                       next->minibatch.batch.states.size == minibatch->batch.states.size &&
                       memcmp(&next->before, random, sizeof *random) == 0;
    next->drawn = false;
    if (!is_it) return false;
    const qg_minibatch read = next->minibatch;
    next->minibatch = *minibatch;
    *minibatch = read;
    *random = next->after;
    return true;
}

void qg_replay_sample(qg_replay *replay, qg_random *random, qg_minibatch *minibatch)
{
    assert(qg_replay_can_sample(replay));
    qg_screen_store_finish_reading(replay->store);
    if (!take_expected(replay, random, minibatch)) {
        const bool drawn = draw(replay, replay->ring->count, random, minibatch);
        assert(drawn);
        (void)drawn;
        begin_reading(replay, minibatch);
        qg_screen_store_finish_reading(replay->store);
    }
    fill(replay, minibatch);
}

void qg_replay_sample_by_priority(qg_replay *replay, qg_random *random, double beta,
                                  qg_minibatch *minibatch)
{
    const qg_priorities *priorities = &replay->priorities;
    const int size = minibatch->batch.states.size;
    const int64_t capacity = replay->ring->plan.capacity, newest = replay->ring->count - 1;
    double least = INFINITY;
    assert(priorities->nodes && qg_replay_can_sample(replay));
    qg_screen_store_finish_reading(replay->store);
    for (int i = 0; i < size; i++) {
        const size_t leaf = qg_priorities_find(priorities, (i + qg_random_uniform(random)) / size);
        const int64_t age = (newest - (int64_t)leaf % capacity + capacity) % capacity;
        minibatch->drawn[i] = newest - age;
        least = fmin(least, qg_priorities_weight(priorities, leaf));
    }
    for (int i = 0; i < size; i++) {
        const size_t leaf = leaf_of(replay, minibatch->drawn[i]);
        minibatch->weights[i] =
            (float)qg_power(least / qg_priorities_weight(priorities, leaf), beta);
    }
    minibatch->batch.weights = minibatch->weights;
    begin_reading(replay, minibatch);
    qg_screen_store_finish_reading(replay->store);
    fill(replay, minibatch);
}

void qg_replay_set_priorities(qg_replay *replay, const qg_minibatch *minibatch,
                              const float *td_errors)
{
    for (int i = 0; i < minibatch->batch.states.size; i++)
        qg_priorities_learned(&replay->priorities, leaf_of(replay, minibatch->drawn[i]),
                              (double)td_errors[i]);
}
