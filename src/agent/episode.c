#include "agent/episode.h"

#include "agent/checkpoint.h"

qg_episode qg_episode_of(qg_domain *domain, int noop_max, qg_random noops)
{
    return (qg_episode){
        .domain = domain, .noop_max = noop_max, .noops = noops, .over = true, .game_over = true};
}

qg_status qg_episode_begin(qg_episode *e, uint8_t *screen, qg_error *error)
{
    const int noops = e->noop_max ? 1 + (int)qg_random_below(&e->noops, (uint64_t)e->noop_max) : 0;
    const int64_t games = e->domain->games;
    const qg_status status = qg_domain_reset(e->domain, noops, screen, error);
    /* The game that goes on behind a lost life may end under the no-ops. */
    e->ended_between = !e->game_over && e->domain->games > games;
    e->last_return = e->game_return;
    if (e->game_over || e->ended_between) {
        e->steps = 0;
        e->game_return = 0;
    }
    e->over = e->game_over = e->truncated = false;
    return status;
}

qg_status qg_episode_step(qg_episode *e, int action, qg_step *step, uint8_t *screen,
                          qg_error *error)
{
    const qg_status status = qg_domain_step(e->domain, action, step, screen, error);
    if (status) return status;
    e->steps++;
    e->game_return += (double)step->reward;
    const bool terminal = step->end || (e->life_loss_ends && step->life_lost);
    e->game_over = step->end || step->truncated;
    e->truncated = step->truncated && !terminal;
    e->over = terminal || step->truncated;
    return QG_OK;
}

qg_status qg_episode_pass(qg_episode *e, qg_tape *tape, qg_error *error)
{
    qg_tape_pass_bool(tape, &e->over);
    qg_tape_pass_bool(tape, &e->game_over);
    qg_tape_pass_bool(tape, &e->truncated);
    QG_TAPE_PASS(tape, e->steps);
    QG_TAPE_PASS(tape, e->game_return);
    qg_tape_pass_random(tape, &e->noops);
    qg_tape_require(tape, e->steps >= 0);
    const qg_status status = tape->good ? qg_tape_pass_domain(tape, e->domain, error) : QG_OK;
    if (!status && tape->reading)
        qg_tape_require(tape, e->over || !qg_domain_is_over(e->domain) || e->domain->lost);
    if (!status && tape->reading && e->domain->lost && !e->over) /* what is known of it ends here */
        e->over = e->game_over = e->truncated = true;
    return status;
}
