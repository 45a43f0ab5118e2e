/* How much time the Atari domain takes beyond the bare emulator: processor time of a step of four
 * frames, in blocks that alternate between the two, with the same random actions.
 *
 * usage: bench_atari [GAME...] */
#include "domain/atari/ale.h"

#include <qgraft/domain.h>

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BLOCKS = 20, STEPS = 200, FRAMES = 4, SEED = 39 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void play_bare(const qg_ale *ale, void *emulator, const int *codes, const int *actions)
{
    for (int i = 0; i < STEPS; i++) {
        for (int frame = 0; frame < FRAMES && !ale->game_over(emulator); frame++)
            ale->act(emulator, codes[actions[i]]);
        if (ale->game_over(emulator)) ale->reset_game(emulator);
    }
}

static qg_status play_domain(qg_domain *domain, const int *actions, uint8_t *observation,
                             qg_error *error)
{
    for (int i = 0; i < STEPS; i++) {
        qg_step step;
        qg_status status = qg_domain_step(domain, actions[i], &step, observation, error);
        if (status == QG_OK && step.end) status = qg_domain_reset(domain, 0, observation, error);
        if (status != QG_OK) return status;
    }
    return QG_OK;
}

static qg_status bench(const char *folder, const qg_ale *ale, const char *name, qg_error *error)
{
    const qg_domain_options options = {.seed = SEED, .frame_skip = FRAMES, .sticky = -1};
    qg_domain *domain;
    qg_status status = qg_domain_open(name, &options, &domain, error);
    if (status != QG_OK) return status;

    char rom[PATH_MAX];
    snprintf(rom, sizeof rom, "%s/roms/%s.bin", folder, domain->game->name);
    void *emulator = ale->ALE_new();
    ale->setInt(emulator, "random_seed", SEED);
    ale->setFloat(emulator, "repeat_action_probability", 0);
    ale->loadROM(emulator, rom);
    int codes[QG_MAX_ACTIONS];
    ale->getMinimalActionSet(emulator, codes);

    static uint8_t observation[84 * 84];
    double bare = 0, whole = 0;
    status = qg_domain_reset(domain, 0, observation, error);
    for (int block = 0; block < BLOCKS && status == QG_OK; block++) {
        int actions[STEPS];
        for (int i = 0; i < STEPS; i++)
            actions[i] = rand() % domain->game->action_count;
        const double start = now();
        play_bare(ale, emulator, codes, actions);
        const double middle = now();
        status = play_domain(domain, actions, observation, error);
        bare += middle - start;
        whole += now() - middle;
    }
    const double scale = 1e6 / (BLOCKS * STEPS);
    printf("%-16s emulator %6.1f us a step, domain %6.1f us: + %4.1f us, %+.1f %%\n", name,
           bare * scale, whole * scale, (whole - bare) * scale, 100 * (whole / bare - 1));
    ale->ALE_del(emulator);
    qg_domain_close(domain);
    return status;
}

int main(int argc, char **argv)
{
    static char *games[] = {"breakout",       "qbert",        "ms_pacman", "beam_rider",
                            "space_invaders", "demon_attack", "seaquest",  "pong"};
    const int count = argc > 1 ? argc - 1 : (int)(sizeof games / sizeof *games);
    qg_error error;
    char *folder = NULL;
    const qg_ale *ale;
    qg_status status = qg_ale_folder(&folder, &error);
    if (status == QG_OK) status = qg_ale_open(folder, &ale, &error);
    for (int i = 0; i < count && status == QG_OK; i++)
        status = bench(folder, ale, argc > 1 ? argv[i + 1] : games[i], &error);
    if (status != QG_OK) fprintf(stderr, "bench_atari: %s\n", error.message);
    free(folder);
    return status == QG_OK ? 0 : 1;
}
