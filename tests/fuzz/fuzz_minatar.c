/* Feeds MinAtar's reader of saved games, with a checksum that fits, and plays on in what it takes.
 */
#include "fuzz.h"

#include <qgraft/domain.h>

#include <zlib.h>

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
    for (size_t i = 0; i < 300; i++) {
        qg_step step;
        CHECK(qg_domain_step(domain, actions[i % count] % domain->game->action_count, &step,
                             observation, &error) == QG_OK);
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
    if (size < 1 + sizeof(uint32_t)) return 0;
    qg_domain *domain = domains[data[0] % GAMES];
    const size_t length = size - 1;
    uint8_t *state = malloc(length);
    if (!state) return 0;
    memcpy(state, data + 1, length);
    const uint32_t crc = (uint32_t)crc32_z(0, state, length - sizeof crc);
    memcpy(state + length - sizeof crc, &crc, sizeof crc);
    qg_error error;
    const qg_status status = qg_domain_restore(domain, state, length, &error);
    check_said(status, &error);
    if (status == QG_OK) play(domain, data, size);
    free(state);
    return 0;
}
