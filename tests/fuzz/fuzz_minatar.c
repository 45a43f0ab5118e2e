/* Feeds MinAtar's reader of saved games, what stands behind the checksum, and plays on in what it
 * takes. */
#include "fuzz.h"

#include <qgraft/domain.h>

static const char *const games[] = {"minatar/asterix", "minatar/breakout", "minatar/freeway",
                                    "minatar/seaquest", "minatar/space_invaders"};
enum { GAMES = sizeof games / sizeof *games };

static qg_domain *domains[GAMES];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    qg_error error;
    for (int g = 0; g < GAMES; g++)
        CHECK(qg_domain_open(games[g], &(qg_domain_options){.frame_skip = 1, .sticky = 0.1},
                             &domains[g], &error) == QG_OK);
    return 0;
}

static void play(qg_domain *domain, const uint8_t *actions, size_t count)
{
    uint8_t observation[10 * 10 * 16];
    qg_error error;
    CHECK(qg_observation_size(&domain->shape) <= sizeof observation);
    CHECK(qg_domain_reset(domain, 0, observation, &error) == QG_OK);
    for (size_t i = 0; i < 300; i++) {
        qg_step step;
        CHECK(qg_domain_step(domain, actions[i % count] % domain->action_count, &step, observation,
                             &error) == QG_OK);
        if (step.end) CHECK(qg_domain_reset(domain, 0, observation, &error) == QG_OK);
    }
    uint8_t *state;
    size_t size;
    CHECK(qg_domain_save(domain, &state, &size, &error) == QG_OK);
    CHECK(qg_domain_restore(domain, state, size, &error) == QG_OK);
    free(state);
}

/* The first byte names the game. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    qg_domain *domain = domains[data[0] % GAMES];
    qg_error error;
    const qg_status status = domain->methods->restore(domain->self, data + 1, size - 1, &error);
    check_said(status, &error);
    if (status == QG_OK) play(domain, data, size);
    return 0;
}
