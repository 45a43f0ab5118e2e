#include "study/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void qg_schedule_urgency(const qg_study *study, const qg_task_load *loads, double *urgency)
{
    for (int t = 0; t < study->task_count; t++)
        urgency[t] = 0;
    for (int t = study->task_count - 1; t >= 0; t--) { /* children stand behind their parents */
        const qg_study_task *task = &study->tasks[t];
        urgency[t] += loads[t].first ? INFINITY : loads[t].seconds;
        for (int p = 0; p < task->parent_count; p++)
            urgency[task->parents[p]] = fmax(urgency[task->parents[p]], urgency[t]);
    }
}

static bool is_ready(const qg_study *study, const qg_task_state *states, int t)
{
    const qg_study_task *task = &study->tasks[t];
    if (states[t] != QG_TASK_WAITING) return false;
    for (int p = 0; p < task->parent_count; p++)
        if (states[task->parents[p]] != QG_TASK_FINISHED) return false;
    return true;
}

int qg_schedule_next(const qg_study *study, const qg_task_state *states, const qg_task_load *loads,
                     const double *urgency, const qg_study_limits *limits)
{
    int running = 0, next = -1;
    double memory = 0;
    for (int t = 0; t < study->task_count; t++)
        if (states[t] == QG_TASK_RUNNING) {
            running++;
            memory += loads[t].memory;
        }
    if (running >= limits->jobs) return -1;
    for (int t = 0; t < study->task_count; t++)
        if ((next < 0 || urgency[t] > urgency[next]) && is_ready(study, states, t) &&
            (running == 0 || memory + loads[t].memory <= limits->memory))
            next = t;
    return next;
}

/* ------------------------------------------------------------------------------- forecast */

/* A study played through. */
typedef struct play {
    const qg_study *study;
    const qg_task_load *loads;
    const qg_study_limits *limits;
    qg_task_state *states;
    double *urgency, *ends; /* [task_count]; ends: of those that run */
    double now, kept;       /* kept: bytes that finished tasks left */
} play;

static void start(play *p, int task)
{
    p->states[task] = QG_TASK_RUNNING;
    p->ends[task] = p->now + p->loads[task].seconds;
}

static void note_peaks(const play *p, qg_study_forecast *forecast)
{
    double memory = 0, disk = p->kept;
    for (int t = 0; t < p->study->task_count; t++)
        if (p->states[t] == QG_TASK_RUNNING) {
            memory += p->loads[t].memory;
            disk += p->loads[t].disk;
        }
    forecast->memory = fmax(forecast->memory, memory);
    forecast->disk = fmax(forecast->disk, disk);
}

/* Goes on to the end of the running task that ends first; false: none runs. */
static bool end_first(play *p)
{
    int first = -1;
    for (int t = 0; t < p->study->task_count; t++)
        if (p->states[t] == QG_TASK_RUNNING && (first < 0 || p->ends[t] < p->ends[first]))
            first = t;
    if (first < 0) return false;
    p->now = p->ends[first];
    p->kept += p->loads[first].kept;
    p->states[first] = QG_TASK_FINISHED;
    return true;
}

static void play_through(play *p, qg_study_forecast *forecast)
{
    for (int t = 0; t < p->study->task_count; t++)
        if (p->states[t] == QG_TASK_RUNNING)
            start(p, t);
        else if (p->states[t] == QG_TASK_FINISHED)
            p->kept += p->loads[t].kept;
    do {
        int next;
        while ((next = qg_schedule_next(p->study, p->states, p->loads, p->urgency, p->limits)) >= 0)
            start(p, next);
        note_peaks(p, forecast);
    } while (end_first(p));
    forecast->seconds = p->now;
}

qg_status qg_schedule_forecast(const qg_study *study, const qg_task_state *states,
                               const qg_task_load *loads, const qg_study_limits *limits,
                               qg_study_forecast *forecast, qg_error *error)
{
    const size_t count = (size_t)study->task_count;
    play p = {.study = study, .loads = loads, .limits = limits};
    *forecast = (qg_study_forecast){0};
    if (count == 0) return QG_OK;
    p.states = malloc(count * sizeof *p.states);
    p.urgency = malloc(2 * count * sizeof *p.urgency);
    qg_status status = QG_OK;
    if (p.states && p.urgency) {
        memcpy(p.states, states, count * sizeof *states);
        p.ends = p.urgency + count;
        qg_schedule_urgency(study, loads, p.urgency);
        play_through(&p, forecast);
    } else
        status = qg_fail_memory(error, "a forecast", count * sizeof *p.ends);
    free(p.states);
    free(p.urgency);
    return status;
}
