/* Many games, a step of each in one call. */
#include <qgraft/domain.h>

static qg_status step_one(qg_domain *domain, int action, int noops, qg_step *step,
                          uint8_t *observation, qg_error *error)
{
    if (!qg_step_is_last(step)) return qg_domain_step(domain, action, step, observation, error);
    const qg_status status = qg_domain_reset(domain, noops, observation, error);
    if (!status) *step = (qg_step){0};
    return status;
}

qg_status qg_domains_step(qg_domain *const *domains, size_t count, const int *actions,
                          const int *noops, qg_step *steps, uint8_t *observations, qg_error *error)
{
    qg_status status = QG_OK;
    for (size_t i = 0; i < count && !status; i++) {
        status =
            step_one(domains[i], actions[i], noops ? noops[i] : 0, &steps[i], observations, error);
        observations += qg_observation_size(&domains[i]->shape);
    }
    return status;
}
